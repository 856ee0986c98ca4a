//! What went wrong, for the person at the terminal: a stable code, what happened, what to do.

use std::{fmt, path::Path};

use keybutton::{
    client::StartError,
    error::{ErrorCode, KeyError},
    radio::air::AirError,
};
use keybutton_protocol::api::Problem;

/// A failure of the harness. Holds no secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The stable code.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What a person can do about it.
    pub remedy: String,
}

impl Failure {
    /// Describes a failure.
    pub fn new(code: &str, message: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { code: code.to_owned(), message: message.to_string(), remedy: remedy.to_string() }
    }

    /// A file or folder can't be used.
    pub fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::new(
            "file-failed",
            format_args!("{}: {error}", path.display()),
            "Check free space and permissions, or choose another directory with --state.",
        )
    }

    /// A file's content makes no sense.
    pub fn damaged(path: &Path, why: impl fmt::Display) -> Self {
        Self::new(
            "file-damaged",
            format_args!("{} is damaged: {why}", path.display()),
            "Restore it from a backup, or remove it and set this part up again.",
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Failure {}

impl From<AirError> for Failure {
    fn from(error: AirError) -> Self {
        let remedy = match error {
            AirError::Unreachable(_) => "Start `keybutton serve` or `keybutton air`, or give its address with --air.",
            AirError::Refused(_) => "Choose another name, or stop the other process that uses it.",
            AirError::UnknownParticipant(_) | AirError::UnexpectedAnswer => {
                "See who is there with `keybutton air list`."
            }
        };
        Self::new("air-failed", error, remedy)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let message = problem.detail.unwrap_or(problem.title);
        Self { code: problem.code, message, remedy: problem.remedy }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        let entry = code.entry();
        Self::new(entry.name, entry.message, entry.remedy)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        error.code().into()
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self { message: error.to_string(), ..KeyError::from(&error).into() }
    }
}
