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

/** Lends the one result that is being shared to the app that people chose, and nothing else to nobody else. */
public final class SharedPicture extends ContentProvider {
    private static final String NAME = "kgan.jpg";

    static File file(Context context) {
        return new File(context.getCacheDir(), NAME);
    }

    static Uri address(Context context) {
        return Uri.parse("content://" + context.getPackageName() + ".shared/" + NAME);
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        if (!uri.equals(address(getContext())) || !mode.equals("r")) {
            throw new FileNotFoundException(uri.toString());
        }
        return ParcelFileDescriptor.open(file(getContext()), ParcelFileDescriptor.MODE_READ_ONLY);
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
            row.add(isSize ? (Object) file(getContext()).length() : column.equals(all[0]) ? NAME : null);
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
