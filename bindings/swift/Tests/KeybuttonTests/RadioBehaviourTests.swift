import Foundation
import KeybuttonStage
import Testing
@testable import Keybutton

/// What every radio does: `tests/vectors/radio-behaviour.json`, played by the rules of the README beside it on the
/// radio's own logic, with a fake of the system's Bluetooth.
@Suite
struct RadioBehaviourTests {
    @Test(arguments: try RadioCase.all())
    func behaves(_ radioCase: RadioCase) throws {
        let player = CasePlayer()
        for (number, step) in radioCase.steps.enumerated() {
            do {
                try player.play(step)
            } catch {
                throw Failure("step \(number + 1), \(step): \(error)")
            }
        }
        try player.checkEnd()
    }
}

struct RadioCase: Sendable, CustomTestStringConvertible {
    let name: String
    let steps: [JSON]

    var testDescription: String { name }

    static func all() throws -> [RadioCase] {
        let file = try JSON.file("radio-behaviour.json")
        guard file["version"]?.int == 1, let cases = file["cases"]?.array else { throw Failure("other cases") }
        // The system filters by service before the radio hears of a packet.
        return try cases.map(RadioCase.init).filter { !$0.needs.contains("strangers") }
    }

    private let needs: Set<String>

    init(_ json: JSON) throws {
        guard
            let fields = json.object, let name = json["name"]?.string, let steps = json["steps"]?.array,
            Set(fields.keys).isSubset(of: ["name", "title", "needs", "steps"])
        else { throw Failure("not a case: \(json)") }
        needs = Set((json["needs"]?.array ?? []).compactMap(\.string))
        guard needs.isSubset(of: ["strangers", "services", "permission", "sudden-off"]) else { throw Failure("needs \(needs)") }
        self.name = name
        self.steps = steps
    }
}

private final class CasePlayer {
    private let system = FakeSystem()
    private let events = KeptEvents()
    private let queue = DispatchQueue(label: "radio")
    private let radio: CentralRadio

    init() {
        radio = CentralRadio(central: system, queue: queue)
        system.radio.with { $0 = radio }
    }

    func play(_ step: JSON) throws {
        let kinds = ["command", "peer", "expect"].filter { step[$0] != nil }
        guard kinds.count == 1, let kind = kinds.first, let what = step[kind]?.string, let fields = step.object else {
            throw Failure("not a step")
        }
        guard let known = Self.fields["\(kind) \(what)"], Set(fields.keys).subtracting([kind]).isSubset(of: known) else {
            throw Failure("not known")
        }
        switch kind {
        case "command": try command(what, step)
        case "peer": try system.act(what, step)
        default: try expect(what, step)
        }
        settle()
    }

    func checkEnd() throws {
        settle()
        let left = events.links.with { $0.filter { !$0.value.isEmpty } }
        guard left.isEmpty, events.states.with({ $0.isEmpty }), system.received.with({ $0.values.allSatisfy(\.isEmpty) })
        else { throw Failure("left over: \(left)") }
    }

    private static let fields: [String: Set<String>] = [
        "command state": ["is"], "command start-scan": ["fails"], "command stop-scan": [],
        "command connect": ["peripheral", "fails"], "command write": ["peripheral", "value", "fails"],
        "command disconnect": ["peripheral"],
        "peer advertise": ["peripheral", "service_data", "tx_power", "service"],
        "peer accept": ["peripheral", "mtu", "says"], "peer refuse": ["peripheral"],
        "peer service-missing": ["peripheral"], "peer notify": ["peripheral", "value"], "peer drop": ["peripheral"],
        "peer walk-away": ["peripheral"], "peer come-back": ["peripheral"], "peer adapter-off": [],
        "peer adapter-on": [], "peer permission-taken": [],
        "expect advertisement": ["peripheral", "service_data", "tx_power"], "expect connected": ["peripheral", "mtu"],
        "expect notification": ["peripheral", "value"], "expect disconnected": ["peripheral", "cause"],
        "expect state": ["is"], "expect received": ["peripheral", "value"], "expect no-advertisement": [],
        "expect no-link-event": ["peripheral"],
    ]

