import Foundation
import KeybuttonStage
import Testing
@testable import Keybutton

extension OnStage {
    /// Every part that a host may supply, written in Swift and used by the core in a real press.
    @Suite
    struct HostTests {
        @Test func aPressRunsOnPartsWrittenInSwift() async throws {
            let stage = try await Stage()
            let (log, vault) = (KeptLog(), MemoryVault())
            let key = HostKey()
            let phone = try Phone(stage) { platform in
                Platform(
                    radio: PassedRadio(platform.radio), http: URLSessionHttp(), vault: vault, deviceKey: key,
                    clock: PassedClock(), log: log)
            }
            let keys = try phone.start()
            #expect(try await keys.signIn(stage.token("Ann")) == .visible)
            let phases = Locked<[Phase]>([])
            let ended = try await keys.press(PressOptions(door: stage.door("Front door"))) { phase in
                phases.with { $0.append(phase) }
            }
            guard case .opened = ended.outcome else { throw Failure("\(ended)") }
            #expect(phases.with { $0.map(kebab) } == ["searching", "connecting", "proving", "opening"])
            #expect(key.signed.with { $0 } >= 2, "one signature to enrol, one for the lock")
            #expect(vault.entries.with { $0.keys.contains("keyring") })
            #expect(log.lines.with { $0.count } > 0)
            try keys.signOut()
            #expect(vault.entries.with { $0.isEmpty }, "a sign-out wipes the vault")
            let said = log.lines.with { $0.map { "\($0.part): \($0.text)" } }.joined(separator: "\n")
            #expect(!said.contains(try await stage.token("Ann").suffix(20)), "no token in the log")
        }

        @Test func aVaultThatFailsIsSaidSo() async throws {
            let stage = try await Stage()
            let vault = MemoryVault()
            let phone = try Phone(stage) { platform in
                Platform(
                    radio: platform.radio, http: platform.http, vault: vault, deviceKey: platform.deviceKey,
                    clock: platform.clock, log: platform.log)
            }
            let keys = try phone.start()
            vault.failing.with { $0 = true }
            await #expect(throws: KeyError.Failed(code: .vaultUnavailable)) { try await keys.signIn(stage.token("Ann")) }
            #expect(throws: StartError.self) { try phone.start() }
        }

        @Test func aKeyThatRefusesEndsThePress() async throws {
            let stage = try await Stage()
            let vault = MemoryVault()
            let key = HostKey()
            let phone = try Phone(stage) { platform in
                Platform(
                    radio: platform.radio, http: platform.http, vault: vault, deviceKey: key, clock: platform.clock,
                    log: platform.log)
            }
            let keys = try phone.start()
            try await keys.signIn(stage.token("Ann"))
            key.refusal.with { $0 = .UserNotAuthenticated }
            let ended = try await keys.press(PressOptions(door: stage.door("Front door")))
            guard case .refused(let refusal) = ended.outcome else { throw Failure("\(ended)") }
            #expect(refusal.lock == nil)
            #expect([.userAuthRequired, .deviceKeyFailed].contains(refusal.code))
        }

        @Test func aVendorsDoorIsOpenedByTheHost() async throws {
            let stage = try await Stage()
            let vendor = FakeVendor()
            let phone = try Phone(stage) { platform in
                Platform(
                    radio: platform.radio, http: platform.http, vault: platform.vault,
                    deviceKey: platform.deviceKey, clock: platform.clock, log: platform.log, vendor: vendor)
            }
            let added = try await stage.command("vendor-door", [
                "door": .string("Sauna"), "vendor_door": .string("lock 4711"), "member": .string("Ann"),
            ])
            let door = try #require(added["id"]?.string)
            let keys = try phone.start()
            try await keys.signIn(stage.token("Ann"))

            let opened = try await keys.press(PressOptions(door: door))
            guard case .opened = opened.outcome else { throw Failure("\(opened)") }
            #expect(opened.route == .vendor)
            let request = try #require(vendor.asked.with { $0.last })
            #expect(request.press == opened.press && request.door == door && request.vendorDoor == "lock 4711")

            vendor.word.with { $0 = { $0.refused(code: .outsideSchedule) } }
            #expect(try await keys.press(PressOptions(door: door)).outcome.code == .outsideSchedule)
            vendor.word.with { $0 = { $0.unconfirmed() } }
            #expect(try await keys.press(PressOptions(door: door)).outcome.code == .noVerdict)

            // One that never says a word, and is told when nobody waits any more.
            vendor.word.with { $0 = nil }
            let count = vendor.asked.with { $0.count }
            let press = Task { try await keys.press(PressOptions(door: door)) }
            try await eventually("the vendor is asked") { vendor.asked.with { $0.count } > count }
            press.cancel()
            let cancelled = try await press.value
            #expect(cancelled.outcome.code == .cancelledLate)
            try await eventually("the vendor is told") { vendor.cancelled.with { $0.contains(cancelled.press) } }
        }

