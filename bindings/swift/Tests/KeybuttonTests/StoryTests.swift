import Foundation
import KeybuttonStage
import Testing
@testable import Keybutton

extension OnStage {
    /// The story that every language plays: `tests/vectors/story.json`, by the rules of the README beside it.
    @Suite
    struct StoryTests {
        @Test(arguments: try Scene.all())
        func story(_ scene: Scene) async throws {
            let stage = try await Stage()
            let player = Player(stage)
            try player.enter(scene.phones)
            for (number, step) in scene.steps.enumerated() {
                do {
                    try await player.play(step)
                } catch {
                    throw Failure("step \(number + 1), \(step): \(error)")
                }
            }
            try player.checkEnds()
        }
    }
}

struct Scene: Sendable, CustomTestStringConvertible {
    let name: String
    let phones: [String: (Double, Double)]
    let steps: [JSON]

    var testDescription: String { name }

    static func all() throws -> [Scene] {
        let story = try JSON.file("story.json")
        guard story["version"]?.int == 1, let scenes = story["scenes"]?.array else { throw Failure("another story") }
        return try scenes.map(Scene.init)
    }

    init(_ scene: JSON) throws {
        guard
            let name = scene["name"]?.string, let steps = scene["steps"]?.array, let fields = scene.object,
            Set(fields.keys).isSubset(of: ["name", "title", "phones", "steps"])
        else { throw Failure("not a scene: \(scene)") }
        let places = scene["phones"]?.object ?? ["phone": .array([.number(1), .number(0)])]
        self.name = name
        self.steps = steps
        phones = try places.mapValues { place in
            guard let axes = place.array, axes.count == 2, let x = axes[0].double, let y = axes[1].double else {
                throw Failure("not a place: \(place)")
            }
            return (x, y)
        }
    }
}

/// Plays the steps of one scene.
private final class Player {
    private final class Actor {
        let phone: Phone
        private var app: MobileKeys?
        var presses: [RunningPress] = []

        init(_ phone: Phone) throws {
            self.phone = phone
            app = try phone.start()
        }

        var keys: MobileKeys {
            get throws { try need(app, "an app that runs") }
        }

        /// Ends the app, then starts it again.
        func restart() throws {
            app = nil
            app = try phone.start()
        }

        func running() throws -> RunningPress {
            guard let press = presses.last else { throw Failure("no press is running") }
            return press
        }
    }

    private let stage: Stage
    private var actors: [String: Actor] = [:]

    init(_ stage: Stage) {
        self.stage = stage
    }

    func enter(_ phones: [String: (Double, Double)]) throws {
        for (name, place) in phones {
            actors[name] = try Actor(Phone(stage, name, at: place))
        }
    }

    /// Once more for every press: it had one outcome, and heard nothing after it.
    func checkEnds() throws {
        for press in actors.values.flatMap(\.presses) {
            try press.checkEnd()
        }
    }

    func play(_ step: JSON) async throws {
        guard let fields = step.object, let what = step["do"]?.string else { throw Failure("not a step") }
        let who = step["phone"]?.string ?? "phone"
        guard let actor = actors[who] else { throw Failure("no phone is called \(who)") }
        let known = try Self.fields(of: what).union(["do", "phone"])
        guard Set(fields.keys).isSubset(of: known) else { throw Failure("a field of \(fields.keys) is not known") }
        switch what {
        case "stage":
            let answer = try await stage.command(try need(step["command"], "command"))
            if let wanted = step["answer"], let lack = answer.lacks(wanted) { throw Failure(lack) }
        case "sign-in":
            let token = try await stage.token(try need(step["member"]?.string, "member"), lifetime: step["lifetime_s"])
            let keys = try actor.keys
            try await expect(step) { try await keys.signIn(token).spelled }
        case "sign-out":
            try actor.keys.signOut()
        case "refresh":
            let keys = try actor.keys
            try await expect(step) { try await keys.refresh().spelled }
        case "button":
            try compare(.string(Self.spelled(try actor.keys.state)), step)
        case "doors":
            let wanted = try need(step["expect"]?.array, "expect")
            let names = try actor.keys.doors.map { JSON.string($0.name) }
            guard Set(names) == Set(wanted), names.count == wanted.count else { throw Failure("doors: \(names)") }
        case "devices":
            try compare(.number(Double(try await actor.keys.devices().count)), step)
        case "doctor":
            let checks = try await actor.keys.doctor().map { (kebab($0.name), JSON.string($0.spelled)) }
            let found = JSON.object(Dictionary(uniqueKeysWithValues: checks))
            if let lack = found.lacks(try need(step["expect"], "expect")) { throw Failure(lack) }
        case "nearby":
            try await listNearby(actor, Set(try need(step["expect"]?.array, "expect").compactMap(\.string)))
        case "radio-state":
            let wanted = try need(step["expect"]?.string, "expect")
            let radio = actor.phone.platform.radio
            try await eventually("radio \(wanted)") { kebab(radio.state()) == wanted }
        case "restart":
            try actor.restart()
        case "press":
            try await press(actor, step)
        case "retry":
            let last = try need(try actor.keys.lastPress, "a press")
            try await begin(actor, step, id: last) { keys, _, onPhase in try await keys.retry(last, onPhase: onPhase) }
        case "reach":
            try await actor.running().reach(try need(step["phase"]?.string, "phase"))
        case "choose":
            try actor.running().choose(try stage.door(try need(step["door"]?.string, "door")))
        case "cancel":
            try actor.running().cancel()
        case "outcome":
            try await actor.running().expect(try need(step["expect"], "expect"), stage)
        default:
            throw Failure("not known")
        }
    }

