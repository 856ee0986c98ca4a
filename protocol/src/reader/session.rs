//! After authentication: documents, the verdict, and what may follow it.

use super::{Failure, ReaderError, failure::ensure_ok, opening::parse_fci};
use crate::{
    a5::PressInfo,
    apdu::{self, Ins},
    buf::Full,
    channel::{BleChannel, Channel, TAG_LEN},
    crypto::Crypto,
    document::session::{self, Form},
    exchange::{self, Reply, SyncKind},
    ids::{Interface, Kpersistent, PublicKey, UnixTime},
    keys::AuthenticationData,
    message::{self, Kind, LockState},
    profile::{BleResult, Profile},
    signalling::Signalling,
    verdict::{MAX_VERDICT, Verdict},
};

/// Who answered, and what it says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// How it was authenticated.
    pub phase: Phase,
    /// Its device key, proven.
    pub device_key: PublicKey,
    /// What it has and can do.
    pub signalling: Signalling,
    /// The `signed` time of its access document, where it has one.
    pub access_signed: Option<UnixTime>,
    /// The `signed` time of its revocation document, where it has one.
    pub revocation_signed: Option<UnixTime>,
    /// The press, where the phone speaks our profile.
    pub press: Option<PressInfo>,
}

/// How a phone was authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// By AUTH1: its signature was verified.
    Standard,
    /// By the cryptogram: it holds the secret of an earlier transaction.
    Fast,
}

#[derive(Debug)]
pub(super) struct Secured {
    pub(super) profile: Profile,
    pub(super) interface: Interface,
    pub(super) expedited: Channel,
    pub(super) step_up: Option<Channel>,
    pub(super) stepped_up: bool,
    pub(super) ble: Option<BleChannel>,
    pub(super) persistent: Option<Kpersistent>,
    pub(super) met: AuthenticationData,
    pub(super) peer: Peer,
}

/// The phone is authenticated; the lock makes up its mind.
#[derive(Debug)]
pub struct Deciding(pub(super) Secured);

impl Deciding {
    /// Who answered.
    pub const fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// The secret for the fast phase next time; keep it only after a granted transaction with a verified document.
    pub const fn persistent(&self) -> Option<&Kpersistent> {
        self.0.persistent.as_ref()
    }

    /// What the two signed: for [`proof_data`](crate::verdict::proof_data).
    pub const fn met(&self) -> &AuthenticationData {
        &self.0.met
    }

    /// Tells whether the phone wants SELECT of the step-up application before ENVELOPE.
    pub const fn needs_step_up_select(&self) -> bool {
        self.0.peer.signalling.contains(Signalling::STEP_UP_SELECT) && matches!(self.0.interface, Interface::Nfc)
    }

    /// Writes the SELECT of the step-up application.
    pub fn select_step_up(self, out: &mut [u8]) -> Result<(StepUpSelectSent, usize), Failure> {
        match apdu::command(out, Ins::Select, self.0.profile.step_up_aid) {
            Ok(len) => Ok((StepUpSelectSent(self.0), len)),
            Err(full) => Err(self.0.failure(full)),
        }
    }

    /// Seals a DeviceRequest and writes the ENVELOPE. After AUTH1 only, at most once.
    pub fn envelope(
        mut self,
        crypto: &impl Crypto,
        device_request: &[u8],
        out: &mut [u8],
    ) -> Result<(EnvelopeSent, usize), Failure> {
        match self.0.write_envelope(crypto, device_request, out) {
            Ok(len) => Ok((EnvelopeSent(self.0), len)),
            Err(error) => Err(self.0.failure(error)),
        }
    }

    /// Asks for an object before the verdict, such as a time token by a lock that does not know the time.
    pub fn ask(
        self,
        crypto: &impl Crypto,
        kind: SyncKind,
        out: &mut [u8],
    ) -> Result<(ExchangeSent<Self>, usize), Failure> {
        let (secured, len) = self.0.exchange(crypto, &exchange::ask(kind), out)?;
        Ok((ExchangeSent(Self(secured)), len))
    }

    /// Seals the verdict and writes its EXCHANGE. The report is left out where the phone did not send B3.
    ///
    /// The bolt starts when the verdict is decided, not when the phone has answered.
    pub fn verdict(
        self,
        crypto: &impl Crypto,
        verdict: &Verdict,
        out: &mut [u8],
    ) -> Result<(ExchangeSent<Decided>, usize), Failure> {
        let wanted = self.0.profile.verdict_report && self.0.peer.press.is_some();
        let verdict = if wanted { *verdict } else { Verdict::bare(verdict.status) };
        let mut plaintext = [0; MAX_VERDICT];
        let len = verdict.encode(&mut plaintext).map_err(|full| self.0.failure(full))?;
        let plaintext = plaintext.get(..len).unwrap_or_default();
        let (secured, len) = self.0.exchange(crypto, plaintext, out)?;
        Ok((ExchangeSent(Decided(secured)), len))
    }

