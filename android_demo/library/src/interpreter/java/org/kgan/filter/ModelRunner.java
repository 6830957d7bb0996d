package org.kgan.filter;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;
import org.kgan.filter.FilterException.Reason;
import org.tensorflow.lite.ExecutionPlan;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.gpu.GpuDelegate;

/** TensorFlow Lite 2.16's Interpreter, whose libraries are on Maven Central. */
final class ModelRunner implements Runner {
    private final Interpreter interpreter;
    private final GpuDelegate gpu;
    private final ByteBuffer[] inputs;
    private final Map<Integer, Object> outputs = new HashMap<Integer, Object>();

    static Runner open(byte[] model, ModelFile shapes, Hardware hardware, int threads) throws FilterException {
        ByteBuffer data = ByteBuffer.allocateDirect(model.length).order(ByteOrder.nativeOrder());
        data.put(model).rewind();
        GpuDelegate gpu = null;
        Interpreter interpreter = null;
        try {
            Interpreter.Options options = new Interpreter.Options().setNumThreads(threads);
            if (hardware == Hardware.GPU) {
                gpu = new GpuDelegate();
                options.addDelegate(gpu);
            }
            interpreter = new Interpreter(data, options);
            interpreter.allocateTensors();
            int steps = ExecutionPlan.length(interpreter);
            if (gpu != null && steps != 1) {
                throw new IllegalArgumentException(
                        "it takes only parts of the model, which would go back and forth in " + steps + " steps");
            }
            return new ModelRunner(interpreter, gpu, shapes);
        } catch (RuntimeException error) {
            throw refusal(hardware, error, interpreter, gpu);
        } catch (LinkageError error) { // no library for this kind of phone
            throw refusal(hardware, error, interpreter, gpu);
        }
    }

    private static FilterException refusal(
            Hardware hardware, Throwable error, Interpreter interpreter, GpuDelegate gpu) {
        if (interpreter != null) {
            interpreter.close();
        }
        if (gpu != null) {
            gpu.close();
        }
        return hardware == Hardware.GPU
                ? new FilterException(
                        Reason.NO_GPU,
                        "This phone's GPU cannot run the filter: " + error.getMessage() + ". Use the CPU.",
                        error)
                : new FilterException(
                        Reason.MODEL, "TensorFlow Lite cannot run the model: " + error.getMessage(), error);
    }

    private ModelRunner(Interpreter interpreter, GpuDelegate gpu, ModelFile shapes) {
        this.interpreter = interpreter;
        this.gpu = gpu;
        inputs = new ByteBuffer[shapes.inputs.size()];
        for (int i = 0; i < inputs.length; i++) {
            inputs[i] = buffer(shapes.inputs.get(i).size());
        }
        for (int i = 0; i < shapes.outputs.size(); i++) {
            outputs.put(i, buffer(shapes.outputs.get(i).size()));
        }
    }

    private static ByteBuffer buffer(int numbers) {
        return ByteBuffer.allocateDirect(4 * numbers).order(ByteOrder.nativeOrder());
    }

    @Override
    public float[][] run(float[][] values) {
        for (int i = 0; i < inputs.length; i++) {
            inputs[i].rewind();
            inputs[i].asFloatBuffer().put(values[i]);
        }
        for (Object output : outputs.values()) {
            ((ByteBuffer) output).rewind();
        }
        interpreter.runForMultipleInputsOutputs(inputs, outputs);
        float[][] results = new float[outputs.size()][];
        for (int i = 0; i < results.length; i++) {
            ByteBuffer output = (ByteBuffer) outputs.get(i);
            results[i] = new float[output.capacity() / 4];
            output.rewind();
            output.asFloatBuffer().get(results[i]);
        }
        return results;
    }

    @Override
    public void close() {
        interpreter.close();
        if (gpu != null) {
            gpu.close();
        }
    }
}
