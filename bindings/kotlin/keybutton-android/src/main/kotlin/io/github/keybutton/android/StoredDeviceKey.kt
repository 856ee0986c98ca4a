package io.github.keybutton.android

import io.github.keybutton.DeviceKey
import io.github.keybutton.DeviceKeyException
import io.github.keybutton.SignatureAnswer
import io.github.keybutton.UserAnswer
import java.security.Signature
import java.util.concurrent.Executor
import java.util.concurrent.RejectedExecutionException
import java.util.concurrent.atomic.AtomicBoolean

/** The device key over a [KeyPort]. A key store may take half a second for a signature, so [worker] signs. */
internal class StoredDeviceKey(
    private val port: KeyPort,
    private val confirmation: KeyConfirmation,
    private val authenticator: UserAuthenticator?,
    private val strongBox: Boolean,
    private val worker: Executor,
) : DeviceKey {
    override fun publicKey(): ByteArray = mapped {
        val key = synchronized(this) { port.publicKey() ?: make() }
        EcdsaForms.publicKey(key) ?: throw KeyFault(KeyFault.Kind.FAILED)
    }

    override fun sign(data: ByteArray, answer: SignatureAnswer) {
        val request = Request(data, answer)
        request.inBackground {
            if (!answer.isWanted()) return@inBackground answer.close()
            begin(request)?.let { request.succeed(it) }
        }
    }

    override fun authenticateUser(answer: UserAnswer) {
        val fail = { answer.use { it.fail(DeviceKeyException.UserNotAuthenticated()) } }
        val authenticator = authenticator ?: return fail()
        prompt(authenticator, null, OneAnswer(answer::isWanted, { answer.use { it.succeed() } }, fail))
    }

    override fun remove() = mapped { synchronized(this) { port.remove() } }

    private fun make() = if (strongBox && port.hasStrongBox()) {
        try {
            port.make(strongBox = true)
        } catch (fault: KeyFault) {
            // Secure elements have few places for keys, and some know nothing of P-256.
            if (fault.kind != KeyFault.Kind.NO_STRONG_BOX) throw fault
            port.make(strongBox = false)
        }
    } else {
        port.make(strongBox = false)
    }

    /** A signature that may be finished at once; `null` when a prompt was shown that finishes it later. */
    private fun begin(request: Request): Signature? = when (confirmation) {
        KeyConfirmation.Never -> port.begin()
        KeyConfirmation.EveryPress -> {
            val locked = port.begin()
            later(request, locked) { locked }
        }
        is KeyConfirmation.Within -> try {
            port.begin()
        } catch (fault: KeyFault) {
            if (fault.kind != KeyFault.Kind.NOT_AUTHENTICATED) throw fault
            later(request, null) { port.begin() }
        }
    }

    private fun later(request: Request, locked: Signature?, unlocked: () -> Signature): Signature? {
        val authenticator = authenticator ?: throw KeyFault(KeyFault.Kind.NOT_AUTHENTICATED)
        val succeed = { request.inBackground { request.succeed(unlocked()) } }
        val fail = { request.fail(DeviceKeyException.UserNotAuthenticated()) }
        prompt(authenticator, locked, OneAnswer(request.answer::isWanted, succeed, fail))
        return null
    }

    private fun prompt(authenticator: UserAuthenticator, signature: Signature?, answer: OneAnswer) = try {
        authenticator.authenticate(signature, answer)
    } catch (_: Exception) {
        answer.fail()
    }

    /** One signature that is asked for. The core's object is let go of with the answer. */
    private inner class Request(private val data: ByteArray, val answer: SignatureAnswer) {
        fun succeed(signature: Signature) {
            val der = port.sign(signature, data)
            val raw = EcdsaForms.signature(der) ?: throw KeyFault(KeyFault.Kind.FAILED)
            answer.use { it.succeed(raw) }
        }

        fun fail(error: DeviceKeyException) = answer.use { it.fail(error) }

        fun inBackground(work: () -> Unit) = try {
            worker.execute {
                try {
                    mapped(work)
                } catch (error: DeviceKeyException) {
                    fail(error)
                }
            }
        } catch (_: RejectedExecutionException) {
            fail(DeviceKeyException.Failed())
        }
    }

    private fun <T> mapped(work: () -> T): T = try {
        work()
    } catch (fault: KeyFault) {
        throw when (fault.kind) {
            KeyFault.Kind.NOT_AUTHENTICATED -> DeviceKeyException.UserNotAuthenticated()
            KeyFault.Kind.GONE -> DeviceKeyException.Gone()
            KeyFault.Kind.NO_STRONG_BOX, KeyFault.Kind.FAILED -> DeviceKeyException.Failed()
        }
    }

    private class OneAnswer(
        private val wanted: () -> Boolean,
        private val onSuccess: () -> Unit,
        private val onFailure: () -> Unit,
    ) : AuthenticationAnswer {
        private val isGiven = AtomicBoolean()

        override val isWanted get() = !isGiven.get() && wanted()

        override fun succeed() {
            if (isGiven.compareAndSet(false, true)) onSuccess()
        }

        override fun fail() {
            if (isGiven.compareAndSet(false, true)) onFailure()
        }
    }
}
