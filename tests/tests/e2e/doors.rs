//! Two doors side by side: never the wrong one.

use std::time::Duration;

use keybutton::{Phase, PressOptions, radio::air::Position};
use keybutton_protocol::api::DoorId;

use crate::world::{Door, World, opened, outcome_of, press_with, reach, refused_by_phone};

/// Two doors 5 m apart that Ann opens.
async fn two_doors() -> (World, Door, Door, keybutton_desktop::phone::Phone) {
    let world = World::new().await;
    let near = world.door("Near", 0.0).await;
    let far = world.door("Far", 5.0).await;
    let group = world.group("Members", &[&near, &far]).await;
    world.member("Ann", &[&group]).await;
    let ann = world.signed_in("Ann").await;
    (world, near, far, ann)
}

async fn stand(world: &World, x: f32) {
    world.air.move_to("Ann", Position { x, y: 0.0 }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chosen_door_opens_however_near_the_other_one_is() {
    let (world, near, far, ann) = two_doors().await;
    stand(&world, 0.2).await;
    for round in 1..=3 {
        let outcome = press_with(&ann, far.options()).await;
        opened(&outcome);
        assert_eq!(outcome.door.as_ref(), Some(&far.id));
        assert_eq!((far.openings().await, near.lock().view().verdicts), (round, 0));
    }
    world.no_links().await;
    let links = world.air.take_links().await.unwrap();
    assert!(links.iter().all(|link| link.lock == "Far"), "nothing was sent to the other lock: {links:?}");

    for round in 1..=3 {
        stand(&world, 4.8).await;
        let outcome = press_with(&ann, near.options()).await;
        opened(&outcome);
        assert_eq!((near.openings().await, far.lock().view().verdicts), (round, 3));
    }
    // Without a choice it is the one that is nearer by a clear distance.
    let outcome = press_with(&ann, PressOptions::default()).await;
    opened(&outcome);
    assert_eq!(outcome.door.as_ref(), Some(&far.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_doors_too_close_to_call_are_a_question() {
    let (world, near, far, ann) = two_doors().await;
    stand(&world, 2.5).await;
    for wanted in [&far, &near] {
        let before = (near.openings().await, far.openings().await);
        let mut pressing = ann.press(PressOptions::default()).unwrap();
        let Phase::Choose(candidates) = reach(&mut pressing, "choose").await else { panic!() };
        let mut doors: Vec<DoorId> = candidates.into_iter().filter_map(|candidate| candidate.door).collect();
        doors.sort();
        let mut both = vec![near.id.clone(), far.id.clone()];
        both.sort();
        assert_eq!(doors, both);
        // What is not on offer is no answer.
        pressing.press().choose(DoorId("elsewhere".into()));
        pressing.press().choose(wanted.id.clone());
        let outcome = outcome_of(pressing).await;
        opened(&outcome);
        assert_eq!(outcome.door.as_ref(), Some(&wanted.id));
        let other = if wanted.id == near.id { (1, 0) } else { (0, 1) };
        assert_eq!((near.openings().await, far.openings().await), (before.0 + other.0, before.1 + other.1));
    }
    // Nobody answers.
    let before = (near.lock().view().verdicts, far.lock().view().verdicts);
    let options = PressOptions { deadline: Duration::from_secs(4), ..PressOptions::default() };
    refused_by_phone(&press_with(&ann, options).await, "door-not-chosen");
    assert_eq!((near.lock().view().verdicts, far.lock().view().verdicts), before);
}
