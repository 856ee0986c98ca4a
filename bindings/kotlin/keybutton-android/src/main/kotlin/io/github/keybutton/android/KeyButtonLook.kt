package io.github.keybutton.android

import io.github.keybutton.ErrorCode
import io.github.keybutton.KeyButtonState
import io.github.keybutton.Outcome
import io.github.keybutton.Phase
import io.github.keybutton.PressOutcome
import io.github.keybutton.code

/** The colours of the lock's light, as a screen shows them: [argb] has a contrast of 4.5 and more to white. */
enum class Light(val argb: Int) {
    /** Dark. */
    OFF(0xFF2F3A45.toInt()),

    /** Opened. */
    GREEN(0xFF1B7F3B.toInt()),

    /** Refused. */
    RED(0xFFC62828.toInt()),

    /** Working, or wants attention. */
    AMBER(0xFF9A5B00.toInt()),
}

/** The shape on the button. Shapes differ as well as colours, so that nobody needs to tell red from green. */
enum class Glyph { KEY, TICK, CROSS, QUESTION }

/** What the Key Button looks like, and what a screen reader says. */
data class KeyButtonLook(
    val isShown: Boolean,
    val light: Light,
    val glyph: Glyph,
    /** A press is going on. */
    val isBusy: Boolean,
    /** One short line for beside the button. */
    val text: String,
    /** The same and more, to be read out. */
    val description: String,
) {
    companion object {
        /** The look of [state], in the words of [texts]. */
        fun of(state: KeyButtonState, texts: KeyButtonTexts = KeyButtonTexts.English): KeyButtonLook = when (state) {
            is KeyButtonState.Hidden -> KeyButtonLook(false, Light.OFF, Glyph.KEY, false, "", "")
            is KeyButtonState.Ready ->
                KeyButtonLook(true, Light.OFF, Glyph.KEY, false, texts.ready, texts.ready)
            is KeyButtonState.Pressing -> {
                val phase = texts.phase(state.phase)
                KeyButtonLook(true, Light.AMBER, Glyph.KEY, true, phase, "$phase. ${texts.pressToCancel}")
            }
            is KeyButtonState.Ended -> ended(state.outcome, texts)
        }

        private fun ended(press: PressOutcome, texts: KeyButtonTexts) = when (val outcome = press.outcome) {
            is Outcome.Opened -> look(Light.GREEN, Glyph.TICK, texts.opened, null)
            is Outcome.Refused -> look(Light.RED, Glyph.CROSS, texts.message(outcome.code), texts.remedy(outcome.code))
            is Outcome.Unconfirmed ->
                look(Light.AMBER, Glyph.QUESTION, texts.unconfirmed, "${texts.lookAtLock} ${texts.pressToAskAgain}")
        }

        private fun look(light: Light, glyph: Glyph, text: String, more: String?) =
            KeyButtonLook(true, light, glyph, false, text, listOfNotNull(text, more).joinToString(" "))
    }
}

/** The words on the Key Button. An app in another language has its own. */
interface KeyButtonTexts {
    val ready: String get() = "Open the door"
    val pressToCancel: String get() = "Press to cancel."
    val opened: String get() = "Open."
    val unconfirmed: String get() = "The door may be open."
    val lookAtLock: String get() = "Look at the lock's light and try the door."
    val pressToAskAgain: String get() = "Press to ask the lock again."
    val choose: String get() = "Which door?"

    /** What a press is doing. */
    fun phase(phase: Phase): String = when (phase) {
        is Phase.CheckingAccess -> "Checking your access"
        is Phase.DownloadingKey -> "Fetching your key"
        is Phase.Searching -> "Looking for the door"
        is Phase.Choose -> choose
        is Phase.HoldToLock -> "Hold your phone to the lock"
        is Phase.Connecting -> "Connecting"
        is Phase.Proving -> "Proving that it is you"
        is Phase.Opening -> "Opening"
    }

    /** Why nothing moved, in one sentence. */
    fun message(code: ErrorCode): String = code.message()

    /** What the member can do about it. */
    fun remedy(code: ErrorCode): String = code.remedy()

    /** The library's own words. */
    object English : KeyButtonTexts
}
