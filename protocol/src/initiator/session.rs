//! After authentication: documents, the verdict, and what may follow it.

use super::{InitiatorError, Phone, auth0::Start, error::read, opening::write_fci};
use crate::{
    a5::A5,
    apdu::{self, Ins, StatusWord},
    buf::Buf,
    channel::{BleChannel, Channel, Role, TAG_LEN},
    crypto::Crypto,
    document::session::{self, Form},
    exchange::{Reply, Request},
    ids::{Interface, Kpersistent, ReaderId},
    keys::{FastKeys, StandardKeys},
};

/// The longest EXCHANGE kept for a second try on the other channel.
const SECOND_TRY: usize = 300;

/// The phone has answered AUTH1, or was recognised: commands are sealed from here on.
#[derive(Debug)]
pub struct Secured {
    phone: Phone,
    interface: Interface,
    reader: ReaderId,
    expedited: Channel,
    step_up: Option<Channel>,
    ble: Option<BleChannel>,
    persistent: Option<Kpersistent>,
    stepped_up: bool,
    verdict_seen: bool,
}

/// What a sealed command leads to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // moved once per step, and boxes need a heap
pub enum SecuredNext<'m> {
    /// SELECT of the step-up application: send the first `response` bytes of the buffer and go on.
    StepUpSelected {
        /// The next state.
        state: Secured,
        /// The length of the response.
        response: usize,
    },
    /// ENVELOPE: answer its DeviceRequest by [`DocumentsAsked::respond`].
    Documents {
        /// The next state.
        state: DocumentsAsked,
        /// The DeviceRequest, CBOR.
        request: &'m [u8],
    },
    /// EXCHANGE: answer by [`Exchanged::respond`].
    Exchange {
        /// The next state.
        state: Exchanged,
        /// What the lock wants, or its verdict.
        request: Request<'m>,
    },
}

impl Secured {
    /// Takes the lock's next command and opens it in place.
    pub fn handle<'m>(
        self,
        crypto: &impl Crypto,
        command: &'m mut [u8],
        out: &mut [u8],
    ) -> Result<SecuredNext<'m>, InitiatorError> {
        let (ins, data) = read(command)?;
        match ins {
            Ins::Select => self.select(data, out),
            Ins::Envelope => self.envelope(crypto, command),
            Ins::Exchange => self.exchange(crypto, command),
            Ins::Auth0 | Ins::LoadCert | Ins::Auth1 | Ins::ControlFlow | Ins::GetResponse => {
                Err(InitiatorError::WrongState)
            }
        }
    }

    /// The lock's identifier, proven.
    pub const fn reader(&self) -> &ReaderId {
        &self.reader
    }

    /// The interface the session runs over.
    pub const fn interface(&self) -> Interface {
        self.interface
    }

    /// The secret for the fast phase next time; `None` in the fast phase itself. Keep it once the lock has granted.
    pub const fn persistent(&self) -> Option<&Kpersistent> {
        self.persistent.as_ref()
    }

    /// Tells whether the lock recognised the phone without AUTH1.
    pub const fn is_fast(&self) -> bool {
        self.step_up.is_none()
    }

    /// Takes over the channel of BLE messages other than type 0: later states, or the result from third parties.
    pub const fn take_ble(&mut self) -> Option<BleChannel> {
        self.ble.take()
    }

    pub(super) fn standard(start: &Start, keys: StandardKeys, persistent: Kpersistent) -> Self {
        Self {
            step_up: Some(Channel::new(Role::Phone, keys.step_up)),
            persistent: Some(persistent),
            ..Self::new(start, Channel::new(Role::Phone, keys.expedited), BleChannel::new(Role::Phone, keys.ble))
        }
    }

    pub(super) fn fast(start: &Start, keys: FastKeys) -> Self {
        Self::new(start, Channel::new(Role::Phone, keys.expedited), BleChannel::new(Role::Phone, keys.ble))
    }

    fn new(start: &Start, expedited: Channel, ble: BleChannel) -> Self {
        Self {
            phone: start.phone,
            interface: start.transcript.interface,
            reader: start.transcript.reader,
            expedited,
            step_up: None,
            ble: Some(ble),
            persistent: None,
            stepped_up: false,
            verdict_seen: false,
        }
    }

    /// Seals the first `len` bytes of `out` on the channel in use and appends `9000`. Returns the response's length.
    pub(super) fn seal_response(
        &mut self,
        crypto: &impl Crypto,
        out: &mut [u8],
        len: usize,
    ) -> Result<usize, InitiatorError> {
        let sealed = self.channel().seal(crypto, &[], out, len)?;
        end_with_ok(out, sealed)
    }

    /// Tells whether the phone answers exchanges after the verdict, where the interface allows them.
    pub(super) const fn answers_notices(&self) -> bool {
        self.phone.profile.sync
    }

    fn select<'m>(self, aid: &[u8], out: &mut [u8]) -> Result<SecuredNext<'m>, InitiatorError> {
        if self.interface == Interface::Ble || self.stepped_up || self.verdict_seen {
            return Err(InitiatorError::WrongState);
        }
        if aid != self.phone.profile.step_up_aid {
            return Err(InitiatorError::UnknownApplication);
        }
        let response = write_fci(aid, A5::build(None, self.phone.limits)?.bytes(), out)?;
        Ok(SecuredNext::StepUpSelected { state: self, response })
    }

    fn envelope<'m>(mut self, crypto: &impl Crypto, command: &'m mut [u8]) -> Result<SecuredNext<'m>, InitiatorError> {
        if self.stepped_up || self.verdict_seen {
            return Err(InitiatorError::WrongState);
        }
        let channel = self.step_up.as_mut().ok_or(InitiatorError::WrongState)?;
        let (_, data) = apdu::parse_mut(command)?;
        let (form, ciphertext) = session::unwrap(data).map_err(|_| InitiatorError::Malformed)?;
        let start = data.len() - ciphertext.len();
        let ciphertext = data.get_mut(start..).ok_or(InitiatorError::Malformed)?;
        let request = channel.open(crypto, &[], ciphertext)?;
        self.stepped_up = true;
        Ok(SecuredNext::Documents { state: DocumentsAsked { secured: self, form }, request })
    }

    fn exchange<'m>(mut self, crypto: &impl Crypto, command: &'m mut [u8]) -> Result<SecuredNext<'m>, InitiatorError> {
        let (_, data) = apdu::parse_mut(command)?;
        let plaintext = self.open_exchange(crypto, data)?;
        let request = Request::parse(plaintext)?;
        let is_verdict = matches!(request, Request::Verdict(_));
        if is_verdict && self.verdict_seen {
            return Err(InitiatorError::WrongState);
        }
        self.verdict_seen |= is_verdict;
        Ok(SecuredNext::Exchange { state: Exchanged(self), request })
    }

    fn open_exchange<'m>(
        &mut self,
        crypto: &impl Crypto,
        sealed: &'m mut [u8],
    ) -> Result<&'m mut [u8], InitiatorError> {
        let short = sealed.len() <= SECOND_TRY;
        let second_try = self.phone.profile.try_other_channel && short && !self.stepped_up && !self.verdict_seen;
        let Some(other) = self.step_up.as_mut().filter(|_| second_try) else {
            return Ok(self.channel().open(crypto, &[], sealed)?);
        };
        let mut copy = Buf::<SECOND_TRY>::from_slice(sealed)?;
        if self.expedited.open(crypto, &[], copy.as_mut_slice()).is_ok() {
            let len = copy.len() - TAG_LEN;
            let opened = sealed.get_mut(..len).ok_or(InitiatorError::Room)?;
            opened.copy_from_slice(copy.get(..len).ok_or(InitiatorError::Room)?);
            return Ok(opened);
        }
        let opened = other.open(crypto, &[], sealed)?;
        self.stepped_up = true;
        Ok(opened)
    }

    fn channel(&mut self) -> &mut Channel {
        match (self.stepped_up, &mut self.step_up) {
            (true, Some(step_up)) => step_up,
            (true, None) | (false, _) => &mut self.expedited,
        }
    }
}

