package org.kgan.app.state;

import java.util.ArrayDeque;
import java.util.Deque;

/** How many frames a second come, over the last two seconds. */
public final class Pace {
    private static final double SECOND = 1e9; // nanoseconds
    private static final double WINDOW = 2 * SECOND;

    private final Deque<Long> times = new ArrayDeque<Long>();

    /** A frame came; the frames a second, 0 until there are two. */
    public double frame(long nanoseconds) {
        times.addLast(nanoseconds);
        while (nanoseconds - times.peekFirst() > WINDOW) {
            times.removeFirst();
        }
        long span = nanoseconds - times.peekFirst();
        return span <= 0 ? 0 : (times.size() - 1) * SECOND / span;
    }
}
