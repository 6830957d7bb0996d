package org.kgan.app;

import android.annotation.SuppressLint;
import android.content.Context;
import android.graphics.ImageFormat;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureFailure;
import android.hardware.camera2.CaptureRequest;
import android.hardware.camera2.params.StreamConfigurationMap;
import android.media.Image;
import android.media.ImageReader;
import android.os.Handler;
import android.os.HandlerThread;
import android.os.Looper;
import android.util.Size;
import android.view.Display;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.kgan.app.state.Sizes;
import org.kgan.app.state.Yuv;
import org.kgan.filter.Picture;

/** One opening of a camera: small frames as pictures, and a photo on request. It is used once and closed. */
final class FrameCamera {
    /** Told on the main thread; a camera that was closed tells nothing. */
    interface Listener {
        void opened(FrameCamera which);

        void failed(FrameCamera which);

        void frame(FrameCamera which, Picture picture);

        /** The photo as the bytes of a JPEG, null where it was lost. */
        void taken(FrameCamera which, byte[] jpeg);
    }

    private static final long FRAME = 640 * 480;
    private static final long PHOTO = 12000000;

    private static Handler thread;

    private final Context context;
    private final boolean front;
    private final Display display;
    private final Listener listener;
    private final Handler main = new Handler(Looper.getMainLooper());
    private final Handler handler = thread();
    private CameraDevice device; // this and what follows are the thread's own
    private CameraCaptureSession session;
    private ImageReader frames;
    private ImageReader photos;
    private int sensor; // degrees clockwise by which the sensor is turned
    private boolean mirrored;
    private volatile boolean closed;
    private volatile boolean waiting; // for the main thread to take the last frame

    FrameCamera(Context context, boolean front, Display display, Listener listener) {
        this.context = context.getApplicationContext();
        this.front = front;
        this.display = display;
        this.listener = listener;
    }

    /** The thread of all cameras: on it one is given back before the next is opened. */
    private static Handler thread() {
        if (thread == null) {
            HandlerThread started = new HandlerThread("kgan camera");
            started.start();
            thread = new Handler(started.getLooper());
        }
        return thread;
    }

    /** Open the camera; the permission is there. */
    void open() {
        handler.post(new Runnable() {
            @Override
            public void run() {
                if (closed) {
                    return;
                }
                try {
                    start();
                } catch (CameraAccessException error) {
                    fail();
                } catch (RuntimeException error) { // a camera of another app's, or a driver's fault
                    fail();
                }
            }
        });
    }

