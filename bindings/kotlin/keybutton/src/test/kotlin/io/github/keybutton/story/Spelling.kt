package io.github.keybutton.story

import io.github.keybutton.ButtonState
import io.github.keybutton.ErrorCode
import io.github.keybutton.KeybuttonException
import io.github.keybutton.Outcome
import io.github.keybutton.Phase
import io.github.keybutton.PressOutcome
import io.github.keybutton.code
import io.github.keybutton.message
import io.github.keybutton.remedy
import io.github.keybutton.report
import io.github.keybutton.stage.Stage
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import org.junit.jupiter.api.Assertions.assertTrue

/** The kebab-case of a constant. */
internal fun spell(value: Enum<*>): String = value.name.lowercase().replace('_', '-')

internal fun spell(code: ErrorCode): String = code.code()

internal fun spell(phase: Phase): String =
    phase::class.simpleName.orEmpty().replace(Regex("(?<=.)[A-Z]")) { "-${it.value}" }.lowercase()

internal fun spell(state: ButtonState): String = when (state) {
    is ButtonState.Visible -> "visible"
    is ButtonState.Hidden -> "hidden:${spell(state.v1)}"
}

/** A state of the Key Button, or what kept it from being told. */
internal inline fun state(ask: () -> ButtonState): String = try {
    spell(ask())
} catch (error: KeybuttonException) {
    "error:${spell(error.code)}"
}

internal fun assertOutcome(expected: JsonObject, ended: PressOutcome, stage: Stage) {
    expected.knowsOnly(*fields(ended, stage).keys.toTypedArray())
    assertHas(expected, JsonObject(fields(ended, stage)), "outcome of $ended")
    if (ended.outcome.code != null) {
        assertTrue(ended.outcome.remedy.orEmpty().isNotBlank(), "a remedy")
        assertTrue(ended.outcome.message.orEmpty().isNotBlank(), "a message")
    }
}

/** Everything that a scene may expect of an outcome. */
private fun fields(ended: PressOutcome, stage: Stage): Map<String, JsonElement> {
    val outcome = ended.outcome
    val phases = ended.metrics.phases.map { JsonPrimitive(it.phase) }
    val door = ended.door?.let { id -> stage.doors.entries.first { it.value == id }.key }
    return mapOf(
        "outcome" to JsonPrimitive(outcome::class.simpleName.orEmpty().lowercase()),
        "code" to text(outcome.code?.let { spell(it) }),
        "cause" to text((outcome as? Outcome.Unconfirmed)?.let { spell(it.v1) }),
        "by" to text((outcome as? Outcome.Refused)?.let { if (it.report == null) "phone" else "lock" }),
        "replayed" to (outcome.report?.let { JsonPrimitive(it.replayed) } ?: JsonNull),
        "door" to text(door),
        "route" to text(ended.route?.let { spell(it) }),
        "fast" to JsonPrimitive(ended.metrics.fast),
        "downloaded" to JsonPrimitive(ended.metrics.downloaded),
        "links" to JsonPrimitive(ended.metrics.links.toInt()),
        "round_trips" to JsonPrimitive(ended.metrics.roundTrips.toInt()),
        "phases" to JsonArray(phases),
        "last_phase" to (phases.lastOrNull() ?: JsonNull),
    )
}

private fun text(value: String?): JsonElement = value?.let { JsonPrimitive(it) } ?: JsonNull
