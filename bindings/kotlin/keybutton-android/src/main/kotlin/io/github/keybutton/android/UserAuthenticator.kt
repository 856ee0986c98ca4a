package io.github.keybutton.android

import java.security.Signature

/**
 * Has the member prove that it is them: the app's own `BiometricPrompt`, or a screen lock by `KeyguardManager`.
 *
 * The library depends on no prompt of its own, so that the app decides how it looks and which ways it allows.
 */
fun interface UserAuthenticator {
    /**
     * Shows a prompt and returns at once. May be called from any thread; the prompt belongs on the main one.
     *
     * With a [signature] the prompt has to unlock it: wrap it in a `BiometricPrompt.CryptoObject`. Without, it is the
     * member alone that is asked for. Call [answer] once, from any thread.
     */
    fun authenticate(signature: Signature?, answer: AuthenticationAnswer)
}

/** Takes the result of one prompt. Answers after the first one are ignored. */
interface AuthenticationAnswer {
    /** The member proved who they are. */
    fun succeed()

    /** They did not, or they took the prompt away. */
    fun fail()

    /** Whether anybody still waits; a prompt may be taken down when not. */
    val isWanted: Boolean
}

/** When the device key asks for the member. */
sealed interface KeyConfirmation {
    /** Never; a door that wants it is opened after [UserAuthenticator] alone. */
    data object Never : KeyConfirmation

    /** Before every signature, by fingerprint or face: each press has its prompt. New fingerprints end the key. */
    data object EveryPress : KeyConfirmation

    /** When the phone was unlocked longer ago than [seconds]. */
    data class Within(val seconds: Int) : KeyConfirmation {
        init {
            require(seconds > 0) { "a key is confirmed for a second or more" }
        }
    }
}
