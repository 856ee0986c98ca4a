//! What happens between phones and locks.

use std::pin::Pin;

use keybutton::{Outcome, PressOutcome};
use keybutton_desktop::lock_host::Command;

use crate::{
    gpio, leaks,
    world::{Door, World, opened, patiently, power, reach, refused},
};

type Scenario = for<'a> fn(&'a mut World) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// All scenarios, in their order.
pub const ALL: [(&str, Scenario); 10] = [
    ("first_press_and_fast_press", |world| Box::pin(first_and_fast(world))),
    ("two_locks_side_by_side", |world| Box::pin(two_locks(world))),
    ("refusal_by_the_lock", |world| Box::pin(refusal(world))),
    ("two_phones_at_once_at_two_doors", |world| Box::pin(two_phones(world))),
    ("link_cut_at_each_step", |world| Box::pin(link_cut(world))),
    ("lock_out_of_range", |world| Box::pin(out_of_range(world))),
    ("phone_with_its_bluetooth_off", |world| Box::pin(bluetooth_off(world))),
    ("bolt_light_and_sensors_on_gpio_lines", |world| Box::pin(gpio::real_lines(world))),
    ("many_presses_without_a_leak", |world| Box::pin(leaks::many_presses(world))),
    ("revoked_member", |world| Box::pin(revoked(world))),
];

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
    for round in 0..3 {
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

/// Each at a door of their own: the virtual controllers can't hold two links to one of them (see README.md).
async fn two_phones(world: &mut World) {
    let before = (world.front.openings().await, world.back.openings().await);
    let (ann, bob) = tokio::join!(world.ann.press(&world.front), world.bob.press(&world.back));
    opened(&ann);
    opened(&bob);
    assert_eq!((world.front.openings().await, world.back.openings().await), (before.0 + 1, before.1 + 1));
}

/// Wherever the link ends, the phone says so once, never calls an opening a refusal, and the next press opens.
async fn link_cut(world: &mut World) {
    for step in ["connecting", "proving", "opening"] {
        let before = world.front.openings().await;
        let mut pressing = world.ann.phone.press(world.front.press_options()).unwrap();
        let settled = pressing.press().settled().clone();
        let early = reach(&mut pressing, step).await;
        power(world.front.adapter, false);
        let outcome = match early {
            Some(outcome) => outcome,
            None => {
                // The lock is gone for good as far as this press is concerned.
                pressing.press().cancel();
                patiently(pressing.outcome()).await.unwrap()
            }
        };
        patiently(settled.done()).await;
        let moved = world.front.openings().await - before;
        println!("cut when {step}: {} {:?}, bolt moved {moved} times", outcome.outcome.name(), outcome.outcome.code());
        assert!(moved == 0 || !matches!(outcome.outcome, Outcome::Refused(_)), "an opening is no refusal: {outcome:?}");
        power(world.front.adapter, true);
        opened(&world.ann.press(&world.front).await);
    }
}

async fn out_of_range(world: &mut World) {
    world.back.power_cut();
    let mut options = world.back.press_options();
    options.deadline = std::time::Duration::from_secs(8);
    refused(&world.ann.press_with(options).await, "lock-not-found");
    world.back.power_up().await;
    opened(&world.ann.press(&world.back).await);
}

async fn bluetooth_off(world: &mut World) {
    power(world.ann.adapter, false);
    let outcome = world.ann.press(&world.front).await;
    refused(&outcome, "bluetooth-off");
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
