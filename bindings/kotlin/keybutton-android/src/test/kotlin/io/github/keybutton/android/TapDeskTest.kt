package io.github.keybutton.android

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Test

class TapDeskTest {
    private val desk = TapDesk()
    private val core = mutableListOf<String>()
    private val reader = mutableListOf<List<Byte>>()
    private var respond: (ByteArray) -> Unit = {}

    @Test
    fun `a phone without keys is no lock's phone`() {
        assertArrayEquals(byteArrayOf(0x6A, 0x82.toByte()), ask(1))
        desk.fieldLost()
        attach()
        desk.detach()
        assertArrayEquals(byteArrayOf(0x6A, 0x82.toByte()), ask(1))
        assertEquals(listOf("lost"), core)
    }

    @Test
    fun `the core answers later`() {
        attach()
        assertNull(ask(1))
        assertEquals(listOf("1 true"), core)
        respond(byteArrayOf(9))
        assertEquals(listOf(listOf<Byte>(9)), reader)
    }

    @Test
    fun `an answer that comes after the phone has left goes to nobody`() {
        attach()
        ask(1)
        desk.fieldLost()
        respond(byteArrayOf(9))
        assertEquals(emptyList<List<Byte>>(), reader)
        assertEquals(listOf("1 true", "lost"), core)
    }

    private fun attach() = desk.attach { respond ->
        this.respond = respond
        object : TapPort {
            override fun command(apdu: ByteArray, userAuthenticated: Boolean) {
                core += "${apdu[0]} $userAuthenticated"
            }

            override fun fieldLost() {
                core += "lost"
            }
        }
    }

    private fun ask(command: Byte) = desk.command(byteArrayOf(command), true) { reader += it.toList() }
}
