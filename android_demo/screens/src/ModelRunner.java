package org.kgan.filter;

/**
 * Stands in for TensorFlow Lite, whose Java library knows no desktop: a filter turns colours round, and the detector sees
 * one face in the middle of the sample photo, wherever it looks.
 */
final class ModelRunner implements Runner {
    private static final float SURE = 10; // logit
    private static final int FACE = (5 * 16 + 6) * 2; // an anchor at (52, 44) of 128

    private final ModelFile shapes;

    static Runner open(byte[] model, ModelFile shapes, Hardware hardware, int threads) throws FilterException {
        if (hardware == Hardware.GPU) {
            throw new FilterException(FilterException.Reason.NO_GPU, "there is none on a desktop");
        }
        return new ModelRunner(shapes);
    }

    private ModelRunner(ModelFile shapes) {
        this.shapes = shapes;
    }

    @Override
    public float[][] run(float[][] inputs) {
        if (shapes.outputs.size() == 2) {
            return face();
        }
        float[] image = inputs[shapes.image];
        float[] result = new float[image.length];
        for (int i = 0; i < image.length; i++) {
            result[i] = image[i / 3 * 3 + (i + 1) % 3];
        }
        return new float[][] {result};
    }

    private float[][] face() {
        float[][] outputs = {new float[FaceFinder.ANCHORS * 16], new float[FaceFinder.ANCHORS]};
        outputs[1][FACE] = SURE;
        for (int k = 0; k < FaceFinder.ANCHORS; k++) {
            outputs[1][k] = k == FACE ? SURE : -SURE;
        }
        float[] numbers = {4, -14, 26, 26, -2, -18, 10, -18};
        System.arraycopy(numbers, 0, outputs[0], FACE * 16, numbers.length);
        return outputs;
    }

    @Override
    public void close() {}
}
