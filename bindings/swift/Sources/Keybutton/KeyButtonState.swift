import KeybuttonCore

/// What the Key Button shows.
public enum KeyButtonState: Sendable, Equatable {
    /// The button is not there, for this one reason.
    case hidden(HiddenReason)
    /// The button waits for a press.
    case ready
    /// A press is going on.
    case pressing(Phase)
    /// A press has ended; shown until the next one begins or ``MobileKeys/dismissOutcome()``.
    case ended(PressOutcome)

    /// The button can be pressed.
    public var canPress: Bool {
        switch self {
        case .ready, .ended: true
        case .hidden, .pressing: false
        }
    }
}

/// Keeps the button's state and tells everybody who watches.
final class ButtonBoard: ButtonListener {
    private struct Contents {
        var button: ButtonState
        var press: KeyButtonState?
        var watchers: [Int: AsyncStream<KeyButtonState>.Continuation] = [:]
        var nextWatcher = 0
        var shown: KeyButtonState
    }

    private let contents: Locked<Contents>

    init(_ button: ButtonState) {
        contents = Locked(Contents(button: button, shown: Self.state(button, nil)))
    }

    var state: KeyButtonState {
        contents.with { $0.shown }
    }

    /// A new stream: the present state, then every change until the consumer stops.
    func states() -> AsyncStream<KeyButtonState> {
        AsyncStream { continuation in
            let number = contents.with { contents in
                contents.nextWatcher += 1
                contents.watchers[contents.nextWatcher] = continuation
                continuation.yield(contents.shown)
                return contents.nextWatcher
            }
            continuation.onTermination = { [weak self] _ in
                _ = self?.contents.with { $0.watchers.removeValue(forKey: number) }
            }
        }
    }

    func onButton(state: ButtonState) {
        change { $0.button = state }
    }

    /// Asks for the state while nobody else changes it, so that an older one never follows a newer one. The core tells
    /// of no change while it holds a lock.
    func follow(_ core: CoreKeys) {
        change { $0.button = core.keyButton() }
    }

    func entered(_ phase: Phase) {
        change { $0.press = .pressing(phase) }
    }

    func ended(_ outcome: PressOutcome) {
        change { $0.press = .ended(outcome) }
    }

    func dismissOutcome() {
        change { contents in
            if case .ended = contents.press { contents.press = nil }
        }
    }

    func finish() {
        let watchers = contents.with { contents in
            defer { contents.watchers = [:] }
            return contents.watchers.values.map { $0 }
        }
        watchers.forEach { $0.finish() }
    }

    private func change(_ change: (inout Contents) -> Void) {
        // Told under the lock, so that everybody hears the changes in their order; a stream only stores them.
        contents.with { contents in
            change(&contents)
            let state = Self.state(contents.button, contents.press)
            guard state != contents.shown else { return }
            contents.shown = state
            contents.watchers.values.forEach { $0.yield(state) }
        }
    }

    /// A press that is going on, or its end, is shown to its end even if the button goes away meanwhile.
    private static func state(_ button: ButtonState, _ press: KeyButtonState?) -> KeyButtonState {
        switch (button, press) {
        case (_, .pressing(let phase)): .pressing(phase)
        case (.hidden(let reason), _): .hidden(reason)
        case (.visible, let press): press ?? .ready
        }
    }
}
