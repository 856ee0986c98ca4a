//! Locks: claiming, and the rotation of a site's issuers.

use keybutton_protocol::{
    api::{ClaimLock, LockIssuer, LockPolicy, LockProvision, SiteId},
    crypto::{Crypto, ring::Ring},
    document::issuer_kid,
    ids::{PublicKey, Signature, SubId},
    keys::AuthenticationData,
};
use serde_json::json;

use super::{Draft, OperatorCall, OrgView, Scope, Service, calls::Hold, sign::resolving_key_label};
use crate::{
    events,
    issue::lock_elements,
    problem::{Answer, Code, Problem},
    random,
    store::{Change, Door, KeyState, Lock, Purpose, SigningKey, SiteState},
};

/// The most issuers a lock keeps (`docs/PROTOCOL.md` section 13).
const MAX_ISSUERS: usize = 4;

impl Service {
    /// `POST /v1/locks/claim`: a lock with a claim code and a fresh key becomes the lock of its door.
    pub(crate) async fn claim(&self, request: &ClaimLock) -> Answer<LockProvision> {
        let reader_key = PublicKey::from_slice(&request.reader_key.0)
            .filter(|key| Ring::new().check_point(key).is_ok())
            .ok_or_else(|| Problem::field("reader_key", "is not a P-256 point of 65 bytes"))?;
        let hash = random::sha256(request.claim_code.as_bytes());
        let code = self.store().claim_code(&hash).await?.ok_or(Code::ClaimCodeInvalid)?;
        let proof = Signature::from_slice(&request.proof.0).ok_or(Code::ProofInvalid)?;
        let data = AuthenticationData::for_claim(&hash);
        Ring::new().verify(&reader_key, data.as_bytes(), &proof).map_err(|_| Problem::new(Code::ProofInvalid))?;

        let _gate = self.enter(&code.organization, Hold::Alone).await;
        let org = self.org_view(&code.organization).await?;
        let now = self.now();
        let door = org.door(&code.door).ok_or(Code::ClaimCodeInvalid)?.clone();
        let site = org.site(&door.site).ok_or(Code::ClaimCodeInvalid)?;
        let highest = site.locks.iter().map(|lock| lock.number).max().unwrap_or(0);
        let lock = Lock {
            id: random::id("lck")?,
            organization: code.organization.clone(),
            site: site.site.id.clone(),
            door: door.id.clone(),
            number: highest.checked_add(1).ok_or(Code::TooManyLocks)?,
            sub_id: SubId(random::bytes()?),
            reader_key,
            issuers: issuers(site).map(|key| key.id.clone()).collect(),
            claimed: now,
            retired: None,
        };
        let provision = self.provision(&org, site, &door, &lock, now)?;
        // No key names the new number yet, but those for the whole site open the lock: they stay if they would be
        // issued with it, too. The lock that goes counts as there, since taking it down takes nobody's right.
        let mut draft = Draft::configuration(&org, Scope::Everybody);
        let sites = draft.state.sites.iter_mut().filter(|known| known.site.id == site.site.id);
        sites.for_each(|known| known.locks.push(lock.clone()));
        draft.unit.push(Change::TakeClaimCode(hash, now));
        if let Some(old) = org.lock_on(&door) {
            draft.unit.push(Change::PutLock(Lock { retired: Some(now), ..old.clone() }));
        }
        draft.unit.push(Change::PutLock(lock.clone()));
        let actor = format!("lock:{}", lock.id);
        let event = events::by(&code.organization, now, "lock-claimed", &actor).door(&door.id);
        draft.event(event.data(&json!({ "number": lock.number, "sub_id": random::hex(&lock.sub_id.0) })));
        self.commit(draft, now).await.map_err(|problem| match problem.code {
            Code::NotFound => Code::ClaimCodeInvalid.into(),
            _ => problem,
        })?;
        Ok(provision)
    }

