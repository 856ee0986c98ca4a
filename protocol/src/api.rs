//! The JSON that phone, lock and access service exchange over HTTP.
//!
//! Byte strings are base64url without padding, times are Unix seconds, identifiers are opaque strings. Unknown
//! fields in answers are ignored, so that a service may grow; unknown fields in requests are refused.

use alloc::{string::String, vec::Vec};
// The schema derive expands to these macros, which a crate without `std` has to bring in itself.
#[cfg(feature = "openapi")]
use alloc::{format, vec};
use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Error as _},
};

/// A byte string: base64url without padding in JSON. Never printed by `Debug`, only its length is.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, format = "base64url"))]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

impl<T: AsRef<[u8]>> From<T> for Bytes {
    fn from(bytes: T) -> Self {
        Self(bytes.as_ref().to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64UrlUnpadded::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Base64UrlUnpadded::decode_vec(&text).map(Self).map_err(|_| de::Error::custom("not base64url without padding"))
    }
}

/// Declares an opaque string identifier.
macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

string_id!(
    /// Identifies an organization (tenant).
    OrganizationId
);
string_id!(
    /// Identifies a site.
    SiteId
);
string_id!(
    /// Identifies a door, and with it its lock.
    DoorId
);
string_id!(
    /// Identifies a member.
    MemberId
);
string_id!(
    /// Identifies an access group.
    AccessGroupId
);
string_id!(
    /// Identifies an enrolled device.
    DeviceId
);
string_id!(
    /// Identifies a Branded App, as its operator chose it.
    AppId
);

/// Why the Key Button is not there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum HiddenReason {
    /// Mobile access is switched off for the organization or the Branded App.
    ModuleDisabled,
    /// Nobody is signed in.
    NotSignedIn,
    /// The member holds no access group, now or later today.
    NoAccessGroup,
    /// The integration's unlock method is `native methods`: the vendor's own app opens.
    UnlockMethodNative,
    /// The vendor has not confirmed the member's user.
    UserNotConfirmed,
    /// The membership has ended or is suspended.
    MemberSuspended,
    /// The device can't open doors: no Bluetooth, no tap, or no key store.
    UnsupportedDevice,
    /// The organization, the Branded App or the member is not known to the service.
    UnknownMember,
    /// The device has not been enrolled yet, or its enrolment was revoked.
    DeviceNotEnrolled,
}

/// Why the access service refuses a door. Spelled as the lock's reasons are where both may give it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AccessRefusal {
    /// No access group of the member opens this door.
    NoPermission,
    /// The granting group's schedule is closed now.
    OutsideSchedule,
    /// The member's access begins later.
    NotYetValid,
    /// The member's access has ended.
    Expired,
    /// The use limit is reached.
    UseLimit,
    /// Only the member's primary device may open.
    PrimaryDeviceOnly,
    /// Only a tap opens.
    TapOnly,
    /// The phone is outside the allowed radius, or its place is unknown.
    Geofence,
    /// The phone has to be near the lock.
    ProximityRequired,
    /// The door or its site is locked down.
    LockedDown,
    /// The organization's mobile access is off.
    ModuleDisabled,
    /// The unlock method of the door's integration is `native methods`.
    UnlockMethodNative,
    /// The vendor has not confirmed the member's user.
    UserNotConfirmed,
    /// The membership has ended or is suspended.
    MemberSuspended,
}

/// Whether the Key Button is there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "state", content = "reason", rename_all = "kebab-case")]
pub enum ButtonState {
    /// The Key Button is shown.
    Visible,
    /// The Key Button is hidden, for one reason.
    Hidden(HiddenReason),
}

/// By hand: what is derived for a tagged enum keeps everything until it has seen the tag, and costs a phone's library
/// several times as much.
impl<'de> Deserialize<'de> for ButtonState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum State {
            Visible,
            Hidden,
        }
        #[derive(Deserialize)]
        struct Tagged {
            state: State,
            reason: Option<HiddenReason>,
        }
        let Tagged { state, reason } = Tagged::deserialize(deserializer)?;
        match (state, reason) {
            (State::Visible, _) => Ok(Self::Visible),
            (State::Hidden, Some(reason)) => Ok(Self::Hidden(reason)),
            (State::Hidden, None) => Err(D::Error::missing_field("reason")),
        }
    }
}

