package io.github.keybutton

import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow

/** What the Key Button on the Home Screen shows. */
sealed class KeyButtonState {
    /** The Key Button is not shown, for one reason. */
    data class Hidden(val reason: HiddenReason) : KeyButtonState()

    /** The Key Button is shown and waits to be pressed. */
    data object Ready : KeyButtonState()

    /** A press is going on. */
    data class Pressing(val phase: Phase) : KeyButtonState()

    /** The last press has ended. Stays until the next press, [MobileKeys.dismiss] or sign-out. */
    data class Ended(val outcome: PressOutcome) : KeyButtonState()
}

/** Makes one state of what the core says about the button and what the presses say about themselves. */
internal class ButtonTracker(private var button: ButtonState) {
    private val shown = MutableStateFlow(resting())

    /** The press that is shown, or was shown last; later presses have higher numbers. */
    private var press = 0L
    private var presses = 0L

    val state: StateFlow<KeyButtonState> = shown.asStateFlow()

    /** The number of a press that is about to begin. It is not shown before it has something to show. */
    @Synchronized
    fun nextPress(): Long = ++presses

    @Synchronized
    fun onButton(now: ButtonState) {
        button = now
        val current = shown.value
        val busy = current is KeyButtonState.Pressing || current is KeyButtonState.Ended && !signedOut()
        if (!busy) shown.value = resting()
    }

    /** What an earlier press still has to say is dropped. */
    @Synchronized
    fun onPhase(number: Long, phase: Phase) {
        if (number < press) return
        press = number
        shown.value = KeyButtonState.Pressing(phase)
    }

    @Synchronized
    fun onOutcome(number: Long, outcome: PressOutcome) {
        if (number < press) return
        press = number
        shown.value = if (signedOut()) resting() else KeyButtonState.Ended(outcome)
    }

    @Synchronized
    fun dismiss() {
        if (shown.value is KeyButtonState.Ended) shown.value = resting()
    }

    private fun signedOut() = (button as? ButtonState.Hidden)?.v1 == HiddenReason.NOT_SIGNED_IN

    private fun resting(): KeyButtonState = when (val now = button) {
        is ButtonState.Visible -> KeyButtonState.Ready
        is ButtonState.Hidden -> KeyButtonState.Hidden(now.v1)
    }
}
