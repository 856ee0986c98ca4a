//! Must-fail cases of `docs/PROTOCOL.md` section 24: bytes that are no fragments or messages,
//! silence, and answers without end. Each towards the lock; the phone's half is in `attacks_verdict.rs`.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use keybutton_lock::{Failure, Input};
use keybutton_protocol::{
    apdu::Ins,
    frame::Fragmenter,
    ids::{Intent, Interface},
    message::Kind,
    verdict::Reason,
};
use keybutton_tests::pair::{
    bench::{Bench, press_with, reason, tap},
    lock::Did,
    raw_phone::RawPhone,
    talk::BleLink,
};

/// Sends these ATT values instead of the answer that is due, and asserts that the link closes with nothing parsed.
#[track_caller]
fn breaks(values: impl Fn(&mut Fragmenter, &[u8]) -> Vec<Vec<u8>>) {
    for answered in 0..3 {
        let mut bench = Bench::new();
        let before = bench.lock.snapshot();
        let mut link = BleLink::connect(&mut bench.lock, 1, 185);
        let message = up_to(&mut bench, &mut link, answered);
        let values = values(&mut link.fragmenter, &message);
        let messages = link.messages.len();
        for value in &values {
            if link.closed {
                break;
            }
            link.send_value(&mut bench.lock, value);
        }
        assert!(link.closed, "the link stays open after {values:02x?}");
        assert_eq!(link.messages.len(), messages, "the lock has answered");
        assert_eq!(bench.lock.failures(), [Failure::Framing]);
        assert_eq!(bench.lock.movements(), 0);
        assert_eq!(bench.lock.snapshot(), before);
        // Nothing on that link is heard again, not even the right message.
        link.send(&mut bench.lock, &message);
        assert_eq!(link.messages.iter().filter(|(own, _)| !own).count(), answered);
    }
}

/// Answers so many messages and returns the message that is due next.
fn up_to(bench: &mut Bench, link: &mut BleLink, answered: usize) -> Vec<u8> {
    let mut due = initiate(&bench.phone);
    for _ in 0..answered {
        link.send(&mut bench.lock, &due);
        let (kind, command) = link.receive().unwrap();
        assert_eq!(kind, Kind::Command);
        let response = bench.phone.answer(Interface::Ble, &command).unwrap();
        due = message(0, 1, &response);
    }
    due
}

fn initiate(phone: &RawPhone) -> Vec<u8> {
    let mut payload = vec![0x00, phone.a5.len() as u8];
    payload.extend(&phone.a5);
    message(2, 5, &payload)
}

fn message(kind: u8, id: u8, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, id];
    message.extend((payload.len() as u16).to_be_bytes());
    message.extend(payload);
    message
}

fn split(fragmenter: &mut Fragmenter, message: &[u8]) -> Vec<Vec<u8>> {
    fragmenter.split(message).map(|value| value.to_vec()).collect()
}

#[test]
fn l_frag_length_over_2048() {
    breaks(|fragmenter, message| {
        let mut message = message.to_vec();
        message[2..4].copy_from_slice(&2_045_u16.to_be_bytes());
        split(fragmenter, &message)
            .into_iter()
            .take(1)
            .map(|mut value| {
                value[0] &= !0x40;
                value
            })
            .collect()
    });
    breaks(|fragmenter, message| {
        let mut message = message.to_vec();
        message[2..4].fill(0xFF);
        split(fragmenter, &message).into_iter().take(1).collect()
    });
}

#[test]
fn l_frag_sum_too_short() {
    breaks(|fragmenter, message| {
        let mut message = message.to_vec();
        let longer = u16::from_be_bytes([message[2], message[3]]) + 1;
        message[2..4].copy_from_slice(&longer.to_be_bytes());
        split(fragmenter, &message)
    });
    // Not even a header.
    breaks(|fragmenter, _| split(fragmenter, &[0, 1, 0]));
}

#[test]
fn l_frag_sum_too_long() {
    breaks(|fragmenter, message| {
        let mut message = message.to_vec();
        message.push(0);
        split(fragmenter, &message)
    });
    // All there, but not said to be the last.
    breaks(|fragmenter, message| {
        let mut values = split(fragmenter, message);
        *values.last_mut().unwrap().first_mut().unwrap() &= !0x40;
        values
    });
}

