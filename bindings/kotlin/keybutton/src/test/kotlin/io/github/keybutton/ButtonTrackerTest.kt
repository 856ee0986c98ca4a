package io.github.keybutton

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

class ButtonTrackerTest {
    private val visible = ButtonState.Visible
    private val signedOut = ButtonState.Hidden(HiddenReason.NOT_SIGNED_IN)
    private val suspended = ButtonState.Hidden(HiddenReason.MEMBER_SUSPENDED)
    private val ready = KeyButtonState.Ready

    @Test
    fun `rests as the core says`() {
        val tracker = ButtonTracker(signedOut)
        assertEquals(KeyButtonState.Hidden(HiddenReason.NOT_SIGNED_IN), tracker.state.value)
        tracker.onButton(visible)
        assertEquals(ready, tracker.state.value)
        tracker.onButton(suspended)
        assertEquals(KeyButtonState.Hidden(HiddenReason.MEMBER_SUSPENDED), tracker.state.value)
    }

    @Test
    fun `a press is shown from its first phase to its outcome, which stays`() {
        val tracker = ButtonTracker(visible)
        val press = tracker.nextPress()
        assertEquals(ready, tracker.state.value)
        tracker.onPhase(press, Phase.Searching)
        tracker.onButton(visible)
        assertEquals(KeyButtonState.Pressing(Phase.Searching), tracker.state.value)
        tracker.onOutcome(press, CANCELLED)
        tracker.onButton(visible)
        assertEquals(KeyButtonState.Ended(CANCELLED), tracker.state.value)
        tracker.dismiss()
        assertEquals(ready, tracker.state.value)
        tracker.dismiss()
        assertEquals(ready, tracker.state.value)
    }

    @Test
    fun `a button that goes away during a press does so once its outcome was seen`() {
        val tracker = ButtonTracker(visible)
        val press = tracker.nextPress()
        tracker.onPhase(press, Phase.Searching)
        tracker.onButton(suspended)
        tracker.onOutcome(press, CANCELLED)
        assertEquals(KeyButtonState.Ended(CANCELLED), tracker.state.value)
        tracker.dismiss()
        assertEquals(KeyButtonState.Hidden(HiddenReason.MEMBER_SUSPENDED), tracker.state.value)
    }

    @Test
    fun `nothing of a member is shown after the sign-out`() {
        val hidden = KeyButtonState.Hidden(HiddenReason.NOT_SIGNED_IN)
        val ended = ButtonTracker(visible).apply { onOutcome(nextPress(), CANCELLED) }
        ended.onButton(signedOut)
        assertEquals(hidden, ended.state.value)
        val running = ButtonTracker(visible)
        val press = running.nextPress()
        running.onPhase(press, Phase.Searching)
        running.onButton(signedOut)
        running.onOutcome(press, CANCELLED)
        assertEquals(hidden, running.state.value)
    }

    @Test
    fun `an earlier press has nothing to say any more, a refused one had nothing to say`() {
        val tracker = ButtonTracker(visible)
        val first = tracker.nextPress()
        val refused = tracker.nextPress()
        val second = tracker.nextPress()
        tracker.onPhase(first, Phase.Searching)
        assertEquals(KeyButtonState.Pressing(Phase.Searching), tracker.state.value, "not held up by press $refused")
        tracker.onPhase(second, Phase.CheckingAccess)
        tracker.onOutcome(first, CANCELLED)
        assertEquals(KeyButtonState.Pressing(Phase.CheckingAccess), tracker.state.value)
    }
}
