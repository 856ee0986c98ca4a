//! Phones and locks over a real BlueZ: the radio's behaviour from the first press to the hundredth.
//!
//! Runs inside the Bluetooth machine only (`cargo xtask ble-vm`): two adapters are the locks', two the phones'. The
//! scenarios share one world and follow one another; each leaves the doors closed and the links down. The last ones, the
//! cases that every radio is asked, have the second phone's adapter to themselves.

// A test without the test harness: what is unexpected ends a scenario.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod air;
mod behaviour;
mod bluez;
mod cuts;
mod gpio;
mod harness;
mod leaks;
mod line;
mod peers;
mod scenarios;
mod services;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

use crate::{scenarios::Scenario, world::World};

fn main() -> ExitCode {
    let place = std::env::var("KEYBUTTON_BLE_VM").unwrap_or_default();
    if place != "here" {
        println!("this needs the Bluetooth machine: run `cargo xtask ble-vm`");
        // Nothing was tested. In the gate that is no failure only where the machine has its turn as well.
        let overlooked = std::env::var("CI").is_ok_and(|ci| ci == "true") && place != "later";
        return if overlooked { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(std::env::var("KEYBUTTON_LOG").unwrap_or_else(|_| "error".to_owned()))
        .init();
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let start = Instant::now();
    let mut world = runtime.block_on(World::new());
    println!("the world is up after {:.1?}", start.elapsed());
    let (mut passed, mut failed) = (0, 0);
    let scenarios = scenarios::all().into_iter().filter(|scenario| scenario.name.contains(&wanted));
    for Scenario { name, play, needs_air, left_out } in scenarios {
        let unable = needs_air && world.air.is_none();
        if let Some(why) = left_out.or(unable.then_some("these controllers can't do it")) {
            println!("test {name} ... left out: {why}");
            continue;
        }
        let start = Instant::now();
        // Each on its own: one that fails leaves word, and the others still run.
        let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(play(&mut world))));
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {word} ({:.1?})", start.elapsed());
        if result.is_ok() { passed += 1 } else { failed += 1 }
    }
    runtime.block_on(world.close());
    // What a scenario that failed still waits for is of no interest.
    runtime.shutdown_background();
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("test result: {word}. {passed} passed; {failed} failed; finished in {:.1?}", start.elapsed());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
