import Foundation
import Keybutton
#if canImport(CryptoKit)
import CryptoKit
#else
import Glibc
#endif

/// A device key that a host has made itself: signs later and from elsewhere, as after a prompt, and can be told to refuse.
package final class HostKey: DeviceKey {
    package let signed = Locked(0)
    package let refusal = Locked<DeviceKeyError?>(nil)
    private let key = Locked<SigningKey?>(nil)

    package init() {}

    package func publicKey() throws -> PublicKey {
        try key.with { key in
            if let key { return key.publicKey }
            let made = try SigningKey()
            key = made
            return made.publicKey
        }
    }

    package func sign(data: AuthenticationData, answer: SignatureAnswer) {
        signed.with { $0 += 1 }
        DispatchQueue.global().async { [key, refusal] in
            if let error = refusal.with({ $0 }) { return answer.fail(error: error) }
            guard let signature = try? key.with({ try $0?.sign(data) }) else { return answer.fail(error: .Gone) }
            answer.succeed(signature: signature)
        }
    }

    package func authenticateUser(answer: UserAnswer) {
        answer.succeed()
    }

    package func remove() throws {
        key.with { $0 = nil }
    }
}

#if canImport(CryptoKit)
private struct SigningKey {
    private let key = P256.Signing.PrivateKey()

    init() throws {}

    var publicKey: Data { key.publicKey.x963Representation }

    func sign(_ data: Data) throws -> Data { try key.signature(for: data).rawRepresentation }
}
#else
/// P-256 by the machine's libcrypto, which Foundation's own networking needs as well. Never freed: a test makes few.
private final class SigningKey {
    private let crypto: Crypto
    private let key: OpaquePointer

    init() throws {
        crypto = try Crypto()
        guard let key = crypto.newKey(415), crypto.generate(key) == 1 else { throw Failure("no key") }
        self.key = key
    }

    var publicKey: Data {
        var bytes = [UInt8](repeating: 0, count: 65)
        bytes.withUnsafeMutableBufferPointer { buffer in
            var end = buffer.baseAddress
            _ = crypto.writePublic(key, &end)
        }
        return Data(bytes)
    }

    func sign(_ data: Data) throws -> Data {
        var digest = [UInt8](repeating: 0, count: 32)
        _ = crypto.sha256([UInt8](data), data.count, &digest)
        guard let signature = crypto.sign(digest, 32, key) else { throw Failure("no signature") }
        var bytes = [UInt8](repeating: 0, count: 64)
        bytes.withUnsafeMutableBufferPointer { buffer in
            _ = crypto.writeNumber(crypto.r(signature), buffer.baseAddress, 32)
            _ = crypto.writeNumber(crypto.s(signature), buffer.baseAddress?.advanced(by: 32), 32)
        }
        return Data(bytes)
    }
}

/// The few functions of libcrypto that a signature takes.
private struct Crypto {
    typealias Bytes = UnsafeMutablePointer<UInt8>

    /// `EC_KEY_new_by_curve_name`; 415 is P-256.
    let newKey: @convention(c) (Int32) -> OpaquePointer?
    let generate: @convention(c) (OpaquePointer) -> Int32
    let writePublic: @convention(c) (OpaquePointer, UnsafeMutablePointer<Bytes?>) -> Int32
    let sha256: @convention(c) (UnsafePointer<UInt8>, Int, Bytes) -> Bytes?
    let sign: @convention(c) (UnsafePointer<UInt8>, Int32, OpaquePointer) -> OpaquePointer?
    let r: @convention(c) (OpaquePointer) -> OpaquePointer?
    let s: @convention(c) (OpaquePointer) -> OpaquePointer?
    let writeNumber: @convention(c) (OpaquePointer?, Bytes?, Int32) -> Int32

    init() throws {
        guard let library = dlopen("libcrypto.so.3", RTLD_NOW) else { throw Failure("no libcrypto.so.3") }
        func load<F>(_ name: String) throws -> F {
            guard let symbol = dlsym(library, name) else { throw Failure("no \(name)") }
            return unsafeBitCast(symbol, to: F.self)
        }
        newKey = try load("EC_KEY_new_by_curve_name")
        generate = try load("EC_KEY_generate_key")
        writePublic = try load("i2o_ECPublicKey")
        sha256 = try load("SHA256")
        sign = try load("ECDSA_do_sign")
        r = try load("ECDSA_SIG_get0_r")
        s = try load("ECDSA_SIG_get0_s")
        writeNumber = try load("BN_bn2binpad")
    }
}
#endif
