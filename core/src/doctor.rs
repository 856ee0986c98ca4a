//! What stands between the member and an open door, found before the member is at the door.

use keybutton_protocol::{
    api::{ButtonState, HiddenReason},
    ids::UnixTime,
};

use crate::{
    button::Capabilities,
    error::{ErrorCode, KeyError},
    radio::RadioState,
};

/// How far the phone's clock may be off before the doctor warns, seconds. A reader certificate has a day of slack;
/// a member should hear of it long before.
pub const CLOCK_TOLERANCE_S: u32 = 300;

/// Keys that end within this time are worth a warning when they can't be renewed, seconds.
pub const KEY_WARNING_S: u32 = 4 * 3600;

/// What the driver found out.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What the phone can do.
    pub capabilities: Capabilities,
    /// Somebody is signed in.
    pub signed_in: bool,
    /// The device key is there and the device is enrolled.
    pub device_key: Result<(), KeyError>,
    /// The vault can be read and written.
    pub vault: Result<(), KeyError>,
    /// What came of asking the service for its time; `None` when it was not asked.
    pub service: Option<Result<UnixTime, KeyError>>,
    /// The phone's time when the service answered.
    pub now: UnixTime,
    /// The radio's state; `None` where there is no radio.
    pub radio: Option<RadioState>,
    /// The Key Button.
    pub button: ButtonState,
    /// The end of the validity of each key held.
    pub keys: Vec<UnixTime>,
    /// Vendors' SDKs open every door the member may open: there is no key to be held.
    pub keyless: bool,
}

/// What is checked, in this order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum CheckName {
    /// The device can open doors.
    Device,
    /// Somebody is signed in.
    SignedIn,
    /// The vault can be used.
    Vault,
    /// The device key can be used and is enrolled.
    DeviceKey,
    /// The service answers.
    Service,
    /// The phone's clock is right.
    Clock,
    /// Bluetooth is on.
    Radio,
    /// The app has the permissions it needs.
    Permissions,
    /// Mobile access is switched on and the member may use it.
    Module,
    /// There are keys, and they are valid.
    Keys,
}

impl CheckName {
    /// Every check, in order.
    pub const ALL: [Self; 10] = [
        Self::Device,
        Self::SignedIn,
        Self::Vault,
        Self::DeviceKey,
        Self::Service,
        Self::Clock,
        Self::Radio,
        Self::Permissions,
        Self::Module,
        Self::Keys,
    ];

    /// The check's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::SignedIn => "signed-in",
            Self::Vault => "vault",
            Self::DeviceKey => "device-key",
            Self::Service => "service",
            Self::Clock => "clock",
            Self::Radio => "radio",
            Self::Permissions => "permissions",
            Self::Module => "module",
            Self::Keys => "keys",
        }
    }
}

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum CheckResult {
    /// Fine.
    Passed,
    /// Doors open, but not for long or not everywhere.
    Warning(ErrorCode),
    /// Doors don't open because of this.
    Failed(ErrorCode),
    /// It could not be checked.
    Skipped,
}

/// One check and how it came out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct Check {
    /// What was checked.
    pub name: CheckName,
    /// How it came out.
    pub result: CheckResult,
}

impl Check {
    /// The stable code of what is wrong.
    pub const fn code(&self) -> Option<ErrorCode> {
        match self.result {
            CheckResult::Warning(code) | CheckResult::Failed(code) => Some(code),
            CheckResult::Passed | CheckResult::Skipped => None,
        }
    }

    /// What a person can do about it.
    pub fn remedy(&self) -> Option<&'static str> {
        self.code().map(ErrorCode::remedy)
    }
}

/// Runs every check over the facts.
pub fn examine(facts: &Facts) -> Vec<Check> {
    CheckName::ALL.into_iter().map(|name| Check { name, result: check(name, facts) }).collect()
}

fn check(name: CheckName, facts: &Facts) -> CheckResult {
    match name {
        CheckName::Device => passed_if(facts.capabilities.can_open(), ErrorCode::UnsupportedDevice),
        CheckName::SignedIn => passed_if(facts.signed_in, ErrorCode::NotSignedIn),
        CheckName::Vault => passed_or(facts.vault),
        CheckName::DeviceKey => passed_or(facts.device_key),
        // Doors open without the service as long as the keys are valid: never worse than a warning.
        CheckName::Service => match facts.service {
            Some(Ok(_)) => CheckResult::Passed,
            Some(Err(error)) => CheckResult::Warning(error.code()),
            None => CheckResult::Skipped,
        },
        CheckName::Clock => match facts.service {
            Some(Ok(service)) if service.0.abs_diff(facts.now.0) <= CLOCK_TOLERANCE_S => CheckResult::Passed,
            Some(Ok(_)) => CheckResult::Warning(ErrorCode::ClockWrong),
            Some(Err(_)) | None => CheckResult::Skipped,
        },
        CheckName::Radio => match facts.radio {
            Some(RadioState::On) => CheckResult::Passed,
            Some(RadioState::Off) => CheckResult::Failed(ErrorCode::BluetoothOff),
            Some(RadioState::Unauthorized) => CheckResult::Skipped,
            Some(RadioState::Absent) | None if facts.capabilities.nfc => CheckResult::Skipped,
            Some(RadioState::Absent) | None => CheckResult::Failed(ErrorCode::UnsupportedDevice),
        },
        CheckName::Permissions => match facts.radio {
            Some(RadioState::Unauthorized) => CheckResult::Failed(ErrorCode::BluetoothUnauthorized),
            Some(RadioState::On | RadioState::Off) => CheckResult::Passed,
            Some(RadioState::Absent) | None => CheckResult::Skipped,
        },
        CheckName::Module => match facts.button {
            ButtonState::Visible => CheckResult::Passed,
            // Said by the checks of their own above.
            ButtonState::Hidden(
                HiddenReason::NotSignedIn | HiddenReason::UnsupportedDevice | HiddenReason::DeviceNotEnrolled,
            ) => CheckResult::Skipped,
            ButtonState::Hidden(reason) => CheckResult::Failed(reason.into()),
        },
        CheckName::Keys => check_keys(facts),
    }
}

