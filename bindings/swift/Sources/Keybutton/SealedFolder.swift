import Foundation

/// Encrypts what is kept in a file.
protocol Sealer: Sendable {
    func seal(_ value: Data, name: String) throws -> Data
    /// Fails for what was not sealed under this name.
    func open(_ sealed: Data, name: String) throws -> Data
}

/// A vault of one sealed file an entry.
///
/// A file is replaced as a whole, so that after a crash an entry has either its old or its new value.
struct SealedFolder: Sendable {
    let folder: URL

    func load(_ name: String, _ sealer: any Sealer) throws -> Data? {
        let file = try file(name)
        let sealed: Data
        do {
            sealed = try Data(contentsOf: file)
        } catch CocoaError.fileReadNoSuchFile, CocoaError.fileNoSuchFile {
            return nil
        } catch {
            throw VaultError.Io(path: file.path, reason: error.localizedDescription)
        }
        do { return try sealer.open(sealed, name: name) } catch { throw VaultError.Damaged(path: file.path) }
    }

    func store(_ name: String, _ value: Data, _ sealer: any Sealer) throws {
        let file = try file(name)
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try sealer.seal(value, name: name).write(to: file, options: Self.writing)
        } catch {
            throw VaultError.Io(path: file.path, reason: error.localizedDescription)
        }
    }

    func remove(_ name: String) throws {
        try remove(try file(name))
    }

    func wipe() throws {
        try remove(folder)
    }

    private func remove(_ file: URL) throws {
        do {
            try FileManager.default.removeItem(at: file)
        } catch CocoaError.fileNoSuchFile {
            return
        } catch {
            throw VaultError.Io(path: file.path, reason: error.localizedDescription)
        }
    }

    private func file(_ name: String) throws -> URL {
        let isPlain = !name.isEmpty && name.utf8.allSatisfy { (97...122).contains($0) || $0 == 45 }
        guard isPlain else { throw VaultError.InvalidEntry(name: name) }
        return folder.appendingPathComponent("\(name).sealed")
    }

    private static var writing: Data.WritingOptions {
        #if os(iOS)
        [.atomic, .completeFileProtectionUntilFirstUserAuthentication]
        #else
        .atomic
        #endif
    }
}
