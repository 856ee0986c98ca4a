//! Asking for documents, believing them, and what the lock learns from them (`docs/PROTOCOL.md` sections 9, 10 and 19).

use keybutton_protocol::{
    a5::PressInfo,
    buf::Buf,
    crypto::{Crypto, Signer},
    document::{
        AccessData, DeviceResponse, DocRequest, DocType, Document, DocumentError, ELEMENT_REVOCATION, Expected,
        Verified, credential_id,
        iteration::{self, IterationError},
        request::write_device_request,
        revocation::key_hash,
        verify, verify_with_certificate,
    },
    ids::{CredentialId, Intent, Kid, PublicKey, UnixTime},
    reader::Peer,
    signalling::Signalling,
    verdict::Reason,
};

use super::{core::Context, session::Facts};
use crate::{
    config::ELEMENTS_MAX,
    known::{ACCESS_DATA_MAX, KnownKey, KnownKeys},
    policy::{self, Claim, Fault, Judgement, Situation},
    store::{Store, StoreError},
    uses::{use_key, uses},
};

/// Which documents the lock needs to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    access: bool,
    revocation: bool,
}

impl Wanted {
    pub(crate) fn any(self) -> bool {
        self.access || self.revocation
    }
}

/// What a verified document's element, or a known key, says.
#[derive(Clone, Debug)]
pub(crate) struct Right {
    pub(crate) kid: Kid,
    pub(crate) iteration: Option<u32>,
    pub(crate) signed: UnixTime,
    pub(crate) valid_from: UnixTime,
    pub(crate) valid_until: UnixTime,
    pub(crate) time_required: bool,
    pub(crate) access: AccessData,
    /// The lock keeps it as a known key.
    pub(crate) known: bool,
    /// The document has further elements for this lock.
    pub(crate) partial: bool,
}

/// What the lock makes of a phone, before anything is written or moved.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) judgement: Judgement,
    pub(crate) right: Option<Right>,
}

impl Outcome {
    const fn without_right(judgement: Judgement) -> Self {
        Self { judgement, right: None }
    }

    /// The outcome that counts of two: one granting element is enough, else the refusal that came closest.
    fn or(self, other: Self) -> Self {
        if other.judgement.rank() > self.judgement.rank() { other } else { self }
    }
}

