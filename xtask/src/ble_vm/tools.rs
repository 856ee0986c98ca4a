//! Programs the machine is made with, from Debian's packages.

use std::{fs, path::Path, process::Command};

use super::air::Air;
use crate::command::{Failure, output, run};

/// A program that has to be there, and Debian's package with it.
const TOOLS: [(&str, &str); 9] = [
    ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
    // The one without shared libraries.
    ("/bin/busybox", "busybox-static"),
    ("/sbin/modprobe", "kmod"),
    ("/usr/bin/xz", "xz-utils"),
    ("/usr/bin/dbus-daemon", "dbus"),
    ("/usr/libexec/bluetooth/bluetoothd", "bluez"),
    ("/usr/bin/btmgmt", "bluez"),
    ("/usr/bin/btmon", "bluez"),
    ("/usr/bin/timeout", "coreutils"),
];

const BTVIRT: (&str, &str) = ("/usr/bin/btvirt", "bluez-test-tools");

/// What is missing, in words, with the remedy.
pub fn missing(air: Air) -> Option<Failure> {
    let missing = missing_packages(air);
    let names = missing.join(", ");
    (!missing.is_empty()).then(|| {
        Failure(format!(
            "the Bluetooth machine needs {names}; as root, run `cargo xtask ble-vm --install` or `{}`",
            install_command(&missing)
        ))
    })
}

/// Sees that everything is there; `install` allows installing it.
pub fn provide(air: Air, install: bool) -> Result<(), Failure> {
    let missing = match missing(air) {
        None => return Ok(()),
        Some(missing) if !install => return Err(missing),
        Some(_) => missing_packages(air),
    };
    run(Command::new("apt-get").args(["update", "-q"]))?;
    // A policy that forbids it keeps the packages from starting services on this machine.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let ours = !policy.exists();
    if ours {
        crate::debian::write_script(policy, "exit 101")?;
    }
    let installed = run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-q", "--no-install-recommends"])
        .args(&missing));
    if ours {
        fs::remove_file(policy)?;
    }
    installed.map_err(|error| Failure(format!("{error}; as root, try `{}`", install_command(&missing))))
}

fn missing_packages(air: Air) -> Vec<&'static str> {
    let wanted = TOOLS.iter().chain((air == Air::Btvirt).then_some(&BTVIRT));
    let mut missing: Vec<&str> =
        wanted.filter(|(program, _)| !Path::new(program).exists()).map(|(_, package)| *package).collect();
    // A busybox with shared libraries can't run alone; its package has another name.
    if output(Command::new("dpkg-query").args(["-W", "busybox-static"])).is_err() {
        missing.push("busybox-static");
    }
    if air == Air::Bumble && python().is_none() {
        missing.push("python3-venv");
    }
    missing.sort_unstable();
    missing.dedup();
    missing
}

fn install_command(packages: &[&str]) -> String {
    format!("apt-get install --no-install-recommends {}", packages.join(" "))
}

/// A Python that can make virtual environments and is new enough.
pub fn python() -> Option<&'static str> {
    const ASK: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
    ["python3", "/usr/bin/python3"].into_iter().find(|python| output(Command::new(python).args(["-c", ASK])).is_ok())
}
