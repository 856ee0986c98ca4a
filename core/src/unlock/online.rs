use keybutton_protocol::{
    api::{AccessRefusal, ButtonState, Decision, DoorId, KeyBundle, Rights},
    crypto::Crypto,
    ids::Interface,
};

use super::{
    Action, Phase,
    run::{Env, Run},
    state::State,
    vendor::Vendors,
};
use crate::{
    access::{self, Access},
    error::{ErrorCode, KeyError},
    keyring::{Keyring, Lock, Site},
    outcome::{Cause, Route},
};

/// What the service has said during this press.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Online {
    /// It was not asked yet.
    NotAsked,
    /// It has not answered yet.
    Asked,
    /// It answered; the keyring has the rights.
    Answered,
    /// It refuses the door, and the key does too: the lock may say so itself, with its red light.
    LeftToLock(ErrorCode),
    /// It could not be asked.
    Silent(KeyError),
}

impl Online {
    /// Why the lock would refuse, if it were found.
    pub(super) const fn known_refusal(self) -> Option<ErrorCode> {
        match self {
            Self::LeftToLock(code) => Some(code),
            Self::NotAsked | Self::Asked | Self::Answered | Self::Silent(_) => None,
        }
    }
}

impl Run {
    /// Begins: straight to the radio when the keyring may do, else the service first.
    pub(super) fn begin<C: Crypto>(&mut self, env: &mut Env<'_, C>) -> State<C> {
        let now = env.now.moment;
        self.meter.begin(now);
        self.timers.deadline = Some(now.after(self.options.deadline_us));
        if self.options.repeats {
            self.mark_asked(now);
        }
        self.online = Online::Asked;
        self.push(Action::Validate);
        let vendors = matches!(self.vendors(env.keyring), Vendors::One(_));
        if !vendors && (self.options.repeats || (!is_hidden(env.keyring) && self.key_may_do(env))) {
            return self.search(env);
        }
        self.phase(Phase::CheckingAccess, now);
        State::Checking
    }

    /// The service answered a press that waits for it.
    pub(super) fn checked<C: Crypto>(&mut self, answer: Result<Rights, KeyError>, env: &mut Env<'_, C>) -> State<C> {
        if let Err(refusal) = self.note_rights(answer, env) {
            return self.fail(refusal.code(), Cause::LinkLost, env);
        }
        let vendors = self.vendors(env.keyring);
        match self.online {
            Online::LeftToLock(_) => self.search(env),
            // There is no key that could decide in the service's place.
            Online::Silent(error) if matches!(vendors, Vendors::One(_)) => {
                self.fail(error.code(), Cause::LinkLost, env)
            }
            Online::Silent(error) => self.without_service(error, env),
            Online::NotAsked | Online::Asked | Online::Answered => {
                match vendors {
                    Vendors::One(door) => return self.ask_vendor(door, env),
                    Vendors::Several => return self.finish(ErrorCode::DoorNotChosen, env),
                    Vendors::None => {}
                }
                if self.key_may_do(env) {
                    self.search(env)
                } else if self.options.door.is_none() && !any_door_allowed(env.keyring) {
                    self.finish(ErrorCode::NoPermission, env)
                } else {
                    self.download(env)
                }
            }
        }
    }

    /// The service answered while the press is on its way. A refusal stops it as long as the lock was not asked.
    pub(super) fn meanwhile<C: Crypto>(
        &mut self,
        answer: Result<Rights, KeyError>,
        state: State<C>,
        env: &mut Env<'_, C>,
    ) -> State<C> {
        let refusal = self.note_rights(answer, env).err();
        match refusal {
            Some(refusal) if self.asked.is_none() => self.finish(refusal, env),
            Some(_) | None => state,
        }
    }

    pub(super) fn download<C: Crypto>(&mut self, env: &mut Env<'_, C>) -> State<C> {
        self.stop_scan();
        self.phase(Phase::DownloadingKey, env.now.moment);
        self.push(Action::DownloadKeys);
        State::Downloading
    }

    /// The keys arrived, or did not.
    pub(super) fn downloaded<C: Crypto>(
        &mut self,
        answer: Result<KeyBundle, KeyError>,
        env: &mut Env<'_, C>,
    ) -> State<C> {
        match answer.and_then(|bundle| env.keyring.install(bundle, env.device_key, env.crypto)) {
            Ok(()) => {
                self.push(Action::SaveKeyring);
                env.discovery.keyring_changed();
                self.meter.metrics.downloaded = true;
                if self.has_valid_key(env) {
                    self.search(env)
                } else {
                    self.fail(ErrorCode::LockNotFound, Cause::LinkLost, env)
                }
            }
            Err(error) if error.code().is_refusal() => self.finish(error, env),
            Err(error) => self.without_service(error, env),
        }
    }

    /// Why the service objects to this press going on; `None` while it is silent, or when the lock will say it itself.
    pub(super) fn service_objects<C: Crypto>(&mut self, env: &Env<'_, C>) -> Option<KeyError> {
        if !matches!(self.online, Online::Answered | Online::LeftToLock(_)) || self.asked.is_some() {
            return None;
        }
        let rights = env.keyring.rights()?;
        if let ButtonState::Hidden(reason) = rights.button {
            return Some(reason.into());
        }
        let door = self.door()?;
        let reason = match decision_on(env.keyring, door) {
            Some(Decision::Allow { .. }) => return None,
            // The member may tap yet, or does.
            Some(Decision::Refuse { reason: AccessRefusal::TapOnly })
                if self.options.tap && self.route != Some(Route::Radio) =>
            {
                return None;
            }
            Some(Decision::Refuse { reason }) => *reason,
            None => AccessRefusal::NoPermission,
        };
        let refused_by_key = env.keyring.door(door).is_some_and(|(site, lock)| {
            access::is_valid(site, env.now.wall) && !self.opens(site, lock, env).is_allowed()
        });
        if !(refused_by_key && lock_says_it(reason)) {
            return Some(reason.into());
        }
        self.online = Online::LeftToLock(reason.into());
        None
    }

