package org.kgan.app;

import android.app.Activity;
import android.graphics.drawable.BitmapDrawable;
import android.view.LayoutInflater;
import android.view.View;
import android.widget.LinearLayout;
import android.widget.RadioButton;
import android.widget.RadioGroup;
import android.widget.TextView;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.kgan.app.state.Choice;
import org.kgan.filter.Bitmaps;
import org.kgan.filter.Card;
import org.kgan.filter.Filter;
import org.kgan.filter.FilterException;
import org.kgan.filter.Hardware;
import org.kgan.filter.Labels;
import org.kgan.filter.Part;
import org.kgan.filter.Picture;

/** What both screens choose by: the strip of filters, the labels, the part, and what runs the filter. */
final class Panel {
    /** Told of every choice. */
    interface Listener {
        void chosen(Choice choice);
    }

    private static final int PREVIEW = 72; // density-independent pixels

    private final Activity activity;
    private final Studio studio;
    private final Listener listener;
    private final LinearLayout rows;
    private final Map<Labels.Group, RadioGroup> answers = new LinkedHashMap<Labels.Group, RadioGroup>();
    private Choice choice;
    private Card card;
    private String drawn; // the filter whose rows are there

    Panel(Activity activity, Choice saved, Listener listener) {
        this.activity = activity;
        this.listener = listener;
        studio = Studio.of(activity);
        rows = activity.findViewById(R.id.rows);
        choice = saved;
    }

    static Choice first(Studio studio) {
        List<String> filters = studio.filters();
        return filters.isEmpty() ? null : new Choice(filters.get(0), null, null, Hardware.CPU, 2);
    }

    Choice choice() {
        return choice;
    }

    /** Show the choice and tell the listener of it. */
    void choose(Choice next) {
        choice = next;
        if (choice == null) {
            say(activity.getString(R.string.no_filters));
            return;
        }
        try {
            card = studio.card(choice.filter);
            if (card.labels != null && choice.label == null) {
                choice = choice.withLabel(card.labels.example());
            }
        } catch (FilterException error) {
            card = null;
            say(sentence(activity, error));
        }
        if (!choice.filter.equals(drawn)) {
            draw();
        }
        markAnswers();
        if (card != null) {
            listener.chosen(choice);
        }
    }

    private void draw() {
        drawn = choice.filter;
        rows.removeAllViews();
        answers.clear();
        filters();
        if (card != null && card.labels != null) {
            labels(card.labels);
        }
        parts();
        hardware();
    }

    private void filters() {
        RadioGroup group = row(activity.getString(R.string.filters));
        for (final String name : studio.filters()) {
            final RadioButton button = chip(group, title(name), name.equals(choice.filter), new Runnable() {
                @Override
                public void run() {
                    choose(choice.withFilter(name));
                }
            });
            studio.preview(activity, name, new Studio.Told<Picture>() {
                @Override
                public void of(Picture picture) {
                    int side = Math.round(PREVIEW * activity.getResources().getDisplayMetrics().density);
                    BitmapDrawable small = new BitmapDrawable(activity.getResources(), Bitmaps.bitmap(picture));
                    small.setBounds(0, 0, side, side);
                    button.setCompoundDrawables(null, small, null, null);
                }

                @Override
                public void failed(FilterException error) {
                    button.setError(sentence(activity, error));
                }
            });
        }
    }

    /** "filters/onesided_selfie2anime_dynamic_wi8_afp32" as people read it: without the recipe. */
    private String title(String name) {
        try {
            return studio.card(name).name.replace('_', ' ');
        } catch (FilterException error) {
            return name.substring(name.lastIndexOf('/') + 1);
        }
    }

    /** A row of chips for each group. */
    private void labels(final Labels labels) {
        for (final Labels.Group group : labels.groups) {
            RadioGroup chips = row(group.name.replace('_', ' '));
            answers.put(group, chips);
            for (final String answer : group.answers) {
                chip(chips, answer, false, new Runnable() {
                    @Override
                    public void run() {
                        choose(choice.withLabel(labels.answered(choice.label, group, answer)));
                    }
                });
            }
        }
    }

