package org.kgan.app.state;

/** How large pictures may be. */
public final class Sizes {
    /** Bytes that a pixel takes while its face is cut out and blended back: the bitmap, and some pictures of ints. */
    private static final int BYTES = 40;

    private Sizes() {}

    /** The pixels of a picture that this much memory can filter. */
    public static long largest(long bytes) {
        return Math.max(1 << 18, bytes / BYTES);
    }

    /** By which power of two the sides of a picture must be divided so that it has at most this many pixels. */
    public static int divisor(int width, int height, long largest) {
        int divisor = 1;
        while (((long) width / divisor) * (height / divisor) > largest) {
            divisor *= 2;
        }
        return divisor;
    }

    /** The index of the size nearest to `pixels` among those of at most `most` pixels; the smallest where none is. */
    public static int nearest(int[] widths, int[] heights, long pixels, long most) {
        int best = -1;
        int smallest = 0;
        for (int i = 0; i < widths.length; i++) {
            long size = (long) widths[i] * heights[i];
            if (size < (long) widths[smallest] * heights[smallest]) {
                smallest = i;
            }
            boolean nearer = best < 0
                    || Math.abs(size - pixels) < Math.abs((long) widths[best] * heights[best] - pixels);
            if (size <= most && nearer) {
                best = i;
            }
        }
        return best < 0 ? smallest : best;
    }
}
