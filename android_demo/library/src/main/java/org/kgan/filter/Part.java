package org.kgan.filter;

/** Which part of a picture a filter works on. */
public enum Part {
    /** Every face, cut out, turned upright, and blended back into the picture. */
    FACES("face"),
    /** The middle square, in the filter's own size. */
    CENTER("center"),
    /** All of it, fitted into the filter's own size: the result is as small. */
    WHOLE("none"),
    /** All of it in its own size, in tiles that overlap. */
    TILES(null);

    private final String crop;

    Part(String crop) {
        this.crop = crop;
    }

    /** The part that a card's "crop" names, null where there is none such. */
    static Part ofCard(String crop) {
        for (Part part : values()) {
            if (crop.equals(part.crop)) {
                return part;
            }
        }
        return null;
    }
}
