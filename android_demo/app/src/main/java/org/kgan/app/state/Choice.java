package org.kgan.app.state;

import org.kgan.filter.Hardware;
import org.kgan.filter.Part;

/** What people chose: a filter, what is asked of it, and what runs it. */
public final class Choice {
    public static final int[] THREADS = {1, 2, 4};

    public final String filter;

    /** In words, null where the filter takes none. */
    public final String label;

    /** Null for what the filter's card says. */
    public final Part part;

    public final Hardware hardware;
    public final int threads;

    public Choice(String filter, String label, Part part, Hardware hardware, int threads) {
        this.filter = filter;
        this.label = label;
        this.part = part;
        this.hardware = hardware;
        this.threads = threads;
    }

    public Choice withFilter(String filter) {
        return new Choice(filter, null, null, hardware, threads);
    }

    public Choice withLabel(String label) {
        return new Choice(filter, label, part, hardware, threads);
    }

    public Choice withPart(Part part) {
        return new Choice(filter, label, part, hardware, threads);
    }

    public Choice withHardware(Hardware hardware) {
        return new Choice(filter, label, part, hardware, threads);
    }

    public Choice withThreads(int threads) {
        return new Choice(filter, label, part, hardware, threads);
    }

    /** Whether the same open filter does for both. */
    public boolean sameModel(Choice other) {
        return other != null
                && filter.equals(other.filter)
                && hardware == other.hardware
                && (hardware == Hardware.GPU || threads == other.threads);
    }

    /** As a text that outlives the process. */
    public String saved() {
        return filter + "\n" + (label == null ? "" : label) + "\n" + (part == null ? "" : part.name()) + "\n"
                + hardware.name() + "\n" + threads;
    }

    /** From such a text; `other` where it is none, or names a filter that is not there any more. */
    public static Choice restored(String saved, Iterable<String> filters, Choice other) {
        String[] lines = saved == null ? new String[0] : saved.split("\n", -1);
        if (lines.length != 5) {
            return other;
        }
        for (String filter : filters) {
            if (filter.equals(lines[0])) {
                return new Choice(
                        filter,
                        lines[1].isEmpty() ? null : lines[1],
                        lines[2].isEmpty() ? null : Part.valueOf(lines[2]),
                        Hardware.valueOf(lines[3]),
                        Integer.parseInt(lines[4]));
            }
        }
        return other;
    }
}