    @SuppressLint("MissingPermission")
    private void start() throws CameraAccessException {
        CameraManager manager = (CameraManager) context.getSystemService(Context.CAMERA_SERVICE);
        String id = choose(manager);
        if (id == null) {
            fail();
            return;
        }
        CameraCharacteristics facts = manager.getCameraCharacteristics(id);
        Integer facing = facts.get(CameraCharacteristics.LENS_FACING);
        mirrored = facing != null && facing == CameraCharacteristics.LENS_FACING_FRONT;
        sensor = facts.get(CameraCharacteristics.SENSOR_ORIENTATION);
        StreamConfigurationMap map = facts.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP);
        long most = Math.min(PHOTO, Sizes.largest(Runtime.getRuntime().maxMemory()));
        frames = reader(map, ImageFormat.YUV_420_888, FRAME, FRAME * 4, 2);
        photos = reader(map, ImageFormat.JPEG, most, most, 2); // acquireLatestImage wants two
        frames.setOnImageAvailableListener(new ImageReader.OnImageAvailableListener() {
            @Override
            public void onImageAvailable(ImageReader reader) {
                deliverFrame(reader);
            }
        }, handler);
        photos.setOnImageAvailableListener(new ImageReader.OnImageAvailableListener() {
            @Override
            public void onImageAvailable(ImageReader reader) {
                deliverPhoto(reader);
            }
        }, handler);
        manager.openCamera(id, new CameraDevice.StateCallback() {
            @Override
            public void onOpened(CameraDevice opened) {
                device = opened;
                if (closed) {
                    release();
                    return;
                }
                try {
                    preview();
                } catch (CameraAccessException error) {
                    fail();
                } catch (RuntimeException error) {
                    fail();
                }
            }

            @Override
            public void onDisconnected(CameraDevice lost) {
                lose(lost);
            }

            @Override
            public void onError(CameraDevice broken, int error) {
                lose(broken);
            }
        }, handler);
    }

    /** Degrees clockwise that bring a frame upright now: a phone turned by half starts no activity anew. */
    private int turn() {
        int turned = 90 * display.getRotation(); // Surface.ROTATION_0 to ROTATION_270 are 0 to 3
        return (mirrored ? sensor + turned : sensor - turned + 360) % 360;
    }

    private void lose(CameraDevice lost) {
        device = lost;
        if (closed) {
            release();
        } else {
            fail();
        }
    }

    /** The camera on the wanted side, or else any. */
    private String choose(CameraManager manager) throws CameraAccessException {
        int wanted = front ? CameraCharacteristics.LENS_FACING_FRONT : CameraCharacteristics.LENS_FACING_BACK;
        String[] ids = manager.getCameraIdList();
        for (String id : ids) {
            Integer facing = manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING);
            if (facing != null && facing == wanted) {
                return id;
            }
        }
        return ids.length == 0 ? null : ids[0];
    }

    private static ImageReader reader(StreamConfigurationMap map, int format, long pixels, long most, int images) {
        Size[] sizes = map.getOutputSizes(format);
        int[] widths = new int[sizes.length];
        int[] heights = new int[sizes.length];
        for (int i = 0; i < sizes.length; i++) {
            widths[i] = sizes[i].getWidth();
            heights[i] = sizes[i].getHeight();
        }
        int best = Sizes.nearest(widths, heights, pixels, most);
        return ImageReader.newInstance(widths[best], heights[best], format, images);
    }

    private void preview() throws CameraAccessException {
        device.createCaptureSession(
                Arrays.asList(frames.getSurface(), photos.getSurface()),
                new CameraCaptureSession.StateCallback() {
                    @Override
                    public void onConfigured(CameraCaptureSession configured) {
                        if (closed) {
                            return;
                        }
                        session = configured;
                        try {
                            CaptureRequest.Builder request = device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
                            request.addTarget(frames.getSurface());
                            session.setRepeatingRequest(request.build(), null, handler);
                            tell(new Runnable() {
                                @Override
                                public void run() {
                                    listener.opened(FrameCamera.this);
                                }
                            });
                        } catch (CameraAccessException error) {
                            fail();
                        } catch (IllegalStateException error) {
                            fail();
                        }
                    }

                    @Override
                    public void onConfigureFailed(CameraCaptureSession refused) {
                        fail();
                    }
                },
                handler);
    }

    /** Take a photo, upright by its EXIF data. */
    void take() {
        handler.post(new Runnable() {
            @Override
            public void run() {
                try {
                    CaptureRequest.Builder request = device.createCaptureRequest(CameraDevice.TEMPLATE_STILL_CAPTURE);
                    request.addTarget(photos.getSurface());
                    request.set(CaptureRequest.JPEG_ORIENTATION, turn());
                    session.capture(request.build(), new CameraCaptureSession.CaptureCallback() {
                        @Override
                        public void onCaptureFailed(
                                CameraCaptureSession which, CaptureRequest asked, CaptureFailure failure) {
                            deliver(null);
                        }
                    }, handler);
                } catch (CameraAccessException error) {
                    deliver(null);
                } catch (RuntimeException error) {
                    deliver(null);
                }
            }
        });
    }

    private void deliverFrame(ImageReader reader) {
        Picture picture = null;
        Image image = closed ? null : reader.acquireLatestImage();
        if (image == null) {
            return;
        }
        try {
            if (waiting) {
                return; // the main thread has not taken the last one yet
            }
            Image.Plane[] planes = image.getPlanes();
            picture = Yuv.picture(
                    planes[0].getBuffer(),
                    planes[1].getBuffer(),
                    planes[2].getBuffer(),
                    image.getWidth(),
                    image.getHeight(),
                    planes[0].getRowStride(),
                    planes[1].getRowStride(),
                    planes[1].getPixelStride());
        } finally {
            image.close();
        }
        final Picture upright = picture.turned(turn(), mirrored);
        waiting = true;
        tell(new Runnable() {
            @Override
            public void run() {
                waiting = false;
                listener.frame(FrameCamera.this, upright);
            }
        });
    }

    private void deliverPhoto(ImageReader reader) {
        Image image = closed ? null : reader.acquireLatestImage();
        if (image == null) {
            return;
        }
        try {
            ByteBuffer buffer = image.getPlanes()[0].getBuffer();
            byte[] jpeg = new byte[buffer.remaining()];
            buffer.get(jpeg);
            deliver(jpeg);
        } finally {
            image.close();
        }
    }

    private void deliver(final byte[] jpeg) {
        tell(new Runnable() {
            @Override
            public void run() {
                listener.taken(FrameCamera.this, jpeg);
            }
        });
    }

    private void fail() {
        tell(new Runnable() {
            @Override
            public void run() {
                listener.failed(FrameCamera.this);
            }
        });
    }

    private void tell(final Runnable news) {
        main.post(new Runnable() {
            @Override
            public void run() {
                if (!closed) {
                    news.run();
                }
            }
        });
    }

    /** Give the camera back. One that opens after this is given back then. */
    void close() {
        closed = true;
        handler.post(new Runnable() {
            @Override
            public void run() {
                release();
            }
        });
    }

    private void release() {
        if (device != null) {
            device.close();
            device = null;
        }
        if (frames != null) {
            frames.close();
            photos.close();
        }
        frames = null;
        photos = null;
    }
}
