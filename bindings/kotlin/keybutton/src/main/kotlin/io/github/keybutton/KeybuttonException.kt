package io.github.keybutton

import kotlin.coroutines.cancellation.CancellationException

/**
 * A failure of the SDK, for acting on.
 *
 * The [message] says what happened in one sentence, without identifiers or secrets; it may be shown as it is.
 */
class KeybuttonException(
    /** The stable code. */
    val code: ErrorCode,
) : Exception(code.message()) {
    /** Who has to act, or who misbehaved. */
    val side: Side get() = code.side()

    /** Whether it is safe to try again. */
    val retry: Retry get() = code.retry()

    /** What a person can do about it. */
    val remedy: String get() = code.remedy()
}

/**
 * What a caller of [MobileKeys.press] sees whose coroutine was cancelled: the press was cancelled too, and this is how
 * it ended. It may have been too late: look at [outcome] before pressing again.
 */
class PressCancelledException internal constructor(
    /** How the press ended all the same. */
    val outcome: PressOutcome,
    cause: CancellationException,
) : CancellationException("the caller of the press was cancelled") {
    init {
        initCause(cause)
    }
}

/** Runs a call into the core; its failures become [KeybuttonException]s. */
internal inline fun <T> translating(call: () -> T): T = try {
    call()
} catch (error: KeyException) {
    throw error.translated()
}

internal fun KeyException.translated(): KeybuttonException = when (this) {
    is KeyException.Failed -> KeybuttonException(code)
}
