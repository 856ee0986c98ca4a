import Foundation

extension KeyError {
    /// The stable code.
    public var code: ErrorCode {
        switch self {
        case .Failed(let code): code
        }
    }
}

extension KeyError: LocalizedError {
    /// What happened, for a person; holds no secret and no identifier.
    public var errorDescription: String? { code.message() }

    /// What a person can do about it.
    public var recoverySuggestion: String? { code.remedy() }
}

extension Refusal {
    /// Why nothing moved, for a person.
    public var message: String { code.message() }

    /// What a person can do about it.
    public var remedy: String { code.remedy() }
}

extension Cause {
    /// The row of the error table.
    public var code: ErrorCode {
        switch self {
        case .linkLost, .deadline, .unreadable: .noVerdict
        case .cancelled: .cancelledLate
        }
    }

    /// Why nobody knows whether the door opened, for a person.
    public var message: String { code.message() }

    /// What a person can do about it.
    public var remedy: String { code.remedy() }
}

extension Outcome {
    /// The stable code of the reason or cause; `nil` when the door opened.
    public var code: ErrorCode? {
        switch self {
        case .opened: nil
        case .refused(let refusal): refusal.code
        case .unconfirmed(let cause): cause.code
        }
    }

    /// What happened, for a person; `nil` when the door opened.
    public var message: String? { code?.message() }

    /// What a person can do about it; `nil` when the door opened.
    public var remedy: String? { code?.remedy() }

    /// Pressing again is safe: yes, never, or only as a repeat of this press.
    public var retry: Retry { code?.retry() ?? .yes }
}
