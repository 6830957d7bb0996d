package org.kgan.filter;

import java.io.Closeable;

/**
 * One model in one runtime: all in which the two builds differ. Each has a class ModelRunner that implements it, over
 * LiteRT's CompiledModel (src/litert, the Gradle build) or TensorFlow Lite's Interpreter (src/interpreter, `make apk`).
 *
 * <p>All calls come from the thread that opened it.
 */
interface Runner extends Closeable {
    /** The outputs for these inputs, both in the order of the file. */
    float[][] run(float[][] inputs) throws FilterException;

    @Override
    void close();
}
