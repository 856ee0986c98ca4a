//! Whole transactions, phone and lock together.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use keybutton_lock::{Event, Path, env::BoltCommand, feedback::Signal};
use keybutton_protocol::{ids::Intent, verdict::Reason};

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
