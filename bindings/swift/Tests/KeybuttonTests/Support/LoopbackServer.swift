import Foundation
import Keybutton
import KeybuttonStage
#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A small HTTP server on the loopback interface that answers by path; a connection is served by a thread of its own.
final class LoopbackServer: Sendable {
    /// What comes back for a path.
    enum Answer: Sendable {
        /// These bytes, as they are, then the end of the connection.
        case bytes(String)
        /// Nothing, until the client gives up.
        case silence
    }

    /// A request as it arrived.
    struct Request: Sendable {
        let head: String
        let body: String
    }

    let port: UInt16
    private let listener: Int32
    private let answers: [String: Answer]
    private let received = Locked<[Request]>([])

    init(_ answers: [String: Answer]) throws {
        self.answers = answers
        #if canImport(Glibc)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
        listener = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = listener
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, size) == 0 && listen(descriptor, 16) == 0
                    && getsockname(descriptor, address, &size) == 0
            }
        }
        guard isListening else { throw Failure("no port on the loopback interface") }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [weak self] in
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { return }
                guard let server = self else {
                    close(connection)
                    return
                }
                Thread.detachNewThread { server.serve(connection) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    var requests: [Request] { received.with { $0 } }

    func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    private func serve(_ connection: Int32) {
        defer { close(connection) }
        guard let request = read(connection) else { return }
        received.with { $0.append(request) }
        let path = request.head.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        switch answers[path] ?? .bytes("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") {
        case .bytes(let text):
            var rest = Array(text.utf8)
            while !rest.isEmpty {
                let sent = send(connection, rest, rest.count, Int32(MSG_NOSIGNAL))
                guard sent > 0 else { return }
                rest.removeFirst(sent)
            }
        case .silence:
            var byte: UInt8 = 0
            while recv(connection, &byte, 1, 0) > 0 {}
        }
    }

    private func read(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let text = String(decoding: bytes, as: UTF8.self)
            if let end = text.range(of: "\r\n\r\n") {
                let (head, body) = (String(text[..<end.lowerBound]), String(text[end.upperBound...]))
                let length = head.lowercased().split(separator: "\r\n")
                    .first { $0.hasPrefix("content-length:") }
                    .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) }
                if body.utf8.count >= length ?? 0 { return Request(head: head, body: body) }
            }
            let count = recv(connection, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            bytes += chunk[..<count]
        }
    }
}
