package io.github.keybutton.android

import io.github.keybutton.ErrorCode
import io.github.keybutton.Outcome
import io.github.keybutton.PressMetrics
import io.github.keybutton.PressOutcome

internal fun ended(outcome: Outcome) = PressOutcome(
    press = "00112233445566778899aabbccddeeff",
    door = null,
    route = null,
    outcome = outcome,
    metrics = PressMetrics(0uL, emptyList(), 0u, 0u, 0u, 0u, 0u, 0u, false, false),
)

/** Words that need no native library. */
internal object PlainTexts : KeyButtonTexts {
    override fun message(code: ErrorCode) = "message of $code"

    override fun remedy(code: ErrorCode) = "remedy of $code"
}
