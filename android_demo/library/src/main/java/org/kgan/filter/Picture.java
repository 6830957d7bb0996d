package org.kgan.filter;

import java.util.Arrays;

/** An opaque picture: one int 0xFFRRGGBB a pixel, row by row, as Android's Bitmap.getPixels gives them. */
public final class Picture {
    public final int width;
    public final int height;
    public final int[] pixels;

    /** @param pixels width * height of them; they are kept, not copied. */
    public Picture(int width, int height, int[] pixels) {
        if (width < 1 || height < 1 || pixels.length != width * height) {
            throw new IllegalArgumentException(width + " x " + height + " pixels, but " + pixels.length + " numbers");
        }
        this.width = width;
        this.height = height;
        this.pixels = pixels;
    }

    public Picture copy() {
        return new Picture(width, height, pixels.clone());
    }

    /** The rectangle of these sides whose first pixel is (left, top); itself where that is all. */
    public Picture part(int left, int top, int width, int height) {
        if (width == this.width && height == this.height) {
            return this;
        }
        int[] part = new int[width * height];
        for (int y = 0; y < height; y++) {
            System.arraycopy(pixels, (top + y) * this.width + left, part, y * width, width);
        }
        return new Picture(width, height, part);
    }

    /** The largest centred square. */
    public Picture centerSquare() {
        int side = Math.min(width, height);
        return part((width - side) / 2, (height - side) / 2, side, side);
    }

    /** The picture turned clockwise by a multiple of 90 degrees, then mirrored left to right if asked. */
    public Picture turned(int degrees, boolean mirrored) {
        int quarter = ((degrees / 90) % 4 + 4) % 4;
        if (quarter == 0 && !mirrored) {
            return this;
        }
        int w = quarter % 2 == 0 ? width : height;
        int h = quarter % 2 == 0 ? height : width;
        int[] turned = new int[w * h];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int toX = quarter == 0 ? x : quarter == 1 ? height - 1 - y : quarter == 2 ? width - 1 - x : y;
                int toY = quarter == 0 ? y : quarter == 1 ? x : quarter == 2 ? height - 1 - y : width - 1 - x;
                turned[toY * w + (mirrored ? w - 1 - toX : toX)] = pixels[y * width + x];
            }
        }
        return new Picture(w, h, turned);
    }

    /** A pixel of three channels, each clipped to [0, 255]. */
    static int rgb(int red, int green, int blue) {
        return 0xFF000000 | clip(red) << 16 | clip(green) << 8 | clip(blue);
    }

    private static int clip(int value) {
        return value < 0 ? 0 : Math.min(value, 255);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Picture
                && ((Picture) other).width == width
                && Arrays.equals(((Picture) other).pixels, pixels);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(pixels);
    }
}
