use super::*;

const T: UnixTime = UnixTime(1_893_491_100);
const DAY: u32 = 86_400;

fn device(n: u8) -> TimeSource {
    TimeSource::Device(CredentialId([n; 16]))
}

fn later(seconds: u32) -> UnixTime {
    UnixTime(T.0 + seconds)
}

fn earlier(seconds: u32) -> UnixTime {
    UnixTime(T.0 - seconds)
}

fn secs(seconds: u64) -> Uptime {
    Uptime::from_secs(seconds)
}

fn running() -> LockClock {
    let mut clock = LockClock::start(earlier(DAY), None, secs(0));
    clock.offer(T, device(1), secs(0));
    clock.offer(T, device(2), secs(1));
    assert_eq!(clock.state(secs(1)), ClockState::Running);
    clock
}

#[test]
fn starts_unknown_with_the_bound_certain() {
    let clock = LockClock::start(T, None, secs(0));
    assert_eq!(clock.state(secs(5)), ClockState::Unknown);
    assert_eq!(clock.now(secs(5)), None);
    assert_eq!(clock.not_before(secs(5)), T);
}

#[test]
fn first_input_makes_a_lower_bound_of_the_greater_time() {
    let mut clock = LockClock::start(T, None, secs(0));
    assert_eq!(clock.offer(earlier(500), device(1), secs(1)), Effect::Raised);
    assert_eq!((clock.state(secs(1)), clock.now(secs(1))), (ClockState::LowerBound, Some(T)));
    let mut clock = LockClock::start(T, None, secs(0));
    assert_eq!(clock.offer(later(500), device(1), secs(1)), Effect::Stepped(500));
    assert_eq!(clock.now(secs(1)), Some(later(500)));
}

#[test]
fn l_time_back_changes_nothing() {
    let mut clock = running();
    let now = clock.now(secs(2));
    assert_eq!(clock.offer(earlier(50), device(3), secs(2)), Effect::None);
    assert_eq!(clock.now(secs(2)), now);
    assert_eq!(clock.state(secs(2)), ClockState::Running);
}

#[test]
fn l_time_jump_waits_for_a_second_key() {
    let mut clock = running();
    let now = clock.now(secs(10));
    assert_eq!(clock.offer(later(40 * DAY), device(1), secs(10)), Effect::Pending);
    assert_eq!(clock.offer(later(40 * DAY), device(1), secs(11)), Effect::Pending, "the same key again");
    assert_eq!(clock.now(secs(10)), now);
    assert_eq!(clock.offer(later(40 * DAY + 7_300), device(2), secs(12)), Effect::Pending, "disagrees");
    assert!(matches!(clock.offer(later(40 * DAY + 7_400), device(3), secs(13)), Effect::Stepped(_)));
    assert_eq!(clock.now(secs(13)), Some(later(40 * DAY + 7_301)), "the earlier of the two");
}

#[test]
fn a_pending_jump_ends_after_a_day() {
    let mut clock = running();
    clock.offer(later(40 * DAY), device(1), secs(10));
    assert_eq!(clock.offer(later(41 * DAY), device(2), secs(11 + u64::from(DAY))), Effect::Pending);
}

#[test]
fn thirty_one_days_are_within_the_limit() {
    let mut clock = LockClock::start(T, None, secs(0));
    assert_eq!(clock.offer(later(31 * DAY), device(1), secs(0)), Effect::Stepped(31 * DAY));
    let mut clock = LockClock::start(T, None, secs(0));
    assert_eq!(clock.offer(later(31 * DAY + 1), device(1), secs(0)), Effect::Pending);
    assert_eq!(clock.state(secs(0)), ClockState::Unknown);
}

