//! The phone's first word, and its answer to AUTH0.

use super::{Auth0Done, Env, InitiatorError, LockTrust, TrustStore, auth0::Start, error::expect};
use crate::{
    a5::{A5, Limits, PressInfo, VERSION},
    apdu::{Ins, StatusWord},
    buf::{Buf, Full, Writer},
    channel::{CRYPTOGRAM_LEN, Cryptogram},
    crypto::Crypto,
    ids::{Interface, Kpersistent, PublicKey, ReaderId, TransactionId},
    keys::{self, FastKeys, Transcript},
    message,
    profile::{Profile, UserPolicy},
    signalling::Signalling,
    tlv::{self, Field},
};

/// Who the phone is, and what its user wants. Unchanged over a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Phone {
    /// The switches.
    pub profile: Profile,
    /// The public half of the device key.
    pub device_key: PublicKey,
    /// The press; sent where the profile says so.
    pub press: PressInfo,
    /// The longest APDUs the phone takes on NFC, where it takes extended ones.
    pub limits: Option<Limits>,
}

impl Phone {
    fn a5(&self, limits: Option<Limits>) -> Result<A5, Full> {
        A5::build(self.profile.vendor_a5.then_some(self.press), limits)
    }
}

/// NFC: the phone waits for SELECT.
#[derive(Clone, Debug)]
pub struct Waiting(Phone);

impl Waiting {
    /// Starts a session.
    pub const fn new(phone: Phone) -> Self {
        Self(phone)
    }

    /// Answers SELECT of the expedited application.
    pub fn select(self, command: &[u8], out: &mut [u8]) -> Result<(Opened, usize), InitiatorError> {
        let aid = expect(command, Ins::Select)?;
        if aid != self.0.profile.aid {
            return Err(InitiatorError::UnknownApplication);
        }
        let a5 = self.0.a5(self.0.limits)?;
        let len = write_fci(aid, a5.bytes(), out)?;
        Ok((Opened { phone: self.0, interface: Interface::Nfc, a5 }, len))
    }
}

/// The phone has said its first word and waits for AUTH0.
#[derive(Clone, Debug)]
pub struct Opened {
    phone: Phone,
    interface: Interface,
    a5: A5,
}

impl Opened {
    /// BLE: writes the whole Initiate message.
    pub fn initiate(phone: Phone, out: &mut [u8]) -> Result<(Self, usize), Full> {
        let a5 = phone.a5(None)?;
        let len = message::initiate(out, a5.bytes())?;
        Ok((Self { phone, interface: Interface::Ble, a5 }, len))
    }

    /// Answers AUTH0. An unknown group is answered like a known one.
    pub fn auth0<C: Crypto, T: TrustStore + ?Sized>(
        self,
        env: &mut Env<'_, C, T>,
        command: &[u8],
        out: &mut [u8],
    ) -> Result<(Auth0Done<C>, usize), InitiatorError> {
        let asked = Asked::parse(expect(command, Ins::Auth0)?)?;
        env.crypto.check_point(&asked.lock_ephemeral)?;
        let trust = env.trust.find(&asked.reader);
        let anchor = trust.as_ref().map(|trust| env.trust.fast_anchor(&asked.reader).unwrap_or(trust.anchor));
        let (ephemeral, device_ephemeral) = env.crypto.generate_ephemeral()?;
        let transcript = Transcript {
            // AUTH1 settles it anew.
            anchor_x: anchor.map_or([0; 32], |anchor| anchor.x()),
            reader: asked.reader,
            interface: self.interface,
            version: VERSION,
            lock_ephemeral: asked.lock_ephemeral,
            device_ephemeral,
            transaction: asked.transaction,
            parameters: asked.parameters,
            policy: asked.policy as u8,
            a5: self.a5.bytes().clone(),
            extensions: Buf::from_slice(asked.extension)?,
        };
        let must_authenticate = wants_user(asked.policy, trust.as_ref()) && !env.user_authenticated;
        let mut fast = None;
        let mut writer = Writer::new(out);
        tlv::put(&mut writer, 0x86, device_ephemeral.as_bytes())?;
        if asked.parameters & 1 == 1 {
            let usable = trust.as_ref().filter(|_| !must_authenticate);
            let (cryptogram, keys) = self.cryptogram(env, &transcript, usable)?;
            tlv::put(&mut writer, 0x9D, &cryptogram)?;
            fast = keys;
        }
        writer.put(&StatusWord::OK.to_bytes())?;
        let len = writer.len();
        let start = Start { phone: self.phone, transcript, trust, must_authenticate };
        Ok((Auth0Done::new(start, ephemeral, fast), len))
    }

