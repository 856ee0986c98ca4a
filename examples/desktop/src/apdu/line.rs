//! The lines of the pipe: an APDU in hex, or a word.

use std::{
    fmt,
    io::{self, BufRead},
};

use thiserror::Error;

/// The longest APDU that is taken: 2,048 bytes of data in extended form, header and length fields included.
pub const MAX_APDU: usize = 2_048 + 9;

/// The longest line that is looked at, bytes without its end.
const MAX_LINE: usize = 2 * MAX_APDU;

/// What a line says.
#[derive(Clone, PartialEq, Eq)]
pub enum Word {
    /// A command or response APDU.
    Apdu(Vec<u8>),
    /// The session is over: the lock has ended it, or the phone has left the field.
    Close,
    /// Another phone, or the same one again, has come into the field.
    Tap,
    /// Forget the session and who was met, and start again.
    Reset,
}

impl Word {
    /// Reads a line without its end; `None` for an empty one.
    ///
    /// # Errors
    ///
    /// When the line is neither a word nor pairs of hex digits, of at most [`MAX_APDU`] bytes.
    pub fn parse(line: &str) -> Result<Option<Self>, LineError> {
        match line.trim() {
            "" => Ok(None),
            "close" => Ok(Some(Self::Close)),
            "tap" => Ok(Some(Self::Tap)),
            "reset" => Ok(Some(Self::Reset)),
            hex => unhex(hex).map(|apdu| Some(Self::Apdu(apdu))),
        }
    }
}

/// An APDU is shown by its length alone: it may carry what is nobody's business.
impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apdu(apdu) => write!(f, "Apdu({} bytes)", apdu.len()),
            Self::Close => f.write_str("Close"),
            Self::Tap => f.write_str("Tap"),
            Self::Reset => f.write_str("Reset"),
        }
    }
}

/// The line as it is written, without its end.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apdu(apdu) => apdu.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Close => f.write_str("close"),
            Self::Tap => f.write_str("tap"),
            Self::Reset => f.write_str("reset"),
        }
    }
}

/// Why a line is no word. Names places and lengths, never the content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LineError {
    /// Something that is no hex digit.
    #[error("character {0} is no hex digit, and the line is none of close, tap, reset")]
    NotHex(usize),
    /// Half a byte at the end.
    #[error("an odd number of hex digits ({0})")]
    Odd(usize),
    /// More than any APDU has.
    #[error("longer than an APDU can be ({MAX_APDU} bytes)")]
    TooLong,
    /// Not text.
    #[error("not text")]
    NotText,
    /// The stream ended before the line did.
    #[error("cut off: the stream ended before the line did")]
    Cut,
}

/// Reads lines from a stream. A line that is no word is told and skipped; no line takes more memory than the longest APDU.
#[derive(Debug)]
pub struct Lines<R> {
    stream: R,
    number: u64,
}

/// A line's number, and what it says.
pub type Numbered = (u64, Result<Word, LineError>);

impl<R: BufRead> Lines<R> {
    /// Reads from `stream`.
    pub const fn new(stream: R) -> Self {
        Self { stream, number: 0 }
    }

