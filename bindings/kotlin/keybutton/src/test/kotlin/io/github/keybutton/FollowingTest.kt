package io.github.keybutton

import java.util.concurrent.CopyOnWriteArrayList
import kotlin.coroutines.cancellation.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeoutOrNull
import kotlinx.coroutines.yield
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

class FollowingTest {
    private val core = FakePress()
    private val events = PressEvents(ButtonTracker(ButtonState.Visible))
    private val press = RunningPress(events, core)

    @Test
    fun `phases arrive in order in the caller's context, all before the outcome`(): Unit = runBlocking {
        val threads = mutableSetOf<Thread>()
        val seen = mutableListOf<Phase>()
        val outcome = async(start = CoroutineStart.UNDISPATCHED) {
            press.follow(null) {
                threads += Thread.currentThread()
                seen += it
            }
        }
        val core = Thread {
            events.onPhase(Phase.CheckingAccess)
            events.onPhase(Phase.Searching)
            events.onOutcome(CANCELLED)
        }
        core.start()
        assertEquals(CANCELLED, outcome.await())
        assertEquals(listOf(Phase.CheckingAccess, Phase.Searching), seen)
        assertEquals(setOf(Thread.currentThread()), threads)
    }

    @Test
    fun `late collectors miss nothing and end with the press`(): Unit = runBlocking {
        events.onPhase(Phase.CheckingAccess)
        events.onPhase(Phase.Searching)
        events.onOutcome(CANCELLED)
        repeat(2) { assertEquals(listOf(Phase.CheckingAccess, Phase.Searching), press.phases.toList()) }
        assertEquals(CANCELLED, press.await())
    }

    @Test
    fun `a cancelled caller cancels the press and is told how it ended`(): Unit = runBlocking {
        val caller = async(start = CoroutineStart.UNDISPATCHED) {
            assertThrows<PressCancelledException> { press.follow(null) {} }.outcome
        }
        events.onPhase(Phase.Searching)
        caller.cancel()
        yield()
        assertEquals(listOf("cancel"), core.told)
        assertTrue(!caller.isCompleted, "the outcome is waited for")
        events.onOutcome(CANCELLED)
        caller.join()
        assertEquals(CANCELLED, press.await())
    }

    @Test
    fun `a timeout around the press is a cancelled caller`(): Unit = runBlocking {
        core.onCancel = { events.onOutcome(CANCELLED) }
        var caught: CancellationException? = null
        val result = withTimeoutOrNull(1) {
            try {
                press.follow(null) {}
            } catch (cancelled: CancellationException) {
                caught = cancelled
                throw cancelled
            }
        }
        assertNull(result)
        assertEquals(CANCELLED, (caught as PressCancelledException).outcome)
    }

    @Test
    fun `a caller whose own code throws hears it after the door has had its say`(): Unit = runBlocking {
        val failure = IllegalArgumentException("as told")
        val calls = mutableListOf<Phase>()
        val following = async(start = CoroutineStart.UNDISPATCHED) {
            runCatching {
                press.follow(null) {
                    calls += it
                    throw failure
                }
            }
        }
        events.onPhase(Phase.CheckingAccess)
        events.onPhase(Phase.Searching)
        yield()
        assertTrue(!following.isCompleted)
        events.onOutcome(CANCELLED)
        assertSame(failure, following.await().exceptionOrNull())
        assertEquals(listOf<Phase>(Phase.CheckingAccess), calls, "it is not called again")
        assertEquals(listOf("close"), core.told, "the press went on")
    }

    @Test
    fun `the chosen door is told, none of them cancels, and so does a chooser that throws`(): Unit = runBlocking {
        val two = Phase.Choose(listOf(candidate("a"), candidate("b")))
        suspend fun toldAfter(choose: Chooser): List<String> {
            val core = FakePress()
            val events = PressEvents(ButtonTracker(ButtonState.Visible))
            core.onCancel = { events.onOutcome(CANCELLED) }
            core.onChoose = { events.onOutcome(CANCELLED) }
            events.onPhase(two)
            runCatching { RunningPress(events, core).follow(choose) {} }
                .onFailure { assertEquals("as told", it.message) }
            return core.told - "close"
        }
        assertEquals(listOf("choose b"), toldAfter { doors -> doors.last().door })
        assertEquals(listOf("cancel"), toldAfter { null })
        assertEquals(listOf("cancel"), toldAfter { error("as told") })
    }

    @Test
    fun `the question is taken back when the press goes on or ends without an answer`(): Unit = runBlocking {
        val asked = CompletableDeferred<Unit>()
        val takenBack = CompletableDeferred<Unit>()
        val following = async {
            press.follow({
                asked.complete(Unit)
                try {
                    awaitCancellation()
                } finally {
                    takenBack.complete(Unit)
                }
            }) {}
        }
        events.onPhase(Phase.Choose(listOf(candidate("a"), candidate("b"))))
        asked.await()
        events.onOutcome(CANCELLED)
        takenBack.await()
        assertEquals(CANCELLED, following.await())
        assertEquals(listOf("close"), core.told, "nothing was chosen and nothing cancelled")
    }

    @Test
    fun `the core's object is closed once, with the outcome, and told nothing afterwards`() {
        events.onOutcome(CANCELLED)
        press.cancel()
        press.choose("a")
        assertEquals(listOf("close"), core.told)
        val early = PressEvents(ButtonTracker(ButtonState.Visible)).apply { onOutcome(CANCELLED) }
        val late = FakePress()
        RunningPress(early, late)
        assertEquals(listOf("close"), late.told, "the outcome was there before the press was")
    }

    private class FakePress : Press(NoHandle) {
        val told = CopyOnWriteArrayList<String>()
        var onCancel: () -> Unit = {}
        var onChoose: () -> Unit = {}

        override fun id(): UnlockId = CANCELLED.press

        override fun cancel() {
            told += "cancel"
            onCancel()
        }

        override fun choose(door: DoorId) {
            told += "choose $door"
            onChoose()
        }

        override fun close() {
            told += "close"
        }
    }
}