/// How a door's integration is driven.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum IntegrationKind {
    /// Our own lock transaction.
    Native,
    /// A vendor's own SDK inside the Branded App opens; there is no lock of ours.
    Vendor,
}

/// How members open an integration's doors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UnlockMethod {
    /// With the vendor's own app, cards and fobs.
    NativeMethods,
    /// With the Branded App's Key Button.
    BrandedApp,
}

/// `POST /v1/devices/challenge`: answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrolmentChallenge {
    /// 32 bytes, to be signed with the device key as `AuthenticationData::for_enrolment`.
    pub nonce: Bytes,
    /// When the challenge ends.
    pub expires: u32,
}

/// `POST /v1/devices`: request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EnrolDevice {
    /// The challenge's nonce.
    pub nonce: Bytes,
    /// The device key, SEC1 uncompressed, 65 bytes.
    pub device_key: Bytes,
    /// The signature over the enrolment data, `r || s`, 64 bytes.
    pub proof: Bytes,
    /// What the member calls the device, 1 to 64 characters.
    pub name: String,
    /// `ios`, `android`, `linux`, `macos`, `windows`.
    pub platform: String,
}

/// An enrolled device: answer of `POST /v1/devices`, element of `GET /v1/devices`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Device {
    /// Identifies the device.
    pub id: DeviceId,
    /// What the member calls it.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// When it was enrolled.
    pub enrolled: u32,
    /// Whether it is the member's primary device (the first one enrolled).
    pub primary: bool,
}

/// `GET /v1/me?device=ID`: what the member may see and open right now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rights {
    /// The member.
    pub member: MemberId,
    /// The organization's name, to be shown.
    pub organization: String,
    /// Whether the Key Button is there.
    pub button: ButtonState,
    /// Every door of the organization that the member may see.
    pub doors: Vec<DoorRights>,
    /// The service's time, Unix seconds.
    pub now: u32,
}

/// One door as a member sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DoorRights {
    /// Identifies the door.
    pub id: DoorId,
    /// The door's name, to be shown.
    pub name: String,
    /// The site's name, to be shown.
    pub site: String,
    /// How the door is driven.
    pub integration: IntegrationKind,
    /// The door's lock: 32-byte reader identifier; absent until a lock is claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader_id: Option<Bytes>,
    /// What the vendor calls the door, where a vendor's SDK opens it and the operator has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_door: Option<String>,
    /// May the member open it now, and until when or why not.
    pub decision: Decision,
}

/// The access service's answer for one member and one door.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// The member may open.
    Allow {
        /// Until when, Unix seconds.
        until: u32,
    },
    /// The member may not open.
    Refuse {
        /// Why.
        reason: AccessRefusal,
    },
}

/// By hand, as for [`ButtonState`].
impl<'de> Deserialize<'de> for Decision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum Word {
            Allow,
            Refuse,
        }
        #[derive(Deserialize)]
        struct Tagged {
            decision: Word,
            until: Option<u32>,
            reason: Option<AccessRefusal>,
        }
        let Tagged { decision, until, reason } = Tagged::deserialize(deserializer)?;
        match decision {
            Word::Allow => until.map(|until| Self::Allow { until }).ok_or_else(|| D::Error::missing_field("until")),
            Word::Refuse => {
                reason.map(|reason| Self::Refuse { reason }).ok_or_else(|| D::Error::missing_field("reason"))
            }
        }
    }
}

/// `POST /v1/keys`: request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct IssueKeys {
    /// The device the keys are for.
    pub device: DeviceId,
}

/// `POST /v1/keys`: answer. Everything a phone needs to open doors without the service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyBundle {
    /// One record for each site the member holds a key of.
    pub sites: Vec<SiteKeys>,
    /// When the phone should ask again, Unix seconds (half of the shortest validity).
    pub renew_after: u32,
    /// The service's time, Unix seconds.
    pub now: u32,
}

