package org.kgan.app;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import android.content.Context;
import android.graphics.BitmapFactory;
import androidx.test.ext.junit.runners.AndroidJUnit4;
import androidx.test.platform.app.InstrumentationRegistry;
import java.io.IOException;
import java.io.InputStream;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;
import org.junit.runner.RunWith;
import org.kgan.filter.Bitmaps;
import org.kgan.filter.Filter;
import org.kgan.filter.FilterException;
import org.kgan.filter.Hardware;
import org.kgan.filter.Part;
import org.kgan.filter.Picture;

/**
 * On a phone or an emulator: the filter draws what kgan draws on a desktop, within the floor of the export, since
 * another processor's kernels round otherwise. The Python side writes the golden image before the tests are built: in
 * tests/, `python -m helpers.phone ../android_demo/app/src/androidTest/assets/golden.png`.
 */
@RunWith(AndroidJUnit4.class)
public final class GoldenImageTest {
    private static final String ANIME = "filters/onesided_selfie2anime_dynamic_wi8_afp32";
    private static final double FLOOR = 40; // dB, as of the export

    private final Context app = InstrumentationRegistry.getInstrumentation().getTargetContext();

    private Picture golden() throws IOException {
        Context test = InstrumentationRegistry.getInstrumentation().getContext();
        try (InputStream stream = test.getAssets().open("golden.png")) {
            return Bitmaps.picture(BitmapFactory.decodeStream(stream));
        }
    }

    private void drawsTheGolden(Hardware hardware) throws Exception {
        try (Filter anime = Filter.open(app.getAssets(), ANIME, hardware, 2)) {
            Picture drawn = anime.apply(Photos.sample(app), null, Part.WHOLE);
            double decibels = psnr(golden(), drawn);
            assertTrue(decibels + " dB", decibels >= FLOOR);
        }
    }

    @Test
    public void theProcessorDrawsTheGolden() throws Exception {
        drawsTheGolden(Hardware.CPU);
    }

    /** Either the GPU draws it too, or it is refused with a sentence; never anything else. */
    @Test
    public void theGpuDrawsTheGoldenOrRefuses() throws Exception {
        try {
            drawsTheGolden(Hardware.GPU);
        } catch (FilterException error) {
            assertEquals(FilterException.Reason.NO_GPU, error.reason);
        }
    }

    @Test
    public void aFilterThatIsNotThereIsRefused() {
        FilterException error = assertThrows(FilterException.class, new ThrowingRunnable() {
            @Override
            public void run() throws FilterException {
                Filter.open(app.getAssets(), "filters/none").close();
            }
        });
        assertEquals(FilterException.Reason.MISSING, error.reason);
    }

    @Test
    public void aPictureWithoutAFaceIsRefused() throws Exception {
        final Picture grey = new Picture(64, 64, new int[64 * 64]);
        try (Filter anime = Filter.open(app.getAssets(), ANIME)) {
            FilterException error = assertThrows(FilterException.class, new ThrowingRunnable() {
                @Override
                public void run() throws FilterException {
                    anime.apply(grey, null, Part.FACES);
                }
            });
            assertEquals(FilterException.Reason.NO_FACE, error.reason);
        }
    }

    /** Of all channels of all pixels, peak 255. */
    private static double psnr(Picture one, Picture other) {
        assertEquals(one.pixels.length, other.pixels.length);
        double sum = 0;
        for (int i = 0; i < one.pixels.length; i++) {
            for (int shift = 0; shift < 24; shift += 8) {
                double difference = (one.pixels[i] >> shift & 255) - (other.pixels[i] >> shift & 255);
                sum += difference * difference;
            }
        }
        return 10 * Math.log10(255 * 255 * 3.0 * one.pixels.length / sum);
    }
}
