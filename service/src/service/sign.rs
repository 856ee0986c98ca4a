//! Signing with a site's keys.

use std::sync::Arc;

use keybutton_protocol::{
    certificate::{self, COMPRESSED_MAX, CertificateRequest, display_name},
    crypto::ring::Ring,
    document::{
        AccessData, Interfaces, Restrictions, RevocationEntry,
        schedule::{Capabilities, Mask, Recurrence, Rule, Rules, Schedule},
    },
    ids::{AccessId, GroupId, PublicKey, SubId, UnixTime},
    issue::{AccessDocument, AccessElement, IssueError, IssuedValidity, Issuer, RevocationDocument},
    token::{AckToken, TimeToken},
};

use super::Service;
use crate::{
    access::utc::UtcSchedule,
    issue::{
        Element, SitePlan,
        revocation::{Entry, Subject},
    },
    problem::{Answer, Code, Problem},
    random,
    signing::SharedSigner,
    store::{Device, Purpose, SigningKey, Site},
};

/// How long a time token counts (`docs/PROTOCOL.md` section 18).
const TIME_TOKEN_S: u32 = 24 * 3600;

/// How long a Revocation Document counts; it is renewed from half of that on.
pub(crate) const REVOCATION_VALIDITY_S: u32 = 30 * 86_400;

/// Revocation Documents are valid from a little before now, for locks whose clock is behind.
const BACKDATE_S: u32 = crate::issue::BACKDATE_S;

/// What binds a sealed key to its place.
pub(crate) fn key_label(purpose: Purpose, organization: &str, site: Option<&str>) -> String {
    let purpose = match purpose {
        Purpose::Issuer => "issuer",
        Purpose::SiteCa => "site-ca",
        Purpose::Audit => "audit",
    };
    format!("keybutton/{purpose}/1/{organization}/{}", site.unwrap_or("-"))
}

/// What binds a sealed group resolving key to its site.
pub(crate) fn resolving_key_label(site: &str) -> String {
    format!("keybutton/resolving-key/1/{site}")
}

impl Service {
    /// A signing key in use.
    pub(crate) fn signer(&self, key: &SigningKey) -> Answer<SharedSigner> {
        if let Some(signer) = self.inner.signers.get(&key.id) {
            return Ok(signer);
        }
        let label = key_label(key.purpose, &key.organization.0, key.site.as_ref().map(|site| site.0.as_str()));
        let signer = self.inner.vault.signing_key(&label, &key.public_key, &key.handle)?;
        self.inner.signers.put(key.id.clone(), signer.clone());
        Ok(signer)
    }

    pub(crate) fn issuer(&self, key: &SigningKey) -> Answer<Issuer<SharedSigner>> {
        Ok(Issuer::new(&Ring::new(), self.signer(key)?))
    }

