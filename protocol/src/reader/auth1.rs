//! The answer to AUTH1: keys, then the phone's identity, then its proof.

use super::{
    Deciding, Failure, ReaderError,
    failure::ensure_ok,
    session::{Peer, Phase, Secured},
};
use crate::{
    a5::PressInfo,
    apdu::{self, Ins},
    buf::{Buf, opaque_debug},
    channel::{BleChannel, Channel, Role, TAG_LEN},
    crypto::{Crypto, CryptoError},
    ids::{PublicKey, Signature, UnixTime},
    keys::{self, AuthenticationData, Kdh, StandardKeys, Transcript},
    profile::Profile,
    signalling::Signalling,
    tdate,
    tlv::{self, Field, Tlv},
    verdict::{Status, Verdict},
};

/// AUTH1 is on its way.
pub struct Auth1Sent<C: Crypto> {
    profile: Profile,
    ephemeral: C::Ephemeral,
    transcript: Transcript,
    press: Option<PressInfo>,
    met: AuthenticationData,
}

impl<C: Crypto> Auth1Sent<C> {
    pub(super) const fn new(
        profile: Profile,
        ephemeral: C::Ephemeral,
        transcript: Transcript,
        press: Option<PressInfo>,
        met: AuthenticationData,
    ) -> Self {
        Self { profile, ephemeral, transcript, press, met }
    }

    /// Takes the phone's answer, opens it in place and checks the phone's signature.
    ///
    /// A wrong signature is told the phone by a sealed status `00 04`, everything earlier by a word in clear.
    pub fn response(self, crypto: &mut C, response: &mut [u8]) -> Result<Deciding, Failure> {
        let interface = self.transcript.interface;
        let in_clear = |error: ReaderError| Failure::in_clear(interface, error);
        let (data, status) = apdu::response_mut(response).map_err(|error| in_clear(error.into()))?;
        ensure_ok(status).map_err(in_clear)?;
        let (keys, kdh) = derive(crypto, self.ephemeral, &self.transcript).map_err(|error| in_clear(error.into()))?;
        let mut expedited = Channel::new(Role::Lock, keys.expedited);
        let plaintext = expedited.open(crypto, &[], data).map_err(|error| in_clear(error.into()))?;
        let answer = Answer::parse(plaintext, self.profile.accept_key_slot).map_err(in_clear)?;
        crypto.check_point(&answer.device_key).map_err(|_| in_clear(ReaderError::Malformed))?;

        let Transcript { reader, device_ephemeral, lock_ephemeral, transaction, .. } = &self.transcript;
        let signed = AuthenticationData::for_phone(reader, device_ephemeral, lock_ephemeral, transaction);
        if crypto.verify(&answer.device_key, signed.as_bytes(), &answer.signature).is_err() {
            return Err(match bad_signature(crypto, &mut expedited) {
                Ok(exchange) => Failure::sealed(interface, ReaderError::DeviceSignature, exchange),
                Err(error) => Failure::silent(interface, error),
            });
        }
        let persistent = keys::persistent(crypto, &self.transcript, &kdh, &answer.device_key)
            .map_err(|error| Failure::silent(interface, error))?;
        Ok(Deciding(Secured {
            profile: self.profile,
            interface,
            expedited,
            step_up: Some(Channel::new(Role::Lock, keys.step_up)),
            stepped_up: false,
            ble: Some(BleChannel::new(Role::Lock, keys.ble)),
            persistent: Some(persistent),
            met: self.met,
            peer: Peer {
                phase: Phase::Standard,
                device_key: answer.device_key,
                signalling: answer.signalling,
                access_signed: answer.access_signed,
                revocation_signed: answer.revocation_signed,
                press: self.press,
            },
        }))
    }
}

fn derive<C: Crypto>(
    crypto: &mut C,
    ephemeral: C::Ephemeral,
    transcript: &Transcript,
) -> Result<(StandardKeys, Kdh), CryptoError> {
    let z = crypto.agree(ephemeral, &transcript.device_ephemeral)?;
    let kdh = Kdh::derive(crypto, &z, &transcript.transaction);
    Ok((keys::standard(crypto, transcript, &kdh)?, kdh))
}

