//! Advertising: the packets, and the rotating tag by which phones of a site recognise its locks (`docs/PROTOCOL.md`
//! sections 14 and 15).

use crate::{
    crypto::Crypto,
    ids::{GroupResolvingKey, LockNumber},
};

/// The lock service's UUID.
pub const SERVICE_UUID: u128 = 0x3b6dd380_75d6_45e2_9355_c17766a66a01;
/// The characteristic phones write to.
pub const TO_LOCK_UUID: u128 = 0x3b6dd381_75d6_45e2_9355_c17766a66a01;
/// The characteristic locks notify on.
pub const TO_PHONE_UUID: u128 = 0x3b6dd382_75d6_45e2_9355_c17766a66a01;

/// How long a tag, and the radio address under it, stay: 15 minutes, jittered by up to a minute. Seconds.
pub const ROTATION_S: u32 = 15 * 60;
/// The jitter of [`ROTATION_S`], either way. Seconds.
pub const ROTATION_JITTER_S: u32 = 60;

/// The length of the advertising packet's payload.
pub const ADV_LEN: usize = 24;
/// The length of the scan response's payload.
pub const SCAN_RESPONSE_LEN: usize = 28;

const AD_FLAGS: u8 = 0x01;
const AD_UUID128_COMPLETE: u8 = 0x07;
const AD_UUID128_INCOMPLETE: u8 = 0x06;
const AD_TX_POWER: u8 = 0x0A;
const AD_SERVICE_DATA_128: u8 = 0x21;

const PROFILE: u8 = 0x10;
const SETUP: u8 = 0x01;

/// The advertising packet: service UUID and transmit power in dBm.
pub fn advertisement(tx_power: i8) -> [u8; ADV_LEN] {
    let mut payload = [0; ADV_LEN];
    let [power] = tx_power.to_le_bytes();
    join(
        &mut payload,
        &[&[2, AD_FLAGS, 6, 17, AD_UUID128_COMPLETE], &SERVICE_UUID.to_le_bytes(), &[2, AD_TX_POWER, power]],
    );
    payload
}

/// The scan response: service data.
pub fn scan_response(data: &ServiceData) -> [u8; SCAN_RESPONSE_LEN] {
    let mut payload = [0; SCAN_RESPONSE_LEN];
    join(&mut payload, &[&[27, AD_SERVICE_DATA_128], &SERVICE_UUID.to_le_bytes(), &data.to_bytes()]);
    payload
}

/// What packets of one lock say, advertising packet and scan response alike or joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Packet {
    /// The packet carries the lock service.
    pub has_service: bool,
    /// The transmit power in dBm.
    pub tx_power: Option<i8>,
    /// The service data.
    pub data: Option<ServiceData>,
}

impl Packet {
    /// Reads a payload; structures that are not ours, or malformed, are skipped.
    pub fn parse(payload: &[u8]) -> Self {
        let mut packet = Self::default();
        let mut rest = payload;
        while let [len @ 1..=u8::MAX, tail @ ..] = rest {
            let Some((structure, tail)) = tail.split_at_checked(usize::from(*len)) else { break };
            packet.read(structure);
            rest = tail;
        }
        packet
    }

    fn read(&mut self, structure: &[u8]) {
        match structure {
            [AD_UUID128_COMPLETE | AD_UUID128_INCOMPLETE, uuids @ ..] => {
                self.has_service |= uuids.as_chunks::<16>().0.contains(&SERVICE_UUID.to_le_bytes());
            }
            [AD_TX_POWER, power] => self.tx_power = Some(i8::from_le_bytes([*power])),
            [AD_SERVICE_DATA_128, data @ ..] => {
                let ours = data.strip_prefix(&SERVICE_UUID.to_le_bytes()).and_then(ServiceData::parse);
                self.has_service |= ours.is_some();
                self.data = self.data.or(ours);
            }
            _ => {}
        }
    }
}

/// A rotating tag: stands for group and lock, and is worth nothing without the group resolving key. 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(pub [u8; 8]);

/// The service data of a scan response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ServiceData {
    /// The lock belongs to no site yet and waits to be claimed.
    pub setup: bool,
    /// The tag.
    pub tag: Tag,
    /// The flags, masked by the same key as the tag.
    pub masked_flags: u8,
}

impl ServiceData {
    /// The length in bytes.
    pub const LEN: usize = 10;

    /// Makes a fresh tag and masks the flags under it. `random` is new at each rotation.
    pub fn make(
        crypto: &impl Crypto,
        key: &GroupResolvingKey,
        random: [u8; 3],
        lock: LockNumber,
        flags: AdvertFlags,
    ) -> Self {
        let [mask0, mask1, mask2] = mask(crypto, key, &random);
        let [hi, lo] = lock.0.to_be_bytes();
        let number = [hi ^ mask0, lo ^ mask1];
        let [r0, r1, r2] = random;
        let [c0, c1, c2] = check(crypto, key, &random, number);
        Self { setup: false, tag: Tag([r0, r1, r2, number[0], number[1], c0, c1, c2]), masked_flags: flags.0 ^ mask2 }
    }