    /// A lock that uses the step-up channel without having asked for documents, as one third-party reader does.
    #[cfg(test)]
    pub(crate) fn on_step_up_channel(mut self) -> Self {
        self.0.stepped_up = true;
        self
    }

    /// Tells whether the result goes by [`Deciding::completed`] instead of [`Deciding::verdict`].
    pub const fn reports_by_completed(&self) -> bool {
        matches!((self.0.interface, self.0.profile.ble_result), (Interface::Ble, BleResult::Completed))
    }

    /// Writes the whole sealed message "access protocol completed" (2/3), as third parties have the result on BLE.
    pub fn completed(
        mut self,
        crypto: &impl Crypto,
        capabilities: u8,
        state: LockState,
        out: &mut [u8],
    ) -> Result<(Decided, usize), Failure> {
        let payload = message::state_payload(capabilities, state);
        let sealed = self.0.ble.as_mut().map(|ble| ble.seal(crypto, Kind::Completed, &payload, out));
        match sealed {
            Some(Ok(len)) => Ok((Decided(self.0), len)),
            Some(Err(error)) => Err(self.0.failure(error)),
            None => Err(self.0.failure(ReaderError::Engine)),
        }
    }
}

/// SELECT of the step-up application is on its way.
#[derive(Debug)]
pub struct StepUpSelectSent(Secured);

impl StepUpSelectSent {
    /// Takes the phone's answer.
    pub fn response(self, response: &[u8]) -> Result<Deciding, Failure> {
        match parse_fci(self.0.profile.step_up_aid, response) {
            Ok(_) => Ok(Deciding(self.0)),
            Err(error) => Err(self.0.failure(error)),
        }
    }
}

/// ENVELOPE is on its way.
#[derive(Debug)]
pub struct EnvelopeSent(Secured);

impl EnvelopeSent {
    /// Takes the phone's answer and opens it in place: the DeviceResponse, not to be trusted before it is verified.
    pub fn response<'m>(
        mut self,
        crypto: &impl Crypto,
        response: &'m mut [u8],
    ) -> Result<(Deciding, &'m mut [u8]), Failure> {
        let interface = self.0.interface;
        match self.0.open_documents(crypto, response) {
            Ok(device_response) => Ok((Deciding(self.0), device_response)),
            Err(error) => Err(Failure::silent(interface, error)),
        }
    }
}

/// An EXCHANGE is on its way; `S` is the state after its answer.
#[derive(Debug)]
pub struct ExchangeSent<S>(S);

impl ExchangeSent<Deciding> {
    /// Takes the phone's answer.
    pub fn reply<'m>(mut self, crypto: &impl Crypto, response: &'m mut [u8]) -> Result<(Deciding, Reply<'m>), Failure> {
        let reply = self.0.0.open_reply(crypto, response)?;
        Ok((self.0, reply))
    }
}

impl ExchangeSent<Decided> {
    /// Takes the phone's answer.
    pub fn reply<'m>(mut self, crypto: &impl Crypto, response: &'m mut [u8]) -> Result<(Decided, Reply<'m>), Failure> {
        let reply = self.0.0.open_reply(crypto, response)?;
        Ok((self.0, reply))
    }
}

/// The verdict is given; tokens and audit records may still travel.
#[derive(Debug)]
pub struct Decided(Secured);

impl Decided {
    /// Who answered.
    pub const fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Tells whether the phone answers exchanges after the verdict.
    pub const fn can_sync(&self) -> bool {
        self.0.profile.sync
            && matches!(self.0.interface, Interface::Ble)
            && self.0.peer.signalling.contains(Signalling::NOTICES)
    }

    /// Takes over the channel of BLE messages other than type 0, for later states. Once only.
    pub const fn take_ble(&mut self) -> Option<BleChannel> {
        self.0.ble.take()
    }

    /// Asks for an object.
    pub fn ask(
        self,
        crypto: &impl Crypto,
        kind: SyncKind,
        out: &mut [u8],
    ) -> Result<(ExchangeSent<Self>, usize), Failure> {
        let (secured, len) = self.0.exchange(crypto, &exchange::ask(kind), out)?;
        Ok((ExchangeSent(Self(secured)), len))
    }

