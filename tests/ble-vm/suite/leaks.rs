//! Many presses, and nothing that grows.

use std::fs;

use crate::{
    bluez::managed_objects,
    world::{World, opened},
};

/// What could grow: the core's objects, this process's open files, threads and memory, and the devices that BlueZ
/// remembers.
#[derive(Debug)]
struct Count {
    objects: u64,
    files: usize,
    threads: usize,
    memory_kib: usize,
    devices: usize,
}

/// Presses again and again; after the first few, which warm up, nothing may grow with the presses.
pub async fn many_presses(world: &mut World) {
    let presses: u32 = std::env::var("KEYBUTTON_BLE_PRESSES").unwrap().parse().unwrap();
    let warm_up = (presses / 4).max(2);
    let opened_before = world.front.openings().await;
    let mut before = None;
    for press in 0..presses {
        if press == warm_up {
            before = Some(Count::now());
        }
        opened(&world.ann.press(&world.front).await);
    }
    let (before, after) = (before.unwrap(), Count::now());
    println!("after {warm_up} presses {before:?}, after {presses} {after:?}");
    assert_eq!(world.front.openings().await, opened_before + presses);
    assert!(after.objects <= before.objects, "objects of the core");
    // A connection of the HTTP client may be open or not.
    assert!(after.files <= before.files + 4, "open files");
    assert!(after.threads <= before.threads + 2, "threads");
    assert!(after.devices <= before.devices, "devices that BlueZ remembers");
    assert!(after.memory_kib <= before.memory_kib + before.memory_kib / 10, "memory");
}

impl Count {
    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Self {
            objects: keybutton::live_objects(),
            files: fs::read_dir("/proc/self/fd").unwrap().count(),
            threads: number("Threads:"),
            memory_kib: number("VmRSS:"),
            devices: devices(),
        }
    }
}

fn devices() -> usize {
    managed_objects().matches("string \"org.bluez.Device1\"").count()
}
