//! `keybutton air`: the simulated radio by itself, and its knobs.

use std::net::SocketAddr;

use clap::{Args, Subcommand, ValueEnum};
use keybutton::radio::air::{AirControl, Broker, BrokerOptions, Endpoint, Manner, ParticipantReport, Position};

use super::{
    knobs::{KnobArgs, place},
    stopped,
};
use crate::{
    console::{Paint, paint},
    failure::Failure,
};

/// Options of `keybutton air`.
#[derive(Clone, Debug, Args)]
pub struct AirArgs {
    /// Where the broker listens, or the broker to talk to.
    #[arg(long, value_name = "ADDRESS", env = "KEYBUTTON_AIR", default_value = "127.0.0.1:8789", global = true)]
    air: SocketAddr,
    /// Where the simulated randomness starts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(subcommand)]
    action: Option<AirAction>,
}

/// What to do with a broker that runs.
#[derive(Clone, Debug, Subcommand)]
enum AirAction {
    /// List who is on the air.
    List,
    /// Change a participant's knobs, place or radio.
    Set {
        /// The participant.
        name: String,
        /// Move it: metres east and north.
        #[arg(long, value_name = "X,Y", value_parser = place, allow_hyphen_values = true)]
        at: Option<Position>,
        /// Switch its radio.
        #[arg(long, value_enum)]
        radio: Option<Switch>,
        #[command(flatten)]
        knobs: Box<KnobArgs>,
    },
    /// Cut every link a participant has now.
    Cut {
        /// The participant.
        name: String,
        /// So that nobody notices before the supervision time-out.
        #[arg(long)]
        silently: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Runs the command.
pub async fn run(args: AirArgs) -> Result<(), Failure> {
    let endpoint = Endpoint::Tcp(args.air);
    match args.action {
        None => broker(args.air, args.seed).await,
        Some(AirAction::List) => list(&AirControl::join(&endpoint).await?).await,
        Some(AirAction::Set { name, at, radio, knobs }) => {
            let air = AirControl::join(&endpoint).await?;
            let found = air.participants().await?.into_iter().find(|part| part.name == name);
            let part = found.ok_or(keybutton::radio::air::AirError::UnknownParticipant(name.clone()))?;
            air.set_knobs(&name, knobs.apply(part.knobs)).await?;
            if let Some(at) = at {
                air.move_to(&name, at).await?;
            }
            if let Some(radio) = radio {
                air.set_radio(&name, radio == Switch::On).await?;
            }
            list(&air).await
        }
        Some(AirAction::Cut { name, silently }) => {
            let manner = if silently { Manner::Silent } else { Manner::Drop };
            Ok(AirControl::join(&endpoint).await?.cut(&name, manner).await?)
        }
    }
}

async fn broker(address: SocketAddr, seed: u64) -> Result<(), Failure> {
    let broker = Broker::listen(address, BrokerOptions { seed }).await.map_err(|error| {
        Failure::new("air-failed", format_args!("{address}: {error}"), "Choose another address with --air.")
    })?;
    if let Some(address) = broker.address() {
        println!("{} the air is at {address}; stop with Ctrl-C", paint(Paint::Green, "running"));
    }
    stopped().await
}

async fn list(air: &AirControl) -> Result<(), Failure> {
    let mut parts = air.participants().await?;
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    if parts.is_empty() {
        println!("nobody is on the air");
    }
    for ParticipantReport { name, role, position, knobs, radio, links } in parts {
        let role = format!("{role:?}").to_lowercase();
        let radio = if radio { "on" } else { "off" };
        println!(
            "{name:24} {role:6} at {:.1},{:.1}  radio {radio}  links {links}  interval {:?}  MTU {}  loss {}  latency {:?}",
            position.x, position.y, knobs.connection_interval, knobs.mtu, knobs.loss, knobs.latency
        );
    }
    Ok(())
}
