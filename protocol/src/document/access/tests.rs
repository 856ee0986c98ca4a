use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The head of an element with `fields` fields of which the version is the first.
fn element(fields: u8, rest: &[u8]) -> Vec<u8> {
    [&[0xA0 | fields, 0x00, 0x01][..], rest].concat()
}

/// Field 6 with one extension of a vendor.
fn extension(vendor: u32, criticality: u8, id: u8, version: u8, content: &[u8]) -> Vec<u8> {
    let head = [&[0x06, 0xA1, 0x1A][..], &vendor.to_be_bytes(), &[0x81, 0x84, criticality, id, version]].concat();
    element(2, &[&head[..], &[0x40 | u8::try_from(content.len()).unwrap()], content].concat())
}

#[test]
fn an_element_without_anything_allows_nothing() {
    let data = AccessData::parse(&[0xA1, 0x00, 0x01]).unwrap();
    assert_eq!(data, AccessData::default());
}

#[test]
fn l_accessdata_version() {
    assert_eq!(AccessData::parse(&[0xA1, 0x00, 0x02]), Err(ElementError::Version));
    assert_eq!(AccessData::parse(&[0xA0]), Err(ElementError::Version));
}

#[test]
fn l_reader_rule() {
    let data = AccessData::parse(&element(2, &[0x04, 0x81, 0x01])).unwrap();
    assert!(data.reader_rules);
}

#[test]
fn l_unknown_extension() {
    for unknown in [
        extension(VENDOR + 1, 0, 1, 1, &[7; 16]),
        extension(VENDOR, 0, 9, 1, &[]),
        extension(VENDOR, 0, 1, 2, &[7; 16]),
        extension(VENDOR, 2, 1, 1, &[7; 16]),
    ] {
        assert_eq!(AccessData::parse(&unknown), Err(ElementError::UnknownExtension));
    }
    let ignored = element(2, &[0x05, 0xA1, 0x18, 0x63, 0x81, 0x83, 0x01, 0x01, 0x41, 0xFF]);
    assert_eq!(AccessData::parse(&ignored), Ok(AccessData::default()));
}

#[test]
fn our_extensions_are_read() {
    let site = AccessData::parse(&extension(VENDOR, 0, 1, 1, &[7; 16])).unwrap().restrictions;
    assert_eq!(site.site, Some(GroupId([7; 16])));
    let uses = AccessData::parse(&extension(VENDOR, 0, 2, 1, &[1, 2])).unwrap().restrictions;
    assert_eq!(uses.use_limit, Some(0x0102));
    let user = AccessData::parse(&extension(VENDOR, 1, 3, 1, &[])).unwrap().restrictions;
    assert!(user.user_authentication);
    let tap = AccessData::parse(&extension(VENDOR, 0, 4, 1, &[1])).unwrap().restrictions.interfaces.unwrap();
    assert!(tap.include(Interface::Nfc) && !tap.include(Interface::Ble));
}

#[test]
fn extensions_of_a_wrong_length_or_twice_are_refused() {
    for (id, content) in [(1, &[7; 15][..]), (2, &[1]), (3, &[0]), (4, &[])] {
        assert_eq!(
            AccessData::parse(&extension(VENDOR, 0, id, 1, content)),
            Err(ElementError::Malformed(CborError::Unexpected))
        );
    }
    let one = [0x84, 0x00, 0x03, 0x01, 0x40];
    let twice = element(2, &[&[0x06, 0xA1, 0x1A, 0x00, 0x7A, 0x4B, 0x42, 0x82][..], &one, &one].concat());
    assert_eq!(AccessData::parse(&twice), Err(ElementError::Malformed(CborError::DuplicateKey)));
}

#[test]
fn unknown_fields_are_refused() {
    assert_eq!(AccessData::parse(&element(2, &[0x07, 0x00])), Err(ElementError::Malformed(CborError::Unexpected)));
}

#[test]
fn more_than_eight_rules_or_schedules_are_refused() {
    let rules = |count: u8| {
        let mut rest = std::vec![0x02, 0x80 | count];
        (0..count).for_each(|_| rest.extend([0xA1, 0x00, 0x08]));
        element(2, &rest)
    };
    assert_eq!(AccessData::parse(&rules(8)).unwrap().rules.rules.len(), 8);
    assert_eq!(AccessData::parse(&rules(9)), Err(ElementError::TooMany));
}

#[test]
fn schedules_out_of_range_are_refused() {
    let schedule = |recurrence: &[u8], flags: u8| {
        let rest = [&[0x03, 0x81, 0xA3, 0x00, 0x01, 0x02][..], recurrence, &[0x03, flags]].concat();
        AccessData::parse(&element(2, &rest))
    };
    let good = [0x85, 0x01, 0x01, 0x02, 0x01, 0x00];
    assert!(schedule(&good, 1).is_ok());
    assert!(schedule(&good, 2).is_err(), "unknown flag");
    assert!(schedule(&[0x85, 0x00, 0x01, 0x02, 0x01, 0x00], 1).is_err(), "no duration");
    assert!(schedule(&[0x85, 0x01, 0x01, 0x02, 0x00, 0x00], 1).is_err(), "no interval");
    assert!(schedule(&[0x85, 0x01, 0x01, 0x09, 0x01, 0x00], 1).is_err(), "no such pattern");
    assert!(schedule(&[0x84, 0x01, 0x01, 0x02, 0x01], 1).is_err(), "too few");
}

#[test]
fn masks_beyond_32_bits_stay_beyond() {
    let rule = [0x02, 0x81, 0xA2, 0x00, 0x08, 0x02, 0x1B, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00];
    let data = AccessData::parse(&element(2, &rule)).unwrap();
    assert_eq!(data.rules.rules[0].deny, Some(Mask(1 << 31)));
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
        let _ = AccessData::parse(&bytes);
        let _ = crate::document::RevocationData::parse(&bytes);
    }
}