    fn provision(&self, org: &OrgView, site: &SiteState, door: &Door, lock: &Lock, now: u32) -> Answer<LockProvision> {
        let incomplete = || Problem::new(Code::Internal).with_detail("the site lacks a key");
        let ca = site.key(Purpose::SiteCa, KeyState::Current).ok_or_else(incomplete)?;
        let audit = org.state.audit_key.as_ref().ok_or_else(incomplete)?;
        let group = site.site.group_id;
        let resolving_key = self.inner.vault.unseal(&resolving_key_label(&site.site.id.0), &site.site.resolving_key)?;
        Ok(LockProvision {
            door: door.id.clone(),
            name: door.name.clone(),
            group_id: group.0.into(),
            sub_id: lock.sub_id.0.into(),
            number: lock.number,
            group_resolving_key: resolving_key.as_slice().into(),
            certificate: self.certificate(ca, lock.sub_id, &lock.reader_key)?.into(),
            ca_key: ca.public_key.0.into(),
            issuers: issuers(site).map(lock_issuer).collect(),
            elements: lock_elements(lock.number),
            audit_key: audit.public_key.0.into(),
            now,
            policy: effective_policy(&door.policy, site.site.key_hours),
        })
    }

    /// Puts a site's standby issuer into use and makes a new standby. Every lock must know the standby already.
    pub(crate) async fn rotate_issuer(&self, call: &OperatorCall, site: &SiteId) -> Answer<()> {
        let now = call.now;
        let state = call.org.site(site).ok_or(Code::NotFound)?;
        let standby = state.key(Purpose::Issuer, KeyState::Standby).ok_or(Code::Internal)?;
        let unaware: Vec<_> = call
            .org
            .claimed(state)
            .filter(|(_, lock)| !lock.issuers.contains(&standby.id))
            .map(|(door, _)| door.name.as_str())
            .collect();
        if !unaware.is_empty() {
            return Err(Problem::new(Code::IssuerNotDistributed).with_detail(unaware.join(", ")));
        }
        let fresh =
            self.new_signing_key(&call.org.state.organization.id, Some(site), Purpose::Issuer, KeyState::Standby, now)?;
        let mut draft = Draft::configuration(&call.org, Scope::Nobody);
        let next = draft.state.sites.iter_mut().find(|known| known.site.id == *site).ok_or(Code::NotFound)?;
        let changed = rotate(&mut next.keys, fresh.clone());
        let revocation = if next.revocation_document.is_some() { self.revoke_at(next, &[], now)? } else { Vec::new() };
        draft.unit.extend(changed.into_iter().map(Change::PutSigningKey));
        draft.unit.extend(revocation);
        let event = events::by(call.organization(), now, "issuer-rotated", &call.actor());
        let kid = random::hex(&issuer_kid(&Ring::new(), &standby.public_key).0);
        draft.event(event.data(&json!({ "site": site, "kid": kid })));
        self.commit(draft, now).await.map(drop)
    }
}

/// Standby to current, current to previous; the oldest beyond the most a lock keeps retires. Returns what changed.
fn rotate(keys: &mut Vec<SigningKey>, fresh: SigningKey) -> Vec<SigningKey> {
    let mut changed = Vec::new();
    for key in keys.iter_mut().filter(|key| key.purpose == Purpose::Issuer) {
        let next = match key.state {
            KeyState::Standby => KeyState::Current,
            KeyState::Current => KeyState::Previous,
            KeyState::Previous | KeyState::Retired => continue,
        };
        key.state = next;
        changed.push(key.clone());
    }
    keys.push(fresh.clone());
    changed.push(fresh);
    let held = keys.iter().filter(|key| key.purpose == Purpose::Issuer && key.state != KeyState::Retired).count();
    if held > MAX_ISSUERS {
        let previous = |key: &&mut SigningKey| key.purpose == Purpose::Issuer && key.state == KeyState::Previous;
        if let Some(oldest) = keys.iter_mut().filter(previous).min_by_key(|key| key.created) {
            oldest.state = KeyState::Retired;
            changed.retain(|key| key.id != oldest.id);
            changed.push(oldest.clone());
        }
    }
    changed
}

