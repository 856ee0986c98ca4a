package io.github.keybutton.android

import io.github.keybutton.Advertisement
import io.github.keybutton.RadioException
import io.github.keybutton.RadioState
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.Random

class ScanTest {
    private val phone = FakePhone()
    private val heard = Recorder()
    private val radio = RadioDriver(phone, phone.serial, AndroidRadio.USUAL_MTU)

    @Test
    fun `hears until the scan is stopped`() {
        start()
        phone.heard(rssi = -50)
        val late = phone.scanEvents!!
        stop()
        late.heard(Advertisement("lock", -40, null, ByteArray(0)))
        assertEquals(listOf("heard lock -50"), heard.events)
        assertEquals(listOf("scan", "stop"), phone.calls)
    }

    @Test
    fun `the last start in half a minute is never given up`() {
        repeat(20) {
            start()
            phone.heard()
            stop()
            phone.serial.advance(100)
        }
        assertEquals(20, heard.events.size)
        assertEquals(ScanMachine.STARTS_MAX, phone.calls.count { it == "scan" })
        phone.heard()
        assertEquals("nobody listens to a scan that lingers", 20, heard.events.size)
        phone.serial.advance(ScanMachine.PERIOD_MS)
        assertEquals("stop", phone.calls.last())
        assertEquals(ScanMachine.STARTS_MAX, phone.calls.count { it == "stop" })
    }

    @Test
    fun `no six scans ever start in half a minute`() {
        val random = Random(3)
        repeat(3_000) {
            when (random.nextInt(20)) {
                0 -> phone.scanEvents?.failed(ScanFailure.REGISTRATION_FAILED)
                in 1..9 -> stop()
                // After failures the starts may be used up; Android must not be asked then.
                else -> try {
                    start()
                } catch (_: RadioException.Throttled) {
                }
            }
            phone.serial.advance(random.nextInt(4_000).toLong())
        }
        assertEquals(emptyList<Any>(), phone.scanStartsMs.windowed(6).filter { it.last() - it.first() < 30_000 })
        assertTrue(phone.scanStartsMs.size > 100)
    }

    @Test
    fun `a scan that other code in the app used up is tried again`() {
        start()
        phone.scanEvents!!.failed(ScanFailure.TOO_FREQUENT)
        assertEquals(ScanFailure.TOO_FREQUENT, radio.scanFailure)
        stop()
        assertThrows(RadioException.Throttled::class.java) { radio.startScan(heard) }
        phone.serial.advance(ScanMachine.PERIOD_MS / ScanMachine.STARTS_MAX)
        start()
        phone.heard()
        assertEquals(listOf("heard lock -60"), heard.events)
        assertNull(radio.scanFailure)
    }

    @Test
    fun `a scan that fails is started again, less and less often`() {
        start()
        for (pauseMs in listOf(500L, 1_000, 2_000)) {
            val before = phone.calls.size
            phone.scanEvents!!.failed(ScanFailure.REGISTRATION_FAILED)
            phone.serial.advance(pauseMs - 1)
            assertEquals(before, phone.calls.size)
            phone.serial.advance(1)
            assertEquals("scan", phone.calls.last())
        }
        assertEquals(ScanFailure.REGISTRATION_FAILED, radio.scanFailure)
        phone.heard()
        assertNull(radio.scanFailure)
    }

    @Test
    fun `a phone that can't scan so is left alone`() {
        start()
        phone.scanEvents!!.failed(ScanFailure.UNSUPPORTED)
        phone.serial.advance(60_000)
        assertEquals(listOf("scan"), phone.calls)
        assertEquals(ScanFailure.UNSUPPORTED, radio.scanFailure)
    }

    @Test
    fun `a scan that Android forbids is a failed one`() {
        phone.forbid += "scan"
        start()
        assertEquals(ScanFailure.THREW, radio.scanFailure)
        phone.forbid.clear()
        phone.serial.advance(ScanMachine.FIRST_PAUSE_MS)
        phone.heard()
        assertEquals(listOf("heard lock -60"), heard.events)
    }

    @Test
    fun `a scan outlives Bluetooth going off and on`() {
        start()
        phone.switchTo(RadioState.OFF)
        phone.switchTo(RadioState.OFF)
        assertThrows(RadioException.Unavailable::class.java) { radio.startScan(heard) }
        phone.switchTo(RadioState.ON)
        phone.heard()
        assertEquals(listOf("OFF", "ON", "heard lock -60"), heard.events)
        assertEquals(listOf("scan", "scan"), phone.calls)
    }

    @Test
    fun `a start that comes before the broadcast starts one scan`() {
        start()
        phone.switchTo(RadioState.OFF)
        stop()
        phone.current = RadioState.ON
        start()
        phone.switchTo(RadioState.ON)
        assertEquals(listOf("scan", "scan"), phone.calls)
    }

    @Test
    fun `a long scan is renewed before Android mutes it`() {
        start()
        phone.serial.advance(ScanMachine.REFRESH_MS)
        assertEquals(listOf("scan", "stop", "scan"), phone.calls)
    }

    private fun start() {
        radio.startScan(heard)
        phone.serial.run()
    }

    private fun stop() {
        radio.stopScan()
        phone.serial.run()
    }
}