/// The lock has asked for documents.
#[derive(Debug)]
pub struct DocumentsAsked {
    secured: Secured,
    form: Form,
}

impl DocumentsAsked {
    /// Seals a DeviceResponse and writes the answer to ENVELOPE, in the form it was asked in.
    pub fn respond(
        mut self,
        crypto: &impl Crypto,
        device_response: &[u8],
        out: &mut [u8],
    ) -> Result<(Secured, usize), InitiatorError> {
        let start = session::begin(self.form, device_response.len() + TAG_LEN, out).ok_or(InitiatorError::Room)?;
        let room = out.get_mut(start..).ok_or(InitiatorError::Room)?;
        room.get_mut(..device_response.len()).ok_or(InitiatorError::Room)?.copy_from_slice(device_response);
        let sealed = self.secured.channel().seal(crypto, &[], room, device_response.len())?;
        let len = end_with_ok(out, start + sealed)?;
        Ok((self.secured, len))
    }
}

/// The lock has sent an EXCHANGE.
#[derive(Debug)]
pub struct Exchanged(Secured);

impl Exchanged {
    /// The lock's identifier, proven.
    pub const fn reader(&self) -> &ReaderId {
        &self.0.reader
    }

    /// Tells whether the verdict is among what the lock has sent.
    pub const fn verdict_seen(&self) -> bool {
        self.0.verdict_seen
    }

    /// The secret for the fast phase next time; `None` in the fast phase itself. Keep it once the lock has granted.
    pub const fn persistent(&self) -> Option<&Kpersistent> {
        self.0.persistent.as_ref()
    }

    /// Seals a reply and writes the answer to EXCHANGE.
    pub fn respond(
        mut self,
        crypto: &impl Crypto,
        reply: Reply<'_>,
        out: &mut [u8],
    ) -> Result<(Secured, usize), InitiatorError> {
        let len = reply.encode(out)?;
        let len = self.0.seal_response(crypto, out, len)?;
        Ok((self.0, len))
    }
}

fn end_with_ok(out: &mut [u8], at: usize) -> Result<usize, InitiatorError> {
    let status = StatusWord::OK.to_bytes();
    out.get_mut(at..at + status.len()).ok_or(InitiatorError::Room)?.copy_from_slice(&status);
    Ok(at + status.len())
}
