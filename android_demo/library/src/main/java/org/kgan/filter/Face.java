package org.kgan.filter;

/** One face, in pixels of the picture: x to the right, y down, (0, 0) the outer corner of the first pixel. */
public final class Face {
    /** The square in which faces lie as in the training pictures, in sides of the box. */
    static final double CROP = 1.55;

    /** Of the crop's side: the width of the soft edge when it is blended back. */
    static final double FEATHER = 0.2;

    /** Left, top, right, bottom; the box may reach outside the picture. */
    public final double[] box;

    /** In [0, 1]. */
    public final double score;

    /** x, y of six points: the eyes, nose tip, mouth and ears, those on the left of an upright picture first. */
    public final double[] points;

    Face(double[] box, double score, double[] points) {
        this.box = box;
        this.score = score;
        this.points = points;
    }

    public double centerX() {
        return (box[0] + box[2]) / 2;
    }

    public double centerY() {
        return (box[1] + box[3]) / 2;
    }

    /** The longer side of the box. */
    public double side() {
        return Math.max(box[2] - box[0], box[3] - box[1]);
    }

    Face moved(int x, int y) {
        double[] points = this.points.clone();
        for (int i = 0; i < points.length; i++) {
            points[i] += i % 2 == 0 ? x : y;
        }
        return new Face(new double[] {box[0] + x, box[1] + y, box[2] + x, box[3] + y}, score, points);
    }

    /** Intersection over union of two boxes, in [0, 1]. */
    double overlap(Face other) {
        double width = Math.min(box[2], other.box[2]) - Math.max(box[0], other.box[0]);
        double height = Math.min(box[3], other.box[3]) - Math.max(box[1], other.box[1]);
        double intersection = Math.max(0, width) * Math.max(0, height);
        return intersection / (area() + other.area() - intersection);
    }

    private double area() {
        return (box[2] - box[0]) * (box[3] - box[1]);
    }

    /**
     * The face cut out as the training pictures were cut, size x size: the square of 1.55 box sides around the box's
     * centre, turned so that the eyes are level; what lies outside the picture is its reflection.
     */
    public Picture crop(Picture picture, int size) {
        int detail = (int) Math.max(size, Math.rint(CROP * side())); // turned at full detail, then shrunk
        double[] matrix = toPicture(detail);
        int[] bounds = bounds(matrix, detail);
        int left = bounds[0] - 2; // what bicubic sampling reaches for
        int top = bounds[1] - 2;
        int[] columns = reflected(left, bounds[2] + 2, picture.width);
        int[] rows = reflected(top, bounds[3] + 2, picture.height);
        matrix[2] -= left;
        matrix[5] -= top;
        return Resampling.resize(Resampling.warp(picture, columns, rows, matrix, detail, detail), size, size);
    }

    /** A copy of the photo in which a filtered crop (square) lies where `crop` took it out, with a soft edge. */
    public Picture blend(Picture photo, Picture filtered) {
        int detail = (int) Math.max(1, Math.min(filtered.height, Math.rint(CROP * side())));
        double[] matrix = toPicture(detail);
        int[] bounds = bounds(matrix, detail);
        int left = clip(bounds[0], photo.width);
        int top = clip(bounds[1], photo.height);
        int width = clip(bounds[2], photo.width) - left;
        int height = clip(bounds[3], photo.height) - top;
        Picture result = photo.copy();
        if (width == 0 || height == 0) {
            return result;
        }
        double[] inverse = toCrop(matrix, left, top);
        float[] share = Resampling.warp(softSquare(detail), detail, inverse, width, height);
        int[] every = Resampling.everyPixel(detail);
        Picture inside =
                Resampling.warp(Resampling.resize(filtered, detail, detail), every, every, inverse, width, height);
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int place = (top + y) * photo.width + left + x;
                result.pixels[place] = mixed(result.pixels[place], inside.pixels[y * width + x], share[y * width + x]);
            }
        }
        return result;
    }

    private static int mixed(int below, int above, float share) {
        return Picture.rgb(
                mixed(below >> 16 & 255, above >> 16 & 255, 1 - share, share),
                mixed(below >> 8 & 255, above >> 8 & 255, 1 - share, share),
                mixed(below & 255, above & 255, 1 - share, share));
    }

    private static int mixed(int below, int above, float rest, float share) {
        return (int) Math.rint(below * rest + above * share);
    }

    /** [detail, detail]: 0 at the edge, smoothly to 1. */
    private static float[] softSquare(int detail) {
        float[] edge = new float[detail];
        for (int i = 0; i < detail; i++) {
            double t = Math.min(i + 0.5, detail - 0.5 - i) / (FEATHER * detail);
            t = Math.max(0, Math.min(t, 1));
            edge[i] = (float) (t * t * (3 - 2 * t));
        }
        float[] square = new float[detail * detail];
        for (int i = 0; i < square.length; i++) {
            square[i] = edge[i / detail] * edge[i % detail];
        }
        return square;
    }

    /** (x, y, 1) in a crop of `size` pixels a side to (x, y) in the picture: a, b, c, d, e, f. */
    private double[] toPicture(int size) {
        double step = CROP * side() / size;
        double x = points[2] - points[0];
        double y = points[3] - points[1];
        double distance = Math.sqrt(x * x + y * y);
        double cos = step * (distance == 0 ? 1 : x / distance);
        double sin = step * (distance == 0 ? 0 : y / distance);
        double half = size / 2.0;
        return new double[] {
            cos, -sin, centerX() - (cos * half - sin * half), sin, cos, centerY() - (sin * half + cos * half)
        };
    }

    /** The inverse of such a matrix, for a part of the picture that begins at (left, top). */
    private static double[] toCrop(double[] matrix, int left, int top) {
        double square = matrix[0] * matrix[0] + matrix[3] * matrix[3];
        double cos = matrix[0] / square;
        double sin = matrix[3] / square;
        double x = left - matrix[2];
        double y = top - matrix[5];
        return new double[] {cos, sin, cos * x + sin * y, -sin, cos, cos * y - sin * x};
    }

    /** Left, top, right, bottom in whole pixels of the rectangle around a crop of `size` pixels a side. */
    private static int[] bounds(double[] m, int size) {
        double left = m[2] + Math.min(0, m[0] * size) + Math.min(0, m[1] * size);
        double right = m[2] + Math.max(0, m[0] * size) + Math.max(0, m[1] * size);
        double top = m[5] + Math.min(0, m[3] * size) + Math.min(0, m[4] * size);
        double bottom = m[5] + Math.max(0, m[3] * size) + Math.max(0, m[4] * size);
        return new int[] {
            (int) Math.floor(left), (int) Math.floor(top), (int) Math.ceil(right), (int) Math.ceil(bottom)
        };
    }

    /** The pixels low to high - 1 of a side, those outside [0, length) mirrored at its ends as often as needed. */
    private static int[] reflected(int low, int high, int length) {
        int[] places = new int[high - low];
        for (int i = 0; i < places.length; i++) {
            int place = ((low + i) % (2 * length) + 2 * length) % (2 * length);
            places[i] = Math.min(place, 2 * length - 1 - place);
        }
        return places;
    }

    private static int clip(int place, int length) {
        return Math.max(0, Math.min(place, length));
    }
}
