import Foundation
import KeybuttonStage
import Testing
@testable import Keybutton

extension OnStage {
    /// The lines of code that the documents show, run as they stand.
    @Suite
    struct FirstDoorTests {
        @Test func theFirstDoorTakesTenLines() async throws {
            #expect(firstDoorLines <= 10)
            let stage = try await Stage()
            try await ApplesPhone.$stage.withValue(stage) {
                let shown = Locked<[String]>([])
                let token = try await stage.token("Ann")
                try await firstDoor(serviceURL: stage.serviceURL, appId: stage.app, sessionToken: token) { text in
                    shown.with { $0.append(text) }
                }
                #expect(shown.with { $0 } == ["Open"])
            }
            let lock = try await stage.command("wait-lock", ["door": .string("Front door"), "bolt_moves": .number(1)])
            #expect(lock["lock"]?["bolt_moves"]?.int == 1)
        }
    }
}

/// Stands in for the phone's own parts, which only Apple's systems have.
enum ApplesPhone {
    @TaskLocal static var stage: Stage?
}

#if !canImport(CoreBluetooth)
extension Platform {
    /// On a phone this is Bluetooth, Keychain and Secure Enclave; here the radio is on the simulated air.
    static func apple() throws -> Platform {
        guard let stage = ApplesPhone.stage else { throw Failure("no stage is set") }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("keybutton-\(UUID().uuidString)")
        return try .desktop(radio: airRadio(address: stage.air, name: "phone", x: 1, y: 0), folder: folder)
    }
}
#endif
