//! Reading and writing the fields of a record: big-endian, fixed order, nothing optional.

/// Appends fields to a buffer; what does not fit is noticed at [`Encoder::finish`].
pub(crate) struct Encoder<'a> {
    out: &'a mut [u8],
    len: usize,
    overflow: bool,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0, overflow: false }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.len.saturating_add(bytes.len());
        match self.out.get_mut(self.len..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.overflow = true,
        }
        self
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// One length byte, then the bytes; at most 255.
    pub(crate) fn short(&mut self, bytes: &[u8]) -> &mut Self {
        match u8::try_from(bytes.len()) {
            Ok(len) => self.u8(len).bytes(bytes),
            Err(_) => {
                self.overflow = true;
                self
            }
        }
    }

    /// The encoded bytes; `None` when they did not fit.
    pub(crate) fn finish(self) -> Option<&'a [u8]> {
        let Self { out, len, overflow } = self;
        let out: &'a [u8] = out;
        if overflow { None } else { out.get(..len) }
    }
}

/// Takes fields from a value.
pub(crate) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub(crate) fn new(value: &'a [u8]) -> Self {
        Self(value)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn short(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.bytes(len.into())
    }

    /// Fails unless everything has been taken.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_in_order() {
        let mut buffer = [0; 16];
        let mut encoder = Encoder::new(&mut buffer);
        encoder.u8(1).u16(2).u32(3).short(&[7; 4]);
        let encoded = encoder.finish().unwrap();
        let mut decoder = Decoder::new(encoded);
        assert_eq!((decoder.u8(), decoder.u16(), decoder.u32()), (Some(1), Some(2), Some(3)));
        assert_eq!(decoder.short(), Some(&[7; 4][..]));
        assert!(decoder.end().is_some());
    }

    #[test]
    fn what_does_not_fit_is_noticed() {
        let mut buffer = [0; 3];
        let mut encoder = Encoder::new(&mut buffer);
        encoder.u16(1).u16(2);
        assert!(encoder.finish().is_none());
        assert!(Decoder::new(&[0; 3]).u32().is_none());
        assert!(Decoder::new(&[0; 3]).end().is_none());
    }
}
