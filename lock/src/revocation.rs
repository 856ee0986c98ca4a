//! The revocation list and the floors S and R of every issuer (`docs/PROTOCOL.md` sections 10.5 and 10.6).

use keybutton_protocol::{
    document::{RevocationData, RevocationEntry, RevocationMode},
    ids::{AccessId, Kid, UnixTime},
};

use crate::{
    config::{ISSUERS_MAX, Issuer},
    store::{
        Record, Store, StoreError,
        codec::{Decoder, Encoder},
    },
};

/// How many revoked keys and access identifiers a lock keeps.
pub const REVOCATIONS_MAX: usize = 64;
/// An entry is kept this much longer than its expiry, seconds.
const GRACE_S: u32 = 86_400;

/// The numbers kept for one issuer: neither ever decreases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Floor {
    pub(crate) kid: Kid,
    pub(crate) iteration: u32,
}

/// The access iteration S of every issuer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AccessFloors([Option<Floor>; ISSUERS_MAX]);

impl AccessFloors {
    /// Reads S, not below what the issuers had when the lock was claimed. Issuers that are gone are forgotten.
    pub(crate) fn load<T: Store>(store: &mut T, issuers: &[Issuer]) -> Result<Self, StoreError> {
        let mut value = [0; Record::Floors.max_len()];
        let stored = match store.read(Record::Floors, &mut value)? {
            None => [None; ISSUERS_MAX],
            Some(len) => {
                let mut decoder = Decoder::new(value.get(..len).unwrap_or_default());
                read_floors(&mut decoder).ok_or(StoreError::Damaged(Record::Floors))?
            }
        };
        Ok(Self(merge(&stored, issuers, |issuer| issuer.access_iteration)))
    }

    /// S of an issuer.
    pub(crate) fn get(&self, kid: &Kid) -> u32 {
        find(&self.0, kid)
    }

    /// Raises S of an issuer; writes only when it changes.
    pub(crate) fn raise<T: Store>(&mut self, store: &mut T, kid: &Kid, iteration: u32) -> Result<(), StoreError> {
        let mut next = self.0;
        let Some(floor) = next.iter_mut().flatten().find(|floor| floor.kid == *kid && floor.iteration < iteration)
        else {
            return Ok(());
        };
        floor.iteration = iteration;
        let mut value = [0; Record::Floors.max_len()];
        let mut encoder = Encoder::new(&mut value);
        write_floors(&mut encoder, &next);
        store.write(Record::Floors, encoder.finish().ok_or(StoreError::Full)?)?;
        self.0 = next;
        Ok(())
    }
}

/// The revocation list, and the revocation iteration R of every issuer. Both change in one write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Revocations {
    floors: [Option<Floor>; ISSUERS_MAX],
    /// When the newest document of any issuer was signed.
    signed: Option<UnixTime>,
    entries: [Option<(Kid, RevocationEntry)>; REVOCATIONS_MAX],
}

/// A list has more entries than the lock has room for; the old list stays in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoRoom;

impl Revocations {
    pub(crate) const EMPTY: Self = Self { floors: [None; ISSUERS_MAX], signed: None, entries: [None; REVOCATIONS_MAX] };

    /// Reads R and the list into `self`. Issuers that are gone take their entries with them.
    pub(crate) fn load<T: Store>(
        &mut self,
        store: &mut T,
        issuers: &[Issuer],
        buffer: &mut [u8],
    ) -> Result<(), StoreError> {
        *self = Self::EMPTY;
        if let Some(len) = store.read(Record::Revocations, buffer)? {
            let value = buffer.get(..len).unwrap_or_default();
            self.decode(value).ok_or(StoreError::Damaged(Record::Revocations))?;
        }
        self.floors = merge(&self.floors, issuers, |issuer| issuer.revocation_iteration);
        for slot in &mut self.entries {
            if slot.is_some_and(|(kid, _)| issuers.iter().all(|issuer| issuer.kid != kid)) {
                *slot = None;
            }
        }
        Ok(())
    }

    /// R of an issuer.
    pub(crate) fn floor(&self, kid: &Kid) -> u32 {
        find(&self.floors, kid)
    }

    /// When the newest document held was signed.
    pub(crate) fn signed(&self) -> Option<UnixTime> {
        self.signed
    }

    /// Whether a device key (by its hash) or an access identifier is revoked.
    ///
    /// Entries count whoever issued them: after a change of the issuer key the old key's documents are still around.
    pub(crate) fn covers(&self, key_hash: &[u8; 32], access_id: Option<&AccessId>) -> bool {
        self.entries.iter().flatten().any(|(_, entry)| entry.matches(key_hash, access_id))
    }

