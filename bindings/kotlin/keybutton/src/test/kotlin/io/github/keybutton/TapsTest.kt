package io.github.keybutton

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class TapsTest {
    private val tracker = ButtonTracker(ButtonState.Visible)
    private val presses = ReaderPresses(tracker)

    @Test
    fun `each press that a reader begins is shown, to its end`() {
        repeat(2) {
            presses.onPhase(Phase.HoldToLock(null))
            assertEquals(KeyButtonState.Pressing(Phase.HoldToLock(null)), tracker.state.value)
            presses.onOutcome(CANCELLED)
            assertEquals(KeyButtonState.Ended(CANCELLED), tracker.state.value)
        }
    }

    @Test
    fun `a press that a reader began makes way on the button for the member's own`() {
        presses.onPhase(Phase.HoldToLock(null))
        tracker.onPhase(tracker.nextPress(), Phase.Searching)
        presses.onOutcome(CANCELLED)
        assertEquals(KeyButtonState.Pressing(Phase.Searching), tracker.state.value)
    }
}
