//! A door's bolt, lights, buzzer and sensors on real lines: the kernel's GPIO character device, with the chip played
//! from here.

mod chip;

use std::time::Duration;

use keybutton_desktop::lock_host::{Fittings, LockEvent, Part, VirtualLock, Wire, Wiring};
use keybutton_lock::env::BoltEvent;
use tokio::sync::broadcast;

use self::chip::Chip;
use crate::world::{World, opened, patiently};

const BOLT: u8 = 0;
const GREEN: u8 = 1;
const RED: u8 = 2;
const BUZZER: u8 = 3;
const BOLT_SENSOR: u8 = 4;
const DOOR_CONTACT: u8 = 5;

/// How long the bolt may take; long enough for a chip behind two layers of drivers under emulation.
const BOLT_TIME: Duration = Duration::from_secs(5);

/// The buzzer's line is on while it is low; all others while they are high.
fn fittings(bolt_time: Duration) -> Fittings {
    let wire =
        |part, line: u8| Wire { part, line: line.to_string().parse().unwrap(), active_low: line == BUZZER, pull: None };
    let wires = vec![
        wire(Part::Bolt, BOLT),
        wire(Part::Green, GREEN),
        wire(Part::Red, RED),
        wire(Part::Buzzer, BUZZER),
        wire(Part::BoltSensor, BOLT_SENSOR),
        wire(Part::DoorContact, DOOR_CONTACT),
    ];
    Fittings::Gpio(Wiring { chip: Some("gpiochip0".into()), wires, bolt_time })
}

/// A press moves a relay, lights a lamp and sounds a buzzer; sensors have the last word on bolt and door.
pub async fn real_lines(world: &mut World) {
    world.front.power_cut();
    let mut options = world.front.options();
    options.fittings = fittings(BOLT_TIME);
    let missing = VirtualLock::start(options.clone()).await.unwrap_err();
    assert_eq!(missing.code, "no-gpio-chip", "{missing}");

    let chip = Chip::plug_in();
    patiently(async {
        while !std::path::Path::new("/dev/gpiochip0").exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // A bolt that stays where it was last driven, and a door that is closed.
    chip.follow(Some((BOLT, BOLT_SENSOR)));
    chip.set(BOLT_SENSOR, true);
    chip.set(DOOR_CONTACT, true);
    world.front.refit(options.fittings.clone()).await;
    assert_eq!([BOLT, GREEN, RED, BUZZER].map(|line| chip.level(line)), [false, false, false, true], "all is off");
    let busy = VirtualLock::start(options.clone()).await.unwrap_err();
    assert_eq!(busy.code, "gpio-line-busy", "{busy}");
    assert!(busy.message.contains("keybutton lock"), "{busy}");

    chip.take_changes();
    let before = world.front.openings().await;
    opened(&world.ann.press(&world.front).await);
    assert_eq!(world.front.openings().await, before + 1);
    patiently(world.front.lock().wait_for(|view| view.tone_hz == 0)).await.unwrap();
    let changes = chip.take_changes();
    let of = |line: u8| changes.iter().filter(|(which, _)| *which == line).map(|(_, on)| *on).collect::<Vec<_>>();
    assert_eq!(of(BOLT), [true, false], "{changes:?}");
    assert_eq!(of(GREEN).first(), Some(&true), "{changes:?}");
    assert_eq!(of(BUZZER).first(), Some(&false), "{changes:?}");

    // A bolt that no longer comes when it is called, and then moves by itself: somebody has a key.
    chip.follow(None);
    world.front.refit(fittings(Duration::from_millis(300))).await;
    let mut events = world.front.lock().events();
    opened(&world.ann.press(&world.front).await);
    heard(&mut events, BoltEvent::Jammed).await;
    heard(&mut events, BoltEvent::Secured).await;
    chip.set(BOLT_SENSOR, false);
    heard(&mut events, BoltEvent::Withdrawn).await;
    chip.set(BOLT_SENSOR, true);
    heard(&mut events, BoltEvent::Secured).await;

    // A door that is found open is said so, with red light and noise.
    world.front.power_cut();
    chip.set(DOOR_CONTACT, false);
    chip.follow(Some((BOLT, BOLT_SENSOR)));
    chip.take_changes();
    world.front.refit(fittings(BOLT_TIME)).await;
    patiently(chip.changed(RED, true)).await;
    patiently(chip.changed(BUZZER, false)).await;

    // Whatever was on is off once the lock has stopped.
    world.front.power_cut();
    assert_eq!([BOLT, GREEN, RED, BUZZER].map(|line| chip.level(line)), [false, false, false, true]);

    world.front.refit(Fittings::Screen).await;
}

async fn heard(events: &mut broadcast::Receiver<LockEvent>, wanted: BoltEvent) {
    patiently(async { while events.recv().await.unwrap() != LockEvent::Bolt(wanted) {} }).await;
}
