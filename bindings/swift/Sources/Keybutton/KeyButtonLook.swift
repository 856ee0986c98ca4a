/// How a state of the Key Button looks and reads, for any view that draws one.
public struct KeyButtonLook: Sendable, Equatable {
    /// The colour of the lock's own light.
    public enum Light: Sendable, Equatable {
        /// Dark: waiting for a press.
        case off
        /// Working, or nobody knows.
        case amber
        /// Opened.
        case green
        /// Refused.
        case red
    }

    /// The light.
    public let light: Light
    /// An SF Symbol. Shapes differ as well as colours, so that nobody needs to tell red from green.
    public let symbol: String
    /// One short line.
    public let title: String
    /// What the member can do; `nil` when there is nothing to do.
    public let hint: String?
    /// A press is going on.
    public let isBusy: Bool

    /// What an assistive technology reads out.
    public var accessibilityLabel: String {
        [title, hint].compactMap { $0 }.joined(separator: ". ")
    }

    /// The look of `state`; `nil` when the button is not there.
    public init?(_ state: KeyButtonState) {
        switch state {
        case .hidden:
            return nil
        case .ready:
            self.init(.off, "lock.fill", "Open the door", nil)
        case .pressing(let phase):
            self.init(.amber, Self.symbol(of: phase), Self.title(of: phase), nil, isBusy: true)
        case .ended(let ended):
            switch ended.outcome {
            case .opened:
                self.init(.green, "lock.open.fill", "Open", nil)
            case .refused(let refusal):
                self.init(.red, "xmark.octagon.fill", refusal.message, refusal.remedy)
            case .unconfirmed(let cause):
                self.init(.amber, "questionmark.circle.fill", cause.message, cause.remedy)
            }
        }
    }

    private init(_ light: Light, _ symbol: String, _ title: String, _ hint: String?, isBusy: Bool = false) {
        self.light = light
        self.symbol = symbol
        self.title = title
        self.hint = hint
        self.isBusy = isBusy
    }

    private static func symbol(of phase: Phase) -> String {
        switch phase {
        case .checkingAccess, .downloadingKey: "key.fill"
        case .searching: "dot.radiowaves.left.and.right"
        case .choose: "list.bullet"
        case .holdToLock: "iphone.radiowaves.left.and.right"
        case .connecting, .proving, .opening: "lock.fill"
        }
    }

    private static func title(of phase: Phase) -> String {
        switch phase {
        case .checkingAccess: "Checking access"
        case .downloadingKey: "Getting the key"
        case .searching: "Looking for the door"
        case .choose: "Which door?"
        case .holdToLock: "Hold the phone to the lock"
        case .connecting: "Connecting"
        case .proving, .opening: "Opening"
        }
    }
}
