package io.github.keybutton

/** The stable code of the reason or cause; `null` when the door opened. */
val Outcome.code: ErrorCode?
    get() = when (this) {
        is Outcome.Opened -> null
        is Outcome.Refused -> code
        is Outcome.Unconfirmed -> code
    }

/** Why nothing moved. */
val Outcome.Refused.code: ErrorCode get() = v1.code

/** Why nobody knows whether the door opened. */
val Outcome.Unconfirmed.code: ErrorCode
    get() = when (v1) {
        Cause.LINK_LOST, Cause.DEADLINE, Cause.UNREADABLE -> ErrorCode.NO_VERDICT
        Cause.CANCELLED -> ErrorCode.CANCELLED_LATE
    }

/** What a person can do about it; `null` when the door opened. */
val Outcome.remedy: String? get() = code?.remedy()

/** What a person can do about it. */
val Outcome.Refused.remedy: String get() = code.remedy()

/** What a person can do about it. */
val Outcome.Unconfirmed.remedy: String get() = code.remedy()

/** What happened, in one sentence; `null` when the door opened. */
val Outcome.message: String? get() = code?.message()

/** What the lock reported of itself, where it spoke. */
val Outcome.report: LockReport?
    get() = when (this) {
        is Outcome.Opened -> report
        is Outcome.Refused -> v1.lock
        is Outcome.Unconfirmed -> null
    }

/** What the lock reported of itself when it opened. */
val Outcome.Opened.report: LockReport get() = v1

/** Whether only [MobileKeys.retry] may ask again, because the door may have opened. */
val PressOutcome.isUnconfirmed: Boolean get() = outcome is Outcome.Unconfirmed
