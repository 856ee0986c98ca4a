package io.github.keybutton.android.robolectric

import android.app.Application
import android.security.keystore.KeyProperties
import io.github.keybutton.DeviceKeyException
import io.github.keybutton.VaultException
import io.github.keybutton.android.AndroidKeyStoreDeviceKey
import io.github.keybutton.android.AndroidVault
import io.github.keybutton.android.KeyConfirmation
import io.github.keybutton.android.KeyFault
import io.github.keybutton.android.KeyStorePort
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config
import java.io.File
import java.security.Signature

/** The thin layer over the key store, on a key store in memory. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [35], manifest = Config.NONE)
class AndroidKeyStoreTest {
    @get:Rule
    val store = FakeKeyStore()

    private val context: Application = RuntimeEnvironment.getApplication()

    @Test
    fun `the vault's key encrypts and never asks for the member`() {
        val vault = AndroidVault(context)
        vault.store("keyring", byteArrayOf(1, 2))
        assertArrayEquals(byteArrayOf(1, 2), AndroidVault(context).load("keyring"))
        val spec = FakeKeyStore.made.single()
        assertEquals(256, spec.keySize)
        assertEquals(listOf(KeyProperties.BLOCK_MODE_GCM), spec.blockModes.toList())
        assertFalse(spec.isUserAuthenticationRequired)
        assertTrue(spec.isRandomizedEncryptionRequired)
        assertTrue(File(context.noBackupFilesDir, "keybutton/keyring.entry").exists())
    }

    @Test
    fun `a key store that lost the key, or is down, is told from a damaged file`() {
        val vault = AndroidVault(context)
        vault.store("keyring", byteArrayOf(1))
        FakeKeyStore.isDown = true
        assertThrows(VaultException.Unavailable::class.java) { vault.load("keyring") }
        FakeKeyStore.isDown = false
        FakeKeyStore.forget()
        assertThrows(VaultException.WrongKey::class.java) { vault.load("keyring") }
        vault.wipe()
        vault.store("keyring", byteArrayOf(2))
        File(context.noBackupFilesDir, "keybutton/keyring.entry").appendBytes(byteArrayOf(0))
        assertThrows(VaultException.Damaged::class.java) { vault.load("keyring") }
    }

    @Test
    fun `the device key is P-256 for SHA-256 and nothing else`() {
        val key = AndroidKeyStoreDeviceKey(context)
        assertEquals(65, key.publicKey().size)
        assertArrayEquals(key.publicKey(), AndroidKeyStoreDeviceKey(context).publicKey())
        val spec = FakeKeyStore.made.single()
        assertEquals(KeyProperties.PURPOSE_SIGN, spec.purposes)
        assertEquals(listOf(KeyProperties.DIGEST_SHA256), spec.digests.toList())
        assertFalse(spec.isUserAuthenticationRequired)
        key.remove()
        key.remove()
        assertNull(KeyStorePort(context, KeyConfirmation.Never).publicKey())
    }

    @Test
    fun `the port signs, and tells a key that is gone`() {
        val port = KeyStorePort(context, KeyConfirmation.Never)
        assertEquals(KeyFault.Kind.GONE, assertThrows(KeyFault::class.java) { port.begin() }.kind)
        val public = port.make(strongBox = false)
        val der = port.sign(port.begin(), byteArrayOf(1, 2, 3))
        val verifier = Signature.getInstance("SHA256withECDSA").apply { initVerify(public) }
        verifier.update(byteArrayOf(1, 2, 3))
        assertTrue(verifier.verify(der))
        FakeKeyStore.isDown = true
        assertEquals(KeyFault.Kind.GONE, assertThrows(KeyFault::class.java) { port.begin() }.kind)
        assertThrows(DeviceKeyException.Failed::class.java) { AndroidKeyStoreDeviceKey(context).remove() }
    }

    @Test
    fun `a key that asks for the member is made so`() {
        AndroidKeyStoreDeviceKey(context, KeyConfirmation.EveryPress).publicKey()
        val every = FakeKeyStore.made.last()
        assertTrue(every.isUserAuthenticationRequired)
        assertEquals(0, every.userAuthenticationValidityDurationSeconds)
        assertEquals(KeyProperties.AUTH_BIOMETRIC_STRONG, every.userAuthenticationType)
        FakeKeyStore.forget()
        AndroidKeyStoreDeviceKey(context, KeyConfirmation.Within(30)).publicKey()
        val within = FakeKeyStore.made.last()
        assertEquals(30, within.userAuthenticationValidityDurationSeconds)
        assertEquals(
            KeyProperties.AUTH_BIOMETRIC_STRONG or KeyProperties.AUTH_DEVICE_CREDENTIAL,
            within.userAuthenticationType,
        )
    }
}