/// What a phone keeps for one site.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SiteKeys {
    /// Identifies the site.
    pub site: SiteId,
    /// The site's name, to be shown.
    pub name: String,
    /// The site's group identifier, 16 bytes.
    pub group_id: Bytes,
    /// The site CA's public key, 65 bytes: the trust anchor.
    pub ca_key: Bytes,
    /// The group resolving key, 16 bytes. Secret.
    pub group_resolving_key: Bytes,
    /// Names the issuer key, 8 bytes.
    pub kid: Bytes,
    /// The issuer's public key, 65 bytes: the phone checks what it is given.
    pub issuer_key: Bytes,
    /// The locks of the site.
    pub locks: Vec<SiteLock>,
    /// The access key: an Access Document as a CBOR `Document` (`{ "1": IssuerSigned, "5": "aliro-a" }`).
    pub document: Bytes,
    /// The access identifier in the document, 8 bytes.
    pub access_id: Bytes,
    /// When the document was signed, Unix seconds.
    pub signed: u32,
    /// The document's validity, start inclusive, Unix seconds.
    pub valid_from: u32,
    /// The document's validity, end inclusive, Unix seconds.
    pub valid_until: u32,
    /// The newest Revocation Document as a CBOR `Document`, absent while nothing was ever revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_document: Option<Bytes>,
    /// A time token (COSE_Sign1).
    pub time_token: Bytes,
    /// ACK tokens (COSE_Sign1) for locks of the site whose audit has reached the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ack_tokens: Vec<AckToken>,
}

impl fmt::Debug for SiteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteKeys").field("site", &self.site).field("locks", &self.locks.len()).finish_non_exhaustive()
    }
}

/// An ACK token on its way to a lock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AckToken {
    /// The lock's sub identifier, 16 bytes.
    pub sub_id: Bytes,
    /// The token (COSE_Sign1).
    pub token: Bytes,
}

/// One lock in a site's table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SiteLock {
    /// The door it is on.
    pub door: DoorId,
    /// The door's name, to be shown.
    pub name: String,
    /// Its number in the rotating tag.
    pub number: u16,
    /// Its sub identifier, 16 bytes.
    pub sub_id: Bytes,
    /// The phone has to be held to the lock.
    #[serde(default)]
    pub tap_hint: bool,
    /// The member's key names this lock.
    pub opens: bool,
}

/// `POST /v1/locks/claim`: request by a lock that has just made its key. Authorised by the claim code alone.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ClaimLock {
    /// The one-time code the operator was given for the door. Secret.
    pub claim_code: String,
    /// The lock's new reader key, 65 bytes.
    pub reader_key: Bytes,
    /// Proof of possession: the reader key's signature over `AuthenticationData::for_claim(SHA-256(claim code))`.
    pub proof: Bytes,
}

impl fmt::Debug for ClaimLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimLock").field("reader_key", &self.reader_key).finish_non_exhaustive()
    }
}

/// `POST /v1/locks/claim`: answer. A lock's whole provisioning.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LockProvision {
    /// The door the lock is on.
    pub door: DoorId,
    /// The door's name, to be shown.
    pub name: String,
    /// The site's group identifier, 16 bytes.
    pub group_id: Bytes,
    /// The lock's sub identifier, 16 bytes.
    pub sub_id: Bytes,
    /// The lock's number in the rotating tag.
    pub number: u16,
    /// The group resolving key, 16 bytes. Secret.
    pub group_resolving_key: Bytes,
    /// The reader certificate, compressed (profile0000).
    pub certificate: Bytes,
    /// The site CA's public key, 65 bytes.
    pub ca_key: Bytes,
    /// The issuer keys whose documents the lock accepts, at most 4.
    pub issuers: Vec<LockIssuer>,
    /// The element names the lock answers to (`l0001`, `z0001`, `site`).
    pub elements: Vec<String>,
    /// The service's audit key (P-256, HPKE), 65 bytes.
    pub audit_key: Bytes,
    /// The service's time, Unix seconds: claiming is a maintenance action.
    pub now: u32,
    /// The lock's policy.
    pub policy: LockPolicy,
}

impl fmt::Debug for LockProvision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockProvision").field("door", &self.door).field("number", &self.number).finish_non_exhaustive()
    }
}

/// An issuer as a lock keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LockIssuer {
    /// Names the key, 8 bytes.
    pub kid: Bytes,
    /// The public key, 65 bytes.
    pub key: Bytes,
    /// The access iteration S at claiming.
    pub access_iteration: u32,
    /// The revocation iteration R at claiming.
    pub revocation_iteration: u32,
}

