#if canImport(CryptoKit) && canImport(Security)
import CryptoKit
import Foundation
import Security

/// The vault of Apple's systems: a key in the Keychain, and the entries sealed with it, for the Keychain is not made for
/// values of megabytes.
///
/// The key is readable once the phone was unlocked after its start, stays on this device and is in no backup.
public final class KeychainVault: Vault {
    private let item: KeychainItem
    private let files: SealedFolder
    private let key = Locked<SymmetricKey?>(nil)

    /// - Parameters:
    ///   - service: tells the keys of two Branded Apps of one team apart.
    ///   - folder: where the sealed entries are; by default in the app's own Application Support.
    public init(service: String = KeychainItem.defaultService, folder: URL? = nil) {
        let support = FileManager.default.urls(for: .applicationSupportDirectory, in: .userDomainMask)
        let base = support.first ?? FileManager.default.temporaryDirectory
        files = SealedFolder(folder: folder ?? base.appendingPathComponent(service, isDirectory: true))
        item = KeychainItem(service: service, account: "vault")
    }

    public func load(name: String) throws -> Data? {
        try files.load(name, Seal(key: sealingKey()))
    }

    public func store(name: String, value: Data) throws {
        try files.store(name, value, Seal(key: sealingKey()))
    }

    public func remove(name: String) throws {
        try files.remove(name)
    }

    public func wipe() throws {
        try key.with { key in
            try files.wipe()
            do { try item.remove() } catch { throw VaultError(error) }
            key = nil
        }
    }

    /// The Keychain's key, made on first use. One that is gone leaves entries that count as damaged.
    private func sealingKey() throws -> SymmetricKey {
        try key.with { key in
            if let key { return key }
            do {
                if let stored = try item.load() {
                    let loaded = SymmetricKey(data: stored)
                    key = loaded
                    return loaded
                }
                let made = SymmetricKey(size: .bits256)
                try item.store(made.withUnsafeBytes { Data($0) })
                key = made
                return made
            } catch {
                throw VaultError(error)
            }
        }
    }
}

private struct Seal: Sealer {
    let key: SymmetricKey

    func seal(_ value: Data, name: String) throws -> Data {
        let box = try AES.GCM.seal(value, using: key, authenticating: Data(name.utf8))
        guard let combined = box.combined else { throw CryptoKitError.incorrectParameterSize }
        return combined
    }

    func open(_ sealed: Data, name: String) throws -> Data {
        try AES.GCM.open(AES.GCM.SealedBox(combined: sealed), using: key, authenticating: Data(name.utf8))
    }
}

extension VaultError {
    fileprivate init(_ error: any Error) {
        let status = (error as? KeychainFailure)?.status
        self = .Unavailable(reason: "the Keychain said \(status.map(String.init) ?? "nothing of use")")
    }
}
#endif