/// The EXCHANGE with which a wrong device signature is answered: status 00 04, no report.
fn bad_signature<C: Crypto>(crypto: &C, channel: &mut Channel) -> Result<Buf<32>, ReaderError> {
    let mut exchange = Buf::new();
    let (room, len) = apdu::command_frame(exchange.storage(), Ins::Exchange, 4 + TAG_LEN)?;
    let text = Verdict::bare(Status::DEVICE_SIGNATURE).encode(room)?;
    channel.seal(crypto, &[], room, text)?;
    exchange.set_len(len)?;
    Ok(exchange)
}

struct Answer {
    device_key: PublicKey,
    signature: Signature,
    signalling: Signalling,
    access_signed: Option<UnixTime>,
    revocation_signed: Option<UnixTime>,
}

impl Answer {
    fn parse(plaintext: &[u8], accept_key_slot: bool) -> Result<Self, ReaderError> {
        let known = [
            Field::optional(0x4E, 8),
            Field::required(0x5A, PublicKey::LEN),
            Field::required(0x9E, Signature::LEN),
            Field::optional_between(0x4B, 0, 0xFFFF),
            Field::required(0x5E, 2),
            Field::optional(0x91, tdate::LEN),
            Field::optional(0x92, tdate::LEN),
        ];
        let [slot, key, signature, _mailbox, bitmap, access, revocation] = tlv::fields(plaintext, &known)?;
        if slot.is_some() && !accept_key_slot {
            return Err(ReaderError::Malformed);
        }
        let time =
            |field: Option<Tlv<'_>>| field.map(|tlv| tdate::parse(tlv.value).ok_or(ReaderError::Malformed)).transpose();
        Ok(Self {
            device_key: tlv::array(key).map(PublicKey).ok_or(ReaderError::Malformed)?,
            signature: tlv::array(signature).map(Signature).ok_or(ReaderError::Malformed)?,
            signalling: tlv::array(bitmap).map(u16::from_be_bytes).map(Signalling).ok_or(ReaderError::Malformed)?,
            access_signed: time(access)?,
            revocation_signed: time(revocation)?,
        })
    }
}

opaque_debug!(Auth1Sent);

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn plaintext(fields: &[(u8, usize)]) -> Vec<u8> {
        fields.iter().flat_map(|(tag, len)| [&[*tag, *len as u8][..], &std::vec![0x30; *len]].concat()).collect()
    }

    fn parses(fields: &[(u8, usize)], accept_key_slot: bool) -> bool {
        Answer::parse(&plaintext(fields), accept_key_slot).is_ok()
    }

    #[test]
    fn key_signature_and_bitmap_are_required_the_rest_is_not() {
        assert!(parses(&[(0x5A, 65), (0x9E, 64), (0x5E, 2)], false));
        assert!(parses(&[(0x5A, 65), (0x9E, 64), (0x4B, 9), (0x99, 3), (0x5E, 2)], false));
        for missing in [&[(0x9E, 64), (0x5E, 2)][..], &[(0x5A, 65), (0x5E, 2)], &[(0x5A, 65), (0x9E, 64)]] {
            assert!(!parses(missing, true));
        }
        assert!(!parses(&[(0x9E, 64), (0x5A, 65), (0x5E, 2)], true));
        assert!(!parses(&[(0x5A, 65), (0x9E, 63), (0x5E, 2)], true));
        // Twenty characters that are no time.
        assert!(!parses(&[(0x5A, 65), (0x9E, 64), (0x5E, 2), (0x91, 20)], true));
    }

    #[test]
    fn a_key_slot_is_accepted_from_third_parties_only() {
        let fields = [(0x4E, 8), (0x5A, 65), (0x9E, 64), (0x5E, 2)];
        assert!(parses(&fields, true));
        assert!(!parses(&fields, false));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Answer::parse(&bytes, true);
        }
    }
}
