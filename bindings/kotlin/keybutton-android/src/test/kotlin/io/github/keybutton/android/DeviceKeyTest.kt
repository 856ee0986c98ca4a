package io.github.keybutton.android

import io.github.keybutton.DeviceKeyException
import io.github.keybutton.NoHandle
import io.github.keybutton.SignatureAnswer
import io.github.keybutton.UserAnswer
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import java.math.BigInteger
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.PublicKey
import java.security.Signature
import java.security.spec.ECGenParameterSpec

class DeviceKeyTest {
    private val store = SoftwareKeys()
    private val data = ByteArray(126) { it.toByte() }

    @Test
    fun `signs what the public key verifies`() {
        val key = key()
        val public = key.publicKey()
        assertEquals(65, public.size)
        assertArrayEquals(public, key.publicKey())
        repeat(50) {
            val answer = Signed()
            key.sign(data, answer)
            val raw = answer.signature!!
            val verifier = Signature.getInstance("SHA256withECDSAinP1363Format")
            verifier.initVerify(store.pair!!.public)
            verifier.update(data)
            assertTrue(verifier.verify(raw))
            assertTrue(answer.isClosed)
        }
    }

    @Test
    fun `makes its key in the secure element where there is one with room`() {
        store.strongBox = true
        key().publicKey()
        assertEquals(listOf("make in StrongBox"), store.calls)

        store.remove()
        store.calls.clear()
        store.strongBoxIsFull = true
        key().publicKey()
        assertEquals(listOf("make in StrongBox", "make"), store.calls)

        store.remove()
        store.calls.clear()
        key(strongBox = false).publicKey()
        assertEquals(listOf("make"), store.calls)
    }

    @Test
    fun `a lost or ended key is gone, and signing makes no other`() {
        val answer = Signed()
        key().sign(data, answer)
        assertTrue(answer.error is DeviceKeyException.Gone)
        assertNull(store.pair)

        val key = key()
        key.publicKey()
        store.fault = KeyFault.Kind.GONE
        val ended = Signed()
        key.sign(data, ended)
        assertTrue(ended.error is DeviceKeyException.Gone)
    }

    @Test
    fun `removing ends the key, and the next one is new`() {
        val key = key()
        val first = key.publicKey()
        key.remove()
        key.remove()
        assertFalse(first.contentEquals(key.publicKey()))
    }

    @Test
    fun `a key store that fails says so`() {
        store.fault = KeyFault.Kind.FAILED
        val key = key()
        assertThrows(DeviceKeyException.Failed::class.java) { key.publicKey() }
        assertThrows(DeviceKeyException.Failed::class.java) { key.remove() }
        val answer = Signed()
        key.sign(data, answer)
        assertTrue(answer.error is DeviceKeyException.Failed)
    }

    @Test
    fun `a press with its own prompt is signed once the prompt is answered`() {
        val prompts = Prompts()
        val key = key(KeyConfirmation.EveryPress, prompts)
        key.publicKey()
        val answer = Signed()
        key.sign(data, answer)
        assertNull(answer.signature)
        assertTrue("the prompt unlocks the signature", prompts.signature != null)
        prompts.answer!!.succeed()
        prompts.answer!!.fail()
        assertEquals(64, answer.signature!!.size)
        assertNull(answer.error)
    }

    @Test
    fun `a prompt that is taken away, or fails to show, leaves the member unproven`() {
        for (confirmation in listOf(KeyConfirmation.EveryPress, KeyConfirmation.Within(30))) {
            val prompts = Prompts()
            val key = key(confirmation, prompts)
            key.publicKey()
            store.isLocked = confirmation is KeyConfirmation.Within
            val answer = Signed()
            key.sign(data, answer)
            prompts.answer!!.fail()
            assertTrue(answer.error is DeviceKeyException.UserNotAuthenticated)

            prompts.throws = true
            val second = Signed()
            key.sign(data, second)
            assertTrue(second.error is DeviceKeyException.UserNotAuthenticated)

            val unprompted = Signed()
            key(confirmation).sign(data, unprompted)
            assertTrue(unprompted.error is DeviceKeyException.UserNotAuthenticated)
        }
    }

    @Test
    fun `a key that wants the phone unlocked lately asks only when it was not`() {
        val prompts = Prompts()
        val key = key(KeyConfirmation.Within(30), prompts)
        key.publicKey()
        val fresh = Signed()
        key.sign(data, fresh)
        assertEquals(64, fresh.signature!!.size)
        assertNull(prompts.answer)

        store.isLocked = true
        val answer = Signed()
        key.sign(data, answer)
        assertNull(answer.signature)
        store.isLocked = false
        prompts.answer!!.succeed()
        assertEquals(64, answer.signature!!.size)
    }

    @Test
    fun `nothing is signed for a press that has ended`() {
        val key = key()
        key.publicKey()
        val answer = Signed(wanted = false)
        key.sign(data, answer)
        assertNull(answer.signature)
        assertTrue(answer.isClosed)
    }

