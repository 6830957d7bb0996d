package org.kgan.filter;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import org.junit.Test;
import org.junit.function.ThrowingRunnable;

/** Cards that are read, and those that are refused, each with a sentence. */
public final class CardTest {
    private static final String SUM = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"; // of "12345"
    private static final String CARD = "{\"name\": \"anime\", \"kind\": \"filter\", \"range\": [-1.0, 1.0], "
            + "\"size\": [64, 32], \"crop\": \"face\", \"labels\": null, \"sha256\": [\"" + SUM + "\"], "
            + "\"export\": {\"recipe\": \"float16\"}, \"news\": 7}";

    private static FilterException refused(final String text) {
        return assertThrows(FilterException.class, new ThrowingRunnable() {
            @Override
            public void run() throws FilterException {
                new Card(text, "anime.json");
            }
        });
    }

    private static void isRefused(String before, String after, String reason) {
        assertTrue(before, CARD.contains(before));
        FilterException error = refused(CARD.replace(before, after));
        assertEquals(FilterException.Reason.CARD, error.reason);
        assertTrue(error.getMessage(), error.getMessage().startsWith("anime.json is not the card of a filter for phones"));
        assertTrue(error.getMessage(), error.getMessage().contains(reason));
    }

    @Test
    public void aCardIsRead() throws FilterException {
        Card card = new Card(CARD, "anime.json");
        assertEquals("anime", card.name);
        assertEquals("float16", card.recipe);
        assertEquals(Part.FACES, card.part);
        assertEquals(64, card.size[0]);
    }

    @Test
    public void theDigestIsSha256() {
        assertEquals(SUM, Card.sha256(new byte[] {'1', '2', '3', '4', '5'}));
    }

    @Test
    public void whatIsNoCardIsRefused() {
        assertEquals(FilterException.Reason.CARD, refused("<html>").reason);
        assertEquals(FilterException.Reason.CARD, refused("").reason);
        assertEquals(FilterException.Reason.CARD, refused("[1]").reason);
    }

    @Test
    public void whatAPhoneCannotRunIsRefused() {
        isRefused("\"filter\"", "\"generator\"", "draws from noise");
        isRefused("[64, 32]", "null", "export it at one size");
        isRefused("[64, 32]", "[64, 0]", "whole numbers");
        isRefused("[64, 32]", "[64]", "[height, width]");
        isRefused("[-1.0, 1.0]", "[0, 1]", "range");
        isRefused("\"face\"", "\"nose\"", "crop");
        isRefused("[\"" + SUM + "\"]", "[]", "names no sha256");
        isRefused("\"name\"", "\"game\"", "name");
    }

    @Test
    public void aModelThatIsNoneIsRefused() {
        for (final byte[] data : new byte[][] {{}, new byte[100], "hi TFL3 there is nothing".getBytes()}) {
            FilterException error = assertThrows(FilterException.class, new ThrowingRunnable() {
                @Override
                public void run() throws FilterException {
                    ModelFile.ofFilter(data, "anime.tflite");
                }
            });
            assertTrue(error.getMessage(), error.getMessage().startsWith("anime.tflite is no .tflite file"));
        }
    }

    @Test
    public void severalSetsHaveAMask() throws Exception {
        String labels = "{\"sets\": [{\"name\": \"a\", \"groups\": [{\"name\": \"hair\", \"values\": [\"red\", \"blue\"], "
                + "\"flags\": false}]}, {\"name\": \"b\", \"groups\": [{\"name\": \"smile\", \"values\": [\"yes\"], "
                + "\"flags\": false}, {\"name\": \"hair\", \"values\": [\"red\", \"green\"], \"flags\": false}]}], "
                + "\"optional\": false}";
        Labels read = new Card(CARD.replace("\"labels\": null", "\"labels\": " + labels), "anime.json").labels;
        assertEquals(7, read.width);
        assertArrayEquals(
                new float[] {0, 0, 0, 0, 1, 0, 1}, read.vector("smile=no,b.hair=green"), 0);
        String answered = read.answered("b.hair=green,smile=no", read.groups.get(1), "yes");
        assertEquals("b.smile=yes,b.hair=green", answered);
        assertEquals("a.hair=blue", read.answered(answered, read.groups.get(0), "blue"));
        assertEquals("b.smile=yes,b.hair=red", read.answered("a.hair=blue", read.groups.get(2), "red"));
        assertEquals(null, read.answer("b.hair=green", read.groups.get(0)));
        for (final String words : new String[] {"hair=red", "smile=yes", "a.hair=red,smile=yes", "b.hair=blue,smile=no"}) {
            final Labels all = read;
            FilterException error = assertThrows(words, FilterException.class, new ThrowingRunnable() {
                @Override
                public void run() throws FilterException {
                    all.vector(words);
                }
            });
            assertEquals(FilterException.Reason.LABEL, error.reason);
        }
    }
}