/// What an operator decides for one lock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LockPolicy {
    /// The fast phase is allowed.
    pub fast: bool,
    /// High security: user authentication is forced, no fast phase, keys live 24 h at most.
    pub high_security: bool,
    /// The lock's sound is on.
    pub sound: bool,
    /// How long the bolt stays open, in tenths of a second.
    pub open_time_ds: u16,
    /// How long a known key counts without a new document, seconds.
    pub offline_limit_s: u32,
    /// The phone has to be held to the lock.
    #[serde(default)]
    pub tap_hint: bool,
}

/// `POST /v1/audit`: request. A phone carries a lock's audit envelope.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UploadAudit {
    /// The lock's reader identifier, 32 bytes.
    pub reader_id: Bytes,
    /// The sealed envelope, `enc || ciphertext`.
    pub envelope: Bytes,
}

/// `POST /v1/audit`: answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditAcknowledged {
    /// The number of the newest record stored.
    pub number: u32,
    /// The ACK token (COSE_Sign1) that any phone may carry back.
    pub ack: AckToken,
}

/// `POST /v1/presses`: a phone's own account of a press; the lock's audit is the truth.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportPress {
    /// The press id: the 16-byte unlock id.
    pub press: Bytes,
    /// The device.
    pub device: DeviceId,
    /// The door, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<DoorId>,
    /// `opened`, `refused` or `unconfirmed`.
    pub outcome: String,
    /// The stable code of the reason or cause; absent when opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When the press began, Unix seconds on the phone's clock.
    pub started: u32,
    /// How long it took, milliseconds.
    pub took_ms: u32,
}

/// An error answer: RFC 9457 problem details with a stable code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `https://keybutton.dev/problems/CODE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words, the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence, for a person; without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The stable code.
    pub code: String,
    /// Whether sending the same request again is safe and may help.
    pub retry: bool,
    /// What a person can do about it.
    pub remedy: String,
    /// For `device-limit-reached`: the devices that count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_base64url_in_json_and_a_length_in_debug() {
        let bytes = Bytes::from([0xFF, 0xFE]);
        assert_eq!(serde_json::to_string(&bytes).unwrap(), r#""__4""#);
        assert_eq!(serde_json::from_str::<Bytes>(r#""__4""#).unwrap(), bytes);
        assert!(serde_json::from_str::<Bytes>(r#""__4=""#).is_err());
        assert_eq!(alloc::format!("{bytes:?}"), "Bytes(2)");
    }

    #[test]
    fn reasons_are_kebab_case() {
        assert_eq!(
            serde_json::to_string(&ButtonState::Hidden(HiddenReason::UnlockMethodNative)).unwrap(),
            r#"{"state":"hidden","reason":"unlock-method-native"}"#
        );
        assert_eq!(serde_json::to_string(&ButtonState::Visible).unwrap(), r#"{"state":"visible"}"#);
    }

    #[test]
    fn tagged_answers_are_read_as_they_are_written() {
        for state in [ButtonState::Visible, ButtonState::Hidden(HiddenReason::MemberSuspended)] {
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<ButtonState>(&json).unwrap(), state, "{json}");
        }
        for decision in [Decision::Allow { until: 7 }, Decision::Refuse { reason: AccessRefusal::TapOnly }] {
            let json = serde_json::to_string(&decision).unwrap();
            assert_eq!(serde_json::from_str::<Decision>(&json).unwrap(), decision, "{json}");
        }
        // The tag may come last, and a service may say more.
        let json = r#"{"reason":"expired","since":1,"decision":"refuse"}"#;
        let refuse = Decision::Refuse { reason: AccessRefusal::Expired };
        assert_eq!(serde_json::from_str::<Decision>(json).unwrap(), refuse);
        for json in [r#"{"state":"hidden"}"#, r#"{"reason":"expired"}"#, r#"{"state":"gone"}"#] {
            assert!(serde_json::from_str::<ButtonState>(json).is_err(), "{json}");
        }
        for json in [r#"{"decision":"allow"}"#, r#"{"decision":"refuse","until":1}"#, r#"{"until":1}"#] {
            assert!(serde_json::from_str::<Decision>(json).is_err(), "{json}");
        }
    }
}
