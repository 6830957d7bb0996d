package org.kgan.filter;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What a .tflite file says of itself, read before any runtime opens it: so that a refusal is a sentence everywhere.
 *
 * <p>The file is a FlatBuffer. A table begins with the distance back to its vtable, which holds for each field the
 * field's distance from the table, or 0 where it is left out; strings, vectors and other tables are reached by the
 * distance that stands in their place. The schema is TensorFlow's schema.fbs.
 */
final class ModelFile {
    private static final int CUSTOM = 32; // BuiltinOperator.CUSTOM
    private static final int FLOAT32 = 0; // TensorType.FLOAT32
    // The fields that are read, by their numbers in the schema.
    private static final int MODEL_CODES = 1;
    private static final int MODEL_SUBGRAPHS = 2;
    private static final int CODE_OLD = 0;
    private static final int CODE_CUSTOM_NAME = 1;
    private static final int CODE = 3;
    private static final int GRAPH_TENSORS = 0;
    private static final int GRAPH_INPUTS = 1;
    private static final int GRAPH_OUTPUTS = 2;
    private static final int TENSOR_SHAPE = 0;
    private static final int TENSOR_TYPE = 1;
    private static final int TENSOR_NAME = 3;

    /** Of a tensor: its name, shape and whether it holds floats of 32 bits. */
    static final class Tensor {
        final String name;
        final int[] shape;
        final boolean isFloat;

        private Tensor(String name, int[] shape, boolean isFloat) {
            this.name = name;
            this.shape = shape;
            this.isFloat = isFloat;
        }

        /** How many numbers it has. */
        int size() {
            int size = 1;
            for (int side : shape) {
                size *= side;
            }
            return size;
        }

        @Override
        public String toString() {
            return name + " " + Arrays.toString(shape) + (isFloat ? "" : " not of float32");
        }
    }

    final List<Tensor> inputs = new ArrayList<Tensor>();
    final List<Tensor> outputs = new ArrayList<Tensor>();

    /** Of a filter: the sides of its picture, the index of the picture and of the label (-1) among the inputs. */
    final int height;
    final int width;
    final int labelSize;
    final int image;
    final int label;

    private ByteBuffer data; // the file, while it is read

    /** Read a filter's file: float32 [1, H, W, 3], and a label [1, C] where it takes one, to [1, H, W, 3]. */
    static ModelFile ofFilter(byte[] model, String file) throws FilterException {
        ModelFile shapes = new ModelFile(model, file);
        boolean fits = shapes.outputs.size() == 1
                && shapes.height > 0
                && Arrays.equals(shapes.outputs.get(0).shape, new int[] {1, shapes.height, shapes.width, 3})
                && shapes.inputs.size() == (shapes.label < 0 ? 1 : 2);
        for (List<Tensor> tensors : Arrays.asList(shapes.inputs, shapes.outputs)) {
            for (Tensor tensor : tensors) {
                fits &= tensor.isFloat;
            }
        }
        if (!fits) {
            throw refused(file + " is no filter for phones: it should map one float32 picture [1, H, W, 3], and a label "
                    + "[1, C] where it takes one, to a picture of the same size, but it maps " + shapes.inputs + " to "
                    + shapes.outputs + ". Export it with kgan export, at one size.");
        }
        return shapes;
    }

    ModelFile(byte[] model, String file) throws FilterException {
        data = ByteBuffer.wrap(model).order(ByteOrder.LITTLE_ENDIAN);
        String custom = null;
        try {
            if (!new String(model, 4, 4, StandardCharsets.US_ASCII).equals("TFL3")) {
                throw new IndexOutOfBoundsException();
            }
            int root = data.getInt(0);
            int codes = vector(root, MODEL_CODES);
            for (int i = 0; i < data.getInt(codes); i++) {
                int code = follow(codes + 4 + 4 * i);
                int number = Math.max(number(code, CODE, 4), number(code, CODE_OLD, 1));
                custom = number == CUSTOM ? text(code, CODE_CUSTOM_NAME) : custom;
            }
            int graph = follow(vector(root, MODEL_SUBGRAPHS) + 4);
            read(graph, GRAPH_INPUTS, inputs);
            read(graph, GRAPH_OUTPUTS, outputs);
        } catch (RuntimeException error) {
            throw new FilterException(
                    FilterException.Reason.MODEL,
                    file + " is no .tflite file, or a damaged one. Copy it again from where it was exported.",
                    error);
        }
        if (custom != null) {
            throw refused(file + " needs the operation " + custom + ", which no phone has. Export it with kgan export, "
                    + "which uses none but TensorFlow Lite's own.");
        }
        int picture = -1;
        int vector = -1;
        for (int i = 0; i < inputs.size(); i++) {
            int[] shape = inputs.get(i).shape;
            picture = shape.length == 4 && shape[0] == 1 && shape[3] == 3 ? i : picture;
            vector = shape.length == 2 && shape[0] == 1 ? i : vector;
        }
        data = null;
        image = picture;
        label = vector;
        height = picture < 0 ? 0 : inputs.get(picture).shape[1];
        width = picture < 0 ? 0 : inputs.get(picture).shape[2];
        labelSize = vector < 0 ? 0 : inputs.get(vector).shape[1];
    }

    /** The index of the output of this name. */
    int output(String name) throws FilterException {
        for (int i = 0; i < outputs.size(); i++) {
            if (outputs.get(i).name.equals(name)) {
                return i;
            }
        }
        throw refused("The face detector has no output " + name + ": it is another file than kgan's.");
    }

    private static FilterException refused(String sentence) {
        return new FilterException(FilterException.Reason.MODEL, sentence);
    }

    private void read(int graph, int field, List<Tensor> into) {
        int tensors = vector(graph, GRAPH_TENSORS);
        int indices = vector(graph, field);
        for (int i = 0; i < data.getInt(indices); i++) {
            int tensor = follow(tensors + 4 + 4 * data.getInt(indices + 4 + 4 * i));
            int sides = vector(tensor, TENSOR_SHAPE);
            int[] shape = new int[length(sides)];
            for (int j = 0; j < shape.length; j++) {
                shape[j] = data.getInt(sides + 4 + 4 * j);
            }
            into.add(new Tensor(text(tensor, TENSOR_NAME), shape, number(tensor, TENSOR_TYPE, 1) == FLOAT32));
        }
    }

    /** Where a field of a table lies, 0 where it is left out. */
    private int field(int table, int number) {
        int vtable = table - data.getInt(table);
        int at = 4 + 2 * number;
        int distance = at < data.getShort(vtable) ? data.getShort(vtable + at) & 0xFFFF : 0;
        return distance == 0 ? 0 : table + distance;
    }

    private int number(int table, int number, int bytes) {
        int at = field(table, number);
        return at == 0 ? 0 : bytes == 1 ? data.get(at) : data.getInt(at);
    }

    private int follow(int at) {
        return at + data.getInt(at);
    }

    private int vector(int table, int number) {
        int at = field(table, number);
        if (at == 0) {
            throw new IndexOutOfBoundsException();
        }
        return follow(at);
    }

    /** Of the vector or string at a place; no more than the file has bytes, which a damaged one may say. */
    private int length(int at) {
        int length = data.getInt(at);
        if (length < 0 || length > data.capacity()) {
            throw new IndexOutOfBoundsException();
        }
        return length;
    }

    private String text(int table, int number) {
        int at = vector(table, number);
        byte[] text = new byte[length(at)];
        for (int i = 0; i < text.length; i++) {
            text[i] = data.get(at + 4 + i);
        }
        return new String(text, StandardCharsets.UTF_8);
    }
}
