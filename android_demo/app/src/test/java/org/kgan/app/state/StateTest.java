package org.kgan.app.state;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import org.junit.Test;
import org.kgan.filter.Hardware;
import org.kgan.filter.Part;
import org.kgan.filter.Picture;

public final class StateTest {
    private static final List<String> FILTERS = Arrays.asList("anime", "hair");

    @Test
    public void elevenFramesInASecondAreTenASecond() {
        Pace pace = new Pace();
        double rate = -1;
        for (int i = 0; i <= 10; i++) {
            rate = pace.frame(i * 100000000L);
        }
        assertEquals(10, rate, 1e-9);
        assertEquals(0, pace.frame(60000000000L), 0); // after a minute's pause it begins anew
    }

    @Test
    public void aHundredMegapixelsAreHalvedUntilTheyFit() {
        assertEquals(4, Sizes.divisor(12000, 9000, 8000000));
        assertEquals(1, Sizes.divisor(1000, 1000, 1000000));
        assertEquals(2, Sizes.divisor(100000, 100, 5000000));
    }

    @Test
    public void theSizeNearestToWhatIsWanted() {
        int[] widths = {4000, 1280, 640, 320};
        int[] heights = {3000, 960, 480, 240};
        assertEquals(2, Sizes.nearest(widths, heights, 640 * 480, Long.MAX_VALUE));
        assertEquals(1, Sizes.nearest(widths, heights, 12000000, 2000000));
        assertEquals(3, Sizes.nearest(widths, heights, 12000000, 1));
    }

    @Test
    public void greyFramesAreGreyAndRedOnesAreRed() {
        ByteBuffer light = ByteBuffer.wrap(new byte[] {76, 76, 76, 0, 76, 76, 76, 0});
        ByteBuffer grey = ByteBuffer.wrap(new byte[] {(byte) 128, 0, (byte) 128});
        Picture picture = Yuv.picture(light, grey, grey, 3, 2, 4, 4, 2);
        assertEquals(0xFF4C4C4C, picture.pixels[4]);
        ByteBuffer u = ByteBuffer.wrap(new byte[] {85, 0, 85});
        ByteBuffer v = ByteBuffer.wrap(new byte[] {(byte) 255, 0, (byte) 255});
        int red = Yuv.picture(light, u, v, 3, 2, 4, 4, 2).pixels[0];
        assertEquals(254, red >> 16 & 255, 1);
        assertEquals(0, red >> 8 & 255, 1);
        assertEquals(0, red & 255, 1);
    }

    @Test
    public void aChoiceOutlivesTheProcess() {
        Choice choice = new Choice("hair", "hair=blue,eyes=red", Part.TILES, Hardware.GPU, 4);
        Choice restored = Choice.restored(choice.saved(), FILTERS, null);
        assertEquals(choice.saved(), restored.saved());
        assertTrue(choice.sameModel(restored.withThreads(1))); // which the GPU does not use
        assertFalse(choice.sameModel(restored.withHardware(Hardware.CPU)));
        Choice plain = Choice.restored(choice.withFilter("anime").saved(), FILTERS, null);
        assertNull(plain.label);
        assertNull(plain.part);
    }

    @Test
    public void aFilterThatIsGoneIsNotRestored() {
        Choice other = new Choice("anime", null, null, Hardware.CPU, 2);
        assertSame(other, Choice.restored(other.withFilter("gone").saved(), FILTERS, other));
        assertSame(other, Choice.restored("nonsense", FILTERS, other));
        assertSame(other, Choice.restored(null, FILTERS, other));
    }
}
