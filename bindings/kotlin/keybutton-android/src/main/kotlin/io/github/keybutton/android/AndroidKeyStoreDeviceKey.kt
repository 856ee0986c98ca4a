package io.github.keybutton.android

import android.content.Context
import android.content.pm.PackageManager
import android.os.Build
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import android.security.keystore.StrongBoxUnavailableException
import android.security.keystore.UserNotAuthenticatedException
import io.github.keybutton.DeviceKey
import java.io.IOException
import java.security.GeneralSecurityException
import java.security.KeyPairGenerator
import java.security.KeyStore
import java.security.PrivateKey
import java.security.ProviderException
import java.security.PublicKey
import java.security.Signature
import java.security.UnrecoverableKeyException
import java.security.spec.ECGenParameterSpec
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit

/**
 * The device key in this phone's key store: P-256, in the secure element (StrongBox) where there is one.
 *
 * [confirmation] says when the key itself asks for the member; [authenticator] shows the prompt, also for doors that
 * want the member to be asked. [strongBox] = false keeps the key in the trusted environment, which signs in a few
 * milliseconds where a secure element may take some hundred. How a key was made stays until the member signs out.
 */
class AndroidKeyStoreDeviceKey @JvmOverloads constructor(
    context: Context,
    confirmation: KeyConfirmation = KeyConfirmation.Never,
    authenticator: UserAuthenticator? = null,
    strongBox: Boolean = true,
) : DeviceKey by StoredDeviceKey(
    KeyStorePort(context.applicationContext, confirmation),
    confirmation,
    authenticator,
    strongBox,
    worker(),
)

/** One thread, and none while there is nothing to sign. */
private fun worker() = ThreadPoolExecutor(1, 1, 5, TimeUnit.SECONDS, LinkedBlockingQueue()) { work ->
    Thread(work, "keybutton-key").apply { isDaemon = true }
}.apply { allowCoreThreadTimeOut(true) }

/** Android's key store. */
internal class KeyStorePort(
    private val context: Context,
    private val confirmation: KeyConfirmation,
    private val alias: String = "keybutton.device-key",
) : KeyPort {
    override fun publicKey(): PublicKey? = guarded { store().getCertificate(alias)?.publicKey }

    override fun hasStrongBox(): Boolean = Build.VERSION.SDK_INT >= Build.VERSION_CODES.P &&
        context.packageManager.hasSystemFeature(PackageManager.FEATURE_STRONGBOX_KEYSTORE)

    override fun make(strongBox: Boolean): PublicKey = guarded {
        val spec = KeyGenParameterSpec.Builder(alias, KeyProperties.PURPOSE_SIGN)
            .setAlgorithmParameterSpec(ECGenParameterSpec("secp256r1"))
            .setDigests(KeyProperties.DIGEST_SHA256)
        confirm(spec)
        if (strongBox && Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) spec.setIsStrongBoxBacked(true)
        val generator = KeyPairGenerator.getInstance(KeyProperties.KEY_ALGORITHM_EC, KEY_STORE)
        generator.initialize(spec.build())
        generator.generateKeyPair().public
    }

    override fun begin(): Signature = guarded {
        val key = store().getKey(alias, null) as? PrivateKey ?: throw KeyFault(KeyFault.Kind.GONE)
        Signature.getInstance("SHA256withECDSA").apply { initSign(key) }
    }

    override fun sign(signature: Signature, data: ByteArray): ByteArray = guarded {
        signature.update(data)
        signature.sign()
    }

    override fun remove() = guarded { store().deleteEntry(alias) }

    private fun confirm(spec: KeyGenParameterSpec.Builder) {
        val seconds = when (confirmation) {
            KeyConfirmation.Never -> return
            KeyConfirmation.EveryPress -> EACH_TIME
            is KeyConfirmation.Within -> confirmation.seconds
        }
        spec.setUserAuthenticationRequired(true)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            val ways = KeyProperties.AUTH_BIOMETRIC_STRONG
            val orScreenLock = if (seconds == EACH_TIME) 0 else KeyProperties.AUTH_DEVICE_CREDENTIAL
            spec.setUserAuthenticationParameters(seconds, ways or orScreenLock)
        } else {
            @Suppress("DEPRECATION")
            spec.setUserAuthenticationValidityDurationSeconds(if (seconds == EACH_TIME) EACH_TIME_BEFORE_30 else seconds)
        }
    }

    private fun store(): KeyStore = KeyStore.getInstance(KEY_STORE).apply { load(null) }

    private fun <T> guarded(work: () -> T): T = try {
        work()
    } catch (error: GeneralSecurityException) {
        throw KeyFault(kind(error))
    } catch (error: ProviderException) {
        throw KeyFault(kind(error))
    } catch (_: IllegalStateException) {
        throw KeyFault(KeyFault.Kind.FAILED)
    } catch (_: IOException) {
        throw KeyFault(KeyFault.Kind.FAILED)
    }

    private companion object {
        const val KEY_STORE = "AndroidKeyStore"
        const val EACH_TIME = 0
        const val EACH_TIME_BEFORE_30 = -1

        fun kind(error: Exception): KeyFault.Kind = when {
            error is UserNotAuthenticatedException -> KeyFault.Kind.NOT_AUTHENTICATED
            error is KeyPermanentlyInvalidatedException || error is UnrecoverableKeyException -> KeyFault.Kind.GONE
            Build.VERSION.SDK_INT >= Build.VERSION_CODES.P && error is StrongBoxUnavailableException ->
                KeyFault.Kind.NO_STRONG_BOX
            else -> KeyFault.Kind.FAILED
        }
    }
}
