//! Rights and keys: what a member may see, and the access keys for it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use axum::http::HeaderMap;
use keybutton_protocol::{
    api::{
        AckToken, ButtonState, Bytes, DeviceId, DoorRights, HiddenReason, KeyBundle, Rights, SiteId, SiteKeys,
        SiteLock, UnlockMethod,
    },
    crypto::ring::Ring,
    document::issuer_kid,
};
use serde_json::json;

use super::{
    MemberCall, OrgView, Service,
    calls::Hold,
    sign::{REVOCATION_VALIDITY_S, resolving_key_label},
    view::Holder,
};
use crate::{
    access::{self, DeviceFacts, schedule::local_date},
    events,
    issue::{MAX_ELEMENTS, SitePlan},
    problem::{Answer, Code, Problem},
    random,
    store::{AccessKey, Change, Device, MemberRecord, SiteState, StoreError, Unit},
};

/// The access identifiers a member's keys go on with, by device and site.
#[derive(Debug)]
pub(crate) struct Issued(Mutex<HashMap<(DeviceId, SiteId), [u8; 8]>>);

impl Issued {
    pub(crate) fn new(keys: &[AccessKey]) -> Self {
        // In order of signing: the newest of several stays.
        Self(Mutex::new(keys.iter().map(|key| ((key.device.clone(), key.site.clone()), key.access_id)).collect()))
    }

    fn get(&self, device: &DeviceId, site: &SiteId) -> Option<[u8; 8]> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(&(device.clone(), site.clone())).copied()
    }

    fn put(&self, device: &DeviceId, site: &SiteId, access_id: [u8; 8]) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert((device.clone(), site.clone()), access_id);
    }
}

/// A key on its way to a phone: what is stored and what is sent.
struct Made {
    stored: AccessKey,
    sent: SiteKeys,
    left_out: Vec<u16>,
}

impl Service {
    /// `GET /v1/me`: what the member may see and open now.
    pub(crate) async fn rights(&self, headers: &HeaderMap, device: Option<&DeviceId>) -> Answer<Rights> {
        let call = self.member_call(headers, Hold::Shared).await?;
        let now = call.now;
        let organization = call.org.state.organization.name.clone();
        let Some(entry) = &call.member else {
            let button = ButtonState::Hidden(HiddenReason::UnknownMember);
            let member = keybutton_protocol::api::MemberId(call.subject.clone());
            return Ok(Rights { member, organization, button, doors: Vec::new(), now });
        };
        let member = &entry.record;
        let found = device.map(|id| member.devices.iter().find(|device| device.id == *id));
        let hidden = hidden(&call, member).or(match found {
            Some(None) => Some(HiddenReason::DeviceNotEnrolled),
            Some(Some(_)) | None => None,
        });
        let facts = found.flatten().map(|device| DeviceFacts { primary: device.primary });
        Ok(Rights {
            member: member.member.id.clone(),
            organization,
            button: hidden.map_or(ButtonState::Visible, ButtonState::Hidden),
            doors: doors(&call.org, &call, member, facts),
            now,
        })
    }

    /// `POST /v1/keys`: access keys for one device, one for each site.
    pub(crate) async fn issue_keys(&self, headers: &HeaderMap, device: &DeviceId) -> Answer<KeyBundle> {
        let call = self.member_call(headers, Hold::Shared).await?;
        if let Some(site) = call.org.state.sites.iter().find(|site| is_stale(site, call.now)) {
            let (organization, site) = (call.organization().clone(), site.site.id.clone());
            drop(call);
            self.renew_revocation(&organization, &site).await?;
            return Box::pin(self.issue_keys(headers, device)).await;
        }
        let entry = call.member()?;
        let member = &entry.record;
        if let Some(reason) = hidden(&call, member) {
            return Err(refusal(reason).into());
        }
        let device = member.devices.iter().find(|d| d.id == *device).ok_or(Code::DeviceNotEnrolled)?;
        let mut unit = Unit::new();
        let mut sites = Vec::new();
        let mut shortest = u32::MAX;
        for site in &call.org.state.sites {
            let keep = entry.issued.get(&device.id, &site.site.id);
            let Some(made) = self.make_key(&call, member, device, site, keep).await? else { continue };
            shortest = shortest.min(made.stored.valid_until - call.now.min(made.stored.valid_until));
            if !made.left_out.is_empty() {
                tracing::warn!(site = %site.site.id, locks = ?made.left_out, "access key has no room for every door");
            }
            unit.push(issued_event(&call, member, device, &made));
            unit.push(Change::PutAccessKey(made.stored));
            sites.push(made.sent);
        }
        let issued: Vec<_> = unit
            .iter()
            .filter_map(|change| match change {
                Change::PutAccessKey(key) => Some((key.site.clone(), key.access_id)),
                _ => None,
            })
            .collect();
        if !unit.is_empty() {
            self.inner.writer.commit(unit).await.map_err(|error| match error {
                // The key it would go on with was revoked meanwhile, by another process on the same store.
                StoreError::Gone => Problem::new(Code::Busy),
                other => other.into(),
            })?;
        }
        for (site, access_id) in issued {
            entry.issued.put(&device.id, &site, access_id);
        }
        let renew_after = call.now.saturating_add(if shortest == u32::MAX { 3600 } else { shortest / 2 });
        Ok(KeyBundle { sites, renew_after, now: call.now })
    }

