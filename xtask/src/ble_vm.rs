//! Runs the Bluetooth suite against a real BlueZ: kernel, `bluetoothd`, D-Bus and GATT in a small virtual machine, over
//! virtual controllers (`tests/ble-vm`).

mod air;
mod cpio;
mod image;
mod machine;
mod tools;

use std::{path::PathBuf, process::Stdio, time::Duration};

use clap::Args;
use serde_json::Value;

use self::{
    air::Air,
    image::Image,
    machine::{Accelerator, Machine},
};
use crate::{
    command::{Failure, Outcome, cargo, is_ci, read_lines, target_folder, workspace_features},
    test::read_result,
};

/// How the suite is run.
#[derive(Args)]
pub struct Options {
    /// Installs what is missing of QEMU, BlueZ and their like with apt-get, as root.
    #[arg(long)]
    install: bool,
    /// Is content with saying so where something of them is missing.
    #[arg(long, conflicts_with = "install")]
    if_possible: bool,
    /// Only gets the machine ready.
    #[arg(long)]
    prepare: bool,
    /// Presses of the test that looks for leaks.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    presses: u32,
    /// Runs only the scenarios with this in their name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// How the machine is run: KVM where a probe shows that it works, emulation where not.
    #[arg(long, value_enum, default_value = "auto")]
    accelerator: Accelerator,
    /// Whose virtual controllers there are.
    #[arg(long, value_enum, default_value = "bumble")]
    air: Air,
    /// When the machine is stopped at the latest, seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u64,
    /// Keeps the record of all HCI traffic (btsnoop, opens in Wireshark) also when nothing failed.
    #[arg(long)]
    snoop: bool,
    /// Runs this program with its arguments in the machine instead of the suite.
    #[arg(last = true)]
    command: Vec<String>,
}

/// Tells the suite, outside the machine, that it is run there as well.
pub const LATER: (&str, &str) = ("KEYBUTTON_BLE_VM", "later");

/// One for each of two locks and two phones.
const CONTROLLERS: u8 = 4;

/// Runs the suite, or what was asked for instead.
pub fn run(options: &Options) -> Result<Outcome, Failure> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Outcome::Skipped("the Bluetooth machine runs on 64-bit Intel and AMD Linux only".into()));
    }
    let install = options.install || is_ci();
    if options.if_possible
        && !install
        && let Some(missing) = tools::missing(options.air)
    {
        return Ok(Outcome::Skipped(missing.to_string()));
    }
    let image = Image::provide(options.air, install)?;
    let machine = Machine {
        image: &image,
        accelerator: options.accelerator,
        air: options.air,
        controllers: CONTROLLERS,
        timeout: Duration::from_secs(options.timeout),
        snoop: options.snoop,
        logs: target_folder().join("ble-vm/logs"),
    };
    if options.prepare {
        machine.choose_accelerator()?;
        return Ok(Outcome::Passed);
    }
    if !options.command.is_empty() {
        let status = machine.run(&options.command, &[], |line| println!("{line}"))?;
        return if status == 0 {
            Ok(Outcome::Passed)
        } else {
            Err(Failure(format!("the command ended with {status}")))
        };
    }
    let mut command = vec![build_suite()?.to_string_lossy().into_owned()];
    command.extend(options.only.clone());
    let environment = [("KEYBUTTON_BLE_VM", "here".to_owned()), ("KEYBUTTON_BLE_PRESSES", options.presses.to_string())];
    let mut counted = None;
    let status = machine.run(&command, &environment, |line| {
        println!("{line}");
        counted = read_result(line).or(counted);
    })?;
    match counted {
        Some((passed, failed)) if (status == 0) == (failed == 0) => Ok(Outcome::Counted { passed, failed }),
        _ => Err(Failure(format!("the suite ended with {status} before all scenarios ran"))),
    }
}

/// Builds the suite, and tells where it is.
fn build_suite() -> Result<PathBuf, Failure> {
    let mut suite = None;
    let built = read_lines(
        cargo(["test", "--locked", "--workspace", "--test", "ble_vm", "--no-run"])
            .args(workspace_features())
            .arg("--message-format=json-render-diagnostics")
            .stdout(Stdio::piped()),
        |line| {
            let message: Value = serde_json::from_str(line).unwrap_or_default();
            if message["target"]["name"] == "ble_vm"
                && let Some(path) = message["executable"].as_str()
            {
                suite = Some(PathBuf::from(path));
            }
        },
    )?;
    suite.filter(|_| built).ok_or_else(|| Failure("the Bluetooth suite does not build".into()))
}
