package io.github.keybutton.android

import io.github.keybutton.RadioException

/** What happens to a link. */
internal sealed interface LinkInput {
    data object Connect : LinkInput

    data object Disconnect : LinkInput

    class Write(val value: ByteArray) : LinkInput

    data class ConnectionChanged(val status: Int, val connected: Boolean) : LinkInput

    data class MtuChanged(val mtu: Int, val status: Int) : LinkInput

    /** Services are discovered, or were known; [service] says what there is. */
    data class Discovered(val status: Int, val service: LockService) : LinkInput

    data class Subscribed(val status: Int) : LinkInput

    data class Written(val status: Int) : LinkInput

    class Notified(val value: ByteArray) : LinkInput

    /** Android did not take a call: it returned false, or threw. */
    data object Refused : LinkInput

    /** Android has a write under way that we do not know of. */
    data object Busy : LinkInput

    /** Bluetooth went off: no callback will come. */
    data object RadioGone : LinkInput

    data class Timer(val token: Int) : LinkInput
}

/** What has to be done for a link, in the order given. */
internal sealed interface LinkAction {
    /** Open a `BluetoothGatt`; events of an earlier one are to be dropped. */
    data object Open : LinkAction

    data object Hurry : LinkAction

    data class AskMtu(val mtu: Int) : LinkAction

    /** Answer with [LinkInput.Discovered], at once where the services are known. */
    data object Discover : LinkAction

    data object Subscribe : LinkAction

    class Send(val value: ByteArray) : LinkAction

    data object Hangup : LinkAction

    data object Close : LinkAction

    data class StartTimer(val token: Int, val delayMs: Long) : LinkAction

    data class TellConnected(val mtu: Int) : LinkAction

    class TellValue(val value: ByteArray) : LinkAction

    data class TellDisconnected(val cause: RadioException) : LinkAction
}

/**
 * One link, from `connectGatt` to `close`: one GATT operation at a time, every wait with an end, and the end told once.
 *
 * [askedMtu] is what to ask for before the services are discovered; 23 skips the step.
 */
internal class LinkMachine(private val askedMtu: Int) {
    private enum class State { NEW, CONNECTING, PAUSING, ASKING_MTU, DISCOVERING, SUBSCRIBING, UP, DRAINING, LEAVING, OVER }

    private var state = State.NEW
    private var token = 0
    private var startedMs = 0L
    private var retried = false
    private var mtu = SMALLEST_MTU
    private var mtuKnown = false
    private var cause: RadioException = RadioException.Closed()
    private val early = ArrayDeque<ByteArray>()
    private val queue = ArrayDeque<ByteArray>()
    private var inFlight = false
    private var busy = 0
    private var resend = false
    private val actions = mutableListOf<LinkAction>()

    /** The link takes values. */
    val isUp get() = state == State.UP

    /** Takes one input in; returns what to do. */
    fun on(input: LinkInput, nowMs: Long): List<LinkAction> {
        actions.clear()
        when (input) {
            LinkInput.Connect -> connect(nowMs)
            LinkInput.Disconnect -> disconnect()
            is LinkInput.Write -> write(input.value)
            is LinkInput.ConnectionChanged -> connectionChanged(input, nowMs)
            is LinkInput.MtuChanged -> mtuChanged(input)
            is LinkInput.Discovered -> discovered(input)
            is LinkInput.Subscribed -> subscribed(input.status)
            is LinkInput.Written -> written(input.status)
            is LinkInput.Notified -> notified(input.value)
            LinkInput.Refused -> refused()
            LinkInput.Busy -> tryLater()
            LinkInput.RadioGone -> if (state != State.NEW) over(RadioException.Unavailable())
            is LinkInput.Timer -> if (input.token == token) timedOut()
        }
        return actions.toList()
    }

    private fun connect(nowMs: Long) {
        if (state != State.NEW) return
        startedMs = nowMs
        enter(State.CONNECTING, CONNECT_MS, LinkAction.Open)
    }

