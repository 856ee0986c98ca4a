#if canImport(CoreBluetooth) && canImport(CryptoKit) && canImport(LocalAuthentication)
import Foundation

extension Platform {
    /// What a phone of Apple's has: CoreBluetooth, URLSession, the Keychain, the Secure Enclave.
    ///
    /// - Parameters:
    ///   - service: tells the keys of two Branded Apps of one team apart.
    ///   - http: the app's own stack, where it pins certificates.
    ///   - vendor: opens the doors that a lock maker's own SDK opens.
    public static func apple(
        service: String = KeychainItem.defaultService,
        http: any Http = URLSessionHttp(),
        log: any LogSink = noLog(),
        vendor: (any VendorUnlock)? = nil
    ) -> Platform {
        Platform(
            radio: CoreBluetoothRadio(restorationIdentifier: "\(service).central"),
            http: http,
            vault: KeychainVault(service: service),
            deviceKey: SecureEnclaveDeviceKey(service: service),
            clock: systemClock(),
            log: log,
            vendor: vendor
        )
    }
}
#endif
