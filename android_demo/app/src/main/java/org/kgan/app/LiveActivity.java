package org.kgan.app;

import android.Manifest;
import android.app.Activity;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.os.Bundle;
import android.view.View;
import android.widget.Button;
import android.widget.Toast;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import org.kgan.app.state.CameraScreen;
import org.kgan.app.state.CameraScreen.Action;
import org.kgan.app.state.Choice;
import org.kgan.app.state.Pace;
import org.kgan.filter.Bitmaps;
import org.kgan.filter.Filter;
import org.kgan.filter.FilterException;
import org.kgan.filter.Picture;

/** The camera's picture through a filter, and a shutter. */
public final class LiveActivity extends Activity
        implements Panel.Listener, View.OnClickListener, FrameCamera.Listener {
    private static final int PERMISSION = 1;
    private static final String ASKING = "asking";
    private static final String FRONT = "front";

    private Studio studio;
    private Panel panel;
    private CompareView view;
    private FrameCamera camera;
    private CameraScreen screen;
    private boolean front = true;
    private Pace pace = new Pace();

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.live);
        studio = Studio.of(this);
        view = findViewById(R.id.compare);
        for (int id : new int[] {R.id.shutter, R.id.turn, R.id.again}) {
            findViewById(id).setOnClickListener(this);
        }
        screen = new CameraScreen(saved != null && saved.getBoolean(ASKING));
        front = saved == null || saved.getBoolean(FRONT);
        String text = saved == null
                ? getIntent().getStringExtra(PhotoActivity.CHOICE)
                : saved.getString(PhotoActivity.CHOICE);
        panel = new Panel(this, Choice.restored(text, studio.filters(), Panel.first(studio)), this);
        panel.choose(panel.choice());
    }

    @Override
    protected void onSaveInstanceState(Bundle state) {
        super.onSaveInstanceState(state);
        state.putBoolean(ASKING, screen.state() == CameraScreen.State.ASKING);
        state.putBoolean(FRONT, front);
        if (panel.choice() != null) {
            state.putString(PhotoActivity.CHOICE, panel.choice().saved());
        }
    }

    @Override
    protected void onResume() {
        super.onResume();
        act(screen.shown(checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED));
    }

    @Override
    protected void onPause() {
        act(screen.hidden());
        super.onPause();
    }

    @Override
    public void onRequestPermissionsResult(int request, String[] permissions, int[] results) {
        super.onRequestPermissionsResult(request, permissions, results);
        act(results.length == 0
                ? screen.cancelled()
                : screen.answered(results[0] == PackageManager.PERMISSION_GRANTED));
    }

    @Override
    public void onClick(View clicked) {
        int id = clicked.getId();
        if (id == R.id.shutter) {
            act(screen.pressed());
        } else if (id == R.id.again) {
            act(screen.again());
        } else {
            Action action = screen.turned();
            if (action == Action.OPEN) {
                front = !front;
                close();
            }
            act(action);
        }
    }

    private void act(Action action) {
        switch (action) {
            case ASK:
                requestPermissions(new String[] {Manifest.permission.CAMERA}, PERMISSION);
                break;
            case OPEN:
                pace = new Pace();
                camera = new FrameCamera(this, front, getWindowManager().getDefaultDisplay(), this);
                camera.open();
                break;
            case CLOSE:
                close();
                break;
            case TAKE:
                camera.take();
                break;
            case DELIVER:
                close();
                setResult(RESULT_OK, new Intent().putExtra(PhotoActivity.CHOICE, panel.choice().saved()));
                finish();
                break;
            default:
                break;
        }
        show();
    }

    /** What can be pressed, and what is said, in this state. */
    private void show() {
        CameraScreen.State state = screen.state();
        boolean live = state == CameraScreen.State.LIVE;
        findViewById(R.id.shutter).setEnabled(live && panel.choice() != null);
        findViewById(R.id.turn).setEnabled(live);
        boolean refused = state == CameraScreen.State.REFUSED;
        Button again = findViewById(R.id.again);
        again.setVisibility(refused || state == CameraScreen.State.FAILED ? View.VISIBLE : View.GONE);
        if (refused) {
            panel.say(getString(R.string.camera_refused));
        } else if (state == CameraScreen.State.FAILED) {
            panel.say(getString(R.string.camera_failed));
        } else if (state == CameraScreen.State.OPENING) {
            panel.say(getString(R.string.camera_opening));
        }
    }

    private void close() {
        if (camera != null) {
            camera.close();
            camera = null;
        }
    }

    @Override
    public void chosen(Choice choice) {
        pace = new Pace();
    }

    @Override
    public void opened(FrameCamera which) {
        act(which == camera ? screen.opened() : Action.NONE);
    }

    @Override
    public void failed(FrameCamera which) {
        act(which == camera ? screen.failed() : Action.NONE);
    }

    @Override
    public void frame(FrameCamera which, final Picture picture) {
        if (which != camera || panel.choice() == null || screen.state() != CameraScreen.State.LIVE) {
            return;
        }
        studio.frame(picture, panel.choice(), new Studio.Listener() {
            @Override
            public void drawn(Picture result, Filter filter, long milliseconds) {
                if (screen.state() == CameraScreen.State.LIVE) {
                    view.show(null, Bitmaps.bitmap(result));
                    panel.figures(filter, milliseconds, pace.frame(System.nanoTime()));
                    panel.say("");
                }
            }

            @Override
            public void failed(FilterException error) {
                if (screen.state() == CameraScreen.State.LIVE) {
                    view.show(Bitmaps.bitmap(picture), null);
                    panel.say(Panel.sentence(LiveActivity.this, error));
                }
            }
        });
    }

    @Override
    public void taken(final FrameCamera which, final byte[] jpeg) {
        if (which != camera) {
            return;
        }
        studio.work(new Studio.Work<Boolean>() {
            @Override
            public Boolean give() throws IOException {
                if (jpeg == null) {
                    throw new IOException("no JPEG");
                }
                Photos.keep(LiveActivity.this, new ByteArrayInputStream(jpeg));
                return true;
            }
        }, new Studio.Told<Boolean>() {
            @Override
            public void of(Boolean whole) {
                act(screen.taken(true));
            }

            @Override
            public void failed(FilterException error) {
                act(screen.taken(false));
                Toast.makeText(LiveActivity.this, R.string.not_taken, Toast.LENGTH_LONG).show(); // frames clear the line
            }
        });
    }
}
