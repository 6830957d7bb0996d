package org.kgan.filter;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;
import static org.junit.Assume.assumeFalse;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;
import org.junit.Before;
import org.junit.Test;

/** The same as Python, on what tests/helpers/phone.py wrote: pictures to the byte, numbers to the last bit. */
public final class GoldenTest {
    private static final double PIXELS = 1e-6; // what a last bit of exp() may move a face by

    private File folder;
    private JSONObject goldens;

    @Before
    public void open() throws IOException, JSONException {
        String golden = System.getProperty("golden", "");
        assumeFalse("needs goldens, which tests/android writes", golden.isEmpty());
        folder = new File(golden);
        goldens = new JSONObject(text("goldens.json"));
    }

    @Test
    public void pixelsBecomeTheSameFloats() throws Exception {
        JSONObject golden = goldens.getJSONObject("values");
        assertArrayEquals(array(golden, "floats").floats(), Values.of(picture(golden, "image")), 0);
    }

    @Test
    public void floatsBecomeTheSamePixels() throws Exception {
        JSONObject golden = goldens.getJSONObject("levels");
        Picture expected = picture(golden, "image");
        assertSame("levels", expected, Values.picture(array(golden, "floats").floats(), expected.width, expected.height));
    }

    @Test
    public void picturesAreResizedAlike() throws Exception {
        for (JSONObject golden : each("resize")) {
            Picture expected = picture(golden, "result");
            Picture result = Resampling.resize(picture(golden, "image"), expected.width, expected.height);
            assertSame(golden.toString(), expected, result);
        }
    }

    @Test
    public void facesAreCutAndBlendedAlike() throws Exception {
        for (JSONObject golden : each("faces")) {
            Face face = new Face(numbers(golden, "box"), 1, numbers(golden, "points"));
            Picture photo = picture(golden, "image");
            Picture crop = picture(golden, "crop");
            assertSame("crop of " + golden, crop, face.crop(photo, crop.width));
            assertSame("blend of " + golden, picture(golden, "blended"), face.blend(photo, picture(golden, "filtered")));
        }
    }

    @Test
    public void theDetectorsNumbersSayTheSameFaces() throws Exception {
        for (JSONObject golden : each("decode")) {
            double[] zoom = numbers(golden, "zoom");
            List<Face> faces = FaceFinder.merge(FaceFinder.decode(
                    array(golden, "regressors").floats(),
                    array(golden, "logits").floats(),
                    golden.getInt("left"),
                    golden.getInt("top"),
                    zoom[0],
                    zoom[1]));
            JSONArray expected = golden.getJSONArray("faces");
            assertEquals(expected.length(), faces.size());
            for (int i = 0; i < faces.size(); i++) {
                JSONObject one = expected.getJSONObject(i);
                assertArrayEquals(numbers(one, "box"), faces.get(i).box, PIXELS);
                assertArrayEquals(numbers(one, "points"), faces.get(i).points, PIXELS);
                assertEquals(one.getDouble("score"), faces.get(i).score, 1e-12);
            }
        }
    }

    @Test
    public void tilesLieAlike() throws Exception {
        for (JSONObject golden : each("tiles")) {
            int length = golden.getInt("length");
            int tile = golden.getInt("tile");
            int overlap = golden.getInt("overlap");
            double[] starts = numbers(golden, "starts");
            int[] result = Tiles.starts(length, tile, overlap);
            assertEquals(starts.length, result.length);
            float[] weights = array(golden, "weights").floats();
            float[][] shares = Tiles.weights(length, tile, overlap);
            for (int i = 0; i < result.length; i++) {
                assertEquals((int) starts[i], result[i]);
                for (int j = 0; j < shares[i].length; j++) {
                    assertEquals(weights[i * shares[i].length + j], shares[i][j], 0);
                }
            }
        }
    }

    /** All of `kgan translate`, with a network that both sides have: y = 0.25 - x / 2. */
    @Test
    public void wholePicturesAreTranslatedAlike() throws Exception {
        for (JSONObject golden : each("translate")) {
            FaceFinder finder = new FaceFinder(new Recorded(golden.getJSONArray("detections")));
            Pipeline pipeline = new Pipeline(new Halved(), finder, golden.getInt("height"), golden.getInt("width"));
            Picture result = pipeline.apply(picture(golden, "image"), null, Part.valueOf(golden.getString("part")));
            assertSame(golden.getString("part"), picture(golden, "result"), result);
        }
    }

    @Test
    public void labelsAreTheSameNumbersAndRefusedAlike() throws Exception {
        for (JSONObject golden : each("labels")) {
            Card card = new Card(text(golden.getString("card")), "card.json");
            String words = golden.getString("words");
            if (golden.has("refused")) {
                try {
                    card.labels.vector(words);
                    fail(words + " is no label");
                } catch (FilterException error) {
                    assertEquals(FilterException.Reason.LABEL, error.reason);
                }
                continue;
            }
            float[] vector = card.labels.vector(words);
            assertArrayEquals(words, array(golden, "vector").floats(), vector, 0);
        }
    }

