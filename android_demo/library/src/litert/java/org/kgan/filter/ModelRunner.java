package org.kgan.filter;

import com.google.ai.edge.litert.Accelerator;
import com.google.ai.edge.litert.CompiledModel;
import com.google.ai.edge.litert.TensorBuffer;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import org.kgan.filter.FilterException.Reason;

/**
 * LiteRT's CompiledModel, from Google's Maven repository.
 *
 * <p>The GPU is asked for alone: with the CPU beside it LiteRT would fall back in silence.
 */
final class ModelRunner implements Runner {
    private final CompiledModel model;
    private final List<TensorBuffer> inputs;
    private final List<TensorBuffer> outputs;

    static Runner open(byte[] model, ModelFile shapes, Hardware hardware, int threads) throws FilterException {
        CompiledModel.Options options =
                new CompiledModel.Options(hardware == Hardware.GPU ? Accelerator.GPU : Accelerator.CPU);
        if (hardware == Hardware.CPU) {
            options.setCpuOptions(new CompiledModel.CpuOptions(threads, null, null));
        }
        File file = null;
        try {
            file = File.createTempFile("filter", ".tflite"); // in the app's cache: LiteRT opens files and assets only
            try (OutputStream stream = new FileOutputStream(file)) {
                stream.write(model);
            }
            return new ModelRunner(CompiledModel.create(file.getPath(), options), shapes);
        } catch (Exception error) { // LiteRtException, which Kotlin does not declare
            throw hardware == Hardware.GPU
                    ? new FilterException(
                            Reason.NO_GPU,
                            "This phone's GPU cannot run the filter: " + error.getMessage() + ". Use the CPU.",
                            error)
                    : new FilterException(Reason.MODEL, "LiteRT cannot run the model: " + error.getMessage(), error);
        } finally {
            if (file != null) {
                file.delete(); // it is mapped by now
            }
        }
    }

    private ModelRunner(CompiledModel model, ModelFile shapes) throws Exception {
        this.model = model;
        try {
            inputs = ordered(model.createInputBuffers(), shapes.inputs);
            outputs = ordered(model.createOutputBuffers(), shapes.outputs);
        } catch (Exception error) {
            model.close();
            throw error;
        }
    }

    /** LiteRT's buffers, which come in the order of the signature, in that of the file: by how many numbers they hold. */
    private static List<TensorBuffer> ordered(List<TensorBuffer> buffers, List<ModelFile.Tensor> tensors)
            throws Exception {
        List<TensorBuffer> rest = new ArrayList<TensorBuffer>(buffers);
        List<TensorBuffer> ordered = new ArrayList<TensorBuffer>();
        for (ModelFile.Tensor tensor : tensors) {
            int at = 0;
            while (at < rest.size() && rest.get(at).readFloat().length != tensor.size()) {
                at++;
            }
            if (at == rest.size()) {
                throw new IOException("its signature has no tensor like " + tensor);
            }
            ordered.add(rest.remove(at));
        }
        return ordered;
    }

    @Override
    public float[][] run(float[][] values) throws FilterException {
        try {
            for (int i = 0; i < values.length; i++) {
                inputs.get(i).writeFloat(values[i]);
            }
            model.run(inputs, outputs);
            float[][] results = new float[outputs.size()][];
            for (int i = 0; i < results.length; i++) {
                results[i] = outputs.get(i).readFloat();
            }
            return results;
        } catch (Exception error) {
            throw new FilterException(Reason.MODEL, "LiteRT failed: " + error.getMessage(), error);
        }
    }

    @Override
    public void close() {
        for (TensorBuffer buffer : inputs) {
            buffer.close();
        }
        for (TensorBuffer buffer : outputs) {
            buffer.close();
        }
        model.close();
    }
}
