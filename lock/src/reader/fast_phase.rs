//! Recognising a phone by its cryptogram, and every reason not to (`docs/PROTOCOL.md` section 20).

use keybutton_protocol::{
    a5::PressInfo,
    channel::Cryptogram,
    crypto::{Crypto, Signer},
    document::{iteration, revocation::key_hash},
    reader::{Auth0Done, Failure, FastMatch},
    signalling::Signalling,
};

use super::{core::Context, session::Facts};
use crate::{fast::FastStore, store::Store};

impl<C: Crypto, S: Signer, T: Store> Context<'_, C, S, T> {
    /// Tries the entries, the one used last first.
    pub(crate) fn find_fast(&mut self, done: &Auth0Done<C>) -> Result<Option<(u8, FastMatch)>, Failure> {
        let fast = FastStore { slots: self.fast, turn: &mut self.core.fast_turn };
        let entries = fast.by_use().map(|(_, entry)| (&entry.secret, &entry.device_key));
        let found = done.find(&self.env.crypto, entries)?;
        Ok(found.and_then(|found| fast.by_use().nth(found.index).map(|(slot, _)| (slot, found))))
    }

    /// Whether the entry still lets its phone in without a signature; one that never will again is erased.
    pub(crate) fn is_fast_good(
        &mut self,
        slot: u8,
        cryptogram: &Cryptogram,
        press: Option<PressInfo>,
        facts: &Facts,
    ) -> bool {
        let fast = FastStore { slots: self.fast, turn: &mut self.core.fast_turn };
        let Some(entry) = fast.get(slot).cloned() else { return false };
        let hash = key_hash(&self.env.crypto, &entry.device_key);
        let floor = self.core.floors.get(&entry.kid);
        let over = self.core.clock.not_before(self.now) > entry.expires
            || iteration::access(floor, Some(entry.iteration)).is_err()
            || self.revocations.covers(&hash, entry.access_id.as_ref())
            || self.issuer_key(&entry.kid).is_none();
        if over {
            self.erase_fast(slot);
            return false;
        }
        let newer_revocation = cryptogram.signalling.contains(Signalling::REVOCATION_DOCUMENT)
            && cryptogram.revocation_signed > self.revocations.signed();
        let known = self.known_right(&entry.device_key).filter(|right| right.signed == entry.signed);
        // Another element of the same document may grant what the one that is kept refuses.
        let known = known.is_some_and(|right| {
            !right.partial || self.outcome(right, &entry.device_key, press, facts).judgement.is_granted()
        });
        let good = self.usable_time().is_some()
            && cryptogram.access_signed == Some(entry.signed)
            && !newer_revocation
            && known;
        good && self.take_fast_use(slot)
    }

    fn take_fast_use(&mut self, slot: u8) -> bool {
        let (mut fast, store) = self.fast_store();
        let taken = fast.take_use(store, slot);
        match self.noted(taken) {
            Ok(true) => true,
            Ok(false) => {
                self.erase_fast(slot);
                false
            }
            Err(_) => false,
        }
    }

    fn erase_fast(&mut self, slot: u8) {
        let (mut fast, store) = self.fast_store();
        let erased = fast.erase(store, slot);
        let _ = self.noted(erased);
    }
}
