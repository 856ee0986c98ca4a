//! Who calls, and under which gate: the start of every request.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::http::HeaderMap;
use keybutton_protocol::api::{AppId, OrganizationId};
use serde_json::json;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::{AppEntry, MemberEntry, Operator, OrgView, Service, keys::Issued};
use crate::{
    auth::{AppVerifier, TokenError, bearer, operator_key_hash},
    events,
    problem::{Answer, Code, Problem},
    store::{Change, MemberKey, StoreError},
};

/// The header that names the Branded App.
pub(crate) const APP_HEADER: &str = "keybutton-app";

/// The hold of an organization's gate.
#[derive(Debug)]
#[expect(dead_code, reason = "held, never read")]
pub(crate) enum Gate {
    Shared(OwnedRwLockReadGuard<()>),
    Alone(OwnedRwLockWriteGuard<()>),
}

/// How a call wants the gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    Shared,
    Alone,
}

/// A call by a signed-in person.
#[derive(Debug)]
pub(crate) struct MemberCall {
    pub(crate) org: Arc<OrgView>,
    pub(crate) app: AppId,
    /// The `sub` of the session token.
    pub(crate) subject: String,
    /// `None` when nobody of the organization has that subject.
    pub(crate) member: Option<Arc<MemberEntry>>,
    pub(crate) now: u32,
    pub(crate) _gate: Gate,
}

/// A call by an operator.
#[derive(Debug)]
pub(crate) struct OperatorCall {
    pub(crate) org: Arc<OrgView>,
    pub(crate) operator: Arc<Operator>,
    pub(crate) now: u32,
    pub(crate) _gate: Gate,
}

impl MemberCall {
    /// The member, or the problem that there is none.
    pub(crate) fn member(&self) -> Answer<&Arc<MemberEntry>> {
        self.member.as_ref().ok_or_else(|| Code::UnknownMember.into())
    }

    /// The organization's id.
    pub(crate) fn organization(&self) -> &OrganizationId {
        &self.org.state.organization.id
    }
}

impl OperatorCall {
    /// The organization's id.
    pub(crate) fn organization(&self) -> &OrganizationId {
        &self.org.state.organization.id
    }

    /// Who acts, for events.
    pub(crate) fn actor(&self) -> String {
        format!("operator:{}", self.operator.key)
    }
}

impl Service {
    /// Lets a member's call in: app, token, gate, organization, member.
    pub(crate) async fn member_call(&self, headers: &HeaderMap, hold: Hold) -> Answer<MemberCall> {
        let token = bearer(headers)?;
        let id = headers.get(APP_HEADER).ok_or(Code::MissingApp)?;
        let id = AppId(id.to_str().map_err(|_| Problem::new(Code::MissingApp))?.to_owned());
        let app = self.app_entry(&id).await?;
        let now = self.now();
        let known = self.inner.tokens.find(&id, app.generation, token, now);
        let fresh = known.is_none();
        let verified = match known {
            Some(verified) => verified,
            None => {
                let verified = app.verifier.verify(token, now).map_err(refuse)?;
                self.inner.tokens.keep(&id, app.generation, token, &verified, now);
                verified
            }
        };
        let gate = self.enter(&app.app.organization, hold).await;
        let org = self.org_view(&app.app.organization).await?;
        // The token was verified before the gate; settings that changed meanwhile may not accept it any more.
        if org.app(&id) != Some(&app.app) {
            return Err(Code::Busy.into());
        }
        let member = self.member_entry(&app.app.organization, &verified.subject).await?;
        if let (true, Some(entry)) = (fresh, &member) {
            let event = events::by_member(&app.app.organization, now, "signed-in", &entry.record.member.id);
            self.inner.writer.commit(vec![Change::AddEvent(event.data(&json!({ "app": id })))]).await?;
        }
        Ok(MemberCall { org, app: id, subject: verified.subject, member, now, _gate: gate })
    }

