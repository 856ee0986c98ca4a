//! Round trips, bytes and thinking time of the three flows, measured on the pure pair.

use super::{
    ground::Ground,
    pair::{PureLock, PurePhone, Sample, VirtualTime, press},
    table::{Bar, Row, percentile},
};
use crate::{failure::Failure, lock_host::LockFolder, organization::DoorWish};

/// The phones enrolled at the crowded lock.
const CROWD: usize = 64;

const FAST_DOOR: &str = "Fast";
const SLOW_DOOR: &str = "Slow";

/// Round trips and bytes. Each key is for one door, so that its document is as short as the bar's.
pub(super) async fn flows() -> Result<Vec<Row>, Failure> {
    let ground = Ground::lay(vec![DoorWish::named(FAST_DOOR)]).await?;
    let [first, fast] = two_presses(&ground, FAST_DOOR).await?;
    ground.service.stop().await?;
    let ground = Ground::lay(vec![slow_door()]).await?;
    let [_, known] = two_presses(&ground, SLOW_DOOR).await?;
    ground.service.stop().await?;
    let row = |what: &str, sample: &Sample, trips: f64, bytes: f64| {
        let metrics = &sample.outcome.metrics;
        let all = f64::from(metrics.bytes_sent + metrics.bytes_received);
        [
            Row::new(format!("{what}: round trips to the verdict"), f64::from(metrics.round_trips), "")
                .bar(Bar::Exactly(trips)),
            Row::new(format!("{what}: bytes, BLE messages both ways"), all, "B").bar(Bar::AtMost(bytes)),
        ]
    };
    let rows = [
        row("fast", &fast, 1.0, 480.0),
        row("known key", &known, 2.0, 830.0),
        row("first opening", &first, 3.0, 1_430.0),
    ];
    Ok(rows.into_iter().flatten().collect())
}

async fn two_presses(ground: &Ground, door: &str) -> Result<[Sample; 2], Failure> {
    let mut phones = ground.phones(1).await?;
    let phone = phones.first_mut().ok_or_else(no_phone)?;
    let mut time = VirtualTime::default();
    let mut lock = lock(ground, door, time)?;
    let first = opened(press(phone, &mut lock, ground.door(0)?, &mut time)?)?;
    Ok([first, opened(press(phone, &mut lock, ground.door(0)?, &mut time)?)?])
}

/// Thinking time.
pub(super) async fn times(presses: u32) -> Result<Vec<Row>, Failure> {
    let ground = ground().await?;
    let mut phones = ground.phones(CROWD).await?;
    let (one, crowd) = phones.split_first_mut().ok_or_else(no_phone)?;
    let mut time = VirtualTime::default();

    let mut first = Vec::new();
    for _ in 0..presses.div_ceil(4) {
        let mut lock = lock(&ground, FAST_DOOR, time)?;
        one.forget_fast();
        first.push(opened(press(one, &mut lock, ground.door(0)?, &mut time)?)?);
    }
    let mut slow = lock(&ground, SLOW_DOOR, time)?;
    opened(press(one, &mut slow, ground.door(1)?, &mut time)?)?;
    let known = repeat(presses, one, &mut slow, &ground, 1, &mut time)?;

    let mut lock = lock(&ground, FAST_DOOR, time)?;
    one.forget_fast();
    opened(press(one, &mut lock, ground.door(0)?, &mut time)?)?;
    let alone = repeat(presses, one, &mut lock, &ground, 0, &mut time)?;
    for phone in crowd.iter_mut() {
        opened(press(phone, &mut lock, ground.door(0)?, &mut time)?)?;
    }
    let mut crowded = Vec::new();
    for phone in crowd.iter_mut().chain([&mut *one]) {
        crowded.push(opened(press(phone, &mut lock, ground.door(0)?, &mut time)?)?);
    }
    let all_fast = crowded.iter().all(|s| s.outcome.metrics.fast && s.outcome.metrics.round_trips == 1);
    ground.service.stop().await?;

    let phone = |samples: &[Sample]| median(samples, |sample| sample.phone.as_secs_f64() * 1e6);
    let lock = |samples: &[Sample]| median(samples, |sample| sample.lock.as_secs_f64() * 1e6);
    let (alone_us, crowded_us) = (lock(&alone), lock(&crowded));
    Ok(vec![
        Row::new("phone CPU, standard with certificate, first opening", phone(&first), "us").bar(Bar::AtMost(300.0)),
        Row::new("phone CPU, standard with certificate, known key", phone(&known), "us").bar(Bar::AtMost(300.0)),
        Row::new("phone CPU, fast", phone(&alone), "us").bar(Bar::AtMost(80.0)),
        Row::new("lock CPU, first opening", lock(&first), "us"),
        Row::new("lock CPU, known key", lock(&known), "us"),
        Row::new("lock CPU, fast, 1 phone enrolled", alone_us, "us"),
        Row::new(format!("lock CPU, fast, {CROWD} phones enrolled"), crowded_us, "us"),
        Row::new(format!("lock CPU, fast, {CROWD} phones to 1"), crowded_us / alone_us, "x").bar(Bar::AtMost(2.0)),
        Row::new(format!("fast with 1 round trip for each of {CROWD} phones (1: yes)"), f64::from(all_fast), "")
            .bar(Bar::Exactly(1.0)),
    ])
}

fn repeat(
    presses: u32,
    phone: &mut PurePhone,
    lock: &mut PureLock,
    ground: &Ground,
    door: usize,
    time: &mut VirtualTime,
) -> Result<Vec<Sample>, Failure> {
    (0..presses).map(|_| opened(press(phone, lock, ground.door(door)?, time)?)).collect()
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    percentile(&mut samples.iter().map(of).collect::<Vec<_>>(), 0.5)
}

async fn ground() -> Result<Ground, Failure> {
    Ground::lay(vec![DoorWish::named(FAST_DOOR), slow_door()]).await
}

fn slow_door() -> DoorWish {
    DoorWish { fast: false, ..DoorWish::named(SLOW_DOOR) }
}

fn lock(ground: &Ground, door: &str, time: VirtualTime) -> Result<PureLock, Failure> {
    PureLock::new(&LockFolder::new(ground.folder(door)?), time.moment())
}

fn opened(sample: Sample) -> Result<Sample, Failure> {
    let outcome = &sample.outcome.outcome;
    if outcome.name() == "opened" {
        return Ok(sample);
    }
    let reason = outcome.code().map_or("", |code| code.entry().name);
    Err(Failure::new(
        "bench-failed",
        format_args!("a press of the bench ended {}: {reason}", outcome.name()),
        "Report this as a defect.",
    ))
}

fn no_phone() -> Failure {
    Failure::new("bench-failed", "the bench has no phone", "Report this as a defect.")
}
