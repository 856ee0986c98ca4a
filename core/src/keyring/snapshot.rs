use keybutton_protocol::{
    api::{Bytes, DoorId, Rights, SiteKeys},
    crypto::Crypto,
    ids::{Kpersistent, PublicKey, ReaderId, UnixTime},
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{AUDIT_MAX, AuditEnvelope, Keyring, Site};
use crate::{
    error::{ErrorCode, KeyError},
    json,
};

const VERSION: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    sites: Vec<&'a SiteKeys>,
    rights: Option<&'a Rights>,
    renew_after: Option<u32>,
    fast: Vec<FastKey>,
    audit: Vec<Audit>,
    opened: Vec<(&'a DoorId, u32)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    version: u32,
    sites: Vec<SiteKeys>,
    rights: Option<Rights>,
    renew_after: Option<u32>,
    fast: Vec<Kept>,
    audit: Vec<Kept>,
    opened: Vec<(DoorId, u32)>,
}

/// What is kept for one lock: read as one, since each kind of record weighs in an app.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    reader: Bytes,
    #[serde(rename = "key", alias = "envelope")]
    value: Bytes,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.value.0.zeroize();
    }
}

#[derive(Serialize)]
struct FastKey {
    reader: Bytes,
    key: Bytes,
}

impl Drop for FastKey {
    fn drop(&mut self) {
        self.key.0.zeroize();
    }
}

#[derive(Serialize)]
struct Audit {
    reader: Bytes,
    envelope: Bytes,
}

impl Keyring {
    /// Writes the keyring for the vault. Holds secrets: into the vault, and nowhere else.
    pub fn snapshot(&self) -> Zeroizing<Vec<u8>> {
        let fast = |(reader, key): (&ReaderId, &Kpersistent)| FastKey {
            reader: reader.as_bytes().into(),
            key: key.expose().into(),
        };
        let audit = |audit: &AuditEnvelope| Audit {
            reader: audit.reader_id.as_bytes().into(),
            envelope: (&audit.envelope).into(),
        };
        let written = Written {
            version: VERSION,
            sites: self.sites().map(Site::record).collect(),
            rights: self.rights.as_ref(),
            renew_after: self.renew_after.map(|time| time.0),
            fast: self.fast.iter().map(fast).collect(),
            audit: self.audit.iter().map(audit).collect(),
            opened: self.opened.iter().map(|(door, at)| (door, at.0)).collect(),
        };
        // Strings, numbers and lists only: writing them as JSON can't fail.
        Zeroizing::new(serde_json::to_vec(&written).unwrap_or_default())
    }

    /// Reads a keyring from the vault, and verifies every signature in it again.
    ///
    /// # Errors
    ///
    /// `vault-damaged` when it is not a snapshot of this version, was altered, or is for another device key.
    pub fn restore<C: Crypto>(snapshot: &[u8], device_key: &PublicKey, crypto: &C) -> Result<Self, KeyError> {
        const DAMAGED: KeyError = KeyError::new(ErrorCode::VaultDamaged);
        let read: Read = json::from_slice(snapshot).map_err(|_| DAMAGED)?;
        if read.version != VERSION || read.audit.len() > AUDIT_MAX {
            return Err(DAMAGED);
        }
        let mut keyring = Self {
            rights: read.rights,
            renew_after: read.renew_after.map(UnixTime),
            opened: read.opened.into_iter().map(|(door, at)| (door, UnixTime(at))).collect(),
            ..Self::default()
        };
        for record in read.sites {
            let site = Site::verify(record, device_key, crypto).map_err(|_| DAMAGED)?;
            keyring.sites.insert(site.group(), site);
        }
        for fast in &read.fast {
            let reader = ReaderId::from_slice(&fast.reader.0).ok_or(DAMAGED)?;
            keyring.put_fast_key(reader, Kpersistent::from_slice(&fast.value.0).ok_or(DAMAGED)?);
        }
        for audit in &read.audit {
            keyring.put_audit(ReaderId::from_slice(&audit.reader.0).ok_or(DAMAGED)?, audit.value.0.clone());
        }
        Ok(keyring)
    }
}