/// The issuers a lock is given: the one in use, the next one, and earlier ones whose keys may still be around.
fn issuers(site: &SiteState) -> impl Iterator<Item = &SigningKey> {
    let mut keys: Vec<_> =
        site.keys.iter().filter(|key| key.purpose == Purpose::Issuer && key.state != KeyState::Retired).collect();
    keys.sort_by_key(|key| match key.state {
        KeyState::Current => (0, 0),
        KeyState::Standby => (1, 0),
        KeyState::Previous | KeyState::Retired => (2, u32::MAX - key.created),
    });
    keys.into_iter().take(MAX_ISSUERS)
}

fn lock_issuer(key: &SigningKey) -> LockIssuer {
    LockIssuer {
        kid: issuer_kid(&Ring::new(), &key.public_key).0.into(),
        key: key.public_key.0.into(),
        access_iteration: key.access_iteration,
        revocation_iteration: key.revocation_iteration,
    }
}

/// The policy with what high security forces.
pub(crate) fn effective_policy(policy: &LockPolicy, key_hours: u16) -> LockPolicy {
    let site_limit = u32::from(key_hours) * 3600;
    let limit = if policy.high_security { site_limit.min(24 * 3600) } else { site_limit };
    LockPolicy {
        fast: policy.fast && !policy.high_security,
        offline_limit_s: policy.offline_limit_s.min(limit),
        ..policy.clone()
    }
}

#[cfg(test)]
mod tests {
    use keybutton_protocol::api::OrganizationId;

    use super::*;

    fn issuer(id: &str, state: KeyState, created: u32) -> SigningKey {
        SigningKey {
            id: id.to_owned(),
            organization: OrganizationId("org".into()),
            site: None,
            purpose: Purpose::Issuer,
            state,
            public_key: PublicKey([4; 65]),
            handle: Vec::new(),
            created,
            access_iteration: 1,
            revocation_iteration: 0,
        }
    }

    fn states(keys: &[SigningKey]) -> Vec<(&str, KeyState)> {
        keys.iter().map(|key| (key.id.as_str(), key.state)).collect()
    }

    #[test]
    fn rotation_overlaps_up_to_four_issuers() {
        use KeyState::{Current, Previous, Retired, Standby};

        let mut keys = vec![issuer("a", Current, 1), issuer("b", Standby, 2)];
        rotate(&mut keys, issuer("c", Standby, 3));
        assert_eq!(states(&keys), [("a", Previous), ("b", Current), ("c", Standby)]);
        rotate(&mut keys, issuer("d", Standby, 4));
        assert_eq!(states(&keys), [("a", Previous), ("b", Previous), ("c", Current), ("d", Standby)]);
        let changed = rotate(&mut keys, issuer("e", Standby, 5));
        let expected = [("a", Retired), ("b", Previous), ("c", Previous), ("d", Current), ("e", Standby)];
        assert_eq!(states(&keys), expected);
        assert!(changed.iter().any(|key| key.id == "a" && key.state == Retired));
        assert_eq!(changed.len(), 4);
    }

    #[test]
    fn high_security_forbids_fast_and_shortens_the_offline_limit() {
        let policy = LockPolicy {
            fast: true,
            high_security: true,
            sound: true,
            open_time_ds: 50,
            offline_limit_s: 48 * 3600,
            tap_hint: false,
        };
        let effective = effective_policy(&policy, 48);
        assert!(!effective.fast);
        assert_eq!(effective.offline_limit_s, 24 * 3600);
        let ordinary = effective_policy(&LockPolicy { high_security: false, ..policy.clone() }, 24);
        assert!(ordinary.fast);
        assert_eq!(ordinary.offline_limit_s, 24 * 3600);
    }
}