    private fun disconnect() = when (state) {
        State.NEW, State.OVER, State.LEAVING, State.DRAINING -> Unit
        // No callback tells the end of an attempt that is given up.
        State.CONNECTING, State.PAUSING -> giveUp(RadioException.Closed())
        State.ASKING_MTU, State.DISCOVERING, State.SUBSCRIBING -> leave(RadioException.Closed())
        State.UP -> if (inFlight) enter(State.DRAINING, DRAIN_MS) else leave(RadioException.Closed())
    }

    private fun connectionChanged(input: LinkInput.ConnectionChanged, nowMs: Long) {
        if (!input.connected) return dropped(input.status, nowMs)
        if (state != State.CONNECTING) return
        if (input.status != GattStatus.SUCCESS) return leave(RadioException.ConnectFailed())
        actions += LinkAction.Hurry
        // Some stacks exchange the MTU by themselves, or the lock asks for it: then there is nothing to ask for.
        if (askedMtu > SMALLEST_MTU && !mtuKnown) {
            enter(State.ASKING_MTU, STEP_MS, LinkAction.AskMtu(askedMtu))
        } else {
            discover()
        }
    }

    private fun dropped(status: Int, nowMs: Long) {
        when (state) {
            State.NEW, State.OVER, State.PAUSING -> Unit
            State.CONNECTING, State.ASKING_MTU, State.DISCOVERING, State.SUBSCRIBING ->
                if (isWorthASecondTry(status) && !retried && nowMs - startedMs < RETRY_WITHIN_MS) {
                    retried = true
                    mtu = SMALLEST_MTU
                    mtuKnown = false
                    early.clear()
                    actions += LinkAction.Close
                    enter(State.PAUSING, RETRY_PAUSE_MS)
                } else {
                    over(neverUp(status))
                }
            State.UP -> over(RadioException.LinkLost())
            State.DRAINING -> over(RadioException.Closed())
            State.LEAVING -> over(cause)
        }
    }

    private fun neverUp(status: Int): RadioException {
        val nobodyThere = status == GattStatus.CONNECT_TIMEOUT || status == GattStatus.ERROR && !retried
        return if (state == State.CONNECTING && nobodyThere) RadioException.OutOfRange() else RadioException.ConnectFailed()
    }

    private fun mtuChanged(input: LinkInput.MtuChanged) {
        if (input.status == GattStatus.SUCCESS) {
            mtu = input.mtu.coerceIn(SMALLEST_MTU, LARGEST_MTU)
            mtuKnown = true
        }
        if (state == State.ASKING_MTU) discover()
    }

    private fun discover() = enter(State.DISCOVERING, DISCOVER_MS, LinkAction.Discover)

    private fun discovered(input: LinkInput.Discovered) {
        if (state != State.DISCOVERING) return
        when {
            input.status != GattStatus.SUCCESS -> leave(RadioException.ConnectFailed())
            input.service == LockService.COMPLETE -> enter(State.SUBSCRIBING, STEP_MS, LinkAction.Subscribe)
            else -> leave(RadioException.WrongService())
        }
    }

    private fun subscribed(status: Int) {
        if (state != State.SUBSCRIBING) return
        if (status != GattStatus.SUCCESS) return leave(RadioException.ConnectFailed())
        enter(State.UP)
        actions += LinkAction.TellConnected(mtu)
        actions += early.map { LinkAction.TellValue(it) }
        early.clear()
    }

    private fun notified(value: ByteArray) {
        when (state) {
            State.UP, State.DRAINING -> actions += LinkAction.TellValue(value)
            // The lock may speak before Android has told us that we are subscribed.
            State.SUBSCRIBING -> if (early.size < EARLY_MAX) early += value else leave(RadioException.ConnectFailed())
            State.NEW, State.CONNECTING, State.PAUSING, State.ASKING_MTU, State.DISCOVERING, State.LEAVING, State.OVER -> Unit
        }
    }

    private fun write(value: ByteArray) {
        if (state != State.UP) return
        queue += value
        if (!inFlight) sendNext()
    }

    private fun sendNext() {
        resend = false
        val value = queue.firstOrNull()
        inFlight = value != null
        if (value != null) {
            actions += LinkAction.Send(value)
            if (state == State.UP) startTimer(SEND_MS)
        } else if (state == State.DRAINING) {
            leave(RadioException.Closed())
        } else {
            token++
        }
    }

