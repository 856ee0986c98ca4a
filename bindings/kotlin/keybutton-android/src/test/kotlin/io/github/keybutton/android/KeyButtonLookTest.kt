package io.github.keybutton.android

import io.github.keybutton.Cause
import io.github.keybutton.ErrorCode
import io.github.keybutton.HiddenReason
import io.github.keybutton.KeyButtonState
import io.github.keybutton.LockClock
import io.github.keybutton.LockReport
import io.github.keybutton.Outcome
import io.github.keybutton.Phase
import io.github.keybutton.Refusal
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import kotlin.math.pow

class KeyButtonLookTest {
    private val opened = KeyButtonState.Ended(ended(Outcome.Opened(REPORT)))
    private val refused =
        KeyButtonState.Ended(ended(Outcome.Refused(Refusal(ErrorCode.NO_ACCESS_GROUP, 0u, null, null, null))))
    private val unconfirmed = KeyButtonState.Ended(ended(Outcome.Unconfirmed(Cause.LINK_LOST)))
    private val phases = listOf(
        Phase.CheckingAccess,
        Phase.DownloadingKey,
        Phase.Searching,
        Phase.Choose(emptyList()),
        Phase.HoldToLock(null),
        Phase.Connecting("door"),
        Phase.Proving("door"),
        Phase.Opening("door"),
    )

    @Test
    fun `a hidden button is not there, whatever the reason`() {
        for (reason in HiddenReason.entries) assertFalse(look(KeyButtonState.Hidden(reason)).isShown)
    }

    @Test
    fun `outcomes have the lock's light and a shape of their own`() {
        assertEquals(Light.GREEN to Glyph.TICK, look(opened).let { it.light to it.glyph })
        assertEquals(Light.RED to Glyph.CROSS, look(refused).let { it.light to it.glyph })
        assertEquals(Light.AMBER to Glyph.QUESTION, look(unconfirmed).let { it.light to it.glyph })
        for (state in listOf(opened, refused, unconfirmed)) {
            assertTrue(look(state).isShown)
            assertFalse(look(state).isBusy)
        }
    }

    @Test
    fun `green is for an open door alone`() {
        val states = phases.map { KeyButtonState.Pressing(it) } + refused + unconfirmed + KeyButtonState.Ready
        assertTrue(states.none { look(it).light == Light.GREEN })
    }

    @Test
    fun `a press is amber and busy, and every phase has words of its own`() {
        val looks = phases.map { look(KeyButtonState.Pressing(it)) }
        assertTrue(looks.all { it.isBusy && it.light == Light.AMBER && it.isShown })
        assertEquals(phases.size, looks.map { it.text }.toSet().size)
    }

    @Test
    fun `a screen reader is told the outcome and what to do about it`() {
        assertEquals("Open.", look(opened).description)
        assertEquals("message of NO_ACCESS_GROUP remedy of NO_ACCESS_GROUP", look(refused).description)
        assertTrue(look(unconfirmed).description.contains("Press to ask the lock again."))
        assertTrue(look(KeyButtonState.Pressing(Phase.Searching)).description.contains("Press to cancel."))
        assertTrue(look(KeyButtonState.Ready).description.isNotBlank())
    }

    @Test
    fun `white is readable on every light`() {
        for (light in Light.entries) {
            val contrast = 1.05 / (luminance(light.argb) + 0.05)
            assertTrue("$light has $contrast", contrast >= 4.5)
        }
    }

    /** WCAG 2.2, relative luminance. */
    private fun luminance(argb: Int): Double {
        fun channel(shift: Int): Double {
            val value = (argb shr shift and 0xFF) / 255.0
            return if (value <= 0.04045) value / 12.92 else ((value + 0.055) / 1.055).pow(2.4)
        }
        return 0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
    }

    private fun look(state: KeyButtonState) = KeyButtonLook.of(state, PlainTexts)

    private companion object {
        val REPORT = LockReport(50u, null, LockClock.UNKNOWN, null, 1u, "00".repeat(32), false, false, false, false)
    }
}
