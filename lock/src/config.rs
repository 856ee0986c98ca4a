//! A lock's provisioning: everything a claim gives it, without a heap.

use keybutton_protocol::{
    buf::Buf,
    document::{ElementName, list::List},
    ids::{GroupId, GroupResolvingKey, Kid, LockNumber, PublicKey, ReaderId, SubId, UnixTime},
    profile::Profile,
};
/// The most issuer keys a lock accepts.
pub const ISSUERS_MAX: usize = 4;
/// The most element names a lock answers to.
pub const ELEMENTS_MAX: usize = 6;
/// The longest reader certificate, compressed, bytes.
pub const CERTIFICATE_MAX: usize = keybutton_protocol::certificate::COMPRESSED_MAX;

/// What a claim gives a lock.
#[derive(Clone, Debug)]
pub struct LockConfig {
    /// The site.
    pub group: GroupId,
    /// This lock within the site.
    pub sub: SubId,
    /// This lock's number in the rotating tag.
    pub number: LockNumber,
    /// Makes the rotating tag. Secret.
    pub group_resolving_key: GroupResolvingKey,
    /// The trust anchor that phones hold: the site CA's key, or the reader key itself without a certificate.
    pub anchor: PublicKey,
    /// The reader certificate, compressed; `None` when phones trust the reader key itself.
    pub certificate: Option<Buf<CERTIFICATE_MAX>>,
    /// The issuers whose documents open this lock.
    pub issuers: List<Issuer, ISSUERS_MAX>,
    /// The names of the elements that open this lock: its own, its zones, the site.
    pub elements: List<ElementName, ELEMENTS_MAX>,
    /// Audit envelopes are sealed to this key of the access service; `None` keeps the audit in the lock.
    pub audit_key: Option<PublicKey>,
    /// When the lock was claimed: the clock's first lower bound.
    pub claimed_at: UnixTime,
    /// What the operator decided.
    pub policy: Policy,
    /// How strictly documents are read.
    pub documents: DocumentRules,
    /// The switches of the transaction.
    pub profile: Profile,
}

impl LockConfig {
    /// The reader identifier.
    pub fn reader_id(&self) -> ReaderId {
        ReaderId::new(self.group, self.sub)
    }
}

/// An issuer key, with the iterations it had when the lock was claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Issuer {
    /// Names the key.
    pub kid: Kid,
    /// The key.
    pub key: PublicKey,
    /// The access iteration S to start from.
    pub access_iteration: u32,
    /// The revocation iteration R to start from.
    pub revocation_iteration: u32,
}

impl Default for Issuer {
    fn default() -> Self {
        Self { kid: Kid([0; 8]), key: PublicKey([0; 65]), access_iteration: 0, revocation_iteration: 0 }
    }
}

/// What an operator decides for one lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The fast phase.
    pub fast: FastPolicy,
    /// User authentication is forced, there is no fast phase, whatever [`Policy::fast`] says.
    pub high_security: bool,
    /// Tones are played with the light.
    pub sound: bool,
    /// How long the bolt stays open, tenths of a second.
    pub open_time_ds: u16,
    /// How long it stays open for a key with the capability for long openings, tenths of a second.
    pub extended_open_time_ds: u16,
    /// How long a known key counts without a new document, seconds.
    pub offline_limit_s: u32,
    /// Members may ask for more than a moment: hold open, lock.
    pub intents: IntentPolicy,
    /// The interfaces that open this lock.
    pub interfaces: InterfacePolicy,
    /// A lower bound is good enough a clock for documents that ask for one. Off: two device keys have to agree first.
    pub accept_lower_bound: bool,
    /// Seconds to add to UTC for schedules in local time; `None` refuses them.
    pub utc_offset_s: Option<i32>,
    /// A door that stands open for longer is reported, seconds; 0 never.
    pub held_open_s: u16,
    /// The transmit power to advertise, dBm.
    pub tx_power_dbm: i8,
    /// Audit records are handed to a phone once this many wait, at least 1.
    pub hand_over_from: u16,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            fast: FastPolicy::TryAll { entries: 64 },
            high_security: false,
            sound: true,
            open_time_ds: 50,
            extended_open_time_ds: 150,
            offline_limit_s: 48 * 3_600,
            intents: IntentPolicy::Any,
            interfaces: InterfacePolicy { nfc: true, ble: true },
            accept_lower_bound: false,
            utc_offset_s: None,
            held_open_s: 0,
            tx_power_dbm: 0,
            hand_over_from: 1,
        }
    }
}

/// How strictly documents are read (`docs/PROTOCOL.md` sections 10.3, 10.5 and 21).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DocumentRules {
    /// Access documents need an iteration.
    pub require_iteration: bool,
    /// Elements need the site binding extension.
    pub require_site_binding: bool,
    /// Elements without a rule allow nothing.
    pub require_rules: bool,
    /// A document may carry a certificate of its issuer's making (x5chain) in place of the issuer's identifier.
    pub accept_certificates: bool,
}

impl DocumentRules {
    /// The product's.
    pub const PRODUCT: Self =
        Self { require_iteration: true, require_site_binding: true, require_rules: true, accept_certificates: false };
    /// For runs against other implementations.
    pub const INTEROP: Self =
        Self { require_iteration: false, require_site_binding: false, require_rules: false, accept_certificates: true };
}

impl Default for DocumentRules {
    fn default() -> Self {
        Self::PRODUCT
    }
}

/// Whether and how the fast phase is used (`docs/PROTOCOL.md` section 20).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FastPolicy {
    /// Every press signs.
    Off,
    /// The entry is found by trying all of them, with as many steps for a miss as for a hit.
    TryAll {
        /// Keep at most this many: as many as the hardware tries within 50 ms. 8 are always good.
        entries: u8,
    },
}

/// Which intents the lock serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntentPolicy {
    /// Those that the rules of a key allow.
    Any,
    /// Momentary unlock, status and sync only.
    MomentaryOnly,
}

/// Which interfaces the lock serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterfacePolicy {
    /// Tap.
    pub nfc: bool,
    /// Bluetooth Low Energy.
    pub ble: bool,
}
