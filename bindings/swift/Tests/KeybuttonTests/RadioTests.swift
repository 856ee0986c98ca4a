import Foundation
import KeybuttonStage
import Testing
@testable import Keybutton

/// The radio's own logic on a Bluetooth central that the tests play.
@Suite
struct RadioTests {
    private let central = FakeCentral()
    private let events = HeardEvents()
    private let queue = DispatchQueue(label: "radio")
    private let radio: CentralRadio

    init() {
        radio = CentralRadio(central: central, queue: queue)
    }

    @Test func aLinkComesUpStepByStep() throws {
        try radio.connect(peripheral: "a", events: events)
        #expect(settled() == ["connect a"])
        #expect(tell(.connected) == ["discover service a"])
        #expect(tell(.service(found: true)) == ["discover characteristics a"])
        #expect(tell(.characteristics(found: true)) == ["subscribe a"])
        #expect(events.taken().isEmpty)
        #expect(tell(.subscribed(true, mtu: 185)).isEmpty)
        #expect(events.taken() == ["connected a 185"])
        _ = tell(.value(Data([1, 2])))
        #expect(events.taken() == ["notification a 0102"])
        _ = tell(.disconnected)
        #expect(events.taken() == ["disconnected a LinkLost"])
    }

    @Test(arguments: [0, 1, 2, 3])
    func aLinkThatGoesInBetweenFailedToConnect(steps: Int) throws {
        try bringUp(steps)
        _ = tell(.disconnected)
        #expect(events.taken() == ["disconnected a ConnectFailed"])
        try radio.connect(peripheral: "a", events: events)
        #expect(settled().contains("connect a"), "the peripheral is free again")
    }

    @Test(arguments: [1, 2, 3, 4])
    func aLinkCanBeGivenUpAtEveryStep(steps: Int) throws {
        try bringUp(steps)
        _ = events.taken()
        radio.disconnect(peripheral: "a")
        #expect(settled() == ["cancel a"])
        #expect(events.taken().isEmpty, "the link is not gone yet")
        #expect(throws: RadioError.Throttled) { try radio.connect(peripheral: "a", events: events) }
        _ = tell(.service(found: true))
        _ = tell(.disconnected)
        #expect(events.taken() == ["disconnected a Closed"])
    }

    @Test func aConnectCanBeGivenUpBeforeAnythingIsHeardOfIt() throws {
        try bringUp(0)
        radio.disconnect(peripheral: "a")
        #expect(settled() == ["cancel a"])
        #expect(events.taken() == ["disconnected a Closed"])
        // It came up all the same: nobody wants it.
        #expect(tell(.connected) == ["cancel a"])
        #expect(tell(.disconnected).isEmpty)
        #expect(events.taken().isEmpty)
    }

    @Test func aStrangerIsToldByItsServices() throws {
        try bringUp(1)
        #expect(tell(.service(found: false)) == ["cancel a"])
        _ = tell(.disconnected)
        #expect(events.taken() == ["disconnected a WrongService"])

        try bringUp(2)
        #expect(tell(.characteristics(found: false)) == ["cancel a"])
        _ = tell(.disconnected)
        #expect(events.taken() == ["disconnected a WrongService"])
    }

    @Test func aFailedSearchIsNotAStranger() throws {
        try bringUp(1)
        _ = tell(.service(found: nil))
        _ = tell(.disconnected)
        #expect(events.taken() == ["disconnected a ConnectFailed"])
        try bringUp(3)
        _ = tell(.subscribed(false, mtu: 23))
        _ = tell(.disconnected)
        #expect(events.taken() == ["disconnected a ConnectFailed"])
    }

    @Test func anUnknownPeripheralIsOutOfRange() throws {
        central.knows.with { $0 = false }
        try radio.connect(peripheral: "a", events: events)
        _ = settled()
        #expect(events.taken() == ["disconnected a OutOfRange"])
    }

