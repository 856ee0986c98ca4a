use std::collections::BTreeSet;

use keybutton_protocol::{
    api::{AccessRefusal, HiddenReason},
    verdict::Reason,
};

use super::*;

#[test]
fn every_row_is_complete_and_unique() {
    let names: BTreeSet<_> = TABLE.iter().map(|entry| entry.name).collect();
    assert_eq!(names.len(), TABLE.len());
    for entry in TABLE {
        assert!(entry.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", entry.name);
        assert!(entry.message.ends_with('.') && entry.remedy.ends_with('.'), "{}", entry.name);
        assert_eq!(entry.code.entry(), entry);
        assert_eq!(ErrorCode::from_name(entry.name), Some(entry.code));
    }
    assert_eq!(ErrorCode::from_name("granted"), None);
}

#[test]
fn service_reasons_keep_their_spelling() {
    for reason in [
        AccessRefusal::NoPermission,
        AccessRefusal::OutsideSchedule,
        AccessRefusal::NotYetValid,
        AccessRefusal::Expired,
        AccessRefusal::UseLimit,
        AccessRefusal::PrimaryDeviceOnly,
        AccessRefusal::TapOnly,
        AccessRefusal::Geofence,
        AccessRefusal::ProximityRequired,
        AccessRefusal::LockedDown,
        AccessRefusal::ModuleDisabled,
        AccessRefusal::UnlockMethodNative,
        AccessRefusal::UserNotConfirmed,
        AccessRefusal::MemberSuspended,
    ] {
        let json = serde_json::to_value(reason).unwrap();
        assert_eq!(json, ErrorCode::from(reason).as_str());
    }
    for reason in [
        HiddenReason::ModuleDisabled,
        HiddenReason::NotSignedIn,
        HiddenReason::NoAccessGroup,
        HiddenReason::UnlockMethodNative,
        HiddenReason::UserNotConfirmed,
        HiddenReason::MemberSuspended,
        HiddenReason::UnsupportedDevice,
        HiddenReason::UnknownMember,
        HiddenReason::DeviceNotEnrolled,
    ] {
        let json = serde_json::to_value(reason).unwrap();
        assert_eq!(json, ErrorCode::from(reason).as_str());
    }
}

#[test]
fn lock_reasons_keep_their_spelling() {
    for reason in Reason::ALL.into_iter().filter(|reason| *reason != Reason::Granted) {
        assert_eq!(ErrorCode::from(reason).as_str(), reason.name());
    }
}

#[test]
fn service_answers_map_by_code_then_by_status() {
    assert_eq!(ErrorCode::from_http(409, Some("device-limit-reached")), ErrorCode::DeviceLimitReached);
    assert_eq!(ErrorCode::from_http(401, Some("something-new")), ErrorCode::SessionRejected);
    assert_eq!(ErrorCode::from_http(404, Some("no-verdict")), ErrorCode::InvalidRequest);
    assert_eq!(ErrorCode::from_http(403, Some("something-new")), ErrorCode::NoPermission);
    assert_eq!(ErrorCode::from_http(403, None), ErrorCode::ServiceFailed, "a proxy's word is not the service's");
    assert_eq!(ErrorCode::from_http(502, None), ErrorCode::ServiceFailed);
    assert_eq!(ErrorCode::from_http(302, None), ErrorCode::ServiceFailed);
}

#[test]
fn only_what_may_have_opened_asks_for_the_same_press() {
    let same: Vec<_> = TABLE.iter().filter(|e| e.retry == Retry::SamePressOnly).map(|e| e.name).collect();
    assert_eq!(same, ["no-verdict", "cancelled-late"]);
}

#[test]
fn debug_shows_the_code_and_display_the_message() {
    let error = KeyError::new(ErrorCode::BluetoothOff);
    assert_eq!(format!("{error:?}"), "KeyError(bluetooth-off)");
    assert_eq!(error.to_string(), "Bluetooth is switched off.");
}
