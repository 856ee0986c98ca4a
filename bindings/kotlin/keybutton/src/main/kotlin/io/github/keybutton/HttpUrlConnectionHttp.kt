package io.github.keybutton

import java.io.ByteArrayOutputStream
import java.io.IOException
import java.io.InputStream
import java.net.ConnectException
import java.net.HttpURLConnection
import java.net.MalformedURLException
import java.net.NoRouteToHostException
import java.net.Proxy
import java.net.SocketTimeoutException
import java.net.URL
import java.net.UnknownHostException
import java.security.cert.CertificateException
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ScheduledThreadPoolExecutor
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import javax.net.ssl.SSLPeerUnverifiedException

/**
 * HTTP by the platform's own [HttpURLConnection], so that its trust store, proxies and security configuration apply.
 *
 * `https`, or `http` to the same machine; certificates are verified; a redirect to another origin is not followed but
 * handed back as the answer it is. Nothing is logged.
 *
 * @param prepare called with every connection before it is opened: for a socket factory that pins, for a proxy's needs.
 */
class HttpUrlConnectionHttp(private val prepare: (HttpURLConnection) -> Unit = {}) : Http {
    override fun send(request: HttpRequest, answer: HttpAnswer) {
        workers.execute {
            answer.use {
                // Who asked may have left while the request waited for a worker.
                if (it.isWanted()) reply(request, it)
            }
        }
    }

    private fun reply(request: HttpRequest, answer: HttpAnswer) {
        val response = try {
            fetch(request) { answer.isWanted() }
        } catch (error: HttpException) {
            return answer.fail(error)
        }
        answer.succeed(response)
    }

    /** Sends [request] and waits for the whole answer; gives up when it is not [wanted] any more. */
    internal fun fetch(request: HttpRequest, wanted: () -> Boolean = { true }): HttpResponse {
        val deadline = Deadline(request.timeout.toMillis())
        try {
            var url = allowed(request.url)
            var sent = request
            repeat(MAX_REDIRECTS) {
                val response = exchange(url, sent, deadline, wanted)
                url = response.redirect?.let { redirected(url, it) } ?: return response.answer
                if (response.answer.status.toInt() !in KEEPING_METHOD) {
                    sent = sent.copy(method = Method.GET, body = ByteArray(0))
                }
            }
            return exchange(url, sent, deadline, wanted).answer
        } catch (error: IOException) {
            throw classified(error, deadline)
        } catch (_: RuntimeException) {
            // Headers with forbidden characters, a URL without a host, a `prepare` that threw.
            throw if (deadline.isOver()) HttpException.TimedOut() else HttpException.NotAllowed()
        }
    }

    private fun exchange(url: URL, request: HttpRequest, deadline: Deadline, wanted: () -> Boolean): Exchanged {
        val connection = open(url)
        // Read timeouts count from byte to byte; this one ends a head that comes in drips. The body looks for itself.
        val end = timers.schedule({ connection.disconnect() }, deadline.left() + 1L, TimeUnit.MILLISECONDS)
        var whole = false
        try {
            connection.apply {
                instanceFollowRedirects = false
                useCaches = false
                allowUserInteraction = false
                connectTimeout = deadline.left()
                readTimeout = deadline.left()
                requestMethod = request.method.name
                setRequestProperty("User-Agent", USER_AGENT)
                setRequestProperty("Accept", "*/*")
                request.headers.forEach { setRequestProperty(it.name, it.value) }
                prepare(this)
            }
            if (request.body.isNotEmpty()) {
                connection.doOutput = true
                connection.outputStream.use { it.write(request.body) }
            }
            val status = connection.responseCode
            end.cancel(false)
            if (status < 0) throw HttpException.Unreachable()
            val redirect = if (status in REDIRECTS) connection.getHeaderField("Location") else null
            val stream = if (status >= FIRST_ERROR) connection.errorStream else connection.inputStream
            val body = stream?.use { read(it, request.maxAnswer.toLong()) { wanted() && !deadline.isOver() } } ?: ByteArray(0)
            whole = true
            return Exchanged(HttpResponse(status.toUShort(), body), redirect)
        } finally {
            end.cancel(false)
            // A connection whose answer was read to its end may serve the next request.
            if (!whole) connection.disconnect()
        }
    }

