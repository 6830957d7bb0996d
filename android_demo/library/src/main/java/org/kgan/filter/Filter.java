package org.kgan.filter;

import android.content.res.AssetManager;
import android.graphics.Bitmap;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadFactory;
import org.kgan.filter.FilterException.Reason;

/**
 * A filter as `kgan export` wrote it: a .tflite file and the JSON card of the same name beside it.
 *
 * <pre>
 * try (Filter anime = Filter.open(getAssets(), "filters/onesided_selfie2anime_dynamic_wi8_afp32")) {
 *     Bitmap drawn = anime.apply(photo); // its faces as drawings, blended back
 * }
 * </pre>
 *
 * <p>It may be called from any thread but the main one, which would stand still; the model itself is touched on one
 * thread alone, of the filter's own, which ends when the filter is closed.
 */
public final class Filter implements Closeable {
    /** The face detector among the assets. */
    static final String DETECTOR = "blazeface_short_range.tflite";

    private static final int LARGEST_FILE = 1 << 28; // bytes

    public final Card card;

    /** What runs it, as it was asked for. */
    public final Hardware hardware;

    private final ExecutorService thread;
    private final Pipeline pipeline;
    private final Runner runner;
    private final Runner detector;
    private volatile long milliseconds;

    /** Open a filter on the CPU, with as many threads as there are fast cores, at most four. */
    public static Filter open(AssetManager assets, String name) throws FilterException {
        return open(assets, name, Hardware.CPU, Math.min(4, Math.max(1, Runtime.getRuntime().availableProcessors() / 2)));
    }

    /**
     * Open a filter.
     *
     * @param assets where NAME.tflite, NAME.json and blazeface_short_range.tflite lie.
     * @param name without its suffix.
     * @param hardware what is to run it.
     * @param threads of the CPU, at least 1.
     * @throws FilterException a file is missing or damaged, they do not fit each other, the model is none that this
     *     library runs, or the GPU was asked for and cannot run all of it.
     */
    public static Filter open(final AssetManager assets, final String name, final Hardware hardware, final int threads)
            throws FilterException {
        final ExecutorService thread = Executors.newSingleThreadExecutor(new ThreadFactory() {
            @Override
            public Thread newThread(Runnable work) {
                return new Thread(work, "kgan filter");
            }
        });
        boolean opened = false;
        try {
            Filter filter = on(thread, new Callable<Filter>() {
                @Override
                public Filter call() throws FilterException {
                    return new Filter(assets, name, hardware, threads, thread);
                }
            });
            opened = true;
            return filter;
        } finally {
            if (!opened) {
                thread.shutdown();
            }
        }
    }

    /** The card of a filter, without opening the model. */
    public static Card card(AssetManager assets, String name) throws FilterException {
        byte[] text = read(assets, name + ".json", "Copy the card that lies beside the .tflite to the app's assets too.");
        return new Card(new String(text, StandardCharsets.UTF_8), name.substring(name.lastIndexOf('/') + 1) + ".json");
    }

    private Filter(AssetManager assets, String name, Hardware hardware, int threads, ExecutorService thread)
            throws FilterException {
        String file = name.substring(name.lastIndexOf('/') + 1) + ".tflite";
        byte[] model = read(assets, name + ".tflite", "Copy it to the app's assets.");
        card = card(assets, name);
        final ModelFile shapes = ModelFile.ofFilter(model, file);
        card.check(model, shapes, file);
        byte[] faces = read(assets, DETECTOR, "It comes with kgan: copy it to the app's assets.");
        final ModelFile names = new ModelFile(faces, DETECTOR);
        final int[] outputs = {names.output("regressors"), names.output("classificators")};

        this.thread = thread;
        this.hardware = hardware;
        runner = ModelRunner.open(model, shapes, hardware, threads);
        Runner second = null;
        try {
            second = ModelRunner.open(faces, names, Hardware.CPU, 1);
        } finally {
            if (second == null) {
                runner.close();
            }
        }
        detector = second;
        FaceFinder finder = new FaceFinder(new FaceFinder.Detector() {
            @Override
            public float[][] detect(float[] square) throws FilterException {
                float[][] results = detector.run(new float[][] {square});
                return new float[][] {results[outputs[0]], results[outputs[1]]};
            }
        });
        Pipeline.Network network = new Pipeline.Network() {
            @Override
            public float[] run(float[] image, float[] label) throws FilterException {
                float[][] inputs = new float[shapes.inputs.size()][];
                inputs[shapes.image] = image;
                if (shapes.label >= 0) {
                    inputs[shapes.label] = label;
                }
                return runner.run(inputs)[0];
            }
        };
        pipeline = new Pipeline(network, finder, shapes.height, shapes.width);
    }

