//! Randomness that is given beforehand, so that a back end makes the ephemeral keys of a vector.

use std::{collections::VecDeque, convert::Infallible};

use rand_core::{TryCryptoRng, TryRng, utils::next_word_via_fill};

/// Hands out the given bytes in order.
#[derive(Clone, Debug, Default)]
pub struct FixedRng(VecDeque<u8>);

impl FixedRng {
    /// Takes what is to be handed out.
    pub fn new(parts: &[&[u8]]) -> Self {
        Self(parts.concat().into())
    }
}

impl TryRng for FixedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for place in out {
            *place = self.0.pop_front().expect("the vector's randomness is used up");
        }
        Ok(())
    }
}

impl TryCryptoRng for FixedRng {}
