package io.github.keybutton

/**
 * Lets locks' readers ask this phone by NFC. The host hands each command of a reader to the link that is returned, and
 * sends what [respond] is given, called from a thread of the core, to the reader at once.
 *
 * A press that is going on answers the reader. Where none is, one begins for it, and shows on [MobileKeys.button].
 *
 * @throws KeybuttonException `unsupported-device` where [Platform.nfc] says that there is no NFC.
 */
fun MobileKeys.tap(respond: (ByteArray) -> Unit): TapLink {
    val reader = object : TapListener {
        override fun onResponse(response: ByteArray) = respond(response)
    }
    return translating { core.tap(reader, ReaderPresses(tracker)) }
}

/** Shows the presses that readers begin, one after the other. */
internal class ReaderPresses(private val tracker: ButtonTracker) : PressListener {
    private var press: PressEvents? = null

    @Synchronized
    override fun onPhase(phase: Phase) = current().onPhase(phase)

    @Synchronized
    override fun onOutcome(outcome: PressOutcome) {
        current().onOutcome(outcome)
        press = null
    }

    private fun current() = press ?: PressEvents(tracker).also { press = it }
}
