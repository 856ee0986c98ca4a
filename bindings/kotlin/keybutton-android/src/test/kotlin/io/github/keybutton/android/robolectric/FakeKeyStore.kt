package io.github.keybutton.android.robolectric

import android.security.keystore.KeyGenParameterSpec
import java.io.InputStream
import java.io.OutputStream
import java.security.Key
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.KeyPairGeneratorSpi
import java.security.KeyStoreException
import java.security.KeyStoreSpi
import java.security.Provider
import java.security.PublicKey
import java.security.SecureRandom
import java.security.Security
import java.security.cert.Certificate
import java.security.spec.AlgorithmParameterSpec
import java.util.Collections
import java.util.Date
import java.util.Enumeration
import javax.crypto.KeyGeneratorSpi
import javax.crypto.SecretKey
import javax.crypto.spec.SecretKeySpec
import org.junit.rules.ExternalResource

/** Robolectric has no key store: this one keeps its keys in memory and takes the same specifications. */
class FakeKeyStore : ExternalResource() {
    override fun before() {
        keys.clear()
        made.clear()
        isDown = false
        Security.addProvider(
            object : Provider(NAME, "1", "a key store in memory") {
                init {
                    put("KeyStore.$NAME", Store::class.java.name)
                    put("KeyGenerator.AES", Aes::class.java.name)
                    put("KeyPairGenerator.EC", Ec::class.java.name)
                }
            },
        )
    }

    override fun after() = Security.removeProvider(NAME)

    companion object {
        private const val NAME = "AndroidKeyStore"
        private val keys = mutableMapOf<String, Any>()

        /** The specifications of the keys that were made, in order. */
        val made = mutableListOf<KeyGenParameterSpec>()

        /** The key store's service has died. */
        var isDown = false

        fun forget() = keys.clear()
    }

    class Store : KeyStoreSpi() {
        override fun engineGetKey(alias: String, password: CharArray?): Key? {
            if (isDown) throw java.security.UnrecoverableKeyException()
            return when (val key = keys[alias]) {
                is KeyPair -> key.private
                else -> key as SecretKey?
            }
        }

        override fun engineGetCertificate(alias: String): Certificate? = (keys[alias] as? KeyPair)?.let { Holder(it.public) }

        override fun engineContainsAlias(alias: String) = alias in keys

        override fun engineDeleteEntry(alias: String) {
            if (isDown) throw KeyStoreException()
            keys.remove(alias)
        }

        override fun engineLoad(stream: InputStream?, password: CharArray?) = Unit

        override fun engineLoad(parameter: java.security.KeyStore.LoadStoreParameter?) = Unit

        override fun engineAliases(): Enumeration<String> = Collections.enumeration(keys.keys)

        override fun engineSize() = keys.size

        override fun engineIsKeyEntry(alias: String) = alias in keys

        override fun engineIsCertificateEntry(alias: String) = false

        override fun engineGetCertificateChain(alias: String): Array<Certificate>? = null

        override fun engineGetCreationDate(alias: String): Date? = null

        override fun engineGetCertificateAlias(certificate: Certificate): String? = null

        override fun engineStore(stream: OutputStream?, password: CharArray?) = throw UnsupportedOperationException()

        override fun engineSetKeyEntry(alias: String, key: Key, password: CharArray?, chain: Array<Certificate>?) =
            throw UnsupportedOperationException()

        override fun engineSetKeyEntry(alias: String, key: ByteArray, chain: Array<Certificate>?) =
            throw UnsupportedOperationException()

        override fun engineSetCertificateEntry(alias: String, certificate: Certificate) =
            throw UnsupportedOperationException()
    }

    class Aes : KeyGeneratorSpi() {
        private lateinit var spec: KeyGenParameterSpec

        override fun engineInit(spec: AlgorithmParameterSpec, random: SecureRandom?) {
            this.spec = spec as KeyGenParameterSpec
        }

        override fun engineGenerateKey(): SecretKey {
            val bytes = ByteArray(spec.keySize / 8).also { SecureRandom().nextBytes(it) }
            made += spec
            return SecretKeySpec(bytes, "AES").also { keys[spec.keystoreAlias] = it }
        }

        override fun engineInit(random: SecureRandom?) = throw UnsupportedOperationException()

        override fun engineInit(size: Int, random: SecureRandom?) = throw UnsupportedOperationException()
    }

    class Ec : KeyPairGeneratorSpi() {
        private lateinit var spec: KeyGenParameterSpec

        override fun initialize(spec: AlgorithmParameterSpec, random: SecureRandom?) {
            this.spec = spec as KeyGenParameterSpec
        }

        override fun initialize(size: Int, random: SecureRandom?) = throw UnsupportedOperationException()

        override fun generateKeyPair(): KeyPair {
            val generator = KeyPairGenerator.getInstance("EC").apply { initialize(spec.algorithmParameterSpec) }
            made += spec
            return generator.generateKeyPair().also { keys[spec.keystoreAlias] = it }
        }
    }

    private class Holder(private val key: PublicKey) : Certificate("fake") {
        override fun getPublicKey() = key

        override fun getEncoded() = ByteArray(0)

        override fun verify(key: PublicKey) = Unit

        override fun verify(key: PublicKey, provider: String) = Unit

        override fun toString() = "fake"
    }
}