    /// Computes in `self` the list after a verified document of `kid` with iteration `iteration`, from `current`.
    ///
    /// An issuer overwrites only what it listed itself.
    pub(crate) fn derive(
        &mut self,
        current: &Self,
        kid: Kid,
        iteration: u32,
        signed: UnixTime,
        now: Option<UnixTime>,
        data: &RevocationData<'_>,
    ) -> Result<(), NoRoom> {
        self.clone_from(current);
        let overwrite = data.mode() == RevocationMode::Overwrite;
        // What is removed goes first, for its room; an entry both added and removed ends up removed all the same.
        let removed = |entry: &RevocationEntry| data.removals().any(|removal| removal.is_about_same(entry));
        let over = |entry: &RevocationEntry| {
            entry.expires.zip(now).is_some_and(|(end, now)| end.0.saturating_add(GRACE_S) < now.0)
        };
        for slot in &mut self.entries {
            if slot.is_some_and(|(issuer, held)| (issuer == kid && (overwrite || removed(&held))) || over(&held)) {
                *slot = None;
            }
        }
        for entry in data.additions().filter(|entry| !removed(entry)) {
            let held = self
                .entries
                .iter()
                .position(|slot| slot.is_some_and(|(issuer, held)| issuer == kid && held.is_about_same(&entry)));
            let place = held.or_else(|| self.entries.iter().position(Option::is_none)).ok_or(NoRoom)?;
            *self.entries.get_mut(place).ok_or(NoRoom)? = Some((kid, entry));
        }
        if let Some(floor) = self.floors.iter_mut().flatten().find(|floor| floor.kid == kid) {
            floor.iteration = floor.iteration.max(iteration);
        }
        self.signed = self.signed.max(Some(signed));
        Ok(())
    }

    /// Writes R and the list, in one record.
    pub(crate) fn persist<T: Store>(&self, store: &mut T, buffer: &mut [u8]) -> Result<(), StoreError> {
        let value = self.encode(buffer).ok_or(StoreError::Full)?;
        store.write(Record::Revocations, value)
    }

    fn encode<'b>(&self, out: &'b mut [u8]) -> Option<&'b [u8]> {
        let mut encoder = Encoder::new(out);
        write_floors(&mut encoder, &self.floors);
        encoder.u32(self.signed.map_or(0, |time| time.0));
        encoder.u8(u8::try_from(self.entries.iter().flatten().count()).ok()?);
        for (kid, entry) in self.entries.iter().flatten() {
            let issuer = self.floors.iter().position(|floor| floor.is_some_and(|floor| floor.kid == *kid))?;
            let flags = u8::from(entry.key_hash.is_some()) | u8::from(entry.access_id.is_some()) << 1;
            encoder.u8(u8::try_from(issuer).ok()? << 4 | flags);
            if let Some(hash) = &entry.key_hash {
                encoder.bytes(hash);
            }
            if let Some(id) = &entry.access_id {
                encoder.short(id.as_bytes());
            }
            encoder.u32(entry.expires.map_or(0, |time| time.0));
        }
        encoder.finish()
    }

    fn decode(&mut self, value: &[u8]) -> Option<()> {
        let mut decoder = Decoder::new(value);
        self.floors = read_floors(&mut decoder)?;
        self.signed = Some(UnixTime(decoder.u32()?)).filter(|time| time.0 != 0);
        let count = decoder.u8()?;
        for n in 0..count {
            let head = decoder.u8()?;
            let kid = (*self.floors.get(usize::from(head >> 4))?)?.kid;
            let key_hash = if head & 1 != 0 { Some(decoder.array()?) } else { None };
            let access_id = if head & 2 != 0 { Some(AccessId::from_slice(decoder.short()?)?) } else { None };
            let expires = Some(UnixTime(decoder.u32()?)).filter(|time| time.0 != 0);
            *self.entries.get_mut(usize::from(n))? = Some((kid, RevocationEntry { key_hash, access_id, expires }));
        }
        decoder.end()
    }
}

fn find(floors: &[Option<Floor>], kid: &Kid) -> u32 {
    floors.iter().flatten().find(|floor| floor.kid == *kid).map_or(0, |floor| floor.iteration)
}

fn merge(
    stored: &[Option<Floor>; ISSUERS_MAX],
    issuers: &[Issuer],
    claimed: impl Fn(&Issuer) -> u32,
) -> [Option<Floor>; ISSUERS_MAX] {
    let mut floors = [None; ISSUERS_MAX];
    for (slot, issuer) in floors.iter_mut().zip(issuers) {
        let iteration = find(stored, &issuer.kid).max(claimed(issuer));
        *slot = Some(Floor { kid: issuer.kid, iteration });
    }
    floors
}

fn write_floors(encoder: &mut Encoder<'_>, floors: &[Option<Floor>; ISSUERS_MAX]) {
    for floor in floors {
        let (present, kid, iteration) = floor.map_or((0, Kid([0; 8]), 0), |floor| (1, floor.kid, floor.iteration));
        encoder.u8(present).bytes(&kid.0).u32(iteration);
    }
}

fn read_floors(decoder: &mut Decoder<'_>) -> Option<[Option<Floor>; ISSUERS_MAX]> {
    let mut floors = [None; ISSUERS_MAX];
    for slot in &mut floors {
        let present = decoder.u8()?;
        let floor = Floor { kid: Kid(decoder.array()?), iteration: decoder.u32()? };
        *slot = (present == 1).then_some(floor);
    }
    Some(floors)
}

#[cfg(test)]
mod tests;
