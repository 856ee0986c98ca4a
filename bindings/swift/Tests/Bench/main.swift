import Foundation
import Keybutton
import KeybuttonStage

// What the Swift side costs, printed as a table: single calls, and a whole press on a stage.

let calls = 2_000
let batches = 200
let presses = 200
let callBar = 2.0
let pressBar = 5.0

/// Microseconds a call takes, in the best of many batches: what else runs on the machine is not the call's.
func measure(_ what: String, _ call: () throws -> Void) rethrows -> (String, Double) {
    var best = Double.infinity
    for _ in 0..<batches {
        let time = try ContinuousClock().measure { for _ in 0..<calls { try call() } }
        best = min(best, micros(time) / Double(calls))
    }
    return (what, best)
}

func micros(_ time: Duration) -> Double {
    Double(time.components.seconds) * 1e6 + Double(time.components.attoseconds) / 1e12
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted[sorted.count / 2]
}

/// One press after the other in turn: milliseconds for the caller, and of them those inside the core.
func press(_ keys: MobileKeys, _ door: DoorId) async throws -> (caller: Double, core: Double) {
    let clock = ContinuousClock()
    let begin = clock.now
    let ended = try await keys.press(PressOptions(door: door))
    let time = clock.now - begin
    guard case .opened = ended.outcome else { throw Failure("\(ended.outcome)") }
    return (micros(time) / 1000, Double(ended.metrics.totalUs) / 1000)
}

let stage = try await Stage()
try await stage.command("knobs", [
    "who": .string("Front door"),
    "set": .object(["advertising_interval_us": .number(5000), "connection_interval_us": .number(5000)]),
])
let door = try stage.door("Front door")
let rust = try Phone(stage, "rust").start()
let swift = try Phone(stage, "swift") { platform in
    Platform(
        radio: PassedRadio(platform.radio), http: URLSessionHttp(), vault: PassedVault(platform.vault),
        deviceKey: HostKey(), clock: platform.clock, log: platform.log)
}.start()
try await rust.signIn(stage.token("Ann"))
try await swift.signIn(stage.token("Ben"))

let code = ErrorCode.expired
let idle = try Phone(stage, "idle")
let core = try CoreKeys(config: idle.config, platform: idle.platform)
print("| call | µs | bar |")
print("|---|---|---|")
var isFast = true
for (what, cost) in [
    measure("a function, a number back", { _ = liveObjects() }),
    measure("a method of an enum, an enum back", { _ = code.side() }),
    measure("a method of an enum, a text back", { _ = code.remedy() }),
    measure("a method of the core, an enum back", { _ = core.keyButton() }),
] {
    print("| \(what) | \(String(format: "%.2f", cost)) | \(callBar) |")
    isFast = isFast && cost <= callBar
}

var (inRust, throughSwift, withParts) = ([Double](), [Double](), [Double]())
for number in 0..<(presses + 10) {
    let (caller, core) = try await press(rust, door)
    let parts = try await press(swift, door)
    if number >= 10 {
        inRust.append(core)
        throughSwift.append(caller)
        withParts.append(parts.caller)
    }
}
let (plain, called, full) = (median(inRust), median(throughSwift), median(withParts))
print("\n| a press, median of \(presses) | ms | more than Rust alone | bar |")
print("|---|---|---|---|")
print("| inside the core, all parts in Rust | \(String(format: "%.2f", plain)) | | |")
for (what, time) in [("called from Swift", called), ("radio, network, vault and key in Swift as well", full)] {
    print("| \(what) | \(String(format: "%.2f", time)) | \(String(format: "%.2f", time - plain)) | \(pressBar) |")
    isFast = isFast && time - plain <= pressBar
}
if !isFast {
    print("a bar is missed")
    exit(1)
}
