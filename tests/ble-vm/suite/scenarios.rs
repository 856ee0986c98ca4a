//! What happens between phones and locks.

use std::pin::Pin;

use keybutton::{Outcome, PressOutcome};
use keybutton_desktop::lock_host::Command;

use crate::{
    behaviour,
    bluez::power,
    cuts, gpio, harness, leaks, peers, services,
    world::{Door, World, opened, patiently, refused},
};

type Play = dyn for<'a> Fn(&'a mut World) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What happens, and where it can.
pub struct Scenario {
    pub name: String,
    pub play: Box<Play>,
    /// Whether it needs the air to do its part, as only bumble's does.
    pub needs_air: bool,
    /// Why it can't be shown here, if it can't.
    pub left_out: Option<&'static str>,
}

fn anywhere(
    name: &str,
    play: impl for<'a> Fn(&'a mut World) -> Pin<Box<dyn Future<Output = ()> + 'a>> + 'static,
) -> Scenario {
    Scenario { name: name.to_owned(), play: Box::new(play), needs_air: false, left_out: None }
}

pub fn on_air(
    name: &str,
    play: impl for<'a> Fn(&'a mut World) -> Pin<Box<dyn Future<Output = ()> + 'a>> + 'static,
) -> Scenario {
    Scenario { needs_air: true, ..anywhere(name, play) }
}

/// All scenarios, in their order.
pub fn all() -> Vec<Scenario> {
    let mut all = vec![
        anywhere("first_press_and_fast_press", |world| Box::pin(first_and_fast(world))),
        anywhere("two_locks_side_by_side", |world| Box::pin(two_locks(world))),
        anywhere("refusal_by_the_lock", |world| Box::pin(refusal(world))),
        anywhere("two_phones_at_once_at_two_doors", |world| Box::pin(two_doors(world))),
        anywhere("services_are_remembered_until_they_move", |world| {
            Box::pin(services::remembered_until_they_move(world))
        }),
        on_air("two_phones_at_once_at_one_door", |world| Box::pin(one_door(world))),
        on_air("link_cut_at_each_value", |world| Box::pin(cuts::each_value(world))),
        on_air("independent_phone_at_our_lock", |world| Box::pin(peers::their_phone(world))),
        on_air("our_phone_at_independent_lock", |world| Box::pin(peers::their_lock(world))),
        on_air("lock_out_of_range", |world| Box::pin(cuts::out_of_range(world))),
        anywhere("doctor_sniff_and_bench_at_a_door", |world| Box::pin(harness::at_a_door(world))),
        anywhere("phone_with_its_bluetooth_off", |world| Box::pin(bluetooth_off(world))),
        anywhere("bolt_light_and_sensors_on_gpio_lines", |world| Box::pin(gpio::real_lines(world))),
        anywhere("many_presses_without_a_leak", |world| Box::pin(leaks::many_presses(world))),
        anywhere("revoked_member", |world| Box::pin(revoked(world))),
    ];
    // Last, for they do not leave the doors in range.
    all.extend(behaviour::scenarios());
    all
}

async fn first_and_fast(world: &mut World) {
    let before = world.front.openings().await;
    let first = world.ann.press(&world.front).await;
    opened(&first);
    assert!(!first.metrics.fast, "they meet for the first time");
    let second = world.ann.press(&world.front).await;
    opened(&second);
    assert!(second.metrics.fast, "they have met: {:?}", second.metrics);
    assert_eq!(world.front.openings().await, before + 2);
    println!("first {}", times(&first));
    println!("fast  {}", times(&second));
}

/// Whichever door is named, it opens, and never the other one.
async fn two_locks(world: &mut World) {
    for round in 0..2 {
        let (named, other) = if round % 2 == 0 { (&world.back, &world.front) } else { (&world.front, &world.back) };
        let before = (named.openings().await, other.openings().await);
        opened(&world.ann.press(named).await);
        assert_eq!((named.openings().await, other.openings().await), (before.0 + 1, before.1), "{}", named.name);
    }
}

async fn refusal(world: &mut World) {
    let before = world.front.openings().await;
    world.front.lock().command(Command::Privacy(true));
    let outcome = world.ann.press(&world.front).await;
    refused(&outcome, "privacy");
    assert!(outcome.outcome.lock_report().is_some(), "the lock itself said so");
    world.front.lock().command(Command::Privacy(false));
    opened(&world.ann.press(&world.front).await);
    assert_eq!(world.front.openings().await, before + 1);
}

async fn two_doors(world: &mut World) {
    let before = (world.front.openings().await, world.back.openings().await);
    let (ann, bob) = tokio::join!(world.ann.press(&world.front), world.bob.press(&world.back));
    opened(&ann);
    opened(&bob);
    assert_eq!((world.front.openings().await, world.back.openings().await), (before.0 + 1, before.1 + 1));
}

/// The lock talks to one after the other; the other one waits and is not refused.
async fn one_door(world: &mut World) {
    let before = world.front.openings().await;
    let (ann, bob) = tokio::join!(world.ann.press(&world.front), world.bob.press(&world.front));
    opened(&ann);
    opened(&bob);
    assert_eq!(world.front.openings().await, before + 2);
    println!("one  {}\nother {}", times(&ann), times(&bob));
}

async fn bluetooth_off(world: &mut World) {
    // Linux 6.1 crashes when an adapter goes off whose links are in use.
    world.ann.unlinked().await;
    power(world.ann.adapter, false);
    let outcome = world.ann.press(&world.front).await;
    refused(&outcome, "bluetooth-off");
    harness::doctor_finds_it_off(world.ann.adapter).await;
    power(world.ann.adapter, true);
    opened(&press_once_on(world, &world.front).await);
}

/// Presses until the phone knows that its adapter is on again.
async fn press_once_on(world: &World, door: &Door) -> PressOutcome {
    patiently(async {
        loop {
            let outcome = world.ann.press(door).await;
            if outcome.outcome.code().is_none_or(|code| code.as_str() != "bluetooth-off") {
                return outcome;
            }
        }
    })
    .await
}

async fn revoked(world: &mut World) {
    opened(&world.bob.press(&world.front).await);
    let before = world.front.openings().await;
    world.organization.take(&world.bob.id, &world.group).await.unwrap();
    let outcome = world.bob.press(&world.front).await;
    assert!(matches!(outcome.outcome, Outcome::Refused(_)), "{outcome:?}");
    assert_eq!(world.front.openings().await, before);
    opened(&world.ann.press(&world.front).await);
}

fn times(outcome: &PressOutcome) -> String {
    let phases: Vec<String> =
        outcome.metrics.phases.iter().map(|time| format!("{} {} ms", time.phase, time.micros / 1_000)).collect();
    format!("{} ms: {}", outcome.metrics.total_us / 1_000, phases.join(", "))
}