    @Test func aServiceThatIsTakenAwayEndsTheLink() throws {
        try bringUp(4)
        _ = events.taken()
        #expect(tell(.serviceGone) == ["cancel a"])
        _ = tell(.disconnected)
        #expect(events.taken() == ["disconnected a LinkLost"])
    }

    @Test func valuesKeepTheirOrderAndWaitForRoom() throws {
        try bringUp(4)
        central.room.with { $0 = 0 }
        for value in 1...4 { try radio.write(peripheral: "a", value: Data([UInt8(value)])) }
        #expect(settled() == ["write a 01"], "the first value is tried, whatever the system says of room")
        central.room.with { $0 = 2 }
        radio.happened(.roomToWrite("a"))
        #expect(settled() == ["write a 02", "write a 03"])
        central.room.with { $0 = 5 }
        radio.happened(.roomToWrite("a"))
        #expect(settled() == ["write a 04"])
        radio.happened(.roomToWrite("a"))
        #expect(settled().isEmpty)
    }

    @Test func nothingIsWrittenWithoutALink() throws {
        #expect(throws: RadioError.LinkLost) { try radio.write(peripheral: "a", value: Data([1])) }
        try bringUp(3)
        #expect(throws: RadioError.LinkLost) { try radio.write(peripheral: "a", value: Data([1])) }
        _ = tell(.subscribed(true, mtu: 23))
        central.room.with { $0 = 0 }
        try radio.write(peripheral: "a", value: Data([1]))
        try radio.write(peripheral: "a", value: Data([2]))
        _ = settled()
        _ = tell(.disconnected)
        radio.happened(.roomToWrite("a"))
        #expect(settled().isEmpty, "what waited went with the link")
        #expect(throws: RadioError.LinkLost) { try radio.write(peripheral: "a", value: Data([1])) }
    }

    @Test func valuesGoBeforeTheEnd() throws {
        try bringUp(4)
        try radio.write(peripheral: "a", value: Data([7]))
        radio.disconnect(peripheral: "a")
        #expect(settled() == ["write a 07", "cancel a"])
    }

    @Test func aSwitchedOffRadioEndsEverythingAndSaysSo() throws {
        try radio.startScan(events: events)
        try bringUp(4)
        try radio.connect(peripheral: "b", events: events)
        _ = settled()
        _ = events.taken()
        central.now.with { $0 = .off }
        radio.happened(.state(.off))
        _ = settled()
        #expect(events.taken() == ["disconnected a Unavailable", "disconnected b Unavailable", "state off"])
        #expect(throws: RadioError.Unavailable) { try radio.startScan(events: events) }
        #expect(throws: RadioError.Unavailable) { try radio.connect(peripheral: "a", events: events) }
        radio.stopScan()
        #expect(settled().isEmpty, "the scan went with the radio")
        central.now.with { $0 = .on }
        radio.happened(.state(.on))
        _ = settled()
        #expect(events.taken() == ["state on"])
        try radio.startScan(events: events)
        #expect(settled() == ["scan"])
    }

    @Test func onlyAScanHears() throws {
        let advertisement = Advertisement(peripheral: "a", rssi: -60, txPower: nil, serviceData: Data([1]))
        radio.happened(.heard(advertisement))
        try radio.startScan(events: events)
        radio.happened(.heard(advertisement))
        radio.stopScan()
        radio.stopScan()
        radio.happened(.heard(advertisement))
        #expect(settled() == ["scan", "stop scan"])
        #expect(events.taken() == ["heard a"])
    }

    @Test func theMtuIsWithinWhatBluetoothAllows() throws {
        for (said, told) in [(UInt16(0), 23), (23, 23), (517, 517), (600, 517)] {
            try bringUp(3)
            _ = tell(.subscribed(true, mtu: said))
            #expect(events.taken() == ["connected a \(told)"])
            _ = tell(.disconnected)
            _ = events.taken()
        }
    }