    async fn make_key(
        &self,
        call: &MemberCall,
        member: &MemberRecord,
        device: &Device,
        site: &SiteState,
        keep: Option<[u8; 8]>,
    ) -> Answer<Option<Made>> {
        let Some(issuer) = site.issuer() else { return Ok(None) };
        let access_id = keep.map_or_else(random::bytes, Ok)?;
        let mut room = MAX_ELEMENTS;
        let holder = Holder { app: &call.app, member, device };
        let (plan, document) = loop {
            let plan = call.org.plan(&holder, site, keep, call.now, room);
            let Some(plan) = plan else { return Ok(None) };
            let group = site.site.group_id;
            match self.sign_access(issuer, device, group, &plan, access_id, call.now)? {
                Some(document) => break (plan, document),
                None => room = plan.elements.len().saturating_sub(1),
            }
            if room == 0 {
                return Err(Problem::new(Code::Internal).with_detail("one door's rights don't fit into a key"));
            }
        };
        let left_out = plan.left_out.clone();
        let sent = self.site_keys(call, site, &plan, document, access_id).await?;
        let stored = AccessKey {
            access_id,
            organization: call.organization().clone(),
            member: member.member.id.clone(),
            device: device.id.clone(),
            site: site.site.id.clone(),
            app: call.app.clone(),
            iteration: issuer.access_iteration,
            signed: call.now,
            valid_until: plan.valid_until,
            rights: plan.rights,
            revoked: None,
        };
        Ok(Some(Made { stored, sent, left_out }))
    }

    async fn site_keys(
        &self,
        call: &MemberCall,
        site: &SiteState,
        plan: &SitePlan,
        document: Vec<u8>,
        access_id: [u8; 8],
    ) -> Answer<SiteKeys> {
        let incomplete = || Problem::new(Code::Internal).with_detail("the site lacks a key");
        let issuer = site.issuer().ok_or_else(incomplete)?;
        let ca = site.key(crate::store::Purpose::SiteCa, crate::store::KeyState::Current).ok_or_else(incomplete)?;
        let resolving_key = self.inner.vault.unseal(&resolving_key_label(&site.site.id.0), &site.site.resolving_key)?;
        let opens = |number| plan.rights.doors.contains_key(&number);
        let locks = call.org.claimed(site).map(|(door, lock)| SiteLock {
            door: door.id.clone(),
            name: door.name.clone(),
            number: lock.number,
            sub_id: lock.sub_id.0.into(),
            tap_hint: door.policy.tap_hint,
            opens: opens(lock.number),
        });
        Ok(SiteKeys {
            site: site.site.id.clone(),
            name: site.site.name.clone(),
            group_id: site.site.group_id.0.into(),
            ca_key: ca.public_key.0.into(),
            group_resolving_key: Bytes(resolving_key.to_vec()),
            kid: issuer_kid(&Ring::new(), &issuer.public_key).0.into(),
            issuer_key: issuer.public_key.0.into(),
            locks: locks.collect(),
            document: Bytes(document),
            access_id: access_id.into(),
            signed: call.now,
            valid_from: plan.valid_from,
            valid_until: plan.valid_until,
            revocation_document: site.revocation_document.as_ref().map(|held| Bytes(held.document.clone())),
            time_token: Bytes(self.time_token(issuer, &site.site, call.now)?.to_vec()),
            ack_tokens: self.ack_tokens(site).await?,
        })
    }