fn check_keys(facts: &Facts) -> CheckResult {
    let Some(last) = facts.keys.iter().max() else {
        let wanted = facts.signed_in && !facts.keyless;
        return if wanted { CheckResult::Failed(ErrorCode::KeyUnknown) } else { CheckResult::Skipped };
    };
    if *last < facts.now {
        CheckResult::Failed(ErrorCode::Expired)
    } else if facts.keys.iter().any(|end| end.0 < facts.now.0.saturating_add(KEY_WARNING_S)) {
        CheckResult::Warning(ErrorCode::Expired)
    } else {
        CheckResult::Passed
    }
}

const fn passed_if(fine: bool, code: ErrorCode) -> CheckResult {
    if fine { CheckResult::Passed } else { CheckResult::Failed(code) }
}

fn passed_or(result: Result<(), KeyError>) -> CheckResult {
    result.map_or_else(|error| CheckResult::Failed(error.code()), |()| CheckResult::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_900_000_000);

    fn healthy() -> Facts {
        Facts {
            capabilities: Capabilities { bluetooth: true, nfc: false, key_store: true },
            signed_in: true,
            device_key: Ok(()),
            vault: Ok(()),
            service: Some(Ok(NOW)),
            now: NOW,
            radio: Some(RadioState::On),
            button: ButtonState::Visible,
            keys: vec![UnixTime(NOW.0 + 86_400)],
            keyless: false,
        }
    }

    fn result(facts: &Facts, name: CheckName) -> CheckResult {
        examine(facts).into_iter().find(|check| check.name == name).unwrap().result
    }

    #[test]
    fn a_healthy_phone_passes_everything() {
        assert!(examine(&healthy()).iter().all(|check| check.result == CheckResult::Passed));
    }

    #[test]
    fn each_fault_is_found_by_its_own_check() {
        let off = Facts { radio: Some(RadioState::Off), ..healthy() };
        assert_eq!(result(&off, CheckName::Radio), CheckResult::Failed(ErrorCode::BluetoothOff));
        let refused = Facts { radio: Some(RadioState::Unauthorized), ..healthy() };
        assert_eq!(result(&refused, CheckName::Permissions), CheckResult::Failed(ErrorCode::BluetoothUnauthorized));
        assert_eq!(result(&refused, CheckName::Radio), CheckResult::Skipped);
        let module = Facts { button: ButtonState::Hidden(HiddenReason::ModuleDisabled), ..healthy() };
        assert_eq!(result(&module, CheckName::Module), CheckResult::Failed(ErrorCode::ModuleDisabled));
        let damaged = Facts { vault: Err(ErrorCode::VaultDamaged.into()), ..healthy() };
        assert_eq!(result(&damaged, CheckName::Vault), CheckResult::Failed(ErrorCode::VaultDamaged));
        let offline = Facts { service: Some(Err(ErrorCode::ServiceUnreachable.into())), ..healthy() };
        assert_eq!(result(&offline, CheckName::Service), CheckResult::Warning(ErrorCode::ServiceUnreachable));
        assert_eq!(result(&offline, CheckName::Clock), CheckResult::Skipped);
        let early = Facts { now: UnixTime(NOW.0 - 301), ..healthy() };
        assert_eq!(result(&early, CheckName::Clock), CheckResult::Warning(ErrorCode::ClockWrong));
    }

    #[test]
    fn keys_are_missing_expired_or_about_to_expire() {
        let keys = |keys| result(&Facts { keys, ..healthy() }, CheckName::Keys);
        assert_eq!(keys(Vec::new()), CheckResult::Failed(ErrorCode::KeyUnknown));
        let keyless = Facts { keys: Vec::new(), keyless: true, ..healthy() };
        assert_eq!(result(&keyless, CheckName::Keys), CheckResult::Skipped, "a vendor's SDK opens everything");
        assert_eq!(keys(vec![UnixTime(NOW.0 - 1)]), CheckResult::Failed(ErrorCode::Expired));
        assert_eq!(
            keys(vec![UnixTime(NOW.0 + 60), UnixTime(NOW.0 + 86_400)]),
            CheckResult::Warning(ErrorCode::Expired)
        );
    }

    #[test]
    fn what_is_wrong_comes_with_a_remedy() {
        let check = Check { name: CheckName::Radio, result: CheckResult::Failed(ErrorCode::BluetoothOff) };
        assert_eq!(check.remedy(), Some("Switch Bluetooth on."));
    }
}
