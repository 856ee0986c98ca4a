package io.github.keybutton.android

import android.animation.ValueAnimator
import android.app.AlertDialog
import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.graphics.Path
import android.os.Handler
import android.os.Looper
import android.os.SystemClock
import android.util.AttributeSet
import android.util.TypedValue
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo
import android.widget.Button
import io.github.keybutton.Candidate
import io.github.keybutton.DoorId
import io.github.keybutton.KeyButtonState
import io.github.keybutton.KeybuttonException
import io.github.keybutton.MobileKeys
import io.github.keybutton.Phase
import io.github.keybutton.PressOptions
import io.github.keybutton.RunningPress
import io.github.keybutton.isUnconfirmed
import java.util.concurrent.Executor
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.launch

/**
 * The Key Button: round, with the lock's light in its colour, for the lower right of a Home Screen.
 *
 * Set [keys] and it works: it hides and shows itself, opens the door when pressed, cancels when pressed again, lets the
 * member choose between doors, and after an unconfirmed press asks the same lock again under the same press. It has no
 * resources of its own; [texts] replaces its words, [onLook] hears every look, for a line of text beside it.
 */
open class KeyButtonView @JvmOverloads constructor(context: Context, attributes: AttributeSet? = null) :
    View(context, attributes) {
    /** Whose button it is. */
    var keys: MobileKeys? = null
        set(value) {
            field = value
            if (isAttachedToWindow) follow()
        }

    /** What a press wants. */
    var options: PressOptions = PressOptions()

    /** The words it uses. */
    var texts: KeyButtonTexts = KeyButtonTexts.English

    /** Hears each look, on the main thread. */
    var onLook: (KeyButtonLook) -> Unit = {}

    /** Has the member choose between doors; a plain dialog unless set. `null` is none of them. */
    var choose: (doors: List<Candidate>, chosen: (DoorId?) -> Unit) -> Unit = ::askInDialog

    /** What it shows now. Set by itself where [keys] is set. */
    var state: KeyButtonState = KeyButtonState.Ready
        set(value) {
            field = value
            show(KeyButtonLook.of(value, texts))
        }

    private var look = KeyButtonLook.of(KeyButtonState.Ready, texts)

    /** The last press that was started here; once it has ended it takes no orders. */
    private var running: RunningPress? = null
    private var dialog: AlertDialog? = null
    private var following: Job? = null
    private val scope = CoroutineScope(
        SupervisorJob() + Handler(Looper.getMainLooper()).let { main ->
            Executor { main.post(it) }.asCoroutineDispatcher()
        },
    )
    private val drawing = KeyButtonDrawing()

    init {
        isClickable = true
        isFocusable = true
        accessibilityLiveRegion = ACCESSIBILITY_LIVE_REGION_POLITE
        minimumWidth = dp(SMALLEST_DP)
        minimumHeight = dp(SMALLEST_DP)
        show(look)
    }

    /** Opens the door, cancels the press that is going on, or asks an unconfirmed one again. */
    override fun performClick(): Boolean {
        super.performClick()
        val keys = keys ?: return true
        val current = state
        try {
            when {
                current is KeyButtonState.Pressing -> running?.cancel()
                current is KeyButtonState.Ended && current.outcome.isUnconfirmed -> askAgain(keys, current.outcome.press)
                else -> running = keys.startPress(options)
            }
        } catch (_: KeybuttonException) {
            // The state says why: signed out, or a press of another screen is going on.
        }
        return true
    }

    override fun onInitializeAccessibilityNodeInfo(info: AccessibilityNodeInfo) {
        super.onInitializeAccessibilityNodeInfo(info)
        info.className = Button::class.java.name
    }

    override fun onAttachedToWindow() {
        super.onAttachedToWindow()
        follow()
    }

    override fun onDetachedFromWindow() {
        following?.cancel()
        following = null
        dialog?.dismiss()
        super.onDetachedFromWindow()
    }

    override fun onMeasure(widthMeasureSpec: Int, heightMeasureSpec: Int) {
        val usual = dp(USUAL_DP)
        setMeasuredDimension(
            resolveSize(maxOf(usual, suggestedMinimumWidth), widthMeasureSpec),
            resolveSize(maxOf(usual, suggestedMinimumHeight), heightMeasureSpec),
        )
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        val isTurning = look.isBusy && ValueAnimator.areAnimatorsEnabled()
        val turn = if (isTurning) SystemClock.uptimeMillis() % TURN_MS / TURN_MS.toFloat() else 0f
        drawing.draw(canvas, width.toFloat(), height.toFloat(), look, turn)
        if (isTurning) postInvalidateOnAnimation()
    }

    private fun follow() {
        following?.cancel()
        val keys = keys ?: return
        following = scope.launch { keys.button.collect(::arrived) }
    }

    private fun arrived(now: KeyButtonState) {
        state = now
        val phase = (now as? KeyButtonState.Pressing)?.phase
        dialog?.dismiss()
        dialog = null
        val press = running
        if (phase is Phase.Choose && press != null) {
            choose(phase.v1) { door -> if (door == null) press.cancel() else press.choose(door) }
        }
    }

    private fun askAgain(keys: MobileKeys, press: String) {
        running = try {
            keys.startRetry(press)
        } catch (_: KeybuttonException) {
            // Too long ago to be asked about: what comes now is a press of its own.
            keys.startPress(options)
        }
    }

    private fun askInDialog(doors: List<Candidate>, chosen: (DoorId?) -> Unit) {
        val known = doors.filter { it.door != null }
        dialog = AlertDialog.Builder(context)
            .setTitle(texts.choose)
            .setItems(known.map { it.name }.toTypedArray()) { _, which -> chosen(known[which].door) }
            .setOnCancelListener { chosen(null) }
            .show()
    }

    private fun show(look: KeyButtonLook) {
        this.look = look
        visibility = if (look.isShown) VISIBLE else GONE
        contentDescription = look.description
        onLook(look)
        invalidate()
    }

    private fun dp(dp: Float): Int =
        TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_DIP, dp, resources.displayMetrics).toInt()

    private companion object {
        /** The smallest touch target of Android's accessibility guidelines. */
        const val SMALLEST_DP = 48f
        const val USUAL_DP = 72f
        const val TURN_MS = 1_200L
    }
}