    /// Hands over a sealed audit envelope, at most 1,900 bytes.
    pub fn hand_over(
        mut self,
        crypto: &impl Crypto,
        envelope: &[u8],
        out: &mut [u8],
    ) -> Result<(ExchangeSent<Self>, usize), Failure> {
        let len = exchange::hand_over_len(envelope.len());
        match self.0.write_exchange(crypto, len, |room| exchange::hand_over(room, envelope), out) {
            Ok(len) => Ok((ExchangeSent(self), len)),
            Err(error) => Err(self.0.failure(error)),
        }
    }
}

impl Secured {
    fn failure(&self, error: impl Into<ReaderError>) -> Failure {
        Failure::silent(self.interface, error)
    }

    /// The channel that EXCHANGE uses: step-up once an ENVELOPE was answered.
    fn channel(&mut self) -> &mut Channel {
        match (self.stepped_up, &mut self.step_up) {
            (true, Some(step_up)) => step_up,
            (true, None) | (false, _) => &mut self.expedited,
        }
    }

    fn exchange(mut self, crypto: &impl Crypto, plaintext: &[u8], out: &mut [u8]) -> Result<(Self, usize), Failure> {
        let fill = |room: &mut [u8]| {
            room.get_mut(..plaintext.len()).ok_or(Full)?.copy_from_slice(plaintext);
            Ok(plaintext.len())
        };
        match self.write_exchange(crypto, plaintext.len(), fill, out) {
            Ok(len) => Ok((self, len)),
            Err(error) => Err(self.failure(error)),
        }
    }

    fn write_exchange(
        &mut self,
        crypto: &impl Crypto,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, Full>,
        out: &mut [u8],
    ) -> Result<usize, ReaderError> {
        let (room, total) = apdu::command_frame(out, Ins::Exchange, len + TAG_LEN)?;
        let len = fill(room)?;
        self.channel().seal(crypto, &[], room, len)?;
        Ok(total)
    }

    fn write_envelope(
        &mut self,
        crypto: &impl Crypto,
        device_request: &[u8],
        out: &mut [u8],
    ) -> Result<usize, ReaderError> {
        if self.stepped_up {
            return Err(ReaderError::NoStepUp);
        }
        let channel = self.step_up.as_mut().ok_or(ReaderError::NoStepUp)?;
        let form = match self.interface {
            Interface::Nfc => Form::Wrapped,
            Interface::Ble => Form::Bare,
        };
        let sealed_len = device_request.len() + TAG_LEN;
        let mut head = [0; session::OVERHEAD_MAX];
        let head_len = session::begin(form, sealed_len, &mut head).ok_or(ReaderError::Room)?;
        let head = head.get(..head_len).ok_or(ReaderError::Room)?;
        let (room, total) = apdu::command_frame(out, Ins::Envelope, head_len + sealed_len)?;
        let (head_room, room) = room.split_at_mut_checked(head_len).ok_or(ReaderError::Room)?;
        head_room.copy_from_slice(head);
        room.get_mut(..device_request.len()).ok_or(ReaderError::Room)?.copy_from_slice(device_request);
        channel.seal(crypto, &[], room, device_request.len())?;
        Ok(total)
    }

    fn open_documents<'m>(
        &mut self,
        crypto: &impl Crypto,
        response: &'m mut [u8],
    ) -> Result<&'m mut [u8], ReaderError> {
        let (data, status) = apdu::response_mut(response)?;
        ensure_ok(status)?;
        let (_, ciphertext) = session::unwrap(data).map_err(|_| ReaderError::Malformed)?;
        let start = data.len() - ciphertext.len();
        let ciphertext = data.get_mut(start..).ok_or(ReaderError::Malformed)?;
        self.stepped_up = true;
        let channel = self.step_up.as_mut().ok_or(ReaderError::NoStepUp)?;
        Ok(channel.open(crypto, &[], ciphertext)?)
    }

    fn open_reply<'m>(&mut self, crypto: &impl Crypto, response: &'m mut [u8]) -> Result<Reply<'m>, Failure> {
        let interface = self.interface;
        read_reply(self.channel(), crypto, response).map_err(|error| Failure::silent(interface, error))
    }
}

fn read_reply<'m>(
    channel: &mut Channel,
    crypto: &impl Crypto,
    response: &'m mut [u8],
) -> Result<Reply<'m>, ReaderError> {
    let (data, status) = apdu::response_mut(response)?;
    ensure_ok(status)?;
    let plaintext = channel.open(crypto, &[], data)?;
    Ok(Reply::parse(plaintext)?)
}
