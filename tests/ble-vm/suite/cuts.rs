//! Links that end before their time, and locks that go out of range.

use keybutton::Outcome;

use crate::{
    air::Air,
    world::{Door, Member, World, opened, patiently, refused, settle},
};

/// Wherever the link ends, the phone says once what it knows: never that a door stayed shut which opened, nor the other
/// way round. A repeat under the same press id moves the bolt no second time, and neither does a press that finds the
/// lock again by itself.
pub async fn each_value(world: &mut World) {
    opened(&world.ann.press(&world.front).await);
    until_opened(world.air.as_ref().unwrap(), &world.ann, &world.front).await;
}

/// Cuts at each value up to the verdict; the two have met.
pub async fn until_opened(air: &Air, member: &Member, door: &Door) {
    let mut in_doubt = 0;
    for after in 0.. {
        let (outcome, moved) = lost(air, member, door, after).await;
        println!("cut after {after} values: {}, bolt moved {moved} times", outcome.name());
        match outcome {
            // From here on the link is of no importance.
            Outcome::Opened(_) => break,
            Outcome::Refused(_) => {}
            Outcome::Unconfirmed(_) => in_doubt += moved,
        }
        back_in_time(air, member, door, after).await;
    }
    assert!(in_doubt > 0, "no cut came between the bolt and its news");
}

/// The lock stays away after so many values, until the phone has given up. Returns what it said then, and how often the
/// bolt had moved.
async fn lost(air: &Air, member: &Member, door: &Door, after: u64) -> (Outcome, u32) {
    let before = door.openings().await;
    air.cut_after(door.adapter, after).await;
    let mut pressing = member.phone.press(door.press_options()).unwrap();
    let id = pressing.press().id();
    let lost = async {
        air.out_of_range(door.adapter).await;
        air.unlinked(member.adapter).await;
    };
    let early = patiently(async {
        tokio::select! {
            outcome = pressing.outcome() => Some(outcome.unwrap()),
            () = lost => None,
        }
    })
    .await;
    let outcome = match early {
        Some(outcome) => outcome,
        None => {
            pressing.press().cancel();
            settle(pressing).await
        }
    };
    patiently(air.out_of_range(door.adapter)).await;
    let moved = door.openings().await - before;
    air.set_heard(door.adapter, true).await;
    match &outcome.outcome {
        Outcome::Opened(_) => assert_eq!(moved, 1),
        Outcome::Refused(_) => {
            assert_eq!(moved, 0);
            opened(&member.press(door).await);
        }
        Outcome::Unconfirmed(_) => {
            let repeated = settle(member.phone.retry(id).unwrap()).await;
            assert_eq!(repeated.press, id);
            opened(&repeated);
        }
    }
    assert_eq!(door.openings().await, before + 1, "cut after {after}: {outcome:?}");
    (outcome.outcome, moved)
}

/// The lock is back as soon as the phone has noticed.
async fn back_in_time(air: &Air, member: &Member, door: &Door, after: u64) {
    let before = door.openings().await;
    air.cut_after(door.adapter, after).await;
    let back = async {
        air.out_of_range(door.adapter).await;
        air.unlinked(member.adapter).await;
        air.set_heard(door.adapter, true).await;
    };
    let press = member.press(door);
    tokio::pin!(press);
    tokio::select! {
        outcome = &mut press => panic!("it ended before the cut: {outcome:?}"),
        () = patiently(back) => {}
    }
    opened(&press.await);
    assert_eq!(door.openings().await, before + 1, "cut after {after}, and back");
}

pub async fn out_of_range(world: &mut World) {
    let air = world.air.as_ref().unwrap();
    air.set_heard(world.back.adapter, false).await;
    let mut options = world.back.press_options();
    options.deadline = std::time::Duration::from_secs(8);
    refused(&world.ann.press_with(options).await, "lock-not-found");
    air.set_heard(world.back.adapter, true).await;
    opened(&world.ann.press(&world.back).await);
}