    /// Lets an operator's call in: key, gate, organization.
    pub(crate) async fn operator_call(&self, headers: &HeaderMap, hold: Hold) -> Answer<OperatorCall> {
        let hash = operator_key_hash(bearer(headers)?);
        let organization = match self.inner.operators.get(&hash) {
            Some(operator) => operator.organization.clone(),
            None => self.operator(&hash).await?.organization,
        };
        let gate = self.enter(&organization, hold).await;
        // Again behind the gate, so that a key that was revoked meanwhile is neither let in nor kept.
        let operator = match self.inner.operators.get(&hash) {
            Some(operator) => operator,
            None => {
                let operator = Arc::new(self.operator(&hash).await?);
                self.inner.operators.put(hash, operator.clone());
                operator
            }
        };
        let org = self.org_view(&organization).await?;
        Ok(OperatorCall { org, operator, now: self.now(), _gate: gate })
    }

    /// Whose operator key has a hash.
    async fn operator(&self, hash: &[u8; 32]) -> Answer<Operator> {
        let key = self.store().operator_key(hash).await?.ok_or(Code::InvalidOperatorKey)?;
        Ok(Operator { organization: key.organization, key: key.id })
    }

    /// Passes an organization's gate.
    pub(crate) async fn enter(&self, organization: &OrganizationId, hold: Hold) -> Gate {
        let gate = self.inner.gates.get(organization);
        let gate =
            gate.unwrap_or_else(|| self.inner.gates.get_or_put(organization.clone(), || Arc::new(RwLock::new(()))));
        match hold {
            Hold::Shared => Gate::Shared(gate.read_owned().await),
            Hold::Alone => Gate::Alone(gate.write_owned().await),
        }
    }

    /// An organization's configuration; to be called behind its gate.
    pub(crate) async fn org_view(&self, id: &OrganizationId) -> Answer<Arc<OrgView>> {
        if let Some(view) = self.inner.organizations.get(id) {
            return Ok(view);
        }
        let state = self.store().organization(id).await?.ok_or(Code::NotFound)?;
        let view = Arc::new(OrgView::new(state));
        self.inner.organizations.put(id.clone(), view.clone());
        Ok(view)
    }

    async fn app_entry(&self, id: &AppId) -> Answer<Arc<AppEntry>> {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        if let Some(entry) = self.inner.apps.get(id) {
            return Ok(entry);
        }
        let app = self.store().app(id).await?.ok_or(Code::UnknownApp)?;
        let _gate = self.enter(&app.organization, Hold::Shared).await;
        // Read again behind the gate, so that an outdated app is never kept.
        let app = self.store().app(id).await?.ok_or(Code::UnknownApp)?;
        let verifier = AppVerifier::new(&app.jwks, &app.issuer, &app.audience)
            .map_err(|_| Problem::from(StoreError::Corrupt("key set")))?;
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(AppEntry { app, verifier, generation });
        self.inner.apps.put(id.clone(), entry.clone());
        Ok(entry)
    }

    async fn member_entry(&self, organization: &OrganizationId, subject: &str) -> Answer<Option<Arc<MemberEntry>>> {
        let key = (organization.clone(), subject.to_owned());
        if let Some(entry) = self.inner.members.get(&key) {
            return Ok(Some(entry));
        }
        let Some(record) = self.store().member(organization, MemberKey::Subject(subject)).await? else {
            return Ok(None);
        };
        let issued = Issued::new(&record.keys);
        let entry = Arc::new(MemberEntry { record, issued });
        self.inner.members.put(key, entry.clone());
        Ok(Some(entry))
    }
}

fn refuse(error: TokenError) -> Problem {
    let code = match error {
        TokenError::Expired => Code::TokenExpired,
        TokenError::Untrusted
        | TokenError::Signature
        | TokenError::Issuer
        | TokenError::Audience
        | TokenError::Claims
        | TokenError::Early => Code::InvalidToken,
    };
    Problem::new(code).with_detail(error.to_string())
}

#[cfg(test)]
mod tests;
