package io.github.keybutton.android

import android.annotation.SuppressLint
import android.bluetooth.BluetoothAdapter
import android.bluetooth.BluetoothDevice
import android.bluetooth.BluetoothManager
import android.bluetooth.le.BluetoothLeScanner
import android.bluetooth.le.ScanCallback
import android.bluetooth.le.ScanFilter
import android.bluetooth.le.ScanResult
import android.bluetooth.le.ScanSettings
import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.content.pm.PackageManager
import android.os.Handler
import android.os.ParcelUuid
import io.github.keybutton.Advertisement
import io.github.keybutton.RadioState
import java.util.UUID

/** The UUIDs of the lock's service (docs/PROTOCOL.md section 14). */
internal object LockUuids {
    val SERVICE: UUID = UUID.fromString("3b6dd380-75d6-45e2-9355-c17766a66a01")
    val TO_LOCK: UUID = UUID.fromString("3b6dd381-75d6-45e2-9355-c17766a66a01")
    val TO_PHONE: UUID = UUID.fromString("3b6dd382-75d6-45e2-9355-c17766a66a01")

    /** Client characteristic configuration (Bluetooth assigned numbers). */
    val CONFIGURATION: UUID = UUID.fromString("00002902-0000-1000-8000-00805f9b34fb")
}

/** Android's Bluetooth. Passes calls and callbacks on; decides nothing. */
@SuppressLint("MissingPermission")
internal class AndroidBluetooth(private val context: Context, private val handler: Handler) : BluetoothPort {
    private val adapter: BluetoothAdapter? =
        (context.getSystemService(Context.BLUETOOTH_SERVICE) as? BluetoothManager)?.adapter
    private val hasLowEnergy = context.packageManager.hasSystemFeature(PackageManager.FEATURE_BLUETOOTH_LE)
    private var receiver: BroadcastReceiver? = null
    private var scanner: BluetoothLeScanner? = null
    private var callback: ScanCallback? = null

    /** Devices as the scan handed them out: they know what kind of address theirs is. */
    private val devices = object : LinkedHashMap<String, BluetoothDevice>(16, 0.75f, true) {
        override fun removeEldestEntry(eldest: Map.Entry<String, BluetoothDevice>) = size > DEVICES_MAX
    }

    override fun state(): RadioState = when {
        adapter == null || !hasLowEnergy -> RadioState.ABSENT
        permissionFacts(context).missing().any { it.stopsRadio } -> RadioState.UNAUTHORIZED
        else -> try {
            if (adapter.state == BluetoothAdapter.STATE_ON) RadioState.ON else RadioState.OFF
        } catch (_: SecurityException) {
            RadioState.UNAUTHORIZED
        }
    }

    override fun watch(changed: () -> Unit) {
        val receiver = object : BroadcastReceiver() {
            override fun onReceive(context: Context, intent: Intent) = changed()
        }
        // A broadcast of the system alone: no other app can send it, so no export flag is asked for.
        context.registerReceiver(receiver, IntentFilter(BluetoothAdapter.ACTION_STATE_CHANGED), null, handler)
        this.receiver = receiver
        // It may have changed since the first use.
        changed()
    }

    override fun startScan(events: ScanEvents) {
        stopScan()
        val scanner = checkNotNull(adapter?.bluetoothLeScanner) { "Bluetooth went off" }
        val callback = callback(events)
        val filter = ScanFilter.Builder().setServiceUuid(ParcelUuid(LockUuids.SERVICE)).build()
        val settings = ScanSettings.Builder().setScanMode(ScanSettings.SCAN_MODE_LOW_LATENCY).build()
        scanner.startScan(listOf(filter), settings, callback)
        this.scanner = scanner
        this.callback = callback
    }

    override fun stopScan() {
        val (scanner, callback) = (scanner ?: return) to (callback ?: return)
        this.scanner = null
        this.callback = null
        scanner.stopScan(callback)
    }

    override fun connect(address: String, events: GattEvents): GattPort? {
        val device = devices[address] ?: adapter?.getRemoteDevice(address) ?: return null
        val callback = AndroidGattCallback(events)
        val gatt = device.connectGatt(
            context,
            false,
            callback,
            BluetoothDevice.TRANSPORT_LE,
            BluetoothDevice.PHY_LE_1M_MASK,
            handler,
        ) ?: return null
        return AndroidGatt(gatt)
    }

    override fun close() {
        receiver?.let(context::unregisterReceiver)
        receiver = null
    }

    /** Scan callbacks come on the main thread. */
    private fun callback(events: ScanEvents) = object : ScanCallback() {
        override fun onScanResult(callbackType: Int, result: ScanResult) {
            handler.post { if (callback === this) take(result, events) }
        }

        override fun onBatchScanResults(results: List<ScanResult>) {
            handler.post { if (callback === this) results.forEach { take(it, events) } }
        }

        override fun onScanFailed(errorCode: Int) {
            handler.post { if (callback === this) events.failed(errorCode) }
        }
    }

    private fun take(result: ScanResult, events: ScanEvents) {
        val record = result.scanRecord ?: return
        devices[result.device.address] = result.device
        val power = record.txPowerLevel.takeIf { it in Byte.MIN_VALUE..Byte.MAX_VALUE }
        val data = record.getServiceData(ParcelUuid(LockUuids.SERVICE)) ?: ByteArray(0)
        val rssi = result.rssi.coerceIn(Byte.MIN_VALUE.toInt(), Byte.MAX_VALUE.toInt())
        events.heard(Advertisement(result.device.address, rssi.toByte(), power?.toByte(), data))
    }

    private companion object {
        /** As many as the core follows. */
        const val DEVICES_MAX = 256
    }
}
