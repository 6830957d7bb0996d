package org.kgan.app.state;

import static org.junit.Assert.assertEquals;

import org.junit.Test;
import org.kgan.app.state.CameraScreen.Action;
import org.kgan.app.state.CameraScreen.State;

public final class CameraScreenTest {
    private final CameraScreen screen = new CameraScreen(false);

    private void live() {
        assertEquals(Action.OPEN, screen.shown(true));
        assertEquals(Action.NONE, screen.opened());
        assertEquals(State.LIVE, screen.state());
    }

    @Test
    public void permissionIsAskedOnceThoughTheQuestionHidesTheScreen() {
        assertEquals(Action.ASK, screen.shown(false));
        assertEquals(Action.NONE, screen.hidden());
        assertEquals(Action.NONE, screen.shown(false));
        assertEquals(Action.NONE, screen.answered(true));
        assertEquals(Action.OPEN, screen.shown(true));
    }

    @Test
    public void aRefusalIsNotAskedAgainUnlessPeopleWantIt() {
        screen.shown(false);
        screen.answered(false);
        assertEquals(State.REFUSED, screen.state());
        assertEquals(Action.NONE, screen.shown(false));
        assertEquals(Action.ASK, screen.again());
        screen.answered(false);
        assertEquals(Action.OPEN, screen.shown(true)); // allowed in the phone's settings meanwhile
    }

    @Test
    public void aRotationWhileAskingDoesNotAskTwice() {
        CameraScreen turned = new CameraScreen(true);
        assertEquals(Action.NONE, turned.shown(false));
        assertEquals(Action.NONE, turned.cancelled());
        assertEquals(Action.ASK, turned.shown(false));
    }

    @Test
    public void leavingClosesTheCamera() {
        live();
        assertEquals(Action.CLOSE, screen.hidden());
        assertEquals(Action.NONE, screen.hidden());
        assertEquals(Action.OPEN, screen.shown(true));
    }

    @Test
    public void aCameraThatOpensTooLateIsClosed() {
        screen.shown(true);
        screen.hidden();
        assertEquals(Action.CLOSE, screen.opened());
    }

    @Test
    public void aCameraThatIsTakenAwayCanBeTriedAgain() {
        live();
        assertEquals(Action.CLOSE, screen.failed());
        assertEquals(Action.NONE, screen.failed());
        assertEquals(Action.OPEN, screen.again());
    }

    @Test
    public void thePhotoIsTakenOnceAndDelivered() {
        live();
        assertEquals(Action.TAKE, screen.pressed());
        assertEquals(Action.NONE, screen.pressed());
        assertEquals(Action.DELIVER, screen.taken(true));
        assertEquals(Action.NONE, screen.taken(true));
    }

    @Test
    public void aLostPhotoGoesBackToThePreview() {
        live();
        screen.pressed();
        assertEquals(Action.NONE, screen.taken(false));
        assertEquals(State.LIVE, screen.state());
    }

    @Test
    public void nothingIsTakenBeforeTheCameraIsThere() {
        screen.shown(true);
        assertEquals(Action.NONE, screen.pressed());
        assertEquals(Action.NONE, screen.turned());
    }
}