#[test]
fn l_frag_wrong_sequence() {
    for difference in [1, 2, 63] {
        breaks(|fragmenter, message| {
            let mut values = split(fragmenter, message);
            values[0][0] = values[0][0] & 0xC0 | values[0][0].wrapping_add(difference) & 0x3F;
            values
        });
    }
    // The same fragment twice, and one left out: in a message of several.
    let pieces = |message: &[u8]| split(&mut Fragmenter::new(23), message);
    for order in [vec![0, 0], vec![0, 2]] {
        let mut bench = Bench::new();
        let mut link = BleLink::connect(&mut bench.lock, 1, 23);
        let values = pieces(&initiate(&bench.phone));
        assert_eq!(values.len(), 3);
        for at in &order {
            link.send_value(&mut bench.lock, &values[*at]);
        }
        assert!(link.closed, "{order:?}");
        assert_eq!(bench.lock.failures(), [Failure::Framing]);
    }
}

#[test]
fn l_frag_first_twice() {
    let mut bench = Bench::new();
    let mut link = BleLink::connect(&mut bench.lock, 1, 23);
    let mut values = split(&mut Fragmenter::new(23), &initiate(&bench.phone));
    values[1][0] |= 0x80;
    link.send_value(&mut bench.lock, &values[0]);
    assert!(!link.closed);
    link.send_value(&mut bench.lock, &values[1]);
    assert!(link.closed);
    assert_eq!(bench.lock.failures(), [Failure::Framing]);
}

#[test]
fn l_frag_no_first() {
    breaks(|fragmenter, message| {
        let mut values = split(fragmenter, message);
        values[0][0] &= !0x80;
        values
    });
}

#[test]
fn l_frag_empty_piece() {
    breaks(|fragmenter, message| split(fragmenter, message).into_iter().map(|value| value[..1].to_vec()).collect());
    breaks(|_, _| vec![vec![]]);
}

#[test]
fn l_frag_message_kinds() {
    // A type out of range, an empty payload, and kinds a phone does not send.
    breaks(|fragmenter, message| {
        let mut message = message.to_vec();
        message[0] |= 0x40;
        split(fragmenter, &message)
    });
    breaks(|fragmenter, _| split(fragmenter, &[0, 1, 0, 0]));
    for (kind, id) in [(0, 0), (1, 0), (2, 0), (2, 2), (2, 3), (3, 0), (4, 9), (2, 5), (0, 1)] {
        let mut bench = Bench::new();
        let mut link = BleLink::connect(&mut bench.lock, 1, 185);
        // Initiate is right at the start and nowhere else, a response the other way round.
        let due = up_to(&mut bench, &mut link, usize::from((kind, id) != (0, 1)));
        let payload = due[4..].to_vec();
        link.send(&mut bench.lock, &message(kind, id, &payload));
        assert!(link.closed, "kind {kind}/{id}");
        assert_eq!(bench.lock.failures(), [Failure::Rejected]);
        assert_eq!(bench.lock.movements(), 0);
    }
}

#[test]
fn l_silence() {
    // One second within a message.
    let mut bench = Bench::new();
    let mut link = BleLink::connect(&mut bench.lock, 1, 23);
    let values = split(&mut Fragmenter::new(23), &initiate(&bench.phone));
    link.send_value(&mut bench.lock, &values[0]);
    bench.lock.advance(Duration::from_millis(999));
    link.send_value(&mut bench.lock, &values[1]);
    assert!(!link.closed);
    bench.lock.advance(Duration::from_millis(1_000));
    link.collect(&bench.lock);
    assert!(link.closed, "a second of silence within a message");
    assert_eq!(bench.lock.failures(), [Failure::Timeout]);

    // Five seconds without an answer, at every step.
    for answered in 0..3 {
        let mut bench = Bench::new();
        let before = bench.lock.snapshot();
        let mut link = BleLink::connect(&mut bench.lock, 1, 185);
        let due = up_to(&mut bench, &mut link, answered);
        bench.lock.advance(Duration::from_millis(4_999));
        link.collect(&bench.lock);
        assert!(!link.closed);
        bench.lock.advance(Duration::from_millis(1));
        link.collect(&bench.lock);
        assert!(link.closed, "five seconds at step {answered}");
        assert_eq!(bench.lock.failures(), [Failure::Timeout]);
        link.send(&mut bench.lock, &due);
        assert_eq!(bench.lock.movements(), 0);
        assert_eq!(bench.lock.snapshot(), before);
    }

    // The whole link after thirty seconds, however busy it is: one fragment every 0.9 s.
    let mut bench = Bench::new();
    let mut link = BleLink::connect(&mut bench.lock, 1, 23);
    let mut drip = Fragmenter::new(23);
    let endless = message(2, 5, &vec![0; 2_000]);
    let mut seconds = 0.0;
    for value in split(&mut drip, &endless) {
        link.send_value(&mut bench.lock, &value);
        bench.lock.advance(Duration::from_millis(900));
        seconds += 0.9;
        link.collect(&bench.lock);
        if link.closed {
            break;
        }
    }
    assert!(link.closed && seconds <= 31.0, "open after {seconds} s");

    // By tap as well.
    let mut bench = Bench::new();
    bench.lock.input(Input::NfcArrived);
    bench.lock.advance(Duration::from_secs(5));
    assert!(bench.lock.log.iter().any(|(_, did)| *did == Did::NfcRelease));
}

