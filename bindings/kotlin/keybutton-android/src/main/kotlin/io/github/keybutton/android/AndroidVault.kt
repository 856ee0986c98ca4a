package io.github.keybutton.android

import android.content.Context
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import io.github.keybutton.Vault
import java.io.File
import java.io.IOException
import java.security.GeneralSecurityException
import java.security.KeyStore
import java.security.ProviderException
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * Keeps what has to survive a restart in files that only a key of this phone's key store opens.
 *
 * The files lie in the folder that Android leaves out of backups: a key of the key store can't be restored, so a
 * restored file would be damaged for good.
 */
class AndroidVault(context: Context) : Vault by FolderVault(
    File(context.applicationContext.noBackupFilesDir, "keybutton"),
    KeyStoreCipher("keybutton.vault"),
)

/** AES-256-GCM in the key store. Not in StrongBox: a secure element takes seconds for what a vault holds. */
internal class KeyStoreCipher(private val alias: String) : VaultCipher {
    override fun hasKey(): Boolean = guarded { store().containsAlias(alias) }

    override fun makeKey() = guarded {
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        val spec = KeyGenParameterSpec.Builder(alias, purposes)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
            .setKeySize(KEY_BITS)
            .build()
        val generator = KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, KEY_STORE)
        generator.init(spec)
        generator.generateKey()
        Unit
    }

    override fun seal(name: ByteArray, plain: ByteArray): ByteArray = guarded {
        val cipher = Cipher.getInstance(TRANSFORMATION)
        cipher.init(Cipher.ENCRYPT_MODE, key())
        cipher.updateAAD(name)
        // The key store chooses the nonce, and refuses any other.
        cipher.iv + cipher.doFinal(plain)
    }

    override fun open(name: ByteArray, sealed: ByteArray): ByteArray? = guarded {
        if (sealed.size < NONCE_LENGTH + TAG_BITS / 8) return@guarded null
        val cipher = Cipher.getInstance(TRANSFORMATION)
        cipher.init(Cipher.DECRYPT_MODE, key(), GCMParameterSpec(TAG_BITS, sealed, 0, NONCE_LENGTH))
        cipher.updateAAD(name)
        try {
            cipher.doFinal(sealed, NONCE_LENGTH, sealed.size - NONCE_LENGTH)
        } catch (_: AEADBadTagException) {
            null
        }
    }

    override fun removeKey() = guarded { store().deleteEntry(alias) }

    private fun key() = store().getKey(alias, null) as? SecretKey ?: throw CipherUnavailable("the key is gone")

    private fun store(): KeyStore = KeyStore.getInstance(KEY_STORE).apply { load(null) }

    private fun <T> guarded(work: () -> T): T = try {
        work()
    } catch (_: KeyPermanentlyInvalidatedException) {
        throw CipherUnavailable("the key store has given up the key")
    } catch (error: GeneralSecurityException) {
        throw CipherUnavailable(error.javaClass.simpleName)
    } catch (error: ProviderException) {
        throw CipherUnavailable(error.javaClass.simpleName)
    } catch (error: IllegalStateException) {
        // Before the first unlock after a restart, and where the key store's service died.
        throw CipherUnavailable(error.javaClass.simpleName)
    } catch (error: IOException) {
        throw CipherUnavailable(error.javaClass.simpleName)
    }

    private companion object {
        const val KEY_STORE = "AndroidKeyStore"
        const val TRANSFORMATION = "AES/GCM/NoPadding"
        const val KEY_BITS = 256
        const val TAG_BITS = 128
        const val NONCE_LENGTH = 12
    }
}
