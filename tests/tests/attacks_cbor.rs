//! Must-fail cases of `docs/PROTOCOL.md` section 24: answers that are no CBOR of ours. That no claimed length allocates
//! anything is shown by `zero_heap.rs`.
#![allow(clippy::unwrap_used)]

use keybutton_protocol::verdict::Reason;
use keybutton_tests::pair::{
    bench::{Bench, assert_refused, detail, rights},
    cbor::{Value, head},
    document::device_response,
};

/// A DeviceResponse that is no CBOR of ours, at a fresh lock.
#[track_caller]
fn response_refused(response: Vec<u8>) {
    let mut bench = Bench::new();
    bench.phone.device_response = Some(response);
    let before = rights(&bench.lock);
    let talk = bench.press();
    assert_refused(&bench.lock, &bench.phone, Reason::BadData, detail_of_format(&bench));
    assert_eq!(rights(&bench.lock), before);
    assert!(talk.closed);
}

/// Where the format itself is broken the detail names no step, or one of section 10.2.
fn detail_of_format(bench: &Bench) -> u8 {
    detail(&bench.phone).filter(|detail| *detail <= 7).unwrap_or(0xFF)
}

/// `inner` in a DeviceResponse, in place of the documents.
fn around(documents: &[u8]) -> Vec<u8> {
    Value::text_map(vec![("1", Value::text("1.0")), ("2", Value::Raw(documents.to_vec())), ("3", Value::Uint(0))])
        .encode()
}

#[test]
fn l_cbor_indefinite_length() {
    let good = Bench::new().phone.documents;
    let mut documents = vec![0x9F];
    documents.extend(&good[0]);
    documents.push(0xFF);
    response_refused(around(&documents));
    // Inside the document: the map that holds everything.
    let mut document = good[0].clone();
    assert_eq!(document[0], 0xA2);
    document[0] = 0xBF;
    document.push(0xFF);
    response_refused(device_response(&[document]));
}

#[test]
fn l_cbor_duplicate_key() {
    let good = &Bench::new().phone.documents[0];
    let mut document = good.clone();
    document[0] = 0xA3;
    document.extend([0x61, b'5', 0x67]);
    document.extend(b"aliro-a");
    response_refused(device_response(&[document]));
    response_refused({
        let mut response = device_response(std::slice::from_ref(good));
        response[0] = 0xA4;
        response.extend([0x61, b'3', 0x00]);
        response
    });
}

#[test]
fn l_cbor_depth_9() {
    let nested = |depth: usize| {
        let mut bytes = vec![0x81; depth];
        bytes.push(0x00);
        bytes
    };
    // Around the array there is the map of the response: one level more.
    response_refused(around(&nested(8)));
    response_refused(around(&nested(400)));
    // In an unknown field, which would be skipped.
    let mut response = device_response(&Bench::new().phone.documents);
    response[0] = 0xA4;
    response.extend([0x61, b'9']);
    response.extend(nested(8));
    response_refused(response);
}

#[test]
fn l_cbor_trailing_bytes() {
    let mut response = device_response(&Bench::new().phone.documents);
    response.push(0x00);
    response_refused(response);
    // Inside the embedded item, where the outer lengths are all right.
    let mut bench = Bench::new();
    let mut inner = vec![0xA4];
    inner.extend([0x61, b'1', 0x01, 0x61, b'2', 0x50]);
    inner.extend([7; 16]);
    inner.extend([0x61, b'3', 0x65]);
    inner.extend(b"z0003");
    inner.extend([0x61, b'4']);
    inner.extend(bench.site.access_spec(&bench.member).value().encode());
    inner.push(0x00);
    let spec = bench.site.access(&bench.member, &bench.site.access_spec(&bench.member));
    let mut document = spec.sign(&mut bench.site.issuer());
    document.items[0] = Value::Tag(24, Box::new(Value::Bytes(inner))).encode();
    bench.phone.documents = vec![document.encode()];
    bench.press();
    assert_refused(&bench.lock, &bench.phone, Reason::BadData, detail_of_format(&bench));
}

#[test]
fn l_cbor_length_2_32() {
    for major in [2, 3, 4, 5] {
        for length in [1_u64 << 32, u64::MAX, u64::from(u32::MAX)] {
            let mut claimed = Vec::new();
            head(&mut claimed, major, length);
            response_refused(around(&claimed));
            let mut response = device_response(&[]);
            response[0] = 0xA3;
            response.extend([0x61, b'9']);
            response.extend(claimed);
            response_refused(response);
        }
    }
}

#[test]
fn l_cbor_not_deterministic() {
    // A length in two bytes where one is enough.
    response_refused({
        let mut response = vec![0xB8, 0x02];
        response.extend(&device_response(&[])[1..]);
        response
    });
}