    private func command(_ what: String, _ step: JSON) throws {
        let peripheral = step["peripheral"]?.string ?? ""
        var failure: String?
        do {
            switch what {
            case "state":
                guard kebab(radio.state()) == step["is"]?.string else { throw Failure("is \(radio.state())") }
            case "start-scan": try radio.startScan(events: events)
            case "stop-scan": radio.stopScan()
            case "connect": try radio.connect(peripheral: peripheral, events: events)
            case "write": try radio.write(peripheral: peripheral, value: step.bytes("value"))
            default: radio.disconnect(peripheral: peripheral)
            }
        } catch let error as RadioError {
            failure = kebab(error)
        }
        guard failure == step["fails"]?.string else { throw Failure("failed with \(failure ?? "nothing")") }
    }

    private func expect(_ what: String, _ step: JSON) throws {
        let peripheral = step["peripheral"]?.string ?? ""
        switch what {
        case "advertisement":
            try expectAdvertisement(peripheral, step)
        case "no-advertisement":
            events.advertisements.with { $0 = [] }
            system.advertiseAgain()
            settle()
            guard events.advertisements.with({ $0.isEmpty }) else { throw Failure("heard one") }
        case "no-link-event":
            let left = events.links.with { $0[peripheral] ?? [] }
            guard left.isEmpty else { throw Failure("\(left)") }
        case "state":
            try next(events.states.with { $0.isEmpty ? nil : $0.removeFirst() }, "state \(step["is"]?.string ?? "")")
        case "received":
            try next(system.take(peripheral), step["value"]?.string ?? "")
        default:
            let wanted = [what, step["mtu"]?.int.map(String.init), step["value"]?.string, step["cause"]?.string]
            try next(events.take(peripheral), wanted.compactMap { $0 }.joined(separator: " "))
        }
    }

    private func next(_ said: String?, _ wanted: String) throws {
        guard said == wanted else { throw Failure("\(said ?? "nothing") instead of \(wanted)") }
    }

    private func expectAdvertisement(_ peripheral: PeripheralId, _ step: JSON) throws {
        let wanted = step["service_data"]?.string
        let heard = events.advertisements.with { heard -> Advertisement? in
            while let first = heard.firstIndex(where: { $0.peripheral == peripheral }) {
                let packet = heard.remove(at: first)
                if !packet.serviceData.isEmpty || wanted == "" { return packet }
            }
            return nil
        }
        guard let heard else { throw Failure("heard nothing") }
        guard wanted == nil || heard.serviceData.hex == wanted else { throw Failure("\(heard)") }
        guard step["tx_power"] == nil || heard.txPower.map(Int.init) == step["tx_power"]?.int else {
            throw Failure("\(heard)")
        }
    }

    /// What follows from an effect is put on the queue by it: a link comes up in as many turns as it has steps.
    private func settle() {
        for _ in 1...12 { queue.sync {} }
    }
}

/// The system's Bluetooth with its peers.
private final class FakeSystem: Central {
    private struct Peer {
        var packet: Advertisement
        var inRange = true
    }

    private struct Link {
        var mtu: UInt16 = 0
        var hasService = true
        var says: Data?
    }

    let radio = Locked<CentralRadio?>(nil)
    let received = Locked<[PeripheralId: [String]]>([:])
    private let current = Locked(RadioState.on)
    private let scanning = Locked(false)
    private let peers = Locked<[PeripheralId: Peer]>([:])
    private let pending = Locked<Set<PeripheralId>>([])
    private let links = Locked<[PeripheralId: Link]>([:])

    func act(_ what: String, _ step: JSON) throws {
        let peripheral = step["peripheral"]?.string ?? ""
        switch what {
        case "advertise":
            let data = step["service_data"] == .null ? Data() : step["service_data"].map { _ in step.bytes("service_data") }
            let packet = Advertisement(
                peripheral: peripheral, rssi: -50, txPower: step["tx_power"]?.int.map(Int8.init),
                serviceData: data ?? Data(repeating: 7, count: 10))
            peers.with { $0[peripheral] = Peer(packet: packet) }
            if scanning.with({ $0 }) { tell(.heard(packet)) }
        case "accept", "service-missing":
            pending.with { _ = $0.remove(peripheral) }
            let says = step["says"].map { _ in step.bytes("says") }
            let mtu = UInt16(step["mtu"]?.int ?? 23)
            links.with { $0[peripheral] = Link(mtu: mtu, hasService: what == "accept", says: says) }
            tell(.link(peripheral, .connected))
        case "refuse":
            pending.with { _ = $0.remove(peripheral) }
            tell(.link(peripheral, .connectFailed))
        case "notify":
            tell(.link(peripheral, .value(step.bytes("value"))))
        case "drop":
            links.with { $0[peripheral] = nil }
            tell(.link(peripheral, .disconnected))
        case "walk-away":
            peers.with { $0[peripheral]?.inRange = false }
            if links.with({ $0.removeValue(forKey: peripheral) }) != nil { tell(.link(peripheral, .disconnected)) }
        case "come-back":
            peers.with { $0[peripheral]?.inRange = true }
        case "adapter-off": switched(.off)
        case "adapter-on": switched(.on)
        default: switched(.unauthorized)
        }
    }

