package io.github.keybutton.android

import io.github.keybutton.RadioException
import io.github.keybutton.RadioState
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class LinkTest {
    private val phone = FakePhone()
    private val heard = Recorder()
    private var radio = RadioDriver(phone, phone.serial, AndroidRadio.USUAL_MTU)

    @Test
    fun `a link comes up with one operation at a time`() {
        up()
        assertEquals(listOf("connect", "hurry", "mtu 247", "discover", "subscribe"), phone.calls)
        assertEquals(listOf("connected 185"), heard.events)
    }

    @Test
    fun `there is no MTU step where none is wanted, or where the system took it`() {
        radio = RadioDriver(phone, phone.serial, LinkMachine.SMALLEST_MTU)
        up()
        assertEquals(listOf("connect", "hurry", "discover", "subscribe"), phone.calls)
        assertEquals(listOf("connected 23"), heard.events)

        val other = LinkTest()
        other.phone.answers = false
        other.connect()
        other.phone.gatt.events.mtuChanged(517, GattStatus.SUCCESS)
        other.phone.answers = true
        other.phone.gatt.events.connectionChanged(GattStatus.SUCCESS, true)
        other.phone.serial.run()
        assertEquals(listOf("connect", "hurry", "discover", "subscribe"), other.phone.calls)
        assertEquals(listOf("connected 517"), other.heard.events)
    }

    @Test
    fun `services that Android knows are not asked for again`() {
        phone.known = LockService.COMPLETE
        up()
        assertEquals(listOf("connect", "hurry", "mtu 247", "subscribe"), phone.calls)
    }

    @Test
    fun `a failed MTU step leaves a slow link`() {
        phone.refuse += "mtu"
        up()
        assertEquals(listOf("connected 23"), heard.events)
    }

    @Test
    fun `status 133 is tried again once, on a new client`() {
        phone.answers = false
        connect()
        val first = phone.gatt
        first.events.connectionChanged(GattStatus.ERROR, false)
        assertTrue(first.isClosed)
        phone.answers = true
        phone.serial.advance(LinkMachine.RETRY_PAUSE_MS)
        first.events.connectionChanged(GattStatus.ERROR, false)
        assertEquals(listOf("connected 185"), heard.events)
        assertEquals(2, phone.gatts.size)
    }

    @Test
    fun `status 133 twice ends the attempt`() {
        phone.answers = false
        connect()
        phone.gatt.events.connectionChanged(GattStatus.ERROR, false)
        phone.serial.advance(LinkMachine.RETRY_PAUSE_MS)
        phone.gatt.events.connectionChanged(GattStatus.ERROR, false)
        assertOver("ConnectFailed")
        assertEquals(2, phone.gatts.size)
    }

    @Test
    fun `status 133 after the stack's own time limit means that nobody was there`() {
        phone.answers = false
        connect()
        phone.serial.advance(LinkMachine.RETRY_WITHIN_MS)
        phone.gatt.events.connectionChanged(GattStatus.ERROR, false)
        assertOver("OutOfRange")
        assertEquals(1, phone.gatts.size)
    }

    @Test
    fun `a link that the other side or the air drops is lost`() {
        for (status in listOf(0, 8, 19, 22, 133, 257)) {
            val test = LinkTest()
            test.up()
            test.phone.gatt.events.connectionChanged(status, false)
            test.assertOver("LinkLost", after = listOf("connected 185"))
        }
    }

    @Test
    fun `a link dropped at any step before it is up has failed`() {
        for (status in listOf(8, 19, 22, 257)) {
            for (step in STEPS) {
                val test = stoppedAt(step)
                test.phone.gatt.events.connectionChanged(status, false)
                test.assertOver("ConnectFailed")
            }
        }
    }

    @Test
    fun `disconnect ends the link at every step`() {
        for (step in STEPS) {
            val test = stoppedAt(step)
            test.phone.answers = true
            test.radio.disconnect("lock")
            test.radio.disconnect("lock")
            test.phone.serial.run()
            test.assertOver("Closed")
            test.up()
            assertEquals(step, "connected 185", test.heard.events.last())
        }
        up()
        radio.disconnect("lock")
        phone.serial.run()
        assertOver("Closed", after = listOf("connected 185"))
    }

    @Test
    fun `a disconnect that Android never confirms ends within the second the core waits`() {
        up()
        phone.answers = false
        radio.write("lock", byteArrayOf(1))
        phone.serial.run()
        radio.disconnect("lock")
        phone.serial.advance(999)
        assertOver("Closed", after = listOf("connected 185"))
    }

    @Test
    fun `a callback that goes missing ends the link at every step`() {
        for (step in STEPS) {
            val test = stoppedAt(step)
            test.phone.serial.advance(LinkMachine.CONNECT_MS + LinkMachine.GOODBYE_MS)
            test.assertOver(if (step == "connect") "OutOfRange" else "ConnectFailed")
        }
    }

    @Test
    fun `a call that Android refuses or forbids ends the link`() {
        for (step in listOf("connect", "discover", "subscribe")) {
            val refused = LinkTest()
            refused.phone.refuse += step
            refused.up()
            refused.assertOver("ConnectFailed", clients = if (step == "connect") 0 else 1)

            val forbidden = LinkTest()
            forbidden.phone.forbid += step
            forbidden.up()
            forbidden.assertOver("ConnectFailed", clients = if (step == "connect") 0 else 1)
        }
    }

    @Test
    fun `what lacks the lock's service is no lock`() {
        for (found in listOf(LockService.MISSING, LockService.UNKNOWN)) {
            val test = LinkTest()
            test.phone.found = found
            test.up()
            test.assertOver("WrongService")
        }
    }

    @Test
    fun `Bluetooth going off ends the link at every step, though Android says nothing`() {
        for (step in STEPS) {
            val test = stoppedAt(step)
            test.phone.switchTo(RadioState.OFF)
            test.assertOver("Unavailable", then = listOf("OFF"))
        }
    }

    @Test
    fun `a value that arrives before the link is told up waits for it`() {
        val test = stoppedAt("subscribe")
        test.phone.gatt.events.notified(byteArrayOf(1))
        test.phone.gatt.events.notified(byteArrayOf(2))
        assertEquals(emptyList<String>(), test.heard.events)
        test.phone.gatt.events.subscribed(GattStatus.SUCCESS)
        assertEquals(listOf("connected 185", "value", "value"), test.heard.events)
        assertEquals(listOf(listOf<Byte>(1), listOf<Byte>(2)), test.heard.values)
    }

    @Test
    fun `a peripheral has one link`() {
        up()
        assertThrows(RadioException.Throttled::class.java) { radio.connect("lock", heard) }
        radio.disconnect("lock")
        phone.serial.run()
        up()
        assertEquals(listOf("connected 185", "Closed", "connected 185"), heard.events)
    }

    @Test
    fun `nothing is started while Bluetooth can't be used`() {
        for (state in RadioState.entries - RadioState.ON) {
            phone.current = state
            assertEquals(state, radio.state())
            assertThrows(RadioException.Unavailable::class.java) { radio.connect("lock", heard) }
            assertThrows(RadioException.Unavailable::class.java) { radio.startScan(heard) }
        }
        phone.serial.run()
        assertEquals(emptyList<String>(), phone.calls)
    }

    @Test
    fun `a listener that throws harms nobody`() {
        val rude = object : Recorder() {
            override fun connected(peripheral: String, mtu: UShort) = throw IllegalStateException()
        }
        radio.connect("lock", rude)
        phone.serial.run()
        radio.disconnect("lock")
        phone.serial.run()
        assertEquals(listOf("Closed"), rude.events)
    }

    @Test
    fun `closing the radio ends everything`() {
        radio.startScan(heard)
        up()
        radio.close()
        phone.serial.run()
        assertTrue(phone.serial.isClosed)
        assertOver("Unavailable", after = listOf("connected 185"))
        assertEquals(listOf("stop", "unwatch"), phone.calls.takeLast(2))
    }

    internal fun connect() {
        radio.connect("lock", heard)
        phone.serial.run()
    }

    private fun up() = connect()

    /** A link that got as far as the operation [step], which Android has taken and not answered. */
    private fun stoppedAt(step: String): LinkTest {
        val test = LinkTest()
        val phone = test.phone
        phone.answers = false
        test.connect()
        val answers = listOf(
            { phone.gatt.events.connectionChanged(GattStatus.SUCCESS, true) },
            { phone.gatt.events.mtuChanged(185, GattStatus.SUCCESS) },
            {
                phone.known = phone.found
                phone.gatt.events.discovered(GattStatus.SUCCESS)
            },
        )
        answers.take(STEPS.indexOf(step)).forEach { it() }
        assertEquals(step, phone.calls.last().substringBefore(' '))
        return test
    }

    /** The end was told once and every client was closed. */
    private fun assertOver(
        cause: String,
        after: List<String> = emptyList(),
        then: List<String> = emptyList(),
        clients: Int? = null,
    ) {
        assertEquals(after + cause + then, heard.events)
        assertTrue(phone.gatts.all { it.isClosed })
        if (clients != null) assertEquals(clients, phone.gatts.size)
        assertThrows(RadioException::class.java) { radio.write("lock", byteArrayOf(1)) }
    }

    private companion object {
        /** The operations of a first connection, in order. */
        val STEPS = listOf("connect", "mtu", "discover", "subscribe")
    }
}
