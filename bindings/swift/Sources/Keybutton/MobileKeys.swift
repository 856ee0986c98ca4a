@_exported import KeybuttonCore

/// The mobile keys of one member in one Branded App.
///
/// Make one at the start of the app; whoever was signed in still is. All of it may be used from any task or thread.
public final class MobileKeys: Sendable {
    private let core: CoreKeys
    private let board: ButtonBoard
    private let watch: ButtonWatch
    private let latest = Locked<UnlockId?>(nil)

    /// Opens the vault and is ready. Talks to nobody yet.
    ///
    /// - Throws: a ``StartError`` that names the file and the remedy when the vault is damaged: nothing of it is touched.
    public init(_ config: Config, _ platform: Platform) throws {
        core = try CoreKeys(config: config, platform: platform)
        board = ButtonBoard(core.keyButton())
        watch = try core.watchButton(listener: board)
    }

    deinit {
        watch.stop()
        board.finish()
    }

    // MARK: The member

    /// Signs a member in with the Branded App's own session token, or hands over a renewed token.
    ///
    /// Enrols the device at the first contact and downloads keys; the result tells whether the Key Button is there.
    /// Without a connection the member stays signed in, and the next press or ``refresh()`` makes up for it.
    @discardableResult
    public func signIn(_ sessionToken: String) async throws -> ButtonState {
        defer { follow() }
        return try await answer(to: ButtonReply.self) { try core.signIn(sessionToken: sessionToken, answer: $0) }
    }

    /// Signs out: ends a press that is going on, wipes vault, device key and caches, and has the service forget this
    /// device if it can be reached.
    ///
    /// - Throws: `vault-unavailable` when not everything could be wiped. The member is signed out all the same.
    public func signOut() throws {
        defer {
            board.dismissOutcome()
            follow()
        }
        try core.signOut()
    }

    /// Asks the service what is new. Call it when the app comes to the front, or when a push hint arrives.
    @discardableResult
    public func refresh() async throws -> ButtonState {
        defer { follow() }
        return try await answer(to: ButtonReply.self) { try core.refresh(answer: $0) }
    }

    // MARK: The Key Button

    /// What the Key Button shows now.
    public var state: KeyButtonState {
        board.state
    }

    /// What the Key Button shows, as a stream of its own for each caller: the present state, then every change.
    public var states: AsyncStream<KeyButtonState> {
        board.states()
    }

    /// Takes the outcome of the last press from the button, which is ready for the next.
    public func dismissOutcome() {
        board.dismissOutcome()
    }

    // MARK: Opening doors

    /// Opens a door and returns how the press ended: what the lock itself said, or that it said nothing.
    ///
    /// Every press ends, by its deadline at the latest. Cancelling the task gives the press up, and its outcome is
    /// returned all the same: a press that was given up after the lock was asked may have opened the door.
    ///
    /// - Parameters:
    ///   - options: which door, by when.
    ///   - onPhase: hears each phase as it begins, on a thread of the core's.
    ///   - choose: asked when two doors are too close to call, best first; `nil` gives the press up. Without it such a
    ///     press ends with `door-not-chosen` at its deadline.
    /// - Throws: a ``KeyError`` when the press can't begin: `not-signed-in`, `press-in-progress`. `CancellationError`
    ///   when the task was cancelled before it began.
    public func press(
        _ options: PressOptions = PressOptions(),
        onPhase: (@Sendable (Phase) -> Void)? = nil,
        choose: (@Sendable ([Candidate]) async -> DoorId?)? = nil
    ) async throws -> PressOutcome {
        defer { follow() }
        let relay = PressRelay(board: board, choose: choose, onPhase: onPhase)
        return try await relay.run { began(try core.press(options: options, listener: relay)) }
    }

    /// Repeats an unconfirmed press under its own id: the lock answers with the same verdict and moves nothing a second
    /// time. May begin for 45 s from the begin of the press.
    ///
    /// - Throws: as ``press(_:onPhase:choose:)``; `invalid-request` for a press that is not unconfirmed, or too old.
    public func retry(
        _ press: UnlockId,
        onPhase: (@Sendable (Phase) -> Void)? = nil
    ) async throws -> PressOutcome {
        defer { follow() }
        let relay = PressRelay(board: board, choose: nil, onPhase: onPhase)
        return try await relay.run { began(try core.retry(press: press, listener: relay)) }
    }

    /// The press that began last since the app was started, whether it has ended or not.
    public var lastPress: UnlockId? {
        latest.with { $0 }
    }

    /// The doors the member may see, as the service said last.
    public var doors: [DoorRights] {
        core.doors()
    }

    /// The doors in range, nearest first, whenever they change. The scan stops when the caller stops listening, and the
    /// stream ends when the member signs out.
    ///
    /// - Parameter onBlocked: hears why the scan does not run; it goes on by itself when Bluetooth is back.
    public func nearby(onBlocked: (@Sendable (KeyError) -> Void)? = nil) throws -> AsyncStream<[Candidate]> {
        let (doors, continuation) = AsyncStream<[Candidate]>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let scan = try core.nearby(listener: NearbyRelay(continuation, onBlocked: onBlocked))
        continuation.onTermination = { _ in scan.stop() }
        return doors
    }

    private func began(_ press: Press) -> Press {
        latest.with { $0 = press.id() }
        return press
    }

    /// Shows the button as it is when a call returns; the core tells of it as well, a moment later.
    private func follow() {
        board.follow(core)
    }

    // MARK: Devices and help

    /// The member's devices.
    public func devices() async throws -> [Device] {
        try await answer(to: DevicesReply.self) { try core.devices(answer: $0) }
    }

    /// Has the service forget a device and its keys.
    public func revokeDevice(_ device: DeviceId) async throws {
        try await answer(to: DoneReply.self) { try core.revokeDevice(device: device, answer: $0) }
    }

    /// Checks what stands between the member and an open door.
    public func doctor() async throws -> [Check] {
        try await answer(to: ChecksReply.self) { try core.doctor(answer: $0) }
    }

    /// A support file: what happened lately, without names, identifiers or secrets.
    public func supportReport() -> String {
        core.supportReport()
    }
}

private final class ButtonReply: Answer<ButtonState>, ButtonAnswer, @unchecked Sendable {}

private final class DevicesReply: Answer<[Device]>, DevicesAnswer, @unchecked Sendable {}

private final class ChecksReply: Answer<[Check]>, ChecksAnswer, @unchecked Sendable {}

private final class DoneReply: Answer<Void>, DoneAnswer, @unchecked Sendable {
    func succeed() {
        succeed(value: ())
    }
}

/// Hands the core's list of doors to a stream, which ends when the core lets go.
private final class NearbyRelay: NearbyListener {
    private let doors: AsyncStream<[Candidate]>.Continuation
    private let blocked: (@Sendable (KeyError) -> Void)?

    init(_ doors: AsyncStream<[Candidate]>.Continuation, onBlocked: (@Sendable (KeyError) -> Void)?) {
        self.doors = doors
        blocked = onBlocked
    }

    deinit {
        doors.finish()
    }

    func onDoors(doors candidates: [Candidate]) {
        doors.yield(candidates)
    }

    func onBlocked(error: KeyError) {
        blocked?(error)
    }
}
