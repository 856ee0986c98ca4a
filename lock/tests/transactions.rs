//! Whole transactions, phone and lock together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use keybutton_lock::{Event, Input, Path, config::DocumentRules, env::BoltCommand, feedback::Signal};
use keybutton_protocol::{
    ids::Intent,
    message::{self, Kind},
    profile::Profile,
    verdict::Reason,
};

#[test]
fn first_opening_known_key_and_fast() {
    let mut world = World::new();
    let mut phone = world.member(1);

    let first = world.press(&mut phone, Intent::Unlock);
    assert!(first.is_granted(), "{first:?} {:?}", world.events);
    assert!(first.stepped_up && !first.fast);
    assert!(matches!(world.bolts[..], [BoltCommand::Open(_)]));
    assert_eq!(world.feedback.last().map(|f| f.signal), Some(Signal::Granted));
    // Initiate, AUTH0, AUTH1 and ENVELOPE pairs, EXCHANGE pair.
    assert_eq!(first.messages.len(), 9);

    let second = world.press(&mut phone, Intent::Unlock);
    assert!(second.is_granted() && second.fast, "{second:?}");
    assert_eq!(second.messages.len(), 5);

    phone.persistent = None;
    let third = world.press(&mut phone, Intent::Unlock);
    assert!(third.is_granted() && !third.fast && !third.stepped_up, "{third:?}");
    assert_eq!(third.messages.len(), 7);
    let paths: Vec<Path> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Verdict { path, reason: Reason::Granted, repeated: false, .. } => Some(*path),
            _ => None,
        })
        .collect();
    assert_eq!(paths, [Path::StepUp, Path::Fast, Path::Known]);
}

#[test]
fn without_a_certificate_phones_trust_the_reader_key() {
    let mut world = World::with(LockOptions { without_certificate: true, ..LockOptions::default() });
    let mut phone = world.member(1);
    let log = world.press(&mut phone, Intent::Unlock);
    assert!(log.is_granted(), "{log:?}");
    assert!(world.press(&mut phone, Intent::Unlock).fast);
}

#[test]
fn two_issuers_open_the_same_lock() {
    let mut world = World::with(LockOptions { second_issuer: true, ..LockOptions::default() });
    let (mut one, mut two) = (world.member(1), world.phone(2));
    std::mem::swap(&mut world.issuer, &mut world.other_issuer);
    world.grant(&mut two, 42, access_data(2));
    assert!(world.press(&mut one, Intent::Unlock).is_granted());
    assert!(world.press(&mut two, Intent::Unlock).is_granted());
    // Revoked under the new key, shown under the old one: revoked all the same.
    let mut carrier = world.member(3);
    let entry = world.entry(&one);
    world.revoke(&mut carrier, 9, &[entry]);
    world.press(&mut carrier, Intent::Unlock);
    assert_eq!(world.press(&mut one, Intent::Unlock).reason(), Some(Reason::Revoked));
}

#[test]
fn interop_reports_by_completed_and_asks_for_nothing_after() {
    let profile = Profile::INTEROP;
    let mut world = World::with(LockOptions { profile, documents: DocumentRules::INTEROP, ..LockOptions::default() });
    let mut phone = world.member(1);
    phone.profile = profile;
    let press = phone.press(Intent::Unlock);
    let mut last = None;
    let log = world.press_with(&mut phone, press, 247, &mut |to_lock, message| {
        if !to_lock {
            last = message::parse(message).ok().map(|(kind, _)| kind);
        }
    });
    assert_eq!(last, Some(Kind::Completed));
    assert!(log.verdict.is_none() && log.asked.is_empty() && log.handed_over == 0);
    assert_eq!(world.bolts.len(), 1);
}

#[test]
fn preparing_ahead_changes_nothing_but_the_time() {
    let mut world = World::new();
    let mut phone = world.member(1);
    for _ in 0..3 {
        world.reader.prepare();
        world.reader.prepare();
        assert!(world.press(&mut phone, Intent::Unlock).is_granted());
    }
}

#[test]
fn an_unprovisioned_lock_says_so_and_serves_nobody() {
    use keybutton_lock::{Action, Address, Boot, LinkId, Memory, Reader, Uptime, env::Env};
    use keybutton_protocol::advert::Packet;
    let env = Env { crypto: crypto(1), signer: signer(30), store: TestStore::new() };
    let mut reader = Reader::new(Box::new(Memory::<TestCrypto>::new()), env, None, Boot::default()).unwrap();
    let (mut advertised, mut closed) = (Vec::new(), Vec::new());
    let mut sink = |action: Action<'_>| match action {
        Action::Advertise(advertising) => advertised.push(*advertising),
        Action::Close { link } => closed.push(link),
        _ => {}
    };
    reader.handle(Uptime(0), Input::Deadline, &mut sink);
    reader.handle(Uptime(1), Input::Connected { link: LinkId(1), address: Address([1; 6]), mtu: 185 }, &mut sink);
    reader.handle(Uptime(2), Input::Received { link: LinkId(1), value: &[0xC0, 2, 5, 0, 1, 0] }, &mut sink);
    let data = Packet::parse(&advertised[0].scan_response).data.unwrap();
    assert!(data.setup);
    assert_eq!((advertised.len(), closed), (1, vec![LinkId(1)]));
}

#[test]
fn garbage_never_panics_never_opens_and_never_stops_the_lock() {
    use keybutton_protocol::crypto::Crypto;
    let mut world = World::new();
    let mut random = crypto(77);
    for n in 0..400_u16 {
        let link = world.connect(n.to_le_bytes()[0], 185);
        for _ in 0..3 {
            let mut value = vec![0; usize::from(n % 40)];
            random.random(&mut value).unwrap();
            if let Some(first) = value.first_mut().filter(|_| n % 2 == 0) {
                *first = 0xC0;
            }
            world.write(link, &value);
        }
        world.input(Input::Disconnected { link });
    }
    assert!(world.bolts.is_empty());
    world.pass(20_000);
    let mut phone = world.member(1);
    assert!(world.press(&mut phone, Intent::Unlock).is_granted());
}

#[test]
fn the_tables_take_what_their_documentation_says() {
    use keybutton_lock::{Memory, Reader};
    let tables = size_of::<Memory<TestCrypto>>();
    assert!((50_000..64_000).contains(&tables), "{tables}");
    let reader = size_of::<
        Reader<&mut Memory<TestCrypto>, TestCrypto, keybutton_protocol::crypto::rustcrypto::RustSigner, TestStore>,
    >();
    assert!(reader < 10_000, "{reader}");
}
