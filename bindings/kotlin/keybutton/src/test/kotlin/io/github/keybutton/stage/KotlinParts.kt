package io.github.keybutton.stage

import io.github.keybutton.AuthenticationData
import io.github.keybutton.Clock
import io.github.keybutton.DeviceKey
import io.github.keybutton.DeviceKeyException
import io.github.keybutton.LogLevel
import io.github.keybutton.LogLine
import io.github.keybutton.LogSink
import io.github.keybutton.PublicKey
import io.github.keybutton.SignatureAnswer
import io.github.keybutton.UserAnswer
import io.github.keybutton.Vault
import java.math.BigInteger
import java.security.KeyPair
import java.security.KeyPairGenerator
import java.security.Signature
import java.security.interfaces.ECPublicKey
import java.security.spec.ECGenParameterSpec
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.Executor
import java.util.concurrent.atomic.AtomicInteger

// The parts of a platform as a host writes them in Kotlin, by nothing but the JDK.

/** Keeps everything in memory. */
class KotlinVault : Vault {
    val entries = ConcurrentHashMap<String, ByteArray>()

    override fun load(name: String): ByteArray? = entries[name]

    override fun store(name: String, value: ByteArray) {
        entries[name] = value
    }

    override fun remove(name: String) {
        entries.remove(name)
    }

    override fun wipe() = entries.clear()
}

/** A P-256 key of the JDK's, which signs on another thread, as a phone's prompt does. */
class KotlinDeviceKey(private val executor: Executor) : DeviceKey {
    private var key: KeyPair? = null
    val signatures = AtomicInteger()
    val prompts = AtomicInteger()

    /** What becomes of the next signatures and prompts; nothing when `null`. */
    @Volatile
    var failure: DeviceKeyException? = null

    @Synchronized
    override fun publicKey(): PublicKey {
        val pair = key ?: KeyPairGenerator.getInstance("EC").run {
            initialize(ECGenParameterSpec("secp256r1"))
            generateKeyPair().also { key = it }
        }
        val point = (pair.public as ECPublicKey).w
        return byteArrayOf(4) + fixed(point.affineX) + fixed(point.affineY)
    }

    override fun sign(data: AuthenticationData, answer: SignatureAnswer) = executor.execute {
        answer.use {
            failure?.let { error -> return@execute it.fail(error) }
            val pair = synchronized(this) { key } ?: return@execute it.fail(DeviceKeyException.Gone())
            val signer = Signature.getInstance("SHA256withECDSAinP1363Format")
            signer.initSign(pair.private)
            signer.update(data)
            signatures.incrementAndGet()
            it.succeed(signer.sign())
        }
    }

    override fun authenticateUser(answer: UserAnswer) = executor.execute {
        prompts.incrementAndGet()
        answer.use { it.fail(failure ?: DeviceKeyException.UserNotAuthenticated()) }
    }

    @Synchronized
    override fun remove() {
        key = null
    }

    private fun fixed(coordinate: BigInteger): ByteArray {
        val bytes = coordinate.toByteArray()
        return ByteArray(COORDINATE) { index -> bytes.getOrElse(bytes.size - COORDINATE + index) { 0 } }
    }

    private companion object {
        const val COORDINATE = 32
    }
}

/** Keeps every line. */
class KotlinLog(private val least: LogLevel = LogLevel.TRACE) : LogSink {
    val lines = CopyOnWriteArrayList<LogLine>()

    override fun level(): LogLevel = least

    override fun line(line: LogLine) {
        lines += line
    }
}

/** The JDK's clocks. */
class KotlinClock : Clock {
    override fun unixMs(): ULong = System.currentTimeMillis().toULong()

    override fun monotonicUs(): ULong = (System.nanoTime() / NANOS_A_MICRO).toULong()

    private companion object {
        const val NANOS_A_MICRO = 1000L
    }
}
