import Foundation

public typealias CFTypeRef = AnyObject
public typealias CFString = NSString
public typealias CFDictionary = NSDictionary
public typealias OSStatus = Int32

public final class SecAccessControl: @unchecked Sendable {}

public struct SecAccessControlCreateFlags: OptionSet, Sendable {
    public let rawValue: UInt
    public init(rawValue: UInt) { self.rawValue = rawValue }
    public static let userPresence = Self(rawValue: 1)
    public static let privateKeyUsage = Self(rawValue: 2)
}

public func SecAccessControlCreateWithFlags(
    _ allocator: AnyObject?, _ protection: CFTypeRef, _ flags: SecAccessControlCreateFlags,
    _ error: UnsafeMutablePointer<AnyObject?>?
) -> SecAccessControl? { nil }

public func SecItemCopyMatching(_ query: CFDictionary, _ result: UnsafeMutablePointer<CFTypeRef?>?) -> OSStatus { 0 }
public func SecItemAdd(_ attributes: CFDictionary, _ result: UnsafeMutablePointer<CFTypeRef?>?) -> OSStatus { 0 }
public func SecItemUpdate(_ query: CFDictionary, _ attributes: CFDictionary) -> OSStatus { 0 }
public func SecItemDelete(_ query: CFDictionary) -> OSStatus { 0 }

public let errSecSuccess: OSStatus = 0
public let errSecItemNotFound: OSStatus = -25300

// Apple declares these as constants that any thread may read.
public nonisolated(unsafe) let kSecClass: CFString = ""
public nonisolated(unsafe) let kSecClassGenericPassword: CFString = ""
public nonisolated(unsafe) let kSecAttrService: CFString = ""
public nonisolated(unsafe) let kSecAttrAccount: CFString = ""
public nonisolated(unsafe) let kSecAttrAccessible: CFString = ""
public nonisolated(unsafe) let kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly: CFString = ""
public nonisolated(unsafe) let kSecUseDataProtectionKeychain: CFString = ""
public nonisolated(unsafe) let kSecReturnData: CFString = ""
public nonisolated(unsafe) let kSecMatchLimit: CFString = ""
public nonisolated(unsafe) let kSecMatchLimitOne: CFString = ""
public nonisolated(unsafe) let kSecValueData: CFString = ""
