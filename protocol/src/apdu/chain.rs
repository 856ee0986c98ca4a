//! Chaining on NFC, both halves. BLE never chains.

use super::{ApduError, CLA_INTERINDUSTRY, CLA_MORE, Command, Ins, MAX_CHAINED, StatusWord, response};
use crate::buf::{Buf, Full, Writer};

/// A lock's command, cut into pieces a phone accepts.
#[derive(Debug)]
pub struct CommandPieces<'a> {
    whole: &'a [u8],
    command: Command<'a>,
    at: usize,
    limit: usize,
    done: bool,
}

impl<'a> CommandPieces<'a> {
    /// Prepares a complete command. `extended` is the longest command APDU the phone takes in extended form,
    /// where it said so (`7F66`).
    pub fn new(apdu: &'a [u8], extended: Option<u16>) -> Result<Self, ApduError> {
        let command = Command::parse(apdu)?;
        let limit = extended.map_or(261, |max| usize::from(max).max(261));
        Ok(Self { whole: apdu, command, at: 0, limit, done: false })
    }

    /// Writes the next piece into `out` (at most 261 bytes, or the phone's own limit); `None` after the last one.
    /// Every piece but the last is answered `9000`, without data.
    pub fn next(&mut self, out: &mut [u8]) -> Result<Option<usize>, Full> {
        if self.done {
            return Ok(None);
        }
        let whole_fits = self.whole.len() <= self.limit && (self.command.data.len() <= 255 || self.limit > 261);
        let mut writer = Writer::new(out);
        if self.at == 0 && whole_fits {
            self.done = true;
            writer.put(self.whole)?;
            return Ok(Some(writer.len()));
        }
        let end = (self.at + 255).min(self.command.data.len());
        let piece = self.command.data.get(self.at..end).ok_or(Full)?;
        self.at = end;
        self.done = end == self.command.data.len();
        let cla = if self.done { self.command.cla } else { self.command.cla | CLA_MORE };
        let len = u8::try_from(piece.len()).map_err(|_| Full)?;
        writer.put(&[cla, self.command.ins, self.command.p1, self.command.p2, len])?;
        writer.put(piece)?;
        if self.done && self.command.le.is_some() {
            writer.put(&[0])?;
        }
        Ok(Some(writer.len()))
    }
}

/// A phone's response, joined from its pieces by the lock. `N` bytes of room, at most 2,048 + 2 are used.
#[derive(Debug)]
pub struct ResponseAssembler<const N: usize> {
    joined: Buf<N>,
}

/// What to do after a piece of a response.
#[derive(PartialEq, Eq, Debug)]
pub enum Answer<'a> {
    /// Send this GET RESPONSE.
    More([u8; 5]),
    /// The response is complete, status word included.
    Complete(&'a mut [u8]),
}

impl<const N: usize> ResponseAssembler<N> {
    /// Starts empty.
    pub const fn new() -> Self {
        Self { joined: Buf::new() }
    }

    /// Takes the next piece. An error (malformed, or over the cap) closes the session.
    pub fn push(&mut self, piece: &[u8]) -> Result<Answer<'_>, ApduError> {
        let (data, status) = response(piece)?;
        if self.joined.len() + data.len() > MAX_CHAINED {
            self.joined.clear();
            return Err(ApduError::Length);
        }
        self.joined.push(data).map_err(|Full| ApduError::Length)?;
        let [sw1, sw2] = status.to_bytes();
        if sw1 == 0x61 {
            if data.is_empty() && !self.joined.is_empty() {
                return Err(ApduError::Length);
            }
            return Ok(Answer::More([CLA_INTERINDUSTRY, Ins::GetResponse as u8, 0, 0, sw2]));
        }
        self.joined.push(&status.to_bytes()).map_err(|Full| ApduError::Length)?;
        Ok(Answer::Complete(self.joined.as_mut_slice()))
    }

    /// Forgets the response, ready for the next one.
    pub fn clear(&mut self) {
        self.joined.clear();
    }
}

impl<const N: usize> Default for ResponseAssembler<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A phone's response, handed out in pieces as the lock asks for them.
#[derive(Debug)]
pub struct ResponsePieces<const N: usize> {
    whole: Buf<N>,
    at: usize,
}

impl<const N: usize> ResponsePieces<N> {
    /// Starts with nothing to hand out.
    pub const fn new() -> Self {
        Self { whole: Buf::new(), at: 0 }
    }

    /// Tells whether pieces are waiting.
    pub fn is_waiting(&self) -> bool {
        self.at < self.whole.len()
    }

    /// Takes over a complete response (status word included) and writes its first piece of at most `le` data bytes.
    pub fn start(&mut self, whole: &[u8], le: u32, out: &mut [u8]) -> Result<usize, Full> {
        self.at = 0;
        self.whole.clear();
        if whole.len() > MAX_CHAINED + 2 {
            return Err(Full);
        }
        self.whole.push(whole)?;
        self.next(le, out)
    }

