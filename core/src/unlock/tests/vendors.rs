//! Presses for doors that a vendor's SDK opens.

use keybutton_protocol::api::{
    AccessRefusal, ButtonState, Decision, DoorId, DoorRights, HiddenReason, IntegrationKind,
};

use super::{
    super::*,
    rig::{Rig, refused},
};
use crate::{
    error::ErrorCode,
    outcome::{Cause, Outcome, PressOutcome, Route},
};

fn gate() -> DoorId {
    DoorId("gate".into())
}

/// A phone that has never opened a door of ours, of a member who may open a vendor's.
fn rig() -> Rig {
    let mut rig = Rig::without_key();
    let rights = rig.rights.as_mut().unwrap().as_mut().unwrap();
    rights.doors = vec![vendors_door("gate")];
    rig.vendor = Some(VendorWord::Opened);
    rig
}

fn vendors_door(id: &str) -> DoorRights {
    DoorRights {
        id: DoorId(id.into()),
        name: id.into(),
        site: "Harbour".into(),
        integration: IntegrationKind::Vendor,
        reader_id: None,
        vendor_door: None,
        decision: Decision::Allow { until: u32::MAX },
    }
}

fn doors(rig: &mut Rig) -> &mut Vec<DoorRights> {
    &mut rig.rights.as_mut().unwrap().as_mut().unwrap().doors
}

fn options() -> UnlockOptions {
    UnlockOptions { door: Some(gate()), vendor: true, ..UnlockOptions::default() }
}

fn cause(outcome: &PressOutcome) -> Cause {
    match outcome.outcome {
        Outcome::Unconfirmed(cause) => cause,
        Outcome::Opened(_) | Outcome::Refused(_) => panic!("not unconfirmed: {outcome:?}"),
    }
}

#[test]
fn the_service_decides_and_the_vendor_opens() {
    for known in [false, true] {
        for door in [Some(gate()), None] {
            let mut rig = rig();
            if known {
                rig.keyring.set_rights(rig.rights.clone().unwrap().unwrap());
            }
            let press = rig.press(1, UnlockOptions { door, ..options() });
            assert!(matches!(press.outcome, Outcome::Opened(_)), "{press:?}");
            assert_eq!((press.route, press.door), (Some(Route::Vendor), Some(gate())));
            assert_eq!(rig.phase_names(), ["checking-access", "opening"]);
            assert_eq!((rig.asked_vendor.len(), rig.connects), (1, 0));
            assert!(rig.keyring.last_opened(&gate()).is_some());
        }
    }
}

#[test]
fn without_the_service_nothing_is_asked_of_the_vendor() {
    let mut rig = rig();
    rig.keyring.set_rights(rig.rights.clone().unwrap().unwrap());
    rig.rights = Some(Err(ErrorCode::ServiceUnreachable.into()));
    assert_eq!(refused(&rig.press(1, options())), ErrorCode::ServiceUnreachable);
    rig.rights = None;
    assert_eq!(refused(&rig.press(2, options())), ErrorCode::ServiceUnreachable, "by the deadline");
    assert!(rig.asked_vendor.is_empty());
}

#[test]
fn what_the_service_refuses_the_vendor_is_not_asked() {
    for reason in [AccessRefusal::NoPermission, AccessRefusal::OutsideSchedule, AccessRefusal::LockedDown] {
        let mut rig = rig();
        doors(&mut rig)[0].decision = Decision::Refuse { reason };
        assert_eq!(refused(&rig.press(1, options())), reason.into());
        assert!(rig.asked_vendor.is_empty());
    }
    let mut rig = rig();
    rig.rights.as_mut().unwrap().as_mut().unwrap().button = ButtonState::Hidden(HiddenReason::ModuleDisabled);
    assert_eq!(refused(&rig.press(1, options())), ErrorCode::ModuleDisabled);
    assert!(rig.asked_vendor.is_empty());
}

#[test]
fn an_app_without_the_vendors_part_leaves_the_door_to_the_vendors_app() {
    let mut rig = rig();
    let options = UnlockOptions { vendor: false, ..options() };
    assert_eq!(refused(&rig.press(1, options)), ErrorCode::UnlockMethodNative);
    assert!(rig.asked_vendor.is_empty());
}

#[test]
fn the_vendors_word_is_the_outcome() {
    let said = |word| {
        let mut rig = rig();
        rig.vendor = Some(word);
        rig.press(1, options())
    };
    assert_eq!(refused(&said(VendorWord::Refused(ErrorCode::Busy))), ErrorCode::Busy);
    assert_eq!(cause(&said(VendorWord::Unconfirmed)), Cause::LinkLost);
    // A "refusal" that may have opened the door is no certainty.
    assert_eq!(cause(&said(VendorWord::Refused(ErrorCode::NoVerdict))), Cause::LinkLost);
}

#[test]
fn a_silent_vendor_leaves_the_press_unconfirmed_and_a_retry_asks_again() {
    let mut rig = rig();
    rig.vendor = None;
    assert_eq!(cause(&rig.press(1, options())), Cause::Deadline);
    rig.vendor = Some(VendorWord::Opened);
    let again = UnlockOptions { repeats: true, ..options() };
    let press = rig.press(1, again.clone());
    assert!(matches!(press.outcome, Outcome::Opened(_)), "{press:?}");
    assert_eq!(rig.asked_vendor.len(), 2);
    // What was asked once stays open as long as nobody knows.
    rig.rights = Some(Err(ErrorCode::ServiceUnreachable.into()));
    assert_eq!(cause(&rig.press(1, again)), Cause::LinkLost);
    assert_eq!(rig.asked_vendor.len(), 2);
}

#[test]
fn cancelling_is_certain_before_the_vendor_was_asked_and_not_after() {
    let mut rig = rig();
    rig.vendor = None;
    rig.start(1, options());
    rig.turn();
    rig.feed(Input::Cancel);
    assert_eq!(refused(&rig.run_to_end()), ErrorCode::PressCancelled);
    rig.start(2, options());
    while rig.asked_vendor.is_empty() {
        rig.turn();
    }
    rig.feed(Input::Cancel);
    assert_eq!(cause(&rig.run_to_end()), Cause::Cancelled);
    // Too late to be heard.
    rig.over = false;
    rig.feed(Input::Vendor(VendorWord::Opened));
    assert_eq!(rig.outcomes.len(), 1);
}

#[test]
fn with_no_door_chosen_a_door_of_ours_goes_first_and_of_several_one_has_to_be_chosen() {
    let mut several = rig();
    doors(&mut several).push(vendors_door("barrier"));
    let unchosen = UnlockOptions { door: None, ..options() };
    assert_eq!(refused(&several.press(1, unchosen.clone())), ErrorCode::DoorNotChosen);
    assert!(several.asked_vendor.is_empty());

    let mut mixed = Rig::new();
    doors(&mut mixed).push(vendors_door("gate"));
    mixed.vendor = Some(VendorWord::Opened);
    let press = mixed.press(1, unchosen);
    assert_eq!(press.route, Some(Route::Radio));
    assert!(mixed.asked_vendor.is_empty());
    let press = mixed.press(2, options());
    assert_eq!(press.route, Some(Route::Vendor), "unless theirs is chosen");
}

#[test]
fn a_reader_that_came_by_itself_opens_no_vendors_door() {
    let mut rig = rig();
    let options = UnlockOptions { door: None, tap: true, radio: false, ..options() };
    rig.press(1, options);
    assert!(rig.asked_vendor.is_empty());
}
