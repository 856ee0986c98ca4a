//! What the parts of the bench stand on: a real service with an organization, doors, members and devices.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use keybutton_protocol::{
    api::{
        AccessGroupId, Bytes, Device, DeviceId, DoorId, EnrolDevice, EnrolmentChallenge, IssueKeys, KeyBundle, Rights,
    },
    keys::AuthenticationData,
};
use tempfile::TempDir;

use super::pair::PurePhone;
use crate::{
    failure::Failure,
    lock_host::LockFolder,
    organization::{DoorWish, EVERY_DAY, Organization},
    service_client::ServiceClient,
    service_host::ServiceHost,
    state::StateDir,
};

/// A service with a sample organization, in a temporary directory.
pub(super) struct Ground {
    pub(super) organization: Organization,
    pub(super) service: ServiceHost,
    pub(super) group: AccessGroupId,
    pub(super) state: StateDir,
    doors: Vec<DoorId>,
    // Last, so that everything in it is closed before it is removed.
    _dir: TempDir,
}

impl Ground {
    /// Lays the ground: doors as wished, claimed locks, and one access group with one weekly schedule for all doors.
    pub(super) async fn lay(wishes: Vec<DoorWish>) -> Result<Self, Failure> {
        let dir = TempDir::new().map_err(|error| Failure::file(&std::env::temp_dir(), &error))?;
        let state = StateDir::open(Some(dir.path().to_owned()))?;
        let service = ServiceHost::start(&state.service()?, ([127, 0, 0, 1], 0).into()).await?;
        let organization = Organization::found(&service, "Bench Coworking").await?;
        organization.set_module(true).await?;
        let mut doors = Vec::new();
        for wish in wishes {
            let folder = LockFolder::new(state.lock(&wish.name)?);
            let door = organization.add_door(wish).await?;
            let code = organization.claim_code(&door).await?;
            folder.claim(organization.client(), &code).await?;
            doors.push(door);
        }
        let (from, until) = hours_around_now();
        let group = organization.add_weekly_group("Members", &doors, &EVERY_DAY, &from, &until).await?;
        Ok(Self { organization, service, group, state, doors, _dir: dir })
    }

    /// A door, in the order of the wishes.
    pub(super) fn door(&self, number: usize) -> Result<&DoorId, Failure> {
        let missing = || Failure::new("bench-failed", "the bench has no such door", "Report this as a defect.");
        self.doors.get(number).ok_or_else(missing)
    }

    /// The folder of a door's lock.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        self.state.lock(name)
    }

    /// Adds a member who holds the access group, and returns calls as that member.
    pub(super) async fn member(&self, name: &str) -> Result<ServiceClient, Failure> {
        let member = self.organization.add_member(name).await?;
        // A grant that began today would cut today's hours, and the key would need a schedule of its own for them.
        self.organization.grant_since(&member, &self.group, unix_time().saturating_sub(7 * 86_400)).await?;
        let token = self.organization.token(name)?;
        Ok(self.organization.client().with_session(&token, &self.organization.app().0))
    }

    /// Enrols a phone of the pure pair.
    pub(super) async fn enrol(&self, member: &ServiceClient, phone: &PurePhone) -> Result<DeviceId, Failure> {
        let challenge: EnrolmentChallenge = member.post("/v1/devices/challenge", &serde_json::json!({})).await?;
        let refused = || Failure::new("bench-failed", "the bench can't enrol a phone", "Report this as a defect.");
        let nonce = <[u8; 32]>::try_from(&challenge.nonce.0[..]).map_err(|_| refused())?;
        let data = AuthenticationData::for_enrolment(&nonce);
        let proof = phone.signer().sign_shared(data.as_bytes()).map_err(|_| refused())?;
        let request = EnrolDevice {
            nonce: challenge.nonce,
            device_key: phone.key(),
            proof: Bytes::from(proof.as_bytes()),
            name: "bench".to_owned(),
            platform: "linux".to_owned(),
        };
        let device: Device = member.post("/v1/devices", &request).await?;
        Ok(device.id)
    }

    /// Makes phones of the pure pair that hold their keys; no member gets more than the service allows.
    pub(super) async fn phones(&self, count: usize) -> Result<Vec<PurePhone>, Failure> {
        let mut phones = Vec::with_capacity(count);
        let mut member = None;
        for number in 0..count {
            let client = match member.take().filter(|_| number % DEVICES_EACH != 0) {
                Some(client) => client,
                None => self.member(&format!("Member {}", number / DEVICES_EACH)).await?,
            };
            let mut phone = PurePhone::new()?;
            let device = self.enrol(&client, &phone).await?;
            let rights: Rights = client.get(&format!("/v1/me?device={}", device.0)).await?;
            let bundle: KeyBundle = client.post("/v1/keys", &IssueKeys { device }).await?;
            phone.install(rights, bundle)?;
            phones.push(phone);
            member = Some(client);
        }
        Ok(phones)
    }
}

/// Opening hours in the site's zone (an hour or two ahead of UTC) that now is well inside of.
fn hours_around_now() -> (String, String) {
    let hour = unix_time() / 3_600;
    (format!("{:02}:00", (hour + 20) % 24), format!("{:02}:00", (hour + 7) % 24))
}

fn unix_time() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

/// Devices for each member, below the service's cap.
pub(super) const DEVICES_EACH: usize = 8;
