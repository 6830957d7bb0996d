package org.kgan.filter;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;

/** Finds faces with BlazeFace, short range (arXiv 1907.05047), as kgan.pictures.faces does. */
final class FaceFinder {
    /** The detector: a picture of 128 x 128 as numbers in [-1, 1] to {regressors [896 * 16], logits [896]}. */
    interface Detector {
        float[][] detect(float[] square) throws FilterException;
    }

    static final int INPUT = 128; // the side of the detector's input
    static final int ANCHORS = 896;
    private static final double THRESHOLD = 0.75; // a cat's face reaches 0.6
    private static final double OVERLAP = 0.3; // boxes that share more than this are one face
    private static final double MARGIN = 0.125; // of the detector's input, on each side
    private static final int SMALLEST_TILE = 192; // faces below about 40 pixels are not worth a filter
    private static final int COORDINATES = 16; // of an anchor: centre, width and height, six points

    private static final Comparator<Face> BEST_FIRST = new Comparator<Face>() {
        @Override
        public int compare(Face one, Face other) {
            return Double.compare(other.score, one.score);
        }
    };
    private static final Comparator<Face> LARGEST_FIRST = new Comparator<Face>() {
        @Override
        public int compare(Face one, Face other) {
            return Double.compare(other.side(), one.side());
        }
    };

    private final Detector detector;

    FaceFinder(Detector detector) {
        this.detector = detector;
    }

    /**
     * The faces of a picture, the largest first.
     *
     * <p>Where the whole shows none, it is looked at with a margin, then in square tiles that overlap by half: of the
     * shorter side first, then of half of it and so on. A second look at each face places its box and eyes more finely.
     */
    List<Face> find(Picture picture) throws FilterException {
        List<Face> faces = merge(detect(picture, 0));
        if (faces.isEmpty()) {
            faces = merge(detect(picture, MARGIN));
        }
        int tile = Math.min(picture.width, picture.height);
        for (; faces.isEmpty() && tile >= SMALLEST_TILE; tile /= 2) {
            List<Face> parts = new ArrayList<Face>();
            for (int top : Tiles.starts(picture.height, tile, tile / 2)) {
                for (int left : Tiles.starts(picture.width, tile, tile / 2)) {
                    parts.addAll(detectIn(picture, top, left, tile));
                }
            }
            faces = merge(parts);
        }
        List<Face> finer = new ArrayList<Face>();
        for (Face face : faces) {
            finer.add(closer(picture, face));
        }
        Collections.sort(finer, LARGEST_FIRST);
        return finer;
    }

    /** The faces as one look at the whole picture shows them: for a camera's frames, which leave no time for more. */
    List<Face> glance(Picture picture) throws FilterException {
        List<Face> faces = merge(detect(picture, 0));
        Collections.sort(faces, LARGEST_FIRST);
        return faces;
    }

    /** A face as the detector sees it in a tile twice its size. */
    private Face closer(Picture picture, Face face) throws FilterException {
        int tile = (int) Math.rint(2 * face.side());
        if (tile >= Math.min(picture.width, picture.height)) {
            return face;
        }
        int left = placed(face.centerX() - tile / 2.0, picture.width - tile);
        int top = placed(face.centerY() - tile / 2.0, picture.height - tile);
        for (Face other : merge(detectIn(picture, top, left, tile))) {
            if (other.overlap(face) > OVERLAP) {
                return other;
            }
        }
        return face;
    }

    private static int placed(double start, int last) {
        return Math.min(Math.max(0, (int) Math.rint(start)), last);
    }

    /** The faces of one tile, in the picture's pixels; those cut by the tile are left to its neighbour. */
    private List<Face> detectIn(Picture picture, int top, int left, int tile) throws FilterException {
        int width = Math.min(tile, picture.width - left);
        int height = Math.min(tile, picture.height - top);
        List<Face> whole = new ArrayList<Face>();
        for (Face face : detect(picture.part(left, top, width, height), 0)) {
            if (Math.min(face.box[0], face.box[1]) >= 0 && Math.max(face.box[2], face.box[3]) <= tile) {
                whole.add(face.moved(left, top));
            }
        }
        return whole;
    }

