package org.kgan.filter;

import java.io.IOException;

/** What stands in a filter's way: a sentence for people, and a reason that an app can translate. */
public final class FilterException extends IOException {
    /** What kind of obstacle it is. */
    public enum Reason {
        /** No file of that name, or no card beside it. */
        MISSING,
        /** The card cannot be read. */
        CARD,
        /** The card was written with another file. */
        OTHER_FILE,
        /** The model is damaged, or does what this library cannot run. */
        MODEL,
        /** There is no such label, or one is needed. */
        LABEL,
        /** No face was seen. */
        NO_FACE,
        /** The GPU cannot run the model, or not all of it. */
        NO_GPU,
        /** The picture cannot be read. */
        PICTURE,
        /** The picture needs more memory than there is. */
        MEMORY
    }

    public final Reason reason;

    public FilterException(Reason reason, String sentence) {
        super(sentence);
        this.reason = reason;
    }

    public FilterException(Reason reason, String sentence, Throwable cause) {
        super(sentence, cause);
        this.reason = reason;
    }
}
