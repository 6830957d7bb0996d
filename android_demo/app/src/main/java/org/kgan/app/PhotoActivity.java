package org.kgan.app;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.ClipData;
import android.content.Intent;
import android.graphics.Bitmap;
import android.net.Uri;
import android.os.Build;
import android.os.Bundle;
import android.provider.MediaStore;
import android.view.View;
import android.widget.Toast;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import org.kgan.app.state.Choice;
import org.kgan.filter.Bitmaps;
import org.kgan.filter.Filter;
import org.kgan.filter.FilterException;
import org.kgan.filter.Picture;

/** A photo and what a filter makes of it. */
public final class PhotoActivity extends Activity implements Panel.Listener, View.OnClickListener {
    private static final int PICK = 1;
    private static final int CAMERA = 2;
    private static final int SAVE_AS = 3;
    private static final int PICKER = 33; // the Android version that has a photo picker
    static final String CHOICE = "choice";
    private static final String PLACE = "place";

    private Studio studio;
    private Panel panel;
    private CompareView compare;
    private Photos.Photo photo;
    private Bitmap before;
    private Picture result;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.photo);
        studio = Studio.of(this);
        compare = findViewById(R.id.compare);
        for (int id : new int[] {R.id.pick, R.id.camera, R.id.save, R.id.share}) {
            findViewById(id).setOnClickListener(this);
        }
        if (saved != null) {
            compare.setPlace(saved.getFloat(PLACE));
        }
        String text = saved == null ? null : saved.getString(CHOICE);
        panel = new Panel(this, Choice.restored(text, studio.filters(), Panel.first(studio)), this);
        finished(null);
        panel.choose(panel.choice());
        read();
    }

    @Override
    protected void onSaveInstanceState(Bundle state) {
        super.onSaveInstanceState(state);
        state.putFloat(PLACE, compare.place());
        if (panel.choice() != null) {
            state.putString(CHOICE, panel.choice().saved());
        }
    }

    @Override
    protected void onDestroy() {
        super.onDestroy();
        if (isFinishing()) {
            studio.rest();
        }
    }

    /** Read the photo at hand beside the main thread, then draw it. */
    private void read() {
        studio.work(new Studio.Work<Photos.Photo>() {
            @Override
            public Photos.Photo give() throws FilterException {
                return Photos.read(PhotoActivity.this);
            }
        }, new Studio.Told<Photos.Photo>() {
            @Override
            public void of(Photos.Photo read) {
                photo = read;
                before = Bitmaps.bitmap(read.picture);
                finished(null);
                if (panel.choice() != null) {
                    chosen(panel.choice());
                }
            }

            @Override
            public void failed(FilterException error) {
                photo = null;
                before = null;
                finished(null);
                panel.say(Panel.sentence(PhotoActivity.this, error));
            }
        });
    }

    @Override
    public void chosen(Choice choice) {
        if (photo == null) {
            return;
        }
        panel.say(getString(R.string.drawing));
        enableResult(false); // of the choice before
        final Photos.Photo subject = photo; // another may be at hand before it is drawn, or none
        studio.draw(subject.picture, choice, new Studio.Listener() {
            @Override
            public void drawn(Picture picture, Filter filter, long milliseconds) {
                if (subject == photo) {
                    finished(picture);
                    panel.figures(filter, milliseconds, 0);
                    panel.say(subject.remark == null ? getString(R.string.drawn) : subject.remark);
                }
            }

            @Override
            public void failed(FilterException error) {
                if (subject == photo) {
                    finished(null);
                    panel.say(Panel.sentence(PhotoActivity.this, error));
                }
            }
        });
    }

    /** Show the photo and its result, null while there is none. */
    private void finished(Picture picture) {
        result = picture;
        compare.show(before, picture == null ? null : Bitmaps.bitmap(picture));
        enableResult(picture != null);
    }

    private void enableResult(boolean there) {
        findViewById(R.id.save).setEnabled(there);
        findViewById(R.id.share).setEnabled(there);
    }

    @Override
    public void onClick(View view) {
        int id = view.getId();
        if (id == R.id.pick) {
            pick();
        } else if (id == R.id.camera) {
            Intent live = new Intent(this, LiveActivity.class);
            if (panel.choice() != null) {
                live.putExtra(CHOICE, panel.choice().saved());
            }
            startActivityForResult(live, CAMERA);
        } else if (id == R.id.save) {
            save();
        } else {
            share();
        }
    }

    private void pick() {
        Intent intent = Build.VERSION.SDK_INT >= PICKER
                ? new Intent(MediaStore.ACTION_PICK_IMAGES)
                : new Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE);
        start(intent.setType("image/*"), PICK);
    }

    private void save() {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.Q) {
            start(
                    new Intent(Intent.ACTION_CREATE_DOCUMENT)
                            .addCategory(Intent.CATEGORY_OPENABLE)
                            .setType("image/jpeg")
                            .putExtra(Intent.EXTRA_TITLE, Photos.name()),
                    SAVE_AS);
            return;
        }
        final Picture picture = result;
        write(new Studio.Work<Uri>() {
            @Override
            public Uri give() throws IOException {
                return Photos.save(PhotoActivity.this, picture);
            }
        });
    }

    /** Write beside the main thread, then say so. */
    private void write(Studio.Work<Uri> work) {
        studio.work(work, new Studio.Told<Uri>() {
            @Override
            public void of(Uri uri) {
                panel.say(getString(R.string.saved));
            }

            @Override
            public void failed(FilterException error) {
                panel.say(getString(R.string.not_saved));
            }
        });
    }

    private void share() {
        final Picture picture = result;
        studio.work(new Studio.Work<Uri>() {
            @Override
            public Uri give() throws IOException {
                return Photos.shared(PhotoActivity.this, picture);
            }
        }, new Studio.Told<Uri>() {
            @Override
            public void of(Uri uri) {
                Intent send = new Intent(Intent.ACTION_SEND).setType("image/jpeg").putExtra(Intent.EXTRA_STREAM, uri);
                send.setClipData(ClipData.newRawUri(null, uri));
                send.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION);
                startActivity(Intent.createChooser(send, getString(R.string.share)));
            }

            @Override
            public void failed(FilterException error) {
                panel.say(getString(R.string.not_saved));
            }
        });
    }

    private void start(Intent intent, int request) {
        try {
            startActivityForResult(intent, request);
        } catch (ActivityNotFoundException error) {
            toast(R.string.no_app);
        }
    }

    private void toast(int text) {
        Toast.makeText(this, text, Toast.LENGTH_LONG).show();
    }

    @Override
    protected void onActivityResult(int request, int code, Intent data) {
        super.onActivityResult(request, code, data);
        if (code != RESULT_OK) {
            return;
        }
        final Uri uri = data == null ? null : data.getData();
        if (request == CAMERA) {
            String text = data == null ? null : data.getStringExtra(CHOICE);
            photo = null; // the one before is not drawn once more
            panel.choose(Choice.restored(text, studio.filters(), panel.choice()));
            read();
        } else if (request == PICK && uri != null) {
            keep(uri);
        } else if (request == SAVE_AS && uri != null && result == null) {
            toast(R.string.not_saved_yet);
        } else if (request == SAVE_AS && uri != null) {
            final Picture picture = result;
            write(new Studio.Work<Uri>() {
                @Override
                public Uri give() throws IOException {
                    Photos.write(getContentResolver().openOutputStream(uri), picture);
                    return uri;
                }
            });
        }
    }

    /** Copy the chosen photo, which may come from a cloud, and read it. */
    private void keep(final Uri uri) {
        panel.say(getString(R.string.reading));
        studio.work(new Studio.Work<Uri>() {
            @Override
            public Uri give() throws IOException {
                try {
                    InputStream stream = getContentResolver().openInputStream(uri);
                    if (stream == null) {
                        throw new FileNotFoundException(uri.toString());
                    }
                    Photos.keep(PhotoActivity.this, stream);
                    return uri;
                } catch (SecurityException error) {
                    throw new IOException(error);
                }
            }
        }, new Studio.Told<Uri>() {
            @Override
            public void of(Uri kept) {
                read();
            }

            @Override
            public void failed(FilterException error) {
                panel.say(getString(R.string.not_copied));
            }
        });
    }
}
