//! What the platforms' errors mean.

use ::btleplug::Error;

use super::OpenError;
use crate::radio::{RadioError, RadioState};

/// What an error says of the radio itself, if anything.
pub(super) fn state(error: &Error) -> Option<RadioState> {
    match error {
        Error::PermissionDenied => Some(RadioState::Unauthorized),
        Error::NoAdapterAvailable => Some(RadioState::Absent),
        Error::DeviceNotFound
        | Error::NotConnected
        | Error::UnexpectedCallback
        | Error::UnexpectedCharacteristic
        | Error::NoSuchCharacteristic
        | Error::NotSupported(_)
        | Error::TimedOut(_)
        | Error::Uuid(_)
        | Error::InvalidBDAddr(_) => None,
        Error::RuntimeError(_) | Error::Other(_) => [
            // Names of D-Bus errors, and Windows' code for a refused access.
            ("org.freedesktop.DBus.Error.AccessDenied", RadioState::Unauthorized),
            ("org.freedesktop.DBus.Error.AuthFailed", RadioState::Unauthorized),
            ("org.bluez.Error.NotAuthorized", RadioState::Unauthorized),
            ("0x80070005", RadioState::Unauthorized),
            ("org.bluez.Error.NotReady", RadioState::Off),
            ("org.freedesktop.DBus.Error.ServiceUnknown", RadioState::Absent),
            ("org.freedesktop.DBus.Error.NameHasNoOwner", RadioState::Absent),
            ("org.freedesktop.DBus.Error.Disconnected", RadioState::Absent),
        ]
        .into_iter()
        .find_map(|(name, state)| detail(error).contains(name).then_some(state)),
    }
}

/// Why a step towards a link failed.
pub(super) fn step(error: &Error) -> RadioError {
    if state(error).is_some() {
        return RadioError::Unavailable;
    }
    match error {
        // A peripheral that left is not refused, it just does not answer.
        Error::DeviceNotFound | Error::TimedOut(_) => RadioError::OutOfRange,
        _ if detail(error).contains("org.freedesktop.DBus.Error.UnknownObject") => RadioError::OutOfRange,
        _ => RadioError::ConnectFailed,
    }
}

/// Why Bluetooth can't be opened.
pub(super) fn open_error(error: &Error) -> OpenError {
    match state(error) {
        Some(RadioState::Unauthorized) => OpenError::Forbidden(error.to_string()),
        Some(RadioState::Absent) if matches!(error, Error::NoAdapterAvailable) => OpenError::NoAdapter,
        Some(RadioState::Absent | RadioState::Off | RadioState::On) | None => OpenError::NoService(error.to_string()),
    }
}

/// Displaying a D-Bus error leaves its name out.
fn detail(error: &Error) -> String {
    format!("{error:?}")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bus(name: &str) -> Error {
        Error::Other(Box::new(dbus::Error::new_custom(name, "said so")))
    }

    #[test]
    fn off_absent_and_forbidden_are_told_apart() {
        assert_eq!(state(&bus("org.bluez.Error.NotReady")), Some(RadioState::Off));
        assert_eq!(state(&bus("org.freedesktop.DBus.Error.ServiceUnknown")), Some(RadioState::Absent));
        assert_eq!(state(&bus("org.freedesktop.DBus.Error.AccessDenied")), Some(RadioState::Unauthorized));
        assert_eq!(state(&Error::PermissionDenied), Some(RadioState::Unauthorized));
        assert_eq!(state(&bus("org.bluez.Error.Failed")), None);
    }

    #[test]
    fn a_step_that_fails_says_why() {
        assert_eq!(step(&bus("org.bluez.Error.Failed")), RadioError::ConnectFailed);
        assert_eq!(step(&bus("org.freedesktop.DBus.Error.UnknownObject")), RadioError::OutOfRange);
        assert_eq!(step(&bus("org.bluez.Error.NotReady")), RadioError::Unavailable);
        assert_eq!(step(&Error::TimedOut(Duration::from_secs(1))), RadioError::OutOfRange);
    }

    #[test]
    fn opening_names_the_remedy() {
        let gone = open_error(&bus("org.freedesktop.DBus.Error.FileNotFound"));
        assert!(matches!(&gone, OpenError::NoService(_)) && gone.to_string().contains("systemctl start bluetooth"));
        assert!(matches!(open_error(&Error::PermissionDenied), OpenError::Forbidden(_)));
        assert_eq!(open_error(&Error::NoAdapterAvailable), OpenError::NoAdapter);
    }
}
