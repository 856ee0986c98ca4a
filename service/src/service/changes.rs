//! Changes that may take rights: everything they touch is committed in one transaction with the revocations they cause.

use std::collections::BTreeMap;

use keybutton_protocol::api::{AppId, MemberId, OrganizationId, SiteId};
use serde_json::json;

use super::{OrgView, Service, calls::Hold};
use crate::{
    events, issue,
    issue::revocation::{CUT_OFF, Entry, Subject, revise},
    problem::{Answer, Code, Problem},
    random,
    store::{
        Change, Device, Event, KeyState, MemberKey, MemberRecord, OrganizationState, Purpose, RevocationDocument,
        SiteState, Unit,
    },
};

/// Whose keys a change may make worse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// Nobody's.
    Nobody,
    /// Those of everybody in the organization.
    Everybody,
    /// Those of the members that are part of the draft.
    Drafted,
}

/// A change in the making: how things will be, and what has to be written for it.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The configuration as it will be.
    pub(crate) state: OrganizationState,
    /// Members as they will be.
    pub(crate) members: Vec<MemberRecord>,
    /// Devices that are being revoked.
    pub(crate) revoked_devices: Vec<Device>,
    /// Whose keys have to be looked at.
    pub(crate) scope: Scope,
    /// What has to be written.
    pub(crate) unit: Unit,
    /// Apps whose settings change.
    pub(crate) apps: Vec<AppId>,
    /// The configuration changes, and not only members.
    pub(crate) configuration: bool,
}

impl Draft {
    /// A draft that changes the configuration.
    pub(crate) fn configuration(org: &OrgView, scope: Scope) -> Self {
        Self { configuration: true, ..Self::member(org, Vec::new(), scope) }
    }

    /// A draft that changes members only.
    pub(crate) fn member(org: &OrgView, members: Vec<MemberRecord>, scope: Scope) -> Self {
        Self {
            state: org.state.clone(),
            members,
            revoked_devices: Vec::new(),
            scope,
            unit: Unit::new(),
            apps: Vec::new(),
            configuration: false,
        }
    }

    /// Adds an event.
    pub(crate) fn event(&mut self, event: Event) {
        self.unit.push(Change::AddEvent(event));
    }
}

impl Service {
    /// Commits a draft: revokes the keys that stand for more than what remains, writes everything in one transaction and
    /// forgets what it has cached of it. To be called while holding the organization's gate alone.
    ///
    /// Returns how many keys were revoked.
    pub(crate) async fn commit(&self, mut draft: Draft, now: u32) -> Answer<usize> {
        let organization = draft.state.organization.id.clone();
        let members = self.affected(&draft, &organization, now).await?;
        let live = |key: &crate::store::AccessKey| key.valid_until > now;
        let view = members.iter().any(|member| member.keys.iter().any(live)).then(|| OrgView::new(draft.state.clone()));
        let mut lists: BTreeMap<SiteId, Vec<Entry>> = BTreeMap::new();
        let mut revoked = 0;
        for member in &members {
            for key in member.keys.iter().filter(|key| live(key)) {
                let device = draft.revoked_devices.iter().find(|device| device.id == key.device);
                let rights = view.as_ref().map(|view| view.rights_of(key, member, now)).unwrap_or_default();
                if device.is_none() && rights.cover(&key.rights, now, key.valid_until) {
                    continue;
                }
                let subject = match device {
                    Some(device) => Subject::Device(random::sha256(device.public_key.as_bytes())),
                    None => Subject::Access(key.access_id),
                };
                let entry = Entry { subject, expires: key.valid_until, revoked: now };
                lists.entry(key.site.clone()).or_default().push(entry);
                draft.unit.push(Change::RevokeAccessKey(key.access_id, now));
                let data = json!({ "site": key.site, "access_id": random::hex(&key.access_id) });
                let event = events::by(&organization, now, "key-revoked", events::SERVICE).member(&member.member.id);
                draft.event(events::with_device(event, &key.device).data(&data));
                revoked += 1;
            }
        }
        for (site, entries) in lists {
            let Some(site) = draft.state.sites.iter_mut().find(|known| known.site.id == site) else { continue };
            draft.unit.extend(self.revoke_at(site, &entries, now)?);
            draft.configuration = true;
        }
        self.inner.writer.commit(std::mem::take(&mut draft.unit)).await?;
        self.forget(&draft, &organization, &members);
        Ok(revoked)
    }

