package io.github.keybutton.example

import java.io.File
import java.security.KeyFactory
import java.security.Signature
import java.security.spec.PKCS8EncodedKeySpec
import java.time.Instant
import java.util.Base64

/** What `keybutton serve` leaves in its state directory, and the sample app's sign-in, which an app has of its own. */
class Scene(private val state: File) {
    private val running = read("running.json")
    private val sample = read("sample.json")

    val serviceUrl: String = running("service")
    val air: String = running("air")
    val app: String = sample("app")

    /** A session token, as the Branded App's identity provider signs one. */
    fun session(member: String): String {
        val now = Instant.now().epochSecond
        val claims =
            """{"iss":"${sample("issuer")}","aud":"${sample("audience")}","sub":"$member","iat":$now,"exp":${now + HOUR}}"""
        val signed = encode("""{"alg":"ES256","typ":"JWT","kid":"1"}""".toByteArray()) + "." + encode(claims.toByteArray())
        val key = PKCS8EncodedKeySpec(Base64.getUrlDecoder().decode(sample("token_key")))
        val signer = Signature.getInstance("SHA256withECDSAinP1363Format")
        signer.initSign(KeyFactory.getInstance("EC").generatePrivate(key))
        signer.update(signed.toByteArray())
        return "$signed.${encode(signer.sign())}"
    }

    private fun encode(bytes: ByteArray) = Base64.getUrlEncoder().withoutPadding().encodeToString(bytes)

    /** These files are flat: a text is found by its name. */
    private fun read(name: String): (String) -> String {
        val file = File(state, name)
        if (!file.exists()) exit("$file is missing: start `keybutton serve --state $state` first")
        val text = file.readText()
        return { field -> Regex(""""$field"\s*:\s*"([^"]*)"""").find(text)?.groupValues?.get(1) ?: exit("no $field in $file") }
    }

    private companion object {
        const val HOUR = 3600
    }
}
