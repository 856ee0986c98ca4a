package io.github.keybutton.android

/** Encrypts with one AES-256-GCM key that never leaves the key store. [KeyStoreCipher] is the real one. */
internal interface VaultCipher {
    /** Whether the key is there. */
    fun hasKey(): Boolean

    /** Makes a key where there is none. */
    fun makeKey()

    /** Encrypts under a fresh nonce: nonce, ciphertext, tag. [name] has to be the same to decrypt. */
    fun seal(name: ByteArray, plain: ByteArray): ByteArray

    /** Decrypts; `null` when the bytes were altered, or belong to another name or key. */
    fun open(name: ByteArray, sealed: ByteArray): ByteArray?

    /** Destroys the key; harmless when there is none. */
    fun removeKey()
}

/** The key store can't do it now, or not any more. The text names no secret. */
internal class CipherUnavailable(reason: String) : Exception(reason)
