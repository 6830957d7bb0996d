package org.kgan.app;

import android.content.ContentResolver;
import android.content.ContentValues;
import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.ColorSpace;
import android.media.ExifInterface;
import android.net.Uri;
import android.os.Build;
import android.provider.MediaStore;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import org.kgan.app.state.Sizes;
import org.kgan.filter.Bitmaps;
import org.kgan.filter.FilterException;
import org.kgan.filter.FilterException.Reason;
import org.kgan.filter.Picture;

/** The photo at hand, which lies in the app's own folder so that it outlives rotation and process; and its results. */
final class Photos {
    private static final int QUALITY = 95;
    private static final String SAMPLE = "sample.png"; // a photo, and right of its square a drawing of it

    /** A photo, and what is to be said of it: null, or a sentence. */
    static final class Photo {
        final Picture picture;
        final String remark;

        Photo(Picture picture, String remark) {
            this.picture = picture;
            this.remark = remark;
        }
    }

    private Photos() {}

    /** Where the photo at hand lies. */
    static File current(Context context) {
        return new File(context.getNoBackupFilesDir(), "photo");
    }

    /** Keep what people chose as the photo at hand; the one before goes only when this one is whole. */
    static void keep(Context context, InputStream stream) throws IOException {
        File whole = current(context);
        File part = new File(whole.getPath() + ".part");
        try (InputStream from = stream;
                OutputStream to = new FileOutputStream(part)) {
            byte[] block = new byte[1 << 16];
            for (int count = from.read(block); count >= 0; count = from.read(block)) {
                to.write(block, 0, count);
            }
            to.close();
            if (!part.renameTo(whole)) {
                throw new IOException(whole.getPath());
            }
        } finally {
            part.delete(); // there only where something failed
        }
    }

    /** The photo at hand, upright and as large as memory allows; the sample where none was chosen yet. */
    static Photo read(Context context) throws FilterException {
        File file = current(context);
        if (!file.isFile()) {
            return new Photo(sample(context), null);
        }
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inJustDecodeBounds = true;
        BitmapFactory.decodeFile(file.getPath(), options);
        String kind = options.outMimeType == null ? "" : options.outMimeType;
        if (options.outWidth <= 0) {
            throw new FilterException(
                    Reason.PICTURE, context.getString(R.string.unreadable, kind.isEmpty() ? "?" : kind));
        }
        options.inJustDecodeBounds = false;
        options.inPreferredConfig = Bitmap.Config.ARGB_8888;
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.O) {
            options.inPreferredColorSpace = ColorSpace.get(ColorSpace.Named.SRGB);
        }
        long pixels = (long) options.outWidth * options.outHeight;
        int divisor = Sizes.divisor(
                options.outWidth, options.outHeight, Sizes.largest(Runtime.getRuntime().maxMemory()));
        options.inSampleSize = divisor;
        try {
            Bitmap bitmap = BitmapFactory.decodeFile(file.getPath(), options);
            if (bitmap == null) {
                throw new FilterException(Reason.PICTURE, context.getString(R.string.unreadable, kind));
            }
            Picture picture = upright(Bitmaps.picture(bitmap), file, kind);
            bitmap.recycle();
            return new Photo(picture, remark(context, kind, pixels, divisor, picture));
        } catch (OutOfMemoryError error) {
            throw new FilterException(Reason.MEMORY, context.getString(R.string.no_memory), error);
        }
    }

    private static String remark(Context context, String kind, long pixels, int divisor, Picture picture) {
        if (divisor > 1) {
            long left = (long) picture.width * picture.height;
            return context.getString(R.string.made_smaller, pixels / 1000000.0, left / 1000000.0);
        }
        return kind.equals("image/gif") ? context.getString(R.string.first_frame) : null;
    }

    /** Turned as a JPEG's EXIF data say; decoders of HEIC and AVIF have turned it themselves. */
    private static Picture upright(Picture picture, File file, String kind) {
        if (kind.equals("image/heif") || kind.equals("image/heic") || kind.equals("image/avif")) {
            return picture;
        }
        int orientation = ExifInterface.ORIENTATION_NORMAL;
        try {
            orientation = new ExifInterface(file.getPath())
                    .getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL);
        } catch (IOException error) {
            return picture; // it has none
        }
        switch (orientation) {
            case ExifInterface.ORIENTATION_ROTATE_90:
                return picture.turned(90, false);
            case ExifInterface.ORIENTATION_ROTATE_180:
                return picture.turned(180, false);
            case ExifInterface.ORIENTATION_ROTATE_270:
                return picture.turned(270, false);
            case ExifInterface.ORIENTATION_FLIP_HORIZONTAL:
                return picture.turned(0, true);
            case ExifInterface.ORIENTATION_FLIP_VERTICAL:
                return picture.turned(180, true);
            case ExifInterface.ORIENTATION_TRANSPOSE:
                return picture.turned(90, true);
            case ExifInterface.ORIENTATION_TRANSVERSE:
                return picture.turned(270, true);
            default:
                return picture;
        }
    }

    /** The photo that comes with the app. */
    static Picture sample(Context context) throws FilterException {
        try (InputStream stream = context.getAssets().open(SAMPLE)) {
            Picture sheet = Bitmaps.picture(BitmapFactory.decodeStream(stream));
            return sheet.part(0, 0, sheet.height, sheet.height);
        } catch (IOException error) {
            throw new FilterException(Reason.PICTURE, SAMPLE + " is missing from the app's assets.", error);
        }
    }

    /** Save a result among the phone's pictures, Android 10 and later: no permission is needed for that. */
    static Uri save(Context context, Picture picture) throws IOException {
        ContentResolver resolver = context.getContentResolver();
        ContentValues values = new ContentValues();
        values.put(MediaStore.MediaColumns.DISPLAY_NAME, name());
        values.put(MediaStore.MediaColumns.MIME_TYPE, "image/jpeg");
        values.put(MediaStore.MediaColumns.RELATIVE_PATH, "Pictures/kgan");
        values.put(MediaStore.MediaColumns.IS_PENDING, 1);
        Uri uri = resolver.insert(MediaStore.Images.Media.EXTERNAL_CONTENT_URI, values);
        if (uri == null) {
            throw new IOException("MediaStore");
        }
        boolean whole = false;
        try {
            write(resolver.openOutputStream(uri), picture);
            values.clear();
            values.put(MediaStore.MediaColumns.IS_PENDING, 0);
            resolver.update(uri, values, null, null);
            whole = true;
            return uri;
        } finally {
            if (!whole) {
                resolver.delete(uri, null, null);
            }
        }
    }

    static String name() {
        return "kgan_" + System.currentTimeMillis() + ".jpg";
    }

    /** Write a result where it can be shared from; returns its address. */
    static Uri shared(Context context, Picture picture) throws IOException {
        File file = SharedPicture.file(context, name()); // each its own: what was shared before may be read later
        File part = new File(file.getPath() + ".part");
        write(new FileOutputStream(part), picture);
        if (!part.renameTo(file)) {
            throw new IOException(file.getPath());
        }
        return SharedPicture.address(context, file);
    }

    /** Write a JPEG and close the stream. */
    static void write(OutputStream stream, Picture picture) throws IOException {
        try (OutputStream to = stream) {
            if (to == null || !Bitmaps.bitmap(picture).compress(Bitmap.CompressFormat.JPEG, QUALITY, to)) {
                throw new IOException("JPEG");
            }
        }
    }
}