    @Test
    public void exportedFiltersAreReadAndMatchTheirCards() throws Exception {
        for (JSONObject golden : each("models")) {
            byte[] model = Files.readAllBytes(new File(golden.getString("model")).toPath());
            Card card = new Card(text(golden.getString("card")), "card.json");
            ModelFile shapes = ModelFile.ofFilter(model, "filter.tflite");
            card.check(model, shapes, "filter.tflite");
            assertEquals(golden.getInt("height"), shapes.height);
            assertEquals(golden.getInt("label"), shapes.labelSize);
            assertEquals("dynamic_wi8_afp32", card.recipe);
            model[model.length / 2] ^= 1;
            try {
                card.check(model, shapes, "filter.tflite");
                fail("one bit is another file");
            } catch (FilterException error) {
                assertEquals(FilterException.Reason.OTHER_FILE, error.reason);
            }
        }
    }

    @Test
    public void theDetectorsFileIsReadAndIsNoFilter() throws Exception {
        byte[] data = Files.readAllBytes(new File(goldens.getString("detector")).toPath());
        ModelFile file = new ModelFile(data, "detector");
        assertEquals(FaceFinder.ANCHORS * 16, file.outputs.get(file.output("regressors")).size());
        assertEquals(FaceFinder.ANCHORS, file.outputs.get(file.output("classificators")).size());
        try {
            ModelFile.ofFilter(data, "blazeface.tflite");
            fail("it gives no picture");
        } catch (FilterException error) {
            assertTrue(error.getMessage(), error.getMessage().startsWith("blazeface.tflite is no filter for phones"));
        }
    }

    @Test
    public void aCustomOperationIsNamed() throws Exception {
        byte[] data = Files.readAllBytes(new File(folder, goldens.getString("custom")).toPath());
        try {
            ModelFile.ofFilter(data, "odd.tflite");
            fail("no phone has that operation");
        } catch (FilterException error) {
            assertTrue(error.getMessage(), error.getMessage().startsWith("odd.tflite needs the operation Flipped,"));
        }
    }

    @Test
    public void aDamagedFileIsRefusedWhereverTheDamageIs() throws Exception {
        byte[] data = Files.readAllBytes(new File(folder, goldens.getString("custom")).toPath());
        for (int at = 0; at + 4 <= data.length; at++) {
            byte[] damaged = data.clone();
            ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN).putInt(at, Integer.MAX_VALUE);
            try {
                new ModelFile(damaged, "odd.tflite");
            } catch (FilterException error) {
                assertEquals(FilterException.Reason.MODEL, error.reason);
            }
        }
    }

    /** The network of the goldens. */
    private static final class Halved implements Pipeline.Network {
        @Override
        public float[] run(float[] image, float[] label) {
            float[] result = new float[image.length];
            for (int i = 0; i < image.length; i++) {
                result[i] = image[i] * -0.5f + 0.25f;
            }
            return result;
        }
    }

    /** BlazeFace as it answered in Python: the same floats must be asked, in the same order. */
    private final class Recorded implements FaceFinder.Detector {
        private final JSONArray answers;
        private int next;

        Recorded(JSONArray answers) {
            this.answers = answers;
        }

        @Override
        public float[][] detect(float[] square) {
            try {
                JSONObject answer = answers.getJSONObject(next++);
                assertArrayEquals(array(answer, "square").floats(), square, 0);
                return new float[][] {array(answer, "regressors").floats(), array(answer, "logits").floats()};
            } catch (JSONException error) {
                throw new AssertionError(error);
            } catch (IOException error) {
                throw new AssertionError(error);
            }
        }
    }

    private static void assertSame(String what, Picture expected, Picture result) {
        assertEquals(what, expected.width + " x " + expected.height, result.width + " x " + result.height);
        int different = 0;
        for (int i = 0; i < expected.pixels.length; i++) {
            different += expected.pixels[i] == result.pixels[i] ? 0 : 1;
        }
        assertEquals(what + ": pixels that differ", 0, different);
    }

    private Iterable<JSONObject> each(String name) throws JSONException {
        JSONArray array = goldens.getJSONArray(name);
        assertTrue(name, array.length() > 0);
        List<JSONObject> list = new ArrayList<JSONObject>();
        for (int i = 0; i < array.length(); i++) {
            list.add(array.getJSONObject(i));
        }
        return list;
    }

    private Npy array(JSONObject golden, String name) throws JSONException, IOException {
        return new Npy(new File(folder, golden.getString(name)));
    }

    private Picture picture(JSONObject golden, String name) throws JSONException, IOException {
        return array(golden, name).picture();
    }

    private static double[] numbers(JSONObject golden, String name) throws JSONException {
        JSONArray array = golden.getJSONArray(name);
        double[] numbers = new double[array.length()];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = array.getDouble(i);
        }
        return numbers;
    }

    private String text(String path) throws IOException {
        File file = new File(path).isAbsolute() ? new File(path) : new File(folder, path);
        return new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
    }
}
