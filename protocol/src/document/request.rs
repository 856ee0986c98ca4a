//! `DeviceRequest`: which elements of which documents a lock asks for (`docs/PROTOCOL.md` section 9).

use minicbor::{
    Encoder,
    encode::{Error, Write, write::Cursor},
};

use crate::{
    cbor::{CborError, Reader},
    document::DocType,
};

/// What a lock asks for: elements of one kind of document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DocRequest<'a> {
    /// The kind of document.
    pub doc_type: DocType,
    /// The names of the elements; order and repetitions do not matter.
    pub elements: &'a [&'a str],
}

/// Writes a `DeviceRequest`; returns its length, `None` when `out` is too small.
pub fn write_device_request(requests: &[DocRequest<'_>], out: &mut [u8]) -> Option<usize> {
    let mut encoder = Encoder::new(Cursor::new(out));
    encoder.map(2).and_then(|e| e.str("1")).and_then(|e| e.str("1.0")).and_then(|e| e.str("2")).ok()?;
    encoder.array(count(requests.len())).ok()?;
    for request in requests {
        let mut items = [0; ITEMS_MAX];
        let mut inner = Encoder::new(Cursor::new(&mut items[..]));
        write_items(&mut inner, request).ok()?;
        let len = inner.writer().position();
        encoder.map(1).and_then(|e| e.str("1")).ok()?;
        encoder.tag(minicbor::data::Tag::new(24)).and_then(|e| e.bytes(items.get(..len).unwrap_or_default())).ok()?;
    }
    Some(encoder.writer().position())
}

/// The longest `ItemsRequest` written: room for 16 elements of 5 letters and more.
const ITEMS_MAX: usize = 256;

fn write_items<W: Write>(encoder: &mut Encoder<W>, request: &DocRequest<'_>) -> Result<(), Error<W::Error>> {
    let name = request.doc_type.as_str();
    encoder.map(2)?.str("1")?.map(1)?.str(name)?;
    encoder.map(count(in_order(request.elements).count()))?;
    for element in in_order(request.elements) {
        encoder.str(element)?.bool(true)?;
    }
    encoder.str("5")?.str(name)?;
    Ok(())
}

/// The names in the order of their encodings, without repetitions.
fn in_order<'a>(elements: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let key = |element: &'a str| (element.len(), element);
    core::iter::successors(elements.iter().copied().min_by_key(|e| key(e)), move |last| {
        elements.iter().copied().filter(|e| key(e) > key(last)).min_by_key(|e| key(e))
    })
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A decoded `DeviceRequest`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceRequest<'a> {
    requests: &'a [u8],
}

impl<'a> DeviceRequest<'a> {
    /// Decodes a request; everything in it is checked now, so that walking over it can't fail.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes)?;
        let (mut version, mut requests) = (None, None);
        for _ in 0..reader.map()? {
            match reader.str()? {
                "1" => version = Some(reader.str()?),
                "2" => requests = Some(reader.item()?),
                _ => reader.skip()?,
            }
        }
        let (Some("1.0"), Some(requests)) = (version, requests) else { return Err(CborError::Unexpected) };
        let mut list = Reader::checked(requests);
        for _ in 0..list.array()? {
            RequestedDocument::read(&mut list)?.check()?;
        }
        Ok(Self { requests })
    }

    /// The documents asked for, in order. Kinds that are not known are left out.
    pub fn documents(&self) -> impl Iterator<Item = RequestedDocument<'a>> + use<'a> {
        let mut reader = Reader::checked(self.requests);
        let count = reader.array().unwrap_or_default();
        (0..count).map_while(move |_| RequestedDocument::read(&mut reader).ok())
    }
}

/// One document asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestedDocument<'a> {
    doc_type: &'a str,
    name_spaces: &'a [u8],
}

impl<'a> RequestedDocument<'a> {
    fn read(list: &mut Reader<'a>) -> Result<Self, CborError> {
        let mut items = None;
        for _ in 0..list.map()? {
            match list.str()? {
                "1" => items = Some(list.embedded()?.1),
                _ => list.skip()?,
            }
        }
        let mut reader = Reader::new(items.ok_or(CborError::Unexpected)?)?;
        let (mut name_spaces, mut doc_type) = (None, None);
        for _ in 0..reader.map()? {
            match reader.str()? {
                "1" => name_spaces = Some(reader.item()?),
                "5" => doc_type = Some(reader.str()?),
                _ => reader.skip()?,
            }
        }
        let (Some(name_spaces), Some(doc_type)) = (name_spaces, doc_type) else { return Err(CborError::Unexpected) };
        Ok(Self { doc_type, name_spaces })
    }

    fn check(&self) -> Result<(), CborError> {
        let mut reader = Reader::checked(self.name_spaces);
        for _ in 0..reader.map()? {
            reader.str()?;
            for _ in 0..reader.map()? {
                reader.str()?;
                reader.bool()?;
            }
        }
        Ok(())
    }

    /// The kind of document; `None` for one that is not ours.
    pub fn doc_type(&self) -> Option<DocType> {
        DocType::from_name(self.doc_type)
    }

    /// Whether the element `name` of the name space is asked for.
    pub fn asks_for(&self, name_space: &str, name: &str) -> bool {
        let mut reader = Reader::checked(self.name_spaces);
        let mut found = false;
        let mut walk = || -> Result<(), CborError> {
            for _ in 0..reader.map()? {
                let here = reader.str()? == name_space;
                for _ in 0..reader.map()? {
                    found |= reader.str()? == name && here;
                    reader.bool()?;
                }
            }
            Ok(())
        };
        walk().is_ok() && found
    }
}
