//! Whatever a store gives back, reading it never panics.

use proptest::{collection::vec, prelude::*};

use crate::{
    config::Issuer,
    fast::{FastSlot, FastStore},
    known::{KnownKeys, KnownSlot},
    revocation::{AccessFloors, Revocations},
    store::{MAX_RECORD, MemoryStore, Record, Store},
    uses::UseCounters,
};

type Small = MemoryStore<1, 1, 1, 16>;

proptest! {
    #[test]
    fn any_stored_bytes_are_judged_without_panic(bytes in vec(any::<u8>(), 0..400)) {
        let mut store = Small::new();
        for record in [
            Record::Floors,
            Record::Revocations,
            Record::Clock,
            Record::Mode,
            Record::Known(0),
            Record::Fast(0),
            Record::Uses(0),
        ] {
            let len = bytes.len().min(record.max_len());
            store.write(record, &bytes[..len]).unwrap();
        }
        let issuers = [Issuer::default()];
        let _ = AccessFloors::load(&mut store, &issuers);
        let mut list = std::boxed::Box::new(Revocations::EMPTY);
        let _ = list.load(&mut store, &issuers, &mut [0; MAX_RECORD]);
        let _ = UseCounters(&mut [None]).load(&mut store);
        KnownKeys { slots: &mut [KnownSlot::EMPTY], turn: &mut 0 }.load(&mut store).unwrap();
        FastStore { slots: &mut [FastSlot::EMPTY], turn: &mut 0 }.load(&mut store, 64).unwrap();
    }
}
