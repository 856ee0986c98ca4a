package io.github.keybutton.story

import io.github.keybutton.Check
import io.github.keybutton.CheckResult
import io.github.keybutton.KeybuttonException
import io.github.keybutton.PressOptions
import io.github.keybutton.stage.Stage
import io.github.keybutton.stage.text
import java.time.Duration
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.contentOrNull
import kotlinx.serialization.json.float
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.assertThrows

/** The phones of a scene, and what is done with them. */
internal class Cast(private val stage: Stage, places: JsonObject?) : AutoCloseable {
    private val phones: Map<String, StoryPhone> = (places ?: DEFAULT).mapValues { (name, place) ->
        val (east, north) = place.jsonArray.map { it.jsonPrimitive.float }
        StoryPhone(stage, name, east, north)
    }

    suspend fun play(step: JsonObject): Unit = withTimeout(PATIENCE_MS) {
        val phone = phones.getValue(step["phone"]?.jsonPrimitive?.content ?: "phone")
        when (val what = step.text("do")) {
            "stage" -> step.fields("command", "answer").let { stage(step) }
            "sign-in" -> step.fields("member", "lifetime_s", "expect").let { signIn(phone, step) }
            "sign-out" -> step.fields().let { phone.keys.signOut() }
            "refresh" -> step.fields("expect").let { assertEquals(step.text("expect"), state { phone.keys.refresh() }) }
            "button" -> step.fields("expect").let { assertEquals(step.text("expect"), spell(phone.keys.core.keyButton())) }
            "doors" -> step.fields("expect").let { assertEquals(step.names(), phone.keys.doors().map { it.name }.toSet()) }
            "devices" -> step.fields("expect").let { assertEquals(step.number(), phone.keys.devices().size) }
            "doctor" -> step.fields("expect").let { doctor(phone.keys.doctor(), step.getValue("expect").jsonObject) }
            "nearby" -> step.fields("expect").let {
                phone.keys.nearby().first { doors -> doors.map { it.name }.containsAll(step.names()) }
            }
            "radio-state" -> step.fields("expect").let { phone.awaitRadio(step.text("expect")) }
            "restart" -> step.fields().let { phone.restart() }
            "press" -> step.fields("door", *BEGINNING, "deadline_ms").let { press(phone, step) }
            "retry" -> step.fields(*BEGINNING).let { begin(phone, step) { phone.retry(throwing(step)) } }
            "reach" -> step.fields("phase").let { phone.running.reach(step.text("phase")) }
            "choose" -> step.fields("door").let { phone.running.handle.choose(stage.door(step.text("door"))) }
            "cancel" -> step.fields().let { phone.running.handle.cancel() }
            "outcome" -> step.fields("expect").let { phone.running.awaitOutcome(stage, step.getValue("expect").jsonObject) }
            else -> error("unknown step $what")
        }
    }

    /** Of every press exactly one outcome was heard, and nothing after it. */
    fun checkPresses() = phones.values.flatMap { it.presses }.forEach { it.checkEnd() }

    override fun close() = phones.values.forEach { it.close() }

    private fun stage(step: JsonObject) {
        val answer = stage.obey(step.getValue("command").jsonObject)
        step["answer"]?.let { assertHas(it, answer, "answer") }
    }

    private suspend fun signIn(phone: StoryPhone, step: JsonObject) {
        val lifetime = step["lifetime_s"]?.jsonPrimitive?.long
        val token = stage.obey("session", "member" to step.text("member"), "lifetime_s" to lifetime).text("token")
        assertEquals(step.text("expect"), state { phone.keys.signIn(token) })
    }

    private suspend fun press(phone: StoryPhone, step: JsonObject) {
        val door = step.getValue("door").jsonPrimitive.contentOrNull?.let { stage.door(it) }
        val deadline = step["deadline_ms"]?.jsonPrimitive?.long?.let { Duration.ofMillis(it) }
        val options = PressOptions(door = door).let { if (deadline == null) it else it.copy(deadline = deadline) }
        begin(phone, step) { phone.press(options, throwing(step)) }
    }

    private suspend fun begin(phone: StoryPhone, step: JsonObject, start: () -> StoryPress) {
        check(listOf("error", "expect", "until").count { it in step } <= 1) { "which of them?" }
        val error = step["error"]?.jsonPrimitive?.content
        if (error != null) return assertEquals(error, spell(assertThrows<KeybuttonException> { start() }.code))
        phone.running = start()
        step["expect"]?.let { phone.running.awaitOutcome(stage, it.jsonObject) }
        step["until"]?.let { phone.running.reach(it.jsonPrimitive.content) }
    }

    private fun doctor(found: List<Check>, expected: JsonObject) {
        val said = found.associate { check ->
            spell(check.name) to when (val result = check.result) {
                is CheckResult.Passed -> "passed"
                is CheckResult.Skipped -> "skipped"
                is CheckResult.Warning -> "warning:${spell(result.v1)}"
                is CheckResult.Failed -> "failed:${spell(result.v1)}"
            }
        }
        assertHas(expected, JsonObject(said.mapValues { JsonPrimitive(it.value) }), "doctor")
    }

    private fun throwing(step: JsonObject): Boolean = when (val listener = step["listener"]?.jsonPrimitive?.content) {
        null -> false
        "throws" -> true
        else -> error("unknown listener $listener")
    }

    private fun JsonObject.fields(vararg fields: String) = knowsOnly("do", "phone", *fields)

    private fun JsonObject.names(): Set<String> = getValue("expect").jsonArray.map { it.jsonPrimitive.content }.toSet()

    private fun JsonObject.number(): Int = getValue("expect").jsonPrimitive.int

    private companion object {
        const val PATIENCE_MS = 60_000L
        val BEGINNING = arrayOf("error", "expect", "until", "listener")
        val DEFAULT = JsonObject(mapOf("phone" to JsonArray(listOf(JsonPrimitive(1), JsonPrimitive(0)))))
    }
}

/** Whatever `expected` has, `actual` has: objects field by field, everything else equal. */
internal fun assertHas(expected: JsonElement, actual: JsonElement, where: String) {
    if (expected is JsonObject) {
        assertTrue(actual is JsonObject, "$where is $actual")
        expected.forEach { (name, value) -> assertHas(value, actual.jsonObject[name] ?: JsonNull, "$where.$name") }
    } else {
        assertEquals(expected, actual, where)
    }
}
