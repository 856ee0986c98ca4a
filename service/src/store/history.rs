//! What was issued, revoked, recorded and reported.

use keybutton_protocol::api::{AppId, DeviceId, DoorId, MemberId, OrganizationId, SiteId};

use crate::issue::rights::KeyRights;

/// An access key that was issued: the newest document under one access identifier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessKey {
    /// The access identifier.
    pub access_id: [u8; 8],
    /// Whose tenant.
    pub organization: OrganizationId,
    /// Whose key.
    pub member: MemberId,
    /// For which device.
    pub device: DeviceId,
    /// For which site.
    pub site: SiteId,
    /// Through which Branded App.
    pub app: AppId,
    /// The iteration in the document.
    pub iteration: u32,
    /// When the document was signed.
    pub signed: u32,
    /// When it ends.
    pub valid_until: u32,
    /// What it was issued for.
    pub rights: KeyRights,
    /// When it was revoked.
    pub revoked: Option<u32>,
}

/// A site's newest Revocation Document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevocationDocument {
    /// The site.
    pub site: SiteId,
    /// The signing key (id) that signed it.
    pub signing_key: String,
    /// Its iteration.
    pub iteration: u32,
    /// When it was signed.
    pub signed: u32,
    /// When it ends.
    pub valid_until: u32,
    /// The CBOR `Document`.
    pub document: Vec<u8>,
}

/// One record of a lock's audit, verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRecord {
    /// Its number.
    pub number: u32,
    /// The 96 bytes.
    pub record: Vec<u8>,
    /// Its hash.
    pub hash: [u8; 32],
    /// The press it belongs to.
    pub press: [u8; 16],
}

/// The newest ACK token of a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ack {
    /// The lock.
    pub lock: String,
    /// The number it acknowledges.
    pub number: u32,
    /// The token (COSE_Sign1).
    pub token: Vec<u8>,
}

/// What one side says about a press.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Press {
    /// Whose tenant.
    pub organization: OrganizationId,
    /// The press id.
    pub press: [u8; 16],
    /// Who pressed.
    pub member: Option<MemberId>,
    /// With what.
    pub device: Option<DeviceId>,
    /// At which door.
    pub door: Option<DoorId>,
    /// The phone's account, JSON.
    pub reported: Option<String>,
    /// The lock's account, JSON: the truth where both speak.
    pub witnessed: Option<String>,
    /// When the first account of it came in.
    pub at: u32,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its number; 0 before it is stored.
    pub seq: i64,
    /// Whose tenant.
    pub organization: OrganizationId,
    /// When.
    pub at: u32,
    /// What happened, kebab-case.
    pub kind: String,
    /// Who did it.
    pub actor: String,
    /// The member it is about.
    pub member: Option<MemberId>,
    /// The device it is about.
    pub device: Option<DeviceId>,
    /// The door it is about.
    pub door: Option<DoorId>,
    /// Particulars, JSON.
    pub data: String,
}
