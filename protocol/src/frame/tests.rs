use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::*;

fn message(len: usize) -> Vec<u8> {
    let mut message = vec![0, 0];
    message.extend(u16::try_from(len - HEADER_LEN).unwrap().to_be_bytes());
    message.extend((0..len - HEADER_LEN).map(|at| at as u8));
    message
}

fn push_all(values: &[&[u8]]) -> Result<Option<Vec<u8>>, FrameError> {
    let mut reassembler = Reassembler::new();
    let mut last = None;
    for value in values {
        last = reassembler.push(value)?.map(|message| message.to_vec());
    }
    Ok(last)
}

#[test]
fn piece_lengths_follow_the_mtu() {
    for (mtu, piece) in [(23, 19), (185, 181), (247, 243), (517, 511), (0, 19), (u16::MAX, 511)] {
        assert_eq!(Fragmenter::new(mtu).piece, piece);
    }
}

// Must-fail case 57, L_FRAG_*.
#[test]
fn l_frag_over_cap_is_refused_before_anything_is_stored() {
    let mut reassembler = Reassembler::new();
    assert_eq!(reassembler.push(&[0x80, 0, 0, 0x07, 0xFD, 1]), Err(FrameError::OverCap));
    assert_eq!(reassembler.message.storage()[..], [0; MAX_MESSAGE]);
    assert_eq!(push_all(&[&[0x80, 0, 0, 0x07, 0xFC, 1]]), Ok(None));
}

#[test]
fn l_frag_sums_must_match() {
    assert_eq!(push_all(&[&[0xC0, 0, 0, 0, 2, 1]]), Err(FrameError::TooShort));
    assert_eq!(push_all(&[&[0xC0, 0, 0, 0, 1, 1, 2]]), Err(FrameError::TooLong));
    assert_eq!(push_all(&[&[0x80, 0, 0, 0, 1, 1]]), Err(FrameError::TooLong));
    assert_eq!(push_all(&[&[0xC0, 0, 0, 0]]), Err(FrameError::TooShort));
}

#[test]
fn l_frag_sequence_first_and_content_are_checked() {
    assert_eq!(push_all(&[&[0x81, 0, 0, 0, 2, 1]]), Err(FrameError::Sequence));
    assert_eq!(push_all(&[&[0x80, 0, 0, 0, 3, 1], &[0x02, 2]]), Err(FrameError::Sequence));
    assert_eq!(push_all(&[&[0x80, 0, 0, 0, 3, 1], &[0x81, 2]]), Err(FrameError::FirstTwice));
    assert_eq!(push_all(&[&[0x00, 0, 0, 0, 3, 1]]), Err(FrameError::NoFirst));
    assert_eq!(push_all(&[&[0x80]]), Err(FrameError::EmptyPiece));
    assert_eq!(push_all(&[&[]]), Err(FrameError::EmptyPiece));
}

#[test]
fn a_broken_link_stays_broken() {
    let mut reassembler = Reassembler::new();
    assert_eq!(reassembler.push(&[]), Err(FrameError::EmptyPiece));
    assert_eq!(reassembler.push(&[0xC0, 0, 0, 0, 1, 1]), Err(FrameError::Broken));
}

proptest! {
    #[test]
    fn messages_survive_any_mtu(mtu in 0u16..600, lengths in proptest::collection::vec(5usize..=2048, 1..8)) {
        let mut fragmenter = Fragmenter::new(mtu);
        let mut reassembler = Reassembler::new();
        for len in lengths {
            let sent = message(len);
            let count = fragmenter.count(len);
            let values: Vec<_> = fragmenter.split(&sent).collect();
            prop_assert_eq!(values.len(), count);
            let (last, head) = values.split_last().unwrap();
            for value in head {
                prop_assert_eq!(reassembler.push(value), Ok(None));
            }
            prop_assert_eq!(reassembler.push(last).unwrap().unwrap(), &sent[..]);
        }
    }

    #[test]
    fn reassembly_never_panics(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20)) {
        let mut reassembler = Reassembler::new();
        for value in values {
            if let Ok(Some(message)) = reassembler.push(&value) {
                prop_assert!(message.len() <= MAX_MESSAGE);
            }
        }
    }
}
