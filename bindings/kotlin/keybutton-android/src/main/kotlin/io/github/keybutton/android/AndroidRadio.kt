package io.github.keybutton.android

import android.content.Context
import android.os.Handler
import android.os.HandlerThread
import android.os.SystemClock
import io.github.keybutton.Radio

/**
 * Finds and reaches locks over this phone's Bluetooth.
 *
 * One radio serves the whole app: Android counts scans by app. It declares and asks for no permission; without them
 * its state is `UNAUTHORIZED`, and `doctor(context)` names what is missing. It keeps a thread and a broadcast receiver
 * from its first use until [close].
 *
 * [mtu] is asked for once a link is up, before the services are looked up: 247 lets a value fill one packet of the
 * link layer. The step costs a round trip and saves about five for the smallest press, for a value carries 19 bytes
 * of a message without it. 23 leaves the step out. Where the system has exchanged the MTU by itself there is no step.
 */
class AndroidRadio private constructor(private val driver: RadioDriver) : Radio by driver, AutoCloseable {
    @JvmOverloads
    constructor(context: Context, mtu: Int = USUAL_MTU) : this(drive(context.applicationContext, mtu))

    /**
     * Why Android does not scan for us: an `onScanFailed` code; `null` when nothing is known to be wrong. Code 2
     * (registration failed) goes away when Bluetooth is switched off and on.
     */
    val scanFailure: Int? get() = driver.scanFailure

    /** Drops every link and gives back thread and receiver. The radio is of no use after it. */
    override fun close() = driver.close()

    companion object {
        /** One packet of the link layer (251 bytes) less the header of L2CAP. */
        const val USUAL_MTU = 247

        private fun drive(context: Context, mtu: Int): RadioDriver {
            require(mtu in LinkMachine.SMALLEST_MTU..LinkMachine.LARGEST_MTU) { "an ATT MTU is 23 to 517" }
            val thread = HandlerThread("keybutton-radio").apply { start() }
            val handler = Handler(thread.looper)
            return RadioDriver(AndroidBluetooth(context, handler), HandlerSerial(handler), mtu)
        }
    }
}

/** The thread that all Bluetooth callbacks come on. */
internal class HandlerSerial(private val handler: Handler) : Serial {
    override fun post(task: () -> Unit) {
        handler.post(task)
    }

    override fun postDelayed(delayMs: Long, task: () -> Unit) {
        handler.postDelayed(task, delayMs)
    }

    override fun nowMs(): Long = SystemClock.elapsedRealtime()

    override fun close() {
        handler.looper.quit()
    }
}
