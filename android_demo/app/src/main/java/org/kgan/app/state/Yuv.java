package org.kgan.app.state;

import java.nio.ByteBuffer;
import org.kgan.filter.Picture;

/** A camera's frame: brightness for each pixel, two colours for each four (YUV 4:2:0, of the full range, BT.601). */
public final class Yuv {
    private Yuv() {}

    /**
     * The frame as a picture.
     *
     * @param y, u, v the planes; `row` and `colourRow` bytes lie between rows, `step` between colours of a row.
     */
    public static Picture picture(
            ByteBuffer y, ByteBuffer u, ByteBuffer v, int width, int height, int row, int colourRow, int step) {
        int[] pixels = new int[width * height];
        for (int j = 0; j < height; j++) {
            for (int i = 0; i < width; i++) {
                int colour = (j / 2) * colourRow + (i / 2) * step;
                int light = y.get(j * row + i) & 255;
                int blue = (u.get(colour) & 255) - 128;
                int red = (v.get(colour) & 255) - 128;
                // r = y + 1.402 v, g = y - 0.344136 u - 0.714136 v, b = y + 1.772 u, in parts of 1024
                int r = light + (1436 * red + 512 >> 10);
                int g = light - (352 * blue + 731 * red + 512 >> 10);
                int b = light + (1815 * blue + 512 >> 10);
                pixels[j * width + i] = 0xFF000000 | clip(r) << 16 | clip(g) << 8 | clip(b);
            }
        }
        return new Picture(width, height, pixels);
    }

    private static int clip(int value) {
        return value < 0 ? 0 : Math.min(value, 255);
    }
}
