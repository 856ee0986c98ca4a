package io.github.keybutton.android

import java.math.BigInteger
import java.security.PublicKey
import java.security.interfaces.ECPublicKey

/** The forms in which P-256 keys and signatures travel. */
internal object EcdsaForms {
    private const val FIELD = 32
    private const val INTEGER: Byte = 2
    private const val SEQUENCE: Byte = 0x30
    private const val UNCOMPRESSED: Byte = 4

    /** A DER signature as `r || s`, 64 bytes; `null` when it is none. */
    fun signature(der: ByteArray): ByteArray? {
        // Of P-256 the whole sequence is shorter than 128 bytes, so every length is one byte.
        if (der.size < 2 || der[0] != SEQUENCE || der[1].toInt() != der.size - 2) return null
        val result = ByteArray(2 * FIELD)
        var at = 2
        for (part in 0..1) {
            if (at + 2 > der.size || der[at] != INTEGER) return null
            val length = der[at + 1].toInt()
            val start = at + 2
            if (length < 1 || start + length > der.size) return null
            at = start + length
            // A leading zero keeps the number positive.
            val zeros = if (der[start] == 0.toByte()) 1 else 0
            if (der[start] < 0 || length - zeros > FIELD) return null
            der.copyInto(result, (part + 1) * FIELD - (length - zeros), start + zeros, at)
        }
        return result.takeIf { at == der.size }
    }

    /** A public key as SEC 1 writes it uncompressed: `04 || x || y`, 65 bytes; `null` when it is not of P-256. */
    fun publicKey(key: PublicKey): ByteArray? {
        val ec = key as? ECPublicKey ?: return null
        if (ec.params.curve.field.fieldSize != FIELD * 8) return null
        return byteArrayOf(UNCOMPRESSED) + field(ec.w.affineX) + field(ec.w.affineY)
    }

    private fun field(number: BigInteger): ByteArray {
        val bytes = number.toByteArray()
        val result = ByteArray(FIELD)
        val length = minOf(bytes.size, FIELD)
        bytes.copyInto(result, FIELD - length, bytes.size - length)
        return result
    }
}
