package org.kgan.app;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.graphics.RectF;
import android.os.Bundle;
import android.util.AttributeSet;
import android.view.KeyEvent;
import android.view.MotionEvent;
import android.view.View;
import android.view.accessibility.AccessibilityEvent;
import android.view.accessibility.AccessibilityNodeInfo;

/** A picture before and after: left of a line that a finger moves lies the one, right of it the other. */
public final class CompareView extends View {
    private static final float STEP = 0.1f; // of the width, by keys and TalkBack

    private final Paint smooth = new Paint(Paint.FILTER_BITMAP_FLAG);
    private final Paint line = new Paint(Paint.ANTI_ALIAS_FLAG);
    private final RectF frame = new RectF();
    private Bitmap before;
    private Bitmap after;
    private float place = 0.5f; // of the line, in widths of the picture

    public CompareView(Context context, AttributeSet attributes) {
        super(context, attributes);
        line.setColor(0xFFFFFFFF);
        line.setStrokeWidth(2 * getResources().getDisplayMetrics().density);
        line.setShadowLayer(line.getStrokeWidth(), 0, 0, 0xFF000000);
        setFocusable(true);
    }

    /** Show a picture, and what became of it; null for none. */
    void show(Bitmap before, Bitmap after) {
        this.before = before;
        this.after = after;
        invalidate();
    }

    private boolean compares() {
        return before != null && after != null;
    }

    float place() {
        return place;
    }

    void setPlace(float place) {
        this.place = Math.max(0, Math.min(place, 1));
        invalidate();
    }

    @Override
    protected void onDraw(Canvas canvas) {
        Bitmap shape = before != null ? before : after;
        if (shape == null) {
            return;
        }
        float scale = Math.min((float) getWidth() / shape.getWidth(), (float) getHeight() / shape.getHeight());
        float width = scale * shape.getWidth();
        float height = scale * shape.getHeight();
        frame.set(0, 0, width, height);
        frame.offset((getWidth() - width) / 2, (getHeight() - height) / 2);
        if (before != null) {
            canvas.drawBitmap(before, null, frame, smooth);
        }
        if (after == null) {
            return;
        }
        float x = before == null ? frame.left : frame.left + place * width;
        canvas.save();
        canvas.clipRect(x, frame.top, frame.right, frame.bottom);
        drawFitted(canvas, after);
        canvas.restore();
        if (before != null) {
            canvas.drawLine(x, frame.top, x, frame.bottom, line);
            canvas.drawCircle(x, frame.centerY(), 5 * line.getStrokeWidth(), line);
        }
    }

    /** The result lies on the picture, though it may be of another shape: a filter of the middle square. */
    private void drawFitted(Canvas canvas, Bitmap bitmap) {
        float scale = Math.min(frame.width() / bitmap.getWidth(), frame.height() / bitmap.getHeight());
        float width = scale * bitmap.getWidth();
        float height = scale * bitmap.getHeight();
        RectF place = new RectF(0, 0, width, height);
        place.offset(frame.centerX() - width / 2, frame.centerY() - height / 2);
        canvas.drawBitmap(bitmap, null, place, smooth);
    }

    @Override
    public boolean onTouchEvent(MotionEvent event) {
        if (!compares() || frame.width() == 0) {
            return false;
        }
        switch (event.getActionMasked()) {
            case MotionEvent.ACTION_DOWN:
                getParent().requestDisallowInterceptTouchEvent(true);
                setPlace((event.getX() - frame.left) / frame.width());
                return true;
            case MotionEvent.ACTION_MOVE:
                setPlace((event.getX() - frame.left) / frame.width());
                return true;
            case MotionEvent.ACTION_UP:
                performClick();
                return true;
            default:
                return false;
        }
    }

    @Override
    public boolean performClick() {
        return super.performClick();
    }

    @Override
    public boolean onKeyDown(int key, KeyEvent event) {
        if (compares() && (key == KeyEvent.KEYCODE_DPAD_LEFT || key == KeyEvent.KEYCODE_DPAD_RIGHT)) {
            setPlace(place + (key == KeyEvent.KEYCODE_DPAD_LEFT ? -STEP : STEP));
            return true;
        }
        return super.onKeyDown(key, event);
    }

    @Override
    public CharSequence getAccessibilityClassName() {
        return compares() ? "android.widget.SeekBar" : "android.widget.ImageView";
    }

    @Override
    public void onInitializeAccessibilityNodeInfo(AccessibilityNodeInfo info) {
        super.onInitializeAccessibilityNodeInfo(info);
        if (compares()) {
            int percent = AccessibilityNodeInfo.RangeInfo.RANGE_TYPE_PERCENT;
            info.setRangeInfo(AccessibilityNodeInfo.RangeInfo.obtain(percent, 0, 100, 100 * place));
            info.addAction(AccessibilityNodeInfo.AccessibilityAction.ACTION_SCROLL_FORWARD);
            info.addAction(AccessibilityNodeInfo.AccessibilityAction.ACTION_SCROLL_BACKWARD);
        }
    }

    @Override
    public boolean performAccessibilityAction(int action, Bundle arguments) {
        if (action == AccessibilityNodeInfo.ACTION_SCROLL_FORWARD
                || action == AccessibilityNodeInfo.ACTION_SCROLL_BACKWARD) {
            setPlace(place + (action == AccessibilityNodeInfo.ACTION_SCROLL_FORWARD ? STEP : -STEP));
            sendAccessibilityEvent(AccessibilityEvent.TYPE_VIEW_SELECTED); // upon which the new place is read out
            return true;
        }
        return super.performAccessibilityAction(action, arguments);
    }
}
