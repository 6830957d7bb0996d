package org.kgan.filter;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** An array that NumPy saved: uint8 or float32, row by row. */
final class Npy {
    private static final Pattern SHAPE = Pattern.compile("'shape': \\(([0-9, ]*)\\)");
    private static final int PREFIX = 10; // magic, version, length of the header

    final int[] shape;
    private final ByteBuffer data;
    private final boolean isFloat;

    Npy(File file) throws IOException {
        ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(file.toPath())).order(ByteOrder.LITTLE_ENDIAN);
        int length = all.getShort(8);
        String header = new String(all.array(), PREFIX, length, StandardCharsets.US_ASCII);
        isFloat = header.contains("'<f4'");
        if (!isFloat && !header.contains("'|u1'") || header.contains("'fortran_order': True")) {
            throw new IOException(file + ": " + header);
        }
        Matcher match = SHAPE.matcher(header);
        if (!match.find()) {
            throw new IOException(file + ": " + header);
        }
        String[] sides = match.group(1).split("[, ]+");
        shape = new int[sides.length];
        for (int i = 0; i < sides.length; i++) {
            shape[i] = Integer.parseInt(sides[i]);
        }
        all.position(PREFIX + length);
        data = all.slice().order(ByteOrder.LITTLE_ENDIAN);
    }

    float[] floats() {
        if (!isFloat) {
            throw new IllegalStateException("it holds bytes");
        }
        float[] values = new float[data.capacity() / 4];
        data.asFloatBuffer().get(values);
        return values;
    }

    Picture picture() {
        if (isFloat || shape.length != 3 || shape[2] != 3) {
            throw new IllegalStateException("it is no picture");
        }
        int[] pixels = new int[shape[0] * shape[1]];
        for (int i = 0; i < pixels.length; i++) {
            pixels[i] = Picture.rgb(data.get(3 * i) & 255, data.get(3 * i + 1) & 255, data.get(3 * i + 2) & 255);
        }
        return new Picture(shape[1], shape[0], pixels);
    }
}
