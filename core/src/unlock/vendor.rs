use keybutton_protocol::{
    api::{Decision, DoorId, DoorRights, IntegrationKind},
    crypto::Crypto,
};

use super::{
    Action, Phase, VendorWord,
    run::{Env, Run},
    state::State,
};
use crate::{
    error::{ErrorCode, Retry},
    keyring::Keyring,
    outcome::{Cause, LockReport, Outcome, Route},
};

/// Whether a vendor's SDK opens the door of a press.
pub(super) enum Vendors {
    /// No: our own locks are looked for.
    None,
    /// This door.
    One(DoorId),
    /// No door of ours may be opened, and more than one of theirs.
    Several,
}

impl Run {
    /// Whether the press is for a door that a vendor's SDK opens, as the service said last: the chosen one, or, with
    /// none chosen, the only one that may be opened at all. Never for a reader that came by itself.
    pub(super) fn vendors(&self, keyring: &Keyring) -> Vendors {
        let Some(rights) = keyring.rights().filter(|_| self.options.radio) else { return Vendors::None };
        let is_vendors = |door: &DoorRights| door.integration == IntegrationKind::Vendor;
        if let Some(chosen) = &self.options.door {
            let vendors = rights.doors.iter().any(|door| door.id == *chosen && is_vendors(door));
            return if vendors { Vendors::One(chosen.clone()) } else { Vendors::None };
        }
        let mut open = rights.doors.iter().filter(|door| matches!(door.decision, Decision::Allow { .. }));
        match (open.next(), open.next()) {
            (Some(only), None) if is_vendors(only) => Vendors::One(only.id.clone()),
            (Some(first), Some(second)) if is_vendors(first) && is_vendors(second) && open.all(is_vendors) => {
                Vendors::Several
            }
            (Some(_), _) | (None, _) => Vendors::None,
        }
    }

    /// The service allows it: from here on the door may open.
    pub(super) fn ask_vendor<C: Crypto>(&mut self, door: DoorId, env: &mut Env<'_, C>) -> State<C> {
        if !self.options.vendor {
            return self.fail(ErrorCode::UnlockMethodNative, Cause::LinkLost, env);
        }
        let now = env.now.moment;
        self.options.door = Some(door.clone());
        self.route = Some(Route::Vendor);
        self.mark_asked(now);
        self.phase(Phase::Opening(door.clone()), now);
        self.push(Action::AskVendor(door));
        State::AskingVendor
    }

    pub(super) fn vendor_answered<C: Crypto>(&mut self, word: VendorWord, env: &mut Env<'_, C>) -> State<C> {
        match word {
            VendorWord::Opened => {
                if let Some(door) = self.door().cloned() {
                    env.keyring.opened(door, env.now.wall);
                    self.push(Action::SaveKeyring);
                }
                self.finish(Outcome::Opened(LockReport::default()), env)
            }
            // A refusal that says itself that the door may have opened is none.
            VendorWord::Refused(code) if code.retry() == Retry::SamePressOnly => self.finish(Cause::LinkLost, env),
            VendorWord::Refused(code) => self.finish(code, env),
            VendorWord::Unconfirmed => self.finish(Cause::LinkLost, env),
        }
    }
}
