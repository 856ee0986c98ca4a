import Foundation
import KeybuttonStage
import Testing
@testable import Keybutton

/// `URLSessionHttp` against a real server.
@Suite
struct HttpTests {
    private let server: LoopbackServer
    private let http = URLSessionHttp()

    init() throws {
        let long = String(repeating: "x", count: 5000)
        let elsewhere = try LoopbackServer(["/": .bytes("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes")])
        self.elsewhere = elsewhere
        server = try LoopbackServer([
            "/ok": .bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\nhi"),
            "/teapot": .bytes("HTTP/1.1 418 No\r\nContent-Length: 3\r\nConnection: close\r\n\r\ntea"),
            "/empty": .bytes("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
            "/long": .bytes("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nConnection: close\r\n\r\n\(long)"),
            "/long-unannounced": .bytes("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\(long)"),
            "/moved": .bytes("HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            "/moved-away": .bytes(
                "HTTP/1.1 302 Found\r\nLocation: \(elsewhere.url("/"))\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            "/denied": .bytes(
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"keybutton\"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"),
            "/silent": .silence,
            "/broken": .bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf"),
        ])
    }

    private let elsewhere: LoopbackServer

    @Test func anAnswerIsTakenAsItIs() async throws {
        #expect(try await get("/ok").body == Data("hi".utf8))
        let teapot = try await get("/teapot")
        #expect(teapot.status == 418)
        #expect(teapot.body == Data("tea".utf8))
        let empty = try await get("/empty")
        #expect(empty.status == 204)
        #expect(empty.body.isEmpty)
    }

    @Test func aRefusedTokenIsAnAnswer() async throws {
        let denied = try await get("/denied")
        #expect(denied.status == 401)
        #expect(denied.body == Data("no".utf8))
    }

    @Test func methodHeadersAndBodyArrive() async throws {
        _ = try await exchange(request(.post, "/ok", body: "{\"a\":1}"))
        _ = try await exchange(request(.delete, "/ok"))
        let requests = server.requests
        #expect(requests.count == 2)
        #expect(requests[0].head.hasPrefix("POST /ok HTTP/1.1"))
        #expect(requests[0].head.lowercased().contains("\r\nauthorization: bearer secret"))
        #expect(requests[0].body == "{\"a\":1}")
        #expect(requests[1].head.hasPrefix("DELETE /ok"))
        #expect(!requests[1].head.lowercased().contains("cookie:"), "a cookie was kept")
    }

    @Test func aLongAnswerIsCutOff() async throws {
        await #expect(throws: HttpError.TooLarge) { try await get("/long") }
        await #expect(throws: HttpError.TooLarge) { try await get("/long-unannounced") }
        #expect(try await exchange(request(.get, "/long", maxAnswer: 5000)).body.count == 5000)
    }

    @Test func onlyTheSameOriginIsFollowed() async throws {
        #expect(try await get("/moved").body == Data("hi".utf8))
        #expect(try await get("/moved-away").status == 302)
        #expect(elsewhere.requests.isEmpty, "a request, with its token, went elsewhere")
    }

    @Test func silenceEnds() async throws {
        await #expect(throws: HttpError.TimedOut) { try await exchange(request(.get, "/silent", timeout: 0.2)) }
    }

    @Test func failuresAreToldApart() async throws {
        await #expect(throws: HttpError.Unreachable) { try await get("/broken") }
        let gone = try LoopbackServer([:]).url("/")
        await #expect(throws: HttpError.Unreachable) { try await exchange(request(.get, url: gone)) }
        await #expect(throws: HttpError.NotAllowed) { try await exchange(request(.get, url: "not a url")) }
        await #expect(throws: HttpError.NotAllowed) { try await exchange(request(.get, url: "gopher://127.0.0.1/")) }
        await #expect(throws: HttpError.Offline) {
            try await exchange(request(.get, url: "http://name.invalid/", timeout: 20))
        }
    }

    private func get(_ path: String) async throws -> HttpResponse {
        try await exchange(request(.get, path))
    }

    private func request(
        _ method: KeybuttonCore.Method, _ path: String = "", url: String? = nil, body: String = "",
        timeout: TimeInterval = 20, maxAnswer: UInt32 = 1000
    ) -> HttpRequest {
        HttpRequest(
            method: method, url: url ?? server.url(path),
            headers: [HttpHeader(name: "Authorization", value: "Bearer secret")],
            body: Data(body.utf8), timeout: timeout, maxAnswer: maxAnswer)
    }

    private func exchange(_ request: HttpRequest) async throws -> HttpResponse {
        try await withCheckedThrowingContinuation { continuation in
            http.send(request: request, answer: HeldAnswer(continuation))
        }
    }
}

/// An answer that a test waits for.
private final class HeldAnswer: HttpAnswer, @unchecked Sendable {
    private let continuation: CheckedContinuation<HttpResponse, any Error>

    init(_ continuation: CheckedContinuation<HttpResponse, any Error>) {
        self.continuation = continuation
        super.init(noHandle: NoHandle())
    }

    required init(unsafeFromHandle handle: UInt64) {
        fatalError("never made by the core")
    }

    override func succeed(response: HttpResponse) {
        continuation.resume(returning: response)
    }

    override func fail(error: HttpError) {
        continuation.resume(throwing: error)
    }
}
