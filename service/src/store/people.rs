//! Members and their devices.

use keybutton_protocol::{
    api::{AccessGroupId, DeviceId, MemberId, OrganizationId},
    ids::{CredentialId, PublicKey},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a membership is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// The member may open doors.
    Active,
    /// The membership is suspended.
    Suspended,
    /// The membership has ended.
    Ended,
}

/// A person with an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its identifier.
    pub id: MemberId,
    /// Whose member.
    pub organization: OrganizationId,
    /// The `sub` of the member's session tokens, unique in the organization.
    pub subject: String,
    /// The member's name.
    pub name: String,
    /// Where the membership is in its life.
    pub state: MemberState,
    /// The vendor has confirmed the member's user.
    pub confirmed: bool,
    /// When the member was added.
    pub created: u32,
}

/// A member's hold of an access group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// The member.
    pub member: MemberId,
    /// The access group.
    pub group: AccessGroupId,
    /// From when, inclusive.
    pub valid_from: u32,
    /// Until when, exclusive.
    pub valid_until: u32,
}

/// A single-use nonce for enrolling a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// The nonce.
    pub nonce: [u8; 32],
    /// Who asked for it.
    pub member: MemberId,
    /// When it ends.
    pub expires: u32,
}

/// A phone with its device key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// Its identifier.
    pub id: DeviceId,
    /// Whose tenant.
    pub organization: OrganizationId,
    /// Whose phone.
    pub member: MemberId,
    /// The device key.
    pub public_key: PublicKey,
    /// What stands for the key in audit records.
    pub credential: CredentialId,
    /// What the member calls it.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// When it was enrolled.
    pub enrolled: u32,
    /// It is the member's primary device.
    pub primary: bool,
    /// When it was revoked.
    pub revoked: Option<u32>,
}
