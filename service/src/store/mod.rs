//! What the service remembers: one trait, one conformance suite, one back end (embedded SQLite).
//!
//! Reads return whole records. Writes are [`Unit`]s: lists of [`Change`]s that happen together or not at all. A back end
//! commits many units in one transaction, each in a savepoint of its own, so that one failing unit doesn't disturb the
//! others.

mod change;
#[cfg(test)]
pub(crate) mod conformance;
mod history;
mod people;
mod records;
pub mod sqlite;
mod writer;

use std::{future::Future, path::PathBuf, pin::Pin};

use keybutton_protocol::api::{AppId, DeviceId, DoorId, MemberId, OrganizationId, SiteId};
use thiserror::Error;

pub use self::{change::Change, history::*, people::*, records::*, writer::Writer};

/// A future that a store returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Changes that happen together or not at all.
pub type Unit = Vec<Change>;

/// What remembers everything. Every read is scoped to one organization unless its key is unique over all.
pub trait Store: Send + Sync + 'static {
    /// Reads a Branded App.
    fn app<'a>(&'a self, id: &'a AppId) -> Pending<'a, Option<App>>;

    /// Reads the operator key with a hash, revoked ones left out.
    fn operator_key<'a>(&'a self, hash: &'a [u8; 32]) -> Pending<'a, Option<OperatorKey>>;

    /// Lists an organization's operator keys, revoked ones left out.
    fn operator_keys<'a>(&'a self, organization: &'a OrganizationId) -> Pending<'a, Vec<OperatorKey>>;

    /// Reads an organization's whole configuration.
    fn organization<'a>(&'a self, id: &'a OrganizationId) -> Pending<'a, Option<OrganizationState>>;

    /// Reads a member by id or by the subject of their session tokens.
    fn member<'a>(&'a self, organization: &'a OrganizationId, by: MemberKey<'a>) -> Pending<'a, Option<MemberRecord>>;

    /// Lists members, at most `limit`, from after an id on, in order of id.
    fn members<'a>(
        &'a self,
        organization: &'a OrganizationId,
        after: Option<&'a MemberId>,
        limit: u32,
    ) -> Pending<'a, Vec<Member>>;

    /// The members that have access keys which are neither revoked nor expired at `now`.
    fn key_holders<'a>(&'a self, organization: &'a OrganizationId, now: u32) -> Pending<'a, Vec<MemberId>>;

    /// Reads a device, revoked ones included.
    fn device<'a>(&'a self, organization: &'a OrganizationId, id: &'a DeviceId) -> Pending<'a, Option<Device>>;

    /// Reads the device that a credential in an audit record stands for, the newest enrolment first.
    fn device_by_credential<'a>(
        &'a self,
        organization: &'a OrganizationId,
        credential: &'a [u8; 16],
    ) -> Pending<'a, Option<Device>>;

    /// Reads a claim code by its hash.
    fn claim_code<'a>(&'a self, hash: &'a [u8; 32]) -> Pending<'a, Option<ClaimCode>>;

    /// Reads a lock's audit, at most `limit` records from a number on.
    fn audit<'a>(&'a self, lock: &'a str, from: u32, limit: u32) -> Pending<'a, Vec<AuditRecord>>;

    /// Reads the newest ACK tokens of a site's locks.
    fn acks<'a>(&'a self, site: &'a SiteId) -> Pending<'a, Vec<Ack>>;

    /// Lists events, newest first.
    fn events<'a>(&'a self, organization: &'a OrganizationId, filter: &'a EventFilter) -> Pending<'a, Vec<Event>>;

    /// Lists presses, newest first.
    fn presses<'a>(&'a self, organization: &'a OrganizationId, filter: &'a PressFilter) -> Pending<'a, Vec<Press>>;

    /// Reads a value of the service's own.
    fn meta<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Vec<u8>>>;

    /// Commits units in one transaction. A unit that fails leaves nothing behind and doesn't disturb the others.
    fn commit<'a>(&'a self, units: &'a [Unit]) -> Pending<'a, Vec<Result<(), StoreError>>>;

    /// Finishes writing and closes what is open.
    fn close(&self) -> Pending<'_, ()>;
}

/// How a member is looked up.
#[derive(Clone, Copy, Debug)]
pub enum MemberKey<'a> {
    /// By the service's identifier.
    Id(&'a MemberId),
    /// By the `sub` of a session token.
    Subject(&'a str),
}

/// Which events to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventFilter {
    /// Only this kind.
    pub kind: Option<String>,
    /// Only about this member.
    pub member: Option<MemberId>,
    /// Only about this door.
    pub door: Option<DoorId>,
    /// From when, inclusive.
    pub from: u32,
    /// Until when, exclusive.
    pub until: Option<u32>,
    /// Only numbers below this one: the page before it.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: u32,
}

/// Which presses to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PressFilter {
    /// Only by this member.
    pub member: Option<MemberId>,
    /// Only at this door.
    pub door: Option<DoorId>,
    /// Only this press.
    pub press: Option<[u8; 16]>,
    /// At most so many.
    pub limit: u32,
}

/// Why the store fails.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// Something with the same identity exists, or something refers to what is to be removed.
    #[error("conflicts with what is stored")]
    Conflict,
    /// What a unit relies on is gone: a single-use code or nonce was used already.
    #[error("no longer there")]
    Gone,
    /// The database fails.
    #[error("database failed: {0}")]
    Database(String),
    /// A stored value does not decode.
    #[error("stored {0} does not decode")]
    Corrupt(&'static str),
}

/// Why a database can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file can't be created, opened or locked.
    #[error(
        "database {path} can't be opened: {reason}. Check that the folder exists, that the service may write there and that no other service uses the file"
    )]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is not a database, or is damaged.
    #[error(
        "database {path} is damaged: {reason}. Nothing was changed. Restore the file from a backup, or move it away together with its -wal and -shm files to begin with an empty one"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check found.
        reason: String,
    },
    /// The file is a database of another program.
    #[error("database {path} belongs to another program. Nothing was changed. Name another file with --database")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error(
        "database {path} has schema {found}, this version knows {known}. Nothing was changed. Start a newer keybutton-service, or restore the backup made before the upgrade"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema in the file.
        found: i64,
        /// The newest schema this version knows.
        known: i64,
    },
    /// A migration failed; it was rolled back.
    #[error("database {path} can't be upgraded: {reason}. The upgrade was rolled back; keep the file and report this")]
    Migration {
        /// The file.
        path: PathBuf,
        /// What failed.
        reason: String,
    },
}