    /// Signs an access document; `None` when it doesn't fit into one message.
    pub(crate) fn sign_access(
        &self,
        key: &SigningKey,
        device: &Device,
        group: GroupId,
        plan: &SitePlan,
        access_id: [u8; 8],
        now: u32,
    ) -> Answer<Option<Vec<u8>>> {
        let mut elements = Vec::with_capacity(plan.elements.len());
        for element in &plan.elements {
            let data = access_data(element, group, access_id)?;
            elements.push(AccessElement { name: &element.name, random: random::bytes()?, data });
        }
        let document = AccessDocument {
            device_key: &device.public_key,
            validity: IssuedValidity {
                signed: UnixTime(now),
                valid_from: UnixTime(plan.valid_from),
                valid_until: UnixTime(plan.valid_until),
                iteration: key.access_iteration,
                // Short validity is what ends an offline key: a lock that can't tell the time must not skip it.
                time_verification_required: true,
            },
            elements: &elements,
        };
        match self.issuer(key)?.access_document(&Ring::new(), &document) {
            Ok(document) => Ok(Some(document)),
            Err(IssueError::TooLarge) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Signs a revocation document over a whole list, valid for [`REVOCATION_VALIDITY_S`]; `None` when it is too long to
    /// go along with an access document.
    pub(crate) fn sign_revocation(&self, key: &SigningKey, entries: &[Entry], now: u32) -> Answer<Option<Vec<u8>>> {
        let entries: Vec<_> = entries.iter().map(revocation_entry).collect();
        let document = RevocationDocument {
            validity: IssuedValidity {
                signed: UnixTime(now),
                valid_from: UnixTime(now.saturating_sub(BACKDATE_S)),
                valid_until: UnixTime(now.saturating_add(REVOCATION_VALIDITY_S)),
                iteration: key.revocation_iteration,
                // A lock that doesn't know the time had better revoke.
                time_verification_required: false,
            },
            random: random::bytes()?,
            entries: &entries,
        };
        match self.issuer(key)?.revocation_document(&Ring::new(), &document) {
            Ok(document) => Ok(Some(document)),
            Err(IssueError::TooLarge) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// A site's time token; one is signed for each second in which somebody asks.
    pub(crate) fn time_token(&self, key: &SigningKey, site: &Site, now: u32) -> Answer<Arc<Vec<u8>>> {
        if let Some((time, token)) = self.inner.time_tokens.get(&site.id)
            && time == now
        {
            return Ok(token);
        }
        let token = TimeToken {
            group: site.group_id,
            time: UnixTime(now),
            expires: UnixTime(now.saturating_add(TIME_TOKEN_S)),
            serial: random::bytes()?,
        };
        let token = Arc::new(self.issuer(key)?.time_token(&token).map_err(failed)?);
        self.inner.time_tokens.put(site.id.clone(), (now, token.clone()));
        Ok(token)
    }

    pub(crate) fn ack_token(&self, key: &SigningKey, token: &AckToken) -> Answer<Vec<u8>> {
        self.issuer(key)?.ack_token(token).map_err(failed)
    }

    /// Has a site's CA sign a lock's reader certificate.
    ///
    /// It travels in every opening, so all but the lock's name has the value that the compressed form leaves out. A
    /// lock is taken out of service by its site's lock table, not by a date.
    pub(crate) fn certificate(&self, ca: &SigningKey, sub: SubId, reader_key: &PublicKey) -> Answer<Vec<u8>> {
        let mut signer = self.signer(ca)?;
        let subject = display_name(&sub.0);
        let request = CertificateRequest {
            subject: &String::from_utf8_lossy(&subject),
            ..CertificateRequest::shortest(reader_key)
        };
        let mut out = [0; COMPRESSED_MAX];
        let len = certificate::issue(&mut signer, &request, &mut out).map_err(failed)?;
        Ok(out[..len].to_vec())
    }
}

fn access_data(element: &Element, group: GroupId, access_id: [u8; 8]) -> Answer<AccessData> {
    let overfull = || Problem::new(Code::Internal).with_detail("an element holds too many schedules");
    let mut rules = Rules::default();
    for schedule in &element.schedules {
        rules.schedules.push(to_schedule(schedule)).then_some(()).ok_or_else(overfull)?;
    }
    let count = u8::try_from(element.schedules.len()).map_err(|_| overfull())?;
    let allow = (count > 0).then(|| Mask::first(count));
    let rule = Rule { capabilities: Capabilities::MOMENTARY, allow, deny: None };
    rules.rules.push(rule).then_some(()).ok_or_else(overfull)?;
    Ok(AccessData {
        access_id: AccessId::from_slice(&access_id),
        rules,
        restrictions: Restrictions {
            site: Some(group),
            use_limit: element.use_limit,
            user_authentication: element.user_authentication,
            interfaces: element.tap_only.then_some(Interfaces::NFC),
        },
        ..AccessData::default()
    })
}

/// A schedule as locks read it.
pub(crate) fn to_schedule(schedule: &UtcSchedule) -> Schedule {
    Schedule {
        start: UnixTime(schedule.start),
        end: (schedule.end != 0).then_some(UnixTime(schedule.end)),
        recurrence: schedule.weekly.map(|weekly| Recurrence {
            duration: weekly.duration,
            mask: u32::from(weekly.mask),
            pattern: 2,
            interval: 1,
            ordinal: 0,
        }),
        utc: true,
    }
}

fn revocation_entry(entry: &Entry) -> RevocationEntry {
    let (key_hash, access_id) = match &entry.subject {
        Subject::Device(hash) => (Some(*hash), None),
        Subject::Access(id) => (None, AccessId::from_slice(id)),
    };
    RevocationEntry { key_hash, access_id, expires: Some(UnixTime(entry.expires)) }
}

fn failed(error: impl std::fmt::Display) -> Problem {
    tracing::error!(%error, "signing failed");
    Code::Internal.into()
}

#[cfg(test)]
mod tests {
    use keybutton_protocol::{document::schedule::InRange, ids::UnixTime};
    use proptest::prelude::*;

    use super::*;
    use crate::access::{
        schedule::{Interval, join},
        utc::{covers, fold},
    };

    proptest! {
        #[test]
        fn locks_evaluate_folded_schedules_as_they_were_meant(
            raw in prop::collection::vec((0_u32..12, 0_u32..4, 1_u32..30), 1..12),
            probes in prop::collection::vec(0_u32..16 * 86_400, 32),
        ) {
            let base = 1_780_012_800;
            let intervals = join(raw.iter().map(|(day, slot, hours)| {
                let start = base + day * 86_400 + slot * 6 * 3600;
                Interval { start, end: start + hours * 3600 }
            }).collect());
            let folded = fold(&intervals);
            let edges = intervals.iter().flat_map(|i| [i.start - 1, i.start, i.end - 1, i.end]);
            for t in probes.into_iter().map(|t| base + t).chain(edges) {
                for schedule in &folded {
                    let lock = to_schedule(schedule).covers(UnixTime(t), None) == InRange::Yes;
                    prop_assert_eq!(lock, covers(schedule, t), "{:?} at {}", schedule, t);
                }
            }
        }
    }
}
