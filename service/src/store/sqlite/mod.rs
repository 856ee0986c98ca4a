//! The embedded SQLite back end: write-ahead log, one writing connection, a few reading ones.

mod open;
mod read;
mod rows;
mod write;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use keybutton_protocol::api::{AppId, DeviceId, MemberId, OrganizationId, SiteId};
use sqlx::SqlitePool;

use super::{
    Ack, App, AuditRecord, ClaimCode, Device, Event, EventFilter, Member, MemberKey, MemberRecord, OpenError,
    OperatorKey, OrganizationState, Pending, Press, PressFilter, Store, StoreError, Unit,
};

/// An open SQLite database.
#[derive(Debug)]
pub struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    path: Option<PathBuf>,
    /// Held as long as the database is open: two services on one file would not see each other's changes.
    lock: Mutex<Option<File>>,
}

impl Sqlite {
    /// Opens a database file, or makes it; checks that it is whole and ours, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        open::file(path).await
    }

    /// Makes a database in memory, gone when it is closed.
    pub async fn in_memory() -> Result<Self, OpenError> {
        open::memory().await
    }

    /// The database file; `None` in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl Store for Sqlite {
    fn app<'a>(&'a self, id: &'a AppId) -> Pending<'a, Option<App>> {
        Box::pin(read::app(&self.readers, id))
    }

    fn operator_key<'a>(&'a self, hash: &'a [u8; 32]) -> Pending<'a, Option<OperatorKey>> {
        Box::pin(read::operator_key(&self.readers, hash))
    }

    fn operator_keys<'a>(&'a self, organization: &'a OrganizationId) -> Pending<'a, Vec<OperatorKey>> {
        Box::pin(read::operator_keys(&self.readers, organization))
    }

    fn organization<'a>(&'a self, id: &'a OrganizationId) -> Pending<'a, Option<OrganizationState>> {
        Box::pin(read::organization(&self.readers, id))
    }

    fn member<'a>(&'a self, organization: &'a OrganizationId, by: MemberKey<'a>) -> Pending<'a, Option<MemberRecord>> {
        Box::pin(read::member(&self.readers, organization, by))
    }

    fn members<'a>(
        &'a self,
        organization: &'a OrganizationId,
        after: Option<&'a MemberId>,
        limit: u32,
    ) -> Pending<'a, Vec<Member>> {
        Box::pin(read::members(&self.readers, organization, after, limit))
    }

    fn key_holders<'a>(&'a self, organization: &'a OrganizationId, now: u32) -> Pending<'a, Vec<MemberId>> {
        Box::pin(read::key_holders(&self.readers, organization, now))
    }

    fn device<'a>(&'a self, organization: &'a OrganizationId, id: &'a DeviceId) -> Pending<'a, Option<Device>> {
        Box::pin(read::device(&self.readers, organization, id))
    }

    fn device_by_credential<'a>(
        &'a self,
        organization: &'a OrganizationId,
        credential: &'a [u8; 16],
    ) -> Pending<'a, Option<Device>> {
        Box::pin(read::device_by_credential(&self.readers, organization, credential))
    }

    fn claim_code<'a>(&'a self, hash: &'a [u8; 32]) -> Pending<'a, Option<ClaimCode>> {
        Box::pin(read::claim_code(&self.readers, hash))
    }

    fn audit<'a>(&'a self, lock: &'a str, from: u32, limit: u32) -> Pending<'a, Vec<AuditRecord>> {
        Box::pin(read::audit(&self.readers, lock, from, limit))
    }

    fn acks<'a>(&'a self, site: &'a SiteId) -> Pending<'a, Vec<Ack>> {
        Box::pin(read::acks(&self.readers, site))
    }

    fn events<'a>(&'a self, organization: &'a OrganizationId, filter: &'a EventFilter) -> Pending<'a, Vec<Event>> {
        Box::pin(read::events(&self.readers, organization, filter))
    }

    fn presses<'a>(&'a self, organization: &'a OrganizationId, filter: &'a PressFilter) -> Pending<'a, Vec<Press>> {
        Box::pin(read::presses(&self.readers, organization, filter))
    }

    fn meta<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(read::meta(&self.readers, name))
    }

    fn commit<'a>(&'a self, units: &'a [Unit]) -> Pending<'a, Vec<Result<(), StoreError>>> {
        Box::pin(write::commit(&self.writer, units))
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async {
            self.readers.close().await;
            self.writer.close().await;
            self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
            Ok(())
        })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(inner)
                if inner.is_unique_violation() || inner.is_foreign_key_violation() || inner.is_check_violation() =>
            {
                Self::Conflict
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt("column"),
            other => Self::Database(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
