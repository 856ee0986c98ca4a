import Foundation

/// Any JSON value.
package enum JSON: Sendable, Hashable, Codable, CustomStringConvertible {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .number(let value):
            if let whole = Int(exactly: value) { try container.encode(whole) } else { try container.encode(value) }
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    package static func parse(_ text: String) throws -> JSON {
        try JSONDecoder().decode(JSON.self, from: Data(text.utf8))
    }

    package static func file(_ name: String) throws -> JSON {
        try parse(String(contentsOf: Surroundings.vectors.appendingPathComponent(name), encoding: .utf8))
    }

    /// On one line.
    package var line: String {
        get throws { String(decoding: try JSONEncoder().encode(self), as: UTF8.self) }
    }

    package var description: String { (try? line) ?? "?" }

    package subscript(key: String) -> JSON? {
        if case .object(let fields) = self { fields[key] } else { nil }
    }

    package var string: String? { if case .string(let value) = self { value } else { nil } }
    package var int: Int? { if case .number(let value) = self { Int(exactly: value) } else { nil } }
    package var double: Double? { if case .number(let value) = self { value } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    package var object: [String: JSON]? { if case .object(let value) = self { value } else { nil } }

    /// The first place where this does not have what `wanted` has: objects field by field, all else equal.
    package func lacks(_ wanted: JSON, at path: String = "") -> String? {
        guard case .object(let fields) = wanted else {
            return self == wanted ? nil : "\(path): \(self) instead of \(wanted)"
        }
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            guard let there = self[key] else { return "\(path).\(key) is missing" }
            if let difference = there.lacks(value, at: "\(path).\(key)") { return difference }
        }
        return nil
    }
}

/// Where the tests find what they need; told by `cargo xtask swift`.
package enum Surroundings {
    package static let vectors = folder("KEYBUTTON_VECTORS")
    package static let program = folder("KEYBUTTON_PROGRAM")

    private static func folder(_ name: String) -> URL {
        guard let path = ProcessInfo.processInfo.environment[name] else {
            fatalError("\(name) is not set: run the tests with `cargo xtask swift`")
        }
        return URL(fileURLWithPath: path)
    }
}

/// What went wrong in a test, in words.
package struct Failure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
