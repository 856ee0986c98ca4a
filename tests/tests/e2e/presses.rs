//! The ordinary day: the first press, every later one, a phone that is started anew.

use keybutton::PressOptions;
use keybutton_protocol::api::ButtonState;

use crate::world::{World, opened, outcome_of, phases, press, press_and_settle, press_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_press_downloads_and_the_next_is_fast_even_after_a_restart_without_the_service() {
    let mut world = World::new().await;
    let door = world.door("Front", 0.0).await;
    let group = world.group("Members", &[&door]).await;
    let member = world.member("Ann", &[]).await;
    let ann = world.phone("Ann").await;
    ann.sign_in(world.organization.token("Ann").unwrap()).await.unwrap();
    world.organization.grant(&member, &group).await.unwrap();

    let first = press_and_settle(&ann, &door).await;
    let report = opened(&first);
    assert_eq!(report.open_time_ds, 5);
    assert!(!report.replayed);
    assert!(first.metrics.downloaded && !first.metrics.fast);
    assert_eq!(first.metrics.round_trips, 3, "AUTH0, AUTH1, documents");
    assert_eq!(first.door.as_ref(), Some(&door.id));
    let seen = phases(&first);
    for phase in ["checking-access", "downloading-key", "searching", "connecting", "proving", "opening"] {
        assert!(seen.contains(phase), "{seen:?}");
    }
    assert_eq!(ann.keys().key_button(), ButtonState::Visible);

    let second = press_and_settle(&ann, &door).await;
    opened(&second);
    assert!(second.metrics.fast && !second.metrics.downloaded);
    assert_eq!(second.metrics.round_trips, 1);
    assert!(second.metrics.bytes_sent + second.metrics.bytes_received < first.metrics.bytes_sent);

    drop(ann);
    world.left("Ann").await;
    world.stop_service().await;
    let ann = world.phone("Ann").await;
    assert_eq!(ann.keys().key_button(), ButtonState::Visible, "the last answer of the service stands");
    assert_eq!(ann.door("front").await.unwrap().id, door.id);
    let third = press(&ann, &door).await;
    opened(&third);
    assert!(third.metrics.fast && third.metrics.round_trips == 1, "{:?}", third.metrics);
    let fourth = press_with(&ann, PressOptions::default()).await;
    opened(&fourth);
    assert_eq!(fourth.door.as_ref(), Some(&door.id), "the only door in range");
    assert!(ann.refresh().await.is_err(), "the service was not needed for any of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_one_door_gets_in() {
    let (world, door, group, ann) = World::with_ann().await;
    let mut phones = vec![ann];
    for name in ["Ben", "Cid", "Dan", "Eve"] {
        world.member(name, &[&group]).await;
        phones.push(world.signed_in(name).await);
    }
    // The lock takes two links at once. First nobody is known to it, then everybody.
    for fast in [false, true] {
        let pressing: Vec<_> = phones.iter().map(|phone| phone.press(door.options()).unwrap()).collect();
        for pressing in pressing {
            let outcome = outcome_of(pressing).await;
            assert!(!opened(&outcome).replayed);
            assert_eq!(outcome.metrics.fast, fast);
        }
    }
    assert_eq!(door.lock().view().verdicts, 10);
    world.no_links().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_member_on_the_same_phone_starts_from_nothing() {
    let (world, door, group, ann) = World::with_ann().await;
    opened(&press_and_settle(&ann, &door).await);
    world.member("Ben", &[&group]).await;

    world.sign_in(&ann, "Ben").await;
    let outcome = press(&ann, &door).await;
    opened(&outcome);
    assert!(!outcome.metrics.fast, "what the lock shares with Ann's key is gone with it");
    ann.keys().sign_out().unwrap();
    assert_eq!(ann.press(door.options()).unwrap_err().code, "not-signed-in");
    assert!(ann.keys().doors().is_empty());
}
