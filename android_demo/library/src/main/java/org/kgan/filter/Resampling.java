package org.kgan.filter;

/**
 * Changing a picture's size and turning it, by the arithmetic of Python's Pillow, so that both draw the same bytes.
 *
 * <p>Android's own scaling differs from version to version and averages too few pixels where a picture shrinks much.
 */
final class Resampling {
    /** Weights are whole numbers of 2^-22: 8 bits of a pixel and 2 of headroom leave as many of 32. */
    private static final int BITS = 22;

    private static final double SUPPORT = 2; // the cubic kernel's reach to either side, in pixels

    private Resampling() {}

    /** Bicubic to width x height; where it shrinks, the kernel is widened by the same factor (antialiasing). */
    static Picture resize(Picture picture, int width, int height) {
        Picture narrow = picture.width == width ? picture : along(picture, width, true);
        return narrow.height == height ? narrow : along(narrow, height, false);
    }

    /**
     * One axis: an output pixel i looks at (i + 0.5) * scale and weighs the inputs around it by the kernel
     *
     * <pre>k(t) = 1.5 |t|^3 - 2.5 |t|^2 + 1 up to 1, -0.5 |t|^3 + 2.5 |t|^2 - 4 |t| + 2 up to 2</pre>
     *
     * with t in pixels of the coarser side; weights at the border are scaled to sum to one.
     */
    private static Picture along(Picture picture, int length, boolean horizontal) {
        int before = horizontal ? picture.width : picture.height;
        double scale = (double) before / length;
        double widened = Math.max(scale, 1);
        double reach = SUPPORT * widened;
        int width = horizontal ? length : picture.width;
        int height = horizontal ? picture.height : length;
        int[] result = new int[width * height];
        for (int i = 0; i < length; i++) {
            double center = (i + 0.5) * scale;
            int first = Math.max(0, (int) (center - reach + 0.5));
            int count = Math.min(before, (int) (center + reach + 0.5)) - first;
            int[] weights = weights(first, count, center, widened);
            int step = horizontal ? 1 : width;
            for (int j = 0; j < (horizontal ? height : width); j++) {
                int from = horizontal ? j * before + first : first * width + j;
                int to = horizontal ? j * length + i : i * width + j;
                result[to] = weighted(picture.pixels, from, step, weights);
            }
        }
        return new Picture(width, height, result);
    }

    private static int[] weights(int first, int count, double center, double widened) {
        double[] shares = new double[count];
        double inverse = 1 / widened;
        double sum = 0;
        for (int x = 0; x < count; x++) {
            shares[x] = kernel((x + first - center + 0.5) * inverse);
            sum += shares[x];
        }
        int[] weights = new int[count];
        for (int x = 0; x < count; x++) {
            double share = sum == 0 ? shares[x] : shares[x] / sum;
            weights[x] = (int) ((share < 0 ? -0.5 : 0.5) + share * (1 << BITS));
        }
        return weights;
    }

    private static double kernel(double t) {
        double a = -0.5;
        double d = Math.abs(t);
        if (d < 1) {
            return ((a + 2) * d - (a + 3)) * d * d + 1;
        }
        return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
    }

    private static int weighted(int[] pixels, int from, int step, int[] weights) {
        int red = 1 << (BITS - 1);
        int green = red;
        int blue = red;
        for (int weight : weights) {
            int pixel = pixels[from];
            red += (pixel >> 16 & 255) * weight;
            green += (pixel >> 8 & 255) * weight;
            blue += (pixel & 255) * weight;
            from += step;
        }
        return Picture.rgb(red >> BITS, green >> BITS, blue >> BITS);
    }

