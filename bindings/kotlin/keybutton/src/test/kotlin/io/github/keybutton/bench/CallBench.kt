package io.github.keybutton.bench

import io.github.keybutton.ButtonState
import io.github.keybutton.CoreKeys
import io.github.keybutton.ErrorCode
import io.github.keybutton.KeyException
import io.github.keybutton.MobileKeys
import io.github.keybutton.Outcome
import io.github.keybutton.Phase
import io.github.keybutton.Platform
import io.github.keybutton.PressListener
import io.github.keybutton.PressOptions
import io.github.keybutton.PressOutcome
import io.github.keybutton.airRadio
import io.github.keybutton.desktop
import io.github.keybutton.stage.Phone
import io.github.keybutton.stage.Stage
import java.io.File
import java.lang.management.ManagementFactory
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** What it costs to come from Kotlin; run by `cargo xtask kotlin --bench`. */
@Tag("bench")
class CallBench {
    private val table = StringBuilder()
    private val threads = ManagementFactory.getThreadMXBean()

    @Test
    fun calls(@TempDir folder: File): Unit = runBlocking {
        Stage().use { stage ->
            val platform = Platform.desktop(airRadio(stage.air, "calls", 0f, 1f), folder)
            CoreKeys(Phone.config(stage, "calls"), platform).use { core ->
                row("a call, its thread's own time", "p50 µs", "p95 µs", "bar µs")
                val calls: List<Pair<String, () -> Any?>> = listOf(
                    "a state back: keyButton()" to { core.keyButton() },
                    "an enum in, a text back: ErrorCode.message()" to { ErrorCode.BUSY.message() },
                    "a record and a listener in, an error back: press()" to { pressInVain(core) },
                    "a list of records back: doors()" to { core.doors() },
                )
                // All of them first: the first one measured would pay for what the compiler still learns.
                calls.forEach { (_, call) -> repeat(WARM_CALLS) { call() } }
                calls.forEach { (name, call) -> measure(name, call) }
                table.append("\n")
                presses(stage)
            }
        }
        report()
    }

    /** A press seen from Kotlin, from the call to the outcome in the caller's hand, and what the core says it took. */
    private suspend fun presses(stage: Stage) = Phone(stage, "presses").use { phone ->
        assertTrue(phone.signIn("Ann") is ButtonState.Visible)
        val options = PressOptions(door = stage.door("Front door"))
        suspend fun timed(): Pair<Double, Double> {
            // A press that follows another at once waits for its link before its own count begins, in any language.
            delay(REST_MS)
            return press(phone.keys, options)
        }
        repeat(WARM_PRESSES) { timed() }
        val pairs = List(PRESSES) { timed() }
        row("press", "p50 ms", "p95 ms", "bar ms")
        figures("in the core", pairs.map { it.second }, MICROS_A_MILLI, "")
        figures("from Kotlin", pairs.map { it.first }, MICROS_A_MILLI, "")
        figures("extra through Kotlin", pairs.map { it.first - it.second }, MICROS_A_MILLI, "5")
    }

    /** Microseconds from Kotlin, and microseconds by the core's own count. */
    private suspend fun press(keys: MobileKeys, options: PressOptions): Pair<Double, Double> {
        val begin = System.nanoTime()
        val ended = keys.press(options)
        val wall = (System.nanoTime() - begin) / NANOS_A_MICRO
        assertTrue(ended.outcome is Outcome.Opened, "$ended")
        return wall to ended.metrics.totalUs.toDouble()
    }

    private fun pressInVain(core: CoreKeys) {
        try {
            core.press(PressOptions(door = "door"), Silent)
        } catch (_: KeyException) {
            // Nobody is signed in.
        }
    }

    private fun measure(name: String, call: () -> Any?) {
        // The thread's own time, for what else the machine does is no cost of the call.
        val times = List(SAMPLES) {
            val begin = threads.currentThreadCpuTime
            repeat(BATCH) { call() }
            (threads.currentThreadCpuTime - begin) / NANOS_A_MICRO / BATCH
        }
        figures(name, times, 1.0, "30")
    }

    private fun figures(name: String, micros: List<Double>, unit: Double, bar: String) {
        val sorted = micros.sorted()
        fun at(share: Double) = "%.2f".format(sorted[(share * (sorted.size - 1)).toInt()] / unit)
        row(name, at(MEDIAN), at(HIGH), bar)
    }

    private fun row(name: String, vararg cells: String) {
        table.append(name.padEnd(NAME_WIDTH)).append(cells.joinToString("") { it.padStart(CELL_WIDTH) }).append("\n")
    }

    private fun report() {
        val place = System.getProperty("keybutton.bench").orEmpty()
        if (place.isEmpty()) print(table) else File(place).writeText(table.toString())
    }

    private object Silent : PressListener {
        override fun onPhase(phase: Phase) = Unit

        override fun onOutcome(outcome: PressOutcome) = Unit
    }

    private companion object {
        const val WARM_CALLS = 20_000
        const val SAMPLES = 200
        const val BATCH = 100
        const val WARM_PRESSES = 30
        const val PRESSES = 200
        const val REST_MS = 300L
        const val NANOS_A_MICRO = 1000.0
        const val MICROS_A_MILLI = 1000.0
        const val MEDIAN = 0.5
        const val HIGH = 0.95
        const val NAME_WIDTH = 56
        const val CELL_WIDTH = 10
    }
}
