use super::*;

const NOW: u32 = 1_780_000_000; // Thursday, 28 May 2026, 20:26:40 UTC
const HORIZON: u32 = NOW + 48 * 3600;
const GOOD: Standing = Standing { module_enabled: true, active: true, confirmed: true };
const DOOR: DoorFacts = DoorFacts { unlock_method: UnlockMethod::BrandedApp, locked_down: false, vendor: false };

fn grant(from: u32, until: u32) -> Grant {
    Grant {
        group: AccessGroupId("grp_1".into()),
        from,
        until,
        schedule: None,
        restrictions: Restrictions::default(),
        whole_site: false,
    }
}

fn scheduled(json: &str) -> Grant {
    Grant { schedule: Some(serde_json::from_str(json).unwrap()), ..grant(0, OPEN_END) }
}

fn decide_at(now: u32, grants: &[Grant]) -> Access {
    decide(GOOD, DOOR, grants, Some(DeviceFacts { primary: true }), &TimeZone::UTC, now, now + 48 * 3600)
}

fn until(access: &Access) -> Option<u32> {
    match access {
        Access::Allow { until, .. } => Some(*until),
        Access::Refuse(_) => None,
    }
}

#[test]
fn no_group_no_permission() {
    assert_eq!(decide_at(NOW, &[]), Access::Refuse(AccessRefusal::NoPermission));
}

#[test]
fn windows_are_start_inclusive_and_end_exclusive() {
    let grants = [grant(NOW, NOW + 100)];
    assert_eq!(decide_at(NOW - 1, &grants), Access::Refuse(AccessRefusal::NotYetValid));
    assert_eq!(until(&decide_at(NOW, &grants)), Some(NOW + 100));
    assert_eq!(until(&decide_at(NOW + 99, &grants)), Some(NOW + 100));
    assert_eq!(decide_at(NOW + 100, &grants), Access::Refuse(AccessRefusal::Expired));
}

#[test]
fn groups_are_a_union_in_time() {
    let grants = [grant(NOW - 50, NOW + 100), grant(NOW + 100, NOW + 300)];
    assert_eq!(until(&decide_at(NOW, &grants)), Some(NOW + 100));
    let overlapping = [grant(NOW - 50, NOW + 100), grant(NOW - 10, NOW + 300)];
    assert_eq!(until(&decide_at(NOW, &overlapping)), Some(NOW + 300));
}

#[test]
fn an_open_answer_ends_at_the_horizon() {
    assert_eq!(until(&decide_at(NOW, &[grant(0, OPEN_END)])), Some(HORIZON));
}

#[test]
fn restrictions_of_one_group_do_not_bind_another() {
    let mut primary = grant(0, OPEN_END);
    primary.restrictions.primary_device_only = true;
    let second = Some(DeviceFacts { primary: false });
    let alone = decide(GOOD, DOOR, std::slice::from_ref(&primary), second, &TimeZone::UTC, NOW, HORIZON);
    assert_eq!(alone, Access::Refuse(AccessRefusal::PrimaryDeviceOnly));
    let both = decide(GOOD, DOOR, &[primary, grant(0, NOW + 10)], second, &TimeZone::UTC, NOW, HORIZON);
    assert_eq!(until(&both), Some(NOW + 10));
}

