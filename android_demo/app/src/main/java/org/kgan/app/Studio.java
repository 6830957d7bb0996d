package org.kgan.app;

import android.content.ComponentCallbacks2;
import android.content.Context;
import android.content.res.AssetManager;
import android.content.res.Configuration;
import android.os.Handler;
import android.os.Looper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.kgan.app.state.Choice;
import org.kgan.filter.Card;
import org.kgan.filter.Filter;
import org.kgan.filter.FilterException;
import org.kgan.filter.FilterException.Reason;
import org.kgan.filter.Hardware;
import org.kgan.filter.Part;
import org.kgan.filter.Picture;

/**
 * The one place that draws: a thread that opens filters as they are chosen and runs them, beside the screens, which come
 * and go. One filter is kept open, the one that was drawn with last.
 */
final class Studio implements ComponentCallbacks2 {
    private static final String FOLDER = "filters";
    private static Studio studio;

    /** Told of what was drawn, on the main thread. */
    interface Listener {
        /** A result: what ran it stands in the filter. */
        void drawn(Picture result, Filter filter, long milliseconds);

        void failed(FilterException error);
    }

    /** Work on the studio's thread, which gives something. */
    interface Work<T> {
        T give() throws FilterException, IOException;
    }

    /** Told of such work, on the main thread. */
    interface Told<T> {
        void of(T result);

        void failed(FilterException error);
    }

    private final AssetManager assets;
    private final Handler main = new Handler(Looper.getMainLooper());
    private final ExecutorService thread = Executors.newSingleThreadExecutor();
    private final Map<String, Picture> previews = Collections.synchronizedMap(new HashMap<String, Picture>());
    private Filter filter; // these two are the thread's own
    private Choice opened;
    private volatile int wanted; // the number of the last picture asked for
    private boolean busy;

    static Studio of(Context context) {
        if (studio == null) {
            studio = new Studio(context.getApplicationContext());
        }
        return studio;
    }

    private Studio(Context context) {
        assets = context.getAssets();
        context.registerComponentCallbacks(this);
    }

    /** The filters that came with the app, sorted; empty where there are none. */
    List<String> filters() {
        List<String> names = new ArrayList<String>();
        try {
            for (String file : assets.list(FOLDER)) {
                if (file.endsWith(".tflite")) {
                    names.add(FOLDER + "/" + file.substring(0, file.length() - ".tflite".length()));
                }
            }
        } catch (IOException error) {
            return names;
        }
        Collections.sort(names);
        return names;
    }

    Card card(String name) throws FilterException {
        return Filter.card(assets, name);
    }

    /** Draw a picture; one that was asked for before and has not begun is left out. */
    void draw(final Picture picture, final Choice choice, final Listener listener) {
        final int number = ++wanted;
        draw(picture, choice, false, new Listener() {
            @Override
            public void drawn(Picture result, Filter filter, long milliseconds) {
                if (number == wanted) {
                    listener.drawn(result, filter, milliseconds);
                }
            }

            @Override
            public void failed(FilterException error) {
                if (number == wanted) {
                    listener.failed(error);
                }
            }
        });
    }

    /** Draw a camera's frame, unless another is being drawn; whether it will be. */
    boolean frame(Picture picture, Choice choice, final Listener listener) {
        if (busy) {
            return false;
        }
        busy = true;
        draw(picture, choice, true, new Listener() {
            @Override
            public void drawn(Picture result, Filter filter, long milliseconds) {
                busy = false;
                listener.drawn(result, filter, milliseconds);
            }

            @Override
            public void failed(FilterException error) {
                busy = false;
                listener.failed(error);
            }
        });
        return true;
    }

    private void draw(final Picture picture, final Choice choice, final boolean hurry, final Listener listener) {
        final int number = wanted;
        thread.execute(new Runnable() {
            @Override
            public void run() {
                if (!hurry && number != wanted) {
                    return;
                }
                try {
                    open(choice);
                    Part part = choice.part == null ? filter.card.part : choice.part;
                    final Picture result = hurry
                            ? filter.frame(picture, choice.label, part)
                            : filter.apply(picture, choice.label, part);
                    final Filter runs = filter;
                    final long time = filter.milliseconds();
                    main.post(new Runnable() {
                        @Override
                        public void run() {
                            listener.drawn(result, runs, time);
                        }
                    });
                } catch (FilterException error) {
                    fail(listener, error);
                } catch (OutOfMemoryError error) {
                    fail(listener, new FilterException(Reason.MEMORY, "There is not enough memory.", error));
                }
            }
        });
    }

    private void fail(final Listener listener, final FilterException error) {
        main.post(new Runnable() {
            @Override
            public void run() {
                listener.failed(error);
            }
        });
    }

    private void open(Choice choice) throws FilterException {
        if (filter != null && choice.sameModel(opened)) {
            return;
        }
        close();
        filter = Filter.open(assets, choice.filter, choice.hardware, choice.threads);
        opened = choice;
    }

    private void close() {
        if (filter != null) {
            filter.close();
            filter = null;
        }
    }

    /** The small picture of a filter in the strip: the sample as it draws it. */
    void preview(final Context context, final String name, Told<Picture> told) {
        final Context app = context.getApplicationContext();
        work(new Work<Picture>() {
            @Override
            public Picture give() throws FilterException {
                Picture preview = previews.get(name);
                if (preview == null) {
                    try (Filter one = Filter.open(assets, name, Hardware.CPU, 1)) {
                        String label = one.card.labels == null ? null : one.card.labels.example();
                        preview = one.apply(Photos.sample(app), label, Part.WHOLE);
                    }
                    previews.put(name, preview);
                }
                return preview;
            }
        }, told);
    }

    /** Do something beside the main thread and tell of it there. */
    <T> void work(final Work<T> work, final Told<T> told) {
        thread.execute(new Runnable() {
            @Override
            public void run() {
                T result = null;
                FilterException error = null;
                try {
                    result = work.give();
                } catch (FilterException failure) {
                    error = failure;
                } catch (IOException failure) {
                    error = new FilterException(Reason.PICTURE, String.valueOf(failure.getMessage()), failure);
                } catch (OutOfMemoryError failure) {
                    error = new FilterException(Reason.MEMORY, "There is not enough memory.", failure);
                }
                final T value = result;
                final FilterException obstacle = error;
                main.post(new Runnable() {
                    @Override
                    public void run() {
                        if (obstacle == null) {
                            told.of(value);
                        } else {
                            told.failed(obstacle);
                        }
                    }
                });
            }
        });
    }

    /** Free the model; the next picture opens it again. */
    void rest() {
        thread.execute(new Runnable() {
            @Override
            public void run() {
                close();
            }
        });
    }

    @Override
    public void onTrimMemory(int level) {
        rest();
        if (level >= TRIM_MEMORY_BACKGROUND) {
            previews.clear();
        }
    }

    @Override
    public void onLowMemory() {
        previews.clear();
        rest();
    }

    @Override
    public void onConfigurationChanged(Configuration configuration) {}
}
