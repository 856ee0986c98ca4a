//! Allow or refuse, with the reason: a pure function of what a key claims and of the lock's situation.

use keybutton_protocol::{
    document::{AccessData, DocumentError},
    ids::{GroupId, Intent, Interface, UnixTime},
    verdict::Reason,
};

use crate::{
    config::{DocumentRules, IntentPolicy, Policy},
    reader::Lockdown,
    schedule::{check_rules, check_time},
};

/// What the lock decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Judgement {
    pub(crate) reason: Reason,
    pub(crate) detail: u8,
}

impl Judgement {
    pub(crate) const GRANTED: Self = Self::new(Reason::Granted);

    pub(crate) const fn new(reason: Reason) -> Self {
        Self { reason, detail: 0 }
    }

    pub(crate) const fn with(reason: Reason, detail: u8) -> Self {
        Self { reason, detail }
    }

    pub(crate) fn is_granted(self) -> bool {
        self.reason == Reason::Granted
    }

    /// How far the checks of section 17 got before this one failed; highest for granted.
    pub(crate) fn rank(self) -> usize {
        ORDER.iter().position(|reason| *reason == self.reason).unwrap_or(0)
    }
}

/// The order in which reasons are checked when several apply.
const ORDER: [Reason; 19] = [
    Reason::Busy,
    Reason::KeyUnknown,
    Reason::NotTrusted,
    Reason::BadData,
    Reason::Revoked,
    Reason::StaleDocument,
    Reason::WrongLock,
    Reason::Expired,
    Reason::NotYetValid,
    Reason::ClockUnknown,
    Reason::NoPermission,
    Reason::OutsideSchedule,
    Reason::UseLimit,
    Reason::UserAuthRequired,
    Reason::Policy,
    Reason::LockedDown,
    Reason::Privacy,
    Reason::Hardware,
    Reason::Granted,
];

/// What is known about a key: from its verified document, now or earlier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) signed: UnixTime,
    pub(crate) valid_from: UnixTime,
    pub(crate) valid_until: UnixTime,
    pub(crate) time_required: bool,
    pub(crate) access: &'a AccessData,
    /// The key or its access identifier is on the revocation list.
    pub(crate) revoked: bool,
    /// The issuer's floor has left the document behind.
    pub(crate) stale: bool,
    /// How often the access identifier has opened this lock.
    pub(crate) uses: u16,
}

/// A fault that keeps the lock from moving; the detail of [`Reason::Hardware`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// The bolt is stuck.
    Jammed = 1,
    /// The motor failed.
    Motor = 2,
    /// The battery is too low to move the bolt and to put it back.
    Battery = 3,
    /// The store failed.
    Storage = 4,
}

/// The lock's situation during one transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    /// The time, where the clock is good enough to refuse by it.
    pub(crate) now: Option<UnixTime>,
    /// The time that has certainly come, however little the clock knows.
    pub(crate) not_before: UnixTime,
    pub(crate) group: GroupId,
    /// What is wanted; `None` for an intent of a later version.
    pub(crate) intent: Option<Intent>,
    pub(crate) interface: Interface,
    /// AUTH0 forced user authentication.
    pub(crate) user_authenticated: bool,
    pub(crate) policy: &'a Policy,
    pub(crate) documents: &'a DocumentRules,
    pub(crate) lockdown: Lockdown,
    pub(crate) privacy: bool,
    pub(crate) fault: Option<Fault>,
}

/// Decides in the order of `docs/PROTOCOL.md` section 17.
pub(crate) fn decide(claim: &Claim<'_>, situation: &Situation<'_>) -> Judgement {
    if claim.revoked {
        return Judgement::new(Reason::Revoked);
    }
    if claim.stale {
        return Judgement::new(Reason::StaleDocument);
    }
    let restrictions = &claim.access.restrictions;
    let right_site = match restrictions.site {
        Some(site) => site == situation.group,
        None => !situation.documents.require_site_binding,
    };
    if !right_site {
        return Judgement::new(Reason::WrongLock);
    }
    let checks = [check_time, check_rules, check_uses, check_user, check_policy, check_lock];
    checks.iter().find_map(|check| check(claim, situation)).unwrap_or(Judgement::GRANTED)
}

/// What a document, or an element of it, that is not good is refused with.
pub(crate) fn of_document_error(error: impl Into<DocumentError>) -> Judgement {
    let (reason, detail) = error.into().reason();
    Judgement::with(reason, detail)
}

fn check_uses(claim: &Claim<'_>, situation: &Situation<'_>) -> Option<Judgement> {
    let limit = claim.access.restrictions.use_limit.filter(|_| situation.intent.is_some_and(opens))?;
    (claim.uses >= limit).then_some(Judgement::new(Reason::UseLimit))
}

fn check_user(claim: &Claim<'_>, situation: &Situation<'_>) -> Option<Judgement> {
    (claim.access.restrictions.user_authentication && !situation.user_authenticated)
        .then_some(Judgement::new(Reason::UserAuthRequired))
}

fn check_policy(claim: &Claim<'_>, situation: &Situation<'_>) -> Option<Judgement> {
    let Situation { intent, interface, policy, .. } = situation;
    let intent_allowed = match (policy.intents, intent) {
        (_, None) => false,
        (IntentPolicy::Any, Some(_)) => true,
        (IntentPolicy::MomentaryOnly, Some(Intent::Unlock | Intent::Status | Intent::Sync)) => true,
        (IntentPolicy::MomentaryOnly, Some(Intent::HoldOpen | Intent::Lock)) => false,
    };
    let served = match interface {
        Interface::Nfc => policy.interfaces.nfc,
        Interface::Ble => policy.interfaces.ble,
    };
    let claimed = claim.access.restrictions.interfaces.is_none_or(|interfaces| interfaces.include(*interface));
    (!(intent_allowed && served && claimed)).then_some(Judgement::new(Reason::Policy))
}

/// Lockdown, privacy and faults: they keep members from opening, not from locking or syncing.
fn check_lock(_claim: &Claim<'_>, situation: &Situation<'_>) -> Option<Judgement> {
    let opening = situation.intent.is_some_and(opens) || situation.intent == Some(Intent::Status);
    let moving = opening || situation.intent.is_some_and(moves);
    if opening && situation.lockdown != Lockdown::Off {
        return Some(Judgement::new(Reason::LockedDown));
    }
    if opening && situation.privacy {
        return Some(Judgement::new(Reason::Privacy));
    }
    let fault = situation.fault.filter(|_| moving)?;
    Some(Judgement::with(Reason::Hardware, fault as u8))
}

/// Whether an intent opens the door.
pub(crate) fn opens(intent: Intent) -> bool {
    match intent {
        Intent::Unlock | Intent::HoldOpen => true,
        Intent::Lock | Intent::Status | Intent::Sync => false,
    }
}

/// Whether an intent moves anything: the others are served without light and sound.
pub(crate) fn moves(intent: Intent) -> bool {
    opens(intent) || intent == Intent::Lock
}

#[cfg(test)]
mod tests;
