//! The kernel's management interface to an adapter, which `btmgmt` speaks; it comes with BlueZ.

use std::{process::Stdio, time::Duration};

use bluer::{Address, AddressType};
use tokio::{process::Command, time::timeout};

const TOOL: &str = "btmgmt";

/// How long the tool may take for one command.
const PATIENCE: Duration = Duration::from_secs(10);

/// Manages one adapter.
#[derive(Clone, Debug)]
pub(super) struct Management {
    /// The adapter's number: 0 for `hci0`.
    adapter: String,
}

impl Management {
    /// For the adapter called so, such as `hci0`.
    pub(super) fn new(adapter: &str) -> Self {
        Self { adapter: adapter.trim_start_matches(|c: char| !c.is_ascii_digit()).to_owned() }
    }

    /// Drops a link now; BlueZ itself waits for two seconds first.
    pub(super) async fn disconnect(&self, address: Address, kind: AddressType) -> Result<(), String> {
        let kind = match kind {
            AddressType::BrEdr => "0",
            AddressType::LePublic => "1",
            AddressType::LeRandom => "2",
        };
        self.run(&["disconnect", "-t", kind, &address.to_string()]).await
    }

    /// Runs one command of the tool's.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let mut child = Command::new(TOOL)
            // Not its `--timeout`: with it the tool stays for as long even when it is done.
            .args(["--index", &self.adapter])
            .args(arguments)
            // At the end of its input it leaves before it is done: the pipe stays open until it is.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{TOOL}: {error}"))?;
        let input = child.stdin.take();
        let output = timeout(PATIENCE, child.wait_with_output()).await;
        drop(input);
        match output {
            Ok(Ok(output)) => {
                let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned();
                // Its exit status is 0 whatever the kernel answered.
                if output.status.success() && !said.contains("failed with status") && !said.contains("Unable to") {
                    Ok(())
                } else {
                    Err(format!("{TOOL} {}: {said}", arguments.join(" ")))
                }
            }
            Ok(Err(error)) => Err(format!("{TOOL}: {error}")),
            Err(_) => Err(format!("{TOOL} {} does not end", arguments.join(" "))),
        }
    }
}