#[test]
fn two_keys_start_the_clock_only_when_they_agree_in_time() {
    let start = || {
        let mut clock = LockClock::start(earlier(DAY), None, secs(0));
        clock.offer(T, device(1), secs(0));
        clock
    };
    let mut same_key = start();
    same_key.offer(later(5), device(1), secs(5));
    assert_eq!(same_key.state(secs(5)), ClockState::LowerBound);
    let mut too_late = start();
    too_late.offer(later(600), device(2), secs(600));
    assert_eq!(too_late.state(secs(600)), ClockState::LowerBound);
    let mut too_far = start();
    too_far.offer(later(611), device(2), secs(10));
    assert_eq!(too_far.state(secs(10)), ClockState::LowerBound);
    let mut agreeing = start();
    assert_eq!(agreeing.offer(later(610), device(2), secs(10)), Effect::Stepped(601));
    assert_eq!(agreeing.state(secs(10)), ClockState::Running);
    let mut slightly_behind = start();
    assert_eq!(slightly_behind.offer(earlier(60), device(2), secs(10)), Effect::Raised);
    assert_eq!(slightly_behind.state(secs(10)), ClockState::Running);
}

#[test]
fn old_times_start_nothing_however_well_they_agree() {
    let mut clock = LockClock::start(later(0), None, secs(0));
    for n in 0..4 {
        clock.offer(earlier(3_600), device(n), secs(1));
    }
    assert_eq!(clock.state(secs(2)), ClockState::LowerBound);
    clock.offer(later(60), device(1), secs(3));
    clock.offer(earlier(3_600), device(2), secs(4));
    assert_eq!(clock.state(secs(5)), ClockState::LowerBound);
    clock.offer(later(70), device(2), secs(6));
    assert_eq!(clock.state(secs(7)), ClockState::Running);
}

#[test]
fn a_running_clock_steps_only_over_five_minutes() {
    let mut clock = running();
    let now = clock.now(secs(1)).unwrap();
    assert_eq!(clock.offer(UnixTime(now.0 + 300), device(1), secs(1)), Effect::None);
    assert_eq!(clock.offer(UnixTime(now.0 + 301), device(1), secs(1)), Effect::Stepped(301));
}

#[test]
fn counts_slow_and_falls_back_after_sixty_days() {
    let clock = running();
    let day = secs(1 + u64::from(DAY));
    assert_eq!(clock.now(day), Some(later(DAY - 9)));
    let limit = secs(1) + HOLDOVER;
    assert_eq!(clock.state(limit), ClockState::Running);
    assert_eq!(clock.state(limit + Duration::from_secs(1)), ClockState::LowerBound);
    assert!(clock.now(limit + Duration::from_secs(1)).is_some());
}

#[test]
fn persists_hourly_and_at_large_steps() {
    let mut clock = LockClock::start(T, None, secs(0));
    assert_eq!(clock.due(secs(100_000)), None, "unknown clocks persist nothing");
    clock.offer(later(10), device(1), secs(0));
    assert_eq!(clock.due(secs(0)), None);
    assert_eq!(clock.due(secs(3_599)), Some(later(3_608)));
    clock.offer(later(7_200), device(2), secs(0));
    assert_eq!(clock.due(secs(0)), Some(later(7_200)));
    clock.set_persisted(later(7_200));
    assert_eq!(clock.due(secs(0)), None);
}

#[test]
fn maintenance_alone_moves_it_back() {
    let mut clock = running();
    assert!(matches!(clock.offer(earlier(DAY * 3), TimeSource::Maintenance, secs(2)), Effect::Stepped(_)));
    assert_eq!((clock.state(secs(2)), clock.now(secs(2))), (ClockState::Confirmed, Some(earlier(DAY * 3))));
}

#[test]
fn a_retained_reading_goes_on_unless_it_is_below_the_bound() {
    let retained = RetainedClock { now: later(60), state: ClockState::Confirmed };
    assert_eq!(LockClock::start(T, Some(retained), secs(0)).now(secs(0)), Some(later(60)));
    assert_eq!(LockClock::start(later(61), Some(retained), secs(0)).state(secs(0)), ClockState::Unknown);
}

proptest::proptest! {
    #[test]
    fn never_goes_back(inputs in proptest::collection::vec((0u32..=u32::MAX, 0u8..4, 0u64..200_000), 1..60)) {
        let mut clock = LockClock::start(T, None, secs(0));
        let (mut up, mut last) = (0, T);
        for (time, key, pause) in inputs {
            up += pause;
            clock.offer(UnixTime(time), device(key), secs(up));
            let reading = clock.not_before(secs(up));
            proptest::prop_assert!(reading >= last);
            last = reading;
        }
    }
}
