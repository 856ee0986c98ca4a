//! Whether a document may be believed, step by step as in `docs/PROTOCOL.md` section 10.2.

use thiserror::Error;

use crate::{
    cbor::{CborError, Reader},
    certificate::IssuerCertificate,
    cose::{CoseError, Sign1},
    crypto::Crypto,
    document::{
        DocType, ELEMENT_REVOCATION,
        access::{AccessData, ElementError},
        issuer_kid,
        iteration::{self, IterationError},
        mso::{Mso, Validity},
        response::{Document, Item},
        revocation::RevocationData,
    },
    ids::{Kid, PublicKey, UnixTime},
    verdict::Reason,
};

/// Why a document or an element of it is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum DocumentError {
    /// The answer or the document does not decode.
    #[error("document does not decode: {0}")]
    Malformed(#[from] CborError),
    /// No key is known under the document's key identifier, or it has none.
    #[error("document's issuer is unknown")]
    UnknownIssuer,
    /// The issuer's signature does not verify, or is not ES256.
    #[error("document's signature does not verify")]
    Signature,
    /// What the issuer signed does not decode.
    #[error("what the issuer signed does not decode: {0}")]
    Mso(CborError),
    /// An element is not the one the issuer signed.
    #[error("an element does not match its digest")]
    Digest,
    /// The document is of another kind.
    #[error("document is of another kind")]
    DocType,
    /// An access document without a device key, or a revocation document with one.
    #[error("document has no device key where it needs one, or one where it must not")]
    DeviceKeyPresence,
    /// The document was issued to another device key.
    #[error("document was issued to another device key")]
    DeviceKey,
    /// The document counts only later.
    #[error("document is not yet valid")]
    NotYetValid,
    /// The document counts no longer.
    #[error("document has expired")]
    Expired,
    /// The document wants its validity checked, and the time is not known.
    #[error("the time is needed and not known")]
    ClockUnknown,
    /// The document's iteration is refused.
    #[error(transparent)]
    Iteration(#[from] IterationError),
    /// An element's content is invalid.
    #[error(transparent)]
    Element(#[from] ElementError),
}

impl DocumentError {
    /// The verdict's reason and detail; for bad data the detail is the step of section 10.2, 0 before the first and 8
    /// for an element's content.
    pub const fn reason(&self) -> (Reason, u8) {
        match self {
            Self::Malformed(_) => (Reason::BadData, 0),
            Self::UnknownIssuer => (Reason::NotTrusted, 1),
            Self::Signature => (Reason::NotTrusted, 2),
            Self::DeviceKey => (Reason::NotTrusted, 3),
            Self::Mso(_) | Self::Digest => (Reason::BadData, 3),
            Self::DocType => (Reason::BadData, 4),
            Self::DeviceKeyPresence => (Reason::BadData, 5),
            Self::NotYetValid => (Reason::NotYetValid, 0),
            Self::Expired => (Reason::Expired, 0),
            Self::ClockUnknown => (Reason::ClockUnknown, 1),
            Self::Iteration(IterationError::Stale) => (Reason::StaleDocument, 0),
            Self::Iteration(IterationError::Missing | IterationError::Jump) => (Reason::BadData, 7),
            Self::Element(_) => (Reason::BadData, 8),
        }
    }
}

/// What a document is expected to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected<'k> {
    /// An access document for this device key, the one that answered AUTH1.
    Access {
        /// The device key.
        device_key: &'k PublicKey,
    },
    /// A revocation document.
    Revocation,
}

impl Expected<'_> {
    const fn doc_type(&self) -> DocType {
        match self {
            Self::Access { .. } => DocType::Access,
            Self::Revocation => DocType::Revocation,
        }
    }
}

/// A document whose signature, digests, kind and device key are good (steps 1 to 5).
///
/// Time ([`Verified::check_time`]) and iteration ([`Verified::check_iteration`]) depend on what a lock knows; they are
/// separate so that the lock can give the reason that counts most. Stored state may change only after both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verified<'a> {
    document: Document<'a>,
    mso: Mso<'a>,
    doc_type: DocType,
    kid: Kid,
}

/// Verifies a document, steps 1 to 5.
///
/// `issuer` looks an issuer's public key up by its identifier.
pub fn verify<'a, C: Crypto>(
    crypto: &C,
    document: &Document<'a>,
    issuer: impl FnOnce(&Kid) -> Option<PublicKey>,
    expected: Expected<'_>,
) -> Result<Verified<'a>, DocumentError> {
    let signature = document.issuer_auth();
    let kid = signature.kid().map_err(|_| DocumentError::UnknownIssuer)?;
    let key = issuer(&kid).ok_or(DocumentError::UnknownIssuer)?;
    verify_with_key(crypto, document, signature, kid, &key, expected)
}

