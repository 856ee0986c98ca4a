package io.github.keybutton.android.robolectric

import android.Manifest
import android.app.Application
import android.bluetooth.BluetoothAdapter
import android.bluetooth.BluetoothDevice
import android.bluetooth.BluetoothGatt
import android.bluetooth.BluetoothGattCharacteristic
import android.bluetooth.BluetoothGattDescriptor
import android.bluetooth.BluetoothGattService
import android.bluetooth.BluetoothManager
import android.bluetooth.le.ScanCallback
import android.bluetooth.le.ScanRecord
import android.bluetooth.le.ScanResult
import android.bluetooth.le.ScanSettings
import android.content.Intent
import android.content.pm.PackageInfo
import android.content.pm.PackageManager
import android.os.Handler
import android.os.Looper
import android.os.ParcelUuid
import io.github.keybutton.RadioException
import io.github.keybutton.RadioState
import io.github.keybutton.android.AndroidBluetooth
import io.github.keybutton.android.AndroidRadio
import io.github.keybutton.android.HandlerSerial
import io.github.keybutton.android.KeybuttonPermissions
import io.github.keybutton.android.LockUuids
import io.github.keybutton.android.RadioDriver
import io.github.keybutton.android.Recorder
import io.github.keybutton.android.ScanFailure
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.util.ReflectionHelpers
import org.robolectric.util.ReflectionHelpers.ClassParameter

