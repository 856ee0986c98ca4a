package io.github.keybutton.android

import io.github.keybutton.VaultException
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import java.io.File
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

class FolderVaultTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val cipher = SoftwareCipher()
    private val folder by lazy { File(temporary.root, "vault") }
    private val vault by lazy { FolderVault(folder, cipher) }
    private val secret = "a secret that nobody reads".toByteArray()

    @Test
    fun `keeps entries over a restart, unreadable`() {
        assertNull(vault.load("keyring"))
        vault.store("keyring", secret)
        vault.store("pending", ByteArray(0))
        vault.store("keyring", secret + 1)
        val reopened = FolderVault(folder, cipher)
        assertArrayEquals(secret + 1, reopened.load("keyring"))
        assertArrayEquals(ByteArray(0), reopened.load("pending"))
        for (file in folder.listFiles()!!) assertFalse(String(file.readBytes(), Charsets.ISO_8859_1).contains("secret"))
        assertEquals(setOf("keyring.entry", "pending.entry"), folder.list()!!.toSet())
    }

    @Test
    fun `removes and wipes what is there and what is not`() {
        vault.remove("keyring")
        vault.wipe()
        vault.store("keyring", secret)
        vault.remove("keyring")
        vault.remove("keyring")
        assertNull(vault.load("keyring"))
        vault.store("keyring", secret)
        file().writeBytes(byteArrayOf(1, 2, 3))
        vault.wipe()
        assertNull(vault.load("keyring"))
        assertFalse(cipher.hasKey())
        vault.store("keyring", secret)
        assertArrayEquals(secret, vault.load("keyring"))
    }

    @Test
    fun `every altered byte and every cut is damage, and nothing is touched`() {
        vault.store("keyring", secret)
        val good = file().readBytes()
        for (at in good.indices) {
            val altered = good.copyOf().also { it[at] = (it[at] + 1).toByte() }
            file().writeBytes(altered)
            val error = assertThrows(VaultException::class.java) { vault.load("keyring") }
            assertTrue("byte $at", error is VaultException.Damaged || at == 4 && error is VaultException.NewerFormat)
            file().writeBytes(good.copyOf(at))
            assertThrows(VaultException.Damaged::class.java) { vault.load("keyring") }
            assertArrayEquals(good.copyOf(at), file().readBytes())
        }
    }

    @Test
    fun `an entry is bound to its name`() {
        vault.store("keyring", secret)
        file().copyTo(File(folder, "pending.entry"))
        assertThrows(VaultException.Damaged::class.java) { vault.load("pending") }
    }

    @Test
    fun `a lost key is not damage, and is not papered over`() {
        vault.store("keyring", secret)
        cipher.removeKey()
        assertThrows(VaultException.WrongKey::class.java) { vault.load("keyring") }
        assertThrows(VaultException.WrongKey::class.java) { vault.store("pending", secret) }
        assertFalse(cipher.hasKey())
        vault.wipe()
        vault.store("pending", secret)
    }

    @Test
    fun `a key store that fails is no damage`() {
        vault.store("keyring", secret)
        cipher.isDown = true
        assertThrows(VaultException.Unavailable::class.java) { vault.load("keyring") }
        assertThrows(VaultException.Unavailable::class.java) { vault.store("keyring", secret) }
        cipher.isDown = false
        assertArrayEquals(secret, vault.load("keyring"))
    }

    @Test
    fun `a full or missing disk is an error of the file system, and the old value stays`() {
        vault.store("keyring", secret)
        // A folder where the new file should be: the write fails half-way.
        File(folder, "keyring.entry.new").mkdir()
        assertThrows(VaultException.Io::class.java) { vault.store("keyring", byteArrayOf(1)) }
        assertArrayEquals(secret, vault.load("keyring"))
    }

    @Test
    fun `names and sizes are checked`() {
        for (name in listOf("", "../keyring", "Keyring", "key.ring", "a/b", "a".repeat(65))) {
            assertThrows(VaultException.InvalidEntry::class.java) { vault.load(name) }
            assertThrows(VaultException.InvalidEntry::class.java) { vault.store(name, secret) }
            assertThrows(VaultException.InvalidEntry::class.java) { vault.remove(name) }
        }
        assertThrows(VaultException.InvalidEntry::class.java) {
            vault.store("keyring", ByteArray(FolderVault.MAX_VALUE + 1))
        }
        assertNull(vault.load("keyring"))
    }

    private fun file() = File(folder, "keyring.entry")
}

/** The JVM's AES in the place of the key store's. */
internal class SoftwareCipher : VaultCipher {
    private var key: SecretKey? = null
    var isDown = false

    override fun hasKey() = up { key != null }

    override fun makeKey() = up { key = KeyGenerator.getInstance("AES").apply { init(256) }.generateKey() }

    override fun seal(name: ByteArray, plain: ByteArray): ByteArray = up {
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        cipher.init(Cipher.ENCRYPT_MODE, key)
        cipher.updateAAD(name)
        cipher.iv + cipher.doFinal(plain)
    }

    override fun open(name: ByteArray, sealed: ByteArray): ByteArray? = up {
        if (sealed.size < 12 + 16) return@up null
        val cipher = Cipher.getInstance("AES/GCM/NoPadding")
        cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(128, sealed, 0, 12))
        cipher.updateAAD(name)
        try {
            cipher.doFinal(sealed, 12, sealed.size - 12)
        } catch (_: AEADBadTagException) {
            null
        }
    }

    override fun removeKey() = up { key = null }

    private fun <T> up(work: () -> T): T = if (isDown) throw CipherUnavailable("down") else work()
}