    private fun written(status: Int) {
        if (!inFlight || resend || state != State.UP && state != State.DRAINING) return
        // A value that Android did not send can't be sent again: the lock counts fragments.
        if (status != GattStatus.SUCCESS && status != GattStatus.CONGESTED) return leave(RadioException.LinkLost())
        queue.removeFirst()
        busy = 0
        sendNext()
    }

    private fun tryLater() {
        if (!inFlight || state != State.UP && state != State.DRAINING) return
        if (state == State.DRAINING) return leave(RadioException.Closed())
        if (++busy > BUSY_MAX) return leave(RadioException.LinkLost())
        resend = true
        startTimer(BUSY_MS)
    }

    private fun refused() = when (state) {
        State.NEW, State.OVER, State.LEAVING, State.PAUSING -> Unit
        State.CONNECTING -> giveUp(RadioException.ConnectFailed())
        // Without a larger MTU the link works all the same.
        State.ASKING_MTU -> discover()
        State.DISCOVERING, State.SUBSCRIBING -> leave(RadioException.ConnectFailed())
        State.UP -> leave(RadioException.LinkLost())
        State.DRAINING -> leave(RadioException.Closed())
    }

    private fun timedOut() = when (state) {
        State.NEW, State.OVER -> Unit
        State.CONNECTING -> giveUp(RadioException.OutOfRange())
        State.PAUSING -> enter(State.CONNECTING, CONNECT_MS, LinkAction.Open)
        // The step's callback went missing. Another operation on top would wait for it, too.
        State.ASKING_MTU, State.DISCOVERING, State.SUBSCRIBING -> leave(RadioException.ConnectFailed())
        State.UP -> if (resend) sendNext() else leave(RadioException.LinkLost())
        State.DRAINING -> leave(RadioException.Closed())
        State.LEAVING -> over(cause)
    }

    /** Ends a link that is up, as far as Android is concerned. */
    private fun leave(cause: RadioException) {
        this.cause = cause
        enter(State.LEAVING, GOODBYE_MS, LinkAction.Hangup)
    }

    private fun giveUp(cause: RadioException) {
        if (state == State.CONNECTING) actions += LinkAction.Hangup
        over(cause)
    }

    private fun over(cause: RadioException) {
        if (state == State.OVER) return
        enter(State.OVER)
        queue.clear()
        actions += LinkAction.Close
        actions += LinkAction.TellDisconnected(cause)
    }

    private fun enter(next: State, timeoutMs: Long? = null, action: LinkAction? = null) {
        state = next
        if (action != null) actions += action
        if (timeoutMs != null) startTimer(timeoutMs) else token++
    }

    private fun startTimer(delayMs: Long) {
        token++
        actions += LinkAction.StartTimer(token, delayMs)
    }

    companion object {
        /** The MTU of a link where nobody asks for another (Bluetooth Core 5.4, volume 3 part G section 5.2.1). */
        const val SMALLEST_MTU = 23

        /** The largest that Android takes. */
        const val LARGEST_MTU = 517

        /** The core gives a lock up sooner; this ends an attempt that nobody waits for. */
        const val CONNECT_MS = 10_000L
        const val STEP_MS = 2_000L

        /** Discovery of an unknown lock takes several round trips. */
        const val DISCOVER_MS = 4_000L
        const val SEND_MS = 2_000L

        /** Together less than the second that the core waits for the end of a link. */
        const val DRAIN_MS = 300L
        const val GOODBYE_MS = 500L

        /** Status 133 this late means that nobody answered for the whole of the stack's own time limit. */
        const val RETRY_WITHIN_MS = 5_000L

        /** Long enough for the stack to free the client that failed. */
        const val RETRY_PAUSE_MS = 150L
        const val BUSY_MS = 15L
        const val BUSY_MAX = 40
        const val EARLY_MAX = 32

        private fun isWorthASecondTry(status: Int) =
            status == GattStatus.ERROR || status == GattStatus.NOT_ESTABLISHED
    }
}
