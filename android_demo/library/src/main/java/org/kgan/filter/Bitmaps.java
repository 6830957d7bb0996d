package org.kgan.filter;

import android.graphics.Bitmap;

/** Between Android's bitmaps and pictures. */
public final class Bitmaps {
    private Bitmaps() {}

    /** A bitmap of any kind; transparent pixels are laid on white. */
    public static Picture picture(Bitmap bitmap) {
        Bitmap plain = bitmap.getConfig() == Bitmap.Config.ARGB_8888
                ? bitmap
                : bitmap.copy(Bitmap.Config.ARGB_8888, false); // getPixels refuses those that lie on the GPU
        int[] pixels = new int[plain.getWidth() * plain.getHeight()];
        plain.getPixels(pixels, 0, plain.getWidth(), 0, 0, plain.getWidth(), plain.getHeight());
        for (int i = 0; plain.hasAlpha() && i < pixels.length; i++) {
            pixels[i] = onWhite(pixels[i]);
        }
        return new Picture(plain.getWidth(), plain.getHeight(), pixels);
    }

    public static Bitmap bitmap(Picture picture) {
        return Bitmap.createBitmap(picture.pixels, picture.width, picture.height, Bitmap.Config.ARGB_8888);
    }

    private static int onWhite(int pixel) {
        int alpha = pixel >>> 24;
        if (alpha == 255) {
            return pixel;
        }
        int white = 255 * (255 - alpha);
        return Picture.rgb(
                ((pixel >> 16 & 255) * alpha + white + 127) / 255,
                ((pixel >> 8 & 255) * alpha + white + 127) / 255,
                ((pixel & 255) * alpha + white + 127) / 255);
    }
}
