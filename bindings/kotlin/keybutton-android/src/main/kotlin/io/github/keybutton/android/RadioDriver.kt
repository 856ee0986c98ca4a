package io.github.keybutton.android

import io.github.keybutton.Advertisement
import io.github.keybutton.PeripheralId
import io.github.keybutton.Radio
import io.github.keybutton.RadioEvents
import io.github.keybutton.RadioException
import io.github.keybutton.RadioState
import java.util.concurrent.ConcurrentHashMap

/**
 * The radio over a [BluetoothPort]: does what [ScanMachine] and [LinkMachine] say, on the one thread of [serial].
 *
 * Calls of the core decide at once whether they can be taken, and return; what comes of them follows as events.
 */
internal class RadioDriver(
    private val port: BluetoothPort,
    private val serial: Serial,
    private val mtu: Int,
) : Radio, AutoCloseable {
    private val links = ConcurrentHashMap<PeripheralId, Link>()
    private val scan = ScanMachine()

    /**
     * The scan's listener, and whoever used the radio last, to hear of its state also between scans and links. The
     * core's listener does not keep the core alive.
     */
    @Volatile
    private var scanEvents: RadioEvents? = null

    @Volatile
    private var listener: RadioEvents? = null

    @Volatile
    private var toldState: RadioState? = null
    private var isWatching = false

    /** The `onScanFailed` code of a scan that has not worked since; `null` when all is well. */
    val scanFailure: Int? get() = synchronized(scan) { scan.lastFailure }

    override fun state(): RadioState = port.state()

    override fun startScan(events: RadioEvents) {
        use(events)
        val previous = scanEvents
        scanEvents = events
        // Decided and posted under one lock, so that starts and stops are carried out in the order they were decided.
        synchronized(scan) {
            val actions = scan.start(serial.nowMs())
            if (actions == null) {
                scanEvents = previous
                throw RadioException.Throttled()
            }
            post(actions)
        }
    }

    override fun stopScan() {
        scanEvents = null
        synchronized(scan) { post(scan.stop(serial.nowMs())) }
    }

    override fun connect(peripheral: PeripheralId, events: RadioEvents) {
        use(events)
        val link = Link(peripheral, events)
        if (links.putIfAbsent(peripheral, link) != null) throw RadioException.Throttled()
        serial.post { link.feed(LinkInput.Connect) }
    }

    override fun write(peripheral: PeripheralId, value: ByteArray) {
        val link = links[peripheral]?.takeIf { it.isUp } ?: throw noLink()
        serial.post { link.feed(LinkInput.Write(value)) }
    }

    override fun disconnect(peripheral: PeripheralId) {
        val link = links[peripheral] ?: return
        serial.post { link.feed(LinkInput.Disconnect) }
    }

    /** Ends everything and gives the thread back. The radio is of no use after it. */
    override fun close() {
        stopScan()
        serial.post {
            links.values.forEach { it.feed(LinkInput.RadioGone) }
            attempt { port.stopScan() }
            attempt { port.close() }
            serial.close()
        }
    }

    private fun noLink() =
        if (port.state() == RadioState.ON) RadioException.LinkLost() else RadioException.Unavailable()

    private fun use(events: RadioEvents) {
        val state = port.state()
        listener = events
        watch()
        if (state != RadioState.ON) throw RadioException.Unavailable()
    }

    @Synchronized
    private fun watch() {
        if (isWatching) return
        isWatching = true
        toldState = port.state()
        serial.post { attempt { port.watch { stateMayHaveChanged() } } }
    }

    private fun stateMayHaveChanged() {
        val state = port.state()
        if (state == toldState) return
        toldState = state
        if (state != RadioState.ON) links.values.forEach { it.feed(LinkInput.RadioGone) }
        synchronized(scan) { perform(scan.usable(state == RadioState.ON, serial.nowMs())) }
        tell { listener?.stateChanged(state) }
    }

    private fun post(actions: List<ScanAction>) {
        if (actions.isNotEmpty()) serial.post { perform(actions) }
    }

    private fun perform(actions: List<ScanAction>) = actions.forEach { action ->
        when (action) {
            ScanAction.Begin -> if (!attempt { port.startScan(heard) }) heard.failed(ScanFailure.THREW)
            ScanAction.End -> attempt { port.stopScan() }
            is ScanAction.StartTimer -> serial.postDelayed(action.delayMs) {
                synchronized(scan) { post(scan.timer(action.token, serial.nowMs())) }
            }
        }
    }

    private val heard = object : ScanEvents {
        override fun heard(advertisement: Advertisement) {
            if (synchronized(scan) { scan.heard() }) tell { scanEvents?.advertisement(advertisement) }
        }

        override fun failed(code: Int) = synchronized(scan) { post(scan.failed(code, serial.nowMs())) }
    }

    /** One link. Everything but [isUp] belongs to the serial thread. */
    private inner class Link(private val peripheral: PeripheralId, private val events: RadioEvents) {
        private val machine = LinkMachine(mtu)
        private var gatt: GattPort? = null
        private var attempt = 0
        private val inputs = ArrayDeque<LinkInput>()
        private var isFeeding = false

        @Volatile
        var isUp = false
            private set

        /** Takes one input in. What an action brings about at once waits until all actions are done. */
        fun feed(input: LinkInput) {
            inputs += input
            if (isFeeding) return
            isFeeding = true
            try {
                while (true) {
                    val next = inputs.removeFirstOrNull() ?: break
                    val actions = machine.on(next, serial.nowMs())
                    isUp = machine.isUp
                    actions.forEach(::perform)
                }
            } finally {
                isFeeding = false
            }
        }

        private fun perform(action: LinkAction) {
            when (action) {
                LinkAction.Open -> open()
                LinkAction.Hurry -> attempt { gatt?.hurry() }
                is LinkAction.AskMtu -> ask { it.askMtu(action.mtu) }
                LinkAction.Discover -> discover()
                LinkAction.Subscribe -> ask { it.subscribe() }
                is LinkAction.Send -> send(action.value)
                LinkAction.Hangup -> attempt { gatt?.disconnect() }
                LinkAction.Close -> close()
                is LinkAction.StartTimer -> serial.postDelayed(action.delayMs) { feed(LinkInput.Timer(action.token)) }
                is LinkAction.TellConnected -> tell { events.connected(peripheral, action.mtu.toUShort()) }
                is LinkAction.TellValue -> tell { events.notification(peripheral, action.value) }
                is LinkAction.TellDisconnected -> {
                    // First, so that the listener may connect again from within the call.
                    links.remove(peripheral, this)
                    tell { events.disconnected(peripheral, action.cause) }
                }
            }
        }

        private fun open() {
            val ours = ++attempt
            var opened: GattPort? = null
            attempt { opened = port.connect(peripheral, Callbacks(ours)) }
            gatt = opened
            if (opened == null) feed(LinkInput.Refused)
        }

        private fun discover() {
            var known = LockService.UNKNOWN
            attempt { known = gatt?.service() ?: LockService.UNKNOWN }
            // A list without our service may be of the lock's time before an update: ask the lock.
            if (known == LockService.COMPLETE) feed(LinkInput.Discovered(GattStatus.SUCCESS, known)) else ask { it.discover() }
        }

        private fun send(value: ByteArray) {
            var start = WriteStart.REFUSED
            attempt { start = gatt?.write(value) ?: WriteStart.REFUSED }
            when (start) {
                WriteStart.STARTED -> Unit
                WriteStart.BUSY -> feed(LinkInput.Busy)
                WriteStart.REFUSED -> feed(LinkInput.Refused)
            }
        }

        private fun close() {
            attempt++
            attempt { gatt?.close() }
            gatt = null
        }

        private fun ask(call: (GattPort) -> Boolean) {
            var taken = false
            attempt { taken = gatt?.let(call) ?: false }
            if (!taken) feed(LinkInput.Refused)
        }

        private inner class Callbacks(private val ours: Int) : GattEvents {
            override fun connectionChanged(status: Int, connected: Boolean) =
                pass(LinkInput.ConnectionChanged(status, connected))

            override fun mtuChanged(mtu: Int, status: Int) = pass(LinkInput.MtuChanged(mtu, status))

            override fun discovered(status: Int) {
                var service = LockService.UNKNOWN
                attempt { service = gatt?.service() ?: LockService.UNKNOWN }
                pass(LinkInput.Discovered(status, service))
            }

            override fun subscribed(status: Int) = pass(LinkInput.Subscribed(status))

            override fun written(status: Int) = pass(LinkInput.Written(status))

            override fun notified(value: ByteArray) = pass(LinkInput.Notified(value))

            private fun pass(input: LinkInput) {
                if (ours == attempt) feed(input)
            }
        }
    }

    private companion object {
        /** Android may throw from any call: a permission taken away, a Bluetooth service that died. */
        inline fun attempt(call: () -> Unit): Boolean = try {
            call()
            true
        } catch (_: RuntimeException) {
            false
        }

        /** The core answers no event with an error; a bug of ours or of its must not take the app down. */
        inline fun tell(event: () -> Unit) = try {
            event()
        } catch (_: Exception) {
        }
    }
}
