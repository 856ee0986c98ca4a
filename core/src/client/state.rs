//! What the core knows, and how it is kept in the vault.

use std::{collections::VecDeque, sync::Arc};

use keybutton_protocol::{
    api::{AppId, Bytes, DeviceId, MemberId, ReportPress},
    crypto::ring::Ring,
    ids::{PublicKey, UnixTime},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::config::StartError;
use crate::{discovery::Discovery, download::Session, json, keyring::Keyring, outcome::PressOutcome, vault::Vault};

const VERSION: u32 = 1;

/// Press reports that wait for an upload; beyond it the oldest goes. The lock's audit is the truth, they are not.
const REPORTS_MAX: usize = 64;

/// How many presses the support file tells about.
const HISTORY_MAX: usize = 32;

/// An entry of the vault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    Member,
    Keyring,
    Outbox,
}

impl Entry {
    pub(super) const ALL: [Self; 3] = [Self::Member, Self::Keyring, Self::Outbox];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Keyring => "keyring",
            Self::Outbox => "outbox",
        }
    }
}

/// Who is signed in, and as which device.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Member {
    version: u32,
    /// The service and the Branded App: the same member elsewhere is somebody else.
    pub(super) service: String,
    pub(super) app: AppId,
    /// From the session token, see `subject`.
    pub(super) subject: Bytes,
    pub(super) token: Zeroizing<String>,
    /// What the service calls the member, once it said so.
    pub(super) id: Option<MemberId>,
    pub(super) device: Option<Enrolled>,
}

/// This device, as it was enrolled.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrolled {
    pub(super) id: DeviceId,
    pub(super) key: Bytes,
    /// The service says that it does not know the device any more.
    pub(super) revoked: bool,
}

impl Enrolled {
    pub(super) fn public_key(&self) -> Option<PublicKey> {
        PublicKey::from_slice(&self.key.0)
    }
}

impl Member {
    pub(super) fn new(service: &str, app: &AppId, subject: Bytes, token: String) -> Self {
        let token = Zeroizing::new(token);
        Self { version: VERSION, service: service.to_owned(), app: app.clone(), subject, token, id: None, device: None }
    }

    /// The device, unless the service has given it up.
    pub(super) fn enrolled(&self) -> Option<&Enrolled> {
        self.device.as_ref().filter(|device| !device.revoked)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outbox {
    version: u32,
    reports: Vec<ReportPress>,
}

/// Everything behind the core's one lock.
#[derive(Default)]
pub(super) struct State {
    /// Raised by every sign-out: work begun before it must not write after it.
    pub(super) generation: u64,
    pub(super) session: Option<Arc<Session>>,
    pub(super) member: Option<Member>,
    pub(super) keyring: Keyring,
    /// The locks that presses heard: what tags mean is worth keeping from one press to the next.
    pub(super) discovery: Discovery,
    /// Raised when the sites of the keyring may have changed.
    pub(super) revision: u64,
    pub(super) reports: Vec<ReportPress>,
    /// The last presses, oldest first, for the support file.
    pub(super) history: VecDeque<(UnixTime, PressOutcome)>,
}

impl State {
    /// Reads the vault. A damaged entry is an error that names it; nothing is dropped.
    pub(super) fn load(vault: &dyn Vault, service: &str, app: &AppId, crypto: &Ring) -> Result<Self, StartError> {
        let mut state = Self::default();
        let Some(member) = read::<Member>(vault, Entry::Member)? else {
            return Ok(state);
        };
        // A changed address or app id is another organization's world: its member signs in anew, which wipes this.
        if (member.version, member.service.as_str(), &member.app) != (VERSION, service, app) {
            return if member.version == VERSION { Ok(state) } else { Err(damaged(Entry::Member)) };
        }
        let session = Session::new(member.token.as_str(), app.clone()).map_err(|_| damaged(Entry::Member))?;
        if let Some(device) = &member.device {
            let key = device.public_key().ok_or_else(|| damaged(Entry::Member))?;
            if let Some(snapshot) = vault.load(Entry::Keyring.name().to_owned())? {
                let snapshot = Zeroizing::new(snapshot);
                state.keyring = Keyring::restore(&snapshot, &key, crypto).map_err(|_| damaged(Entry::Keyring))?;
            }
        }
        if let Some(outbox) = read::<Outbox>(vault, Entry::Outbox)? {
            state.reports = outbox.reports;
        }
        state.session = Some(Arc::new(session));
        state.member = Some(member);
        Ok(state)
    }

    /// What the vault is to hold for an entry.
    pub(super) fn snapshot(&self, entry: Entry) -> Zeroizing<Vec<u8>> {
        // Strings, numbers and lists only: writing them as JSON can't fail.
        let json = match entry {
            Entry::Member => self.member.as_ref().map(serde_json::to_vec),
            Entry::Keyring => return self.keyring.snapshot(),
            Entry::Outbox => Some(serde_json::to_vec(&Outbox { version: VERSION, reports: self.reports.clone() })),
        };
        Zeroizing::new(json.and_then(Result::ok).unwrap_or_default())
    }

    /// Forgets everything and makes work in progress stale.
    pub(super) fn clear(&mut self) {
        *self = Self { generation: self.generation + 1, revision: self.revision + 1, ..Self::default() };
    }

    /// The sites of the keyring may have changed: what tags mean has, too.
    pub(super) fn keyring_changed(&mut self) {
        self.revision += 1;
        self.discovery.keyring_changed();
    }

    pub(super) fn remember(&mut self, began: UnixTime, outcome: PressOutcome) {
        if self.history.len() >= HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back((began, outcome));
    }

    pub(super) fn push_report(&mut self, report: ReportPress) {
        if self.reports.len() >= REPORTS_MAX {
            self.reports.remove(0);
        }
        self.reports.push(report);
    }
}

fn read<T: DeserializeOwned>(vault: &dyn Vault, entry: Entry) -> Result<Option<T>, StartError> {
    let Some(value) = vault.load(entry.name().to_owned())?.map(Zeroizing::new) else { return Ok(None) };
    json::from_slice(&value).map(Some).map_err(|_| damaged(entry))
}

fn damaged(entry: Entry) -> StartError {
    StartError::VaultEntry { entry: entry.name() }
}
