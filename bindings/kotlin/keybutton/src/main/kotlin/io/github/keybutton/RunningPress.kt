package io.github.keybutton

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableSharedFlow
import kotlinx.coroutines.flow.filterNotNull
import kotlinx.coroutines.flow.takeWhile

/**
 * One use of the Key Button. It runs by itself and ends exactly once, by its deadline at the latest, whoever still looks.
 */
class RunningPress internal constructor(private val events: PressEvents, private val press: Press) {
    /** The press id; what [MobileKeys.retry] takes. */
    val id: UnlockId = press.id()

    /** Every phase from the first one on, however late the collection begins; completes when the press has ended. */
    val phases: Flow<Phase> = events.phases

    init {
        // The core's object is let go of with the outcome: nothing can be told to a press that has ended.
        events.outcome.invokeOnCompletion { press.close() }
    }

    /** Waits for the outcome. Cancelling the caller leaves the press alone: that is what [cancel] is for. */
    suspend fun await(): PressOutcome = events.outcome.await()

    /**
     * Ends the press as soon as possible. Before the lock was asked nothing moves (`press-cancelled`); after that the
     * door may have opened (`cancelled-late`). Cancelling what has ended does nothing.
     */
    fun cancel(): Unit = tell { cancel() }

    /** Answers [Phase.Choose]: the member chose this door. */
    fun choose(door: DoorId): Unit = tell { choose(door) }

    private inline fun tell(order: Press.() -> Unit) {
        if (events.outcome.isCompleted) return
        try {
            press.order()
        } catch (_: IllegalStateException) {
            // It ended, and was let go of, in this very moment.
        }
    }
}

/** Hears a press on the core's threads and keeps what it heard for everybody. */
internal class PressEvents(private val tracker: ButtonTracker, private val look: () -> Unit = {}) : PressListener {
    private val number = tracker.nextPress()

    /** Never full, so nothing is lost or waited for; `null` is the end. */
    private val heard = MutableSharedFlow<Phase?>(replay = Int.MAX_VALUE)

    val phases: Flow<Phase> = heard.takeWhile { it != null }.filterNotNull()
    val outcome = CompletableDeferred<PressOutcome>()

    override fun onPhase(phase: Phase) {
        tracker.onPhase(number, phase)
        heard.tryEmit(phase)
    }

    override fun onOutcome(outcome: PressOutcome) {
        look()
        tracker.onOutcome(number, outcome)
        heard.tryEmit(null)
        this.outcome.complete(outcome)
    }
}
