//! Whether a key counts now: the lock's rules around the schedules that both sides evaluate with the same code
//! ([`keybutton_protocol::document::schedule`]).
//!
//! What an issuer has signed has certainly come, so a key is never refused for being newer than a clock that is a little
//! behind; and without a usable clock, what needs the time is refused rather than guessed.

use keybutton_protocol::{document::DocumentError, verdict::Reason};

use crate::policy::{Claim, Judgement, Situation, of_document_error};

/// Checks a key's validity: by the clock where it is usable, else by the time that has certainly come.
pub(crate) fn check_time(claim: &Claim<'_>, situation: &Situation<'_>) -> Option<Judgement> {
    // What an issuer has signed has certainly come: a clock that is a little behind must not refuse a fresh key.
    match situation.now.map(|now| now.max(claim.signed)) {
        Some(now) if now > claim.valid_until => Some(Judgement::new(Reason::Expired)),
        Some(now) if now < claim.valid_from => Some(Judgement::new(Reason::NotYetValid)),
        Some(_) => None,
        None if situation.not_before > claim.valid_until => Some(Judgement::new(Reason::Expired)),
        None if claim.time_required => Some(of_document_error(DocumentError::ClockUnknown)),
        None => None,
    }
}

/// Checks whether a rule of a key allows the intent now.
pub(crate) fn check_rules(claim: &Claim<'_>, situation: &Situation<'_>) -> Option<Judgement> {
    if claim.access.reader_rules {
        return Some(Judgement::new(Reason::NoPermission));
    }
    let rules = &claim.access.rules;
    if rules.rules.is_empty() && !situation.documents.require_rules {
        return None;
    }
    let now = situation.now.map(|now| now.max(claim.signed));
    let intent = situation.intent?;
    let (reason, detail) = rules.decide(intent, now, situation.policy.utc_offset_s).err()?.reason();
    Some(Judgement::with(reason, detail))
}