    @Test
    fun `the member is asked for a door that wants it`() {
        val prompts = Prompts()
        val answer = Confirmed()
        key(prompts = prompts).authenticateUser(answer)
        assertNull(prompts.signature)
        prompts.answer!!.succeed()
        assertEquals("succeeded", answer.result)

        val nobody = Confirmed()
        key().authenticateUser(nobody)
        assertEquals("UserNotAuthenticated", nobody.result)
    }

    @Test
    fun `DER is read strictly`() {
        fun der(r: BigInteger, s: BigInteger): ByteArray {
            val parts = listOf(r, s).flatMap { number ->
                val bytes = number.toByteArray()
                listOf<Byte>(2, bytes.size.toByte()) + bytes.toList()
            }
            return byteArrayOf(0x30, parts.size.toByte()) + parts
        }

        val large = BigInteger.ONE.shiftLeft(256) - BigInteger.ONE
        for ((r, s) in listOf(BigInteger.ONE to large, large to BigInteger.TEN, large.shiftRight(1) to large)) {
            val good = der(r, s)
            val raw = EcdsaForms.signature(good)!!
            assertEquals(r, BigInteger(1, raw.copyOf(32)))
            assertEquals(s, BigInteger(1, raw.copyOfRange(32, 64)))
            for (length in 0 until good.size) assertNull(EcdsaForms.signature(good.copyOf(length)))
            assertNull(EcdsaForms.signature(good + 0))
        }
        assertNull(EcdsaForms.signature(der(BigInteger.ONE.shiftLeft(256), BigInteger.ONE)))
        assertNull(EcdsaForms.signature(der(BigInteger.valueOf(-1), BigInteger.ONE)))
    }

    @Test
    fun `only P-256 is a device key`() {
        val other = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp384r1")) }
        assertNull(EcdsaForms.publicKey(other.generateKeyPair().public))
        assertNull(EcdsaForms.publicKey(KeyPairGenerator.getInstance("RSA").generateKeyPair().public))
    }

    private fun key(
        confirmation: KeyConfirmation = KeyConfirmation.Never,
        prompts: UserAuthenticator? = null,
        strongBox: Boolean = true,
    ) = StoredDeviceKey(store, confirmation, prompts, strongBox, Runnable::run)
}

/** Shows no prompt; the test answers it. */
private class Prompts : UserAuthenticator {
    var signature: Signature? = null
    var answer: AuthenticationAnswer? = null
    var throws = false

    override fun authenticate(signature: Signature?, answer: AuthenticationAnswer) {
        if (throws) error("no window to show it in")
        this.signature = signature
        this.answer = answer
    }
}

private class Signed(private val wanted: Boolean = true) : SignatureAnswer(NoHandle) {
    var signature: ByteArray? = null
    var error: DeviceKeyException? = null
    var isClosed = false

    override fun succeed(signature: ByteArray) {
        this.signature = signature
    }

    override fun fail(error: DeviceKeyException) {
        this.error = error
    }

    override fun isWanted() = wanted

    override fun close() {
        isClosed = true
    }
}

private class Confirmed : UserAnswer(NoHandle) {
    var result = ""

    override fun succeed() {
        result = "succeeded"
    }

    override fun fail(error: DeviceKeyException) {
        result = error.javaClass.simpleName
    }

    override fun isWanted() = true

    override fun close() = Unit
}

/** The JVM's keys in the place of the key store's. */
private class SoftwareKeys : KeyPort {
    val calls = mutableListOf<String>()
    var pair: KeyPair? = null
    var strongBox = false
    var strongBoxIsFull = false
    var isLocked = false
    var fault: KeyFault.Kind? = null

    override fun publicKey(): PublicKey? = healthy { pair?.public }

    override fun hasStrongBox() = strongBox

    override fun make(strongBox: Boolean): PublicKey = healthy {
        calls += if (strongBox) "make in StrongBox" else "make"
        if (strongBox && strongBoxIsFull) throw KeyFault(KeyFault.Kind.NO_STRONG_BOX)
        val generator = KeyPairGenerator.getInstance("EC").apply { initialize(ECGenParameterSpec("secp256r1")) }
        generator.generateKeyPair().also { pair = it }.public
    }

    override fun begin(): Signature = healthy {
        if (isLocked) throw KeyFault(KeyFault.Kind.NOT_AUTHENTICATED)
        val private = pair?.private ?: throw KeyFault(KeyFault.Kind.GONE)
        Signature.getInstance("SHA256withECDSA").apply { initSign(private) }
    }

    override fun sign(signature: Signature, data: ByteArray): ByteArray = healthy {
        signature.update(data)
        signature.sign()
    }

    override fun remove() = healthy { pair = null }

    private fun <T> healthy(work: () -> T): T = fault?.let { throw KeyFault(it) } ?: work()
}
