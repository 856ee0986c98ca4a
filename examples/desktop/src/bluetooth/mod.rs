//! Real Bluetooth: a phone on the computer's own adapter, and on Linux a lock on it.
//!
//! Built with the feature `bluetooth` only; without it the options are there and say so.

#[cfg(all(feature = "bluetooth", target_os = "linux"))]
mod advertiser;
#[cfg(all(feature = "bluetooth", target_os = "linux"))]
mod echo;
#[cfg(all(feature = "bluetooth", target_os = "linux"))]
mod links;
#[cfg(all(feature = "bluetooth", target_os = "linux"))]
mod management;
#[cfg(all(feature = "bluetooth", target_os = "linux"))]
mod server;
#[cfg(all(feature = "bluetooth", target_os = "linux"))]
mod watcher;

use std::sync::Arc;

use clap::Args;
use keybutton::radio::Radio;

#[cfg(all(feature = "bluetooth", target_os = "linux"))]
pub use {echo::Echo, server::GattServer};

use crate::failure::Failure;

/// The UUIDs of an echo: of its service, of what is written to, of what notifies.
pub const ECHO: [u128; 3] = [
    0x8a1f7c40_3c55_4d0b_9d6e_5b0f2a64e900,
    0x8a1f7c41_3c55_4d0b_9d6e_5b0f2a64e900,
    0x8a1f7c42_3c55_4d0b_9d6e_5b0f2a64e900,
];

/// Real Bluetooth instead of the simulated air.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Bluetooth")]
pub struct BluetoothArgs {
    /// Use real Bluetooth instead of the simulated air. A lock then talks to one phone at a time; others wait a moment.
    #[arg(long)]
    pub bluetooth: bool,
    /// The Bluetooth adapter, such as hci0 [default: the first]
    #[arg(long, value_name = "NAME", requires = "bluetooth")]
    pub adapter: Option<String>,
}

/// Opens the computer's Bluetooth for a phone.
pub async fn open_radio(adapter: Option<&str>) -> Result<Arc<dyn Radio>, Failure> {
    Ok(open_named(adapter).await?.0)
}

/// Opens the computer's Bluetooth for a phone; returns the adapter's name as well.
#[cfg(feature = "bluetooth")]
pub async fn open_named(adapter: Option<&str>) -> Result<(Arc<dyn Radio>, String), Failure> {
    let radio = open_btleplug(adapter).await?;
    let name = radio.adapter().to_owned();
    Ok((radio, name))
}

/// Opens the computer's Bluetooth, and says of which kind the radio is.
#[cfg(feature = "bluetooth")]
pub async fn open_btleplug(adapter: Option<&str>) -> Result<Arc<keybutton::radio::btleplug::BtleplugRadio>, Failure> {
    use keybutton::radio::{
        RadioState,
        btleplug::{BtleplugRadio, OpenError},
    };

    let radio = BtleplugRadio::open(adapter).await.map_err(|error| {
        // The error's own text has the remedy in it, for hosts that show nothing else.
        match &error {
            OpenError::NoService(why) => Failure::new(
                "no-bluetooth-service",
                format_args!("the system's Bluetooth service does not answer: {why}"),
                "On Linux: `systemctl start bluetooth`.",
            ),
            OpenError::Forbidden(why) => Failure::new(
                "bluetooth-forbidden",
                format_args!("this program may not use Bluetooth: {why}"),
                "On Linux: join the group bluetooth, or run it as root. On macOS: allow it under Privacy & Security.",
            ),
            OpenError::NoAdapter => Failure::new(
                "no-bluetooth-adapter",
                "there is no Bluetooth adapter",
                "Plug an adapter in, or switch it on in the firmware's settings.",
            ),
            OpenError::UnknownAdapter { .. } => {
                Failure::new("unknown-bluetooth-adapter", &error, "Give one of them as --adapter.")
            }
        }
    })?;
    if radio.state() == RadioState::Off {
        return Err(switched_off(radio.adapter()));
    }
    Ok(Arc::new(radio))
}

/// Opens the computer's Bluetooth for a phone; returns the adapter's name as well.
#[cfg(not(feature = "bluetooth"))]
pub async fn open_named(_: Option<&str>) -> Result<(Arc<dyn Radio>, String), Failure> {
    Err(not_built())
}

#[cfg(feature = "bluetooth")]
fn switched_off(adapter: &str) -> Failure {
    Failure::new(
        "bluetooth-off",
        format_args!("the Bluetooth adapter {adapter} is switched off"),
        // `bluetoothctl power on` would do for the default adapter only.
        format_args!(
            "Switch it on. On Linux, as root: `rfkill unblock bluetooth`, then `btmgmt --index {adapter} power on`."
        ),
    )
}

/// This build has no Bluetooth for what was asked.
#[cfg(not(all(feature = "bluetooth", target_os = "linux")))]
pub(crate) fn not_built() -> Failure {
    Failure::new(
        "no-bluetooth-in-this-build",
        "this program was built without Bluetooth for this",
        "Build it with `--features bluetooth`; a lock needs Linux as well.",
    )
}