    /// Whether the service lets the member open a door that the key does not name yet.
    pub(super) fn needs_newer_key<C>(&self, lock: &Lock, env: &Env<'_, C>) -> bool {
        let allowed = |rights: &Rights| {
            let allow = |decision: &Decision| matches!(decision, Decision::Allow { .. });
            rights.doors.iter().any(|door| door.id == lock.door && allow(&door.decision))
        };
        !lock.opens
            && self.online == Online::Answered
            && !self.meter.metrics.downloaded
            && self.asked.is_none()
            && env.keyring.rights().is_some_and(allowed)
    }

    fn note_rights<C: Crypto>(
        &mut self,
        answer: Result<Rights, KeyError>,
        env: &mut Env<'_, C>,
    ) -> Result<(), KeyError> {
        match answer {
            Ok(rights) => {
                env.keyring.set_rights(rights);
                self.push(Action::SaveKeyring);
                self.online = Online::Answered;
                self.service_objects(env).map_or(Ok(()), Err)
            }
            Err(error) if error.code().is_refusal() => Err(error),
            // No connection, a session that ran out, a service in trouble: the key alone decides.
            Err(error) => {
                self.online = Online::Silent(error);
                Ok(())
            }
        }
    }

    fn without_service<C: Crypto>(&mut self, error: KeyError, env: &mut Env<'_, C>) -> State<C> {
        if let Some(ButtonState::Hidden(reason)) = env.keyring.rights().map(|rights| rights.button) {
            return self.finish(KeyError::from(reason), env);
        }
        if self.has_valid_key(env) {
            return self.search(env);
        }
        let has_expired_key = match &self.options.door {
            Some(door) => env.keyring.door(door).is_some(),
            None => !env.keyring.is_empty(),
        };
        self.finish(if has_expired_key { ErrorCode::Expired } else { error.code() }, env)
    }

    /// Whether it is worth going to the lock on the keys alone: one of them opens the door, or would within its hours.
    fn key_may_do<C>(&self, env: &Env<'_, C>) -> bool {
        let Some(door) = &self.options.door else { return self.has_valid_key(env) };
        env.keyring.door(door).is_some_and(|(site, lock)| match self.opens(site, lock, env) {
            Access::Allowed { .. } => true,
            Access::Refused { reason, .. } => matches!(reason, ErrorCode::OutsideSchedule | ErrorCode::Policy),
        })
    }

    /// Whether the door's site, or any, has a key that counts now, whatever it opens.
    fn has_valid_key<C>(&self, env: &Env<'_, C>) -> bool {
        match &self.options.door {
            Some(door) => env.keyring.door(door).is_some_and(|(site, _)| access::is_valid(site, env.now.wall)),
            None => env.keyring.sites().any(|site| access::is_valid(site, env.now.wall)),
        }
    }

    /// Whether the key opens the lock in a way this press can go; by radio where both ways do.
    fn opens<C>(&self, site: &Site, lock: &Lock, env: &Env<'_, C>) -> Access {
        let by = |interface| access::may_open(site, lock, self.options.intent, interface, env.now.wall);
        let radio = self.options.radio.then(|| by(Interface::Ble));
        match radio {
            Some(radio) if radio.is_allowed() || !self.options.tap => radio,
            Some(_) | None => by(Interface::Nfc),
        }
    }

    /// Whether the door opens by tap and not by radio, as far as key and service tell.
    pub(super) fn only_tap_opens<C>(&self, door: &DoorId, env: &Env<'_, C>) -> bool {
        if self.online == Online::Answered
            && decision_on(env.keyring, door) == Some(&Decision::Refuse { reason: AccessRefusal::TapOnly })
        {
            return true;
        }
        env.keyring.door(door).is_some_and(|(site, lock)| {
            let by = |interface| access::may_open(site, lock, self.options.intent, interface, env.now.wall);
            by(Interface::Nfc).is_allowed() && !by(Interface::Ble).is_allowed()
        })
    }
}

/// What the service said last about a door.
fn decision_on<'k>(keyring: &'k Keyring, door: &DoorId) -> Option<&'k Decision> {
    keyring.rights()?.doors.iter().find(|rights| rights.id == *door).map(|rights| &rights.decision)
}

fn is_hidden(keyring: &Keyring) -> bool {
    keyring.rights().is_some_and(|rights| matches!(rights.button, ButtonState::Hidden(_)))
}

fn any_door_allowed(keyring: &Keyring) -> bool {
    let allow = |decision: &Decision| matches!(decision, Decision::Allow { .. });
    keyring.rights().is_some_and(|rights| rights.doors.iter().any(|door| allow(&door.decision)))
}

/// Whether a lock finds the same by itself, from the key alone. What it can't know, the phone has to stop.
const fn lock_says_it(reason: AccessRefusal) -> bool {
    match reason {
        AccessRefusal::NoPermission
        | AccessRefusal::OutsideSchedule
        | AccessRefusal::NotYetValid
        | AccessRefusal::Expired
        | AccessRefusal::UseLimit
        | AccessRefusal::LockedDown => true,
        AccessRefusal::PrimaryDeviceOnly
        | AccessRefusal::TapOnly
        | AccessRefusal::Geofence
        | AccessRefusal::ProximityRequired
        | AccessRefusal::ModuleDisabled
        | AccessRefusal::UnlockMethodNative
        | AccessRefusal::UserNotConfirmed
        | AccessRefusal::MemberSuspended => false,
    }
}
