//! Access and revocation documents: how they are asked for, answered, verified and read.
//!
//! The lock's way: [`request::write_device_request`] → [`session`] → [`DeviceResponse::parse`] → [`verify`] →
//! [`Verified::access_data`] and [`iteration`]. The phone's way: [`DeviceRequest::parse`] → [`response::answer`].
//! Everything borrows from the message; nothing is trusted before [`verify`] (`docs/PROTOCOL.md` sections 9 and 10).

pub mod access;
pub mod iteration;
pub mod list;
mod mso;
pub mod request;
pub mod response;
pub mod revocation;
pub mod schedule;
pub mod session;
mod verify;

pub use self::{
    access::{AccessData, Interfaces, Restrictions},
    mso::Validity,
    request::{DeviceRequest, DocRequest},
    response::{DeviceResponse, Document, Item},
    revocation::{RevocationData, RevocationEntry, RevocationMode},
    verify::{DocumentError, Expected, Verified, verify, verify_with_certificate},
};

use crate::{
    crypto::Crypto,
    ids::{CredentialId, Kid, PublicKey},
};

/// The most elements of one request or document that are handled.
pub const ELEMENTS_MAX: usize = 16;

/// The vendor number of our extensions (`docs/PROTOCOL.md` section 13).
pub const VENDOR: u32 = 0x7A_4B42;

/// The element that grants the whole site.
pub const ELEMENT_SITE: &str = "site";
/// The element of a revocation document.
pub const ELEMENT_REVOCATION: &str = "r";

/// The kind of a document; also the name space of its elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DocType {
    /// An access document.
    Access,
    /// A revocation document.
    Revocation,
}

impl DocType {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "aliro-a",
            Self::Revocation => "aliro-r",
        }
    }

    /// The kind for a name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Access, Self::Revocation].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Derives the identifier of an issuer key (`docs/PROTOCOL.md` section 1).
pub fn issuer_kid<C: Crypto>(crypto: &C, key: &PublicKey) -> Kid {
    let [a, b, c, d, e, f, g, h, ..] = crypto.sha256(&[b"key-identifier", key.as_bytes()]);
    Kid([a, b, c, d, e, f, g, h])
}

/// Derives what stands for a device key in audit records and caches: SHA-256(device key)[0..16].
pub fn credential_id<C: Crypto>(crypto: &C, key: &PublicKey) -> CredentialId {
    let mut id = [0; 16];
    id.copy_from_slice(crypto.sha256(&[key.as_bytes()]).split_at(16).0);
    CredentialId(id)
}

/// Writes an element's name with its number, such as `l002a`.
fn numbered(prefix: u8, number: u16) -> [u8; 5] {
    let [high, low] = number.to_be_bytes();
    let hex = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    [prefix, hex(high >> 4), hex(high & 15), hex(low >> 4), hex(low & 15)]
}

/// An element's name: the whole site, a zone of it, or one lock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ElementName {
    len: u8,
    bytes: [u8; 5],
}

impl ElementName {
    /// The whole site.
    pub const SITE: Self = Self { len: 4, bytes: *b"site\0" };
    /// The revocation list.
    pub const REVOCATION: Self = Self { len: 1, bytes: *b"r\0\0\0\0" };

    /// A zone, `zXXXX`.
    pub fn zone(number: u16) -> Self {
        Self { len: 5, bytes: numbered(b'z', number) }
    }

    /// A single lock, `lXXXX`.
    pub fn lock(number: u16) -> Self {
        Self { len: 5, bytes: numbered(b'l', number) }
    }

    /// Reads a name of ours; `None` for any other.
    pub fn parse(name: &str) -> Option<Self> {
        let number = |prefix: char| {
            let digits = name.strip_prefix(prefix)?;
            (digits.len() == 4).then(|| u16::from_str_radix(digits, 16).ok())?
        };
        let parsed = match name {
            ELEMENT_SITE => Self::SITE,
            ELEMENT_REVOCATION => Self::REVOCATION,
            _ => number('l').map(Self::lock).or_else(|| number('z').map(Self::zone))?,
        };
        (parsed.as_str() == name).then_some(parsed)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.len)).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or_default()
    }
}

impl Default for ElementName {
    fn default() -> Self {
        Self::SITE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_names() {
        assert_eq!(ElementName::lock(42).as_str(), "l002a");
        assert_eq!(ElementName::zone(0xFFFF).as_str(), "zffff");
        for name in ["site", "r", "l0000", "zffff"] {
            assert_eq!(ElementName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "l1", "l00000", "l00G0", "zFFFF", "x0001", "l+001", "site0"] {
            assert_eq!(ElementName::parse(name), None, "{name}");
        }
    }
}
