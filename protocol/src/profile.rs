//! The switches between the product and a run against third-party peers (`docs/PROTOCOL.md` section 21).

/// The product's own application identifier of the expedited phase; proprietary.
pub const AID_EXPEDITED: &[u8] = &[0xF0, 0x4B, 0x45, 0x59, 0x42, 0x54, 0x4E, 0x01];
/// The product's own application identifier of the step-up phase; proprietary.
pub const AID_STEP_UP: &[u8] = &[0xF0, 0x4B, 0x45, 0x59, 0x42, 0x54, 0x4E, 0x02];
/// The standard's application identifier of the expedited phase; belongs to certified products.
pub const AID_EXPEDITED_STANDARD: &[u8] = &[0xA0, 0x00, 0x00, 0x09, 0x09, 0xAC, 0xCE, 0x55, 0x01];
/// The standard's application identifier of the step-up phase; belongs to certified products.
pub const AID_STEP_UP_STANDARD: &[u8] = &[0xA0, 0x00, 0x00, 0x09, 0x09, 0xAC, 0xCE, 0x55, 0x02];

/// How the transaction deviates from, or keeps to, what third parties speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profile {
    /// The application identifier of the expedited phase.
    pub aid: &'static [u8],
    /// The application identifier of the step-up phase.
    pub step_up_aid: &'static [u8],
    /// The phone tells the unlock id and the intent in its A5 template (B3).
    pub vendor_a5: bool,
    /// The lock adds the report (E1) to its verdict, where the phone sent B3.
    pub verdict_report: bool,
    /// Tokens and audit envelopes travel after the verdict.
    pub sync: bool,
    /// How the result of a BLE transaction travels.
    pub ble_result: BleResult,
    /// How the reader certificate travels.
    pub certificate: CertificateCarrier,
    /// Whose x coordinate stands in the salts, where there is a certificate.
    pub salt_anchor: SaltAnchor,
    /// The phone checks the certificate's validity dates.
    pub check_certificate_dates: bool,
    /// The lock accepts a key slot in an AUTH1 answer (and ignores it).
    pub accept_key_slot: bool,
    /// The phone tries the step-up channel once for an EXCHANGE that does not open, where no ENVELOPE was seen.
    pub try_other_channel: bool,
}

impl Profile {
    /// What ships.
    pub const PRODUCT: Self = Self {
        aid: AID_EXPEDITED,
        step_up_aid: AID_STEP_UP,
        vendor_a5: true,
        verdict_report: true,
        sync: true,
        ble_result: BleResult::Exchange,
        certificate: CertificateCarrier::Auth1,
        salt_anchor: SaltAnchor::Ca,
        check_certificate_dates: true,
        accept_key_slot: false,
        try_other_channel: false,
    };

    /// For runs against third-party peers.
    pub const INTEROP: Self = Self {
        aid: AID_EXPEDITED_STANDARD,
        step_up_aid: AID_STEP_UP_STANDARD,
        vendor_a5: false,
        verdict_report: false,
        sync: false,
        ble_result: BleResult::Completed,
        certificate: CertificateCarrier::LoadCert,
        salt_anchor: SaltAnchor::Ca,
        check_certificate_dates: false,
        accept_key_slot: true,
        try_other_channel: true,
    };
}

impl Default for Profile {
    fn default() -> Self {
        Self::PRODUCT
    }
}

/// How the result of a BLE transaction travels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BleResult {
    /// By EXCHANGE, as over NFC.
    Exchange,
    /// By the message "access protocol completed" (2/3).
    Completed,
}

/// How the reader certificate travels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CertificateCarrier {
    /// In AUTH1, tag 90.
    Auth1,
    /// By a LOAD CERT command of its own.
    LoadCert,
}

/// Whose x coordinate stands in the salts, where there is a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SaltAnchor {
    /// The CA key the phone holds.
    Ca,
    /// The certificate's subject key where LOAD CERT carried it, as one third-party reader has it.
    Subject,
}

/// How much proof of the user a lock wants: tag 42 of AUTH0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum UserPolicy {
    /// The phone's own setting decides.
    PhoneSetting = 1,
    /// The phone's setting for secure actions decides.
    SecureAction = 2,
    /// The user must authenticate.
    Force = 3,
}

impl UserPolicy {
    /// The policy for its byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::PhoneSetting,
            2 => Self::SecureAction,
            3 => Self::Force,
            _ => return None,
        })
    }
}
