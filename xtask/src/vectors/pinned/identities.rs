//! The keys and identifiers of the vectors, each from a label.

use std::{collections::VecDeque, convert::Infallible};

use keybutton_protocol::{
    crypto::{
        Crypto, Signer,
        rustcrypto::{RustCrypto, RustSigner},
    },
    document::issuer_kid,
    ids::{GroupId, GroupResolvingKey, PublicKey, ReaderId, SubId, UnixTime},
};
use rand_core::{TryCryptoRng, TryRng, utils::next_word_via_fill};

use super::Numbers;

/// 2030-01-08T10:30:00Z, a Tuesday.
pub(super) const NOW: UnixTime = UnixTime(1_894_098_600);
/// The lock's number in its site.
pub(super) const LOCK_NUMBER: u16 = 42;

/// A back end that hands out given bytes as its randomness.
pub(super) type Back = RustCrypto<Given>;

/// A back end for what needs no randomness.
pub(super) fn crypto() -> Back {
    RustCrypto::new(Given::default())
}

/// A back end whose randomness is these bytes, in order.
pub(super) fn crypto_with(random: &[&[u8]]) -> Back {
    RustCrypto::new(Given(random.concat().into()))
}

/// The private key of a label.
pub(super) fn private(label: &str) -> [u8; 32] {
    crypto().sha256(&[b"keybutton protocol vector key: ", label.as_bytes()])
}

/// The signing key of a label.
pub(super) fn signer(label: &str) -> RustSigner {
    RustSigner::from_bytes(&private(label)).unwrap()
}

/// The public half of the key of a label.
pub(super) fn public(label: &str) -> PublicKey {
    signer(label).public_key()
}

/// Other bytes of a label.
pub(super) fn bytes<const N: usize>(label: &str) -> [u8; N] {
    let digest = crypto().sha256(&[b"keybutton protocol vector bytes: ", label.as_bytes()]);
    digest[..N].try_into().unwrap()
}

pub(super) fn group() -> GroupId {
    GroupId(bytes("group identifier"))
}

pub(super) fn sub() -> SubId {
    SubId(bytes("sub identifier"))
}

pub(super) fn reader() -> ReaderId {
    ReaderId::new(group(), sub())
}

pub(super) fn group_resolving_key() -> GroupResolvingKey {
    GroupResolvingKey::new(bytes("group resolving key"))
}

pub(super) fn numbers() -> Numbers {
    let mut numbers = Numbers::default();
    for label in ["reader", "site ca", "issuer", "device", "audit"] {
        numbers = numbers
            .bytes(&format!("{label} private"), private(label))
            .bytes(&format!("{label} public"), public(label).as_bytes());
    }
    numbers
        .bytes("kid", issuer_kid(&crypto(), &public("issuer")).as_bytes())
        .bytes("group identifier", group().as_bytes())
        .bytes("sub identifier", sub().as_bytes())
        .bytes("reader identifier", reader().as_bytes())
        .bytes("group resolving key", group_resolving_key().expose())
}

/// Bytes given beforehand, as a random source.
#[derive(Default)]
pub(super) struct Given(VecDeque<u8>);

impl TryRng for Given {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        next_word_via_fill(self)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.iter_mut().for_each(|place| *place = self.0.pop_front().unwrap());
        Ok(())
    }
}

impl TryCryptoRng for Given {}