    /** The picture filtered as the card says: its faces, its middle square, or all of it. */
    public Bitmap apply(Bitmap picture) throws FilterException {
        return apply(picture, null);
    }

    /** The same with a label, "hair=blonde", for a filter that takes one. */
    public Bitmap apply(Bitmap picture, String label) throws FilterException {
        return Bitmaps.bitmap(apply(Bitmaps.picture(picture), label, card.part));
    }

    /**
     * The picture filtered.
     *
     * @param label in words, null for a filter that takes none.
     * @param part which part of the picture.
     * @throws FilterException no face was found, the label is wrong or missing, or memory does not suffice.
     */
    public Picture apply(Picture picture, String label, Part part) throws FilterException {
        return run(picture, label, part, false);
    }

    /** As `apply`, in a hurry: of a camera's frame the largest face alone, sought by one look. */
    public Picture frame(Picture picture, String label, Part part) throws FilterException {
        return run(picture, label, part, true);
    }

    /** How long the last picture took, from pixels to pixels. */
    public long milliseconds() {
        return milliseconds;
    }

    private Picture run(final Picture picture, String words, final Part part, final boolean hurry) throws FilterException {
        final float[] label = label(words);
        return on(thread, new Callable<Picture>() {
            @Override
            public Picture call() throws FilterException {
                long start = System.nanoTime();
                Picture result = hurry ? pipeline.frame(picture, label, part) : pipeline.apply(picture, label, part);
                milliseconds = (System.nanoTime() - start) / 1000000;
                return result;
            }
        });
    }

    private float[] label(String words) throws FilterException {
        if (card.labels == null) {
            if (words != null) {
                throw new FilterException(Reason.LABEL, "The filter " + card.name + " takes no label.");
            }
            return null;
        }
        if (words == null) {
            throw new FilterException(
                    Reason.LABEL,
                    "The filter " + card.name + " needs a label, such as " + card.labels.example() + ".");
        }
        return card.labels.vector(words);
    }

    /** End the thread and free the model; what is under way is finished first. A second call does nothing. */
    @Override
    public void close() {
        if (thread.isShutdown()) {
            return;
        }
        thread.execute(new Runnable() {
            @Override
            public void run() {
                runner.close();
                detector.close();
            }
        });
        thread.shutdown();
    }

    /** Do something on a thread and wait for it; what it throws is thrown here. */
    private static <T> T on(ExecutorService thread, Callable<T> work) throws FilterException {
        Future<T> future = thread.submit(work);
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return future.get();
                } catch (InterruptedException error) {
                    interrupted = true; // the model cannot be interrupted: say so afterwards
                }
            }
        } catch (ExecutionException error) {
            Throwable cause = error.getCause();
            if (cause instanceof FilterException) {
                throw (FilterException) cause;
            }
            if (cause instanceof OutOfMemoryError) {
                throw new FilterException(
                        Reason.MEMORY, "There is not enough memory for this picture. Take a smaller one.", cause);
            }
            throw new FilterException(Reason.MODEL, "The model failed: " + cause.getMessage(), cause);
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static byte[] read(AssetManager assets, String path, String remedy) throws FilterException {
        try (InputStream stream = assets.open(path)) {
            ByteArrayOutputStream data = new ByteArrayOutputStream(Math.max(32, stream.available()));
            byte[] part = new byte[1 << 16];
            for (int count = stream.read(part); count >= 0; count = stream.read(part)) {
                if (data.size() + count > LARGEST_FILE) {
                    throw new FilterException(Reason.MODEL, path + " is too large for a phone.");
                }
                data.write(part, 0, count);
            }
            return data.toByteArray();
        } catch (FileNotFoundException error) {
            throw new FilterException(Reason.MISSING, "There is no " + path + ". " + remedy, error);
        } catch (FilterException error) {
            throw error;
        } catch (IOException error) {
            throw new FilterException(Reason.MISSING, path + " cannot be read. " + remedy, error);
        }
    }
}