impl<C: Crypto, S: Signer, T: Store> Context<'_, C, S, T> {
    /// Which documents a phone has to show before the lock decides.
    pub(crate) fn needs_documents(&mut self, peer: &Peer, facts: &Facts) -> Wanted {
        let fresh = self.is_known_fresh(peer, facts);
        let newer = peer.revocation_signed > self.revocations.signed();
        Wanted {
            access: !fresh && peer.signalling.contains(Signalling::ACCESS_DOCUMENT),
            revocation: newer && peer.signalling.contains(Signalling::REVOCATION_DOCUMENT),
        }
    }

    fn is_known_fresh(&mut self, peer: &Peer, facts: &Facts) -> bool {
        let (not_before, limit) = (self.core.clock.not_before(self.now), self.config.policy.offline_limit_s);
        let mut keys = self.known();
        let Some(known) = keys.find(&peer.device_key) else { return false };
        let (kid, partial) = (known.kid, known.partial);
        let fresh = Some(known.signed) == peer.access_signed && not_before <= known.expires(limit);
        if !fresh || self.issuer_key(&kid).is_none() {
            return false;
        }
        // Another element of the same document may grant what the one that is kept refuses.
        !partial || self.known_outcome(peer, facts).judgement.is_granted()
    }

    /// Writes the request for the documents wanted; returns its length.
    pub(crate) fn write_request(&self, wanted: Wanted, out: &mut [u8]) -> Option<usize> {
        let mut names = [""; ELEMENTS_MAX];
        let elements = &self.config.elements;
        for (name, element) in names.iter_mut().zip(elements.iter()) {
            *name = element.as_str();
        }
        let names = names.get(..elements.len())?;
        let access = DocRequest { doc_type: DocType::Access, elements: names };
        let revocation = DocRequest { doc_type: DocType::Revocation, elements: &[ELEMENT_REVOCATION] };
        match (wanted.access, wanted.revocation) {
            (true, true) => write_device_request(&[access, revocation], out),
            (true, false) => write_device_request(&[access], out),
            (false, _) => write_device_request(&[revocation], out),
        }
    }

    /// What the lock knows of a key without seeing a document.
    pub(crate) fn known_outcome(&mut self, peer: &Peer, facts: &Facts) -> Outcome {
        match self.known_right(&peer.device_key) {
            Some(right) => self.outcome(right, &peer.device_key, peer.press, facts),
            None => self.unknown_outcome(peer),
        }
    }

    fn unknown_outcome(&self, peer: &Peer) -> Outcome {
        let revoked = self.revocations.covers(&key_hash(&self.env.crypto, &peer.device_key), None);
        Outcome::without_right(Judgement::new(if revoked { Reason::Revoked } else { Reason::KeyUnknown }))
    }

    pub(crate) fn known_right(&mut self, device_key: &PublicKey) -> Option<Right> {
        let mut keys = self.known();
        let known = keys.find(device_key)?;
        Some(Right {
            kid: known.kid,
            iteration: Some(known.iteration).filter(|_| known.has_iteration),
            signed: known.signed,
            valid_from: known.valid_from,
            valid_until: known.valid_until,
            time_required: known.time_required,
            access: AccessData::parse(&known.access_data).ok()?,
            known: true,
            partial: known.partial,
        })
    }

    /// Judges a right as things stand now.
    pub(crate) fn outcome(
        &self,
        right: Right,
        device_key: &PublicKey,
        press: Option<PressInfo>,
        facts: &Facts,
    ) -> Outcome {
        let policy = &self.config.policy;
        let access_id = right.access.access_id;
        let uses = access_id.map_or(0, |id| {
            let key = use_key(&self.env.crypto, right.kid, &id);
            uses(self.uses, &key)
        });
        let floor = self.core.floors.get(&right.kid);
        let claim = Claim {
            signed: right.signed,
            valid_from: right.valid_from,
            valid_until: right.valid_until,
            time_required: right.time_required,
            access: &right.access,
            revoked: self.revocations.covers(&key_hash(&self.env.crypto, device_key), access_id.as_ref()),
            stale: iteration::access(floor, right.iteration) == Err(IterationError::Stale),
            uses,
        };
        let situation = Situation {
            now: self.usable_time(),
            not_before: self.core.clock.not_before(self.now),
            group: self.config.group,
            intent: press.map_or(Some(Intent::Unlock), |press| press.intent()),
            interface: facts.interface,
            user_authenticated: facts.user_authenticated,
            policy,
            documents: &self.config.documents,
            lockdown: self.core.mode.lockdown,
            privacy: self.core.mode.privacy,
            fault: self.fault(),
        };
        let judgement = policy::decide(&claim, &situation);
        Outcome { judgement, right: Some(right) }
    }

    /// Takes in a phone's documents: revocations first, for a phone may carry its own.
    pub(crate) fn take_documents(&mut self, peer: &Peer, facts: &Facts, response: &[u8]) -> Outcome {
        let credential = credential_id(&self.env.crypto, &peer.device_key);
        let malformed = |error| Outcome::without_right(policy::of_document_error(DocumentError::Malformed(error)));
        let response = match DeviceResponse::parse(response) {
            Ok(response) => response,
            Err(error) => return malformed(error),
        };
        let known = self.known_right(&peer.device_key);
        let is_revocation = |document: &Document<'_>| document.doc_type() == DocType::Revocation.as_str();
        for document in response.documents().flatten().filter(is_revocation) {
            self.take_revocation(&document, credential);
        }
        let mut outcome: Option<Outcome> = None;
        for document in response.documents() {
            let next = match document {
                Ok(document) if is_revocation(&document) => continue,
                Ok(document) => self.take_access(&document, peer, facts, credential),
                Err(error) => malformed(error),
            };
            outcome = Some(match outcome {
                Some(before) => before.or(next),
                None => next,
            });
        }
        outcome.unwrap_or_else(|| match known {
            Some(right) => self.outcome(right, &peer.device_key, peer.press, facts),
            None => self.unknown_outcome(peer),
        })
    }

    /// Verifies a document against the issuers that the lock knows.
    pub(crate) fn verify<'a>(
        &self,
        document: &Document<'a>,
        expected: Expected<'_>,
    ) -> Result<Verified<'a>, DocumentError> {
        let crypto = &self.env.crypto;
        if !self.config.documents.accept_certificates || document.issuer_auth().x5chain().is_none() {
            return verify(crypto, document, |kid| self.issuer_key(kid), expected);
        }
        let mut result = Err(DocumentError::UnknownIssuer);
        for issuer in self.config.issuers.iter() {
            result = verify_with_certificate(crypto, document, &issuer.key, expected);
            if result != Err(DocumentError::UnknownIssuer) {
                break;
            }
        }
        result
    }

    fn take_access(
        &mut self,
        document: &Document<'_>,
        peer: &Peer,
        facts: &Facts,
        credential: CredentialId,
    ) -> Outcome {
        let expected = Expected::Access { device_key: &peer.device_key };
        let verified = match self.verify(document, expected) {
            Ok(verified) => verified,
            Err(error) => return Outcome::without_right(policy::of_document_error(error)),
        };
        self.offer_time(verified.validity().signed, credential);
        let floor = match verified.check_iteration(self.core.floors.get(&verified.kid())) {
            Ok(floor) => Some(floor),
            Err(IterationError::Stale) => None,
            Err(IterationError::Missing) if !self.config.documents.require_iteration => None,
            Err(error) => return Outcome::without_right(policy::of_document_error(error)),
        };
        let Some((mut outcome, element, count)) = self.best_element(&verified, peer, facts) else {
            return Outcome::without_right(Judgement::new(Reason::NoPermission));
        };
        let now = self.usable_time().map(|now| now.max(verified.validity().signed));
        if let (Some(floor), Ok(())) = (floor, verified.check_time(now)) {
            if self.raise_floor(&verified.kid(), floor).is_err() {
                return Outcome::without_right(Judgement::with(Reason::Hardware, Fault::Storage as u8));
            }
            if outcome.judgement.reason != Reason::Revoked {
                self.keep_known(&mut outcome, element, count > 1, peer, credential);
            }
        }
        outcome
    }

    /// The element of a document that comes closest to opening, its bytes, and how many count here.
    fn best_element<'d>(
        &self,
        verified: &Verified<'d>,
        peer: &Peer,
        facts: &Facts,
    ) -> Option<(Outcome, &'d [u8], usize)> {
        let validity = verified.validity();
        let mut best: Option<(Outcome, &'d [u8])> = None;
        let mut count = 0;
        for name in self.config.elements.iter() {
            let Some(value) = verified.element(name.as_str()) else { continue };
            count += 1;
            let outcome = match AccessData::parse(value) {
                Ok(access) => {
                    let right = Right {
                        kid: verified.kid(),
                        iteration: validity.iteration,
                        signed: validity.signed,
                        valid_from: validity.valid_from,
                        valid_until: validity.valid_until,
                        time_required: verified.time_verification_required(),
                        access,
                        known: false,
                        partial: false,
                    };
                    self.outcome(right, &peer.device_key, peer.press, facts)
                }
                Err(error) => Outcome::without_right(policy::of_document_error(error)),
            };
            if best.as_ref().is_none_or(|(best, _)| outcome.judgement.rank() > best.judgement.rank()) {
                best = Some((outcome, value));
            }
        }
        best.map(|(outcome, value)| (outcome, value, count))
    }

    fn raise_floor(&mut self, kid: &Kid, floor: u32) -> Result<(), StoreError> {
        let raised = self.core.floors.raise(&mut self.env.store, kid, floor);
        self.noted(raised)?;
        let (mut fast, store) = self.fast_store();
        let removed =
            fast.remove(store, |entry| entry.kid == *kid && iteration::access(floor, Some(entry.iteration)).is_err());
        self.noted(removed)
    }

    fn keep_known(
        &mut self,
        outcome: &mut Outcome,
        element: &[u8],
        partial: bool,
        peer: &Peer,
        credential: CredentialId,
    ) {
        let Some(right) = &mut outcome.right else { return };
        // Longer access data is not kept: its phone shows the document for every press.
        let Ok(access_data) = Buf::<ACCESS_DATA_MAX>::from_slice(element) else { return };
        let key = KnownKey {
            credential,
            device_key: peer.device_key,
            kid: right.kid,
            iteration: right.iteration.unwrap_or_default(),
            has_iteration: right.iteration.is_some(),
            signed: right.signed,
            valid_from: right.valid_from,
            valid_until: right.valid_until,
            time_required: right.time_required,
            partial,
            access_data,
        };
        let mut known = KnownKeys { slots: self.known, turn: &mut self.core.known_turn };
        let kept = known.put(&mut self.env.store, key);
        right.known = kept.is_ok();
        let _ = self.noted(kept);
    }
}
