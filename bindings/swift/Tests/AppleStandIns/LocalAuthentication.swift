import Foundation

public enum LAPolicy: Int, Sendable { case deviceOwnerAuthenticationWithBiometrics, deviceOwnerAuthentication }

open class LAContext: NSObject {
    public override init() {}
    public var localizedReason = ""
    public func evaluatePolicy(
        _ policy: LAPolicy, localizedReason: String, reply: @escaping @Sendable (Bool, (any Error)?) -> Void) {}
    public func invalidate() {}
}

public struct LAError: Error {
    public enum Code: Int, Sendable {
        case authenticationFailed, userCancel, userFallback, systemCancel, passcodeNotSet, appCancel, invalidContext
        case biometryLockout, notInteractive
    }
    public var code: Code { .authenticationFailed }
}
