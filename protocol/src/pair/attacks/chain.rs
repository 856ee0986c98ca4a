//! Chaining on NFC.

use std::vec;

use super::*;
use crate::apdu::{self, Answer, ApduError, CommandPieces, PhoneChain, Received, ResponseAssembler, StatusWord};

// Must-fail case 62, L_CHAIN.
#[test]
fn l_chain_over_the_cap_or_broken_into() {
    let mut lock = ResponseAssembler::<2064>::new();
    let piece = [&[7; 256][..], &[0x61, 0]].concat();
    for _ in 0..8 {
        assert!(matches!(lock.push(&piece), Ok(Answer::More(_))));
    }
    assert_eq!(lock.push(&piece), Err(ApduError::Length));

    let mut out = buffer();
    let mut phone = PhoneChain::<2064>::new();
    let chained = |ins: Ins, more: bool| {
        let mut piece = vec![ins.cla() | if more { 0x10 } else { 0 }, ins as u8, 0, 0, 255];
        piece.extend([7; 255]);
        piece
    };
    assert_eq!(phone.receive(&chained(Ins::Envelope, true), &mut out), Received::Answered(2));
    assert_eq!(phone.receive(&chained(Ins::Exchange, false), &mut out), Received::Over(StatusWord::CHAIN_EXPECTED));

    // Whatever breaks into a chain, nothing of it is left.
    let get_response = vec![0x00, Ins::GetResponse as u8, 0, 0, 0];
    for (broken, status) in [(get_response.clone(), StatusWord::CHAIN_EXPECTED), (vec![0x90], StatusWord::WRONG_LENGTH)]
    {
        let mut phone = PhoneChain::<2064>::new();
        assert_eq!(phone.receive(&chained(Ins::Envelope, true), &mut out), Received::Answered(2));
        assert_eq!(phone.receive(&broken, &mut out), Received::Over(status));
        assert_eq!(phone.receive(&get_response, &mut out), Received::Over(StatusWord::CONDITIONS));
    }

    let mut phone = PhoneChain::<2064>::new();
    for _ in 0..8 {
        assert_eq!(phone.receive(&chained(Ins::Envelope, true), &mut out), Received::Answered(2));
    }
    assert_eq!(phone.receive(&chained(Ins::Envelope, true), &mut out), Received::Over(StatusWord::WRONG_LENGTH));

    let mut phone = PhoneChain::<2064>::new();
    assert!(matches!(phone.receive(&chained(Ins::Envelope, false), &mut out), Received::Command(_)));
    let len = phone.respond(&[&[1; 300][..], &[0x90, 0]].concat(), &mut out).unwrap();
    assert_eq!(out[len - 2..len], [0x61, 44]);
    assert_eq!(phone.receive(&chained(Ins::Exchange, false), &mut out), Received::Over(StatusWord::CHAIN_EXPECTED));
}

#[test]
fn chained_commands_of_every_length_arrive_whole() {
    for len in [1, 254, 255, 256, 510, 511, 1900, 2048] {
        let data: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let mut apdu = vec![0; 2100];
        let apdu_len = apdu::command(&mut apdu, Ins::Exchange, &data).unwrap();
        for extended in [None, Some(600), Some(4096)] {
            let mut pieces = CommandPieces::new(&apdu[..apdu_len], extended).unwrap();
            let mut phone = PhoneChain::<2064>::new();
            let (mut piece, mut out) = (vec![0; 4096], buffer());
            let mut arrived = None;
            while let Some(len) = pieces.next(&mut piece).unwrap() {
                assert!(len <= extended.map_or(261, usize::from));
                match phone.receive(&piece[..len], &mut out) {
                    Received::Command(command) => arrived = Some(Command::parse(command).unwrap().data.to_vec()),
                    received => assert_eq!(received, Received::Answered(2)),
                }
            }
            assert_eq!(arrived.as_ref(), Some(&data));
        }
    }
}