    /// The cryptogram, and the keys under it. Who shares no secret with the lock does the same work with a random one.
    fn cryptogram<C: Crypto, T: ?Sized>(
        &self,
        env: &mut Env<'_, C, T>,
        transcript: &Transcript,
        trust: Option<&LockTrust>,
    ) -> Result<([u8; CRYPTOGRAM_LEN], Option<FastKeys>), InitiatorError> {
        let shared = trust.and_then(|trust| trust.persistent.clone());
        let known = shared.is_some();
        let persistent = match shared {
            Some(persistent) => persistent,
            None => {
                let mut random = [0; 32];
                env.crypto.random(&mut random)?;
                Kpersistent::new(random)
            }
        };
        let keys = keys::fast(env.crypto, transcript, &persistent, &self.phone.device_key)?;
        let access_signed = trust.and_then(|trust| trust.access_signed);
        let revocation_signed = trust.and_then(|trust| trust.revocation_signed);
        let text = Cryptogram {
            signalling: Signalling::of_phone(
                self.interface,
                access_signed.is_some(),
                revocation_signed.is_some(),
                self.phone.profile.sync,
            ),
            access_signed,
            revocation_signed,
        };
        Ok((text.seal(env.crypto, &keys.cryptogram)?, known.then_some(keys)))
    }
}

/// Tells whether the lock or the access document wants the user to authenticate.
fn wants_user(policy: UserPolicy, trust: Option<&LockTrust>) -> bool {
    policy > UserPolicy::PhoneSetting || trust.is_some_and(|trust| trust.user_auth_required)
}

/// Writes `6F { 84 AID, A5 } 9000`.
pub(super) fn write_fci(aid: &[u8], a5: &[u8], out: &mut [u8]) -> Result<usize, Full> {
    let mut writer = Writer::new(out);
    tlv::put_header(&mut writer, 0x6F, 2 + aid.len() + a5.len())?;
    tlv::put(&mut writer, 0x84, aid)?;
    writer.put(a5)?;
    writer.put(&StatusWord::OK.to_bytes())?;
    Ok(writer.len())
}

struct Asked<'a> {
    parameters: u8,
    policy: UserPolicy,
    lock_ephemeral: PublicKey,
    transaction: TransactionId,
    reader: ReaderId,
    extension: &'a [u8],
}

impl<'a> Asked<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, InitiatorError> {
        let known = [
            Field::required(0x41, 1),
            Field::required(0x42, 1),
            Field::required(0x5C, 2),
            Field::required(0x87, PublicKey::LEN),
            Field::required(0x4C, TransactionId::LEN),
            Field::required(0x4D, ReaderId::LEN),
            Field::optional_between(0xB1, 0, 127),
        ];
        let [parameters, policy, version, key, transaction, reader, extension] = tlv::fields(data, &known)?;
        if tlv::array(version) != Some(VERSION) {
            return Err(InitiatorError::Version);
        }
        let policy = tlv::array(policy).and_then(|[policy]| UserPolicy::from_byte(policy));
        Ok(Self {
            parameters: tlv::array(parameters).map(|[byte]: [u8; 1]| byte).ok_or(InitiatorError::Malformed)?,
            policy: policy.ok_or(InitiatorError::Malformed)?,
            lock_ephemeral: tlv::array(key).map(PublicKey).ok_or(InitiatorError::Malformed)?,
            transaction: tlv::array(transaction).map(TransactionId).ok_or(InitiatorError::Malformed)?,
            reader: tlv::array(reader).map(ReaderId).ok_or(InitiatorError::Malformed)?,
            extension: extension.map_or(&[], |tlv| tlv.raw),
        })
    }
}
