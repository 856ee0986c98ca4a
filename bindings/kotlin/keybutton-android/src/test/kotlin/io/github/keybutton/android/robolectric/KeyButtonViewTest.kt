package io.github.keybutton.android.robolectric

import android.app.Application
import android.app.KeyguardManager
import android.graphics.Bitmap
import android.graphics.Canvas
import android.view.View
import android.view.View.MeasureSpec
import io.github.keybutton.HiddenReason
import io.github.keybutton.KeyButtonState
import io.github.keybutton.LockClock
import io.github.keybutton.LockReport
import io.github.keybutton.Outcome
import io.github.keybutton.Phase
import io.github.keybutton.android.KeyButtonView
import io.github.keybutton.android.KeybuttonHostApduService
import io.github.keybutton.android.KeybuttonTap
import io.github.keybutton.android.PlainTexts
import io.github.keybutton.android.TapPort
import io.github.keybutton.android.ended
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35], manifest = Config.NONE)
class KeyButtonViewTest {
    private val context: Application = RuntimeEnvironment.getApplication()
    private val view = KeyButtonView(context).apply { texts = PlainTexts }

    @Test
    fun `shows and hides itself, and says what it is`() {
        assertEquals(View.VISIBLE, view.visibility)
        view.state = KeyButtonState.Hidden(HiddenReason.NOT_SIGNED_IN)
        assertEquals(View.GONE, view.visibility)
        view.state = KeyButtonState.Pressing(Phase.Searching)
        assertEquals(View.VISIBLE, view.visibility)
        assertTrue(view.contentDescription.startsWith("Looking for the door"))
        assertEquals("android.widget.Button", view.createAccessibilityNodeInfo().className)
        assertEquals(View.ACCESSIBILITY_LIVE_REGION_POLITE, view.accessibilityLiveRegion)
        assertTrue(view.isClickable && view.isFocusable)
    }

    @Test
    fun `tells each look to the line beside it`() {
        val lines = mutableListOf<String>()
        view.onLook = { lines += it.text }
        view.state = KeyButtonState.Pressing(Phase.Searching)
        view.state = opened()
        assertEquals(listOf("Looking for the door", "Open."), lines)
    }

    @Test
    fun `is never smaller than a finger`() {
        val small = MeasureSpec.makeMeasureSpec(0, MeasureSpec.UNSPECIFIED)
        view.measure(small, small)
        val density = context.resources.displayMetrics.density
        assertTrue(view.measuredWidth >= 48 * density && view.measuredHeight >= 48 * density)
        assertTrue(view.minimumWidth >= 48 * density && view.minimumHeight >= 48 * density)
    }

    @Test
    fun `draws every state`() {
        view.layout(0, 0, 144, 144)
        for (state in listOf(KeyButtonState.Ready, KeyButtonState.Pressing(Phase.Searching), opened())) {
            view.state = state
            view.draw(Canvas(Bitmap.createBitmap(144, 144, Bitmap.Config.ARGB_8888)))
        }
    }

    @Test
    fun `a click without keys does nothing`() {
        assertTrue(view.performClick())
    }

    @Test
    fun `the tap service passes commands on, with whether the phone is unlocked`() {
        val service = Robolectric.setupService(KeybuttonHostApduService::class.java)
        assertArrayEquals(byteArrayOf(0x6A, 0x82.toByte()), service.processCommandApdu(byteArrayOf(1), null))
        val seen = mutableListOf<String>()
        KeybuttonTap.desk.attach {
            object : TapPort {
                override fun command(apdu: ByteArray, userAuthenticated: Boolean) {
                    seen += "${apdu[0]} $userAuthenticated"
                }

                override fun fieldLost() {
                    seen += "lost"
                }
            }
        }
        assertNull(service.processCommandApdu(byteArrayOf(1), null))
        shadowOf(context.getSystemService(KeyguardManager::class.java)).setIsDeviceLocked(true)
        assertNull(service.processCommandApdu(byteArrayOf(2), null))
        service.onDeactivated(0)
        KeybuttonTap.detach()
        assertEquals(listOf("1 true", "2 false", "lost", "lost"), seen)
    }

    private fun opened() = KeyButtonState.Ended(
        ended(Outcome.Opened(LockReport(50u, null, LockClock.UNKNOWN, null, 1u, "00", false, false, false, false))),
    )
}