        @Test func theModelFollowsThePress() async throws {
            let stage = try await Stage()
            let keys = try Phone(stage).start()
            let model = await KeyButtonModel(keys)
            #expect(await model.state == .hidden(.notSignedIn))
            try await keys.signIn(stage.token("Ann"))
            let ended = try #require(await model.press(PressOptions(door: stage.door("Front door"))))
            guard case .opened = ended.outcome else { throw Failure("\(ended)") }
            for await state in keys.states where state == .ended(ended) { break }
            try await shows(model, .ended(ended))
            await model.dismissOutcome()
            try await shows(model, .ready)
            try keys.signOut()
            try await shows(model, .hidden(.notSignedIn))
            #expect(await model.press() == nil)
            #expect(await model.failure == .Failed(code: .notSignedIn))
        }

        private func shows(_ model: KeyButtonModel, _ wanted: KeyButtonState) async throws {
            try await within(.seconds(60), "\(wanted)") {
                while await model.state != wanted { try await Task.sleep(for: .milliseconds(2)) }
            }
        }

        @Test func theModelAsksWhichDoor() async throws {
            let stage = try await Stage()
            let keys = try Phone(stage, at: (2, 0)).start()
            try await keys.signIn(stage.token("Ann"))
            let model = await KeyButtonModel(keys)
            let press = Task { await model.press() }
            let back = try await within(.seconds(60), "a question") {
                while true {
                    if let choice = await model.choices?.first(where: { $0.name == "Back door" }) { return choice }
                    try await Task.sleep(for: .milliseconds(2))
                }
            }
            await model.choose(back.door)
            let ended = try #require(await press.value)
            guard case .opened = ended.outcome else { throw Failure("\(ended)") }
            #expect(ended.door == back.door)
            #expect(await model.choices == nil)
        }

        @Test func aTaskThatWasCancelledPressesNothing() async throws {
            let stage = try await Stage()
            let keys = try Phone(stage).start()
            try await keys.signIn(stage.token("Ann"))
            let task = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await keys.press()
            }
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(keys.state == .ready)
        }

        @Test func theSupportReportNamesNobody() async throws {
            let stage = try await Stage()
            let keys = try Phone(stage).start()
            let token = try await stage.token("Ann")
            try await keys.signIn(token)
            _ = try await keys.press(PressOptions(door: stage.door("Front door")))
            let report = keys.supportReport()
            #expect(!report.isEmpty)
            for secret in [token, "Ann", "Front door", try stage.door("Front door")] {
                #expect(!report.contains(secret))
            }
        }
    }
}

private final class MemoryVault: Vault {
    let entries = Locked<[String: Data]>([:])
    let failing = Locked(false)

    private func check() throws {
        if failing.with({ $0 }) { throw VaultError.Unavailable(reason: "told to fail") }
    }

    func load(name: String) throws -> Data? {
        try check()
        return entries.with { $0[name] }
    }

    func store(name: String, value: Data) throws {
        try check()
        entries.with { $0[name] = value }
    }

    func remove(name: String) throws {
        try check()
        entries.with { $0[name] = nil }
    }

    func wipe() throws {
        try check()
        entries.with { $0 = [:] }
    }
}

private final class PassedClock: Clock {
    private let clock = systemClock()

    func unixMs() -> UInt64 { clock.unixMs() }
    func monotonicUs() -> UInt64 { clock.monotonicUs() }
}

/// A lock maker's SDK that says what it is told to.
private final class FakeVendor: VendorUnlock {
    let asked = Locked<[VendorRequest]>([])
    let cancelled = Locked<[UnlockId]>([])
    let word = Locked<(@Sendable (VendorAnswer) -> Void)?>({ $0.opened() })
    private let unanswered = Locked<[VendorAnswer]>([])

    func unlock(request: VendorRequest, answer: VendorAnswer) {
        let word = self.word.with { $0 }
        if let word { word(answer) } else { unanswered.with { $0.append(answer) } }
        asked.with { $0.append(request) }
    }

    func cancel(press: UnlockId) {
        cancelled.with { $0.append(press) }
    }
}

private final class KeptLog: LogSink {
    let lines = Locked<[LogLine]>([])

    func level() -> LogLevel { .trace }
    func line(line: LogLine) { lines.with { $0.append(line) } }
}
