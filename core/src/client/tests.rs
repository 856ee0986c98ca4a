use std::{sync::Arc, time::Duration};

use keybutton_protocol::api::{ButtonState, HiddenReason, MemberId, Rights};

use self::fake::{CANARY, Phone, Story, token};
use super::*;
use crate::{outcome::Outcome, press::PressOptions};

mod door;
mod fake;
mod links;
mod tap;
mod vendors;
mod watch;

const VISIBLE: Result<ButtonState, KeyError> = Ok(ButtonState::Visible);

const fn hidden(reason: HiddenReason) -> ButtonState {
    ButtonState::Hidden(reason)
}

fn code<T: fmt::Debug>(result: Result<T, KeyError>) -> ErrorCode {
    result.unwrap_err().code()
}

#[test]
fn signing_in_enrols_once_and_survives_a_restart() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    assert_eq!(keys.key_button(), hidden(HiddenReason::NotSignedIn));
    assert_eq!(keys.sign_in(token("ann")).unwrap().wait(), VISIBLE);
    let steps = ["GET /v1/me", "POST /v1/devices/challenge", "POST /v1/devices", "GET /v1/me", "POST /v1/keys"];
    assert_eq!(phone.service.asked(), steps);
    drop(keys);
    let keys = phone.start().unwrap();
    assert_eq!(keys.key_button(), ButtonState::Visible);
    assert!(phone.service.asked().is_empty(), "a start talks to nobody");
    assert_eq!(keys.sign_in(token("ann")).unwrap().wait(), VISIBLE);
    assert_eq!(phone.service.asked(), ["GET /v1/me", "POST /v1/keys"]);
}

#[test]
fn signing_in_without_a_connection_is_made_up_for_later() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    phone.service.script().offline = true;
    assert_eq!(code(keys.sign_in(token("ann")).unwrap().wait()), ErrorCode::ServiceUnreachable);
    assert_eq!(keys.key_button(), hidden(HiddenReason::DeviceNotEnrolled));
    phone.service.script().offline = false;
    assert_eq!(keys.refresh().unwrap().wait(), VISIBLE);
}

#[test]
fn what_is_no_session_token_changes_nothing() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    for bad in ["", "opaque", "a.b.c", "two words"] {
        assert_eq!(code(keys.sign_in(bad.into())), ErrorCode::SessionRejected);
    }
    assert_eq!(keys.key_button(), ButtonState::Visible);
}

#[test]
fn another_member_finds_nothing_of_the_former() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let anns = phone.service.script().devices.clone();
    keys.sign_in(token("bob")).unwrap().wait().unwrap();
    let devices = phone.service.script().devices.clone();
    let bobs: Vec<_> = devices.iter().filter(|(id, _)| !anns.contains_key(*id)).collect();
    assert_eq!(bobs.len(), 1);
    assert!(anns.values().all(|key| key != bobs[0].1), "the device key is a new one");
}

#[test]
fn a_token_that_turns_out_to_be_another_members_keeps_no_device() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    phone.service.script().member = Some("somebody else".into());
    phone.service.asked();
    keys.refresh().unwrap().wait().unwrap();
    assert!(phone.service.asked().contains(&"POST /v1/devices".to_owned()));
}

#[test]
fn a_hidden_button_has_its_reason_and_nothing_is_downloaded() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    for reason in [HiddenReason::ModuleDisabled, HiddenReason::NoAccessGroup, HiddenReason::UserNotConfirmed] {
        phone.service.script().button = Some(reason);
        assert_eq!(keys.sign_in(token("ann")).unwrap().wait(), Ok(hidden(reason)));
        assert_eq!(keys.key_button(), hidden(reason));
        assert_eq!(phone.service.asked(), ["GET /v1/me"]);
    }
    phone.service.script().button = None;
    assert_eq!(keys.refresh().unwrap().wait(), VISIBLE);
}

#[test]
fn a_revoked_device_stays_out_until_the_member_signs_in_again() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let former = std::mem::take(&mut phone.service.script().devices);
    let gone = Ok(hidden(HiddenReason::DeviceNotEnrolled));
    assert_eq!(keys.refresh().unwrap().wait(), gone);
    assert_eq!(keys.refresh().unwrap().wait(), gone);
    assert!(phone.service.script().devices.is_empty());
    assert_eq!(keys.sign_in(token("ann")).unwrap().wait(), VISIBLE);
    let script = phone.service.script();
    assert!(script.devices.values().all(|key| former.values().all(|old| old != key)), "with a new key");
}

