import Observation

/// The Key Button for a screen: its state, kept up to date on the main actor, and what the member does with it.
@MainActor
@Observable
public final class KeyButtonModel {
    /// What the button shows now.
    public private(set) var state: KeyButtonState

    /// The doors to choose from; `nil` unless the running press asks.
    public private(set) var choices: [Candidate]?

    /// Why the last press could not begin; `nil` once one has.
    public private(set) var failure: KeyError?

    @ObservationIgnored private let keys: MobileKeys
    @ObservationIgnored private var pressing: Task<PressOutcome?, Never>?
    @ObservationIgnored private var chosen: CheckedContinuation<DoorId?, Never>?
    @ObservationIgnored private nonisolated(unsafe) var watching: Task<Void, Never>?

    /// Watches the button of `keys` for as long as the model lives.
    public init(_ keys: MobileKeys) {
        self.keys = keys
        state = keys.state
        let states = keys.states
        watching = Task { [weak self] in
            for await state in states {
                guard let self else { return }
                self.state = state
            }
        }
    }

    deinit {
        watching?.cancel()
    }

    /// Presses the button; a second press while one is going on does nothing. Waits for the outcome, which
    /// ``state`` shows as well.
    @discardableResult
    public func press(_ options: PressOptions = PressOptions()) async -> PressOutcome? {
        await run { keys, model in
            try await keys.press(options, choose: { candidates in await model.choose(from: candidates) })
        }
    }

    /// Asks the lock of an unconfirmed press once more; nothing moves twice.
    @discardableResult
    public func retry(_ press: UnlockId) async -> PressOutcome? {
        await run { keys, _ in try await keys.retry(press) }
    }

    /// Answers ``choices``; `nil` gives the press up.
    public func choose(_ door: DoorId?) {
        choices = nil
        chosen?.resume(returning: door)
        chosen = nil
    }

    /// Gives the running press up. Its outcome still comes.
    public func cancel() {
        pressing?.cancel()
        choose(nil)
    }

    /// Takes the outcome from the button.
    public func dismissOutcome() {
        keys.dismissOutcome()
    }

    private func run(
        _ press: @escaping @Sendable (MobileKeys, KeyButtonModel) async throws -> PressOutcome
    ) async -> PressOutcome? {
        guard pressing == nil else { return nil }
        failure = nil
        let task = Task { [keys] () -> PressOutcome? in
            do {
                return try await press(keys, self)
            } catch {
                failure = error as? KeyError
                return nil
            }
        }
        pressing = task
        let outcome = await withTaskCancellationHandler { await task.value } onCancel: { task.cancel() }
        pressing = nil
        choose(nil)
        return outcome
    }

    private func choose(from candidates: [Candidate]) async -> DoorId? {
        choose(nil)
        return await withCheckedContinuation { continuation in
            chosen = continuation
            choices = candidates
        }
    }
}
