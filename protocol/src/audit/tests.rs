use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{
    crypto::{Signer, rustcrypto::RustCrypto},
    ids::{CredentialId, Interface, ReaderId, UnixTime, UnlockId},
    testing::{SeededRng, signer},
};

type TestCrypto = RustCrypto<SeededRng>;

fn crypto() -> TestCrypto {
    crate::testing::crypto(1)
}

const READER: ReaderId = ReaderId([5; 32]);

fn record(number: u32, previous: [u8; 32]) -> Record {
    Record {
        record_type: RecordType::Verdict,
        reason: 0,
        status: 0x81,
        number,
        time: UnixTime(1_893_491_100 + number),
        clock_state: 2,
        interface: Some(Interface::Ble),
        battery: 87,
        flags: 0,
        credential: CredentialId([1; 16]),
        access_id: [2; 16],
        unlock_id: UnlockId([3; 16]),
        previous,
    }
}

fn chain(crypto: &TestCrypto, count: u32) -> (Vec<[u8; RECORD_LEN]>, Head) {
    let mut head = Head::genesis(crypto, &READER);
    let mut records = Vec::new();
    for number in 1..=count {
        let bytes = record(number, head.hash).to_bytes();
        head = head.follow(crypto, &bytes).unwrap().1;
        records.push(bytes);
    }
    (records, head)
}

#[test]
fn l_chain_of_records_verifies() {
    let crypto = crypto();
    let (records, head) = chain(&crypto, 5);
    let joined = records.concat();
    let steps: Vec<_> = verify_chain(&crypto, Head::genesis(&crypto, &READER), &joined).map(Result::unwrap).collect();
    assert_eq!(steps.len(), 5);
    assert_eq!(steps.last().unwrap().1, head);
}

#[test]
fn a_dropped_altered_or_reordered_record_breaks_the_chain() {
    let crypto = crypto();
    let (records, _) = chain(&crypto, 4);
    let genesis = Head::genesis(&crypto, &READER);
    let first_error =
        |records: &[[u8; RECORD_LEN]]| verify_chain(&crypto, genesis, &records.concat()).find_map(Result::err);
    let mut dropped = records.clone();
    dropped.remove(1);
    assert_eq!(first_error(&dropped), Some(ChainError::Gap));
    let mut altered = records.clone();
    altered[1][2] = 0x13;
    assert_eq!(first_error(&altered), Some(ChainError::Broken));
    let mut swapped = records.clone();
    swapped.swap(0, 1);
    assert_eq!(first_error(&swapped), Some(ChainError::Gap));
    let mut unknown = records.clone();
    unknown[3][1] = 9;
    assert_eq!(first_error(&unknown), Some(ChainError::Malformed));
    let cut = &records.concat()[..RECORD_LEN + 5];
    assert_eq!(verify_chain(&crypto, genesis, cut).last(), Some(Err(ChainError::Malformed)));
}

#[test]
fn envelopes_hold_a_signed_continuation() {
    let crypto = crypto();
    let (records, head) = chain(&crypto, 3);
    let time = UnixTime(1_893_499_999);
    let mut key = signer("reader");
    let checkpoint = Checkpoint { reader: READER, head, time };
    let signature = checkpoint.sign(&mut key).unwrap();
    let mut plaintext = [0; PLAINTEXT_MAX];
    let len = write_plaintext(&signature, time, records.iter(), &mut plaintext).unwrap();
    let envelope = Envelope::parse(&plaintext[..len]).unwrap();
    let genesis = Head::genesis(&crypto, &READER);
    assert_eq!(envelope.verify(&crypto, READER, &key.public_key(), genesis), Ok(head));
    assert_eq!(envelope.first_number(), Some(1));
    let other = signer("another reader").public_key();
    assert_eq!(envelope.verify(&crypto, READER, &other, genesis), Err(EnvelopeError::Checkpoint));
    assert_eq!(envelope.verify(&crypto, READER, &key.public_key(), head), Err(EnvelopeError::Chain(ChainError::Gap)));
    for wrong in [&plaintext[..len - 1], &plaintext[..len + 1], &plaintext[..60]] {
        assert_eq!(Envelope::parse(wrong), Err(EnvelopeError::Length));
    }
}

#[test]
fn at_most_eighteen_records_go_into_one_envelope() {
    let crypto = crypto();
    let (records, _) = chain(&crypto, 19);
    let signature = crate::ids::Signature([0; 64]);
    let mut out = [0; PLAINTEXT_MAX];
    let len = write_plaintext(&signature, UnixTime(0), records[..18].iter(), &mut out).unwrap();
    assert_eq!(len, PLAINTEXT_MAX);
    const { assert!(PLAINTEXT_MAX + 65 + 16 <= ENVELOPE_MAX) };
    let mut out = [0; 4_096];
    assert_eq!(write_plaintext(&signature, UnixTime(0), records.iter(), &mut out), Err(EnvelopeError::Length));
}

#[cfg(feature = "envelope")]
#[test]
fn sealed_envelopes_open_for_the_service_and_the_lock_only() {
    let mut crypto = crypto();
    let (private, public) = generate_audit_key(&mut crypto).unwrap();
    let mut out = [0; 300];
    out[65..75].copy_from_slice(b"plain text");
    let len = seal(&mut crypto, &public, &READER, 10, &mut out).unwrap();
    assert_eq!(len, 10 + SEAL_OVERHEAD);
    assert!(!out.windows(10).any(|window| window == b"plain text"));
    let sealed = out[..len].to_vec();
    let mut copy = sealed.clone();
    assert_eq!(open(&private, &READER, &mut copy).unwrap(), b"plain text");
    let mut copy = sealed.clone();
    assert_eq!(open(&private, &ReaderId([6; 32]), &mut copy), Err(EnvelopeError::Unauthentic));
    for place in [3, 70, len - 1] {
        let mut copy = sealed.clone();
        copy[place] ^= 1;
        assert_eq!(open(&private, &READER, &mut copy), Err(EnvelopeError::Unauthentic));
    }
    let (other, _) = generate_audit_key(&mut crypto).unwrap();
    assert_eq!(open(&other, &READER, &mut sealed.clone()), Err(EnvelopeError::Unauthentic));
    assert_eq!(seal(&mut crypto, &public, &READER, 1_900, &mut [0; 4_096]), Err(EnvelopeError::Length));
}

proptest! {
    #[test]
    fn any_record_round_trips(bytes in prop::collection::vec(any::<u8>(), RECORD_LEN)) {
        let mut bytes: [u8; RECORD_LEN] = bytes.try_into().unwrap();
        bytes[0] = 1;
        if let Some(record) = Record::from_bytes(&bytes) {
            prop_assert_eq!(record.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_judged_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let crypto = crypto();
        let _ = Envelope::parse(&bytes).map(|envelope| {
            verify_chain(&crypto, Head::genesis(&crypto, &READER), envelope.records).for_each(drop);
        });
    }
}