    /** One pass: every box above the threshold. `margin` is the share of the input that stays black on each side. */
    private List<Face> detect(Picture picture, double margin) throws FilterException {
        double scale = INPUT * (1 - 2 * margin) / Math.max(picture.width, picture.height);
        int width = (int) Math.max(1, Math.rint(picture.width * scale));
        int height = (int) Math.max(1, Math.rint(picture.height * scale));
        int left = (INPUT - width) / 2;
        int top = (INPUT - height) / 2;
        int[] square = new int[INPUT * INPUT];
        Picture small = Resampling.resize(picture, width, height);
        for (int y = 0; y < height; y++) {
            System.arraycopy(small.pixels, y * width, square, (top + y) * INPUT + left, width);
        }
        float[][] outputs = detector.detect(Values.of(new Picture(INPUT, INPUT, square)));
        double zoomX = (double) picture.width / width;
        double zoomY = (double) picture.height / height;
        return decode(outputs[0], outputs[1], left, top, zoomX, zoomY);
    }

    /**
     * The faces that the detector's numbers say: box k has its centre at regressors[0:2] + anchor and its sides in
     * regressors[2:4], then come six points as the centre does, all in pixels of the input; 1 / (1 + exp(-logit)) is
     * its score.
     *
     * @param left, top where the picture begins in the input; zoomX, zoomY pixels of the picture in one of the input.
     */
    static List<Face> decode(float[] regressors, float[] logits, int left, int top, double zoomX, double zoomY) {
        List<Face> faces = new ArrayList<Face>();
        for (int k = 0; k < ANCHORS; k++) {
            double score = 1 / (1 + Math.exp(-Math.max(-100, Math.min(logits[k], 100))));
            if (!(score >= THRESHOLD)) {
                continue;
            }
            int at = k * COORDINATES;
            double x = (regressors[at] + anchor(k, 0) - left) * zoomX;
            double y = (regressors[at + 1] + anchor(k, 1) - top) * zoomY;
            double width = regressors[at + 2] * zoomX;
            double height = regressors[at + 3] * zoomY;
            double[] points = new double[12];
            for (int i = 0; i < points.length; i += 2) {
                points[i] = (regressors[at + 4 + i] + anchor(k, 0) - left) * zoomX;
                points[i + 1] = (regressors[at + 5 + i] + anchor(k, 1) - top) * zoomY;
            }
            double[] box = {x - width / 2, y - height / 2, x + width / 2, y + height / 2};
            faces.add(new Face(box, score, points));
        }
        return faces;
    }

    /** x (axis 0) or y (1) of an anchor in pixels: 16 x 16 cells with two each, then 8 x 8 with six, row by row. */
    static float anchor(int k, int axis) {
        int first = 16 * 16 * 2;
        int cells = k < first ? 16 : 8;
        int cell = k < first ? k / 2 : (k - first) / 6;
        return ((axis == 0 ? cell % cells : cell / cells) + 0.5f) / cells * INPUT;
    }

    /** One face for each group of boxes that overlap its best one: their mean, weighted by score; the best first. */
    static List<Face> merge(List<Face> faces) {
        List<Face> rest = new ArrayList<Face>(faces);
        Collections.sort(rest, BEST_FIRST);
        List<Face> people = new ArrayList<Face>();
        while (!rest.isEmpty()) {
            Face best = rest.get(0);
            List<Face> group = new ArrayList<Face>();
            for (Iterator<Face> each = rest.iterator(); each.hasNext(); ) {
                Face face = each.next();
                if (face == best || face.overlap(best) > OVERLAP) {
                    group.add(face);
                    each.remove();
                }
            }
            people.add(mean(group));
        }
        return people;
    }

    private static Face mean(List<Face> group) {
        double total = 0;
        double[] box = new double[4];
        double[] points = new double[12];
        for (Face face : group) {
            total += face.score;
            add(box, face.box, face.score);
            add(points, face.points, face.score);
        }
        divide(box, total);
        divide(points, total);
        return new Face(box, group.get(0).score, points);
    }

    private static void add(double[] sum, double[] values, double weight) {
        for (int i = 0; i < sum.length; i++) {
            sum[i] += values[i] * weight;
        }
    }

    private static void divide(double[] sum, double total) {
        for (int i = 0; i < sum.length; i++) {
            sum[i] /= total;
        }
    }
}
