import Foundation
import Keybutton

/// A phone on a stage: an app with a vault of its own, at a place.
package final class Phone: Sendable {
    package let folder: TemporaryFolder
    package let platform: Platform
    package let config: Config

    package init(
        _ stage: Stage, _ name: String = "phone", at place: (Double, Double) = (1, 0),
        change: (Platform) -> Platform = { $0 }
    ) throws {
        folder = try TemporaryFolder()
        let radio = try airRadio(address: stage.air, name: name, x: Float(place.0), y: Float(place.1))
        platform = change(try Platform.desktop(radio: radio, folder: folder.url))
        config = Config(serviceUrl: stage.serviceURL, app: stage.app, deviceName: name, platform: "linux")
    }

    /// Starts the app.
    package func start() throws -> MobileKeys {
        try MobileKeys(config, platform)
    }
}

/// A new folder; all of them go away with the process, for a core may outlive the test that made it.
package struct TemporaryFolder: Sendable {
    package let url: URL

    private static let all: URL = {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("keybutton-\(UUID().uuidString)")
        atexit { try? FileManager.default.removeItem(at: TemporaryFolder.all) }
        return folder
    }()

    package init() throws {
        url = Self.all.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }
}

/// Waits until `condition` holds; fails after a minute.
package func eventually(_ what: String, _ condition: @Sendable () -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while !condition() {
        guard ContinuousClock.now < deadline else { throw Failure("\(what) did not come about") }
        try await Task.sleep(for: .milliseconds(2))
    }
}
