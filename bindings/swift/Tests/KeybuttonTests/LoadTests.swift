import Foundation
import KeybuttonStage
import Testing
@testable import Keybutton

extension OnStage {
    /// Many presses, many tasks, and nothing left behind.
    @Suite
    struct LoadTests {
        @Test func ofManyPressesAtOnceOneRuns() async throws {
            let stage = try await Stage()
            let keys = try Phone(stage).start()
            try await keys.signIn(stage.token("Ann"))
            let door = try stage.door("Front door")
            let results = await withTaskGroup(of: Result<PressOutcome, any Error>.self) { group in
                for _ in 1...50 {
                    group.addTask {
                        do { return .success(try await keys.press(PressOptions(door: door))) } catch { return .failure(error) }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            var opened = 0
            for result in results {
                switch result {
                case .success(let ended):
                    guard case .opened = ended.outcome else { throw Failure("\(ended)") }
                    opened += 1
                case .failure(let error):
                    #expect(error as? KeyError == .Failed(code: .pressInProgress))
                }
            }
            #expect(opened >= 1)
        }

        @Test func everythingMayBeCalledFromEverywhere() async throws {
            let stage = try await Stage()
            let keys = try Phone(stage).start()
            let token = try await stage.token("Ann")
            try await keys.signIn(token)
            let door = try stage.door("Front door")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 1...40 {
                    group.addTask {
                        do {
                            switch number % 8 {
                            case 0: _ = try await keys.press(PressOptions(door: door))
                            case 1: _ = try await keys.refresh()
                            case 2: _ = try await keys.doctor()
                            case 3: _ = try await keys.devices()
                            case 4: _ = (keys.doors, keys.state, keys.supportReport())
                            case 5: for await _ in try keys.nearby() { break }
                            case 6: _ = try await keys.signIn(token)
                            default: for await _ in keys.states { break }
                            }
                        } catch let error as KeyError {
                            guard [.pressInProgress, .notSignedIn].contains(error.code) else { throw error }
                        }
                    }
                }
                try await group.waitForAll()
            }
            try keys.signOut()
            #expect(keys.state == .hidden(.notSignedIn))
        }

        @Test func aThousandPressesLeaveNothingBehind() async throws {
            // Objects of tests that ran before may be on their way out.
            let before = try await settledObjects()
            do {
                let stage = try await Stage()
                try await stage.command("knobs", ["who": .string("Front door"), "set": .object([
                    "advertising_interval_us": .number(2000), "latency_us": .number(0), "setup_events": .number(1),
                    "connection_interval_us": .number(1000),
                ])])
                let keys = try Phone(stage).start()
                try await keys.signIn(stage.token("Ann"))
                let door = try stage.door("Front door")
                // Every other press is given up, each time in another phase.
                let whens: [String?] = [nil, "searching", nil, "connecting", nil, "proving", nil, "opening"]
                var ends: [String: Int] = [:]
                for number in 0..<1000 {
                    let when = whens[number % whens.count]
                    let ended = try await press(keys, door, cancelledIn: when)
                    let said = ended.outcome.code?.code() ?? "opened"
                    // A lock pauses after transactions that came to nothing, and such a press is safe to repeat.
                    if when == nil && ended.outcome.retry != .yes { throw Failure("press \(number): \(ended)") }
                    ends[said, default: 0] += 1
                }
                #expect(ends.values.reduce(0, +) == 1000)
                #expect(ends["opened", default: 0] >= 250, "\(ends)")
                #expect(ends["press-cancelled", default: 0] >= 250, "\(ends)")
                print("1,000 presses: \(ends.sorted { $0.value > $1.value })")
            }
            let after = try await settledObjects()
            #expect(after <= before)
            #expect(after == 0)
        }

        private func press(_ keys: MobileKeys, _ door: DoorId, cancelledIn phase: String?) async throws -> PressOutcome {
            let task = Locked<Task<PressOutcome, any Error>?>(nil)
            let reached = Locked(false)
            let press = Task {
                try await keys.press(PressOptions(door: door)) { now in
                    guard kebab(now) == phase else { return }
                    reached.with { $0 = true }
                    task.with { $0 }?.cancel()
                }
            }
            task.with { $0 = press }
            // The phase may have come before the task was known.
            if reached.with({ $0 }) { press.cancel() }
            return try await press.value
        }

        /// How many of the core's objects live, once their number stays the same.
        private func settledObjects() async throws -> UInt64 {
            var last = UInt64.max
            var same = 0
            let deadline = ContinuousClock.now + .seconds(30)
            while same < 20 && ContinuousClock.now < deadline {
                let now = UInt64(liveObjects())
                same = now == last ? same + 1 : 0
                if now == 0 { return 0 }
                last = now
                try await Task.sleep(for: .milliseconds(50))
            }
            return last
        }
    }
}