/// Verifies a document that carries its issuer's certificate (x5chain) in place of a kid, steps 1 to 5.
///
/// For the interop setting of section 21 only: the product refuses such documents. The certificate has to be signed by
/// `trusted` and the document within its dates. The document counts as one of the issuer `trusted`, by whose identifier it
/// goes: iterations and revocations are those of the key that a lock knows.
pub fn verify_with_certificate<'a, C: Crypto>(
    crypto: &C,
    document: &Document<'a>,
    trusted: &PublicKey,
    expected: Expected<'_>,
) -> Result<Verified<'a>, DocumentError> {
    let signature = document.issuer_auth();
    let chain = signature.x5chain().ok_or(DocumentError::UnknownIssuer)?;
    let mut reader = Reader::checked(chain);
    let certificate = reader.bytes().or_else(|_| {
        let mut reader = Reader::checked(chain);
        reader.array_of(1).and_then(|()| reader.bytes())
    })?;
    let certificate =
        IssuerCertificate::open(crypto, certificate, trusted).map_err(|_| DocumentError::UnknownIssuer)?;
    let kid = issuer_kid(crypto, trusted);
    let verified = verify_with_key(crypto, document, signature, kid, &certificate.key, expected)?;
    let signed = verified.validity().signed;
    if signed < certificate.not_before || signed > certificate.not_after {
        return Err(DocumentError::UnknownIssuer);
    }
    Ok(verified)
}

fn verify_with_key<'a, C: Crypto>(
    crypto: &C,
    document: &Document<'a>,
    signature: &Sign1<'a>,
    kid: Kid,
    key: &PublicKey,
    expected: Expected<'_>,
) -> Result<Verified<'a>, DocumentError> {
    let payload = signature.verify(crypto, key, &[]).map_err(|error| match error {
        CoseError::Malformed(error) => DocumentError::Malformed(error),
        CoseError::NoKid | CoseError::Certificate => DocumentError::UnknownIssuer,
        CoseError::Algorithm | CoseError::Size | CoseError::Signature => DocumentError::Signature,
    })?;
    let mso = Mso::parse(payload).map_err(DocumentError::Mso)?;
    let device_key = match (&mso.device_key, expected) {
        (Some(signed), Expected::Access { device_key }) if signed != device_key => Err(DocumentError::DeviceKey),
        (Some(_), Expected::Access { .. }) | (None, Expected::Revocation) => Ok(()),
        (None, Expected::Access { .. }) | (Some(_), Expected::Revocation) => Err(DocumentError::DeviceKeyPresence),
    };
    // Where several reasons apply, "not trusted" comes before "bad data" (section 17).
    if device_key == Err(DocumentError::DeviceKey) {
        return Err(DocumentError::DeviceKey);
    }
    for (name_space, item) in document.items() {
        let digest = mso.digest(name_space, item.digest_id).map_err(DocumentError::Mso)?;
        if digest != Some(crypto.sha256(&[item.whole])) {
            return Err(DocumentError::Digest);
        }
    }
    let doc_type = expected.doc_type();
    if mso.doc_type != doc_type.as_str() || document.doc_type() != doc_type.as_str() {
        return Err(DocumentError::DocType);
    }
    device_key?;
    Ok(Verified { document: *document, mso, doc_type, kid })
}

impl<'a> Verified<'a> {
    /// Names the issuer.
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// The kind of document.
    pub fn doc_type(&self) -> DocType {
        self.doc_type
    }

    /// When it was signed and when it counts.
    pub fn validity(&self) -> Validity {
        self.mso.validity
    }

    /// Whether a lock without a usable clock has to refuse it.
    pub fn time_verification_required(&self) -> bool {
        self.mso.time_verification_required
    }

    /// Checks the validity (step 6); `now` is `None` when the lock has no usable clock.
    pub fn check_time(&self, now: Option<UnixTime>) -> Result<(), DocumentError> {
        match now {
            None if self.mso.time_verification_required => Err(DocumentError::ClockUnknown),
            None => Ok(()),
            Some(now) if now < self.mso.validity.valid_from => Err(DocumentError::NotYetValid),
            Some(now) if now > self.mso.validity.valid_until => Err(DocumentError::Expired),
            Some(_) => Ok(()),
        }
    }

    /// Checks the iteration (step 7) against the number stored for this issuer and kind; returns the one to store.
    pub fn check_iteration(&self, stored: u32) -> Result<u32, IterationError> {
        let offered = self.mso.validity.iteration;
        match self.doc_type {
            DocType::Access => iteration::access(stored, offered),
            DocType::Revocation => iteration::revocation(stored, offered),
        }
    }

    /// The value of an element, as CBOR; `None` when the document does not show it.
    pub fn element(&self, name: &str) -> Option<&'a [u8]> {
        let here =
            |(name_space, item): &(&str, Item<'_>)| *name_space == self.doc_type.as_str() && item.element == name;
        self.document.items().find(here).map(|(_, item)| item.value)
    }

    /// The name and the value, as CBOR, of every element shown.
    pub fn elements(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        let kind = self.doc_type.as_str();
        self.document.items().filter(move |(space, _)| *space == kind).map(|(_, item)| (item.element, item.value))
    }

    /// Reads an element of an access document; `None` when the document does not show it.
    pub fn access_data(&self, name: &str) -> Option<Result<AccessData, ElementError>> {
        (self.doc_type == DocType::Access).then(|| self.element(name).map(AccessData::parse))?
    }

    /// Reads the list of a revocation document; `None` when the document does not show it.
    pub fn revocation_data(&self) -> Option<Result<RevocationData<'a>, ElementError>> {
        (self.doc_type == DocType::Revocation).then(|| self.element(ELEMENT_REVOCATION).map(RevocationData::parse))?
    }
}