    /**
     * Sample a picture bicubically at matrix * (x + 0.5, y + 0.5, 1) for each pixel of the result; outside it is black.
     *
     * @param columns, rows which pixel of the picture stands at each place of what is sampled.
     * @param matrix a, b, c, d, e, f: x' = a x + b y + c and y' = d x + e y + f.
     */
    static Picture warp(Picture picture, int[] columns, int[] rows, double[] matrix, int width, int height) {
        int[] result = new int[width * height];
        Spot spot = new Spot(columns.length, rows.length);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                if (!spot.at(matrix, x, y)) {
                    result[y * width + x] = 0xFF000000;
                    continue;
                }
                int pixel = 0;
                for (int shift = 16; shift >= 0; shift -= 8) {
                    for (int j = 0; j < 4; j++) {
                        int row = rows[spot.y[j]] * picture.width;
                        spot.line[j] = cubic(
                                picture.pixels[row + columns[spot.x[0]]] >> shift & 255,
                                picture.pixels[row + columns[spot.x[1]]] >> shift & 255,
                                picture.pixels[row + columns[spot.x[2]]] >> shift & 255,
                                picture.pixels[row + columns[spot.x[3]]] >> shift & 255,
                                spot.dx);
                    }
                    double value = cubic(spot.line[0], spot.line[1], spot.line[2], spot.line[3], spot.dy);
                    pixel |= (value <= 0 ? 0 : value >= 255 ? 255 : (int) value) << shift;
                }
                result[y * width + x] = 0xFF000000 | pixel;
            }
        }
        return new Picture(width, height, result);
    }

    /** As the other, of one plane of numbers [side, side]; outside it is 0. */
    static float[] warp(float[] plane, int side, double[] matrix, int width, int height) {
        float[] result = new float[width * height];
        Spot spot = new Spot(side, side);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                if (spot.at(matrix, x, y)) {
                    for (int j = 0; j < 4; j++) {
                        int row = spot.y[j] * side;
                        spot.line[j] = cubic(
                                plane[row + spot.x[0]],
                                plane[row + spot.x[1]],
                                plane[row + spot.x[2]],
                                plane[row + spot.x[3]],
                                spot.dx);
                    }
                    result[y * width + x] =
                            (float) cubic(spot.line[0], spot.line[1], spot.line[2], spot.line[3], spot.dy);
                }
            }
        }
        return result;
    }

    /** The cubic through v2 (at d = 0) and v3 (at d = 1) whose slopes there are those of the neighbours' chords. */
    private static double cubic(double v1, double v2, double v3, double v4, double d) {
        double p1 = v2;
        double p2 = -v1 + v3;
        double p3 = 2 * (v1 - v2) + v3 - v4;
        double p4 = -v1 + v2 - v3 + v4;
        return p1 + d * (p2 + d * (p3 + d * p4));
    }

    static int[] everyPixel(int length) {
        int[] places = new int[length];
        for (int i = 0; i < length; i++) {
            places[i] = i;
        }
        return places;
    }

    /** The 4 x 4 pixels around a place, those outside replaced by the nearest inside, and where it lies among them. */
    private static final class Spot {
        final int[] x = new int[4];
        final int[] y = new int[4];
        final double[] line = new double[4];
        double dx;
        double dy;
        private final int width;
        private final int height;

        Spot(int width, int height) {
            this.width = width;
            this.height = height;
        }

        /** Go to where a pixel of the result looks; false where that is outside. */
        boolean at(double[] m, int column, int row) {
            double u = column + 0.5;
            double v = row + 0.5;
            double placeX = m[0] * u + m[1] * v + m[2];
            double placeY = m[3] * u + m[4] * v + m[5];
            if (placeX < 0 || placeX >= width || placeY < 0 || placeY >= height) {
                return false;
            }
            placeX -= 0.5;
            placeY -= 0.5;
            int left = (int) Math.floor(placeX);
            int top = (int) Math.floor(placeY);
            dx = placeX - left;
            dy = placeY - top;
            for (int i = 0; i < 4; i++) {
                x[i] = Math.max(0, Math.min(left - 1 + i, width - 1));
                y[i] = Math.max(0, Math.min(top - 1 + i, height - 1));
            }
            return true;
        }
    }
}
