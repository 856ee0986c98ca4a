package io.github.keybutton.android

import io.github.keybutton.RadioException
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Test

class WriteTest {
    private val phone = FakePhone()
    private val heard = Recorder()
    private val radio = RadioDriver(phone, phone.serial, AndroidRadio.USUAL_MTU)

    @Test
    fun `values go one at a time, in order`() {
        up()
        write(1, 2, 3)
        assertWritten(1)
        for (sent in 1..3) {
            phone.gatt.events.written(GattStatus.SUCCESS)
            phone.serial.run()
            assertWritten(*(1..minOf(sent + 1, 3)).toList().toIntArray())
        }
        // A callback too many is no reason to send anything again.
        phone.gatt.events.written(GattStatus.SUCCESS)
        write(4)
        assertWritten(1, 2, 3, 4)
    }

    @Test
    fun `a link that is not up takes no value`() {
        assertThrows(RadioException.LinkLost::class.java) { radio.write("lock", byteArrayOf(1)) }
        phone.answers = false
        radio.connect("lock", heard)
        phone.serial.run()
        assertThrows(RadioException.LinkLost::class.java) { radio.write("lock", byteArrayOf(1)) }
    }

    @Test
    fun `a busy stack is asked again, not for ever`() {
        up()
        phone.busy = 3
        write(1)
        assertWritten()
        phone.serial.advance(3 * LinkMachine.BUSY_MS)
        assertWritten(1)
        // Once it is taken it is not sent again, however long the answer takes.
        phone.serial.advance(LinkMachine.SEND_MS - 1)
        assertWritten(1)
        phone.gatt.events.written(GattStatus.SUCCESS)

        phone.busy = Int.MAX_VALUE
        write(2)
        phone.answers = true
        phone.serial.advance(LinkMachine.BUSY_MS * LinkMachine.BUSY_MAX)
        assertEquals(listOf("connected 185", "LinkLost"), heard.events)
    }

    @Test
    fun `a congested stack has taken the value`() {
        up()
        write(1, 2)
        phone.gatt.events.written(GattStatus.CONGESTED)
        assertWritten(1, 2)
    }

    @Test
    fun `a value that was not sent ends the link`() {
        up()
        write(1, 2)
        phone.answers = true
        phone.gatt.events.written(GattStatus.ERROR)
        phone.serial.run()
        assertWritten(1)
        assertEquals(listOf("connected 185", "LinkLost"), heard.events)
    }

    @Test
    fun `a write whose callback goes missing ends the link`() {
        up()
        write(1)
        phone.serial.advance(LinkMachine.SEND_MS + LinkMachine.GOODBYE_MS)
        assertEquals(listOf("connected 185", "LinkLost"), heard.events)
    }

    @Test
    fun `values written before the disconnect still go out`() {
        up()
        write(1, 2)
        radio.disconnect("lock")
        phone.serial.run()
        assertThrows(RadioException.LinkLost::class.java) { radio.write("lock", byteArrayOf(3)) }
        phone.gatt.events.written(GattStatus.SUCCESS)
        phone.answers = true
        phone.gatt.events.written(GattStatus.SUCCESS)
        phone.serial.run()
        assertWritten(1, 2)
        assertEquals(listOf("write", "write", "disconnect", "close"), phone.calls.takeLast(4))
        assertEquals(listOf("connected 185", "Closed"), heard.events)
    }

    private fun up() {
        radio.connect("lock", heard)
        phone.serial.run()
        phone.answers = false
    }

    private fun write(vararg values: Int) {
        values.forEach { radio.write("lock", byteArrayOf(it.toByte())) }
        phone.serial.run()
    }

    private fun assertWritten(vararg values: Int) =
        assertEquals(values.map { listOf(it.toByte()) }, phone.gatt.written)
}
