import Foundation

extension Platform {
    /// What a desktop has: an encrypted vault and a software device key below `folder`, the system's clocks, and on
    /// Apple's systems URLSession, elsewhere the core's own HTTP.
    public static func desktop(
        radio: any Radio,
        folder: URL,
        http: (any Http)? = nil,
        log: any LogSink = noLog(),
        vendor: (any VendorUnlock)? = nil
    ) throws -> Platform {
        let vault = try fileVault(folder: folder.path)
        return try Platform(
            radio: radio,
            http: http ?? ownHttp(),
            vault: vault,
            deviceKey: softwareDeviceKey(vault: vault),
            clock: systemClock(),
            log: log,
            vendor: vendor
        )
    }

    private static func ownHttp() throws -> any Http {
        #if canImport(FoundationNetworking)
        try coreHttp()
        #else
        URLSessionHttp()
        #endif
    }
}
