//! A lock's own folder: its key, its provisioning, and how it claims itself at the access service.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use getrandom::SysRng;
use keybutton_lock::config::{CERTIFICATE_MAX, DocumentRules, FastPolicy, Issuer, LockConfig, Policy};
use keybutton_protocol::{
    api::{Bytes, ClaimLock, LockPolicy, LockProvision},
    buf::Buf,
    crypto::{
        Signer as _,
        rustcrypto::{RustCrypto, RustSigner},
    },
    document::{ElementName, list::List},
    ids::{GroupId, GroupResolvingKey, Kid, LockNumber, PublicKey, SubId, UnixTime},
    keys::AuthenticationData,
    profile::Profile,
};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    service_client::ServiceClient,
    state::{read_json, replace, write_json},
};

/// Entries of the fast phase the virtual lock keeps: a laptop tries all of them in well under 50 ms.
const FAST_ENTRIES: u8 = 64;

/// A lock's folder.
#[derive(Clone, Debug)]
pub struct LockFolder(PathBuf);

/// What a claimed lock keeps beside its key.
#[derive(Serialize, Deserialize)]
struct Claimed {
    provision: LockProvision,
    /// What the lock's own clock has to add to the machine's, seconds: set by the claim, a maintenance action.
    clock_offset_s: i64,
}

impl LockFolder {
    /// Uses `path`, which exists.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The store's file.
    pub fn store(&self) -> PathBuf {
        self.0.join("store.log")
    }

    /// Tells whether the lock has been claimed.
    pub fn is_claimed(&self) -> bool {
        self.provision_file().exists()
    }

    /// Claims the lock: makes its key, proves it to the service, and keeps what the service answers.
    ///
    /// The key is kept before the service hears of it, so that a claim cut short can be repeated with the same one.
    pub async fn claim(&self, service: &ServiceClient, claim_code: &str) -> Result<LockProvision, Failure> {
        let mut signer = self.signer()?;
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, claim_code.as_bytes()).as_ref());
        let data = AuthenticationData::for_claim(&hash);
        let proof = signer.sign(data.as_bytes()).map_err(|_| self.bad_key())?;
        let request = ClaimLock {
            claim_code: claim_code.to_owned(),
            reader_key: Bytes::from(signer.public_key().as_bytes()),
            proof: Bytes::from(proof.as_bytes()),
        };
        let provision: LockProvision = service.post("/v1/locks/claim", &request).await?;
        lock_config(&provision).ok_or_else(|| {
            Failure::new(
                "provision-unusable",
                "the access service sent a provisioning that this lock can't use",
                "Check that service and lock are of the same version.",
            )
        })?;
        let clock_offset_s = i64::from(provision.now) - i64::from(machine_time());
        write_json(&self.provision_file(), &Claimed { provision: provision.clone(), clock_offset_s })?;
        Ok(provision)
    }

    /// The provisioning with the lock's present time; `None` before it is claimed.
    pub fn config(&self) -> Result<Option<(LockConfig, UnixTime)>, Failure> {
        let path = self.provision_file();
        let Some(claimed) = read_json::<Claimed>(&path)? else { return Ok(None) };
        let config = lock_config(&claimed.provision).ok_or_else(|| Failure::damaged(&path, "not a provisioning"))?;
        let now = (i64::from(machine_time()) + claimed.clock_offset_s).try_into().unwrap_or(u32::MAX);
        Ok(Some((config, UnixTime(now))))
    }

    /// The reader key; made at the first call.
    pub fn signer(&self) -> Result<RustSigner, Failure> {
        let path = self.0.join("reader-key");
        let secret = match fs::read(&path) {
            Ok(secret) => Zeroizing::new(secret),
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(&path)?,
            Err(error) => return Err(Failure::file(&path, &error)),
        };
        let secret = <[u8; 32]>::try_from(&secret[..]).map(Zeroizing::new).map_err(|_| self.bad_key())?;
        RustSigner::from_bytes(&secret).map_err(|_| self.bad_key())
    }

    fn provision_file(&self) -> PathBuf {
        self.0.join("provision.json")
    }

    fn bad_key(&self) -> Failure {
        Failure::damaged(&self.0.join("reader-key"), "not a P-256 key")
    }
}

fn make_key(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let signer = RustSigner::generate(&mut RustCrypto::new(SysRng))
        .map_err(|_| Failure::new("random-failed", "the system's random source failed", "Restart the machine."))?;
    let secret = Zeroizing::new(signer.expose().to_vec());
    replace(path, &secret).map_err(|error| Failure::file(path, &error))?;
    Ok(secret)
}

fn machine_time() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

/// The provisioning as the lock keeps it; `None` when a field does not have the form it must.
fn lock_config(provision: &LockProvision) -> Option<LockConfig> {
    let mut issuers = List::new();
    for issuer in &provision.issuers {
        let known = Issuer {
            kid: Kid::from_slice(&issuer.kid.0)?,
            key: PublicKey::from_slice(&issuer.key.0)?,
            access_iteration: issuer.access_iteration,
            revocation_iteration: issuer.revocation_iteration,
        };
        issuers.push(known).then_some(())?;
    }
    let mut elements = List::new();
    for element in &provision.elements {
        elements.push(ElementName::parse(element)?).then_some(())?;
    }
    Some(LockConfig {
        group: GroupId::from_slice(&provision.group_id.0)?,
        sub: SubId::from_slice(&provision.sub_id.0)?,
        number: LockNumber(provision.number),
        group_resolving_key: GroupResolvingKey::from_slice(&provision.group_resolving_key.0)?,
        anchor: PublicKey::from_slice(&provision.ca_key.0)?,
        certificate: Some(Buf::<CERTIFICATE_MAX>::from_slice(&provision.certificate.0).ok()?),
        issuers,
        elements,
        audit_key: Some(PublicKey::from_slice(&provision.audit_key.0)?),
        claimed_at: UnixTime(provision.now),
        policy: policy(&provision.policy),
        documents: DocumentRules::default(),
        profile: Profile::PRODUCT,
    })
}

fn policy(policy: &LockPolicy) -> Policy {
    Policy {
        fast: if policy.fast { FastPolicy::TryAll { entries: FAST_ENTRIES } } else { FastPolicy::Off },
        high_security: policy.high_security,
        sound: policy.sound,
        open_time_ds: policy.open_time_ds,
        offline_limit_s: policy.offline_limit_s,
        ..Policy::default()
    }
}
