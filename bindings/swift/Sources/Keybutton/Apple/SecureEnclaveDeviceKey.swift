#if canImport(CryptoKit) && canImport(LocalAuthentication) && canImport(Security)
import CryptoKit
import Foundation
import LocalAuthentication
import Security

/// The device key in the Secure Enclave; in software where there is none, as in the simulator.
///
/// The enclave's key never leaves it. What is kept in the Keychain is a handle that is of use to this device alone.
public final class SecureEnclaveDeviceKey: DeviceKey {
    /// When the member has to confirm with face, finger or code.
    public enum Confirmation: Sendable {
        /// When a door asks for it.
        case whenAsked
        /// For every signature.
        case always
    }

    private let item: KeychainItem
    private let reason: String
    private let confirmation: Confirmation
    /// A prompt blocks the thread that asks for a signature.
    private let queue = DispatchQueue(label: "io.github.keybutton.device-key", qos: .userInitiated)

    /// - Parameters:
    ///   - service: tells the keys of two Branded Apps of one team apart.
    ///   - reason: what the member reads in the prompt.
    public init(
        service: String = KeychainItem.defaultService,
        reason: String = "Confirm to open the door",
        confirmation: Confirmation = .whenAsked
    ) {
        item = KeychainItem(service: service, account: "device-key")
        self.reason = reason
        self.confirmation = confirmation
    }

    public func publicKey() throws -> PublicKey {
        try (load(LAContext()) ?? make()).publicKey
    }

    public func sign(data: AuthenticationData, answer: SignatureAnswer) {
        queue.async { [self] in
            guard answer.isWanted() else { return }
            let context = LAContext()
            context.localizedReason = reason
            do {
                guard let key = try load(context) else { throw DeviceKeyError.Gone }
                answer.succeed(signature: try key.sign(data))
            } catch {
                answer.fail(error: DeviceKeyError(error))
            }
        }
    }

    public func authenticateUser(answer: UserAnswer) {
        let prompt = Prompt()
        prompt.context.evaluatePolicy(.deviceOwnerAuthentication, localizedReason: reason) { isConfirmed, _ in
            // Letting go of the context earlier would take the prompt down.
            prompt.context.invalidate()
            if isConfirmed { answer.succeed() } else { answer.fail(error: .UserNotAuthenticated) }
        }
    }

    public func remove() throws {
        do { try item.remove() } catch { throw DeviceKeyError.Failed }
    }

    private func load(_ context: LAContext) throws -> Key? {
        let stored: Data?
        do { stored = try item.load() } catch { throw DeviceKeyError.Failed }
        guard let stored else { return nil }
        do { return try Key(stored: stored, context) } catch { throw DeviceKeyError.Gone }
    }

    private func make() throws -> Key {
        do {
            let key = try Key.make(confirmed: confirmation == .always)
            try item.store(key.stored)
            return key
        } catch {
            throw DeviceKeyError.Failed
        }
    }
}

/// Keeps a prompt on the screen until it is answered.
private final class Prompt: @unchecked Sendable {
    let context = LAContext()
}

/// A key as CryptoKit holds it.
private enum Key {
    case enclave(SecureEnclave.P256.Signing.PrivateKey)
    case software(P256.Signing.PrivateKey)

    static func make(confirmed: Bool) throws -> Key {
        guard SecureEnclave.isAvailable else { return .software(P256.Signing.PrivateKey()) }
        let flags: SecAccessControlCreateFlags = confirmed ? [.privateKeyUsage, .userPresence] : .privateKeyUsage
        let control = SecAccessControlCreateWithFlags(
            nil, kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly, flags, nil)
        guard let control else { throw DeviceKeyError.Failed }
        return .enclave(try SecureEnclave.P256.Signing.PrivateKey(accessControl: control))
    }

    /// Reads what ``stored`` wrote: a byte that tells where the key is, and its handle or, in software, itself.
    init(stored: Data, _ context: LAContext) throws {
        let rest = Data(stored.dropFirst())
        self =
            switch stored.first {
            case 1:
                .enclave(
                    try SecureEnclave.P256.Signing.PrivateKey(
                        dataRepresentation: rest, authenticationContext: context))
            case 2: .software(try P256.Signing.PrivateKey(rawRepresentation: rest))
            default: throw DeviceKeyError.Gone
            }
    }

    var stored: Data {
        switch self {
        case .enclave(let key): Data([1]) + key.dataRepresentation
        case .software(let key): Data([2]) + key.rawRepresentation
        }
    }

    var publicKey: PublicKey {
        switch self {
        case .enclave(let key): key.publicKey.x963Representation
        case .software(let key): key.publicKey.x963Representation
        }
    }

    func sign(_ data: AuthenticationData) throws -> Signature {
        switch self {
        case .enclave(let key): try key.signature(for: data).rawRepresentation
        case .software(let key): try key.signature(for: data).rawRepresentation
        }
    }
}

extension DeviceKeyError {
    /// Says it in the core's words.
    fileprivate init(_ error: any Error) {
        if let known = error as? DeviceKeyError {
            self = known
        } else if let error = error as? LAError {
            switch error.code {
            case .userCancel, .userFallback, .systemCancel, .appCancel, .authenticationFailed, .passcodeNotSet,
                .notInteractive, .biometryLockout:
                self = .UserNotAuthenticated
            default:
                self = .Failed
            }
        } else {
            self = .Failed
        }
    }
}
#endif
