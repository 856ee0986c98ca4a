package io.github.keybutton.android

import io.github.keybutton.Advertisement
import io.github.keybutton.RadioState

/**
 * What the radio asks of Android's Bluetooth. [AndroidBluetooth] is the real one; tests have their own.
 *
 * Calls come from one thread, and events have to come on that thread too. A call may throw any [RuntimeException]: a
 * permission that was taken away, a service that died.
 */
internal interface BluetoothPort {
    /** Whether Bluetooth can be used now. May be called from any thread. */
    fun state(): RadioState

    /** Has [changed] called whenever Bluetooth may have been switched on or off, until [close]. Called once. */
    fun watch(changed: () -> Unit)

    /** Starts the one scan. */
    fun startScan(events: ScanEvents)

    /** Stops the scan; harmless when there is none. */
    fun stopScan()

    /** Starts to connect directly, over LE; `null` when Android refuses. */
    fun connect(address: String, events: GattEvents): GattPort?

    /** Gives back what [watch] took. */
    fun close()
}

internal interface ScanEvents {
    fun heard(advertisement: Advertisement)

    /** The scan ended by itself, with one of [ScanFailure]. */
    fun failed(code: Int)
}

/** One `BluetoothGatt`. Every call but [disconnect] and [close] is answered by an event when it returns `true`. */
internal interface GattPort {
    /** Asks for the shortest connection interval. No event answers it. */
    fun hurry()

    fun askMtu(mtu: Int): Boolean

    /** What is known of the lock's service without asking the lock. */
    fun service(): LockService

    fun discover(): Boolean

    /** Writes the client characteristic configuration: notifications on. */
    fun subscribe(): Boolean

    fun write(value: ByteArray): WriteStart

    fun disconnect()

    /** Frees the `BluetoothGatt`. No event comes after it. */
    fun close()
}

internal enum class LockService {
    /** Nothing is known yet. */
    UNKNOWN,

    /** Both characteristics are there. */
    COMPLETE,

    /** There are services, and ours is not among them or lacks a characteristic. */
    MISSING,
}

internal enum class WriteStart { STARTED, BUSY, REFUSED }

/** The callbacks of one `BluetoothGatt`, with Android's own status codes. */
internal interface GattEvents {
    fun connectionChanged(status: Int, connected: Boolean)

    fun mtuChanged(mtu: Int, status: Int)

    fun discovered(status: Int)

    fun subscribed(status: Int)

    fun written(status: Int)

    fun notified(value: ByteArray)
}

/** `BluetoothGatt` status codes, as the stack reports them. */
internal object GattStatus {
    const val SUCCESS = 0

    /** The stack's buffers are full; the value was taken all the same. */
    const val CONGESTED = 143

    /** Everything from a full client table to a link that did not come up. A second try usually helps. */
    const val ERROR = 133

    /** API 35: a direct connection attempt took too long. */
    const val CONNECT_TIMEOUT = 147

    /** The controller could not establish the link. */
    const val NOT_ESTABLISHED = 62
}

/** `ScanCallback.onScanFailed` codes. */
internal object ScanFailure {
    const val ALREADY_STARTED = 1
    const val REGISTRATION_FAILED = 2
    const val UNSUPPORTED = 4
    const val TOO_FREQUENT = 6

    /** Ours: `startScan` threw. */
    const val THREW = -1
}

/** One thread that does one thing after the other. */
internal interface Serial {
    fun post(task: () -> Unit)

    fun postDelayed(delayMs: Long, task: () -> Unit)

    /** Milliseconds of a clock that never goes back. */
    fun nowMs(): Long

    fun close()
}
