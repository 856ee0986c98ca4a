//! The few pieces of DER that a reader certificate needs, in fixed buffers.

/// A DER integer with a leading zero has at most this many bytes for P-256.
const SCALAR: usize = 32;

/// Writes DER back to front into a fixed buffer, so that lengths are known when their heads are written.
pub(super) struct DerWriter<'o> {
    out: &'o mut [u8],
    start: usize,
}

impl<'o> DerWriter<'o> {
    pub(super) fn new(out: &'o mut [u8]) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Where writing is now; pass it to [`DerWriter::wrap`] to put a head before everything written since.
    pub(super) fn mark(&self) -> usize {
        self.start
    }

    /// Puts `bytes` in front of what was written; `None` when there is no room.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let start = self.start.checked_sub(bytes.len())?;
        self.out.get_mut(start..self.start)?.copy_from_slice(bytes);
        self.start = start;
        Some(())
    }

    /// Puts a tag and the length of everything written since `mark` in front.
    pub(super) fn wrap(&mut self, tag: u8, mark: usize) -> Option<()> {
        let len = mark.checked_sub(self.start)?;
        let [high, low] = u16::try_from(len).ok()?.to_be_bytes();
        match (high, low) {
            (0, 0..=0x7F) => self.put(&[tag, low]),
            (0, _) => self.put(&[tag, 0x81, low]),
            _ => self.put(&[tag, 0x82, high, low]),
        }
    }

    /// Puts one TLV in front.
    pub(super) fn tlv(&mut self, tag: u8, value: &[u8]) -> Option<()> {
        let mark = self.mark();
        self.put(value)?;
        self.wrap(tag, mark)
    }

    /// Puts a positive integer in front; `value` has no leading zero.
    pub(super) fn integer(&mut self, value: &[u8]) -> Option<()> {
        let mark = self.mark();
        self.put(value)?;
        if value.first().is_none_or(|first| first & 0x80 != 0) {
            self.put(&[0])?;
        }
        self.wrap(0x02, mark)
    }

    /// Moves what was written to the front of the buffer; returns its length.
    pub(super) fn finish(self) -> usize {
        let len = self.out.len() - self.start;
        self.out.copy_within(self.start.., 0);
        len
    }
}

/// Splits the first TLV off: tag, value, rest. Lengths in shortest form, below 65,536.
pub(super) fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, len, rest) = match bytes {
        [tag, len @ 0..=0x7F, rest @ ..] => (*tag, usize::from(*len), rest),
        [tag, 0x81, len @ 0x80..=0xFF, rest @ ..] => (*tag, usize::from(*len), rest),
        [tag, 0x82, high @ 1..=0xFF, low, rest @ ..] => (*tag, usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    Some((tag, value, rest))
}

/// Reads `SEQUENCE { INTEGER r, INTEGER s }` strictly into `r || s`.
pub(super) fn read_signature(der: &[u8]) -> Option<[u8; 64]> {
    let (0x30, body, []) = split(der)? else { return None };
    let (0x02, r, body) = split(body)? else { return None };
    let (0x02, s, []) = split(body)? else { return None };
    let mut out = [0; 64];
    let (first, second) = out.split_at_mut(SCALAR);
    read_scalar(r, first)?;
    read_scalar(s, second)?;
    Some(out)
}

fn read_scalar(integer: &[u8], out: &mut [u8]) -> Option<()> {
    let magnitude = match integer {
        [0, 0x80..=0xFF, ..] => integer.get(1..)?,
        [1..=0x7F, ..] => integer,
        _ => return None,
    };
    let from = out.len().checked_sub(magnitude.len())?;
    out.get_mut(from..)?.copy_from_slice(magnitude);
    Some(())
}

/// Writes `r || s` as `SEQUENCE { INTEGER r, INTEGER s }`; returns its length, at most 72.
pub(super) fn write_signature(signature: &[u8; 64], out: &mut [u8]) -> Option<usize> {
    let mut writer = DerWriter::new(out);
    let mark = writer.mark();
    let (r, s) = signature.split_at(SCALAR);
    writer.integer(magnitude(s))?;
    writer.integer(magnitude(r))?;
    writer.wrap(0x30, mark)?;
    Some(writer.finish())
}

/// A number without its leading zero bytes.
fn magnitude(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}
