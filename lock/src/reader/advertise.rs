//! The rotating tag and the flags under it (`docs/PROTOCOL.md` section 15).

use core::time::Duration;

use keybutton_protocol::{
    advert::{AdvertFlags, ROTATION_JITTER_S, ROTATION_S, ServiceData, advertisement, scan_response},
    crypto::{Crypto, CryptoError},
};

use super::{Address, Advertising};
use crate::{config::LockConfig, uptime::Uptime};

/// What is advertised, and until when.
#[derive(Debug, Default)]
pub(crate) struct Beacon {
    tag: Option<Tag>,
    /// What is advertised, and the flags in it.
    sent: Option<(Advertising, AdvertFlags)>,
}

#[derive(Clone, Copy, Debug)]
struct Tag {
    random: [u8; 8],
    address: Address,
    until: Uptime,
}

impl Beacon {
    /// When a new tag is due; `None` while a link is open.
    pub(crate) fn deadline(&self, linked: bool) -> Option<Uptime> {
        self.tag.map(|tag| tag.until).filter(|_| !linked)
    }

    /// What to advertise from now on; `None` when that has not changed. The tag never changes while a link is open.
    pub(crate) fn refresh<C: Crypto>(
        &mut self,
        crypto: &mut C,
        config: Option<&LockConfig>,
        flags: AdvertFlags,
        linked: bool,
        now: Uptime,
    ) -> Result<Option<&Advertising>, CryptoError> {
        let tag = match self.tag.filter(|tag| now < tag.until || linked) {
            Some(tag) => tag,
            None => *self.tag.insert(Tag::fresh(crypto, now)?),
        };
        if self.sent.is_some_and(|(sent, told)| sent.address == tag.address && told == flags) {
            return Ok(None);
        }
        let [r0, r1, r2, ..] = tag.random;
        let data = match config {
            Some(config) => ServiceData::make(crypto, &config.group_resolving_key, [r0, r1, r2], config.number, flags),
            None => ServiceData::setup(tag.random),
        };
        let next = Advertising {
            advertisement: advertisement(config.map_or(0, |config| config.policy.tx_power_dbm)),
            scan_response: scan_response(&data),
            address: tag.address,
        };
        let (advertising, _) = self.sent.insert((next, flags));
        Ok(Some(advertising))
    }
}

impl Tag {
    fn fresh<C: Crypto>(crypto: &mut C, now: Uptime) -> Result<Self, CryptoError> {
        let mut random = [0; 18];
        crypto.random(&mut random)?;
        let [r0, r1, r2, r3, r4, r5, r6, r7, a0, a1, a2, a3, a4, a5, j0, j1, j2, j3] = random;
        let jitter = u32::from_be_bytes([j0, j1, j2, j3]) % (2 * ROTATION_JITTER_S + 1);
        let lasts = Duration::from_secs(u64::from(ROTATION_S - ROTATION_JITTER_S + jitter));
        // The two top bits of a non-resolvable private address are zero.
        let address = Address([a0 & 0x3F, a1, a2, a3, a4, a5]);
        Ok(Self { random: [r0, r1, r2, r3, r4, r5, r6, r7], address, until: now + lasts })
    }
}
