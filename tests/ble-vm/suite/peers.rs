//! Phones and locks whose Bluetooth is not ours: the transaction is, advertising, L2CAP, ATT and GATT are bumble's.
//!
//! bumble runs on the host and takes orders by lines of JSON (`tests/ble-vm/peers`).

mod lock;
mod phone;

use keybutton_desktop::lock_host::Command;

use self::{lock::Bridge, phone::PeerRadio};
use crate::{
    cuts,
    world::{Door, Member, World, opened, refused},
};

/// A phone of theirs at our lock.
pub async fn their_phone(world: &mut World) {
    let radio = PeerRadio::reach();
    let cora = world.join_by("Cora", radio, "phone").await;
    behaves(world, &cora, &world.front).await;
}

/// A lock of theirs and our phone.
pub async fn their_lock(world: &mut World) {
    let bridge = Bridge::reach().await;
    let side = world.put_on_air("Side", bridge.endpoint(), lock::MTU, "lock").await;
    behaves(world, &world.ann, &side).await;
}

/// First, fast, refused, and cut at each value on the way to the verdict.
async fn behaves(world: &World, member: &Member, door: &Door) {
    let before = door.openings().await;
    let first = member.press(door).await;
    opened(&first);
    assert!(!first.metrics.fast, "they meet for the first time");
    let second = member.press(door).await;
    opened(&second);
    assert!(second.metrics.fast, "they have met: {:?}", second.metrics);
    door.lock().command(Command::Privacy(true));
    refused(&member.press(door).await, "privacy");
    door.lock().command(Command::Privacy(false));
    assert_eq!(door.openings().await, before + 2);
    cuts::until_opened(world.air.as_ref().unwrap(), member, door).await;
}
