package org.kgan.filter;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;

import org.junit.Test;
import org.junit.function.ThrowingRunnable;

/** Numbers that can be checked by hand. */
public final class PictureTest {
    private static Picture grey(int width, int height, int... levels) {
        int[] pixels = new int[levels.length];
        for (int i = 0; i < levels.length; i++) {
            pixels[i] = Picture.rgb(levels[i], levels[i], levels[i]);
        }
        return new Picture(width, height, pixels);
    }

    @Test
    public void blackIsMinusOneAndWhiteIsOne() {
        float[] values = Values.of(new Picture(2, 1, new int[] {0xFF0000FF, 0xFFFFFFFF}));
        assertArrayEquals(new float[] {-1, -1, 1, 1, 1, 1}, values, 0);
    }

    @Test
    public void halvesGoToTheEvenLevelAndTheRestIsClipped() {
        float half = 0.5f / 127.5f - 1; // between levels 0 and 1
        Picture picture = Values.picture(new float[] {-7, 7, half}, 1, 1);
        assertEquals(0xFF00FF00, picture.pixels[0]);
    }

    @Test
    public void notANumberIsBlack() {
        assertEquals(0xFF000000, Values.picture(new float[] {Float.NaN, Float.NaN, Float.NaN}, 1, 1).pixels[0]);
    }

    @Test
    public void halfTheSizeOfAnEvenFieldIsThatField() {
        assertEquals(grey(2, 1, 77, 77), Resampling.resize(grey(4, 2, 77, 77, 77, 77, 77, 77, 77, 77), 2, 1));
    }

    @Test
    public void theSameSizeIsTheSamePicture() {
        Picture picture = grey(3, 1, 1, 2, 3);
        assertSame(picture, Resampling.resize(picture, 3, 1));
    }

    @Test
    public void aQuarterTurnGoesClockwise() {
        Picture picture = grey(3, 2, 1, 2, 3, 4, 5, 6);
        assertEquals(grey(2, 3, 4, 1, 5, 2, 6, 3), picture.turned(90, false));
        assertEquals(grey(3, 2, 6, 5, 4, 3, 2, 1), picture.turned(180, false));
        assertEquals(grey(2, 3, 3, 6, 2, 5, 1, 4), picture.turned(270, false));
        assertEquals(picture, picture.turned(90, false).turned(-90, false));
    }

    @Test
    public void aMirroredPictureIsTurnedFirst() {
        Picture picture = grey(3, 2, 1, 2, 3, 4, 5, 6);
        assertEquals(grey(3, 2, 3, 2, 1, 6, 5, 4), picture.turned(0, true));
        assertEquals(grey(2, 3, 1, 4, 2, 5, 3, 6), picture.turned(90, true));
    }

    @Test
    public void theCentreSquareOfFiveByTwo() {
        assertEquals(grey(2, 2, 2, 3, 7, 8), grey(5, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10).centerSquare());
    }

    @Test
    public void tilesOfFourOnTenShareOne() {
        assertArrayEquals(new int[] {0, 3, 6}, Tiles.starts(10, 4, 1));
        assertArrayEquals(new int[] {0}, Tiles.starts(4, 4, 1));
    }

    @Test
    public void sharesOfTilesSumToOne() {
        int[] starts = Tiles.starts(31, 8, 3);
        float[][] weights = Tiles.weights(31, 8, 3);
        float[] sums = new float[31];
        for (int i = 0; i < starts.length; i++) {
            for (int j = 0; j < 8; j++) {
                sums[starts[i] + j] += weights[i][j];
            }
        }
        for (float sum : sums) {
            assertEquals(1, sum, 1e-6);
        }
    }

    @Test
    public void tilesThatChangeNothingLeaveThePicture() throws FilterException {
        int[] levels = new int[50 * 40];
        for (int i = 0; i < levels.length; i++) {
            levels[i] = i * 31 % 256;
        }
        Picture picture = grey(50, 40, levels);
        Tiles.Each nothing = new Tiles.Each() {
            @Override
            public Picture apply(Picture tile) {
                return tile;
            }
        };
        assertEquals(picture, Tiles.tiled(nothing, picture, 16, 4));
    }

    @Test
    public void anUprightFaceIsCutAsASquareOfItsBoxesSide() {
        int[] levels = new int[100 * 100];
        for (int i = 0; i < levels.length; i++) {
            levels[i] = i % 100;
        }
        Face face = new Face(new double[] {40, 40, 60, 60}, 1, new double[] {45, 45, 55, 45, 0, 0, 0, 0, 0, 0, 0, 0});
        Picture crop = face.crop(grey(100, 100, levels), 31); // 1.55 * 20
        assertEquals(31, crop.width);
        assertEquals(34, crop.pixels[0] & 255, 1); // 50 - 15.5
        assertEquals(50, crop.pixels[15] & 255, 1);
    }

    @Test
    public void aFaceOutsideThePictureChangesNothing() {
        Picture photo = grey(2, 2, 1, 2, 3, 4);
        Face far = new Face(new double[] {90, 90, 99, 99}, 1, new double[12]);
        assertEquals(photo, far.blend(photo, grey(1, 1, 255)));
    }

    @Test
    public void pixelsMustBeAsManyAsTheSidesSay() {
        assertThrows(IllegalArgumentException.class, new ThrowingRunnable() {
            @Override
            public void run() {
                new Picture(2, 2, new int[3]);
            }
        });
    }
}