    private static func fields(of step: String) throws -> Set<String> {
        let known: [String: Set<String>] = [
            "stage": ["command", "answer"], "sign-in": ["member", "lifetime_s", "expect"], "sign-out": [],
            "refresh": ["expect"], "button": ["expect"], "doors": ["expect"], "devices": ["expect"],
            "doctor": ["expect"], "nearby": ["expect"], "radio-state": ["expect"], "restart": [],
            "press": ["door", "error", "expect", "until", "deadline_ms", "listener"],
            "retry": ["error", "expect", "until", "listener"],
            "reach": ["phase"], "choose": ["door"], "cancel": [], "outcome": ["expect"],
        ]
        guard let fields = known[step] else { throw Failure("not known") }
        return fields
    }

    private static func spelled(_ state: KeyButtonState) -> String {
        if case .hidden(let reason) = state { "hidden:\(kebab(reason))" } else { "visible" }
    }

    private func press(_ actor: Actor, _ step: JSON) async throws {
        let door = try step["door"]?.string.map(stage.door)
        let deadline = step["deadline_ms"]?.double.map { $0 / 1000 }
        let options = PressOptions(door: door, deadline: deadline ?? PressOptions.defaultDeadline)
        try await begin(actor, step, id: nil) { keys, choose, onPhase in
            try await keys.press(options, onPhase: onPhase, choose: choose)
        }
    }

    private func begin(_ actor: Actor, _ step: JSON, id: UnlockId?, _ call: @escaping RunningPress.Call) async throws {
        // Nothing that a listener is in Swift can throw: one that is told to just keeps what it hears.
        guard step["listener"] == nil || step["listener"] == .string("throws") else { throw Failure("listener") }
        let press = RunningPress(try actor.keys, repeats: id, call)
        let failure = try await press.begun(try actor.keys)
        if let wanted = step["error"]?.string {
            guard let failure, failure == wanted else { throw Failure("failed with \(failure ?? "nothing")") }
            return
        }
        if let failure { throw Failure("failed with \(failure)") }
        actor.presses.append(press)
        if let wanted = step["expect"] {
            try await press.expect(wanted, stage)
        } else if let phase = step["until"]?.string {
            try await press.reach(phase)
        }
    }

    private func listNearby(_ actor: Actor, _ wanted: Set<String>) async throws {
        let lists = try actor.keys.nearby()
        let found = try await within(.seconds(60), "doors nearby") {
            for await doors in lists where wanted.isSubset(of: doors.map(\.name)) { return true }
            return false
        }
        guard found else { throw Failure("the list has ended") }
    }

    private func expect(_ step: JSON, _ call: @Sendable () async throws -> String) async throws {
        let said: String
        do {
            said = try await call()
        } catch let error as KeyError {
            said = "error:\(error.code.code())"
        }
        try compare(.string(said), step)
    }

    private func compare(_ said: JSON, _ step: JSON) throws {
        let wanted = try need(step["expect"], "expect")
        guard said == wanted else { throw Failure("\(said) instead of \(wanted)") }
    }
}

private func need<T>(_ value: T?, _ what: String) throws -> T {
    guard let value else { throw Failure("\(what) is missing") }
    return value
}

/// A press with all that is told of it.
private final class RunningPress: Sendable {
    typealias Call = @Sendable (
        MobileKeys, @escaping @Sendable ([Candidate]) async -> DoorId?, @escaping @Sendable (Phase) -> Void
    ) async throws -> PressOutcome

    private struct Told {
        var phases: [String] = []
        var outcome: PressOutcome?
        var failure: String?
        var atOutcome = 0
        var id: UnlockId?
    }

