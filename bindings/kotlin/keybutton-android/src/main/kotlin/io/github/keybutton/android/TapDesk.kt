package io.github.keybutton.android

/** The core's end of the tap route. */
internal interface TapPort {
    /** A reader's command. It is answered later, on any thread. */
    fun command(apdu: ByteArray, userAuthenticated: Boolean)

    fun fieldLost()
}

/**
 * Where the reader's commands meet the core: Android makes and drops the service as it likes, the core stays.
 *
 * A response goes to the reader that is in the field now; one that comes after the phone has left it is dropped.
 */
internal class TapDesk {
    private var port: TapPort? = null
    private var reader: ((ByteArray) -> Unit)? = null

    /** Answers readers from now on. [connect] is given what takes the responses. */
    fun attach(connect: (respond: (ByteArray) -> Unit) -> TapPort) {
        val connected = connect(::respond)
        synchronized(this) { port = connected }
    }

    fun detach() {
        synchronized(this) { port.also { port = null } }?.fieldLost()
    }

    /** A command from a reader; the answer where it is known at once, else it goes to [reader] later. */
    fun command(apdu: ByteArray, userAuthenticated: Boolean, reader: (ByteArray) -> Unit): ByteArray? {
        val port = synchronized(this) {
            this.reader = reader
            port
        }
        if (port == null) return NOT_FOUND.copyOf()
        port.command(apdu, userAuthenticated)
        return null
    }

    fun fieldLost() {
        val port = synchronized(this) {
            reader = null
            port
        }
        port?.fieldLost()
    }

    private fun respond(response: ByteArray) {
        synchronized(this) { reader }?.invoke(response)
    }

    private companion object {
        /** Status word 6A82 (ISO/IEC 7816-4): no such application. */
        val NOT_FOUND = byteArrayOf(0x6A, 0x82.toByte())
    }
}
