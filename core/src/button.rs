//! Is the Key Button there, and if not, why.

use keybutton_protocol::api::{ButtonState, HiddenReason, Rights};

/// What the phone can do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Capabilities {
    /// It has Bluetooth Low Energy, whether or not it is switched on.
    pub bluetooth: bool,
    /// It can answer a reader by NFC.
    pub nfc: bool,
    /// It has a key store that keeps the device key.
    pub key_store: bool,
}

impl Capabilities {
    /// The phone can open doors at all.
    pub const fn can_open(self) -> bool {
        self.key_store && (self.bluetooth || self.nfc)
    }
}

/// What is known when the button is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the phone can do.
    pub capabilities: Capabilities,
    /// Somebody is signed in.
    pub signed_in: bool,
    /// This device is enrolled.
    pub enrolled: bool,
    /// What the service said last; `None` before the first contact.
    pub rights: Option<&'a Rights>,
}

/// Tells whether the Key Button is there; a hidden one comes with exactly one reason.
///
/// The service decides; without a connection its last answer stands, so that a member keeps the button in a cellar.
/// Signed in but never in contact the device is not enrolled: a button that can't work yet is not shown.
pub fn key_button(facts: &Facts<'_>) -> ButtonState {
    if !facts.signed_in {
        return ButtonState::Hidden(HiddenReason::NotSignedIn);
    }
    if !facts.capabilities.can_open() {
        return ButtonState::Hidden(HiddenReason::UnsupportedDevice);
    }
    if let Some(Rights { button: ButtonState::Hidden(reason), .. }) = facts.rights {
        return ButtonState::Hidden(*reason);
    }
    if !facts.enrolled {
        return ButtonState::Hidden(HiddenReason::DeviceNotEnrolled);
    }
    facts.rights.map_or(ButtonState::Hidden(HiddenReason::UnknownMember), |rights| rights.button)
}

#[cfg(test)]
mod tests {
    use keybutton_protocol::api::MemberId;

    use super::*;

    const PHONE: Capabilities = Capabilities { bluetooth: true, nfc: false, key_store: true };

    fn rights(button: ButtonState) -> Rights {
        Rights { member: MemberId("m".into()), organization: "o".into(), button, doors: Vec::new(), now: 0 }
    }

    fn hidden(facts: Facts<'_>) -> Option<HiddenReason> {
        match key_button(&facts) {
            ButtonState::Visible => None,
            ButtonState::Hidden(reason) => Some(reason),
        }
    }

    #[test]
    fn the_first_obstacle_is_the_reason() {
        let visible = rights(ButtonState::Visible);
        let all = Facts { capabilities: PHONE, signed_in: true, enrolled: true, rights: Some(&visible) };
        assert_eq!(hidden(all), None);
        assert_eq!(hidden(Facts { signed_in: false, rights: None, ..all }), Some(HiddenReason::NotSignedIn));
        assert_eq!(hidden(Facts { enrolled: false, ..all }), Some(HiddenReason::DeviceNotEnrolled));
        assert_eq!(hidden(Facts { rights: None, ..all }), Some(HiddenReason::UnknownMember));
        for reason in [HiddenReason::ModuleDisabled, HiddenReason::UnlockMethodNative, HiddenReason::NoAccessGroup] {
            let off = rights(ButtonState::Hidden(reason));
            assert_eq!(hidden(Facts { rights: Some(&off), ..all }), Some(reason));
            assert_eq!(hidden(Facts { rights: Some(&off), enrolled: false, ..all }), Some(reason));
        }
    }

    #[test]
    fn a_device_needs_a_key_store_and_one_way_to_the_lock() {
        let visible = rights(ButtonState::Visible);
        let with =
            |capabilities| hidden(Facts { capabilities, signed_in: true, enrolled: true, rights: Some(&visible) });
        assert_eq!(with(Capabilities { bluetooth: false, nfc: true, key_store: true }), None);
        for (bluetooth, nfc, key_store) in [(false, false, true), (true, true, false)] {
            assert_eq!(with(Capabilities { bluetooth, nfc, key_store }), Some(HiddenReason::UnsupportedDevice));
        }
    }
}