    /** Mark the chips that the label names, and no others. */
    private void markAnswers() {
        for (Map.Entry<Labels.Group, RadioGroup> each : answers.entrySet()) {
            String answer = card.labels.answer(choice.label, each.getKey());
            each.getValue().clearCheck();
            for (int i = 0; i < each.getValue().getChildCount(); i++) {
                RadioButton chip = (RadioButton) each.getValue().getChildAt(i);
                if (chip.getText().toString().equals(answer)) {
                    each.getValue().check(chip.getId());
                }
            }
        }
    }

    private void parts() {
        RadioGroup group = row(activity.getString(R.string.part));
        int[] names = {R.string.part_faces, R.string.part_center, R.string.part_whole, R.string.part_tiles};
        Part shown = choice.part != null ? choice.part : card != null ? card.part : null;
        for (final Part part : Part.values()) {
            chip(group, activity.getString(names[part.ordinal()]), part == shown, new Runnable() {
                @Override
                public void run() {
                    choose(choice.withPart(part));
                }
            });
        }
    }

    private void hardware() {
        RadioGroup group = row(activity.getString(R.string.runs_on));
        for (final int threads : Choice.THREADS) {
            String text = activity.getResources().getQuantityString(R.plurals.cpu, threads, threads);
            chip(group, text, choice.hardware == Hardware.CPU && choice.threads == threads, new Runnable() {
                @Override
                public void run() {
                    choose(choice.withHardware(Hardware.CPU).withThreads(threads));
                }
            });
        }
        chip(group, activity.getString(R.string.gpu), choice.hardware == Hardware.GPU, new Runnable() {
            @Override
            public void run() {
                choose(choice.withHardware(Hardware.GPU));
            }
        });
    }

    private RadioGroup row(String title) {
        View row = LayoutInflater.from(activity).inflate(R.layout.row, rows, false);
        ((TextView) row.findViewById(R.id.title)).setText(title);
        rows.addView(row);
        return row.findViewById(R.id.chips);
    }

    private RadioButton chip(RadioGroup group, String text, boolean chosen, final Runnable action) {
        RadioButton chip = (RadioButton) LayoutInflater.from(activity).inflate(R.layout.chip, group, false);
        chip.setId(View.generateViewId());
        chip.setText(text);
        chip.setChecked(chosen);
        chip.setOnClickListener(new View.OnClickListener() {
            @Override
            public void onClick(View view) {
                action.run();
            }
        });
        group.addView(chip);
        return chip;
    }

    /** The line under the picture, which TalkBack reads out whenever it is set: so not again by each frame. */
    void say(String text) {
        TextView line = activity.findViewById(R.id.message);
        if (!text.contentEquals(line.getText())) {
            line.setText(text);
        }
    }

    /** What ran, with which weights, and how fast. */
    void figures(Filter filter, long milliseconds, double rate) {
        String where = filter.hardware == Hardware.GPU
                ? activity.getString(R.string.gpu)
                : activity.getResources().getQuantityString(R.plurals.cpu, choice.threads, choice.threads);
        List<String> parts = new ArrayList<String>();
        parts.add(where);
        parts.add(filter.card.recipe);
        parts.add(activity.getString(R.string.milliseconds, milliseconds));
        if (rate > 0) {
            parts.add(activity.getString(R.string.frames, String.format(Locale.getDefault(), "%.1f", rate)));
        }
        StringBuilder text = new StringBuilder();
        for (String part : parts) {
            text.append(text.length() > 0 ? " · " : "").append(part);
        }
        ((TextView) activity.findViewById(R.id.figures)).setText(text);
    }

    /** An obstacle in the phone's language, with the library's own sentence where that says more. */
    static String sentence(Activity activity, FilterException error) {
        switch (error.reason) {
            case NO_FACE:
                return activity.getString(R.string.no_face);
            case MEMORY:
                return activity.getString(R.string.no_memory);
            case NO_GPU:
                return activity.getString(R.string.no_gpu, error.getMessage());
            case PICTURE:
                return error.getMessage();
            default:
                return activity.getString(R.string.bad_filter, error.getMessage());
        }
    }
}
