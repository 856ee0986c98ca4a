//! The issuing side: documents and tokens, signed by an issuer key.
//!
//! Encoding is deterministic: the same content and a deterministic signer give the same bytes
//! (`docs/PROTOCOL.md` sections 10, 18 and 19). Reader certificates are issued by
//! [`certificate::issue`](crate::certificate::issue), which needs no heap.

mod document;
mod element;
#[cfg(test)]
#[cfg(feature = "rustcrypto")]
mod tests;

use alloc::vec::Vec;

use minicbor::Encoder;
use thiserror::Error;

pub use self::document::{AccessDocument, AccessElement, IssuedValidity, REVOCATION_LEN_MAX, RevocationDocument};
use crate::{
    cose::{self, CoseError},
    crypto::{Crypto, Signer},
    document::issuer_kid,
    ids::{Kid, PublicKey},
    token::{ACK_AAD, AckToken, TIME_AAD, TimeToken},
};

/// Why a document or token can't be issued.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum IssueError {
    /// A validity that ends before it begins, no element, an unfit name, more than may be listed.
    #[error("document's content is out of range")]
    Content,
    /// A schedule that our locks do not evaluate: another pattern, or local time.
    #[error("schedule is not one our locks evaluate")]
    Schedule,
    /// It does not fit into one message.
    #[error("document does not fit into one message")]
    TooLarge,
    /// The signer failed.
    #[error("issuer key can't sign")]
    Signer,
}

/// An issuer: a signing key and its identifier.
#[derive(Debug)]
pub struct Issuer<S> {
    signer: S,
    kid: Kid,
}

impl<S: Signer> Issuer<S> {
    /// Takes a signing key.
    pub fn new<C: Crypto>(crypto: &C, signer: S) -> Self {
        let kid = issuer_kid(crypto, &signer.public_key());
        Self { signer, kid }
    }

    /// The key's identifier.
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The key's public half.
    pub fn public_key(&self) -> PublicKey {
        self.signer.public_key()
    }

    /// Signs an access document; returns a CBOR `Document`, as phones store it.
    pub fn access_document<C: Crypto>(
        &mut self,
        crypto: &C,
        document: &AccessDocument<'_>,
    ) -> Result<Vec<u8>, IssueError> {
        document::access(self, crypto, document)
    }

    /// Signs a revocation document that replaces all before it; returns a CBOR `Document`.
    pub fn revocation_document<C: Crypto>(
        &mut self,
        crypto: &C,
        document: &RevocationDocument<'_>,
    ) -> Result<Vec<u8>, IssueError> {
        document::revocation(self, crypto, document)
    }

    /// Signs a time token.
    pub fn time_token(&mut self, token: &TimeToken) -> Result<Vec<u8>, IssueError> {
        let payload = encode(|e| {
            e.map(5)?.u8(0)?.u8(1)?.u8(1)?.bytes(token.group.as_bytes())?;
            e.u8(2)?.u32(token.time.0)?.u8(3)?.u32(token.expires.0)?.u8(4)?.bytes(&token.serial)?;
            Ok(())
        })?;
        self.sign1(TIME_AAD, &payload)
    }

    /// Signs an ACK token.
    pub fn ack_token(&mut self, token: &AckToken) -> Result<Vec<u8>, IssueError> {
        let payload = encode(|e| {
            e.map(5)?.u8(0)?.u8(1)?.u8(1)?.bytes(token.reader.as_bytes())?;
            e.u8(2)?.u32(token.number)?.u8(3)?.bytes(&token.hash)?.u8(4)?.u32(token.time.0)?;
            Ok(())
        })?;
        self.sign1(ACK_AAD, &payload)
    }

    fn sign1(&mut self, external_aad: &[u8], payload: &[u8]) -> Result<Vec<u8>, IssueError> {
        let mut out = [0; cose::PAYLOAD_MAX];
        let len =
            cose::sign1(&mut self.signer, &self.kid, external_aad, payload, &mut out).map_err(|error| match error {
                CoseError::Size => IssueError::TooLarge,
                CoseError::Malformed(_)
                | CoseError::Algorithm
                | CoseError::NoKid
                | CoseError::Certificate
                | CoseError::Signature => IssueError::Signer,
            })?;
        out.get(..len).map(<[u8]>::to_vec).ok_or(IssueError::TooLarge)
    }
}

type VecEncoder = Encoder<Vec<u8>>;
type EncodeResult = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

/// Runs an encoder over a fresh vector.
fn encode(write: impl FnOnce(&mut VecEncoder) -> EncodeResult) -> Result<Vec<u8>, IssueError> {
    let mut encoder = Encoder::new(Vec::with_capacity(256));
    write(&mut encoder).map_err(|_| IssueError::TooLarge)?;
    Ok(encoder.into_writer())
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
