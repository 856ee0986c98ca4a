package io.github.keybutton.android

import java.security.PublicKey
import java.security.Signature

/** What the device key asks of the key store. [KeyStorePort] is the real one. Every call may throw [KeyFault]. */
internal interface KeyPort {
    /** The public half; `null` when there is no key. */
    fun publicKey(): PublicKey?

    /** Whether the phone says that it has a secure element. */
    fun hasStrongBox(): Boolean

    /** Makes the key, in the secure element or beside it. */
    fun make(strongBox: Boolean): PublicKey

    /** Starts to sign, SHA256withECDSA. */
    fun begin(): Signature

    /** Signs; the result is DER. */
    fun sign(signature: Signature, data: ByteArray): ByteArray

    /** Destroys the key; harmless when there is none. */
    fun remove()
}

internal class KeyFault(val kind: Kind) : Exception(kind.name) {
    enum class Kind { NOT_AUTHENTICATED, GONE, NO_STRONG_BOX, FAILED }
}
