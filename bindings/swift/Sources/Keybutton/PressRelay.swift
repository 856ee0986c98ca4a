/// Between one press of the core and the task that waits for it.
final class PressRelay: PressListener {
    private struct Contents {
        var press: Press?
        /// What was asked for before the press was known.
        var orders: [@Sendable (Press) -> Void] = []
        var waiting: CheckedContinuation<PressOutcome, Never>?
        var outcome: PressOutcome?
        var choosing: Task<Void, Never>?
    }

    private let board: ButtonBoard
    private let choose: (@Sendable ([Candidate]) async -> DoorId?)?
    private let phaseHandler: (@Sendable (Phase) -> Void)?
    private let contents = Locked(Contents())

    init(
        board: ButtonBoard,
        choose: (@Sendable ([Candidate]) async -> DoorId?)?,
        onPhase: (@Sendable (Phase) -> Void)?
    ) {
        self.board = board
        self.choose = choose
        phaseHandler = onPhase
    }

    /// Begins the press and waits for its outcome. Cancelling the task gives the press up, and still waits.
    func run(_ begin: () throws -> Press) async throws -> PressOutcome {
        try Task.checkCancellation()
        let press = try begin()
        let orders = contents.with { contents in
            if contents.outcome == nil { contents.press = press }
            defer { contents.orders = [] }
            return contents.orders
        }
        orders.forEach { $0(press) }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let outcome = contents.with { contents in
                    if contents.outcome == nil { contents.waiting = continuation }
                    return contents.outcome
                }
                if let outcome { continuation.resume(returning: outcome) }
            }
        } onCancel: {
            order { $0.cancel() }
        }
    }

    func onPhase(phase: Phase) {
        board.entered(phase)
        phaseHandler?(phase)
        guard case .choose(let candidates) = phase, let choose else { return }
        let choosing = Task { [weak self] in
            let door = await choose(candidates)
            // A newer question, or the end of the press, has overtaken this one.
            guard !Task.isCancelled else { return }
            self?.order { press in
                if let door { press.choose(door: door) } else { press.cancel() }
            }
        }
        let overtaken = contents.with { contents in
            defer { contents.choosing = choosing }
            return contents.choosing
        }
        overtaken?.cancel()
    }

    func onOutcome(outcome: PressOutcome) {
        board.ended(outcome)
        let (waiting, choosing) = contents.with { contents in
            contents.outcome = outcome
            contents.press = nil
            contents.orders = []
            defer { contents.waiting = nil; contents.choosing = nil }
            return (contents.waiting, contents.choosing)
        }
        choosing?.cancel()
        waiting?.resume(returning: outcome)
    }

    private func order(_ order: @escaping @Sendable (Press) -> Void) {
        let press = contents.with { contents -> Press? in
            if contents.press == nil && contents.outcome == nil { contents.orders.append(order) }
            return contents.press
        }
        if let press { order(press) }
    }
}