/** Paints the button on a canvas of any size. */
private class KeyButtonDrawing {
    private val fill = Paint(Paint.ANTI_ALIAS_FLAG)
    private val line = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        style = Paint.Style.STROKE
        strokeCap = Paint.Cap.ROUND
        strokeJoin = Paint.Join.ROUND
        color = WHITE
    }
    private val path = Path()

    fun draw(canvas: Canvas, width: Float, height: Float, look: KeyButtonLook, turn: Float) {
        val radius = minOf(width, height) / 2
        canvas.save()
        canvas.translate(width / 2, height / 2)
        canvas.scale(radius, radius)
        fill.color = look.light.argb
        canvas.drawCircle(0f, 0f, 1f, fill)
        if (look.isBusy) {
            line.strokeWidth = 0.08f
            canvas.drawArc(-0.86f, -0.86f, 0.86f, 0.86f, turn * FULL_TURN, BUSY_SWEEP, false, line)
        }
        line.strokeWidth = 0.12f
        glyph(look.glyph)
        canvas.drawPath(path, line)
        canvas.restore()
    }

    private fun glyph(glyph: Glyph) {
        path.rewind()
        when (glyph) {
            Glyph.KEY -> {
                path.addCircle(-0.24f, 0f, 0.2f, Path.Direction.CW)
                stroke(-0.04f, 0f, 0.48f, 0f, 0.48f, 0.18f)
                stroke(0.3f, 0f, 0.3f, 0.14f)
            }
            Glyph.TICK -> stroke(-0.38f, 0.02f, -0.1f, 0.3f, 0.4f, -0.28f)
            Glyph.CROSS -> {
                stroke(-0.3f, -0.3f, 0.3f, 0.3f)
                stroke(0.3f, -0.3f, -0.3f, 0.3f)
            }
            Glyph.QUESTION -> {
                path.addArc(-0.22f, -0.48f, 0.22f, -0.04f, 180f, 250f)
                path.lineTo(0f, 0.16f)
                stroke(0f, 0.4f, 0f, 0.41f)
            }
        }
    }

    private fun stroke(vararg points: Float) {
        path.moveTo(points[0], points[1])
        for (at in 2 until points.size step 2) path.lineTo(points[at], points[at + 1])
    }

    private companion object {
        const val WHITE = -1
        const val FULL_TURN = 360f
        const val BUSY_SWEEP = 80f
    }
}
