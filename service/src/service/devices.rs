//! Devices: challenge, enrolment, list, revocation.

use axum::http::HeaderMap;
use keybutton_protocol::{
    api::{self, DeviceId, EnrolDevice, EnrolmentChallenge},
    crypto::{Crypto, ring::Ring},
    document::credential_id,
    ids::{PublicKey, Signature},
    keys::AuthenticationData,
};
use serde_json::json;

use super::{Draft, OrgView, Scope, Service, calls::Hold};
use crate::{
    events,
    problem::{Answer, Code, Problem},
    random,
    store::{Challenge, Change, Device, Event, MemberRecord, MemberState, StoreError},
};

/// How long a challenge counts, seconds.
const CHALLENGE_S: u32 = 300;

const PLATFORMS: [&str; 5] = ["ios", "android", "linux", "macos", "windows"];

impl Service {
    /// `POST /v1/devices/challenge`: a nonce that enrols one device, once.
    pub(crate) async fn challenge(&self, headers: &HeaderMap) -> Answer<EnrolmentChallenge> {
        let call = self.member_call(headers, Hold::Shared).await?;
        let member = &call.member()?.record.member;
        let nonce: [u8; 32] = random::bytes()?;
        let expires = call.now.saturating_add(CHALLENGE_S);
        let challenge = Challenge { nonce, member: member.id.clone(), expires };
        self.inner.writer.commit(vec![Change::AddChallenge(challenge, call.now)]).await?;
        Ok(EnrolmentChallenge { nonce: nonce.into(), expires })
    }

    /// `POST /v1/devices`: enrols a device; the same key of the same member again is the same device.
    pub(crate) async fn enrol(&self, headers: &HeaderMap, request: &EnrolDevice) -> Answer<api::Device> {
        let key = PublicKey::from_slice(&request.device_key.0)
            .filter(|key| Ring::new().check_point(key).is_ok())
            .ok_or_else(|| Problem::field("device_key", "is not a P-256 point of 65 bytes"))?;
        let nonce: [u8; 32] =
            request.nonce.0.as_slice().try_into().map_err(|_| Problem::field("nonce", "is not 32 bytes"))?;
        let name = request.name.trim();
        if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
            return Err(Problem::field("name", "has to be 1 to 64 printable characters"));
        }
        if !PLATFORMS.contains(&request.platform.as_str()) {
            return Err(Problem::field("platform", "has to be ios, android, linux, macos or windows"));
        }
        let proof = Signature::from_slice(&request.proof.0).ok_or(Code::ProofInvalid)?;
        let data = AuthenticationData::for_enrolment(&nonce);
        Ring::new().verify(&key, data.as_bytes(), &proof).map_err(|_| Problem::new(Code::ProofInvalid))?;

        let call = self.member_call(headers, Hold::Alone).await?;
        let member = &call.member()?.record;
        if member.member.state != MemberState::Active {
            return Err(Code::MemberSuspended.into());
        }
        let take = Change::TakeChallenge(nonce, member.member.id.clone(), call.now);
        if let Some(known) = member.devices.iter().find(|device| device.public_key == key) {
            self.inner.writer.commit(vec![take]).await.map_err(challenge_gone)?;
            return Ok(to_api(known));
        }
        let cap = usize::from(call.org.state.organization.device_cap);
        if member.devices.len() >= cap {
            let devices = member.devices.iter().map(to_api).collect();
            return Err(Problem { devices, ..Problem::new(Code::DeviceLimitReached) });
        }
        let device = Device {
            id: DeviceId(random::id("dev")?),
            organization: call.organization().clone(),
            member: member.member.id.clone(),
            public_key: key,
            credential: credential_id(&Ring::new(), &key),
            name: name.to_owned(),
            platform: request.platform.clone(),
            enrolled: call.now,
            primary: member.devices.is_empty(),
            revoked: None,
        };
        let mut next = member.clone();
        next.devices.push(device.clone());
        let mut draft = Draft::member(&call.org, vec![next], Scope::Nobody);
        draft.unit.extend([take, Change::PutDevice(device.clone())]);
        let event = events::by_member(call.organization(), call.now, "device-enrolled", &member.member.id);
        let data = json!({ "name": device.name, "platform": device.platform, "primary": device.primary });
        draft.event(events::with_device(event, &device.id).data(&data));
        self.commit(draft, call.now).await.map_err(|problem| match problem.code {
            Code::NotFound => Code::ChallengeInvalid.into(),
            Code::Conflict => Code::DeviceKeyInUse.into(),
            _ => problem,
        })?;
        Ok(to_api(&device))
    }

    /// `GET /v1/devices`: the member's devices.
    pub(crate) async fn devices(&self, headers: &HeaderMap) -> Answer<Vec<api::Device>> {
        let call = self.member_call(headers, Hold::Shared).await?;
        Ok(call.member()?.record.devices.iter().map(to_api).collect())
    }

    /// `DELETE /v1/devices/{id}`: the member gives a device up.
    pub(crate) async fn revoke_own_device(&self, headers: &HeaderMap, id: &DeviceId) -> Answer<()> {
        let call = self.member_call(headers, Hold::Alone).await?;
        let subject = call.member()?.record.member.id.clone();
        let actor = format!("member:{subject}");
        let member = self.member_by_id(call.organization(), &subject).await?.ok_or(Code::UnknownMember)?;
        self.revoke_device(&call.org, member, id, &actor, call.now).await.map(drop)
    }

    /// Revokes a device with every key it holds. Returns how many keys that were.
    pub(crate) async fn revoke_device(
        &self,
        org: &OrgView,
        mut member: MemberRecord,
        id: &DeviceId,
        actor: &str,
        now: u32,
    ) -> Answer<usize> {
        let at = member.devices.iter().position(|device| device.id == *id).ok_or(Code::NotFound)?;
        let device = member.devices.remove(at);
        let mut unit = vec![Change::RevokeDevice(device.id.clone(), now)];
        // The oldest of those that remain takes over.
        if device.primary
            && let Some(heir) = member.devices.first_mut()
        {
            heir.primary = true;
            unit.push(Change::PutDevice(heir.clone()));
        }
        let event = revoked_event(org, &member, &device, actor, now);
        let mut draft = Draft::member(org, vec![member], Scope::Drafted);
        draft.revoked_devices.push(device);
        draft.unit.extend(unit);
        draft.event(event);
        self.commit(draft, now).await
    }
}

fn revoked_event(org: &OrgView, member: &MemberRecord, device: &Device, actor: &str, now: u32) -> Event {
    let event = events::by(&org.state.organization.id, now, "device-revoked", actor).member(&member.member.id);
    events::with_device(event, &device.id).data(&json!({ "name": device.name, "platform": device.platform }))
}

fn challenge_gone(error: StoreError) -> Problem {
    match error {
        StoreError::Gone => Code::ChallengeInvalid.into(),
        other => other.into(),
    }
}

/// A device as members and operators see it.
pub(crate) fn to_api(device: &Device) -> api::Device {
    api::Device {
        id: device.id.clone(),
        name: device.name.clone(),
        platform: device.platform.clone(),
        enrolled: device.enrolled,
        primary: device.primary,
    }
}
