//! From the press to the verdict, on the air.

use keybutton::{
    press::PressOptions,
    radio::air::{AirControl, Broker, BrokerOptions, Participant},
};
use keybutton_protocol::api::DoorId;

use super::{
    budget::Budget,
    ground::Ground,
    table::{Bar, Found, Plot, Row, Series, Sum, percentile},
};
use crate::{
    failure::Failure,
    lock_host::{LockOptions, VirtualLock},
    organization::DoorWish,
    phone::{Phone, PhoneOptions},
};

const FAST_DOOR: &str = "Fast";
const SLOW_DOOR: &str = "Slow";

/// Times of one flow, milliseconds.
#[derive(Default)]
struct Times {
    total: Vec<f64>,
    air: Vec<f64>,
    own: Vec<f64>,
}

/// Measures the three flows.
pub(super) async fn times(presses: u32, seed: u64) -> Result<Found, Failure> {
    let slow = DoorWish { fast: false, ..DoorWish::named(SLOW_DOOR) };
    let ground = Ground::lay(vec![DoorWish::named(FAST_DOOR), slow]).await?;
    let broker = Broker::listen(([127, 0, 0, 1], 0).into(), BrokerOptions { seed }).await?;
    let air = AirControl::join(broker.endpoint()).await?;
    let bench = Bench { ground: &ground, broker: &broker, air: &air };
    let strangers = presses.div_ceil(3);
    let phones = bench.phones(strangers).await?;
    let phone = phones.first().ok_or_else(|| bench_failed("it has no phone"))?;

    let fast_lock = bench.lock(FAST_DOOR).await?;
    let first = bench.first_openings(&phones).await?;
    let fast = bench.fast(phone, presses).await?;
    drop(fast_lock);
    let slow_lock = bench.lock(SLOW_DOOR).await?;
    let known = bench.known_keys(phone, presses.div_ceil(3)).await?;
    drop(slow_lock);
    drop(phones);
    ground.service.stop().await?;
    let plots = pictures(&[("fast", &fast), ("known key", &known), ("first opening", &first)]);
    let mut rows = Vec::new();
    rows.extend(figures("fast", fast, Some(300.0)));
    rows.extend(figures("known key", known, None));
    rows.extend(figures("first opening, key downloaded before", first, Some(600.0)));
    Ok(Found { rows, plots })
}

struct Bench<'a> {
    ground: &'a Ground,
    broker: &'a Broker,
    air: &'a AirControl,
}

impl Bench<'_> {
    /// Phones that hold their keys and have met no lock.
    async fn phones(&self, count: u32) -> Result<Vec<Phone>, Failure> {
        let mut phones = Vec::new();
        for number in 0..count {
            let name = format!("Member {number}");
            self.ground.member(&name).await?;
            let phone = Phone::start(PhoneOptions {
                folder: self.ground.state.phone(&name)?,
                endpoint: self.broker.endpoint().clone(),
                participant: Participant::named(&name).at(2.0, 0.0),
                service: self.ground.service.url().to_owned(),
                app: self.ground.organization.app().clone(),
            })
            .await?;
            phone.sign_in(self.ground.organization.token(&name)?).await?;
            phones.push(phone);
        }
        Ok(phones)
    }

    /// Each phone opens for the first time.
    async fn first_openings(&self, phones: &[Phone]) -> Result<Times, Failure> {
        let mut times = Times::default();
        let mut budget = Budget::default();
        for phone in phones {
            budget.wait().await;
            self.press(phone, self.ground.door(0)?, 3, &mut times).await?;
        }
        Ok(times)
    }

    /// The lock knows the key and does not do the fast phase.
    async fn known_keys(&self, phone: &Phone, presses: u32) -> Result<Times, Failure> {
        let door = self.ground.door(1)?;
        let mut budget = Budget::default();
        let mut times = Times::default();
        self.press(phone, door, 3, &mut Times::default()).await?;
        for _ in 0..presses {
            budget.wait().await;
            self.press(phone, door, 2, &mut times).await?;
        }
        Ok(times)
    }

    async fn fast(&self, phone: &Phone, presses: u32) -> Result<Times, Failure> {
        let mut times = Times::default();
        for _ in 0..presses {
            self.press(phone, self.ground.door(0)?, 1, &mut times).await?;
        }
        Ok(times)
    }

    async fn lock(&self, door: &str) -> Result<VirtualLock, Failure> {
        VirtualLock::start(LockOptions::new(self.ground.folder(door)?, self.broker.endpoint().clone(), door)).await
    }

    async fn press(&self, phone: &Phone, door: &DoorId, round_trips: u32, times: &mut Times) -> Result<(), Failure> {
        self.air.take_links().await?;
        let mut pressing = phone.press(PressOptions::door(door.clone()))?;
        let outcome = pressing.outcome().await?;
        // At once, before the link moves more values for the lock's own sake.
        let links = self.air.take_links().await?;
        pressing.press().settled().done().await;
        let metrics = &outcome.metrics;
        if outcome.outcome.name() != "opened" || metrics.round_trips != round_trips {
            let (name, code) = (outcome.outcome.name(), outcome.outcome.code().map_or("", |code| code.entry().name));
            return Err(bench_failed(&format!(
                "a press ended {name} {code} after {} round trips instead of {round_trips}",
                metrics.round_trips
            )));
        }
        let phases = metrics.phases.iter();
        let searching: u64 = phases.filter(|time| time.phase == "searching").map(|time| time.micros).sum();
        let on_links: u64 = links.iter().filter(|link| !link.ended).map(|link| link.setup_us + link.in_flight_us).sum();
        let air = (searching + on_links).min(metrics.total_us);
        times.total.push(metrics.total_us as f64 / 1e3);
        times.air.push(air as f64 / 1e3);
        times.own.push((metrics.total_us - air) as f64 / 1e3);
        Ok(())
    }
}

fn figures(what: &str, mut times: Times, bar: Option<f64>) -> [Row; 4] {
    let p50 = Row::new(format!("{what}: p50"), percentile(&mut times.total, 0.5), "ms");
    let count = times.total.len();
    [
        match bar {
            Some(bar) => p50.bar(Bar::AtMost(bar)),
            None => p50,
        }
        .note(format!("{count} presses")),
        Row::new(format!("{what}: p95"), percentile(&mut times.total, 0.95), "ms"),
        Row::new(format!("{what}: of it on the air, p50"), percentile(&mut times.air, 0.5), "ms")
            .note("search, link set-up, values on their way"),
        Row::new(format!("{what}: our own time, p50"), percentile(&mut times.own, 0.5), "ms")
            .note("phone, lock and its store on disk"),
    ]
}

fn pictures(flows: &[(&str, &Times)]) -> Vec<Plot> {
    let series = |(what, times): &(&str, &Times)| Series { what: (*what).to_owned(), samples: times.total.clone() };
    let sum = |(what, times): &(&str, &Times)| Sum {
        what: (*what).to_owned(),
        parts: vec![
            ("on the air", percentile(&mut times.air.clone(), 0.5)),
            ("phone and lock", percentile(&mut times.own.clone(), 0.5)),
        ],
    };
    vec![
        Plot::Spread {
            title: "From press to verdict, simulated air".to_owned(),
            unit: "ms",
            series: flows.iter().map(series).collect(),
        },
        Plot::Parts {
            title: "Where the time goes, medians".to_owned(),
            unit: "ms",
            sums: flows.iter().map(sum).collect(),
        },
    ]
}

fn bench_failed(why: &str) -> Failure {
    Failure::new("bench-failed", format_args!("the bench failed: {why}"), "Report this as a defect.")
}
