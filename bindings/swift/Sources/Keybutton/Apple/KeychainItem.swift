#if canImport(Security)
import Foundation
import Security

/// One value in the Keychain, readable once the phone was unlocked after its start, and on this device alone.
public struct KeychainItem: Sendable {
    /// The service of an app with one set of keys.
    public static let defaultService = "io.github.keybutton"

    let service: String
    let account: String

    func load() throws -> Data? {
        var found: CFTypeRef?
        let query = query.merging([kSecReturnData: true, kSecMatchLimit: kSecMatchLimitOne]) { $1 }
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        switch status {
        case errSecSuccess: return found as? Data
        case errSecItemNotFound: return nil
        default: throw KeychainFailure(status: status)
        }
    }

    func store(_ value: Data) throws {
        let change: [CFString: Any] = [kSecValueData: value]
        var status = SecItemUpdate(query as CFDictionary, change as CFDictionary)
        if status == errSecItemNotFound {
            let accessible: [CFString: Any] = [
                kSecValueData: value, kSecAttrAccessible: kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly,
            ]
            status = SecItemAdd(query.merging(accessible) { $1 } as CFDictionary, nil)
        }
        if status != errSecSuccess { throw KeychainFailure(status: status) }
    }

    func remove() throws {
        let status = SecItemDelete(query as CFDictionary)
        if status != errSecSuccess && status != errSecItemNotFound { throw KeychainFailure(status: status) }
    }

    private var query: [CFString: Any] {
        [
            kSecClass: kSecClassGenericPassword, kSecAttrService: service, kSecAttrAccount: account,
            kSecUseDataProtectionKeychain: true,
        ]
    }
}

/// What the Keychain said.
struct KeychainFailure: Error {
    let status: OSStatus
}
#endif
