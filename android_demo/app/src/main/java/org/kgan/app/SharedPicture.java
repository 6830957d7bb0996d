package org.kgan.app;

import android.content.ContentProvider;
import android.content.ContentValues;
import android.content.Context;
import android.database.Cursor;
import android.database.MatrixCursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import android.provider.OpenableColumns;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.IOException;

/** Lends a result that is being shared to the app that people chose, and nothing else to anybody else. */
public final class SharedPicture extends ContentProvider {
    private static final long KEPT = 24L * 60 * 60 * 1000; // milliseconds: a draft of a mail is sent by then

    /** A new file to share by this name; those that were shared a day ago are deleted. */
    static File file(Context context, String name) throws IOException {
        File folder = folder(context);
        if (!folder.isDirectory() && !folder.mkdirs()) {
            throw new IOException(folder.getPath());
        }
        File[] files = folder.listFiles();
        for (File old : files == null ? new File[0] : files) {
            if (old.lastModified() < System.currentTimeMillis() - KEPT) {
                old.delete();
            }
        }
        return new File(folder, name);
    }

    static Uri address(Context context, File file) {
        return Uri.parse("content://" + context.getPackageName() + ".shared/" + file.getName());
    }

    private static File folder(Context context) {
        return new File(context.getCacheDir(), "shared");
    }

    /** The file at an address, which may not lie elsewhere. */
    private File file(Uri uri) {
        String name = uri.getLastPathSegment();
        return new File(folder(getContext()), name == null ? "" : new File(name).getName());
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        File file = file(uri);
        if (!uri.equals(address(getContext(), file)) || !mode.equals("r") || !file.isFile()) {
            throw new FileNotFoundException(uri.toString());
        }
        return ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_READ_ONLY);
    }

    @Override
    public String getType(Uri uri) {
        return "image/jpeg";
    }

    @Override
    public Cursor query(Uri uri, String[] columns, String selection, String[] arguments, String order) {
        String[] all = {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE};
        MatrixCursor cursor = new MatrixCursor(columns == null ? all : columns);
        MatrixCursor.RowBuilder row = cursor.newRow();
        for (String column : columns == null ? all : columns) {
            boolean isSize = column.equals(OpenableColumns.SIZE);
            File file = file(uri);
            row.add(isSize ? (Object) file.length() : column.equals(all[0]) ? file.getName() : null);
        }
        return cursor;
    }

    @Override
    public boolean onCreate() {
        return true;
    }

    @Override
    public Uri insert(Uri uri, ContentValues values) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int delete(Uri uri, String selection, String[] arguments) {
        throw new UnsupportedOperationException();
    }

    @Override
    public int update(Uri uri, ContentValues values, String selection, String[] arguments) {
        throw new UnsupportedOperationException();
    }
}