    /// The service data of a lock that belongs to no site yet: nothing to resolve.
    pub const fn setup(random: [u8; 8]) -> Self {
        Self { setup: true, tag: Tag(random), masked_flags: 0 }
    }

    /// Tells which lock of the key's group this is; `None` when it is of another group, or in setup mode.
    ///
    /// A hint only: 1 in 2^24 strangers fits, and a tag may be replayed. The transaction proves the lock.
    pub fn resolve(&self, crypto: &impl Crypto, key: &GroupResolvingKey) -> Option<Resolved> {
        let Tag([r0, r1, r2, n0, n1, c0, c1, c2]) = self.tag;
        let random = [r0, r1, r2];
        if self.setup || check(crypto, key, &random, [n0, n1]) != [c0, c1, c2] {
            return None;
        }
        let [mask0, mask1, mask2] = mask(crypto, key, &random);
        Some(Resolved {
            lock: LockNumber(u16::from_be_bytes([n0 ^ mask0, n1 ^ mask1])),
            flags: AdvertFlags(self.masked_flags ^ mask2),
        })
    }

    /// Info byte, tag and masked flags.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let info = PROFILE | if self.setup { SETUP } else { 0 };
        join(&mut bytes, &[&[info], &self.tag.0, &[self.masked_flags]]);
        bytes
    }

    /// Reads service data; `None` when it is not of this profile.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [info, tag @ .., masked_flags] if info & 0xF0 == PROFILE => {
                Some(Self { setup: info & SETUP != 0, tag: Tag(tag.try_into().ok()?), masked_flags: *masked_flags })
            }
            _ => None,
        }
    }
}

/// A lock recognised by its tag.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Resolved {
    /// Its number within the site.
    pub lock: LockNumber,
    /// What it says of itself.
    pub flags: AdvertFlags,
}

/// What a lock says of itself to phones of its site. Bit 0 stays 0 in shipped builds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct AdvertFlags(pub u8);

impl AdvertFlags {
    /// The battery is low.
    pub const BATTERY_LOW: Self = Self(1 << 1);
    /// No link is free.
    pub const BUSY: Self = Self(1 << 2);
    /// The lock wants tokens, or wants to hand over audit records.
    pub const WANTS_SYNC: Self = Self(1 << 3);

    /// Both sets joined.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

fn mask(crypto: &impl Crypto, key: &GroupResolvingKey, random: &[u8; 3]) -> [u8; 3] {
    let [m0, m1, m2, ..] = crypto.hmac_sha256(key.expose(), &[b"KBT1", random]);
    [m0, m1, m2]
}

fn check(crypto: &impl Crypto, key: &GroupResolvingKey, random: &[u8; 3], number: [u8; 2]) -> [u8; 3] {
    let [c0, c1, c2, ..] = crypto.hmac_sha256(key.expose(), &[b"KBT2", random, &number]);
    [c0, c1, c2]
}

fn join(out: &mut [u8], parts: &[&[u8]]) {
    let mut bytes = parts.iter().flat_map(|part| part.iter());
    out.iter_mut().for_each(|byte| *byte = bytes.next().copied().unwrap_or(0));
}

#[cfg(all(test, feature = "rustcrypto"))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::crypto;

    #[test]
    fn packets_have_their_exact_length_and_read_back() {
        let data = ServiceData { setup: false, tag: Tag([7; 8]), masked_flags: 0x5D };
        let adv = Packet::parse(&advertisement(-12));
        assert_eq!(adv, Packet { has_service: true, tx_power: Some(-12), data: None });
        let response = Packet::parse(&scan_response(&data));
        assert_eq!(response, Packet { has_service: true, tx_power: None, data: Some(data) });
    }

    #[test]
    fn a_lock_in_setup_mode_belongs_to_nobody() {
        let data = ServiceData::setup([1; 8]);
        assert_eq!(ServiceData::parse(&data.to_bytes()), Some(data));
        assert_eq!(data.resolve(&crypto(0), &GroupResolvingKey::new([0; 16])), None);
    }

    proptest! {
        #[test]
        fn tags_resolve_for_their_group_only(key: [u8; 16], other: [u8; 16], random: [u8; 3], number: u16, flags: u8) {
            prop_assume!(key != other);
            let crypto = crypto(0);
            let data = ServiceData::make(
                &crypto, &GroupResolvingKey::new(key), random, LockNumber(number), AdvertFlags(flags),
            );
            let expected = Resolved { lock: LockNumber(number), flags: AdvertFlags(flags) };
            prop_assert_eq!(data.resolve(&crypto, &GroupResolvingKey::new(key)), Some(expected));
            prop_assert_eq!(data.resolve(&crypto, &GroupResolvingKey::new(other)), None);
        }

        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (Packet::parse(&bytes), ServiceData::parse(&bytes));
        }
    }
}