#[test]
fn l_silence_a_slow_phone_after_the_verdict_holds_no_link() {
    let mut bench = Bench::new();
    let mut link = BleLink::connect(&mut bench.lock, 1, 185);
    let document = up_to(&mut bench, &mut link, 3);
    link.send(&mut bench.lock, &document);
    assert_eq!(bench.lock.openings(), 1, "the lock has decided");
    assert!(!link.closed);
    // The phone does not answer the verdict.
    bench.lock.advance(Duration::from_secs(6));
    link.collect(&bench.lock);
    assert!(link.closed);
}

#[test]
fn l_chain() {
    // An answer that goes on past 2,048 bytes.
    let mut bench = Bench::new();
    let before = bench.lock.snapshot();
    bench.phone.device_response = Some(vec![0; 2_040]);
    let talk = tap(&mut bench.lock, &mut bench.phone);
    assert!(!talk.control_flow.is_empty(), "the lock ends the session");
    assert_eq!(talk.control_flow[0][..6], [0x41, 0x01, 0x00, 0x42, 0x01, 0x00]);
    assert_eq!(bench.lock.movements(), 0);
    assert_eq!(bench.lock.snapshot(), before);
    let pieces = talk.messages.iter().filter(|(own, message)| !own && message[1] == Ins::GetResponse as u8).count();
    assert!(pieces <= 8, "no piece is fetched once the cap is passed: {pieces}");
    // 61XX for ever, without data or with little.
    for piece in [vec![0x61, 0x00], vec![0xAA, 0x61, 0x00]] {
        let mut bench = Bench::new();
        let mut position = bench.lock.input(Input::NfcArrived);
        let mut steps = 0;
        while bench
            .lock
            .since(position)
            .any(|did| matches!(did, Did::Transmit(apdu) if apdu[1] != Ins::ControlFlow as u8))
        {
            steps += 1;
            assert!(steps < 5_000, "the lock asks for ever");
            position = bench.lock.input(Input::NfcResponse { apdu: &piece });
            bench.lock.advance(Duration::from_millis(20));
        }
        assert!(steps <= 2_100, "{steps}");
        assert_eq!(bench.lock.movements(), 0);
    }
    // A command of several pieces that is not answered 9000 in between.
    let mut bench = Bench::with(|config| {
        // 300 bytes of certificate make AUTH1 a chain.
        config.certificate = Some(keybutton_protocol::buf::Buf::from_slice(&[0x30; 300]).unwrap());
    });
    let mut position = bench.lock.input(Input::NfcArrived);
    let mut ended = false;
    for _ in 0..6 {
        let sent = bench.lock.since(position).find_map(|did| match did {
            Did::Transmit(apdu) => Some(apdu.clone()),
            _ => None,
        });
        let Some(apdu) = sent else { break };
        ended |= apdu[1] == Ins::ControlFlow as u8;
        let answer = match apdu[0] & 0x10 {
            0x10 => vec![0x6A, 0x80],
            _ if ended => break,
            _ => bench.phone.answer(Interface::Nfc, &apdu).unwrap(),
        };
        position = bench.lock.input(Input::NfcResponse { apdu: &answer });
    }
    assert!(ended, "the session is over");
}

#[test]
fn a_message_of_2048_bytes_is_taken_at_every_mtu() {
    for mtu in [23, 185, 247, 517] {
        let mut bench = Bench::new();
        let mut link = BleLink::connect(&mut bench.lock, 1, mtu);
        // An A5 of more than 128 bytes is refused, but as a template: the framing is right.
        link.send(&mut bench.lock, &message(2, 5, &[0; 2_044]));
        assert!(link.closed);
        assert_ne!(bench.lock.failures(), [Failure::Framing]);
    }
}

#[test]
fn the_mtu_may_change_between_messages() {
    let mut bench = Bench::new();
    let mut link = BleLink::connect(&mut bench.lock, 1, 23);
    let a5 = bench.phone.a5.clone();
    link.initiate(&mut bench.lock, &a5);
    link.fragmenter.set_mtu(247);
    bench.lock.input(Input::MtuChanged { link: keybutton_lock::LinkId(1), mtu: 247 });
    link.serve(&mut bench.lock, &mut bench.phone);
    assert_eq!(bench.reason(), Some(Reason::Granted));
    let mut phone = bench.phone_of("grace");
    phone.press(Intent::Unlock);
    press_with(&mut bench.lock, &mut phone, 2);
    assert_eq!(reason(&phone), Some(Reason::Granted));
}
