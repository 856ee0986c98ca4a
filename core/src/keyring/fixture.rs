//! A site as its service would issue it, for tests.

use keybutton_protocol::{
    api::{AckToken as AckRecord, Bytes, DoorId, KeyBundle, SiteId, SiteKeys, SiteLock},
    certificate::{COMPRESSED_MAX, CertificateRequest, display_name, issue as issue_certificate},
    crypto::{
        Signer,
        ring::{Ring, RingSigner},
    },
    document::{
        AccessData, ElementName, Restrictions,
        list::List,
        revocation::RevocationEntry,
        schedule::{Capabilities, Rule, Rules, Schedule},
    },
    ids::{AccessId, GroupId, PublicKey, ReaderId, SubId, UnixTime},
    issue::{AccessDocument, AccessElement, IssuedValidity, Issuer, RevocationDocument},
    token::{AckToken, TimeToken},
};

use super::Keyring;

/// When everything happens: a Saturday.
pub(crate) const NOW: UnixTime = UnixTime(1_900_000_000);

/// What a site's record is to be like.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Lock numbers, and whether the key names them.
    pub(crate) locks: Vec<(u16, bool)>,
    pub(crate) signed: UnixTime,
    pub(crate) valid_s: u32,
    pub(crate) iteration: u32,
    pub(crate) schedules: Vec<Schedule>,
    pub(crate) restrictions: Restrictions,
    pub(crate) revocation: Option<u32>,
    pub(crate) tap_hint: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            locks: vec![(1, true), (2, true), (3, false)],
            signed: NOW,
            valid_s: 48 * 3600,
            iteration: 1,
            schedules: Vec::new(),
            restrictions: Restrictions::default(),
            revocation: None,
            tap_hint: false,
        }
    }
}