    /// Waits for the next line that is not empty; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// When the stream can't be read.
    pub fn read(&mut self) -> io::Result<Option<Numbered>> {
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            self.number += 1;
            match line.and_then(|line| Word::parse(str::from_utf8(&line).map_err(|_| LineError::NotText)?)) {
                Ok(Some(word)) => return Ok(Some((self.number, Ok(word)))),
                Ok(None) => {}
                Err(error) => return Ok(Some((self.number, Err(error)))),
            }
        }
    }

    /// The next line without its end; `None` at the end of the stream.
    fn line(&mut self) -> io::Result<Option<Result<Vec<u8>, LineError>>> {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            let piece = match self.stream.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if piece.is_empty() {
                let cut = !line.is_empty() || too_long;
                return Ok(cut.then_some(Err(LineError::Cut)));
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let used = end.unwrap_or(piece.len());
            // Room for the carriage return and spaces around.
            too_long |= line.len() + used > MAX_LINE + 8;
            if too_long {
                line.clear();
            } else {
                line.extend_from_slice(piece.get(..used).unwrap_or_default());
            }
            self.stream.consume(used + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some(if too_long { Err(LineError::TooLong) } else { Ok(line) }));
            }
        }
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, LineError> {
    if let Some(at) = text.chars().position(|c| !c.is_ascii_hexdigit()) {
        return Err(LineError::NotHex(at + 1));
    }
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() {
        return Err(LineError::Odd(text.len()));
    }
    if pairs.len() > MAX_APDU {
        return Err(LineError::TooLong);
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    Ok(pairs.iter().map(|[high, low]| digit(*high) << 4 | digit(*low)).collect())
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use proptest::prelude::*;

    use super::*;

    fn read(text: impl AsRef<[u8]>) -> Vec<Numbered> {
        let mut lines = Lines::new(text.as_ref());
        std::iter::from_fn(|| lines.read().unwrap()).collect()
    }

    #[test]
    fn apdus_and_words_are_read_in_either_case_and_with_any_line_end() {
        let read = read("00A40400\r\n\n  9000 \nclose\ntap\r\nreset\n");
        let words: Vec<_> = read.into_iter().map(|(number, word)| (number, word.unwrap())).collect();
        let apdu = |bytes: &[u8]| Word::Apdu(bytes.to_vec());
        assert_eq!(
            words,
            [(1, apdu(&[0, 0xA4, 4, 0])), (3, apdu(&[0x90, 0])), (4, Word::Close), (5, Word::Tap), (6, Word::Reset)]
        );
    }

    #[test]
    fn what_is_no_line_is_named_and_skipped() {
        let long = "00".repeat(MAX_APDU + 1);
        let longer = "0".repeat(100_000);
        let longest = "ab".repeat(MAX_APDU);
        let text = format!("90 00\n900\nhello\n{long}\n{longer}\n{longest}\n9000");
        let read: Vec<_> = read(text).into_iter().map(|(_, word)| word).collect();
        assert_eq!(
            read,
            [
                Err(LineError::NotHex(3)),
                Err(LineError::Odd(3)),
                Err(LineError::NotHex(1)),
                Err(LineError::TooLong),
                Err(LineError::TooLong),
                Ok(Word::Apdu(vec![0xAB; MAX_APDU])),
                Err(LineError::Cut),
            ]
        );
        assert_eq!(self::read([0xFF, b'\n'])[0].1, Err(LineError::NotText));
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let mut lines = Lines::new(BufReader::new(std::io::repeat(b'a').take(1 << 24)));
        assert_eq!(lines.read().unwrap(), Some((1, Err(LineError::Cut))));
    }

    #[test]
    fn content_is_not_shown() {
        let word = Word::Apdu(vec![0xDE, 0xAD]);
        assert_eq!(format!("{word:?}"), "Apdu(2 bytes)");
        assert_eq!(word.to_string(), "dead");
        assert!(!LineError::NotHex(3).to_string().contains("dead"));
    }

    proptest! {
        #[test]
        fn written_lines_read_back_however_they_arrive(
            apdu in proptest::collection::vec(any::<u8>(), 1..600),
            piece in 1_usize..80,
        ) {
            let text = format!("{}\nclose\n", Word::Apdu(apdu.clone()));
            let mut lines = Lines::new(BufReader::with_capacity(piece, text.as_bytes()));
            prop_assert_eq!(lines.read().unwrap(), Some((1, Ok(Word::Apdu(apdu)))));
            prop_assert_eq!(lines.read().unwrap(), Some((2, Ok(Word::Close))));
            prop_assert_eq!(lines.read().unwrap(), None);
        }

        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(text);
        }
    }
}