    private let told: Locked<Told>
    private let repeats: UnlockId?
    /// The press that began last before this one; `nil` for a repeat, which has its id.
    private let before: UnlockId?
    private let choice: Locked<DoorId?>
    private let task: Task<Void, Never>

    init(_ keys: MobileKeys, repeats: UnlockId?, _ call: @escaping Call) {
        let told = Locked(Told())
        let choice = Locked<DoorId?>(nil)
        self.told = told
        self.repeats = repeats
        before = repeats == nil ? keys.lastPress : nil
        self.choice = choice
        task = Task {
            do {
                let outcome = try await call(keys) { _ in
                    try? await eventually("choice") { choice.with { $0 != nil } }
                    return choice.with { $0 }
                } _: { phase in
                    told.with { $0.phases.append(kebab(phase)) }
                }
                told.with { told in
                    told.outcome = outcome
                    told.atOutcome = told.phases.count
                }
            } catch let error as KeyError {
                told.with { $0.failure = error.code.code() }
            } catch {
                told.with { $0.failure = String(describing: error) }
            }
        }
    }

    /// Waits until the press is under way; the code it failed with instead.
    func begun(_ keys: MobileKeys) async throws -> String? {
        try await eventually("begin") { [told, before] in
            let isUnderWay = told.with { !$0.phases.isEmpty || $0.outcome != nil }
            return isUnderWay && keys.lastPress != before || told.with { $0.failure != nil }
        }
        return told.with { told in
            if told.failure == nil { told.id = keys.lastPress }
            return told.failure
        }
    }

    func reach(_ phase: String) async throws {
        try await eventually("phase \(phase)") { [told] in
            told.with { $0.phases.contains(phase) || $0.outcome != nil }
        }
        guard told.with({ $0.phases.contains(phase) }) else { throw Failure("ended without \(phase)") }
    }

    func choose(_ door: DoorId) {
        choice.with { $0 = door }
    }

    func cancel() {
        task.cancel()
    }

    func checkEnd() throws {
        try told.with { told in
            guard told.outcome != nil else { throw Failure("a press has no outcome") }
            guard told.atOutcome == told.phases.count else { throw Failure("a phase came after the outcome") }
        }
    }

    func expect(_ wanted: JSON, _ stage: Stage) async throws {
        try await within(.seconds(60), "outcome") { [task] in await task.value }
        let (outcome, phases) = told.with { ($0.outcome, $0.phases) }
        guard let outcome else { throw Failure("no outcome") }
        guard repeats == nil || repeats == outcome.press, told.with({ $0.id }) == outcome.press else { throw Failure("another press id") }
        let metered = outcome.metrics.phases.map(\.phase)
        guard metered == phases else { throw Failure("metered \(metered), told \(phases)") }
        if let code = outcome.outcome.code {
            guard !code.message().isEmpty, !code.remedy().isEmpty else { throw Failure("no words for \(code)") }
        }
        if let lack = facts(outcome, phases, stage).lacks(wanted) { throw Failure("\(lack) in \(outcome)") }
    }

    private func facts(_ ended: PressOutcome, _ phases: [String], _ stage: Stage) -> JSON {
        var facts: [String: JSON] = [
            "door": ended.door.flatMap(stage.doorName).map(JSON.string) ?? .null,
            "route": ended.route.map { .string(kebab($0)) } ?? .null,
            "fast": .bool(ended.metrics.fast),
            "downloaded": .bool(ended.metrics.downloaded),
            "links": .number(Double(ended.metrics.links)),
            "round_trips": .number(Double(ended.metrics.roundTrips)),
            "phases": .array(phases.map(JSON.string)),
            "last_phase": phases.last.map(JSON.string) ?? .null,
        ]
        var report: LockReport?
        switch ended.outcome {
        case .opened(let lock):
            facts["outcome"] = .string("opened")
            report = lock
        case .refused(let refusal):
            facts["outcome"] = .string("refused")
            facts["by"] = .string(refusal.lock == nil ? "phone" : "lock")
            report = refusal.lock
        case .unconfirmed(let cause):
            facts["outcome"] = .string("unconfirmed")
            facts["cause"] = .string(kebab(cause))
        }
        if let code = ended.outcome.code { facts["code"] = .string(code.code()) }
        if let report { facts["replayed"] = .bool(report.replayed) }
        return .object(facts)
    }
}

/// Runs `body`; fails when it takes longer than `limit`.
func within<T: Sendable>(
    _ limit: Duration, _ what: String, _ body: @escaping @Sendable () async throws -> T
) async throws -> T {
    try await withThrowingTaskGroup(of: T.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: limit)
            throw Failure("\(what) took longer than \(limit)")
        }
        defer { group.cancelAll() }
        return try await group.next()!
    }
}