    private fun open(url: URL): HttpURLConnection {
        // A proxy must never see what was meant to stay on the machine.
        val connection = if (isLoopback(url)) url.openConnection(Proxy.NO_PROXY) else url.openConnection()
        return connection as? HttpURLConnection ?: throw HttpException.NotAllowed()
    }

    private fun read(stream: InputStream, most: Long, wanted: () -> Boolean): ByteArray {
        val body = ByteArrayOutputStream()
        val piece = ByteArray(PIECE)
        while (true) {
            val length = stream.read(piece)
            if (length < 0) return body.toByteArray()
            body.write(piece, 0, length)
            if (body.size() > most) throw HttpException.TooLarge()
            if (!wanted()) throw SocketTimeoutException()
        }
    }

    private class Exchanged(val answer: HttpResponse, val redirect: String?)

    private class Deadline(timeoutMs: Long) {
        private val end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMs)

        /** Milliseconds until the deadline; never 0, which would mean for ever. */
        fun left(): Int = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime()).coerceIn(1, Int.MAX_VALUE.toLong()).toInt()

        fun isOver(): Boolean = System.nanoTime() - end >= 0
    }

    private companion object {
        const val MAX_REDIRECTS = 3
        const val FIRST_ERROR = 400
        const val PIECE = 16 * 1024
        const val USER_AGENT = "keybutton"
        val KEEPING_METHOD = setOf(307, 308)
        val REDIRECTS = setOf(301, 302, 303) + KEEPING_METHOD
        val LOOPBACK = Regex("""localhost|127(\.\d{1,3}){3}|\[::1]""", RegexOption.IGNORE_CASE)

        /** Few: a press asks for one thing at a time. They end when idle, so nothing has to be closed. */
        val workers = ThreadPoolExecutor(WORKERS, WORKERS, IDLE_S, TimeUnit.SECONDS, LinkedBlockingQueue(), ::daemon)
            .apply { allowCoreThreadTimeOut(true) }
        val timers = ScheduledThreadPoolExecutor(1, ::daemon).apply {
            setKeepAliveTime(IDLE_S, TimeUnit.SECONDS)
            allowCoreThreadTimeOut(true)
            removeOnCancelPolicy = true
        }

        fun allowed(url: String): URL {
            val parsed = try {
                URL(url)
            } catch (_: MalformedURLException) {
                throw HttpException.NotAllowed()
            }
            val allowed = parsed.protocol == "https" || parsed.protocol == "http" && isLoopback(parsed)
            return if (allowed) parsed else throw HttpException.NotAllowed()
        }

        /** Where a redirect leads; `null` when that is another origin. */
        fun redirected(from: URL, location: String): URL? {
            val to = try {
                URL(from, location)
            } catch (_: MalformedURLException) {
                return null
            }
            return to.takeIf { from.protocol == it.protocol && from.host == it.host && portOf(from) == portOf(it) }
        }

        fun portOf(url: URL): Int = if (url.port == -1) url.defaultPort else url.port

        fun isLoopback(url: URL): Boolean = LOOPBACK.matches(url.host)

        /** The errors' own texts carry addresses and are dropped. */
        fun classified(error: IOException, deadline: Deadline): HttpException = when {
            distrusts(error) -> HttpException.Untrusted()
            error is SocketTimeoutException || deadline.isOver() -> HttpException.TimedOut()
            error is UnknownHostException || error is NoRouteToHostException -> HttpException.Offline()
            error is ConnectException && error.message.orEmpty().contains("unreachable") -> HttpException.Offline()
            else -> HttpException.Unreachable()
        }

        fun distrusts(error: Throwable): Boolean =
            generateSequence(error) { it.cause }.any { it is CertificateException || it is SSLPeerUnverifiedException }
    }
}

private const val WORKERS = 4
private const val IDLE_S = 15L
private val threads = AtomicInteger()

private fun daemon(work: Runnable) = Thread(work, "keybutton-http-${threads.incrementAndGet()}").apply { isDaemon = true }
