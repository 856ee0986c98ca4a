package io.github.keybutton.story

import io.github.keybutton.stage.Stage
import io.github.keybutton.stage.text
import java.io.File
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.DynamicTest
import org.junit.jupiter.api.TestFactory
import org.junit.jupiter.api.fail

/** Plays every scene of `tests/vectors/story.json` by the rules of the README beside it. */
class StoryTest {
    @TestFactory
    fun story(): List<DynamicTest> {
        val story = read("story.json")
        assertEquals(1, story.getValue("version").jsonPrimitive.int)
        return story.getValue("scenes").jsonArray.map { it.jsonObject }.map { scene ->
            DynamicTest.dynamicTest(scene.text("name")) { play(scene) }
        }
    }

    private fun play(scene: JsonObject): Unit = runBlocking {
        scene.knowsOnly("name", "title", "phones", "steps")
        Stage().use { stage ->
            Cast(stage, scene["phones"]?.jsonObject).use { cast ->
                scene.getValue("steps").jsonArray.map { it.jsonObject }.forEachIndexed { number, step ->
                    try {
                        cast.play(step)
                    } catch (failure: Throwable) {
                        fail("step ${number + 1}, $step: ${failure.message}", failure)
                    }
                }
                cast.checkPresses()
            }
        }
    }

    companion object {
        /** A file of `tests/vectors`. */
        fun read(name: String): JsonObject {
            val folder = requireNotNull(System.getProperty("keybutton.vectors")) { "run by `cargo xtask kotlin`" }
            return Json.parseToJsonElement(File(folder, name).readText()).jsonObject
        }
    }
}

/** What a runner does not know it must not pass over. */
internal fun JsonObject.knowsOnly(vararg fields: String) {
    val unknown = keys - fields.toSet()
    check(unknown.isEmpty()) { "unknown: $unknown" }
}
