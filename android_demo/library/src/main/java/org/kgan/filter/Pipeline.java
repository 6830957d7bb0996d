package org.kgan.filter;

import java.util.List;

/** From picture to picture around a network, as `kgan translate` does it; nothing of Android. */
final class Pipeline {
    /** The network: numbers in [-1, 1], [H, W, 3], and a label or null, to such numbers. */
    interface Network {
        float[] run(float[] image, float[] label) throws FilterException;
    }

    private final Network network;
    private final FaceFinder finder;
    private final int height;
    private final int width;

    Pipeline(Network network, FaceFinder finder, int height, int width) {
        this.network = network;
        this.finder = finder;
        this.height = height;
        this.width = width;
    }

    /** The filtered picture: with faces and tiles of the picture's size, else of the network's. */
    Picture apply(Picture picture, float[] label, Part part) throws FilterException {
        switch (part) {
            case FACES:
                return blended(picture, finder.find(picture), label);
            case CENTER:
                int side = Math.max(height, width);
                return fitted(Resampling.resize(picture.centerSquare(), side, side), label);
            case WHOLE:
                return fitted(picture, label);
            default:
                return tiled(picture, label);
        }
    }

    /** As `apply`, for a camera's frame: one quick look for faces, of which the largest alone is filtered. */
    Picture frame(Picture picture, float[] label, Part part) throws FilterException {
        if (part != Part.FACES) {
            return apply(picture, label, part);
        }
        List<Face> faces = finder.glance(picture);
        return blended(picture, faces.subList(0, Math.min(1, faces.size())), label);
    }

    private Picture blended(Picture picture, List<Face> faces, float[] label) throws FilterException {
        if (faces.isEmpty()) {
            throw new FilterException(
                    FilterException.Reason.NO_FACE,
                    "No face was found. Take a picture in which a face is larger and turned to the camera, or filter "
                            + "all of the picture.");
        }
        int side = Math.max(height, width);
        Picture[] results = new Picture[faces.size()];
        for (int i = 0; i < results.length; i++) {
            results[i] = fitted(faces.get(i).crop(picture, side), label);
        }
        Picture result = picture;
        for (int i = 0; i < results.length; i++) {
            result = faces.get(i).blend(result, results[i]);
        }
        return result;
    }

    private Picture tiled(Picture picture, final float[] label) throws FilterException {
        int tile = Math.min(height, width);
        Tiles.Each each = new Tiles.Each() {
            @Override
            public Picture apply(Picture part) throws FilterException {
                return filled(part, label);
            }
        };
        return Tiles.tiled(each, picture, tile, tile / 4);
    }

    /** Fit a picture into the network's size, keeping its aspect, and filter it. */
    private Picture fitted(Picture picture, float[] label) throws FilterException {
        double scale = Math.min((double) height / picture.height, (double) width / picture.width);
        int h = (int) Math.max(1, Math.rint(picture.height * scale));
        int w = (int) Math.max(1, Math.rint(picture.width * scale));
        return filled(Resampling.resize(picture, w, h), label);
    }

    /** Fill a picture up to the network's size with its reflection, filter it, and cut that off again. */
    private Picture filled(Picture picture, float[] label) throws FilterException {
        int[] filled = new int[height * width];
        for (int y = 0; y < height; y++) {
            for (int x = 0; x < width; x++) {
                int row = mirrored(y, picture.height);
                filled[y * width + x] = picture.pixels[row * picture.width + mirrored(x, picture.width)];
            }
        }
        float[] values = network.run(Values.of(new Picture(width, height, filled)), label);
        return Values.picture(values, width, height).part(0, 0, picture.width, picture.height);
    }

    private static int mirrored(int place, int length) {
        int within = place % (2 * length);
        return Math.min(within, 2 * length - 1 - within);
    }
}
