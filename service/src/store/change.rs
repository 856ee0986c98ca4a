//! Everything that can change in the store.

use keybutton_protocol::api::{AccessGroupId, DeviceId, DoorId, MemberId, SiteId};

use super::{
    AccessGroup, AccessKey, Ack, App, AuditRecord, Challenge, ClaimCode, Device, Door, Event, Integration, Lock,
    Member, Membership, OperatorKey, Organization, Press, RevocationDocument, SigningKey, Site,
};
use crate::issue::revocation::Entry;

/// One change. `Put` adds, or replaces what has the same identity and the same organization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Puts a value of the service's own.
    PutMeta(&'static str, Vec<u8>),
    /// Puts an organization.
    PutOrganization(Organization),
    /// Puts an operator key.
    PutOperatorKey(OperatorKey),
    /// Puts a Branded App. An id that another organization owns is a conflict.
    PutApp(App),
    /// Puts a site.
    PutSite(Site),
    /// Puts a signing key.
    PutSigningKey(SigningKey),
    /// Puts an integration.
    PutIntegration(Integration),
    /// Puts a door.
    PutDoor(Door),
    /// Removes a door without a lock; a door that has or had one is a conflict.
    RemoveDoor(DoorId),
    /// Puts a lock.
    PutLock(Lock),
    /// Adds a claim code and drops the door's earlier ones.
    AddClaimCode(ClaimCode),
    /// Uses a claim code up; gone when it is not there or has expired at the time given.
    TakeClaimCode([u8; 32], u32),
    /// Puts an access group.
    PutGroup(AccessGroup),
    /// Removes an access group and everybody's hold of it.
    RemoveGroup(AccessGroupId),
    /// Puts a member.
    PutMember(Member),
    /// Puts a member's hold of a group.
    PutMembership(Membership),
    /// Removes a member's hold of a group.
    RemoveMembership(MemberId, AccessGroupId),
    /// Adds a challenge and drops expired ones.
    AddChallenge(Challenge, u32),
    /// Uses a member's challenge up; gone when it is not there or has expired at the time given.
    TakeChallenge([u8; 32], MemberId, u32),
    /// Puts a device.
    PutDevice(Device),
    /// Marks a device as revoked at a time, unless it is already.
    RevokeDevice(DeviceId, u32),
    /// Puts an access key; one that was revoked is gone.
    PutAccessKey(AccessKey),
    /// Marks an access key as revoked at a time.
    RevokeAccessKey([u8; 8], u32),
    /// Replaces a site's revocation list.
    PutRevocations(SiteId, Vec<Entry>),
    /// Puts a site's Revocation Document.
    PutRevocationDocument(RevocationDocument),
    /// Adds a record to a lock's audit, stored at a time. A number that is there already is a conflict.
    AddAudit(String, AuditRecord, u32),
    /// Puts a lock's ACK token.
    PutAck(Ack),
    /// Counts one use of an access identifier by a member at a lock.
    CountUse([u8; 8], MemberId, String),
    /// Joins one side's account of a press with what is known of it; the first account of each side stays.
    JoinPress(Press),
    /// Adds an event.
    AddEvent(Event),
}
