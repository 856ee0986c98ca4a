//! The signalling bitmap: what a phone has and can do (`docs/PROTOCOL.md` section 7).

use crate::ids::Interface;

/// The bitmap of tag 5E.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Signalling(pub u16);

impl Signalling {
    /// An access document is available.
    pub const ACCESS_DOCUMENT: Self = Self(1 << 0);
    /// A revocation document is available.
    pub const REVOCATION_DOCUMENT: Self = Self(1 << 1);
    /// The step-up application must be selected before ENVELOPE.
    pub const STEP_UP_SELECT: Self = Self(1 << 2);
    /// The phone can pass notices to the issuer: it answers exchanges after the verdict.
    pub const NOTICES: Self = Self(1 << 6);

    /// What one of our phones says, given the documents it has, and whether it answers exchanges after the verdict
    /// where it can: on BLE.
    pub const fn of_phone(
        interface: Interface,
        access_document: bool,
        revocation_document: bool,
        notices: bool,
    ) -> Self {
        let interface = match interface {
            Interface::Nfc => Self::STEP_UP_SELECT.0,
            Interface::Ble if notices => Self::NOTICES.0,
            Interface::Ble => 0,
        };
        let access = if access_document { Self::ACCESS_DOCUMENT.0 } else { 0 };
        let revocation = if revocation_document { Self::REVOCATION_DOCUMENT.0 } else { 0 };
        Self(interface | access | revocation)
    }

    /// Tells whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
