//! Presses over real Bluetooth, beside what a bare program needs on the same adapters in the same run.
//!
//! The floor is a program that does with the same library what cannot be left out: listen until the peripheral is
//! heard, connect, discover, subscribe, write one value, wait for the notification that answers it. It begins where a
//! press begins, and takes turns with the presses, so that whatever slows the machine down slows both.

mod floor;
mod judge;

use std::{sync::Arc, time::Duration};

use keybutton::{
    outcome::PressOutcome,
    press::PressOptions,
    radio::btleplug::{BtleplugRadio, LinkSteps},
};
use keybutton_protocol::api::DoorId;
use tokio::time::{Instant, sleep_until};

use self::{
    floor::{Floor, Peer},
    judge::{Rounds, Sample, Samples},
};
use super::{budget::Budget, table::BenchReport};
use crate::{failure::Failure, phone::Phone};

/// What is measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BluetoothOptions {
    /// The phone's adapter; `None` is the first one.
    pub adapter: Option<String>,
    /// How many presses of each kind.
    pub presses: u32,
}

/// At which door.
#[derive(Debug)]
pub enum At<'a> {
    /// At a lock of the bench's own, on this adapter of the same computer.
    OwnLock(String),
    /// At a door that is there, with a phone that opens it, on the radio that the phone uses.
    Door(&'a Phone, Arc<BtleplugRadio>, DoorId),
}

/// Long enough for a stack that takes seconds to drop each link before.
const DEADLINE: Duration = Duration::from_secs(60);

/// The pause after each link's end: the lock has to advertise again, and the radio to come to rest.
const REST: Duration = Duration::from_secs(1);

/// The pause is longer by up to this, at random: else every search would begin at the same point of the lock's
/// advertising interval (100 to 150 ms), and one kind would always be lucky.
const JITTER: Duration = Duration::from_millis(150);

/// How long a phone counts a lock that it heard as being in range: a press within that time begins without a search.
const REMEMBERED: Duration = Duration::from_secs(6);

/// How often a link is looked at that is being dropped.
const LOOK: Duration = Duration::from_millis(50);

/// Measures; `tell` hears of each round as it begins.
pub async fn measure(
    options: &BluetoothOptions,
    at: At<'_>,
    mut tell: impl FnMut(&str),
) -> Result<BenchReport, Failure> {
    match at {
        At::OwnLock(lock_adapter) => own::measure(options, &lock_adapter, &mut tell).await,
        At::Door(phone, radio, door) => {
            let bench = Bench { radio, floor: None, peer: Peer::Lock, door, budget: Budget::default(), pressed: None };
            at_door(bench, phone, options.presses, &mut tell).await
        }
    }
}

/// Presses at a door that is there: with one phone there is one first opening at most, so that fast presses only are
/// measured. The floor writes what a phone writes first and waits for what the lock answers.
async fn at_door(
    mut bench: Bench,
    phone: &Phone,
    presses: u32,
    tell: &mut dyn FnMut(&str),
) -> Result<BenchReport, Failure> {
    tell("meeting the lock");
    bench.press_again(phone).await?.opened()?;
    let mut samples = Samples::default();
    for round in 0..presses {
        tell(&format!("round {} of {presses}", round + 1));
        bench.round(round, Press::Fast(phone), &mut samples.fast).await?;
    }
    Ok(BenchReport::new(judge::judge(&samples, "the lock's answer to a phone's first message")))
}

