package io.github.keybutton

import kotlin.coroutines.cancellation.CancellationException
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.collectLatest
import kotlinx.coroutines.launch
import kotlinx.coroutines.withContext

/** Asks the member which door it is; `null` for none of them. */
internal typealias Chooser = suspend (List<Candidate>) -> DoorId?

/** Follows a press to its outcome in the caller's coroutine; a cancelled caller cancels the press. */
internal suspend fun RunningPress.follow(choose: Chooser?, onPhase: (Phase) -> Unit): PressOutcome {
    val failure = FirstFailure()
    val outcome = try {
        coroutineScope {
            val telling = launch { failure.catching { phases.collect { onPhase(it) } } }
            val choosing = choose?.let { launch { letChoose(it, failure) } }
            val outcome = await()
            choosing?.cancel()
            telling.join()
            outcome
        }
    } catch (cancelled: CancellationException) {
        cancel()
        throw PressCancelledException(withContext(NonCancellable) { await() }, cancelled)
    }
    failure.first?.let { throw it }
    return outcome
}

/** A phase that follows takes the question back. */
private suspend fun RunningPress.letChoose(choose: Chooser, failure: FirstFailure) = phases.collectLatest { phase ->
    if (phase is Phase.Choose) {
        val chosen = failure.catching { choose(phase.v1) }
        if (chosen == null) cancel() else choose(chosen)
    }
}

/** Keeps what the caller's own code threw until the door has had its say. */
private class FirstFailure {
    var first: Throwable? = null

    suspend inline fun <T> catching(callers: () -> T): T? = try {
        callers()
    } catch (thrown: Throwable) {
        // Being cancelled is nobody's failure.
        currentCoroutineContext().ensureActive()
        first = first ?: thrown
        null
    }
}
