//! Bad air: every fifth packet lost, the smallest packets there are, a hundred presses.

use keybutton::radio::air::Knobs;

use crate::world::{World, opened, patiently, press, press_and_settle, quick};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_presses_on_bad_air_fail_and_leak_nothing() {
    const PRESSES: usize = 100;
    let (world, door, _group, ann) = World::with_ann().await;
    let bad = Knobs { loss: 0.2, mtu: 23, ..quick() };
    world.air.set_knobs("Ann", bad).await.unwrap();
    let first = press_and_settle(&ann, &door).await;
    opened(&first);
    assert!(first.metrics.packets_sent > 40, "{:?}", first.metrics);
    world.no_links().await;
    world.links().await;
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();

    let mut links = 0;
    for _ in 1..PRESSES {
        let outcome = press(&ann, &door).await;
        opened(&outcome);
        links += usize::try_from(outcome.metrics.links).unwrap();
    }
    let last = press_and_settle(&ann, &door).await;
    opened(&last);
    assert!(last.metrics.fast);
    links += usize::try_from(last.metrics.links).unwrap();

    world.no_links().await;
    assert_eq!(world.links().await, links, "each link that was tried was reported, and is gone");
    assert_eq!(door.lock().view().verdicts, u32::try_from(PRESSES + 1).unwrap());
    // What is left running: the service's connections that are kept open, and nothing for each press.
    patiently(async {
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > tasks + 8 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let presses = world.presses().await;
    assert_eq!(presses.len(), 100, "a page of the newest");
    assert!(presses.iter().all(|press| press.outcome == "opened"));
}