/// What presses.
#[derive(Clone, Copy)]
enum Press<'a> {
    /// The phone that has pressed before.
    Fast(&'a Phone),
    /// A phone that has met no lock.
    First(&'a Phone),
}

/// A press, and the steps of its link.
struct Pressed {
    outcome: PressOutcome,
    steps: LinkSteps,
}

struct Bench {
    radio: Arc<BtleplugRadio>,
    /// Open once the first press has found the lock.
    floor: Option<Floor>,
    peer: Peer,
    door: DoorId,
    budget: Budget,
    /// When the phone that presses again did so last.
    pressed: Option<Instant>,
}

impl Bench {
    /// Presses, and waits until the link is gone.
    async fn press(&mut self, phone: &Phone) -> Result<Pressed, Failure> {
        self.budget.wait().await;
        let options = PressOptions { deadline: DEADLINE, ..PressOptions::door(self.door.clone()) };
        let mut pressing = phone.press(options)?;
        let outcome = pressing.outcome().await?;
        pressing.press().settled().done().await;
        let steps = self.radio.last_link_steps().ok_or_else(|| bench_failed("a press had no link"))?;
        let floor = match &mut self.floor {
            Some(floor) => floor,
            None => self.floor.insert(Floor::open(self.radio.adapter(), self.peer).await?),
        };
        floor.rest(&steps.peripheral).await?;
        Ok(Pressed { outcome, steps })
    }

    /// Presses with the phone that has pressed before, once it has forgotten that it heard the lock then.
    async fn press_again(&mut self, phone: &Phone) -> Result<Pressed, Failure> {
        if let Some(pressed) = self.pressed {
            sleep_until(pressed + REMEMBERED).await;
        }
        let result = self.press(phone).await;
        self.pressed = Some(Instant::now());
        result
    }

    /// One press, and the floor once. What came before may leave traces in the stack, so they go first in turn.
    async fn round(&mut self, number: u32, press: Press<'_>, rounds: &mut Rounds) -> Result<(), Failure> {
        let floor_first = number.is_multiple_of(2);
        if floor_first {
            self.floor(rounds).await?;
        }
        rounds.presses.push(match press {
            Press::Fast(phone) => self.press_again(phone).await?.is(1)?,
            Press::First(phone) => {
                self.radio.forget_peripherals();
                self.press(phone).await?.is(3)?
            }
        });
        if !floor_first {
            self.floor(rounds).await?;
        }
        Ok(())
    }

    /// Does once what a bare program does.
    async fn floor(&mut self, rounds: &mut Rounds) -> Result<(), Failure> {
        let (Some(floor), Some(steps)) = (&mut self.floor, self.radio.last_link_steps()) else {
            return Err(bench_failed("the lock is not known yet"));
        };
        let found = floor.once(&steps.peripheral).await?;
        rounds.floor.push(found.sample);
        rounds.round_trips.extend(found.round_trips);
        Ok(())
    }
}

impl Pressed {
    /// Checks that the door opened.
    fn opened(&self) -> Result<(), Failure> {
        let outcome = &self.outcome.outcome;
        match outcome.code() {
            None => Ok(()),
            Some(code) => Err(bench_failed(&format!("a press ended {} ({})", outcome.name(), code.entry().name))),
        }
    }

    /// The sample, if the press was what it should have been.
    fn is(self, round_trips: u32) -> Result<Sample, Failure> {
        self.opened()?;
        let metrics = &self.outcome.metrics;
        if metrics.round_trips != round_trips || metrics.links != 1 {
            return Err(bench_failed(&format!(
                "a press took {} round trips instead of {round_trips}, on {} links",
                metrics.round_trips, metrics.links
            )));
        }
        let phase = |name: &str| {
            let all = metrics.phases.iter().filter(|time| time.phase == name).map(|time| time.micros).sum();
            Duration::from_micros(all)
        };
        let (total, search, link) = (Duration::from_micros(metrics.total_us), phase("searching"), phase("connecting"));
        Ok(Sample {
            search,
            connect: self.steps.connect,
            discover: self.steps.discover,
            subscribe: self.steps.subscribe,
            transaction: total.saturating_sub(search + link),
            total,
        })
    }
}

#[cfg(target_os = "linux")]
mod own {
    use super::*;
    use crate::{
        bench::ground::Ground,
        bluetooth::{Echo, open_btleplug},
        lock_host::{LockOptions, VirtualLock},
        organization::DoorWish,
    };

    const DOOR: &str = "Bench door";

    /// Sets up a lock of its own with an echo beside it, and as many phones as there are first openings.
    pub(super) async fn measure(
        options: &BluetoothOptions,
        lock_adapter: &str,
        tell: &mut dyn FnMut(&str),
    ) -> Result<BenchReport, Failure> {
        tell("setting up the service and the lock");
        let ground = Ground::lay(vec![DoorWish::named(DOOR)]).await?;
        let _echo = Echo::start(lock_adapter).await?;
        let folder = ground.folder(DOOR)?;
        let lock = VirtualLock::start(LockOptions::bluetooth(folder, Some(lock_adapter.to_owned()), DOOR)).await?;
        let radio = open_btleplug(options.adapter.as_deref()).await?;
        if radio.adapter() == lock_adapter {
            return Err(Failure::new(
                "same-adapter",
                format_args!("lock and phone can't both use {lock_adapter}"),
                "Name two adapters: the lock's as --lock-adapter, the phone's as --adapter.",
            ));
        }
        let mut phones = Vec::new();
        for number in 0..=options.presses {
            tell(&format!("enrolling phone {} of {}", number + 1, options.presses + 1));
            phones.push(phone(&ground, radio.clone(), &format!("Member {number}")).await?);
        }
        let door = ground.door(0)?.clone();
        let mut bench = Bench { radio, floor: None, peer: Peer::Echo, door, budget: Budget::default(), pressed: None };
        let samples = rounds(&mut bench, &phones, tell).await?;
        drop(phones);
        drop(lock);
        ground.service.stop().await?;
        Ok(BenchReport::new(judge::judge(&samples, "an echo beside the lock")))
    }

    /// The first phone warms everything up; each other one opens for the first time. Then the first one presses again
    /// and again.
    async fn rounds(bench: &mut Bench, phones: &[Phone], tell: &mut dyn FnMut(&str)) -> Result<Samples, Failure> {
        let (warm, strangers) = phones.split_first().ok_or_else(|| bench_failed("it has no phone"))?;
        tell("warming up");
        bench.press(warm).await?.opened()?;
        bench.floor(&mut Rounds::default()).await?;
        let mut samples = Samples::default();
        for (round, stranger) in (0..).zip(strangers) {
            tell(&format!("first opening {} of {}", round + 1, strangers.len()));
            bench.round(round, Press::First(stranger), &mut samples.first).await?;
        }
        bench.press_again(warm).await?.opened()?;
        for round in (0..).take(strangers.len()) {
            tell(&format!("fast press {} of {}", round + 1, strangers.len()));
            bench.round(round, Press::Fast(warm), &mut samples.fast).await?;
        }
        Ok(samples)
    }

    async fn phone(ground: &Ground, radio: Arc<BtleplugRadio>, name: &str) -> Result<Phone, Failure> {
        ground.member(name).await?;
        let (service, app) = (ground.service.url().to_owned(), ground.organization.app().clone());
        let phone = Phone::with_radio(radio, &ground.state.phone(name)?, name.to_owned(), service, app)?;
        phone.sign_in(ground.organization.token(name)?).await?;
        // A press asks the service while it searches. Here the service would answer on the phone's own processor, which
        // it never does at a door: presses use what was downloaded.
        phone.set_online(false);
        Ok(phone)
    }
}

#[cfg(not(target_os = "linux"))]
mod own {
    use super::*;

    /// A lock by Bluetooth needs BlueZ.
    pub(super) async fn measure(
        _: &BluetoothOptions,
        _: &str,
        _: &mut dyn FnMut(&str),
    ) -> Result<BenchReport, Failure> {
        Err(crate::bluetooth::not_built())
    }
}

fn bench_failed(why: &str) -> Failure {
    Failure::new(
        "bench-failed",
        format_args!("the bench failed: {why}"),
        "Look at `keybutton doctor --bluetooth`, see that nobody else uses the adapters, and start it again.",
    )
}
