import Dispatch
import Foundation

/// The core's radio over any ``Central``: links as machines, writes with flow control, everything in order.
///
/// The core calls from its own threads and must not wait; the central speaks from its queue. Both only change the state
/// under a lock; what follows from a change is done on one serial queue in the order of the changes.
final class CentralRadio: Radio {
    private let central: any Central
    private let queue: DispatchQueue
    private let shared = Locked(State())

    private struct State {
        var scan: (RadioEvents)?
        var links: [PeripheralId: Link] = [:]
        /// Whoever used the radio last hears of its state, also between scans and links. Nobody else keeps the object
        /// that the core handed in, which in turn keeps nothing alive.
        var listener: (RadioEvents)?
    }

    private struct Link {
        var machine = PeripheralMachine()
        let events: RadioEvents
        var waiting: [Data] = []
        /// Before the first value some systems say that there is no room, and never speak of room again.
        var hasWritten = false
    }

    init(central: any Central, queue: DispatchQueue) {
        self.central = central
        self.queue = queue
    }

    // MARK: What the core asks for

    func state() -> RadioState {
        central.state
    }

    func startScan(events: RadioEvents) throws {
        try requireOn()
        change { state in
            state.scan = events
            state.listener = events
            return [{ $0.central.startScan() }]
        }
    }

    func stopScan() {
        change { state in
            guard state.scan != nil else { return [] }
            state.scan = nil
            return [{ $0.central.stopScan() }]
        }
    }

    func connect(peripheral: PeripheralId, events: RadioEvents) throws {
        try requireOn()
        let isFree = change { state in
            guard state.links[peripheral] == nil else { return nil }
            state.listener = events
            state.links[peripheral] = Link(events: events)
            return Self.step(&state, peripheral, .start)
        }
        if !isFree { throw RadioError.Throttled }
    }

    func write(peripheral: PeripheralId, value: Data) throws {
        try requireOn()
        let isUp = change { state in
            guard state.links[peripheral]?.machine.isReady == true else { return nil }
            state.links[peripheral]?.waiting.append(value)
            return []
        }
        if !isUp { throw RadioError.LinkLost }
        queue.async { self.flush(peripheral) }
    }

    func disconnect(peripheral: PeripheralId) {
        // Behind the values that were written before.
        queue.async { self.happened(.link(peripheral, .close)) }
    }

    private func requireOn() throws {
        if central.state != .on { throw RadioError.Unavailable }
    }

    // MARK: What the central tells

    func happened(_ event: CentralEvent) {
        switch event {
        case .state(let new):
            change { state in
                var effects: [Effect] = []
                if new != .on {
                    state.scan = nil
                    for peripheral in state.links.keys.sorted() {
                        effects += Self.step(&state, peripheral, .radioLost)
                    }
                }
                if let listener = state.listener {
                    effects.append { _ in listener.stateChanged(state: new) }
                }
                return effects
            }
        case .heard(let advertisement):
            change { state in
                guard let events = state.scan else { return [] }
                return [{ _ in events.advertisement(advertisement: advertisement) }]
            }
        case .link(let peripheral, let event):
            change { state in
                guard state.links[peripheral] != nil else {
                    // A link that nobody wants any more: one that came up while it was given up.
                    return event == .connected ? [{ $0.central.cancel(peripheral) }] : []
                }
                return Self.step(&state, peripheral, event)
            }
        case .roomToWrite(let peripheral):
            queue.async { self.flush(peripheral) }
        }
    }

    // MARK: How

    /// Something to do once the state has changed.
    private typealias Effect = @Sendable (CentralRadio) -> Void

    /// Changes the state and has done what follows; false when `change` refuses.
    @discardableResult
    private func change(_ change: (inout State) -> [Effect]?) -> Bool {
        shared.with { state in
            guard let effects = change(&state) else { return false }
            // Under the lock, so that the queue has the order of the changes.
            if !effects.isEmpty {
                queue.async { effects.forEach { $0(self) } }
            }
            return true
        }
    }

    private static func step(
        _ state: inout State, _ peripheral: PeripheralId, _ event: PeripheralMachine.Event
    ) -> [Effect] {
        guard var link = state.links.removeValue(forKey: peripheral) else { return [] }
        let events = link.events
        let actions = link.machine.handle(event)
        if !link.machine.isOver { state.links[peripheral] = link }
        return actions.map { action in effect(of: action, peripheral, events) }
    }

    private static func effect(
        of action: PeripheralMachine.Action, _ peripheral: PeripheralId, _ events: RadioEvents
    ) -> Effect {
        switch action {
        case .ask(.connect): { if !$0.central.connect(peripheral) { $0.happened(.link(peripheral, .unknown)) } }
        case .ask(.discoverService): { $0.central.discoverService(peripheral) }
        case .ask(.discoverCharacteristics): { $0.central.discoverCharacteristics(peripheral) }
        case .ask(.subscribe): { $0.central.subscribe(peripheral) }
        case .ask(.cancel): { $0.central.cancel(peripheral) }
        case .tell(.connected(let mtu)): { _ in events.connected(peripheral: peripheral, mtu: mtu) }
        case .tell(.notification(let value)): { _ in events.notification(peripheral: peripheral, value: value) }
        case .tell(.disconnected(let cause)): { _ in events.disconnected(peripheral: peripheral, cause: cause) }
        }
    }

    /// Writes what waits, as far as there is room. Runs on the queue, so that values keep their order.
    private func flush(_ peripheral: PeripheralId) {
        while true {
            let mayTry = shared.with { state in
                guard let link = state.links[peripheral], link.machine.isReady else { return false }
                return !link.waiting.isEmpty && !link.hasWritten
            }
            guard mayTry || central.canWrite(peripheral) else { return }
            let next = shared.with { state -> Data? in
                guard let link = state.links[peripheral], link.machine.isReady, !link.waiting.isEmpty else { return nil }
                state.links[peripheral]?.hasWritten = true
                return state.links[peripheral]?.waiting.removeFirst()
            }
            guard let next else { return }
            central.write(next, to: peripheral)
        }
    }
}
