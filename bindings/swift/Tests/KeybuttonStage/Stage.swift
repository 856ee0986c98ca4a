import Foundation

/// The real access service, the air and real locks in one process: `keybutton stage`.
package actor Stage {
    package nonisolated let serviceURL: String
    package nonisolated let air: String
    package nonisolated let app: String
    private nonisolated let doorIds: [String: String]

    private let process: Process
    private let input: FileHandle
    private let lines: LineReader

    package init() async throws {
        process = Process()
        process.executableURL = Surroundings.program
        process.arguments = ["stage"]
        let (toStage, fromStage) = (Pipe(), Pipe())
        process.standardInput = toStage
        process.standardOutput = fromStage
        try process.run()
        input = toStage.fileHandleForWriting
        lines = LineReader(fromStage.fileHandleForReading)
        let introduction = try JSON.parse(await lines.next())
        guard
            let serviceURL = introduction["service_url"]?.string,
            let air = introduction["air"]?.string,
            let app = introduction["app"]?.string,
            let doors = introduction["doors"]?.array
        else { throw Failure("not an introduction: \(introduction)") }
        (self.serviceURL, self.air, self.app) = (serviceURL, air, app)
        doorIds = Dictionary(uniqueKeysWithValues: doors.compactMap { door in
            guard let name = door["name"]?.string, let id = door["id"]?.string else { return nil }
            return (name, id)
        })
    }

    deinit {
        try? input.close()
        process.waitUntilExit()
    }

    package nonisolated func door(_ name: String) throws -> String {
        guard let id = doorIds[name] else { throw Failure("no door is called \(name)") }
        return id
    }

    package nonisolated func doorName(_ id: String) -> String? {
        doorIds.first { $0.value == id }?.key
    }

    /// Has the stage do something; fails unless it says `ok`.
    @discardableResult
    package func command(_ command: JSON) async throws -> JSON {
        try input.write(contentsOf: Data((try command.line + "\n").utf8))
        let answer = try JSON.parse(await lines.next())
        guard answer["ok"] == .bool(true) else { throw Failure("\(command) was answered with \(answer)") }
        return answer
    }

    @discardableResult
    package func command(_ name: String, _ fields: [String: JSON] = [:]) async throws -> JSON {
        try await command(.object(fields.merging(["do": .string(name)]) { $1 }))
    }

    /// A session token for the member, as the Branded App's identity provider signs it.
    package func token(_ member: String, lifetime: JSON? = nil) async throws -> String {
        var fields = ["member": JSON.string(member)]
        fields["lifetime_s"] = lifetime
        guard let token = try await command("session", fields)["token"]?.string else { throw Failure("no token") }
        return token
    }
}

/// Reads lines on a queue of its own, so that no task's thread waits for a pipe.
private final class LineReader: @unchecked Sendable {
    private let handle: FileHandle
    private let queue = DispatchQueue(label: "lines")
    /// Used on the queue alone.
    private var buffer = Data()

    package init(_ handle: FileHandle) {
        self.handle = handle
    }

    package func next() async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try self.read() }) }
        }
    }

    private func read() throws -> String {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer = Data(buffer[buffer.index(after: end)...]) }
                return String(decoding: buffer[..<end], as: UTF8.self)
            }
            let more = handle.availableData
            if more.isEmpty { throw Failure("the stage has ended") }
            buffer.append(more)
        }
    }
}