/** The thin layer over `android.bluetooth`, on Robolectric's Android 15. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35], manifest = Config.NONE)
class AndroidBluetoothTest {
    private val context: Application = RuntimeEnvironment.getApplication()
    private val adapter: BluetoothAdapter = context.getSystemService(BluetoothManager::class.java)!!.adapter
    private val device: BluetoothDevice = adapter.getRemoteDevice(ADDRESS)
    private val heard = Recorder()
    private val radio by lazy {
        val main = Handler(Looper.getMainLooper())
        RadioDriver(AndroidBluetooth(context, main), HandlerSerial(main), AndroidRadio.USUAL_MTU)
    }

    @Before
    fun phone() {
        shadowOf(context.packageManager).setSystemFeature(PackageManager.FEATURE_BLUETOOTH_LE, true)
        permit(Manifest.permission.BLUETOOTH_SCAN, Manifest.permission.BLUETOOTH_CONNECT)
        shadowOf(adapter).setState(BluetoothAdapter.STATE_ON)
    }

    @Test
    fun `tells why Bluetooth can't be used`() {
        assertEquals(RadioState.ON, radio.state())
        shadowOf(adapter).setState(BluetoothAdapter.STATE_TURNING_OFF)
        assertEquals(RadioState.OFF, radio.state())
        shadowOf(context).denyPermissions(Manifest.permission.BLUETOOTH_CONNECT)
        assertEquals(RadioState.UNAUTHORIZED, radio.state())
        assertThrows(RadioException.Unavailable::class.java) { radio.startScan(heard) }
        assertEquals(listOf(Manifest.permission.BLUETOOTH_CONNECT), KeybuttonPermissions.missing(context).map { it.permission })
        shadowOf(context.packageManager).setSystemFeature(PackageManager.FEATURE_BLUETOOTH_LE, false)
        val other = AndroidRadio(context)
        assertEquals(RadioState.ABSENT, other.state())
        other.close()
    }

    @Test
    fun `scans for the lock's service, quickly`() {
        radio.startScan(heard)
        idle()
        val scan = shadowOf(adapter.bluetoothLeScanner).activeScans.single()
        assertEquals(ParcelUuid(LockUuids.SERVICE), scan.scanFilters().single().serviceUuid)
        assertEquals(ScanSettings.SCAN_MODE_LOW_LATENCY, scan.scanSettings()!!.scanMode)

        scanCallback().onScanResult(ScanSettings.CALLBACK_TYPE_ALL_MATCHES, result(ADVERTISEMENT + SCAN_RESPONSE))
        scanCallback().onScanResult(ScanSettings.CALLBACK_TYPE_ALL_MATCHES, result(ADVERTISEMENT))
        idle()
        assertEquals(listOf("heard $ADDRESS -61", "heard $ADDRESS -61"), heard.events)
        assertEquals(listOf(SERVICE_DATA.toList(), emptyList()), heard.advertisements.map { it.serviceData.toList() })
        assertEquals(listOf<Byte?>(-8, -8), heard.advertisements.map { it.txPower })

        val late = scanCallback()
        radio.stopScan()
        idle()
        assertTrue(shadowOf(adapter.bluetoothLeScanner).activeScans.isEmpty())
        late.onScanResult(ScanSettings.CALLBACK_TYPE_ALL_MATCHES, result(ADVERTISEMENT))
        idle()
        assertEquals(2, heard.events.size)
    }

    @Test
    fun `hears that a scan failed`() {
        radio.startScan(heard)
        idle()
        scanCallback().onScanFailed(ScanCallback.SCAN_FAILED_APPLICATION_REGISTRATION_FAILED)
        idle()
        assertEquals(ScanFailure.REGISTRATION_FAILED, radio.scanFailure)
    }

    @Test
    fun `hears Bluetooth going off`() {
        radio.startScan(heard)
        idle()
        shadowOf(adapter).setState(BluetoothAdapter.STATE_OFF)
        context.sendBroadcast(Intent(BluetoothAdapter.ACTION_STATE_CHANGED))
        idle()
        assertEquals(listOf("OFF"), heard.events)
    }

    @Test
    fun `a link comes up, carries values both ways and is closed`() {
        val gatt = linkedUp()
        val shadow = shadowOf(gatt)
        assertEquals(listOf("connected 247"), heard.events)
        assertEquals(BluetoothGatt.CONNECTION_PRIORITY_HIGH, shadow.connectionPriority)

        radio.write(ADDRESS, byteArrayOf(1, 2, 3))
        idle()
        assertArrayEquals(byteArrayOf(1, 2, 3), shadow.latestWrittenBytes)

        shadow.gattCallback.onCharacteristicChanged(gatt, toPhone(gatt), byteArrayOf(4))
        idle()
        assertEquals(listOf(listOf<Byte>(4)), heard.values)

        radio.disconnect(ADDRESS)
        idle()
        assertEquals(listOf("connected 247", "value", "Closed"), heard.events)
        assertTrue(shadow.isClosed)
    }

    @Test
    fun `the callbacks of older phones bring the same values`() {
        val gatt = linkedUp()
        val characteristic = toPhone(gatt)
        val value = byteArrayOf(5, 6)
        @Suppress("DEPRECATION")
        characteristic.value = value
        @Suppress("DEPRECATION")
        shadowOf(gatt).gattCallback.onCharacteristicChanged(gatt, characteristic)
        value.fill(0)
        idle()
        assertEquals(listOf(listOf<Byte>(5, 6)), heard.values)
    }

    @Test
    fun `a link that drops is lost`() {
        val gatt = linkedUp()
        shadowOf(gatt).gattCallback.onConnectionStateChange(gatt, 8, BluetoothGatt.STATE_DISCONNECTED)
        idle()
        assertEquals(listOf("connected 247", "LinkLost"), heard.events)
        assertTrue(shadowOf(gatt).isClosed)
    }

    @Test
    fun `a peripheral without the lock's service is no lock`() {
        val gatt = linkedUp(BluetoothGattService(LockUuids.CONFIGURATION, BluetoothGattService.SERVICE_TYPE_PRIMARY))
        assertEquals(listOf("WrongService"), heard.events)
        assertTrue(shadowOf(gatt).isClosed)
    }

    private fun linkedUp(service: BluetoothGattService = lockService()): BluetoothGatt {
        radio.connect(ADDRESS, heard)
        idle()
        val gatt = shadowOf(device).bluetoothGatts.single()
        shadowOf(gatt).addDiscoverableService(service)
        service.characteristics.forEach { shadowOf(gatt).allowCharacteristicNotification(it) }
        shadowOf(gatt).notifyConnection(ADDRESS)
        idle()
        return gatt
    }

    private fun lockService() = BluetoothGattService(LockUuids.SERVICE, BluetoothGattService.SERVICE_TYPE_PRIMARY).apply {
        addCharacteristic(
            BluetoothGattCharacteristic(
                LockUuids.TO_LOCK,
                BluetoothGattCharacteristic.PROPERTY_WRITE or BluetoothGattCharacteristic.PROPERTY_WRITE_NO_RESPONSE,
                BluetoothGattCharacteristic.PERMISSION_WRITE,
            ),
        )
        val toPhone = BluetoothGattCharacteristic(LockUuids.TO_PHONE, BluetoothGattCharacteristic.PROPERTY_NOTIFY, 0)
        toPhone.addDescriptor(BluetoothGattDescriptor(LockUuids.CONFIGURATION, BluetoothGattDescriptor.PERMISSION_WRITE))
        addCharacteristic(toPhone)
    }

    private fun toPhone(gatt: BluetoothGatt) = gatt.getService(LockUuids.SERVICE).getCharacteristic(LockUuids.TO_PHONE)

    private fun scanCallback() = shadowOf(adapter.bluetoothLeScanner).scanCallbacks.single()

    private fun result(payload: ByteArray): ScanResult {
        val record: ScanRecord = ReflectionHelpers.callStaticMethod(
            ScanRecord::class.java,
            "parseFromBytes",
            ClassParameter.from(ByteArray::class.java, payload),
        )
        return ScanResult(device, 0, 1, 0, 255, ScanResult.TX_POWER_NOT_PRESENT, -61, 0, record, 0)
    }

    private fun permit(vararg permissions: String) {
        val info = shadowOf(context.packageManager).getInternalMutablePackageInfo(context.packageName)
        info.requestedPermissions = arrayOf(*permissions)
        info.requestedPermissionsFlags = IntArray(permissions.size) { PackageInfo.REQUESTED_PERMISSION_NEVER_FOR_LOCATION }
        shadowOf(context).grantPermissions(*permissions)
    }

    private fun idle() = shadowOf(Looper.getMainLooper()).idle()

    private companion object {
        const val ADDRESS = "5A:01:02:03:04:05"
        val SERVICE_LE = "016aa66677c15593e245d67580d36d3b".chunked(2).map { it.toInt(16).toByte() }.toByteArray()
        val SERVICE_DATA = byteArrayOf(0x10, 1, 2, 3, 4, 5, 6, 7, 8, 9)

        // docs/PROTOCOL.md section 15.
        val ADVERTISEMENT = byteArrayOf(2, 1, 6, 17, 7) + SERVICE_LE + byteArrayOf(2, 10, -8)
        val SCAN_RESPONSE = byteArrayOf(27, 0x21) + SERVICE_LE + SERVICE_DATA
    }
}
