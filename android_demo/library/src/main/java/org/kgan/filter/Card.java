package org.kgan.filter;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** The JSON card beside a filter: what this library must know to run it. Fields that it does not use are passed over. */
public final class Card {
    private static final int LARGEST_SIDE = 8192;

    /** What people call the filter. */
    public final String name;

    /** "dynamic_wi8_afp32" and the like: how its weights are stored. */
    public final String recipe;

    /** How its training pictures were cut. */
    public final Part part;

    /** What may be asked of it, null where it takes no label. */
    public final Labels labels;

    final int[] size; // height, width
    final List<String> digests = new ArrayList<String>();

    /**
     * Read a card.
     *
     * @param text the JSON.
     * @param file its name, for errors.
     * @throws FilterException it is no card, or one of what this library does not run.
     */
    public Card(String text, String file) throws FilterException {
        try {
            JSONObject card = new JSONObject(text);
            name = card.getString("name");
            expect("filter".equals(card.getString("kind")), "kind is not \"filter\": a generator draws from noise");
            JSONArray range = card.getJSONArray("range");
            boolean usual = range.length() == 2 && range.getDouble(0) == -1 && range.getDouble(1) == 1;
            expect(usual, "range is not [-1, 1]");
            JSONObject export = card.getJSONObject("export");
            recipe = export.optString("recipe", "");
            expect(!card.isNull("size"), "size is null: export it at one size");
            JSONArray sides = card.getJSONArray("size");
            expect(sides.length() == 2, "size is not [height, width]");
            size = new int[] {sides.getInt(0), sides.getInt(1)};
            for (int side : size) {
                expect(side >= 1 && side <= LARGEST_SIDE, "size is not of whole numbers from 1 to " + LARGEST_SIDE);
            }
            part = Part.ofCard(card.getString("crop"));
            expect(part != null, "crop is not \"face\", \"center\" or \"none\"");
            labels = card.isNull("labels") ? null : new Labels(card.getJSONObject("labels"));
            JSONArray sums = card.optJSONArray("sha256");
            for (int i = 0; sums != null && i < sums.length(); i++) {
                digests.add(sums.getString(i));
            }
            if (digests.isEmpty() && export.has("sha256")) {
                digests.add(export.getString("sha256"));
            }
            expect(!digests.isEmpty(), "it names no sha256");
        } catch (JSONException error) {
            throw new FilterException(
                    FilterException.Reason.CARD,
                    file + " is not the card of a filter for phones: " + error.getMessage()
                            + ". Export the filter again, and copy the .tflite and the .json that lie beside each other.",
                    error);
        }
    }

    private static void expect(boolean holds, String fault) throws JSONException {
        if (!holds) {
            throw new JSONException(fault);
        }
    }

    /** Check that the card was written with this file and says of it what it is. */
    void check(byte[] model, ModelFile shapes, String file) throws FilterException {
        if (!digests.contains(sha256(model))) {
            throw new FilterException(
                    FilterException.Reason.OTHER_FILE,
                    file + " is not the file that its card was written with: one of them was damaged, or is of another "
                            + "filter. Copy both from where they were exported.");
        }
        if (!Arrays.equals(size, new int[] {shapes.height, shapes.width})) {
            throw new FilterException(
                    FilterException.Reason.CARD,
                    "The card of " + file + " says " + size[1] + " x " + size[0] + " pixels, and the model takes "
                            + shapes.width + " x " + shapes.height + ". Export the filter again.");
        }
        int width = labels == null ? 0 : labels.width;
        if (width != shapes.labelSize) {
            throw new FilterException(
                    FilterException.Reason.CARD,
                    "The card of " + file + " names labels of " + width + " numbers, and the model takes "
                            + shapes.labelSize + ". Export the filter again.");
        }
    }

    static String sha256(byte[] data) {
        try {
            StringBuilder text = new StringBuilder();
            for (byte each : MessageDigest.getInstance("SHA-256").digest(data)) {
                text.append(String.format(Locale.ROOT, "%02x", each));
            }
            return text.toString();
        } catch (NoSuchAlgorithmException error) {
            throw new AssertionError(error); // every Android has it
        }
    }
}
