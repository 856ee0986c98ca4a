//! Doors that are closed now: by their hours, by a use limit, by a lockdown.

use std::time::Duration;

use keybutton::PressOptions;
use keybutton_desktop::lock_host::{Command, LockEvent};
use keybutton_lock::{Lockdown, env::BoltEvent, feedback::Signal};
use keybutton_service::operator::ChangeDoor;
use serde_json::{Value, json};

use crate::world::{
    World, now, opened, patiently, press, press_and_settle, press_with, refused_by_lock, refused_by_phone,
};

/// Half an hour around noon of the day that is 30 hours ahead: closed now, and open within the life of a key.
fn tomorrow_noon() -> Value {
    // The first day of 1970 was a Thursday.
    let day = ((now() + 30 * 3600) / 86_400 + 3) % 7;
    let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][usize::try_from(day).unwrap()];
    json!({ "schedule": { "weekly": [{ "days": [day], "from": "12:00", "until": "12:30" }] } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_door_is_refused_by_the_lock_or_on_the_way_to_it() {
    let world = World::new().await;
    let front = world.door("Front", 0.0).await;
    let server = world.door("Server", 2.0).await;
    let always = world.group("Members", &[&front]).await;
    let later = world.special_group("Later", &[&server], tomorrow_noon()).await;
    world.member("Ann", &[&always, &later]).await;
    let ann = world.signed_in("Ann").await;

    // The lock can say so itself, with its red light.
    refused_by_lock(&press_and_settle(&ann, &server).await, "outside-schedule");
    opened(&press_and_settle(&ann, &front).await);
    // Without a network nobody but key and lock decide.
    ann.set_online(false);
    refused_by_lock(&press_and_settle(&ann, &server).await, "outside-schedule");
    assert_eq!(server.openings().await, 0);
    // Where the lock is out of range the service's word has to do.
    ann.set_online(true);
    world.air.set_radio(&server.name, false).await.unwrap();
    let options = PressOptions { deadline: Duration::from_secs(3), ..server.options() };
    refused_by_phone(&press_with(&ann, options).await, "outside-schedule");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_use_limit_is_counted_by_the_lock() {
    let world = World::new().await;
    let door = world.door("Front", 0.0).await;
    let group = world.special_group("Trial", &[&door], json!({ "restrictions": { "use_limit": 2 } })).await;
    world.member("Ann", &[&group]).await;
    let ann = world.signed_in("Ann").await;
    for used in 1..=2 {
        opened(&press_and_settle(&ann, &door).await);
        assert_eq!(door.openings().await, used);
    }
    // The lock counts by itself, also for a phone that asks nobody.
    ann.set_online(false);
    refused_by_lock(&press_and_settle(&ann, &door).await, "use-limit");
    // A download brings the same limit, not a new one, and the service has heard of both uses.
    ann.set_online(true);
    ann.refresh().await.unwrap();
    refused_by_phone(&press_and_settle(&ann, &door).await, "use-limit");
    assert_eq!(door.openings().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hand_at_the_lock_decides_counts() {
    let (_world, door, _group, ann) = World::with_ann().await;
    opened(&press_and_settle(&ann, &door).await);
    assert_eq!(door.openings().await, 1);
    let hindrances = [
        (Command::Privacy(true), Command::Privacy(false), "privacy"),
        (Command::Lockdown(Lockdown::Door), Command::Lockdown(Lockdown::Off), "locked-down"),
    ];
    for (hinder, lift, code) in hindrances {
        door.lock().command(hinder);
        refused_by_lock(&press_and_settle(&ann, &door).await, code);
        door.lock().command(lift);
        let before = door.openings().await;
        opened(&press_and_settle(&ann, &door).await);
        assert_eq!(door.openings().await, before + 1);
    }
    // The verdict is the lock's decision, which moves the bolt: a jam shows at the lock, and to the next press.
    door.lock().command(Command::Jam(true));
    let mut events = door.lock().events();
    opened(&press_and_settle(&ann, &door).await);
    patiently(async { while events.recv().await.unwrap() != LockEvent::Bolt(BoltEvent::Jammed) {} }).await;
    let shown = door.lock().wait_for(|view| view.answer.is_some_and(|answer| answer.signal == Signal::Fault));
    patiently(shown).await.unwrap();
    refused_by_lock(&press_and_settle(&ann, &door).await, "hardware");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lockdown_binds_everybody_and_can_be_lifted() {
    let (world, door, _group, ann) = World::with_ann().await;
    let other = world.door("Back", 3.0).await;
    let both = world.group("Both", &[&door, &other]).await;
    for name in ["Ben", "Cid"] {
        world.member(name, &[&both]).await;
    }
    let (ben, cid) = (world.signed_in("Ben").await, world.signed_in("Cid").await);
    opened(&press_and_settle(&ann, &door).await);
    opened(&press_and_settle(&cid, &door).await);
    cid.set_online(false);
    let path = format!("doors/{}", door.id);
    let change = |on| ChangeDoor { locked_down: Some(on), ..ChangeDoor::default() };
    world.patch(&path, &change(true)).await;
    let before = door.openings().await;

    world.air.set_radio(&door.name, false).await.unwrap();
    refused_by_phone(&press(&ann, &door).await, "locked-down");
    world.air.set_radio(&door.name, true).await.unwrap();
    // Ben's phone has a newer key, which leaves the door out; on its way to the lock it carries the revocations there.
    ben.refresh().await.unwrap();
    let refused = press_and_settle(&ben, &door).await;
    assert_eq!(refused.outcome.name(), "refused");
    assert!(refused.outcome.lock_report().is_some(), "{refused:?}");
    refused_by_lock(&press_and_settle(&cid, &door).await, "revoked");
    assert_eq!(door.openings().await, before);
    opened(&press_and_settle(&ben, &other).await);

    world.patch(&path, &change(false)).await;
    cid.set_online(true);
    for phone in [&ann, &ben, &cid] {
        phone.refresh().await.unwrap();
        opened(&press_and_settle(phone, &door).await);
    }
}