    /// Renews a site's Revocation Document.
    pub(crate) async fn renew_revocation(&self, organization: &OrganizationId, site: &SiteId) -> Answer<()> {
        let _gate = self.enter(organization, Hold::Alone).await;
        let org = self.org_view(organization).await?;
        let now = self.now();
        let mut draft = Draft::configuration(&org, Scope::Nobody);
        let site = draft.state.sites.iter_mut().find(|known| known.site.id == *site).ok_or(Code::NotFound)?;
        let changes = self.revoke_at(site, &[], now)?;
        draft.unit.extend(changes);
        self.commit(draft, now).await.map(drop)
    }

    /// Adds entries to a site's list and signs the document that says so.
    pub(crate) fn revoke_at(&self, site: &mut SiteState, entries: &[Entry], now: u32) -> Answer<Unit> {
        let mut revised = revise(&site.revocations, entries, now);
        let incomplete = || Problem::new(Code::Internal).with_detail("the site has no issuer");
        let issuer = site
            .keys
            .iter_mut()
            .find(|key| key.purpose == Purpose::Issuer && key.state == KeyState::Current)
            .ok_or_else(incomplete)?;
        issuer.revocation_iteration = issuer.revocation_iteration.saturating_add(1);
        let document = loop {
            match self.sign_revocation(issuer, &revised.entries, now)? {
                Some(document) => break document,
                None => revised.shorten(),
            }
        };
        let mut unit = Unit::new();
        if revised.cut_off {
            issuer.access_iteration = issuer.access_iteration.saturating_add(CUT_OFF);
            let data = json!({ "site": site.site.id, "access_iteration": issuer.access_iteration });
            let event = events::by(&site.site.organization, now, "access-iteration-raised", events::SERVICE);
            unit.push(Change::AddEvent(event.data(&data)));
        }
        let document = RevocationDocument {
            site: site.site.id.clone(),
            signing_key: issuer.id.clone(),
            iteration: issuer.revocation_iteration,
            signed: now,
            valid_until: now.saturating_add(super::sign::REVOCATION_VALIDITY_S),
            document,
        };
        unit.push(Change::PutSigningKey(issuer.clone()));
        site.revocations.clone_from(&revised.entries);
        site.revocation_document = Some(document.clone());
        unit.push(Change::PutRevocations(site.site.id.clone(), revised.entries));
        unit.push(Change::PutRevocationDocument(document));
        Ok(unit)
    }

    /// The members whose keys have to be looked at, as they will be.
    async fn affected(&self, draft: &Draft, organization: &OrganizationId, now: u32) -> Answer<Vec<MemberRecord>> {
        match draft.scope {
            Scope::Nobody => Ok(Vec::new()),
            Scope::Drafted => Ok(draft.members.clone()),
            Scope::Everybody => {
                let holders = self.store().key_holders(organization, now).await?;
                let mut records = Vec::with_capacity(holders.len());
                for id in holders {
                    match draft.members.iter().find(|record| record.member.id == id) {
                        Some(record) => records.push(record.clone()),
                        None => records.extend(self.member_by_id(organization, &id).await?),
                    }
                }
                Ok(records)
            }
        }
    }

    /// A member straight from the store.
    pub(crate) async fn member_by_id(
        &self,
        organization: &OrganizationId,
        id: &MemberId,
    ) -> Answer<Option<MemberRecord>> {
        Ok(self.store().member(organization, MemberKey::Id(id)).await?)
    }

    fn forget(&self, draft: &Draft, organization: &OrganizationId, affected: &[MemberRecord]) {
        if draft.configuration {
            self.inner.organizations.retain(|id| id != organization);
        }
        if !draft.apps.is_empty() {
            self.inner.apps.retain(|id| !draft.apps.contains(id));
        }
        let touched = draft.members.iter().chain(affected);
        let subjects: std::collections::HashSet<_> = touched.map(|record| record.member.subject.as_str()).collect();
        if !subjects.is_empty() {
            self.inner.members.retain(|(of, subject)| of != organization || !subjects.contains(subject.as_str()));
        }
    }

    /// Forgets an organization's members.
    pub(crate) fn forget_members(&self, organization: &OrganizationId) {
        self.inner.members.retain(|(of, _)| of != organization);
    }

    /// Forgets whose an operator key is.
    pub(crate) fn forget_operators(&self) {
        self.inner.operators.retain(|_| false);
    }

    /// Forgets a site's ACK tokens.
    pub(crate) fn forget_acks(&self, site: &SiteId) {
        self.inner.acks.retain(|id| id != site);
    }
}

/// The most a site's key validity may be, hours; the least is a day.
pub(crate) const KEY_HOURS: std::ops::RangeInclusive<u16> = issue::HIGH_SECURITY_HOURS..=7 * 24;
