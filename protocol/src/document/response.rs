//! `DeviceResponse`: the documents a phone shows, and how it picks them (`docs/PROTOCOL.md` section 9).

use minicbor::{
    Encoder,
    encode::{Error, Write, write::Cursor},
};

use crate::{
    cbor::{CborError, Reader},
    cose::Sign1,
    document::request::{DeviceRequest, RequestedDocument},
};

/// A decoded `DeviceResponse`: nothing in its documents is trusted yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceResponse<'a> {
    documents: Option<&'a [u8]>,
    status: u64,
}

impl<'a> DeviceResponse<'a> {
    /// Decodes a response.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes)?;
        let (mut version, mut documents, mut status) = (None, None, None);
        for _ in 0..reader.map()? {
            match reader.str()? {
                "1" => version = Some(reader.str()?),
                "2" => documents = Some(reader.item()?),
                "3" => status = Some(reader.u64()?),
                _ => reader.skip()?,
            }
        }
        let (Some("1.0"), Some(status)) = (version, status) else { return Err(CborError::Unexpected) };
        if let Some(documents) = documents {
            Reader::checked(documents).array()?;
        }
        Ok(Self { documents, status })
    }

    /// The status; 0 is good, also when there are no documents.
    pub fn status(&self) -> u64 {
        self.status
    }

    /// The documents, in order. One that does not decode ends the walk with an error.
    pub fn documents(&self) -> impl Iterator<Item = Result<Document<'a>, CborError>> + use<'a> {
        let mut reader = Reader::checked(self.documents.unwrap_or(&[0x80]));
        let count = reader.array().unwrap_or_default();
        let mut failed = false;
        (0..count).map_while(move |_| {
            let next = (!failed).then(|| Document::read(&mut reader));
            failed |= matches!(next, Some(Err(_)));
            next
        })
    }
}

/// A document as it travels: elements and the issuer's signature over their digests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Document<'a> {
    doc_type: &'a str,
    name_spaces: &'a [u8],
    issuer_auth: Sign1<'a>,
    issuer_auth_bytes: &'a [u8],
}

impl<'a> Document<'a> {
    /// Decodes a document that stands alone, as phones store it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CborError> {
        Self::read(&mut Reader::new(bytes)?)
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, CborError> {
        let (mut issuer_signed, mut doc_type) = (None, None);
        for _ in 0..reader.map()? {
            match reader.str()? {
                "1" => issuer_signed = Some(reader.item()?),
                "5" => doc_type = Some(reader.str()?),
                _ => reader.skip()?,
            }
        }
        let (Some(issuer_signed), Some(doc_type)) = (issuer_signed, doc_type) else {
            return Err(CborError::Unexpected);
        };
        let mut reader = Reader::checked(issuer_signed);
        let (mut name_spaces, mut issuer_auth) = (None, None);
        for _ in 0..reader.map()? {
            match reader.str()? {
                "1" => name_spaces = Some(reader.item()?),
                "2" => issuer_auth = Some(reader.item()?),
                _ => reader.skip()?,
            }
        }
        let (Some(name_spaces), Some(issuer_auth_bytes)) = (name_spaces, issuer_auth) else {
            return Err(CborError::Unexpected);
        };
        let issuer_auth = Sign1::read(&mut Reader::checked(issuer_auth_bytes))?;
        let document = Self { doc_type, name_spaces, issuer_auth, issuer_auth_bytes };
        document.check_items()?;
        Ok(document)
    }

    /// The kind the document says it is, unverified.
    pub fn doc_type(&self) -> &'a str {
        self.doc_type
    }

    /// The issuer's signature.
    pub fn issuer_auth(&self) -> &Sign1<'a> {
        &self.issuer_auth
    }

    /// The items with their name spaces, in order.
    pub fn items(&self) -> impl Iterator<Item = (&'a str, Item<'a>)> + use<'a> {
        let mut reader = Reader::checked(self.name_spaces);
        let (mut spaces, mut items) = (reader.map().unwrap_or_default(), 0);
        let mut name_space = "";
        core::iter::from_fn(move || {
            while items == 0 {
                spaces = spaces.checked_sub(1)?;
                name_space = reader.str().ok()?;
                items = reader.array().ok()?;
            }
            items -= 1;
            Some((name_space, Item::read(&mut reader).ok()?))
        })
    }

    fn check_items(&self) -> Result<(), CborError> {
        let mut reader = Reader::checked(self.name_spaces);
        for _ in 0..reader.map()? {
            reader.str()?;
            for _ in 0..reader.array()? {
                Item::read(&mut reader)?;
            }
        }
        Ok(())
    }
}