    func advertiseAgain() {
        for peer in peers.with({ $0.values.filter(\.inRange) }) { tell(.heard(peer.packet)) }
    }

    func take(_ peripheral: PeripheralId) -> String? {
        received.with { $0[peripheral]?.isEmpty == false ? $0[peripheral]?.removeFirst() : nil }
    }

    private func switched(_ new: RadioState) {
        current.with { $0 = new }
        if new != .on {
            scanning.with { $0 = false }
            pending.with { $0 = [] }
            links.with { $0 = [:] }
        }
        tell(.state(new))
    }

    private func tell(_ event: CentralEvent) {
        radio.with { $0 }?.happened(event)
    }

    // MARK: Central

    var state: RadioState { current.with { $0 } }

    func startScan() {
        scanning.with { $0 = true }
        advertiseAgain()
    }

    func stopScan() { scanning.with { $0 = false } }

    func connect(_ peripheral: PeripheralId) -> Bool {
        guard peers.with({ $0[peripheral] != nil }) else { return false }
        pending.with { _ = $0.insert(peripheral) }
        return true
    }

    func discoverService(_ peripheral: PeripheralId) {
        tell(.link(peripheral, .service(found: links.with { $0[peripheral]?.hasService })))
    }

    func discoverCharacteristics(_ peripheral: PeripheralId) {
        tell(.link(peripheral, .characteristics(found: true)))
    }

    func subscribe(_ peripheral: PeripheralId) {
        guard let link = links.with({ $0[peripheral] }) else { return }
        if let says = link.says { tell(.link(peripheral, .value(says))) }
        tell(.link(peripheral, .subscribed(true, mtu: link.mtu)))
    }

    func canWrite(_ peripheral: PeripheralId) -> Bool { links.with { $0[peripheral] != nil } }

    func write(_ value: Data, to peripheral: PeripheralId) {
        received.with { $0[peripheral, default: []].append(value.hex) }
    }

    func cancel(_ peripheral: PeripheralId) {
        pending.with { _ = $0.remove(peripheral) }
        if links.with({ $0.removeValue(forKey: peripheral) }) != nil { tell(.link(peripheral, .disconnected)) }
    }
}

/// Reports in streams: advertisements, each peripheral's link, states.
private final class KeptEvents: RadioEvents, @unchecked Sendable {
    let advertisements = Locked<[Advertisement]>([])
    let links = Locked<[PeripheralId: [String]]>([:])
    let states = Locked<[String]>([])

    init() {
        super.init(noHandle: NoHandle())
    }

    required init(unsafeFromHandle handle: UInt64) {
        fatalError("never made by the core")
    }

    func take(_ peripheral: PeripheralId) -> String? {
        links.with { $0[peripheral]?.isEmpty == false ? $0[peripheral]?.removeFirst() : nil }
    }

    private func keep(_ peripheral: PeripheralId, _ what: String) {
        links.with { $0[peripheral, default: []].append(what) }
    }

    override func advertisement(advertisement: Advertisement) { advertisements.with { $0.append(advertisement) } }
    override func stateChanged(state: RadioState) { states.with { $0.append("state \(kebab(state))") } }
    override func connected(peripheral: PeripheralId, mtu: UInt16) { keep(peripheral, "connected \(mtu)") }

    override func notification(peripheral: PeripheralId, value: Data) {
        keep(peripheral, "notification \(value.hex)")
    }

    override func disconnected(peripheral: PeripheralId, cause: RadioError) {
        keep(peripheral, "disconnected \(kebab(cause))")
    }
}

extension JSON {
    /// The bytes that a field spells in hexadecimal digits.
    fileprivate func bytes(_ field: String) -> Data {
        let digits = Array((self[field]?.string ?? "").utf8)
        let pairs = stride(from: 0, to: digits.count - digits.count % 2, by: 2)
        return Data(pairs.compactMap { UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16) })
    }
}
