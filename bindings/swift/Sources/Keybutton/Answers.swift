import KeybuttonCore

/// Takes one answer of the core and resumes one waiting task.
///
/// Should the core let go of an answer without a word, the task is resumed with `internal`: nothing waits for ever.
class Answer<Value: Sendable>: @unchecked Sendable {
    private let waiting: Locked<CheckedContinuation<Value, any Error>?>

    required init(_ continuation: CheckedContinuation<Value, any Error>) {
        waiting = Locked(continuation)
    }

    deinit {
        resume(.failure(KeyError.Failed(code: .internal)))
    }

    func succeed(value: Value) {
        resume(.success(value))
    }

    func fail(error: KeyError) {
        resume(.failure(error))
    }

    fileprivate func resume(_ result: Result<Value, any Error>) {
        let continuation = waiting.with { waiting in
            defer { waiting = nil }
            return waiting
        }
        continuation?.resume(with: result)
    }
}

/// Calls the core and waits for its answer.
func answer<Value: Sendable, Taker: Answer<Value>>(
    to taker: Taker.Type, _ call: (Taker) throws -> Void
) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        let taker = Taker(continuation)
        do {
            try call(taker)
        } catch {
            taker.resume(.failure(error))
        }
    }
}
