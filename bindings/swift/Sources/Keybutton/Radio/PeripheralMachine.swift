import Foundation

/// One link to a lock, from the wish for it to its end, as a pure machine: what happened goes in, what to do comes out.
///
/// It ends in exactly one `.tell(.disconnected)`, whatever Bluetooth does; after that the machine is `over`.
struct PeripheralMachine {
    /// What Bluetooth, or the core, says.
    enum Event: Equatable {
        /// The core wants the link.
        case start
        /// The system does not know the peripheral.
        case unknown
        /// The link is up.
        case connected
        /// The link did not come up.
        case connectFailed
        /// The search for the lock service has ended; `nil` when it failed.
        case service(found: Bool?)
        /// The search for the service's two characteristics has ended; `nil` when it failed.
        case characteristics(found: Bool?)
        /// Notifications are on, or could not be switched on; `mtu` is the ATT MTU.
        case subscribed(Bool, mtu: UInt16)
        /// The lock notified a value.
        case value(Data)
        /// The lock took its service away.
        case serviceGone
        /// The link is gone.
        case disconnected
        /// The core wants no link any more.
        case close
        /// Bluetooth was switched off: links are gone and nothing more is heard of them.
        case radioLost
    }

    /// What to ask Bluetooth for.
    enum Request: Equatable {
        case connect, discoverService, discoverCharacteristics, subscribe, cancel
    }

    /// What to tell the core.
    enum Report: Equatable {
        case connected(mtu: UInt16)
        case notification(Data)
        case disconnected(RadioError)
    }

    enum Action: Equatable {
        case ask(Request)
        case tell(Report)
    }

    private enum State: Equatable {
        case idle, connecting, findingService, findingCharacteristics, subscribing, ready
        /// The link is on its way down, and why.
        case closing(RadioError)
        case over
    }

    private var state = State.idle

    /// What the lock said before its notifications were reported as on.
    private var early: [Data] = []

    /// Values may be written.
    var isReady: Bool { state == .ready }

    /// The end was told.
    var isOver: Bool { state == .over }

    mutating func handle(_ event: Event) -> [Action] {
        switch (state, event) {
        case (.over, _):
            return []
        case (.idle, .start):
            return go(to: .connecting, .connect)
        case (.idle, _):
            return []

        case (_, .radioLost):
            return end(.Unavailable)
        case (.closing(let cause), .disconnected), (.closing(let cause), .connectFailed):
            return end(cause)
        case (.closing, _):
            return []
        case (.connecting, .close):
            // Nothing is promised to be heard of a connect that was given up.
            return [.ask(.cancel)] + end(.Closed)
        case (_, .close):
            return shut(.Closed)

        case (.connecting, .unknown):
            return end(.OutOfRange)
        case (.connecting, .connected):
            return go(to: .findingService, .discoverService)
        case (.findingService, .service(found: true)):
            return go(to: .findingCharacteristics, .discoverCharacteristics)
        case (.findingCharacteristics, .characteristics(found: true)):
            return go(to: .subscribing, .subscribe)
        case (.findingService, .service(found: false)), (.findingCharacteristics, .characteristics(found: false)):
            return shut(.WrongService)
        case (.findingService, .service), (.findingCharacteristics, .characteristics):
            return shut(.ConnectFailed)
        case (.subscribing, .subscribed(true, let mtu)):
            state = .ready
            defer { early = [] }
            return [.tell(.connected(mtu: min(max(mtu, 23), 517)))] + early.map { .tell(.notification($0)) }
        case (.subscribing, .value(let value)):
            early.append(value)
            return []
        case (.subscribing, .subscribed(false, _)):
            return shut(.ConnectFailed)

        case (.ready, .value(let value)):
            return [.tell(.notification(value))]
        case (.ready, .disconnected), (.ready, .connectFailed):
            return end(.LinkLost)
        case (.ready, .serviceGone):
            return shut(.LinkLost)
        case (_, .disconnected), (_, .connectFailed):
            return end(.ConnectFailed)
        case (_, .serviceGone):
            return shut(.ConnectFailed)
        case (_, .start), (_, .unknown), (_, .connected), (_, .service), (_, .characteristics), (_, .subscribed),
            (_, .value):
            // Late or repeated news of a step that is behind us.
            return []
        }
    }

    private mutating func go(to next: State, _ request: Request) -> [Action] {
        state = next
        return [.ask(request)]
    }

    private mutating func shut(_ cause: RadioError) -> [Action] {
        state = .closing(cause)
        return [.ask(.cancel)]
    }

    private mutating func end(_ cause: RadioError) -> [Action] {
        state = .over
        return [.tell(.disconnected(cause))]
    }
}
