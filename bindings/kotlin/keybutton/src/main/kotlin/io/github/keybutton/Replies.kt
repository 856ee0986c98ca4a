package io.github.keybutton

import kotlinx.coroutines.CompletableDeferred

// What the core answers through. Answers come on the core's threads, exactly once, also when the core goes away.

internal class ButtonReply(private val reply: CompletableDeferred<ButtonState>) : ButtonAnswer {
    override fun succeed(value: ButtonState) {
        reply.complete(value)
    }

    override fun fail(error: KeyException) {
        reply.completeExceptionally(error.translated())
    }
}

internal class DevicesReply(private val reply: CompletableDeferred<List<Device>>) : DevicesAnswer {
    override fun succeed(value: List<Device>) {
        reply.complete(value)
    }

    override fun fail(error: KeyException) {
        reply.completeExceptionally(error.translated())
    }
}

internal class DoneReply(private val reply: CompletableDeferred<Unit>) : DoneAnswer {
    override fun succeed() {
        reply.complete(Unit)
    }

    override fun fail(error: KeyException) {
        reply.completeExceptionally(error.translated())
    }
}

internal class ChecksReply(private val reply: CompletableDeferred<List<Check>>) : ChecksAnswer {
    override fun succeed(value: List<Check>) {
        reply.complete(value)
    }

    override fun fail(error: KeyException) {
        reply.completeExceptionally(error.translated())
    }
}

/** Keeps the Key Button up to date. */
internal class ButtonWatcher(private val tracker: ButtonTracker) : ButtonListener {
    override fun onButton(state: ButtonState): Unit = tracker.onButton(state)
}
