//! The keyring: the access keys this phone holds, and what it carries between locks and the service.
//!
//! Whatever the service signed is verified before it is kept, and again when the vault is read. Secrets leave only in
//! [`Keyring::snapshot`], which belongs into the vault and nowhere else.

mod site;
mod snapshot;

use std::{collections::VecDeque, fmt};

use keybutton_protocol::{
    api::{AckToken, DoorId, KeyBundle, Rights},
    crypto::Crypto,
    ids::{GroupId, Kpersistent, PublicKey, ReaderId, UnixTime},
};

pub use self::site::{Lock, Site};
use crate::{
    error::{ErrorCode, KeyError},
    pairs::Pairs,
};

/// The most audit envelopes that wait for an upload. When there are more the oldest goes: its lock keeps the records
/// until it sees the service's acknowledgement, and hands them over again.
pub const AUDIT_MAX: usize = 64;

/// A lock's audit envelope on its way to the service. Sealed: the phone can neither read nor alter it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEnvelope {
    /// The lock.
    pub reader_id: ReaderId,
    /// `enc || ciphertext`.
    pub envelope: Vec<u8>,
}

/// The access keys of one member on one phone.
#[derive(Default)]
pub struct Keyring {
    sites: Pairs<GroupId, Site>,
    rights: Option<Rights>,
    renew_after: Option<UnixTime>,
    fast: Pairs<ReaderId, Kpersistent>,
    audit: VecDeque<AuditEnvelope>,
    opened: Pairs<DoorId, UnixTime>,
}

impl Keyring {
    /// Makes an empty keyring.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a download over: all of it, or nothing when any part of it is not sound.
    ///
    /// Sites that are not in it are given up, with everything held for them. What the phone knows better (a newer
    /// Revocation Document, a newer acknowledgement) stays. Kpersistent of a site goes with its access key.
    ///
    /// # Errors
    ///
    /// `service-failed` when something in the download is not signed by the issuer, or not for this device key.
    pub fn install<C: Crypto>(
        &mut self,
        bundle: KeyBundle,
        device_key: &PublicKey,
        crypto: &C,
    ) -> Result<(), KeyError> {
        let mut sites = Pairs::new();
        for record in bundle.sites {
            let site = Site::verify(record, device_key, crypto)?;
            if sites.insert(site.group(), site).is_some() {
                return Err(ErrorCode::ServiceFailed.into());
            }
        }
        self.fast.retain(|reader, _| {
            let group = reader.group();
            sites.get(&group).zip(self.sites.get(&group)).is_some_and(|(new, old)| new.keeps_fast_keys_of(old))
        });
        for (group, site) in sites.iter_mut() {
            if let Some(former) = self.sites.get(group) {
                site.keep_newest(former);
            }
        }
        self.sites = sites;
        self.renew_after = Some(UnixTime(bundle.renew_after));
        Ok(())
    }

    /// Takes the service's answer about the member's rights over.
    pub fn set_rights(&mut self, rights: Rights) {
        self.rights = Some(rights);
    }

    /// The service's last answer about the member's rights.
    pub const fn rights(&self) -> Option<&Rights> {
        self.rights.as_ref()
    }

    /// The sites with a key.
    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        self.sites.values()
    }

    /// The site with this group identifier.
    pub fn site(&self, group: GroupId) -> Option<&Site> {
        self.sites.get(&group)
    }

    /// The site and lock of a door; `None` when no key is held for the door's site.
    pub fn door(&self, door: &DoorId) -> Option<(&Site, &Lock)> {
        self.sites().find_map(|site| Some((site, site.lock_of(door)?)))
    }

    /// The site and lock with this reader identifier.
    pub fn reader(&self, reader: ReaderId) -> Option<(&Site, &Lock)> {
        let site = self.site(reader.group())?;
        Some((site, site.lock_sub(reader.sub())?))
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.sites.len() == 0
    }

    /// When the phone should download keys anew: at half of the shortest validity, or earlier if the service says so.
    /// `None` when it never downloaded any.
    pub fn renew_after(&self) -> Option<UnixTime> {
        let of_sites = self.sites().map(Site::renew_after).min();
        self.renew_after.into_iter().chain(of_sites).min()
    }

    /// Whether keys should be downloaded anew now.
    pub fn is_due(&self, now: UnixTime) -> bool {
        self.renew_after().is_none_or(|due| due <= now)
    }

    /// Has the next contact download keys anew: a lock wants newer ones.
    pub fn want_newer(&mut self) {
        self.renew_after = Some(UnixTime(0));
    }

    /// The secret shared with a lock that was opened before with the same access key.
    pub fn fast_key(&self, reader: ReaderId) -> Option<&Kpersistent> {
        self.fast.get(&reader)
    }

    /// Keeps the secret that a granted standard transaction agreed on. Ignored for a lock of no known site.
    pub fn put_fast_key(&mut self, reader: ReaderId, key: Kpersistent) {
        if self.reader(reader).is_some() {
            self.fast.insert(reader, key);
        }
    }

    /// Forgets the secret shared with a lock: the next press there has to sign.
    pub fn drop_fast_key(&mut self, reader: ReaderId) {
        self.fast.remove(&reader);
    }

    /// Keeps a lock's audit envelope until the service has it.
    pub fn put_audit(&mut self, reader_id: ReaderId, envelope: Vec<u8>) {
        let envelope = AuditEnvelope { reader_id, envelope };
        if self.audit.contains(&envelope) {
            return;
        }
        if self.audit.len() == AUDIT_MAX {
            self.audit.pop_front();
        }
        self.audit.push_back(envelope);
    }

    /// The audit envelopes that wait for an upload, oldest first.
    pub fn pending_audit(&self) -> impl Iterator<Item = &AuditEnvelope> {
        self.audit.iter()
    }

    /// Drops an uploaded envelope, and keeps the service's acknowledgement for the lock if it verifies.
    pub fn audit_acknowledged<C: Crypto>(&mut self, uploaded: &AuditEnvelope, ack: &AckToken, crypto: &C) {
        self.drop_audit(uploaded);
        if let Some(site) = self.sites.get_mut(&uploaded.reader_id.group()) {
            site.accept_ack(ack, crypto);
        }
    }

    /// Drops an envelope that the service will never take.
    pub fn drop_audit(&mut self, envelope: &AuditEnvelope) {
        self.audit.retain(|held| held != envelope);
    }

    /// Remembers that a door was opened, for the order of equals.
    pub fn opened(&mut self, door: DoorId, now: UnixTime) {
        self.opened.insert(door, now);
    }

    /// When a door was opened last from this phone.
    pub fn last_opened(&self, door: &DoorId) -> Option<UnixTime> {
        self.opened.get(door).copied()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("sites", &self.sites.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
