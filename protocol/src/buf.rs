//! Bytes without a heap: a fixed-capacity byte string and a bounded writer.

use core::{fmt, ops::Deref};

use thiserror::Error;
use zeroize::Zeroize;

/// A byte string of at most `N` bytes, stored in place.
#[derive(Clone)]
pub struct Buf<const N: usize> {
    len: usize,
    bytes: [u8; N],
}

impl<const N: usize> Buf<N> {
    /// Makes an empty byte string.
    pub const fn new() -> Self {
        Self { len: 0, bytes: [0; N] }
    }

    /// Copies `bytes`; fails when there are more than `N`.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Full> {
        let mut buf = Self::new();
        buf.push(bytes)?;
        Ok(buf)
    }

    /// Appends `bytes`; changes nothing when they do not fit.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.len.checked_add(bytes.len()).ok_or(Full)?;
        self.bytes.get_mut(self.len..end).ok_or(Full)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Empties the byte string.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// The bytes, to be changed in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }

    /// The whole capacity, for a writer; [`Buf::set_len`] then says how much of it counts.
    pub fn storage(&mut self) -> &mut [u8; N] {
        &mut self.bytes
    }

    /// Declares the first `len` bytes to be the content; fails beyond the capacity.
    pub fn set_len(&mut self, len: usize) -> Result<(), Full> {
        if len > N {
            return Err(Full);
        }
        self.len = len;
        Ok(())
    }
}

impl<const N: usize> Default for Buf<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Deref for Buf<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl<const N: usize> AsRef<[u8]> for Buf<N> {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl<const N: usize> PartialEq for Buf<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<const N: usize> Eq for Buf<N> {}

/// Shows the length only: the content may be a secret.
impl<const N: usize> fmt::Debug for Buf<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buf({} of {N} bytes)", self.len)
    }
}

impl<const N: usize> Zeroize for Buf<N> {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
        self.len = 0;
    }
}

/// Writes into a borrowed buffer and never past its end.
#[derive(Debug)]
pub struct Writer<'b> {
    len: usize,
    bytes: &'b mut [u8],
}

impl<'b> Writer<'b> {
    /// Starts at the beginning of `bytes`.
    pub fn new(bytes: &'b mut [u8]) -> Self {
        Self { len: 0, bytes }
    }

    /// Appends `bytes`.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.reserve(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Appends `len` bytes for the caller to fill.
    pub fn reserve(&mut self, len: usize) -> Result<&mut [u8], Full> {
        let end = self.len.checked_add(len).ok_or(Full)?;
        let room = self.bytes.get_mut(self.len..end).ok_or(Full)?;
        self.len = end;
        Ok(room)
    }

    /// The number of bytes written.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Tells whether nothing was written yet.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Gives handshake states a `Debug` that shows their name only, whatever the back end.
macro_rules! opaque_debug {
    ($($name:ident),+) => {$(
        impl<C: $crate::crypto::Crypto> core::fmt::Debug for $name<C> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}
pub(crate) use opaque_debug;

/// A buffer has no room for what was to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("buffer too small")]
pub struct Full;

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn a_push_that_does_not_fit_changes_nothing() {
        let mut buf = Buf::<4>::from_slice(&[1, 2, 3]).unwrap();
        assert_eq!(buf.push(&[4, 5]), Err(Full));
        assert_eq!(&*buf, [1, 2, 3]);
        buf.push(&[4]).unwrap();
        assert_eq!(&*buf, [1, 2, 3, 4]);
        assert!(buf.set_len(5).is_err());
    }

    #[test]
    fn content_is_not_printed() {
        assert_eq!(format!("{:?}", Buf::<4>::from_slice(&[0x42; 3]).unwrap()), "Buf(3 of 4 bytes)");
    }

    #[test]
    fn the_writer_stops_at_the_end() {
        let mut bytes = [0; 3];
        let mut writer = Writer::new(&mut bytes);
        writer.put(&[1, 2]).unwrap();
        assert_eq!(writer.put(&[3, 4]), Err(Full));
        assert_eq!(writer.len(), 2);
    }
}
