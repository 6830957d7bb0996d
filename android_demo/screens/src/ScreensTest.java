package org.kgan.app;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import android.Manifest;
import android.app.Activity;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.os.Bundle;
import android.view.View;
import android.view.ViewGroup;
import android.widget.RadioButton;
import android.widget.TextView;
import java.io.File;
import java.io.FileOutputStream;
import java.util.ArrayList;
import java.util.List;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.annotation.GraphicsMode;
import org.robolectric.shadows.ShadowLooper;

/** The screens in Robolectric: they are drawn to PNG files to be looked at, and pressed. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
public final class ScreensTest {
    private static final String PHONE = "w411dp-h891dp-420dpi";
    private static final long PATIENCE = 60000; // ms

    private interface Condition {
        boolean holds();
    }

    private static void await(Condition condition) throws InterruptedException {
        long end = System.currentTimeMillis() + PATIENCE;
        while (!condition.holds()) {
            assertTrue("in vain", System.currentTimeMillis() < end);
            Thread.sleep(20);
            ShadowLooper.idleMainLooper();
        }
    }

    private static <T extends Activity> ActivityController<T> open(Class<T> kind, Bundle saved) throws Exception {
        return Robolectric.buildActivity(kind).create(saved).start().resume().visible();
    }

    private static void awaitDrawn(final Activity activity) throws InterruptedException {
        await(new Condition() {
            @Override
            public boolean holds() {
                return activity.findViewById(R.id.save).isEnabled();
            }
        });
        await(new Condition() { // the strip's small pictures
            @Override
            public boolean holds() {
                return chips(activity).get(1).getCompoundDrawables()[1] != null;
            }
        });
    }

    private static void draw(Activity activity, String name) throws Exception {
        ShadowLooper.idleMainLooper(); // what was said may take another line
        View root = activity.findViewById(android.R.id.content).getRootView();
        Bitmap bitmap = Bitmap.createBitmap(root.getWidth(), root.getHeight(), Bitmap.Config.ARGB_8888);
        root.draw(new Canvas(bitmap));
        try (FileOutputStream stream = new FileOutputStream(new File(System.getProperty("screens"), name + ".png"))) {
            bitmap.compress(Bitmap.CompressFormat.PNG, 100, stream);
        }
    }

    private static List<RadioButton> chips(Activity activity) {
        List<RadioButton> chips = new ArrayList<RadioButton>();
        collect(activity.findViewById(R.id.rows), chips);
        return chips;
    }

    private static void collect(View view, List<RadioButton> chips) {
        if (view instanceof RadioButton) {
            chips.add((RadioButton) view);
        } else if (view instanceof ViewGroup) {
            for (int i = 0; i < ((ViewGroup) view).getChildCount(); i++) {
                collect(((ViewGroup) view).getChildAt(i), chips);
            }
        }
    }

    private static RadioButton chip(Activity activity, String text) {
        for (RadioButton chip : chips(activity)) {
            if (chip.getText().toString().equals(text)) {
                return chip;
            }
        }
        return null;
    }

    private static String text(Activity activity, int id) {
        return ((TextView) activity.findViewById(id)).getText().toString();
    }

    @Test
    @Config(qualifiers = PHONE)
    public void thePhotoIsDrawnAndItsFiguresAreSaid() throws Exception {
        Activity photo = open(PhotoActivity.class, null).get();
        awaitDrawn(photo);
        assertTrue(text(photo, R.id.figures), text(photo, R.id.figures).startsWith("CPU, 2 threads · dynamic_wi8_afp32 · "));
        assertEquals("Done.", text(photo, R.id.message));
        draw(photo, "photo");
    }

    @Test
    @Config(qualifiers = "ko-" + PHONE)
    public void labelsAreChips() throws Exception {
        Activity photo = open(PhotoActivity.class, null).get();
        awaitDrawn(photo);
        chips(photo).get(1).performClick();
        awaitDrawn(photo);
        assertTrue(chip(photo, "aqua").isChecked());
        chip(photo, "blonde").performClick();
        assertTrue(chip(photo, "blonde").isChecked());
        assertFalse(chip(photo, "aqua").isChecked());
        chip(photo, "female").performClick(); // of the other set
        assertFalse(chip(photo, "blonde").isChecked());
        awaitDrawn(photo);
        draw(photo, "labels_korean");
    }

    @Test
    @Config(qualifiers = "w891dp-h411dp-land-night-420dpi")
    public void itIsDarkAtNightAndBesideTheRowsWhenTurned() throws Exception {
        Activity photo = open(PhotoActivity.class, null).get();
        awaitDrawn(photo);
        draw(photo, "photo_night");
    }

    @Test
    @Config(qualifiers = PHONE)
    public void aGpuThatCannotIsSaidAndNothingElseDraws() throws Exception {
        final Activity photo = open(PhotoActivity.class, null).get();
        awaitDrawn(photo);
        chip(photo, "GPU").performClick();
        await(new Condition() {
            @Override
            public boolean holds() {
                return text(photo, R.id.message).startsWith("The GPU does not run this filter; nothing was drawn.");
            }
        });
        assertFalse(photo.findViewById(R.id.save).isEnabled());
    }

    @Test
    @Config(qualifiers = PHONE)
    public void theChoiceOutlivesTheScreen() throws Exception {
        ActivityController<PhotoActivity> first = open(PhotoActivity.class, null);
        awaitDrawn(first.get());
        chips(first.get()).get(1).performClick();
        chip(first.get(), "pink").performClick();
        Bundle saved = new Bundle();
        first.saveInstanceState(saved).pause().stop().destroy();
        Activity second = open(PhotoActivity.class, saved).get();
        assertTrue(chip(second, "pink").isChecked());
    }

    @Test
    @Config(qualifiers = PHONE)
    public void aFileThatIsNoPictureIsSaid() throws Exception {
        File file = Photos.current(RuntimeEnvironment.getApplication());
        try (FileOutputStream stream = new FileOutputStream(file)) {
            stream.write("no picture".getBytes());
        }
        final Activity photo = open(PhotoActivity.class, null).get();
        await(new Condition() {
            @Override
            public boolean holds() {
                return text(photo, R.id.message).startsWith("This file (?) cannot be read as a picture");
            }
        });
        assertTrue(file.delete());
    }

    @Test
    @Config(qualifiers = PHONE)
    public void aRefusedCameraIsSaidAndCanBeAskedForAgain() throws Exception {
        Shadows.shadowOf(RuntimeEnvironment.getApplication()).denyPermissions(Manifest.permission.CAMERA);
        ActivityController<LiveActivity> live = open(LiveActivity.class, null);
        live.get().onRequestPermissionsResult(1, new String[] {Manifest.permission.CAMERA}, new int[] {-1});
        assertTrue(text(live.get(), R.id.message).startsWith("Without your permission the camera stays off."));
        assertEquals(View.VISIBLE, live.get().findViewById(R.id.again).getVisibility());
        assertFalse(live.get().findViewById(R.id.shutter).isEnabled());
        draw(live.get(), "camera_refused");
    }

    @Test
    @Config(qualifiers = PHONE)
    public void allThatCanBePressedIsNamedAndLargeEnough() throws Exception {
        Activity photo = open(PhotoActivity.class, null).get();
        awaitDrawn(photo);
        float least = 48 * photo.getResources().getDisplayMetrics().density - 1;
        for (int id : new int[] {R.id.pick, R.id.camera, R.id.save, R.id.share}) {
            View button = photo.findViewById(id);
            assertNotNull(button.getContentDescription());
            assertTrue(button.getHeight() >= least);
        }
        for (RadioButton chip : chips(photo)) {
            assertTrue(chip.getText().length() > 0 && chip.getHeight() >= least);
        }
        assertNotNull(photo.findViewById(R.id.compare).getContentDescription());
        assertNull(photo.findViewById(R.id.again));
    }
}
