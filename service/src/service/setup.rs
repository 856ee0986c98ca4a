//! The first organization, new sites, and the check that the master key is the right one.

use keybutton_protocol::{
    api::{OrganizationId, SiteId},
    ids::{GroupId, PublicKey},
};
use serde_json::json;

use super::{
    Service, ServiceError,
    sign::{key_label, resolving_key_label},
};
use crate::{
    auth::{new_operator_key, operator_key_hash},
    events,
    problem::{Answer, Problem},
    random,
    signing::MasterKeyError,
    store::{Change, KeyState, OperatorKey, Organization, Purpose, SigningKey, Site},
};

/// How many devices a member may have unless the operator says otherwise.
const DEVICE_CAP: u16 = 10;

/// What a wrong master key can't open.
const VAULT_CHECK: &str = "vault-check";

/// A new organization with its first operator key.
#[derive(Clone)]
pub struct Bootstrap {
    /// The organization.
    pub organization: OrganizationId,
    /// The operator key. Only its hash is kept: this is the one time it can be read.
    pub operator_key: String,
}

impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap").field("organization", &self.organization).finish_non_exhaustive()
    }
}

impl Service {
    /// Makes an organization with an operator key. The Branded App module is off until the operator switches it on.
    pub async fn bootstrap_organization(&self, name: &str) -> Result<Bootstrap, ServiceError> {
        let refused =
            |problem: Problem| ServiceError::Refused(problem.detail.unwrap_or_else(|| problem.code.title().to_owned()));
        self.make_organization(name).await.map_err(refused)
    }

    async fn make_organization(&self, name: &str) -> Answer<Bootstrap> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 128 {
            return Err(Problem::field("name", "has to be 1 to 128 characters"));
        }
        let now = self.now();
        let id = OrganizationId(random::id("org")?);
        let key = new_operator_key()?;
        let organization = Organization {
            id: id.clone(),
            name: name.to_owned(),
            module_enabled: false,
            device_cap: DEVICE_CAP,
            created: now,
        };
        let operator = OperatorKey {
            id: random::id("key")?,
            organization: id.clone(),
            name: "bootstrap".to_owned(),
            hash: operator_key_hash(&key),
            created: now,
            revoked: None,
        };
        let audit = self.new_signing_key(&id, None, Purpose::Audit, KeyState::Current, now)?;
        let event = events::by(&id, now, "organization-created", events::SERVICE).data(&json!({ "name": name }));
        self.inner
            .writer
            .commit(vec![
                Change::PutOrganization(organization),
                Change::PutOperatorKey(operator),
                Change::PutSigningKey(audit),
                Change::AddEvent(event),
            ])
            .await?;
        Ok(Bootstrap { organization: id, operator_key: key })
    }

    /// Makes a site with its keys.
    pub(crate) fn new_site(
        &self,
        organization: &OrganizationId,
        name: &str,
        zone: &str,
        key_hours: u16,
        now: u32,
    ) -> Answer<(Site, Vec<SigningKey>)> {
        let id = SiteId(random::id("sit")?);
        let resolving_key = zeroize::Zeroizing::new(random::bytes::<16>()?);
        let site = Site {
            organization: organization.clone(),
            name: name.to_owned(),
            zone: zone.to_owned(),
            group_id: GroupId(random::bytes()?),
            resolving_key: self.inner.vault.seal(&resolving_key_label(&id.0), &resolving_key[..])?,
            key_hours,
            locked_down: false,
            id,
        };
        let key = |purpose, state| self.new_signing_key(organization, Some(&site.id), purpose, state, now);
        // Locks learn the standby issuer at claiming, long before it is used: that is what makes rotation possible.
        let keys = vec![
            key(Purpose::SiteCa, KeyState::Current)?,
            key(Purpose::Issuer, KeyState::Current)?,
            key(Purpose::Issuer, KeyState::Standby)?,
        ];
        Ok((site, keys))
    }

    pub(crate) fn new_signing_key(
        &self,
        organization: &OrganizationId,
        site: Option<&SiteId>,
        purpose: Purpose,
        state: KeyState,
        now: u32,
    ) -> Answer<SigningKey> {
        let label = key_label(purpose, &organization.0, site.map(|site| site.0.as_str()));
        let made = match purpose {
            Purpose::Issuer | Purpose::SiteCa => self.inner.vault.create_signing_key(&label)?,
            Purpose::Audit => self.inner.vault.create_audit_key(&label)?,
        };
        Ok(SigningKey {
            id: random::id("sig")?,
            organization: organization.clone(),
            site: site.cloned(),
            purpose,
            state,
            public_key: PublicKey(made.public_key.0),
            handle: made.handle,
            created: now,
            access_iteration: 1,
            revocation_iteration: 0,
        })
    }

    /// Refuses a master key under which the stored keys don't open.
    pub(crate) async fn check_vault(&self) -> Result<(), ServiceError> {
        let label = "keybutton/vault-check/1";
        match self.store().meta(VAULT_CHECK).await? {
            Some(sealed) => {
                self.inner.vault.unseal(label, &sealed).map_err(|_| MasterKeyError::Wrong)?;
            }
            None => {
                let sealed = self.inner.vault.seal(label, b"keybutton")?;
                self.inner.writer.commit(vec![Change::PutMeta(VAULT_CHECK, sealed)]).await?;
            }
        }
        Ok(())
    }
}