    async fn ack_tokens(&self, site: &SiteState) -> Answer<Vec<AckToken>> {
        let acks = match self.inner.acks.get(&site.site.id) {
            Some(acks) => acks,
            None => {
                let acks = std::sync::Arc::new(self.store().acks(&site.site.id).await?);
                self.inner.acks.put(site.site.id.clone(), acks.clone());
                acks
            }
        };
        let token = |ack: &crate::store::Ack| {
            let lock = site.locks.iter().find(|lock| lock.id == ack.lock)?;
            Some(AckToken { sub_id: lock.sub_id.0.into(), token: Bytes(ack.token.clone()) })
        };
        Ok(acks.iter().filter_map(token).collect())
    }
}

/// A Revocation Document past half of its validity is renewed before it is handed out.
fn is_stale(site: &SiteState, now: u32) -> bool {
    site.revocation_document
        .as_ref()
        .is_some_and(|held| held.valid_until < now.saturating_add(REVOCATION_VALIDITY_S / 2))
}

fn issued_event(call: &MemberCall, member: &MemberRecord, device: &Device, made: &Made) -> Change {
    let key = &made.stored;
    let data = json!({
        "site": key.site, "access_id": random::hex(&key.access_id), "valid_until": key.valid_until,
        "iteration": key.iteration, "doors": key.rights.doors.len(), "left_out": made.left_out,
    });
    let event = events::by_member(call.organization(), call.now, "key-issued", &member.member.id);
    Change::AddEvent(events::with_device(event, &device.id).data(&data))
}

/// Why the Key Button is hidden from a member, if it is.
fn hidden(call: &MemberCall, member: &MemberRecord) -> Option<HiddenReason> {
    let org = &call.org;
    let standing = org.standing(&call.app, member);
    let mut today = false;
    let mut methods: Vec<UnlockMethod> = Vec::new();
    for door in &org.state.doors {
        for grant in org.grants(member, door) {
            // Held now or later today, on the site's calendar.
            let zone = org.zone(&door.site);
            let begins_today = local_date(zone, grant.from) <= local_date(zone, call.now) || grant.from <= call.now;
            if grant.until > call.now && begins_today {
                today = true;
                methods.push(org.door_facts(door).unlock_method);
            }
        }
    }
    access::hidden(standing, today, &methods)
}

fn doors(org: &OrgView, call: &MemberCall, member: &MemberRecord, device: Option<DeviceFacts>) -> Vec<DoorRights> {
    let standing = org.standing(&call.app, member);
    let mut rights = Vec::new();
    for door in &org.state.doors {
        let Some(site) = org.site(&door.site) else { continue };
        let horizon = call.now.saturating_add(u32::from(site.site.key_hours) * 3600);
        let lock = org.lock_on(door);
        let mut grants = org.grants(member, door);
        let used = lock.map_or(0, |lock| member.uses_at(lock, None));
        for limit in grants.iter_mut().filter_map(|grant| grant.restrictions.use_limit.as_mut()) {
            *limit = limit.saturating_sub(used);
        }
        let zone = org.zone(&door.site);
        let decision = access::decide(standing, org.door_facts(door), &grants, device, zone, call.now, horizon);
        rights.push(DoorRights {
            id: door.id.clone(),
            name: door.name.clone(),
            site: site.site.name.clone(),
            integration: org.kind(door),
            reader_id: lock.map(|lock| lock.reader_id(site.site.group_id).0.into()),
            vendor_door: door.vendor_door.clone(),
            decision: decision.decision(),
        });
    }
    rights
}

/// The problem that stands for a hidden reason.
const fn refusal(reason: HiddenReason) -> Code {
    match reason {
        HiddenReason::ModuleDisabled => Code::ModuleDisabled,
        HiddenReason::NotSignedIn => Code::MissingCredentials,
        HiddenReason::NoAccessGroup => Code::NoAccessGroup,
        HiddenReason::UnlockMethodNative => Code::UnlockMethodNative,
        HiddenReason::UserNotConfirmed => Code::UserNotConfirmed,
        HiddenReason::MemberSuspended => Code::MemberSuspended,
        HiddenReason::UnsupportedDevice | HiddenReason::DeviceNotEnrolled => Code::DeviceNotEnrolled,
        HiddenReason::UnknownMember => Code::UnknownMember,
    }
}