#[test]
fn a_late_answer_about_the_former_device_does_not_revoke_the_new_one() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    phone.service.script().devices.clear();
    phone.service.script().silent = true;
    let refreshed = keys.refresh().unwrap();
    while phone.service.script().held.is_empty() {
        std::thread::yield_now();
    }
    phone.service.script().silent = false;
    assert_eq!(keys.sign_in(token("ann")).unwrap().wait(), VISIBLE);
    let late = Rights {
        member: MemberId(token("ann")),
        organization: "Org".into(),
        button: hidden(HiddenReason::DeviceNotEnrolled),
        doors: vec![],
        now: 0,
    };
    let held = phone.service.script().held.pop().unwrap();
    held.succeed(fake::json(&late));
    assert_eq!(refreshed.wait(), VISIBLE);
    assert_eq!(keys.key_button(), ButtonState::Visible);
    assert_eq!(phone.service.script().devices.len(), 1);
}

#[test]
fn the_services_errors_come_through() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    phone.service.script().problem = Some(("/v1/devices", 409, "device-limit-reached"));
    assert_eq!(code(keys.sign_in(token("ann")).unwrap().wait()), ErrorCode::DeviceLimitReached);
    phone.service.script().problem = Some(("/v1/me", 401, "session-expired"));
    assert_eq!(code(keys.refresh().unwrap().wait()), ErrorCode::SessionRejected);
    phone.service.script().problem = None;
    assert_eq!(keys.devices().unwrap().wait(), Ok(vec![]));
    assert_eq!(keys.revoke_device(DeviceId("x".into())).unwrap().wait(), Ok(()));
}

#[test]
fn a_damaged_vault_is_named_and_left_alone() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    drop(keys);
    let file = phone.dir.path().join("vault/member.kbv");
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let error = phone.start().unwrap_err();
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("sign in again"), "{error}");
    assert_eq!(KeyError::from(&error).code(), ErrorCode::VaultDamaged);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    phone.vault().unwrap().wipe().unwrap();
    assert_eq!(phone.start().unwrap().key_button(), hidden(HiddenReason::NotSignedIn));
}

#[test]
fn an_entry_that_opens_and_makes_no_sense_is_damage_too() {
    let phone = Phone::new();
    phone.vault().unwrap().store("member".into(), b"{}".to_vec()).unwrap();
    assert_eq!(phone.start().unwrap_err(), StartError::VaultEntry { entry: "member" });
}

#[test]
fn a_press_with_no_lock_around_ends_once_at_its_deadline() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    let story = Arc::new(Story::default());
    let options = PressOptions { deadline: Duration::from_millis(50), ..PressOptions::default() };
    let press = keys.press(options, story.clone()).unwrap();
    let outcome = press.wait();
    assert!(matches!(outcome.outcome, Outcome::Refused(_)), "{outcome:?}");
    assert_eq!(outcome.press, press.id());
    drop((keys, press));
    story_is_over(&story);
    assert_eq!(*story.outcomes.lock().unwrap(), [outcome]);
    assert_eq!(*phone.radio.scans.lock().unwrap(), 0);
}

#[test]
fn a_deadline_has_to_be_one() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    for deadline in [Duration::ZERO, PressOptions::DEADLINE_MAX + Duration::from_nanos(1), Duration::MAX] {
        let options = PressOptions { deadline, ..PressOptions::default() };
        assert_eq!(code(keys.press(options, Arc::new(Story::default()))), ErrorCode::InvalidRequest);
    }
}

#[test]
fn a_press_ends_although_the_service_never_answers() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    phone.service.script().silent = true;
    let options = PressOptions { deadline: Duration::from_millis(50), ..PressOptions::default() };
    let outcome = keys.press(options, Arc::new(Story::default())).unwrap().wait();
    assert_eq!(outcome.outcome.name(), "refused");
}

/// Waits until nobody can tell the listener anything more.
fn story_is_over(story: &Arc<Story>) {
    while Arc::strong_count(story) > 1 {
        std::thread::yield_now();
    }
}

/// Begins a press that waits for a service that says nothing.
fn waiting_press(phone: &Phone, story: &Arc<Story>) -> (MobileKeys, Arc<Press>) {
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    phone.service.script().silent = true;
    let options = PressOptions { deadline: Duration::from_secs(600), ..PressOptions::default() };
    let press = keys.press(options, story.clone()).unwrap();
    (keys, press)
}

#[test]
fn cancelling_ends_a_press_before_anything_moved() {
    let phone = Phone::new();
    let story = Arc::new(Story::default());
    let (keys, press) = waiting_press(&phone, &story);
    assert_eq!(code(keys.press(PressOptions::default(), story.clone())), ErrorCode::PressInProgress);
    assert_eq!(code(keys.retry(press.id(), story.clone())), ErrorCode::PressInProgress);
    press.cancel();
    press.cancel();
    assert_eq!(press.wait().outcome.code(), Some(ErrorCode::PressCancelled));
    assert_eq!(code(keys.retry(press.id(), story)), ErrorCode::InvalidRequest, "it is not unconfirmed");
}

