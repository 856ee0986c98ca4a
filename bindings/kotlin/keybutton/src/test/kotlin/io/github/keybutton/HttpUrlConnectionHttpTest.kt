package io.github.keybutton

import com.sun.net.httpserver.HttpExchange
import com.sun.net.httpserver.HttpServer
import com.sun.net.httpserver.HttpsConfigurator
import com.sun.net.httpserver.HttpsServer
import java.io.File
import java.net.InetAddress
import java.net.InetSocketAddress
import java.net.ServerSocket
import java.security.KeyStore
import java.time.Duration
import java.util.concurrent.CompletableFuture
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.CountDownLatch
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import javax.net.ssl.HttpsURLConnection
import javax.net.ssl.KeyManagerFactory
import javax.net.ssl.SSLContext
import javax.net.ssl.TrustManagerFactory
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import org.junit.jupiter.api.io.TempDir

class HttpUrlConnectionHttpTest {
    private val threads = Executors.newCachedThreadPool()
    private val servers = mutableListOf<HttpServer>()
    private val http = HttpUrlConnectionHttp()

    @AfterEach
    fun stop() {
        servers.forEach { it.stop(0) }
        threads.shutdownNow()
    }

    @Test
    fun `sends method, headers and body, and brings the answer whatever its status`() {
        val heard = CopyOnWriteArrayList<String>()
        val server = serve { exchange ->
            val body = String(exchange.requestBody.readAllBytes())
            heard += "${exchange.requestMethod} ${exchange.requestHeaders.getFirst("Authorization")} $body"
            exchange.answer(if (exchange.requestMethod == "DELETE") 401 else 200, "it is ${heard.size}")
        }
        val headers = listOf(HttpHeader("authorization", "Bearer token"))
        val post = http.fetch(request("$server/v1/keys", Method.POST, headers, "body".toByteArray()))
        val get = http.fetch(request("$server/v1/me", Method.GET, headers))
        val delete = http.fetch(request("$server/v1/devices/1", Method.DELETE, headers))
        assertEquals(listOf("POST Bearer token body", "GET Bearer token ", "DELETE Bearer token "), heard)
        assertEquals(listOf(200, 200, 401), listOf(post, get, delete).map { it.status.toInt() })
        assertArrayEquals("it is 3".toByteArray(), delete.body)
    }

    @Test
    fun `an answer with neither body nor length is an answer`() {
        val server = serve { it.sendResponseHeaders(204, -1) }
        assertEquals(204, http.fetch(request(server)).status.toInt())
    }

    @Test
    fun `an answer longer than allowed is cut off`() {
        val server = serve { it.answer(200, "x".repeat(101)) }
        assertThrows<HttpException.TooLarge> { http.fetch(request(server, most = 100)) }
        assertEquals(101, http.fetch(request(server, most = 101)).body.size)
    }

    @Test
    fun `a redirect inside the origin is followed, to another it is not`() {
        val elsewhere = CopyOnWriteArrayList<String>()
        val other = serve { elsewhere += it.requestURI.path; it.answer(200, "stolen") }
        val server = serve {
            when (it.requestURI.path) {
                "/away" -> it.redirect("$other/stolen")
                "/here" -> it.redirect("/end")
                "/round" -> it.redirect("/round")
                else -> it.answer(200, "end")
            }
        }
        assertEquals(302, http.fetch(request("$server/away")).status.toInt())
        assertEquals(emptyList<String>(), elsewhere)
        assertEquals("end", String(http.fetch(request("$server/here")).body))
        assertEquals(302, http.fetch(request("$server/round")).status.toInt())
    }

    @Test
    fun `a server that says nothing, and one that never ends, time out`() {
        ServerSocket(0, 1, LOOPBACK).use { silent ->
            val quiet = request("http://127.0.0.1:${silent.localPort}", timeout = Duration.ofMillis(100))
            assertThrows<HttpException.TimedOut> { http.fetch(quiet) }
        }
        for (head in listOf("HTTP/1.1 200 OK\r\nX-Endless: ", "HTTP/1.1 200 OK\r\n\r\n")) {
            drip(head).use { server ->
                val endless = request("http://127.0.0.1:${server.localPort}", timeout = Duration.ofMillis(200))
                assertThrows<HttpException.TimedOut> { http.fetch(endless) }
            }
        }
    }

    @Test
    fun `what nobody waits for any more is given up`() {
        drip("HTTP/1.1 200 OK\r\n\r\n").use { server ->
            val endless = request("http://127.0.0.1:${server.localPort}", timeout = Duration.ofMinutes(5))
            assertThrows<HttpException.TimedOut> { http.fetch(endless) { false } }
        }
    }

    @Test
    fun `a closed port and an unknown name are told apart`() {
        val closed = ServerSocket(0, 1, LOOPBACK).use { it.localPort }
        assertThrows<HttpException.Unreachable> { http.fetch(request("http://127.0.0.1:$closed")) }
        assertThrows<HttpException.Offline> { http.fetch(request("https://keys.invalid")) }
    }

    @Test
    fun `a server that breaks off is unreachable`() {
        ServerSocket(0, 1, LOOPBACK).use { server ->
            threads.execute { generateSequence { server.accept() }.forEach { it.close() } }
            assertThrows<HttpException.Unreachable> { http.fetch(request("http://127.0.0.1:${server.localPort}")) }
        }
    }

    @Test
    fun `plain http leaves this machine for nobody`() {
        val refused = listOf("http://keys.example/", "http://127.0.0.1.keys.example/", "ftp://127.0.0.1/", "file:///etc", "x")
        for (url in refused) assertThrows<HttpException.NotAllowed>(url) { http.fetch(request(url)) }
        val header = listOf(HttpHeader("x", "a\r\nb: c"))
        assertThrows<HttpException.NotAllowed> { http.fetch(request(serve { it.answer(200, "") }, headers = header)) }
    }