    /// Writes the next piece: its data, then `61XX` or the response's own status word.
    pub fn next(&mut self, le: u32, out: &mut [u8]) -> Result<usize, Full> {
        let Some((data, status)) = self.whole.split_last_chunk::<2>() else { return Err(Full) };
        let end = self.at.saturating_add(usize::try_from(le).map_err(|_| Full)?).min(data.len());
        let mut writer = Writer::new(out);
        writer.put(data.get(self.at..end).ok_or(Full)?)?;
        if end == data.len() {
            writer.put(status)?;
            let len = writer.len();
            self.whole.clear();
            self.at = 0;
            return Ok(len);
        }
        let left = u8::try_from(data.len() - end).unwrap_or(0);
        writer.put(&[0x61, left])?;
        self.at = end;
        Ok(writer.len())
    }
}

impl<const N: usize> Default for ResponsePieces<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// A phone's side of NFC chaining: joins chained commands, hands out long responses.
///
/// `N` bytes of room each way; 2,064 hold the longest command.
#[derive(Debug)]
pub struct PhoneChain<const N: usize> {
    command: Buf<N>,
    chained: Option<[u8; 2]>,
    pending: ResponsePieces<N>,
}

/// What a received APDU amounts to.
#[derive(PartialEq, Eq, Debug)]
pub enum Received<'a> {
    /// A complete command, in short or extended form; answer it through [`PhoneChain::respond`].
    Command(&'a mut [u8]),
    /// Nothing for the transaction: `usize` bytes of answer were written into the buffer.
    Answered(usize),
    /// A violation: send this status word, the session is over.
    Over(StatusWord),
}

impl<const N: usize> PhoneChain<N> {
    /// Starts with nothing pending.
    pub const fn new() -> Self {
        Self { command: Buf::new(), chained: None, pending: ResponsePieces::new() }
    }

    /// Takes an APDU from the reader; answers that need no decision are written into `out`.
    pub fn receive(&mut self, apdu: &[u8], out: &mut [u8]) -> Received<'_> {
        let Ok(parsed) = Command::parse(apdu) else { return self.drop_chain(StatusWord::WRONG_LENGTH) };
        if self.pending.is_waiting() {
            return self.continue_response(&parsed, out);
        }
        if self.chained.is_none() && parsed.ins == Ins::GetResponse as u8 {
            return Received::Over(StatusWord::CONDITIONS);
        }
        if self.chained.is_none() && parsed.cla & CLA_MORE == 0 {
            self.command.clear();
            return match self.command.push(apdu) {
                Ok(()) => Received::Command(self.command.as_mut_slice()),
                Err(Full) => Received::Over(StatusWord::WRONG_LENGTH),
            };
        }
        self.join(&parsed, out)
    }

    /// Writes the first piece of the answer to the last command; the rest waits for GET RESPONSE.
    pub fn respond(&mut self, whole: &[u8], out: &mut [u8]) -> Result<usize, Full> {
        let le = Command::parse(&self.command).ok().and_then(|command| command.le).unwrap_or(256);
        self.command.clear();
        self.pending.start(whole, le, out)
    }

    fn continue_response(&mut self, parsed: &Command<'_>, out: &mut [u8]) -> Received<'_> {
        if parsed.ins != Ins::GetResponse as u8 {
            self.pending = ResponsePieces::new();
            return Received::Over(StatusWord::CHAIN_EXPECTED);
        }
        match self.pending.next(parsed.le.unwrap_or(256), out) {
            Ok(len) => Received::Answered(len),
            Err(Full) => Received::Over(StatusWord::WRONG_LENGTH),
        }
    }

    fn join(&mut self, parsed: &Command<'_>, out: &mut [u8]) -> Received<'_> {
        let base = [parsed.cla & !CLA_MORE, parsed.ins];
        if *self.chained.get_or_insert(base) != base {
            return self.drop_chain(StatusWord::CHAIN_EXPECTED);
        }
        // Joined commands are rebuilt in extended form: 7 bytes of header come first.
        if self.command.is_empty() {
            let header = [base[0], base[1], parsed.p1, parsed.p2, 0, 0, 0];
            if self.command.push(&header).is_err() {
                return self.drop_chain(StatusWord::WRONG_LENGTH);
            }
        }
        let joined = self.command.len().saturating_sub(7) + parsed.data.len();
        if joined > MAX_CHAINED || self.command.push(parsed.data).is_err() {
            return self.drop_chain(StatusWord::WRONG_LENGTH);
        }
        if parsed.cla & CLA_MORE != 0 {
            let Some(room) = out.get_mut(..2) else { return self.drop_chain(StatusWord::WRONG_LENGTH) };
            room.copy_from_slice(&StatusWord::OK.to_bytes());
            return Received::Answered(2);
        }
        self.chained = None;
        let length = u16::try_from(joined).unwrap_or(0).to_be_bytes();
        if joined == 0 {
            return self.drop_chain(StatusWord::WRONG_LENGTH);
        }
        if let Some(field) = self.command.as_mut_slice().get_mut(5..7) {
            field.copy_from_slice(&length);
        }
        // The phone answers in pieces of 256 bytes: the chain's last command asked in short form.
        if self.command.push(&[1, 0]).is_err() {
            return self.drop_chain(StatusWord::WRONG_LENGTH);
        }
        Received::Command(self.command.as_mut_slice())
    }

    fn drop_chain(&mut self, status: StatusWord) -> Received<'_> {
        self.chained = None;
        self.command.clear();
        Received::Over(status)
    }
}

impl<const N: usize> Default for PhoneChain<N> {
    fn default() -> Self {
        Self::new()
    }
}
