package org.kgan.filter;

/** Between pixels in [0, 255] and the numbers in [-1, 1] that networks take and give, [H, W, 3] in RGB. */
public final class Values {
    private Values() {}

    /** x / 127.5 - 1 of each channel, in 32 bits as NumPy computes it. */
    public static float[] of(Picture picture) {
        float[] values = new float[3 * picture.pixels.length];
        int i = 0;
        for (int pixel : picture.pixels) {
            values[i++] = (pixel >> 16 & 255) / 127.5f - 1f;
            values[i++] = (pixel >> 8 & 255) / 127.5f - 1f;
            values[i++] = (pixel & 255) / 127.5f - 1f;
        }
        return values;
    }

    /** The picture of such numbers: clipped to [-1, 1], and rounded to the nearest level, halves to the even one. */
    public static Picture picture(float[] values, int width, int height) {
        int[] pixels = new int[width * height];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = Picture.rgb(level(values[3 * i]), level(values[3 * i + 1]), level(values[3 * i + 2]));
        }
        return new Picture(width, height, pixels);
    }

    private static int level(float value) {
        float clipped = Math.max(-1f, Math.min(value, 1f));
        return (int) Math.rint((clipped + 1f) * 127.5f);
    }
}