    @Test func everyOrderOfEventsEndsOnce() {
        // Every sequence of four events after the start, then a certain end: told exactly once.
        let all: [PeripheralMachine.Event] = [
            .start, .unknown, .connected, .connectFailed, .service(found: true), .service(found: false),
            .characteristics(found: true), .subscribed(true, mtu: 23), .value(Data()), .serviceGone, .disconnected,
            .close, .radioLost,
        ]
        var sequences: [[PeripheralMachine.Event]] = [[]]
        for _ in 1...4 { sequences = sequences.flatMap { begun in all.map { begun + [$0] } } }
        let wrong = sequences.filter { sequence in
            var machine = PeripheralMachine()
            let actions = ([.start] + sequence + [.radioLost, .disconnected]).flatMap { machine.handle($0) }
            let ends = actions.filter { if case .tell(.disconnected) = $0 { true } else { false } }
            return ends.count != 1 || actions.last != ends.first
        }
        #expect(wrong.isEmpty)
    }

    private func bringUp(_ steps: Int) throws {
        try radio.connect(peripheral: "a", events: events)
        let all: [PeripheralMachine.Event] = [
            .connected, .service(found: true), .characteristics(found: true), .subscribed(true, mtu: 185),
        ]
        all[..<steps].forEach { radio.happened(.link("a", $0)) }
        _ = settled()
    }

    private func tell(_ event: PeripheralMachine.Event) -> [String] {
        radio.happened(.link("a", event))
        return settled()
    }

    /// What was asked of Bluetooth since the last look.
    private func settled() -> [String] {
        // What follows from an effect is put on the queue by it.
        for _ in 1...3 { queue.sync {} }
        return central.taken()
    }
}

/// A central that writes down what it is asked for.
private final class FakeCentral: Central {
    let now = Locked(RadioState.on)
    let knows = Locked(true)
    let room = Locked(Int.max)
    private let asked = Locked<[String]>([])

    var state: RadioState { now.with { $0 } }

    func taken() -> [String] {
        asked.with { asked in
            defer { asked = [] }
            return asked
        }
    }

    private func ask(_ what: String) { asked.with { $0.append(what) } }

    func startScan() { ask("scan") }
    func stopScan() { ask("stop scan") }
    func discoverService(_ peripheral: PeripheralId) { ask("discover service \(peripheral)") }
    func discoverCharacteristics(_ peripheral: PeripheralId) { ask("discover characteristics \(peripheral)") }
    func subscribe(_ peripheral: PeripheralId) { ask("subscribe \(peripheral)") }
    func cancel(_ peripheral: PeripheralId) { ask("cancel \(peripheral)") }
    func canWrite(_ peripheral: PeripheralId) -> Bool { room.with { $0 } > 0 }

    func connect(_ peripheral: PeripheralId) -> Bool {
        guard knows.with({ $0 }) else { return false }
        ask("connect \(peripheral)")
        return true
    }

    func write(_ value: Data, to peripheral: PeripheralId) {
        room.with { if $0 > 0 { $0 -= 1 } }
        ask("write \(peripheral) \(value.hex)")
    }
}

/// Events as lines.
private final class HeardEvents: RadioEvents, @unchecked Sendable {
    private let heard = Locked<[String]>([])

    init() {
        super.init(noHandle: NoHandle())
    }

    required init(unsafeFromHandle handle: UInt64) {
        fatalError("never made by the core")
    }

    func taken() -> [String] {
        heard.with { heard in
            defer { heard = [] }
            return heard
        }
    }

    private func hear(_ what: String) { heard.with { $0.append(what) } }

    override func advertisement(advertisement: Advertisement) { hear("heard \(advertisement.peripheral)") }
    override func connected(peripheral: PeripheralId, mtu: UInt16) { hear("connected \(peripheral) \(mtu)") }
    override func notification(peripheral: PeripheralId, value: Data) { hear("notification \(peripheral) \(value.hex)") }
    override func disconnected(peripheral: PeripheralId, cause: RadioError) { hear("disconnected \(peripheral) \(cause)") }
    override func stateChanged(state: RadioState) { hear("state \(state)") }
}

extension Data {
    /// Lower-case hex digits.
    var hex: String { map { String(format: "%02x", $0) }.joined() }
}
