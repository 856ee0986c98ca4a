package io.github.keybutton.android

import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import java.util.Random

/** Whatever Android does, in whatever order: the rules that the radio above relies on hold. */
class LinkMachineTest {
    @Test
    fun `any order of events ends in one closed link`() {
        repeat(20_000) { seed -> run(Random(seed.toLong()), "seed $seed") }
    }

    private fun run(random: Random, name: String) {
        val machine = LinkMachine(if (random.nextBoolean()) AndroidRadio.USUAL_MTU else LinkMachine.SMALLEST_MTU)
        var opened = 0
        var isOpen = false
        var ends = 0
        var ups = 0
        var timer: LinkAction.StartTimer? = null
        var now = 0L

        fun take(input: LinkInput) {
            for (action in machine.on(input, now)) {
                assertEquals("$name: nothing follows the end", 0, ends)
                when (action) {
                    LinkAction.Open -> {
                        assertFalse("$name: one client", isOpen)
                        isOpen = true
                        opened++
                    }
                    LinkAction.Close -> isOpen = false
                    is LinkAction.AskMtu, LinkAction.Discover, LinkAction.Subscribe, is LinkAction.Send ->
                        assertTrue("$name: only on a client", isOpen)
                    is LinkAction.StartTimer -> timer = action
                    is LinkAction.TellConnected -> ups++
                    is LinkAction.TellValue -> assertEquals("$name: no value before the link", 1, ups)
                    is LinkAction.TellDisconnected -> ends++
                    LinkAction.Hurry, LinkAction.Hangup -> Unit
                }
            }
        }

        take(LinkInput.Connect)
        repeat(random.nextInt(40)) {
            now += random.nextInt(500)
            take(anything(random, timer))
        }
        take(LinkInput.Disconnect)
        // Only its own timers are left to it now, and they are enough.
        repeat(10) {
            now += timer?.delayMs ?: 0
            timer?.let { take(LinkInput.Timer(it.token)) }
        }
        assertEquals("$name: one end", 1, ends)
        assertTrue("$name: at most up once", ups <= 1)
        assertTrue("$name: at most two clients", opened in 1..2)
        assertFalse("$name: every client closed", isOpen)
    }

    private fun anything(random: Random, timer: LinkAction.StartTimer?): LinkInput {
        val status = if (random.nextInt(3) > 0) GattStatus.SUCCESS else listOf(8, 19, 22, 62, 133, 143, 257)[random.nextInt(7)]
        return when (random.nextInt(14)) {
            0, 1, 2 -> LinkInput.ConnectionChanged(status, true)
            3 -> LinkInput.ConnectionChanged(status, false)
            4 -> LinkInput.MtuChanged(random.nextInt(600), status)
            5, 6 -> LinkInput.Discovered(status, LockService.entries[random.nextInt(3)])
            7 -> LinkInput.Subscribed(status)
            8 -> LinkInput.Written(status)
            9 -> LinkInput.Write(byteArrayOf(1))
            10 -> LinkInput.Notified(byteArrayOf(1))
            11 -> if (random.nextBoolean()) LinkInput.Refused else LinkInput.Busy
            12 -> LinkInput.Timer(timer?.token ?: 0)
            else -> if (random.nextInt(4) == 0) LinkInput.Disconnect else LinkInput.Subscribed(GattStatus.SUCCESS)
        }
    }
}
