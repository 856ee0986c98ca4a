//! The tables a reader works on, placed by the caller.

use core::ops::DerefMut;

use keybutton_protocol::{
    audit::{ENVELOPE_MAX, RECORD_LEN, RECORDS_MAX},
    crypto::Crypto,
    message::MAX_MESSAGE,
};

use super::{link::Link, nfc::NfcLink};
use crate::{fast::FastSlot, known::KnownSlot, revocation::Revocations, store::MAX_RECORD, uses::UseCount};

/// The tables of a [`Reader`](crate::Reader): about 60 kB with the default capacities.
///
/// Place it in a `static` (through a cell that hands out `&'static mut`) or in a box; nothing in it needs to survive.
///
/// `LINKS` are the Bluetooth links served at once (at least 2 keep one phone from blocking a door), `KNOWN` the known
/// keys, `FAST` the entries of the fast phase, `USES` the use counters. The store needs slots for as many. An entry of the
/// fast phase serves while its key is known: fewer `KNOWN` than `FAST` leave entries without use.
pub struct Memory<
    C: Crypto,
    const LINKS: usize = 2,
    const KNOWN: usize = 64,
    const FAST: usize = 64,
    const USES: usize = 64,
> {
    links: [Link<C>; LINKS],
    nfc: NfcLink<C>,
    known: [KnownSlot; KNOWN],
    fast: [FastSlot; FAST],
    uses: [Option<UseCount>; USES],
    revocations: Revocations,
    spare: Revocations,
    scratch: [u8; SCRATCH],
    work: [u8; WORK],
}

/// Room for a message that is being put together.
pub(crate) const WORK: usize = MAX_MESSAGE;
/// Room for the longest record, or for an audit envelope and the records that go into it.
pub(crate) const SCRATCH: usize = if MAX_RECORD > HAND_OVER { MAX_RECORD } else { HAND_OVER };
/// Room for the records of one envelope.
pub(crate) const RECORDS_ROOM: usize = RECORDS_MAX * RECORD_LEN;
const HAND_OVER: usize = RECORDS_ROOM + ENVELOPE_MAX;

impl<C: Crypto, const LINKS: usize, const KNOWN: usize, const FAST: usize, const USES: usize>
    Memory<C, LINKS, KNOWN, FAST, USES>
{
    /// Makes empty tables.
    pub const fn new() -> Self {
        Self {
            links: [const { Link::new() }; LINKS],
            nfc: NfcLink::new(),
            known: [const { KnownSlot::EMPTY }; KNOWN],
            fast: [const { FastSlot::EMPTY }; FAST],
            uses: [None; USES],
            revocations: Revocations::EMPTY,
            spare: Revocations::EMPTY,
            scratch: [0; SCRATCH],
            work: [0; WORK],
        }
    }
}

impl<C: Crypto, const LINKS: usize, const KNOWN: usize, const FAST: usize, const USES: usize> Default
    for Memory<C, LINKS, KNOWN, FAST, USES>
{
    fn default() -> Self {
        Self::new()
    }
}

/// The tables, whatever their capacities. Implemented by [`Memory`] alone.
pub trait Tables<C: Crypto>: sealed::Sealed {
    #[doc(hidden)]
    fn parts(&mut self) -> Parts<'_, C>;
}

/// The tables, borrowed one by one.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Parts<'a, C: Crypto> {
    pub(crate) links: &'a mut [Link<C>],
    pub(crate) nfc: &'a mut NfcLink<C>,
    pub(crate) known: &'a mut [KnownSlot],
    pub(crate) fast: &'a mut [FastSlot],
    pub(crate) uses: &'a mut [Option<UseCount>],
    pub(crate) revocations: &'a mut Revocations,
    pub(crate) spare: &'a mut Revocations,
    pub(crate) scratch: &'a mut [u8; SCRATCH],
    pub(crate) work: &'a mut [u8; WORK],
}

impl<C: Crypto, const LINKS: usize, const KNOWN: usize, const FAST: usize, const USES: usize> Tables<C>
    for Memory<C, LINKS, KNOWN, FAST, USES>
{
    fn parts(&mut self) -> Parts<'_, C> {
        Parts {
            links: &mut self.links,
            nfc: &mut self.nfc,
            known: &mut self.known,
            fast: &mut self.fast,
            uses: &mut self.uses,
            revocations: &mut self.revocations,
            spare: &mut self.spare,
            scratch: &mut self.scratch,
            work: &mut self.work,
        }
    }
}

/// What can hold the tables: `&'static mut Memory<..>`, `Box<Memory<..>>`.
pub trait Place<C: Crypto>: DerefMut<Target: Tables<C>> {}

impl<C: Crypto, P: DerefMut<Target: Tables<C>>> Place<C> for P {}

mod sealed {
    pub trait Sealed {}

    impl<C: keybutton_protocol::crypto::Crypto, const L: usize, const K: usize, const F: usize, const U: usize> Sealed
        for super::Memory<C, L, K, F, U>
    {
    }
}
