package io.github.keybutton

import io.github.keybutton.stage.Phone
import io.github.keybutton.stage.Stage
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.drop
import kotlinx.coroutines.flow.firstOrNull
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout

/** Many presses, many threads, and nothing left of them. */
class SoakTest {
    @Test
    @Timeout(10, unit = TimeUnit.MINUTES)
    fun `nothing is left of a thousand presses, a third of them cancelled`(): Unit = runBlocking {
        val opened = AtomicInteger()
        val cancelled = AtomicInteger()
        Stage().use { stage ->
            val doors = listOf("Front door", "Back door").map { stage.door(it) }
            val phones = List(PHONES) { Phone(stage, "Phone $it", x = 2f) }
            withContext(Dispatchers.Default) {
                phones.mapIndexed { index, phone ->
                    async {
                        phone.signIn("Ann")
                        val options = PressOptions(door = doors[index % doors.size])
                        repeat(PRESSES / PHONES) { round ->
                            val ended = if (round % 3 == 0) pressAndCancel(phone.keys, options, round) else phone.keys.press(options)
                            if (ended.outcome is Outcome.Opened) opened.incrementAndGet()
                            if (ended.wasCancelled()) cancelled.incrementAndGet()
                        }
                    }
                }.awaitAll()
            }
            assertTrue(liveObjects() > 0uL, "they are counted")
            phones.forEach { it.close() }
        }
        println("soak: $PRESSES presses, $opened opened, $cancelled cancelled")
        assertTrue(opened.get() > PRESSES / 2, "$opened opened")
        assertTrue(cancelled.get() > PRESSES / 6, "$cancelled cancelled")
        awaitNoObjects()
    }

    @Test
    fun `of many presses at once one runs, and every other one is told so`(): Unit = runBlocking {
        Stage().use { stage ->
            Phone(stage, "Trembling hands").use { phone ->
                phone.signIn("Ann")
                val options = PressOptions(door = stage.door("Front door"))
                val verdicts = stage.verdicts("Front door")
                val results = withContext(Dispatchers.IO) {
                    List(THREADS) { async { List(TIMES) { runCatching { phone.keys.press(options) } } } }.awaitAll().flatten()
                }
                val ended = results.mapNotNull { it.getOrNull() }
                val refused = results.mapNotNull { it.exceptionOrNull() as KeybuttonException? }
                assertEquals(THREADS * TIMES, ended.size + refused.size)
                assertEquals(setOf(ErrorCode.PRESS_IN_PROGRESS), refused.map { it.code }.toSet())
                assertEquals(ended.size, ended.map { it.press }.toSet().size)
                assertTrue(ended.isNotEmpty() && ended.all { it.outcome is Outcome.Opened }, "$ended")
                assertEquals(verdicts + ended.size, stage.verdicts("Front door"))
                assertTrue(phone.keys.button.value is KeyButtonState.Ended)
            }
        }
    }

    /** Cancels at one phase or another; sometimes the press, sometimes the coroutine that waits for it. */
    private suspend fun pressAndCancel(keys: MobileKeys, options: PressOptions, round: Int): PressOutcome = coroutineScope {
        val phase = round % PHASES
        if (round % 2 == 0) {
            val running = keys.startPress(options)
            running.phases.drop(phase).firstOrNull()
            running.cancel()
            running.await()
        } else {
            cancelCaller(keys, options, phase)
        }
    }

    private suspend fun CoroutineScope.cancelCaller(keys: MobileKeys, options: PressOptions, after: Int): PressOutcome {
        var outcome: PressOutcome? = null
        var phases = 0
        launch {
            val caller = this
            try {
                outcome = keys.press(options) { if (phases++ == after) caller.coroutineContext[kotlinx.coroutines.Job]?.cancel() }
            } catch (cancelled: PressCancelledException) {
                outcome = cancelled.outcome
            }
        }.join()
        return checkNotNull(outcome)
    }

    private fun PressOutcome.wasCancelled() =
        outcome.code == ErrorCode.PRESS_CANCELLED || outcome.code == ErrorCode.CANCELLED_LATE

    /** What nobody closed is closed by the collector, which nobody can wait for otherwise. */
    private fun awaitNoObjects() {
        val end = System.nanoTime() + TimeUnit.SECONDS.toNanos(COLLECTED_WITHIN_S)
        while (liveObjects() > 0uL && System.nanoTime() < end) {
            System.gc()
            Thread.sleep(LOOK_AGAIN_MS)
        }
        assertEquals(0uL, liveObjects(), "objects leaked")
    }

    private companion object {
        const val PRESSES = 1000
        const val PHONES = 4
        const val PHASES = 5
        const val THREADS = 8
        const val TIMES = 5
        const val COLLECTED_WITHIN_S = 60L
        const val LOOK_AGAIN_MS = 20L
    }
}
