//! From the press to the verdict, on the air.

use std::fs;

use keybutton::radio::air::{AirControl, Broker, BrokerOptions, Participant};
use keybutton_protocol::api::DoorId;

use super::{
    ground::Ground,
    table::{Bar, Row, percentile},
};
use crate::{
    failure::Failure,
    lock_host::{LockFolder, LockOptions, VirtualLock},
    organization::DoorWish,
    phone::{Phone, PhoneOptions},
};

const FAST_DOOR: &str = "Fast";
const SLOW_DOOR: &str = "Slow";
const MEMBER: &str = "Ann";

/// Times of one flow, milliseconds.
#[derive(Default)]
struct Times {
    total: Vec<f64>,
    air: Vec<f64>,
    own: Vec<f64>,
}

/// Measures the three flows.
pub(super) async fn times(presses: u32, seed: u64) -> Result<Vec<Row>, Failure> {
    let slow = DoorWish { fast: false, ..DoorWish::named(SLOW_DOOR) };
    let ground = Ground::lay(vec![DoorWish::named(FAST_DOOR), slow]).await?;
    let broker = Broker::listen(([127, 0, 0, 1], 0).into(), BrokerOptions { seed }).await?;
    let air = AirControl::join(broker.endpoint()).await?;
    ground.member(MEMBER).await?;
    let phone = Phone::start(PhoneOptions {
        folder: ground.state.phone(MEMBER)?,
        endpoint: broker.endpoint().clone(),
        participant: Participant::named(MEMBER).at(2.0, 0.0),
        service: ground.service.url().to_owned(),
        app: ground.organization.app().clone(),
    })
    .await?;
    phone.sign_in(ground.organization.token(MEMBER)?).await?;

    let bench = Bench { ground: &ground, broker: &broker, air: &air, phone: &phone };
    let first = bench.first_openings(presses.div_ceil(3)).await?;
    let known = bench.known_keys(presses.div_ceil(3)).await?;
    let fast = bench.fast(presses).await?;
    drop(phone);
    ground.service.stop().await?;
    let mut rows = Vec::new();
    rows.extend(figures("fast", fast, Some(300.0)));
    rows.extend(figures("known key", known, None));
    rows.extend(figures("first opening, key downloaded before", first, Some(600.0)));
    Ok(rows)
}

struct Bench<'a> {
    ground: &'a Ground,
    broker: &'a Broker,
    air: &'a AirControl,
    phone: &'a Phone,
}

impl Bench<'_> {
    /// The lock has never met the phone: its store is emptied before each press.
    async fn first_openings(&self, presses: u32) -> Result<Times, Failure> {
        let mut times = Times::default();
        for number in 0..presses {
            let store = LockFolder::new(self.ground.folder(FAST_DOOR)?).store();
            fs::remove_file(&store).or_else(ignore_missing).map_err(|error| Failure::file(&store, &error))?;
            let _lock = self.lock(FAST_DOOR, &format!("{FAST_DOOR} {number}")).await?;
            self.press(self.ground.door(0)?, 3, &mut times).await?;
        }
        Ok(times)
    }

    /// The lock knows the key, and does not do the fast phase. A restart between presses forgets its signing budget.
    async fn known_keys(&self, presses: u32) -> Result<Times, Failure> {
        let door = self.ground.door(1)?;
        let mut times = Times::default();
        for number in 0..=presses {
            let _lock = self.lock(SLOW_DOOR, &format!("{SLOW_DOOR} {number}")).await?;
            match number {
                0 => self.press(door, 3, &mut Times::default()).await?,
                _ => self.press(door, 2, &mut times).await?,
            }
        }
        Ok(times)
    }

    async fn fast(&self, presses: u32) -> Result<Times, Failure> {
        let door = self.ground.door(0)?;
        let _lock = self.lock(FAST_DOOR, FAST_DOOR).await?;
        let mut times = Times::default();
        for _ in 0..presses {
            self.press(door, 1, &mut times).await?;
        }
        Ok(times)
    }

    async fn lock(&self, door: &str, name: &str) -> Result<VirtualLock, Failure> {
        VirtualLock::start(LockOptions::new(self.ground.folder(door)?, self.broker.endpoint().clone(), name)).await
    }

    async fn press(&self, door: &DoorId, round_trips: u32, times: &mut Times) -> Result<(), Failure> {
        self.air.take_links().await?;
        let outcome = self.phone.press_door(door).await?;
        // At once, before the link moves more values for the lock's own sake.
        let links = self.air.take_links().await?;
        let metrics = &outcome.metrics;
        if outcome.outcome.name() != "opened" || metrics.round_trips != round_trips {
            return Err(Failure::new(
                "bench-failed",
                format_args!(
                    "a press ended {} {} after {} round trips instead of {round_trips}",
                    outcome.outcome.name(),
                    outcome.outcome.code().map_or("", |code| code.entry().name),
                    metrics.round_trips
                ),
                "Report this as a defect.",
            ));
        }
        let searching: u64 = metrics.phases.iter().filter(|(name, _)| *name == "searching").map(|(_, us)| us).sum();
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

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
