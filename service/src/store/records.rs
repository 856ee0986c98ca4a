//! An organization's configuration, and what is read of it together.

use keybutton_protocol::{
    api::{AccessGroupId, AppId, DoorId, IntegrationKind, LockPolicy, OrganizationId, SiteId, UnlockMethod},
    ids::{GroupId, PublicKey, ReaderId, SubId},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AccessKey, Device, Member, Membership, RevocationDocument};
use crate::{
    access::{Restrictions, schedule::Schedule},
    issue::revocation::Entry,
};

/// A tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Organization {
    /// Its identifier.
    pub id: OrganizationId,
    /// Its name, shown to members.
    pub name: String,
    /// The Branded App module is on.
    pub module_enabled: bool,
    /// How many devices a member may have.
    pub device_cap: u16,
    /// When it was created.
    pub created: u32,
}

/// An operator's API key; only its hash is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorKey {
    /// Its identifier.
    pub id: String,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What the operator calls it.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// When it was made.
    pub created: u32,
    /// When it was revoked.
    pub revoked: Option<u32>,
}

/// A Branded App.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct App {
    /// Its identifier, unique over all organizations.
    pub id: AppId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What the operator calls it.
    pub name: String,
    /// The module is on for the app.
    pub enabled: bool,
    /// The `iss` its session tokens carry.
    pub issuer: String,
    /// The `aud` its session tokens carry.
    pub audience: String,
    /// Its key set (RFC 7517), JSON.
    pub jwks: String,
}

/// Locks that share one group identifier and one site CA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Its identifier.
    pub id: SiteId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its IANA time zone.
    pub zone: String,
    /// Its group identifier.
    pub group_id: GroupId,
    /// Its group resolving key, sealed.
    pub resolving_key: Vec<u8>,
    /// How long its keys live, hours.
    pub key_hours: u16,
    /// It is locked down.
    pub locked_down: bool,
}

/// What a signing key is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// Signs documents and tokens of a site.
    Issuer,
    /// Signs reader certificates of a site.
    SiteCa,
    /// Opens audit envelopes of an organization.
    Audit,
}

/// Where a signing key is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// Known to locks, not used yet.
    Standby,
    /// In use.
    Current,
    /// No longer used; locks still accept what it signed.
    Previous,
    /// Not given to locks any more.
    Retired,
}

/// A key pair of the service; the private half is in the key vault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SigningKey {
    /// Its identifier.
    pub id: String,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The site; absent for audit keys.
    pub site: Option<SiteId>,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it is in its life.
    pub state: KeyState,
    /// The public half.
    pub public_key: PublicKey,
    /// What the key vault finds the private half by.
    pub handle: Vec<u8>,
    /// When it was made.
    pub created: u32,
    /// The access iteration S of an issuer.
    pub access_iteration: u32,
    /// The revocation iteration R of an issuer.
    pub revocation_iteration: u32,
}

/// How an organization's doors are driven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Integration {
    /// Its identifier.
    pub id: String,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What drives the doors.
    pub kind: IntegrationKind,
    /// What the operator calls it.
    pub name: String,
    /// When it was connected.
    pub connected: u32,
    /// How members open.
    pub unlock_method: UnlockMethod,
}

/// A thing a person opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Door {
    /// Its identifier.
    pub id: DoorId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// Where it is.
    pub site: SiteId,
    /// What drives it.
    pub integration: String,
    /// Its name.
    pub name: String,
    /// It is locked down.
    pub locked_down: bool,
    /// What its lock is told at claiming.
    pub policy: LockPolicy,
    /// What the vendor calls it, where a vendor's SDK opens it.
    pub vendor_door: Option<String>,
}

/// The device on a door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lock {
    /// Its identifier.
    pub id: String,
    /// Whose it is.
    pub organization: OrganizationId,
    /// Its site.
    pub site: SiteId,
    /// Its door.
    pub door: DoorId,
    /// Its number in the site; never used again.
    pub number: u16,
    /// Its sub identifier.
    pub sub_id: SubId,
    /// Its reader key.
    pub reader_key: PublicKey,
    /// The signing keys (ids) it was given as issuers.
    pub issuers: Vec<String>,
    /// When it was claimed.
    pub claimed: u32,
    /// When another lock took its door.
    pub retired: Option<u32>,
}

impl Lock {
    /// The lock's reader identifier in its site's group.
    pub fn reader_id(&self, group: GroupId) -> ReaderId {
        ReaderId::new(group, self.sub_id)
    }
}

/// A claim code; only its hash is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimCode {
    /// SHA-256 of the code.
    pub hash: [u8; 32],
    /// Whose door it is for.
    pub organization: OrganizationId,
    /// The door.
    pub door: DoorId,
    /// When it ends.
    pub expires: u32,
}

/// A set of doors with a schedule and restrictions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessGroup {
    /// Its identifier.
    pub id: AccessGroupId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its doors.
    pub doors: Vec<DoorId>,
    /// Sites of which it has every door, later ones included.
    pub whole_sites: Vec<SiteId>,
    /// When its doors are open; `None` is around the clock.
    pub schedule: Option<Schedule>,
    /// What else has to hold.
    pub restrictions: Restrictions,
    /// From when it grants, inclusive.
    pub valid_from: u32,
    /// Until when it grants, exclusive.
    pub valid_until: u32,
}

/// One site with all that belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteState {
    /// The site.
    pub site: Site,
    /// Its issuers and its CA.
    pub keys: Vec<SigningKey>,
    /// Its locks, retired ones included.
    pub locks: Vec<Lock>,
    /// Its revocation list.
    pub revocations: Vec<Entry>,
    /// Its newest Revocation Document.
    pub revocation_document: Option<RevocationDocument>,
}

/// An organization's whole configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrganizationState {
    /// The organization.
    pub organization: Organization,
    /// Its audit key.
    pub audit_key: Option<SigningKey>,
    /// Its Branded Apps.
    pub apps: Vec<App>,
    /// Its sites.
    pub sites: Vec<SiteState>,
    /// Its integrations.
    pub integrations: Vec<Integration>,
    /// Its doors.
    pub doors: Vec<Door>,
    /// Its access groups.
    pub groups: Vec<AccessGroup>,
}

/// One member with all that belongs to them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberRecord {
    /// The member.
    pub member: Member,
    /// The access groups they hold.
    pub memberships: Vec<Membership>,
    /// Their devices, revoked ones left out, oldest first.
    pub devices: Vec<Device>,
    /// Their access keys, revoked and long expired ones left out.
    pub keys: Vec<AccessKey>,
    /// Uses that locks counted: access identifier, lock, count.
    pub uses: Vec<Uses>,
}

/// How often an access identifier opened a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Uses {
    /// The access identifier.
    pub access_id: [u8; 8],
    /// The lock.
    pub lock: String,
    /// How often.
    pub count: u32,
}
