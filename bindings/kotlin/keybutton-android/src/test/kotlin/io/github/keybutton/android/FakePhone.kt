package io.github.keybutton.android

import io.github.keybutton.Advertisement
import io.github.keybutton.NoHandle
import io.github.keybutton.RadioEvents
import io.github.keybutton.RadioException
import io.github.keybutton.RadioState

/** A thread that runs when it is told to, on a clock that moves when it is told to. */
internal class FakeSerial : Serial {
    private class Task(val atMs: Long, val run: () -> Unit)

    private val tasks = mutableListOf<Task>()
    private var clockMs = 1_000_000L
    var isClosed = false
        private set

    override fun post(task: () -> Unit) = postDelayed(0, task)

    override fun postDelayed(delayMs: Long, task: () -> Unit) {
        if (!isClosed) tasks += Task(clockMs + delayMs, task)
    }

    override fun nowMs() = clockMs

    override fun close() {
        isClosed = true
        tasks.clear()
    }

    /** Does everything that is due. */
    fun run() = advance(0)

    fun advance(ms: Long) {
        val end = clockMs + ms
        while (true) {
            // Of tasks due at the same time the one posted first comes first, as with a Handler.
            val next = tasks.filter { it.atMs <= end }.minByOrNull { it.atMs } ?: break
            tasks.remove(next)
            clockMs = maxOf(clockMs, next.atMs)
            next.run()
        }
        clockMs = end
    }
}

/** An Android phone whose Bluetooth does what the test says, in the order in which a real one was seen to do it. */
internal class FakePhone : BluetoothPort {
    val serial = FakeSerial()
    val calls = mutableListOf<String>()
    val gatts = mutableListOf<FakeGatt>()
    var scanEvents: ScanEvents? = null

    /** As [scanEvents], and still there after the scan. */
    var lastScanEvents: ScanEvents? = null
    val scanStartsMs = mutableListOf<Long>()
    private var changed: () -> Unit = {}

    /** What `state()` says. [switchTo] also sends the broadcast. */
    var current = RadioState.ON

    /** Answers each operation by itself, or leaves it to the test. */
    var answers = true
    var grantedMtu = 185
    var known = LockService.UNKNOWN
    var found = LockService.COMPLETE

    /** The operations that Android does not take (`refuse`) or throws at (`forbid`). */
    val refuse = mutableSetOf<String>()
    val forbid = mutableSetOf<String>()

    /** How often a write finds Android busy. */
    var busy = 0

    val gatt get() = gatts.last()

    fun switchTo(state: RadioState) {
        current = state
        changed()
        serial.run()
    }

    override fun state() = current

    override fun watch(changed: () -> Unit) {
        this.changed = changed
    }

    override fun startScan(events: ScanEvents) {
        calls += "scan"
        scanStartsMs += serial.nowMs()
        if ("scan" in forbid) throw SecurityException()
        scanEvents = events
        lastScanEvents = events
    }

    override fun stopScan() {
        calls += "stop"
        scanEvents = null
    }

    override fun connect(address: String, events: GattEvents): GattPort? {
        calls += "connect"
        if ("connect" in forbid) throw SecurityException()
        if ("connect" in refuse) return null
        return FakeGatt(address, events).also {
            gatts += it
            if (answers) answer { it.events.connectionChanged(GattStatus.SUCCESS, true) }
        }
    }

    override fun close() {
        calls += "unwatch"
    }

    fun answer(callback: () -> Unit) = serial.post(callback)

    fun heard(peripheral: String = "lock", rssi: Int = -60) {
        scanEvents?.heard(Advertisement(peripheral, rssi.toByte(), -8, ByteArray(10)))
        serial.run()
    }

    inner class FakeGatt(val address: String, listener: GattEvents) : GattPort {
        /** This one answers by itself, and has this MTU and these services, whatever the phone has. */
        var accepted = false
        var mtu: Int? = null
        var services: LockService? = null

        /** What the lock says as soon as it may. */
        var says: ByteArray? = null
        private var waitsFor: String? = null
        private var isDiscovered = false

        /** The callbacks; each frees the stack for the next operation. */
        val events = object : GattEvents by listener {
            override fun mtuChanged(mtu: Int, status: Int) = answered { listener.mtuChanged(mtu, status) }

            override fun discovered(status: Int) = answered { listener.discovered(status) }

            override fun subscribed(status: Int) = answered { listener.subscribed(status) }

            override fun written(status: Int) = answered { listener.written(status) }

            private fun answered(callback: () -> Unit) {
                waitsFor = null
                callback()
            }
        }
        val written = mutableListOf<List<Byte>>()
        var isClosed = false
            private set

        override fun hurry() {
            calls += "hurry"
        }

        override fun askMtu(mtu: Int) = operation("mtu $mtu") { events.mtuChanged(this.mtu ?: grantedMtu, GattStatus.SUCCESS) }

        override fun service() = services?.takeIf { isDiscovered } ?: known

        override fun discover() = operation("discover") {
            if (services == null) known = found
            isDiscovered = true
            events.discovered(GattStatus.SUCCESS)
        }

        override fun subscribe() = operation("subscribe") {
            says?.let(events::notified)
            events.subscribed(GattStatus.SUCCESS)
        }

        override fun write(value: ByteArray): WriteStart {
            if (busy > 0) {
                busy--
                return WriteStart.BUSY
            }
            written += value.toList()
            return if (operation("write") { events.written(GattStatus.SUCCESS) }) WriteStart.STARTED else WriteStart.REFUSED
        }

        override fun disconnect() {
            calls += "disconnect"
            if (answers || accepted) answer { if (!isClosed) events.connectionChanged(GattStatus.SUCCESS, false) }
        }

        override fun close() {
            calls += "close"
            isClosed = true
        }

        private fun operation(name: String, callback: () -> Unit): Boolean {
            check(!isClosed) { "$name on a closed BluetoothGatt" }
            check(waitsFor == null) { "$name while $waitsFor is under way" }
            calls += name
            val word = name.substringBefore(' ')
            if (word in forbid) throw SecurityException()
            if (word in refuse) return false
            waitsFor = name
            if (answers || accepted) answer { if (!isClosed) callback() }
            return true
        }
    }
}

/** Writes down what the radio reports. */
internal open class Recorder : RadioEvents(NoHandle) {
    val events = mutableListOf<String>()
    val values = mutableListOf<List<Byte>>()
    val advertisements = mutableListOf<Advertisement>()

    override fun advertisement(advertisement: Advertisement) {
        advertisements += advertisement
        events += "heard ${advertisement.peripheral} ${advertisement.rssi}"
    }

    override fun connected(peripheral: String, mtu: UShort) {
        events += "connected $mtu"
    }

    override fun notification(peripheral: String, value: ByteArray) {
        events += "value"
        values += value.toList()
    }

    override fun disconnected(peripheral: String, cause: RadioException) {
        events += cause.javaClass.simpleName
    }

    override fun stateChanged(state: RadioState) {
        events += state.name
    }
}
