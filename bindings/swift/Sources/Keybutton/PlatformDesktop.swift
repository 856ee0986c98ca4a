import Foundation

extension Platform {
    /// What a desktop has: an encrypted vault and a software device key below `folder`, URLSession, the system's clocks.
    public static func desktop(
        radio: any Radio,
        folder: URL,
        http: any Http = URLSessionHttp(),
        log: any LogSink = noLog()
    ) throws -> Platform {
        let vault = try fileVault(folder: folder.path)
        return Platform(
            radio: radio,
            http: http,
            vault: vault,
            deviceKey: softwareDeviceKey(vault: vault),
            clock: systemClock(),
            log: log
        )
    }
}
