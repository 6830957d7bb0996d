package org.kgan.filter;

/** Large pictures in overlapping tiles, as kgan.pictures.tiling does them. */
final class Tiles {
    /** A filter of pictures of at most a tile's size. */
    interface Each {
        Picture apply(Picture tile) throws FilterException;
    }

    private Tiles() {}

    /**
     * Where tiles start so that they cover [0, length) evenly and neighbours share at least `overlap` pixels.
     *
     * <p>A length of at most one tile gives {0}.
     */
    static int[] starts(int length, int tile, int overlap) {
        if (length <= tile) {
            return new int[] {0};
        }
        int gaps = (length - tile + tile - overlap - 1) / (tile - overlap);
        int[] starts = new int[gaps + 1];
        for (int i = 0; i <= gaps; i++) {
            starts[i] = (int) Math.rint((double) ((long) i * (length - tile)) / gaps);
        }
        return starts;
    }

    /** The share of each tile in each pixel of its side, [tiles][min(tile, length)]; those of a pixel sum to one. */
    static float[][] weights(int length, int tile, int overlap) {
        int[] starts = starts(length, tile, overlap);
        int side = Math.min(tile, length);
        double[] tent = new double[side];
        double[] total = new double[length];
        for (int i = 0; i < side; i++) {
            tent[i] = Math.min(i + 0.5, side - 0.5 - i);
        }
        for (int start : starts) {
            for (int i = 0; i < side; i++) {
                total[start + i] += tent[i];
            }
        }
        float[][] weights = new float[starts.length][side];
        for (int n = 0; n < starts.length; n++) {
            for (int i = 0; i < side; i++) {
                weights[n][i] = (float) (tent[i] / total[starts[n] + i]);
            }
        }
        return weights;
    }

    /** Filter a picture tile by tile; where tiles overlap, one fades linearly into the next. */
    static Picture tiled(Each filter, Picture picture, int tile, int overlap) throws FilterException {
        int[] tops = starts(picture.height, tile, overlap);
        int[] lefts = starts(picture.width, tile, overlap);
        float[][] down = weights(picture.height, tile, overlap);
        float[][] across = weights(picture.width, tile, overlap);
        int height = Math.min(tile, picture.height);
        int width = Math.min(tile, picture.width);
        int[] result = new int[picture.pixels.length];
        float[] sums = new float[3 * picture.width * height]; // of the rows from `from` on that are not complete yet
        int from = 0;
        for (int i = 0; i < tops.length; i++) {
            sums = finished(result, sums, from, tops[i], picture.width);
            from = tops[i];
            for (int j = 0; j < lefts.length; j++) {
                Picture part = filter.apply(picture.part(lefts[j], tops[i], width, height));
                for (int y = 0; y < height; y++) {
                    for (int x = 0; x < width; x++) {
                        int pixel = part.pixels[y * width + x];
                        float weight = down[i][y] * across[j][x];
                        int at = 3 * (y * picture.width + lefts[j] + x);
                        sums[at] += (pixel >> 16 & 255) * weight;
                        sums[at + 1] += (pixel >> 8 & 255) * weight;
                        sums[at + 2] += (pixel & 255) * weight;
                    }
                }
            }
        }
        finished(result, sums, from, picture.height, picture.width);
        return new Picture(picture.width, picture.height, result);
    }

    /** Round the rows `from` to `to` - 1, to which no tile adds any more; the sums of the rows from `to` on. */
    private static float[] finished(int[] result, float[] sums, int from, int to, int width) {
        int count = (to - from) * width;
        for (int i = 0; i < count; i++) {
            result[from * width + i] = Picture.rgb(
                    (int) Math.rint(sums[3 * i]),
                    (int) Math.rint(sums[3 * i + 1]),
                    (int) Math.rint(sums[3 * i + 2]));
        }
        float[] rest = new float[sums.length];
        System.arraycopy(sums, 3 * count, rest, 0, sums.length - 3 * count);
        return rest;
    }
}
