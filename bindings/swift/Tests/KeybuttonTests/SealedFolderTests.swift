import Foundation
import KeybuttonStage
import Testing
@testable import Keybutton

/// The files of the Keychain vault, under a sealer that stands in for AES-GCM.
@Suite
struct SealedFolderTests {
    private let folder: TemporaryFolder
    private let vault: SealedFolder

    init() throws {
        folder = try TemporaryFolder()
        vault = SealedFolder(folder: folder.url.appendingPathComponent("vault"))
    }

    @Test func whatWasStoredIsLoaded() throws {
        #expect(try vault.load("keyring", NameSealer()) == nil)
        try vault.remove("keyring")
        try vault.store("keyring", Data([1, 2, 3]), NameSealer())
        try vault.store("keyring", Data([4]), NameSealer())
        #expect(try vault.load("keyring", NameSealer()) == Data([4]))
        try vault.remove("keyring")
        #expect(try vault.load("keyring", NameSealer()) == nil)
    }

    @Test func aWipeLeavesNothing() throws {
        try vault.wipe()
        try vault.store("a", Data([1]), NameSealer())
        try vault.store("b", Data([1]), NameSealer())
        try vault.wipe()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).isEmpty)
        #expect(try vault.load("a", NameSealer()) == nil)
    }

    @Test func anEntryUnderAnotherNameIsDamaged() throws {
        try vault.store("a", Data([1]), NameSealer())
        let files = vault.folder
        try FileManager.default.copyItem(
            at: files.appendingPathComponent("a.sealed"), to: files.appendingPathComponent("b.sealed"))
        #expect(throws: VaultError.Damaged(path: files.appendingPathComponent("b.sealed").path)) {
            try vault.load("b", NameSealer())
        }
    }

    @Test(arguments: ["", "../keyring", "a/b", "Upper", "a.b", "a\0"])
    func aNameIsNoPath(name: String) {
        #expect(throws: VaultError.InvalidEntry(name: name)) { try vault.load(name, NameSealer()) }
        #expect(throws: VaultError.InvalidEntry(name: name)) { try vault.store(name, Data(), NameSealer()) }
        #expect(throws: VaultError.InvalidEntry(name: name)) { try vault.remove(name) }
    }
}

/// Puts the name before the value, and wants it back.
private struct NameSealer: Sealer {
    func seal(_ value: Data, name: String) -> Data { Data("\(name):".utf8) + value }

    func open(_ sealed: Data, name: String) throws -> Data {
        let prefix = Data("\(name):".utf8)
        guard sealed.starts(with: prefix) else { throw Failure("another name") }
        return Data(sealed.dropFirst(prefix.count))
    }
}
