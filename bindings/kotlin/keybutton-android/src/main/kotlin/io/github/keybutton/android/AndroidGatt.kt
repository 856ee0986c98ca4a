package io.github.keybutton.android

import android.annotation.SuppressLint
import android.bluetooth.BluetoothGatt
import android.bluetooth.BluetoothGattCallback
import android.bluetooth.BluetoothGattCharacteristic
import android.bluetooth.BluetoothGattDescriptor
import android.bluetooth.BluetoothProfile
import android.bluetooth.BluetoothStatusCodes
import android.os.Build

/** One `BluetoothGatt`, with the calls of old and new versions of Android behind one face. */
@SuppressLint("MissingPermission")
internal class AndroidGatt(private val gatt: BluetoothGatt) : GattPort {
    override fun hurry() {
        gatt.requestConnectionPriority(BluetoothGatt.CONNECTION_PRIORITY_HIGH)
    }

    override fun askMtu(mtu: Int): Boolean = gatt.requestMtu(mtu)

    override fun service(): LockService = when {
        toLock() != null && toPhone()?.getDescriptor(LockUuids.CONFIGURATION) != null -> LockService.COMPLETE
        gatt.services.isEmpty() -> LockService.UNKNOWN
        else -> LockService.MISSING
    }

    override fun discover(): Boolean = gatt.discoverServices()

    override fun subscribe(): Boolean {
        val characteristic = toPhone() ?: return false
        val descriptor = characteristic.getDescriptor(LockUuids.CONFIGURATION) ?: return false
        return gatt.setCharacteristicNotification(characteristic, true) &&
            write(descriptor, BluetoothGattDescriptor.ENABLE_NOTIFICATION_VALUE)
    }

    override fun write(value: ByteArray): WriteStart {
        val characteristic = toLock() ?: return WriteStart.REFUSED
        val type = writeType(characteristic)
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.TIRAMISU) return writeBefore33(characteristic, value, type)
        return when (gatt.writeCharacteristic(characteristic, value, type)) {
            BluetoothStatusCodes.SUCCESS -> WriteStart.STARTED
            BluetoothStatusCodes.ERROR_GATT_WRITE_REQUEST_BUSY -> WriteStart.BUSY
            else -> WriteStart.REFUSED
        }
    }

    override fun disconnect() = gatt.disconnect()

    override fun close() = gatt.close()

    @Suppress("DEPRECATION")
    private fun writeBefore33(characteristic: BluetoothGattCharacteristic, value: ByteArray, type: Int): WriteStart {
        characteristic.writeType = type
        characteristic.value = value
        // False is mostly "busy"; the machine does not try for ever.
        return if (gatt.writeCharacteristic(characteristic)) WriteStart.STARTED else WriteStart.BUSY
    }

    @Suppress("DEPRECATION")
    private fun write(descriptor: BluetoothGattDescriptor, value: ByteArray): Boolean {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) {
            return gatt.writeDescriptor(descriptor, value) == BluetoothStatusCodes.SUCCESS
        }
        descriptor.value = value
        return gatt.writeDescriptor(descriptor)
    }

    private fun writeType(characteristic: BluetoothGattCharacteristic): Int {
        val quick = characteristic.properties and BluetoothGattCharacteristic.PROPERTY_WRITE_NO_RESPONSE != 0
        return if (quick) {
            BluetoothGattCharacteristic.WRITE_TYPE_NO_RESPONSE
        } else {
            BluetoothGattCharacteristic.WRITE_TYPE_DEFAULT
        }
    }

    private fun toLock() = gatt.getService(LockUuids.SERVICE)?.getCharacteristic(LockUuids.TO_LOCK)

    private fun toPhone() = gatt.getService(LockUuids.SERVICE)?.getCharacteristic(LockUuids.TO_PHONE)
}

/** Comes on the thread that was named with `connectGatt`. */
internal class AndroidGattCallback(private val events: GattEvents) : BluetoothGattCallback() {
    override fun onConnectionStateChange(gatt: BluetoothGatt, status: Int, newState: Int) {
        when (newState) {
            BluetoothProfile.STATE_CONNECTED -> events.connectionChanged(status, connected = true)
            BluetoothProfile.STATE_DISCONNECTED -> events.connectionChanged(status, connected = false)
        }
    }

    override fun onMtuChanged(gatt: BluetoothGatt, mtu: Int, status: Int) = events.mtuChanged(mtu, status)

    override fun onServicesDiscovered(gatt: BluetoothGatt, status: Int) = events.discovered(status)

    override fun onDescriptorWrite(gatt: BluetoothGatt, descriptor: BluetoothGattDescriptor, status: Int) {
        if (descriptor.uuid == LockUuids.CONFIGURATION) events.subscribed(status)
    }

    override fun onCharacteristicWrite(gatt: BluetoothGatt, characteristic: BluetoothGattCharacteristic, status: Int) =
        events.written(status)

    @Deprecated("Called before Android 13, where the value lies in the characteristic")
    @Suppress("DEPRECATION")
    override fun onCharacteristicChanged(gatt: BluetoothGatt, characteristic: BluetoothGattCharacteristic) =
        // The next notification writes over the same array.
        notified(characteristic, characteristic.value.copyOf())

    override fun onCharacteristicChanged(
        gatt: BluetoothGatt,
        characteristic: BluetoothGattCharacteristic,
        value: ByteArray,
    ) = notified(characteristic, value)

    private fun notified(characteristic: BluetoothGattCharacteristic, value: ByteArray) {
        if (characteristic.uuid == LockUuids.TO_PHONE) events.notified(value)
    }
}