/// An element of a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Item<'a> {
    /// Which digest covers it.
    pub digest_id: u64,
    /// The element's name.
    pub element: &'a str,
    /// The element's value, as CBOR.
    pub value: &'a [u8],
    /// The bytes that the digest covers.
    pub whole: &'a [u8],
}

impl<'a> Item<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, CborError> {
        let (whole, inner) = reader.embedded()?;
        let mut reader = Reader::new(inner)?;
        let (mut digest_id, mut random, mut element, mut value) = (None, None, None, None);
        for _ in 0..reader.map()? {
            match reader.str()? {
                "1" => digest_id = Some(reader.u64()?),
                "2" => random = Some(reader.bytes()?.len()),
                "3" => element = Some(reader.str()?),
                "4" => value = Some(reader.item()?),
                _ => reader.skip()?,
            }
        }
        match (digest_id, random, element, value) {
            (Some(digest_id), Some(16..=32), Some(element), Some(value)) => {
                Ok(Self { digest_id, element, value, whole })
            }
            _ => Err(CborError::Unexpected),
        }
    }
}

/// Writes a phone's answer to a request; returns its length, `None` when `out` has no room for even an empty one.
///
/// `stored` are documents as they came from the issuing service. Of each, only the elements asked for go out; a
/// document without any is left out, and one that does not decode is never shown. What does not fit is left out from
/// the end: the lock asks for what it needs most first. The status is 0 in all cases.
pub fn answer(request: &DeviceRequest<'_>, stored: &[&[u8]], out: &mut [u8]) -> Option<usize> {
    let count = shown(request, stored).count();
    (0..=count).rev().find_map(|count| write_answer(request, stored, count, out))
}

/// The documents asked for that have at least one element asked for.
fn shown<'r, 'd>(
    request: &DeviceRequest<'r>,
    stored: &[&'d [u8]],
) -> impl Iterator<Item = (RequestedDocument<'r>, Document<'d>)> {
    request.documents().flat_map(move |asked| {
        stored.iter().filter_map(move |bytes| {
            let document = Document::parse(bytes).ok()?;
            let same = asked.doc_type().is_some_and(|kind| kind.as_str() == document.doc_type);
            (same && chosen(&asked, &document).next().is_some()).then_some((asked, document))
        })
    })
}

fn write_answer(request: &DeviceRequest<'_>, stored: &[&[u8]], count: usize, out: &mut [u8]) -> Option<usize> {
    let mut encoder = Encoder::new(Cursor::new(out));
    encoder.map(if count == 0 { 2 } else { 3 }).and_then(|e| e.str("1")).and_then(|e| e.str("1.0")).ok()?;
    if count > 0 {
        encoder.str("2").and_then(|e| e.array(u64::try_from(count).unwrap_or(u64::MAX))).ok()?;
    }
    for (asked, document) in shown(request, stored).take(count) {
        write_chosen(&mut encoder, &asked, &document).ok()?;
    }
    encoder.str("3").and_then(|e| e.u8(0)).ok()?;
    Some(encoder.writer().position())
}

/// The items asked for, whole. Documents of ours have one name space, named like their kind; others stay behind.
fn chosen<'a>(asked: &RequestedDocument<'_>, document: &Document<'a>) -> impl Iterator<Item = &'a [u8]> {
    let kind = document.doc_type;
    let chosen = move |(name_space, item): &(&str, Item<'_>)| *name_space == kind && asked.asks_for(kind, item.element);
    document.items().filter(chosen).map(|(_, item)| item.whole)
}

fn write_chosen<W: Write>(
    encoder: &mut Encoder<W>,
    asked: &RequestedDocument<'_>,
    document: &Document<'_>,
) -> Result<(), Error<W::Error>> {
    let name = document.doc_type;
    encoder.map(2)?.str("1")?.map(2)?.str("1")?.map(1)?.str(name)?;
    encoder.array(u64::try_from(chosen(asked, document).count()).unwrap_or(u64::MAX))?;
    chosen(asked, document).try_for_each(|item| raw(encoder, item))?;
    encoder.str("2")?;
    raw(encoder, document.issuer_auth_bytes)?;
    encoder.str("5")?.str(name)?;
    Ok(())
}

/// Writes what is CBOR already.
fn raw<W: Write>(encoder: &mut Encoder<W>, bytes: &[u8]) -> Result<(), Error<W::Error>> {
    encoder.writer_mut().write_all(bytes).map_err(Error::write)
}
