package org.kgan.app.state;

/**
 * What the camera's screen is doing. Each event says what is to be done next; whatever order they come in, no permission
 * is asked for twice at once, no camera is opened twice, and none stays open behind another app.
 */
public final class CameraScreen {
    /** What it is doing. */
    public enum State {
        /** Not to be seen. */
        HIDDEN,
        /** People are being asked whether the camera may be used. */
        ASKING,
        /** They said no. */
        REFUSED,
        /** The camera was asked to open. */
        OPENING,
        /** Frames come. */
        LIVE,
        /** A photo is being taken. */
        TAKING,
        /** The camera could not be opened, or was taken away. */
        FAILED
    }

    /** What the screen has to do. */
    public enum Action {
        NONE,
        ASK,
        OPEN,
        CLOSE,
        TAKE,
        /** Go back with the photo. */
        DELIVER
    }

    private State state;

    /** @param asking whether people were being asked when this screen was last destroyed, as by a rotation. */
    public CameraScreen(boolean asking) {
        state = asking ? State.ASKING : State.HIDDEN;
    }

    public State state() {
        return state;
    }

    /** The screen came to the front. */
    public Action shown(boolean permitted) {
        if (state == State.OPENING || state == State.LIVE || state == State.TAKING) {
            return Action.NONE;
        }
        if (permitted) {
            return to(State.OPENING, Action.OPEN);
        }
        return state == State.HIDDEN || state == State.FAILED ? to(State.ASKING, Action.ASK) : Action.NONE;
    }

    /** Something else came before it. The question whether the camera may be used does so too, and stays. */
    public Action hidden() {
        switch (state) {
            case OPENING:
            case LIVE:
            case TAKING:
                return to(State.HIDDEN, Action.CLOSE);
            case FAILED:
                return to(State.HIDDEN, Action.NONE);
            default:
                return Action.NONE;
        }
    }

    /** People answered. The screen is shown again after it, which opens the camera. */
    public Action answered(boolean permitted) {
        return state == State.ASKING ? to(permitted ? State.HIDDEN : State.REFUSED, Action.NONE) : Action.NONE;
    }

    /** The question was taken away before it was answered; it is asked again when the screen is shown. */
    public Action cancelled() {
        return state == State.ASKING ? to(State.HIDDEN, Action.NONE) : Action.NONE;
    }

    /** The camera is there. One that opens after the screen was left is closed. */
    public Action opened() {
        return state == State.OPENING ? to(State.LIVE, Action.NONE) : Action.CLOSE;
    }

    /** The camera cannot be opened, or was taken away. */
    public Action failed() {
        boolean inUse = state == State.OPENING || state == State.LIVE || state == State.TAKING;
        return inUse ? to(State.FAILED, Action.CLOSE) : Action.NONE;
    }

    /** People want it tried again. */
    public Action again() {
        switch (state) {
            case REFUSED:
                return to(State.ASKING, Action.ASK);
            case FAILED:
                return to(State.OPENING, Action.OPEN);
            default:
                return Action.NONE;
        }
    }

    /** The other camera is wanted. */
    public Action turned() {
        return state == State.LIVE ? to(State.OPENING, Action.OPEN) : Action.NONE;
    }

    /** The shutter was pressed. */
    public Action pressed() {
        return state == State.LIVE ? to(State.TAKING, Action.TAKE) : Action.NONE;
    }

    /** The photo is there, or was lost. */
    public Action taken(boolean whole) {
        if (state != State.TAKING) {
            return Action.NONE;
        }
        return whole ? to(State.HIDDEN, Action.DELIVER) : to(State.LIVE, Action.NONE);
    }

    private Action to(State next, Action action) {
        state = next;
        return action;
    }
}
