use keybutton_protocol::{
    api::{AccessRefusal, HiddenReason},
    verdict::Reason,
};

use super::{ErrorCode, KeyError, Retry};
use crate::radio::{RadioError, RadioState};

impl From<HiddenReason> for ErrorCode {
    fn from(reason: HiddenReason) -> Self {
        match reason {
            HiddenReason::ModuleDisabled => Self::ModuleDisabled,
            HiddenReason::NotSignedIn => Self::NotSignedIn,
            HiddenReason::NoAccessGroup => Self::NoAccessGroup,
            HiddenReason::UnlockMethodNative => Self::UnlockMethodNative,
            HiddenReason::UserNotConfirmed => Self::UserNotConfirmed,
            HiddenReason::MemberSuspended => Self::MemberSuspended,
            HiddenReason::UnsupportedDevice => Self::UnsupportedDevice,
            HiddenReason::UnknownMember => Self::UnknownMember,
            HiddenReason::DeviceNotEnrolled => Self::DeviceNotEnrolled,
        }
    }
}

impl From<AccessRefusal> for ErrorCode {
    fn from(reason: AccessRefusal) -> Self {
        match reason {
            AccessRefusal::NoPermission => Self::NoPermission,
            AccessRefusal::OutsideSchedule => Self::OutsideSchedule,
            AccessRefusal::NotYetValid => Self::NotYetValid,
            AccessRefusal::Expired => Self::Expired,
            AccessRefusal::UseLimit => Self::UseLimit,
            AccessRefusal::PrimaryDeviceOnly => Self::PrimaryDeviceOnly,
            AccessRefusal::TapOnly => Self::TapOnly,
            AccessRefusal::Geofence => Self::Geofence,
            AccessRefusal::ProximityRequired => Self::ProximityRequired,
            AccessRefusal::LockedDown => Self::LockedDown,
            AccessRefusal::ModuleDisabled => Self::ModuleDisabled,
            AccessRefusal::UnlockMethodNative => Self::UnlockMethodNative,
            AccessRefusal::UserNotConfirmed => Self::UserNotConfirmed,
            AccessRefusal::MemberSuspended => Self::MemberSuspended,
        }
    }
}

impl ErrorCode {
    /// The code for an error answer of the service: its own code where this version knows it, else by status.
    ///
    /// `code` is the answer's own; `None` when the body was not a problem document.
    pub fn from_http(status: u16, code: Option<&str>) -> Self {
        // A service can't speak for the vault, the radio or a press that it never saw.
        let said = code.and_then(Self::from_name).filter(|code| code.is_of_service());
        said.unwrap_or(match status {
            401 => Self::SessionRejected,
            // Anything on the way may say 403; only the service speaks of the member's access.
            403 if code.is_some() => Self::NoPermission,
            400 | 404 | 405 | 409 | 413 | 415 | 422 => Self::InvalidRequest,
            _ => Self::ServiceFailed,
        })
    }

    /// The code for a radio that can't be used; `None` when it can.
    pub const fn from_radio_state(state: RadioState) -> Option<Self> {
        match state {
            RadioState::On => None,
            RadioState::Off => Some(Self::BluetoothOff),
            RadioState::Unauthorized => Some(Self::BluetoothUnauthorized),
            RadioState::Absent => Some(Self::UnsupportedDevice),
        }
    }

    /// Whether the service spoke about the member's access, rather than failed to speak.
    pub(crate) const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::NotYetValid
                | Self::Expired
                | Self::Revoked
                | Self::OutsideSchedule
                | Self::NoPermission
                | Self::UseLimit
                | Self::LockedDown
                | Self::PrimaryDeviceOnly
                | Self::TapOnly
                | Self::Geofence
                | Self::ProximityRequired
                | Self::ModuleDisabled
                | Self::UnlockMethodNative
                | Self::UserNotConfirmed
                | Self::MemberSuspended
                | Self::NoAccessGroup
                | Self::UnknownMember
                | Self::DeviceNotEnrolled
        )
    }

    const fn is_of_service(self) -> bool {
        !matches!(self.retry(), Retry::SamePressOnly)
            && !matches!(
                self,
                Self::VaultDamaged
                    | Self::VaultUnavailable
                    | Self::BluetoothOff
                    | Self::BluetoothUnauthorized
                    | Self::LinkLost
                    | Self::LockNotFound
                    | Self::LockNotRecognised
                    | Self::PressCancelled
                    | Self::PressInProgress
                    | Self::DoorNotChosen
                    | Self::DeviceKeyFailed
                    | Self::TimedOut
                    | Self::ClockWrong
                    | Self::Internal
            )
    }
}

impl From<RadioError> for KeyError {
    fn from(error: RadioError) -> Self {
        Self::new(match error {
            RadioError::Unavailable => ErrorCode::BluetoothOff,
            RadioError::OutOfRange => ErrorCode::LockNotFound,
            RadioError::WrongService => ErrorCode::LockNotRecognised,
            RadioError::ConnectFailed | RadioError::LinkLost | RadioError::Closed | RadioError::Throttled => {
                ErrorCode::LinkLost
            }
        })
    }
}

impl From<HiddenReason> for KeyError {
    fn from(reason: HiddenReason) -> Self {
        Self::new(reason.into())
    }
}

impl From<AccessRefusal> for KeyError {
    fn from(reason: AccessRefusal) -> Self {
        Self::new(reason.into())
    }
}

impl From<Reason> for ErrorCode {
    /// The code for a lock's reason. "Granted" with a red status makes no sense and counts as unreadable data.
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NotYetValid => Self::NotYetValid,
            Reason::Expired => Self::Expired,
            Reason::Revoked => Self::Revoked,
            Reason::OutsideSchedule => Self::OutsideSchedule,
            Reason::WrongLock => Self::WrongLock,
            Reason::NoPermission => Self::NoPermission,
            Reason::UseLimit => Self::UseLimit,
            Reason::ClockUnknown => Self::ClockUnknown,
            Reason::LockedDown => Self::LockedDown,
            Reason::Privacy => Self::Privacy,
            Reason::Hardware => Self::Hardware,
            Reason::Busy => Self::Busy,
            Reason::KeyUnknown => Self::KeyUnknown,
            Reason::UserAuthRequired => Self::UserAuthRequired,
            Reason::NotTrusted => Self::NotTrusted,
            Reason::StaleDocument => Self::StaleDocument,
            Reason::BadData | Reason::Granted => Self::BadData,
            Reason::Policy => Self::Policy,
        }
    }
}