    @Test
    fun `a certificate that nobody vouches for is not trusted`(@TempDir folder: File) {
        val server = serveSecurely(folder)
        assertThrows<HttpException.Untrusted> { http.fetch(request(server)) }
        val pinned = pinning(folder)
        assertEquals(200, pinned.fetch(request(server)).status.toInt())
        assertThrows<HttpException.Untrusted>("of another name") {
            pinned.fetch(request(server.replace("localhost", "127.0.0.1")))
        }
    }

    @Test
    fun `every answer is given once, and let go of`() {
        val server = serve { it.answer(200, "yes") }
        val good = Answer().also { http.send(request(server), it) }
        assertEquals("yes", String(good.result.get(TIMEOUT_S, TimeUnit.SECONDS).body))
        val bad = Answer().also { http.send(request("ftp://x"), it) }
        val error = runCatching { bad.result.get(TIMEOUT_S, TimeUnit.SECONDS) }.exceptionOrNull()
        assertTrue(error?.cause is HttpException.NotAllowed, "$error")
        for (answer in listOf(good, bad)) assertTrue(answer.closed.await(TIMEOUT_S, TimeUnit.SECONDS))
        val late = Answer(wanted = false).also { http.send(request(server), it) }
        assertTrue(late.closed.await(TIMEOUT_S, TimeUnit.SECONDS))
        assertTrue(!late.result.isDone)
    }

    private fun serve(handle: (HttpExchange) -> Unit): String {
        val server = HttpServer.create(InetSocketAddress(LOOPBACK, 0), 0)
        start(server, handle)
        return "http://127.0.0.1:${server.address.port}"
    }

    private fun serveSecurely(folder: File): String {
        val keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm())
        keys.init(selfSigned(folder), PASSWORD.toCharArray())
        val context = SSLContext.getInstance("TLS").apply { init(keys.keyManagers, null, null) }
        val server = HttpsServer.create(InetSocketAddress(LOOPBACK, 0), 0)
        server.httpsConfigurator = HttpsConfigurator(context)
        start(server) { it.answer(200, "secret") }
        return "https://localhost:${server.address.port}"
    }

    private fun start(server: HttpServer, handle: (HttpExchange) -> Unit) {
        server.executor = threads
        server.createContext("/") { exchange ->
            try {
                handle(exchange)
            } finally {
                exchange.close()
            }
        }
        server.start()
        servers += server
    }

    /** Says `head` and then one more byte at a time, for ever. */
    private fun drip(head: String): ServerSocket {
        val server = ServerSocket(0, 1, LOOPBACK)
        threads.execute {
            runCatching {
                server.accept().use { socket ->
                    socket.getOutputStream().write(head.toByteArray())
                    while (true) {
                        socket.getOutputStream().write('x'.code)
                        Thread.sleep(DRIP_MS)
                    }
                }
            }
        }
        return server
    }

    private fun pinning(folder: File): HttpUrlConnectionHttp {
        val trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm())
        trust.init(selfSigned(folder))
        val context = SSLContext.getInstance("TLS").apply { init(null, trust.trustManagers, null) }
        return HttpUrlConnectionHttp { (it as HttpsURLConnection).sslSocketFactory = context.socketFactory }
    }

    private fun selfSigned(folder: File): KeyStore {
        val file = File(folder, "server.p12")
        if (!file.exists()) {
            val keytool = File(System.getProperty("java.home"), "bin/keytool").path
            val command = "$keytool -genkeypair -alias server -keyalg EC -groupname secp256r1 -dname CN=localhost " +
                "-ext san=dns:localhost -validity 2 -storetype PKCS12 -storepass $PASSWORD -keystore $file"
            val made = ProcessBuilder(command.split(" ")).redirectErrorStream(true).start()
            val said = made.inputReader().readText()
            check(made.waitFor() == 0) { said }
        }
        val store = KeyStore.getInstance("PKCS12").apply { file.inputStream().use { load(it, PASSWORD.toCharArray()) } }
        if (!store.isCertificateEntry("trusted")) store.setCertificateEntry("trusted", store.getCertificate("server"))
        return store
    }

    /** Stands for the core's answer. */
    private class Answer(private val wanted: Boolean = true) : HttpAnswer(NoHandle) {
        val result = CompletableFuture<HttpResponse>()
        val closed = CountDownLatch(1)

        override fun isWanted(): Boolean = wanted

        override fun succeed(response: HttpResponse) {
            result.complete(response)
        }

        override fun fail(error: HttpException) {
            result.completeExceptionally(error)
        }

        override fun destroy() = closed.countDown()
    }

    private companion object {
        const val TIMEOUT_S = 30L
        const val DRIP_MS = 10L
        const val PASSWORD = "password"
        val LOOPBACK: InetAddress = InetAddress.getByName("127.0.0.1")

        fun request(
            url: String,
            method: Method = Method.GET,
            headers: List<HttpHeader> = emptyList(),
            body: ByteArray = ByteArray(0),
            timeout: Duration = Duration.ofSeconds(TIMEOUT_S),
            most: Int = 4096,
        ) = HttpRequest(method, url, headers, body, timeout, most.toUInt())

        fun HttpExchange.answer(status: Int, body: String) {
            val bytes = body.toByteArray()
            sendResponseHeaders(status, if (bytes.isEmpty()) -1 else bytes.size.toLong())
            responseBody.write(bytes)
        }

        fun HttpExchange.redirect(to: String) {
            responseHeaders.set("Location", to)
            answer(302, "elsewhere")
        }
    }
}