#[test]
fn signing_out_ends_the_press_and_wipes_everything() {
    let phone = Phone::new();
    let story = Arc::new(Story::default());
    let (keys, press) = waiting_press(&phone, &story);
    assert!(!phone.entries().is_empty());
    keys.sign_out().unwrap();
    assert_eq!(press.wait().outcome.code(), Some(ErrorCode::PressCancelled));
    assert_eq!(phone.entries(), Vec::<String>::new());
    assert_eq!(keys.key_button(), hidden(HiddenReason::NotSignedIn));
    assert!(keys.doors().is_empty());
    assert_eq!(code(keys.refresh()), ErrorCode::NotSignedIn);
    assert_eq!(code(keys.press(PressOptions::default(), story)), ErrorCode::NotSignedIn);
    // The answer that was under way comes too late to be kept.
    for answer in std::mem::take(&mut phone.service.script().held) {
        answer.fail(crate::http::HttpError::Offline);
    }
    drop(keys);
    assert_eq!(phone.entries(), Vec::<String>::new());
}

#[test]
fn signing_out_gives_the_device_back() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    keys.sign_out().unwrap();
    keys.sign_in(token("bob")).unwrap().wait().unwrap();
    // Both were asked of the same service in this order or the other; only Bob's device may be left.
    while phone.service.script().devices.len() > 1 {
        std::thread::yield_now();
    }
}

#[test]
fn a_listener_that_panics_does_not_break_the_press() {
    let phone = Phone::new();
    let story = Arc::new(Story { panics: true, ..Story::default() });
    let (keys, press) = waiting_press(&phone, &story);
    press.cancel();
    assert_eq!(press.wait().outcome.code(), Some(ErrorCode::PressCancelled));
    drop(keys);
    drop(press);
    story_is_over(&story);
    assert_eq!(story.outcomes.lock().unwrap().len(), 1);
}

#[test]
fn dropping_the_core_ends_the_press() {
    let phone = Phone::new();
    let story = Arc::new(Story::default());
    let (keys, press) = waiting_press(&phone, &story);
    drop(keys);
    assert_eq!(press.wait().outcome.name(), "refused");
    story_is_over(&story);
    assert_eq!(story.outcomes.lock().unwrap().len(), 1);
}

#[test]
fn press_reports_wait_for_the_next_contact() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    phone.service.script().offline = true;
    let options = PressOptions { deadline: Duration::from_millis(20), ..PressOptions::default() };
    let press = keys.press(options, Arc::new(Story::default())).unwrap();
    press.settled().wait();
    assert!(press.outcome().get().is_some());
    drop(keys);
    phone.service.script().offline = false;
    let keys = phone.start().unwrap();
    phone.service.asked();
    keys.refresh().unwrap().wait().unwrap();
    assert_eq!(phone.service.asked().iter().filter(|asked| *asked == "POST /v1/presses").count(), 1);
    keys.refresh().unwrap().wait().unwrap();
    assert!(!phone.service.asked().contains(&"POST /v1/presses".to_owned()), "it was taken");
}

#[test]
fn no_secret_reaches_the_log_or_the_report() {
    let phone = Phone::new();
    let story = Arc::new(Story::default());
    let (keys, press) = waiting_press(&phone, &story);
    press.cancel();
    press.wait();
    let vault = phone.vault().unwrap();
    let device_key = vault.load("device-key".into()).unwrap().unwrap();
    phone.service.script().silent = false;
    keys.doctor().unwrap().wait().unwrap();
    let report = keys.support_report();
    keys.sign_out().unwrap();
    drop(keys);
    let text = phone.lines.text() + &report;
    assert!(text.contains("press-cancelled"), "{text}");
    let hex: String = device_key.iter().map(|byte| format!("{byte:02x}")).collect();
    for secret in [CANARY, "e30.", "device-1", "ann", &hex[40..72]] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn the_doctor_says_what_is_wrong() {
    let phone = Phone::new();
    let keys = phone.start().unwrap();
    let failed = |keys: &MobileKeys| -> Vec<_> {
        let checks = keys.doctor().unwrap().wait().unwrap();
        checks.iter().filter_map(|check| Some((check.name.as_str(), check.code()?.as_str()))).collect()
    };
    let nobody = failed(&keys);
    assert!(nobody.contains(&("signed-in", "not-signed-in")), "{nobody:?}");
    keys.sign_in(token("ann")).unwrap().wait().unwrap();
    phone.service.script().offline = true;
    let offline = failed(&keys);
    assert!(offline.contains(&("service", "service-unreachable")), "{offline:?}");
    std::fs::write(phone.dir.path().join("vault/outbox.kbv"), b"damage").unwrap();
    let damaged = failed(&keys);
    assert!(damaged.contains(&("vault", "vault-damaged")), "{damaged:?}");
}
