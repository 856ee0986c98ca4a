package io.github.keybutton.stage

import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** The real access service, air and locks: `keybutton stage`, a process that is told what to do line by line. */
class Stage : AutoCloseable {
    private val process: Process =
        ProcessBuilder(PROGRAM, "stage").redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val orders = process.outputWriter()
    private val answers = process.inputReader()
    private val members = AtomicInteger()
    private val introduction = readAnswer("stage")

    val serviceUrl: String = introduction.text("service_url")
    val air: String = introduction.text("air")
    val app: String = introduction.text("app")

    /** Door ids by name. */
    val doors: Map<String, String> =
        introduction.getValue("doors").jsonArray.map { it.jsonObject }.associate { it.text("name") to it.text("id") }

    /** Carries out one command and returns what it answered; a refused one fails the test. */
    fun obey(command: JsonObject): JsonObject = exchange(command).also {
        check(it["ok"] == JsonPrimitive(true)) { "$command: $it" }
    }

    fun obey(what: String, vararg fields: Pair<String, Any?>): JsonObject =
        obey(JsonObject(mapOf("do" to JsonPrimitive(what)) + fields.associate { (name, value) -> name to json(value) }))

    fun session(member: String): String = obey("session", "member" to member).text("token")

    /** Adds a member who may open what everybody may; a member has but so many devices. */
    fun newMember(): String {
        val name = "Member ${members.incrementAndGet()}"
        obey("add-member", "member" to name)
        obey("restore", "member" to name, "group" to "Members")
        return name
    }

    fun door(name: String): String = doors.getValue(name)

    /** What one sees of a door's lock. */
    fun lock(door: String): JsonObject = obey("lock", "door" to door).getValue("lock").jsonObject

    /** How often the bolt of a door was withdrawn. */
    fun boltMoves(door: String): Int = lock(door).getValue("bolt_moves").jsonPrimitive.int

    /** How often the lock of a door decided. */
    fun verdicts(door: String): Int = lock(door).getValue("verdicts").jsonPrimitive.int

    /** Waits until the bolt of a door was withdrawn so often and is back in its place. */
    fun awaitBolt(door: String, moves: Int): JsonObject =
        obey("wait-lock", "door" to door, "bolt_moves" to moves, "at_rest" to true)

    @Synchronized
    private fun exchange(command: JsonObject): JsonObject {
        orders.write("$command\n")
        orders.flush()
        return readAnswer(command.toString())
    }

    private fun readAnswer(to: String): JsonObject {
        val line = answers.readLine() ?: error("the stage ended before it answered $to")
        return Json.parseToJsonElement(line).jsonObject
    }

    override fun close() {
        orders.close()
        if (!process.waitFor(SECONDS_TO_END, TimeUnit.SECONDS)) process.destroyForcibly()
    }

    private companion object {
        const val SECONDS_TO_END = 20L
        val PROGRAM: String = requireNotNull(System.getProperty("keybutton.program")) { "run by `cargo xtask kotlin`" }
    }
}

fun JsonObject.text(name: String): String = getValue(name).jsonPrimitive.content

fun JsonObject.flag(name: String): Boolean = getValue(name).jsonPrimitive.boolean

private fun json(value: Any?): JsonElement = when (value) {
    null -> JsonNull
    is Boolean -> JsonPrimitive(value)
    is Number -> JsonPrimitive(value)
    is JsonElement -> value
    is Map<*, *> -> JsonObject(value.entries.associate { (name, of) -> name.toString() to json(of) })
    else -> JsonPrimitive(value.toString())
}
