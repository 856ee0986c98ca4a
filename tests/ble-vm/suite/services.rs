//! What a phone remembers of a lock's services, and that the lock may change them.

use std::time::Duration;

use keybutton_desktop::bluetooth::Echo;

use crate::world::{World, opened};

/// A phone looks through a lock's services once. When the lock comes back with its service in another place, the phone
/// finds it there.
pub async fn remembered_until_they_move(world: &mut World) {
    world.ann.radio().forget_peripherals();
    opened(&world.ann.press(&world.front).await);
    assert!(discovery(world) > Duration::ZERO, "nothing was known");
    opened(&world.ann.press(&world.front).await);
    assert_eq!(discovery(world), Duration::ZERO, "everything was known");
    world.front.power_cut();
    let _before_it = Echo::start(world.front.adapter).await.unwrap();
    world.front.power_up().await;
    opened(&world.ann.press(&world.front).await);
    assert!(discovery(world) > Duration::ZERO, "they have moved");
    opened(&world.ann.press(&world.front).await);
    assert_eq!(discovery(world), Duration::ZERO, "known again");
}

fn discovery(world: &World) -> Duration {
    world.ann.radio().last_link_steps().unwrap().discover
}