#[test]
fn restrictions_inside_a_group_all_bind() {
    let mut both = scheduled(r#"{"weekly":[{"days":["fri"],"from":"00:00","until":"24:00"}]}"#);
    both.restrictions.primary_device_only = true;
    let second = Some(DeviceFacts { primary: false });
    let thursday = decide(GOOD, DOOR, std::slice::from_ref(&both), second, &TimeZone::UTC, NOW, HORIZON);
    assert_eq!(thursday, Access::Refuse(AccessRefusal::OutsideSchedule));
    let friday = decide(GOOD, DOOR, &[both], second, &TimeZone::UTC, NOW + 86_400, HORIZON + 86_400);
    assert_eq!(friday, Access::Refuse(AccessRefusal::PrimaryDeviceOnly));
}

#[test]
fn the_nearest_refusal_is_named() {
    let closed = scheduled(r#"{"weekly":[{"days":["mon"],"from":"08:00","until":"18:00"}]}"#);
    assert_eq!(
        decide_at(NOW, &[grant(0, 10), closed, grant(NOW + 9, OPEN_END)]),
        Access::Refuse(AccessRefusal::OutsideSchedule)
    );
}

#[test]
fn door_and_standing_bind_everybody() {
    let grants = [grant(0, OPEN_END)];
    let with = |standing, door| decide(standing, door, &grants, None, &TimeZone::UTC, NOW, HORIZON);
    let refuse = Access::Refuse;
    assert_eq!(with(Standing { module_enabled: false, ..GOOD }, DOOR), refuse(AccessRefusal::ModuleDisabled));
    assert_eq!(with(Standing { active: false, ..GOOD }, DOOR), refuse(AccessRefusal::MemberSuspended));
    assert_eq!(with(Standing { confirmed: false, ..GOOD }, DOOR), refuse(AccessRefusal::UserNotConfirmed));
    assert_eq!(with(GOOD, DoorFacts { locked_down: true, ..DOOR }), refuse(AccessRefusal::LockedDown));
    let native = DoorFacts { unlock_method: UnlockMethod::NativeMethods, ..DOOR };
    assert_eq!(with(GOOD, native), refuse(AccessRefusal::UnlockMethodNative));
    assert_eq!(with(Standing { confirmed: false, ..GOOD }, native), refuse(AccessRefusal::UnlockMethodNative));
}

#[test]
fn schedules_are_read_in_the_sites_zone() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let evening = scheduled(r#"{"weekly":[{"days":["thu"],"from":"22:00","until":"23:00"}]}"#);
    let here = decide(GOOD, DOOR, std::slice::from_ref(&evening), None, &berlin, NOW, HORIZON);
    // 20:26:40 UTC is 22:26:40 in Berlin.
    assert_eq!(until(&here), Some(NOW + 2000));
    assert_eq!(decide_at(NOW, &[evening]), Access::Refuse(AccessRefusal::OutsideSchedule));
}

#[test]
fn hidden_reasons_come_in_a_fixed_order() {
    let branded = [UnlockMethod::BrandedApp, UnlockMethod::NativeMethods];
    assert_eq!(hidden(GOOD, true, &branded), None);
    assert_eq!(hidden(GOOD, true, &[]), None);
    assert_eq!(hidden(GOOD, false, &branded), Some(HiddenReason::NoAccessGroup));
    assert_eq!(hidden(GOOD, true, &branded[1..]), Some(HiddenReason::UnlockMethodNative));
    assert_eq!(hidden(Standing { confirmed: false, ..GOOD }, true, &branded), Some(HiddenReason::UserNotConfirmed));
    let bad = Standing { module_enabled: false, active: false, confirmed: false };
    assert_eq!(hidden(bad, false, &[]), Some(HiddenReason::ModuleDisabled));
    assert_eq!(hidden(Standing { module_enabled: true, ..bad }, false, &[]), Some(HiddenReason::MemberSuspended));
}

#[test]
fn what_nobody_enforces_at_a_vendors_door_refuses() {
    let vendor = DoorFacts { vendor: true, ..DOOR };
    let decide_for = |door, restrictions| {
        let grant = Grant { restrictions, ..grant(0, OPEN_END) };
        decide(GOOD, door, &[grant], None, &TimeZone::UTC, NOW, HORIZON).decision()
    };
    let cases = [
        (Restrictions { tap_only: true, ..Restrictions::default() }, AccessRefusal::TapOnly),
        (
            Restrictions { geofence: Some(Geofence { radius_m: 300 }), ..Restrictions::default() },
            AccessRefusal::Geofence,
        ),
        (Restrictions { proximity_required: true, ..Restrictions::default() }, AccessRefusal::ProximityRequired),
        (Restrictions { use_limit: Some(3), ..Restrictions::default() }, AccessRefusal::UseLimit),
    ];
    for (restrictions, reason) in cases {
        assert_eq!(decide_for(vendor, restrictions.clone()), Decision::Refuse { reason });
        assert!(matches!(decide_for(DOOR, restrictions), Decision::Allow { .. }), "a lock of ours sees to it");
    }
    assert!(matches!(decide_for(vendor, Restrictions::default()), Decision::Allow { .. }));
}
