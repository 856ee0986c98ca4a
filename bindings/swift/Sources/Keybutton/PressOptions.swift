import Foundation
import KeybuttonCore

extension PressOptions {
    /// 10 s, from the begin of a press to its end.
    public static let defaultDeadline: TimeInterval = 10

    /// What a member wants who presses the button: open the door, or the nearest one for `nil`.
    public init(door: DoorId? = nil, deadline: TimeInterval = PressOptions.defaultDeadline) {
        self.init(door: door, intent: .unlock, deadline: deadline, userAuthenticated: true)
    }
}
