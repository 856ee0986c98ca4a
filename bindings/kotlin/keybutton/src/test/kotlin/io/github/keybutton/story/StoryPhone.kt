package io.github.keybutton.story

import io.github.keybutton.HttpUrlConnectionHttp
import io.github.keybutton.MobileKeys
import io.github.keybutton.Phase
import io.github.keybutton.Platform
import io.github.keybutton.PressEvents
import io.github.keybutton.PressListener
import io.github.keybutton.PressOptions
import io.github.keybutton.PressOutcome
import io.github.keybutton.RunningPress
import io.github.keybutton.airRadio
import io.github.keybutton.desktop
import io.github.keybutton.stage.Phone
import io.github.keybutton.stage.Stage
import io.github.keybutton.translating
import java.nio.file.Files
import java.util.concurrent.CopyOnWriteArrayList
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.firstOrNull
import kotlinx.serialization.json.JsonObject
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue

/** A phone of a scene. */
internal class StoryPhone(private val stage: Stage, private val name: String, east: Float, north: Float) : AutoCloseable {
    private val folder = Files.createTempDirectory("keybutton").toFile()
    private val platform =
        Platform.desktop(airRadio(stage.air, name, east, north), folder).copy(http = HttpUrlConnectionHttp())
    val presses = mutableListOf<StoryPress>()
    lateinit var running: StoryPress

    var keys = open()
        private set

    fun press(options: PressOptions, throwing: Boolean): StoryPress =
        begin(throwing, null) { keys.core.press(options, it) }

    fun retry(throwing: Boolean): StoryPress {
        val former = running.handle.id
        return begin(throwing, former) { keys.core.retry(former, it) }
    }

    fun restart() {
        keys.close()
        keys = open()
    }

    suspend fun awaitRadio(state: String) {
        // A radio's state is asked for, not told.
        while (spell(platform.radio.state()) != state) delay(1)
    }

    override fun close() {
        keys.close()
        platform.destroy()
        folder.deleteRecursively()
    }

    private fun open() = MobileKeys(Phone.config(stage, name), platform)

    /** As [MobileKeys.startPress] does, with an ear between the core and the package. */
    private fun begin(throwing: Boolean, repeats: String?, call: (PressListener) -> io.github.keybutton.Press): StoryPress {
        val events = PressEvents(keys.tracker, keys::look)
        val ear = Ear(events, throwing)
        val handle = RunningPress(events, translating { call(ear) })
        if (repeats != null) assertEquals(repeats, handle.id, "the press that is repeated")
        return StoryPress(handle, ear).also { presses += it }
    }
}

/** A press of a scene. */
internal class StoryPress(val handle: RunningPress, private val ear: Ear) {
    suspend fun reach(phase: String) {
        val reached = handle.phases.firstOrNull { spell(it) == phase }
        assertTrue(reached != null, "the press ended without $phase: ${ear.outcomes}")
    }

    suspend fun awaitOutcome(stage: Stage, expected: JsonObject) {
        val ended = handle.await()
        assertEquals(handle.id, ended.press)
        assertEquals(ear.phases.map { spell(it) }, ended.metrics.phases.map { it.phase })
        assertOutcome(expected, ended, stage)
    }

    fun checkEnd() {
        assertEquals(1, ear.outcomes.size, "outcomes of press ${handle.id}")
        assertTrue(!ear.heardMore, "press ${handle.id} went on after its outcome")
    }
}

/** Keeps what a listener hears, hands it on, and throws afterwards if it is told to. */
internal class Ear(private val next: PressListener, private val throwing: Boolean) : PressListener {
    val phases = CopyOnWriteArrayList<Phase>()
    val outcomes = CopyOnWriteArrayList<PressOutcome>()

    @Volatile
    var heardMore = false
        private set

    override fun onPhase(phase: Phase) {
        if (outcomes.isNotEmpty()) heardMore = true
        phases += phase
        next.onPhase(phase)
        if (throwing) error("as told")
    }

    override fun onOutcome(outcome: PressOutcome) {
        outcomes += outcome
        next.onOutcome(outcome)
        if (throwing) error("as told")
    }
}
