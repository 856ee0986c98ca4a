//! Revocation documents: believed, applied, and everything they cover forgotten (`docs/PROTOCOL.md` sections 10.6 and 19).

use keybutton_protocol::{
    audit::RecordType,
    crypto::{Crypto, Signer},
    document::{AccessData, Document, DocumentError, Expected, iteration::IterationError, revocation::key_hash},
    ids::{CredentialId, PublicKey},
};

use super::{Event, core::Context};
use crate::{
    audit::Entry,
    fast::FastStore,
    known::KnownKeys,
    store::{Store, StoreError},
};

impl<C: Crypto, S: Signer, T: Store> Context<'_, C, S, T> {
    /// Takes over a revocation document. One that is not good is ignored: the list stays as it is.
    pub(crate) fn take_revocation(&mut self, document: &Document<'_>, credential: CredentialId) {
        let Ok(verified) = self.verify(document, Expected::Revocation) else { return };
        let (kid, signed) = (verified.kid(), verified.validity().signed);
        self.offer_time(signed, credential);
        let now = self.usable_time().map(|now| now.max(signed));
        match verified.check_time(now) {
            // Without a clock it is applied all the same: it can only take rights away, and R keeps old ones out.
            Ok(()) | Err(DocumentError::ClockUnknown) => {}
            Err(_) => return,
        }
        let held = self.revocations.floor(&kid);
        let iteration = match verified.check_iteration(held) {
            Ok(iteration) => iteration,
            Err(IterationError::Missing) if !self.config.documents.require_iteration => held,
            Err(_) => return,
        };
        let Some(Ok(data)) = verified.revocation_data() else { return };
        let derived = self.spare.derive(self.revocations, kid, iteration, signed, now, &data);
        // The document in force, shown again, is not worth a write and a record.
        if derived.is_err() || self.spare == self.revocations {
            return;
        }
        let written = self.spare.persist(&mut self.env.store, &mut self.scratch[..]);
        if self.noted(written).is_err() {
            return;
        }
        core::mem::swap(self.revocations, self.spare);
        let _ = self.forget_revoked();
        let entry = Entry { credential, ..self.entry(RecordType::Revocation) };
        let _ = self.append(&entry);
        self.event(Event::RevocationApplied);
    }

    /// Erases the entries and known keys that the revocation list covers.
    pub(crate) fn forget_revoked(&mut self) -> Result<(), StoreError> {
        let (crypto, revocations, store) = (&self.env.crypto, &*self.revocations, &mut self.env.store);
        let revoked = |key: &PublicKey, id: Option<&_>| revocations.covers(&key_hash(crypto, key), id);
        let mut fast = FastStore { slots: self.fast, turn: &mut self.core.fast_turn };
        let first = fast.remove(store, |entry| revoked(&entry.device_key, entry.access_id.as_ref()));
        let mut known = KnownKeys { slots: self.known, turn: &mut self.core.known_turn };
        let second = known.remove(store, |key| {
            let id = AccessData::parse(&key.access_data).ok().and_then(|access| access.access_id);
            revoked(&key.device_key, id.as_ref())
        });
        self.noted(first.and(second))
    }
}