/// One site, its keys, and one member's phone.
pub(crate) struct World {
    pub(crate) crypto: Ring,
    pub(crate) group: GroupId,
    pub(crate) device: RingSigner,
    ca: RingSigner,
    issuer: Issuer<RingSigner>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of_group(7)
    }

    pub(crate) fn of_group(group: u8) -> Self {
        let crypto = Ring::new();
        let issuer = Issuer::new(&crypto, signer());
        Self { group: GroupId([group; 16]), device: signer(), ca: signer(), issuer, crypto }
    }

    pub(crate) fn device_key(&self) -> PublicKey {
        self.device.public_key()
    }

    pub(crate) fn issuer_key(&self) -> PublicKey {
        self.issuer.public_key()
    }

    pub(crate) fn ca_key(&self) -> PublicKey {
        self.ca.public_key()
    }

    pub(crate) fn reader(&self, number: u16) -> ReaderId {
        ReaderId::new(self.group, sub(number))
    }

    /// A reader key and the certificate for it.
    pub(crate) fn lock_key(&mut self, number: u16) -> (RingSigner, Vec<u8>) {
        let key = signer();
        let (group, sub) = (display_name(&self.group.0), display_name(&sub(number).0));
        let request = CertificateRequest {
            serial: &[1],
            issuer: str::from_utf8(&group).unwrap(),
            subject: str::from_utf8(&sub).unwrap(),
            not_before: UnixTime(NOW.0 - 86_400),
            not_after: UnixTime(NOW.0 + 10 * 86_400),
            key: &key.public_key(),
        };
        let mut out = [0; COMPRESSED_MAX];
        let len = issue_certificate(&mut self.ca, &request, &mut out).unwrap();
        (key, out[..len].to_vec())
    }

    pub(crate) fn ack(&mut self, number: u16, record: u32) -> AckRecord {
        let token = AckToken { reader: self.reader(number), number: record, hash: [5; 32], time: NOW };
        AckRecord { sub_id: sub(number).0.into(), token: self.issuer.ack_token(&token).unwrap().into() }
    }

    pub(crate) fn record(&mut self, plan: &Plan) -> SiteKeys {
        let access_id = [9; 8];
        let data = AccessData {
            access_id: AccessId::from_slice(&access_id),
            rules: Rules {
                rules: List::from_slice(&[Rule {
                    capabilities: Capabilities::MOMENTARY,
                    allow: (!plan.schedules.is_empty())
                        .then(|| keybutton_protocol::document::schedule::Mask::first(plan.schedules.len() as u8)),
                    deny: None,
                }])
                .unwrap(),
                schedules: List::from_slice(&plan.schedules).unwrap(),
            },
            reader_rules: false,
            restrictions: Restrictions { site: Some(self.group), ..plan.restrictions },
        };
        let names: Vec<ElementName> =
            plan.locks.iter().filter(|(_, opens)| *opens).map(|(number, _)| ElementName::lock(*number)).collect();
        let elements: Vec<_> =
            names.iter().map(|name| AccessElement { name: name.as_str(), random: [3; 16], data }).collect();
        let validity = IssuedValidity {
            signed: plan.signed,
            valid_from: plan.signed,
            valid_until: UnixTime(plan.signed.0 + plan.valid_s),
            iteration: plan.iteration,
            time_verification_required: true,
        };
        let device_key = self.device_key();
        let document = self
            .issuer
            .access_document(&self.crypto, &AccessDocument { device_key: &device_key, validity, elements: &elements })
            .unwrap();
        let revocation_document = plan.revocation.map(|iteration| {
            let entry = RevocationEntry { key_hash: Some([8; 32]), access_id: None, expires: Some(NOW) };
            let document = RevocationDocument {
                validity: IssuedValidity { iteration, ..validity },
                random: [4; 16],
                entries: &[entry],
            };
            Bytes(self.issuer.revocation_document(&self.crypto, &document).unwrap())
        });
        let token = TimeToken {
            group: self.group,
            time: plan.signed,
            expires: UnixTime(plan.signed.0 + 86_400),
            serial: [1; 8],
        };
        SiteKeys {
            site: SiteId(format!("site-{}", self.group.0[0])),
            name: "Harbour".into(),
            group_id: self.group.0.into(),
            ca_key: self.ca_key().0.into(),
            group_resolving_key: resolving_key(self.group).into(),
            kid: self.issuer.kid().0.into(),
            issuer_key: self.issuer_key().0.into(),
            locks: plan
                .locks
                .iter()
                .map(|(number, opens)| site_lock(self.group, *number, *opens, plan.tap_hint))
                .collect(),
            document: document.into(),
            access_id: access_id.into(),
            signed: validity.signed.0,
            valid_from: validity.valid_from.0,
            valid_until: validity.valid_until.0,
            revocation_document,
            time_token: self.issuer.time_token(&token).unwrap().into(),
            ack_tokens: Vec::new(),
        }
    }

    pub(crate) fn bundle(&mut self, plan: &Plan) -> KeyBundle {
        let renew_after = plan.signed.0 + plan.valid_s / 2;
        KeyBundle { sites: vec![self.record(plan)], renew_after, now: plan.signed.0 }
    }

    pub(crate) fn keyring(&mut self, plan: &Plan) -> Keyring {
        let mut keyring = Keyring::new();
        let bundle = self.bundle(plan);
        keyring.install(bundle, &self.device_key(), &self.crypto).unwrap();
        keyring
    }
}

pub(crate) fn sub(number: u16) -> SubId {
    let [high, low] = number.to_be_bytes();
    let mut id = [0x5A; 16];
    id[..2].copy_from_slice(&[high, low]);
    SubId(id)
}

pub(crate) fn door(group: GroupId, number: u16) -> DoorId {
    DoorId(format!("door-{}-{number}", group.0[0]))
}

pub(crate) fn resolving_key(group: GroupId) -> [u8; 16] {
    group.0.map(|byte| byte ^ 0x33)
}

fn site_lock(group: GroupId, number: u16, opens: bool, tap_hint: bool) -> SiteLock {
    SiteLock {
        door: door(group, number),
        name: format!("Door {number}"),
        number,
        sub_id: sub(number).0.into(),
        tap_hint,
        opens,
    }
}

fn signer() -> RingSigner {
    RingSigner::from_pkcs8(&RingSigner::generate_pkcs8().unwrap()).unwrap()
}
