use keybutton_protocol::api::AccessGroupId;

use super::*;
use crate::access::{Restrictions, schedule::Schedule, utc::covers};

const NOW: u32 = 1_780_000_000;
const PRIMARY: DeviceFacts = DeviceFacts { primary: true };

fn grant() -> Grant {
    Grant {
        group: AccessGroupId("grp".into()),
        from: 0,
        until: OPEN_END,
        schedule: None,
        restrictions: Restrictions::default(),
        whole_site: false,
    }
}

fn door(number: u16, grants: Vec<Grant>) -> PlanDoor {
    PlanDoor { number, high_security: false, grants, uses_elsewhere: 0 }
}

fn plan_now(doors: &[PlanDoor], locks: usize) -> Option<SitePlan> {
    plan(doors, locks, PRIMARY, &TimeZone::UTC, 48, NOW, MAX_ELEMENTS)
}

fn names(plan: &SitePlan) -> Vec<&str> {
    plan.elements.iter().map(|element| element.name.as_str()).collect()
}

fn schedule(json: &str) -> Option<Schedule> {
    Some(serde_json::from_str(json).unwrap())
}

#[test]
fn nothing_to_open_gives_no_key() {
    assert_eq!(plan_now(&[], 2), None);
    assert_eq!(plan_now(&[door(1, vec![])], 2), None);
    assert_eq!(plan_now(&[door(1, vec![Grant { until: NOW, ..grant() }])], 2), None);
}

#[test]
fn each_lock_has_its_own_element() {
    let plan = plan_now(&[door(0x1a, vec![grant()]), door(2, vec![grant()])], 2).unwrap();
    assert_eq!(names(&plan), ["l0002", "l001a"]);
    assert_eq!((plan.valid_from, plan.valid_until), (NOW - 600, NOW - 600 + 48 * 3600));
    assert!(plan.elements.iter().all(|element| element.schedules.is_empty()));
}

#[test]
fn a_group_for_the_whole_site_gives_the_site_element() {
    let whole = Grant { whole_site: true, ..grant() };
    let doors = [door(1, vec![whole.clone()]), door(2, vec![whole.clone()])];
    let plan = plan_now(&doors, 2).unwrap();
    assert_eq!(names(&plan), ["site"]);
    assert!(plan.rights.whole_site);
    // A third lock that it doesn't open, or other terms at one, need single elements.
    assert_eq!(names(&plan_now(&doors, 3).unwrap()), ["l0001", "l0002"]);
    let mut secured = doors;
    secured[0].high_security = true;
    assert_eq!(names(&plan_now(&secured, 2).unwrap()), ["l0001", "l0002"]);
}

#[test]
fn high_security_shortens_the_key_and_asks_for_the_user() {
    let mut vault = door(1, vec![grant()]);
    vault.high_security = true;
    let plan = plan_now(&[vault, door(2, vec![grant()])], 2).unwrap();
    assert_eq!(plan.valid_until - plan.valid_from, 24 * 3600);
    assert!(plan.elements[0].user_authentication && !plan.elements[1].user_authentication);
}

#[test]
fn a_key_ends_with_the_last_right() {
    let plan = plan_now(&[door(1, vec![Grant { until: NOW + 3600, ..grant() }])], 1).unwrap();
    assert_eq!(plan.valid_until, NOW + 3600);
    assert_eq!(plan.elements[0].schedules.len(), 1);
}

#[test]
fn other_devices_get_no_primary_only_grants() {
    let restrictions = Restrictions { primary_device_only: true, ..Restrictions::default() };
    let doors = [door(1, vec![Grant { restrictions, ..grant() }]), door(2, vec![grant()])];
    let second = plan(&doors, 2, DeviceFacts { primary: false }, &TimeZone::UTC, 48, NOW, MAX_ELEMENTS).unwrap();
    assert_eq!(names(&second), ["l0002"]);
    assert_eq!(names(&plan_now(&doors, 2).unwrap()), ["l0001", "l0002"]);
}

#[test]
fn different_terms_at_one_lock_use_its_second_name() {
    let tap = Restrictions { tap_only: true, ..Restrictions::default() };
    let night = schedule(r#"{"weekly":[{"days":["fri"],"from":"00:00","until":"06:00"}]}"#);
    let grants = vec![Grant { restrictions: tap.clone(), ..grant() }, Grant { schedule: night, ..grant() }];
    let plan = plan_now(&[door(1, grants)], 1).unwrap();
    assert_eq!(names(&plan), ["l0001", "z0001"]);
    assert!(!plan.elements[0].tap_only && plan.elements[0].schedules.len() == 1);
    assert!(plan.elements[1].tap_only && plan.elements[1].schedules.is_empty());
    // A free grant around the clock makes the stricter one pointless.
    let plan = plan_now(&[door(1, vec![Grant { restrictions: tap, ..grant() }, grant()])], 1).unwrap();
    assert_eq!(names(&plan), ["l0001"]);
}

#[test]
fn spent_uses_are_taken_off_the_limit() {
    let limited = Grant { restrictions: Restrictions { use_limit: Some(3), ..Restrictions::default() }, ..grant() };
    let mut door = door(1, vec![limited]);
    door.uses_elsewhere = 2;
    assert_eq!(plan_now(std::slice::from_ref(&door), 1).unwrap().elements[0].use_limit, Some(1));
    door.uses_elsewhere = 3;
    assert_eq!(plan_now(&[door], 1), None);
}

#[test]
fn more_schedules_than_fit_end_the_key_early() {
    // Different lengths every hour: nothing folds.
    let windows: Vec<_> = (0..20)
        .map(|hour| {
            format!(r#"{{"days":["thu","fri","sat"],"from":"{hour:02}:00","until":"{hour:02}:{:02}"}}"#, hour + 20)
        })
        .collect();
    let busy = Grant { schedule: schedule(&format!(r#"{{"weekly":[{}]}}"#, windows.join(","))), ..grant() };
    let plan = plan_now(&[door(1, vec![busy.clone()])], 1).unwrap();
    assert_eq!(plan.elements[0].schedules.len(), MAX_SCHEDULES);
    assert!(plan.valid_until < NOW + 24 * 3600);
    for t in (NOW..plan.valid_until).step_by(60) {
        let exact = open_intervals(&busy, &TimeZone::UTC, t, t + 1).iter().any(|i| i.start <= t && t < i.end);
        assert_eq!(exact, plan.elements[0].schedules.iter().any(|s| covers(s, t)), "at {t}");
    }
}

#[test]
fn locks_beyond_the_room_are_named() {
    let doors: Vec<_> = (1..=20).map(|number| door(number, vec![grant()])).collect();
    let plan = plan_now(&doors, 20).unwrap();
    assert_eq!(plan.elements.len(), MAX_ELEMENTS);
    assert_eq!(plan.left_out, (17..=20).collect::<Vec<_>>());
    assert!(!plan.rights.doors.contains_key(&20));
}
