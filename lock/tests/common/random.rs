use std::convert::Infallible;

use keybutton_protocol::crypto::rustcrypto::{RustCrypto, RustSigner};
use rand_core::{TryCryptoRng, TryRng};

pub type TestCrypto = RustCrypto<Seeded>;

/// The same bytes in every run; good for tests only.
pub struct Seeded(u64);

pub fn crypto(seed: u64) -> TestCrypto {
    RustCrypto::new(Seeded(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

pub fn signer(seed: u64) -> RustSigner {
    RustSigner::generate(&mut crypto(seed ^ 0xA5A5_A5A5)).unwrap()
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]));
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

impl Seeded {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
