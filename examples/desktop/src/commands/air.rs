//! `keybutton air`: the simulated radio by itself, and its knobs.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, Subcommand, ValueEnum};
use keybutton::radio::air::{
    AirControl, AirError, Broker, BrokerOptions, Endpoint, Manner, ParticipantReport, Position,
};

use super::{
    knobs::{KnobArgs, place},
    stopped,
};
use crate::{
    console::{Paint, paint},
    failure::Failure,
    session::RUNNING,
    state::{Running, StateDir},
};

/// Where the broker listens unless told otherwise.
pub(super) const AIR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8789);

/// Options of `keybutton air`.
#[derive(Clone, Debug, Args)]
pub struct AirArgs {
    /// Where the broker listens [default: 127.0.0.1:8789], or the broker to talk to [default: what `keybutton serve`
    /// left in the state directory]
    #[arg(long, value_name = "ADDRESS", env = "KEYBUTTON_AIR", global = true)]
    air: Option<SocketAddr>,
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
pub async fn run(args: AirArgs, state: Option<PathBuf>) -> Result<(), Failure> {
    let Some(action) = args.action else { return broker(args.air.unwrap_or(AIR), args.seed).await };
    let address = match args.air {
        Some(address) => address,
        None => StateDir::open(state)?.read::<Running>(RUNNING)?.map_or(AIR, |running| running.air),
    };
    let air = AirControl::join(&Endpoint::Tcp(address)).await?;
    match action {
        AirAction::List => list(&air).await,
        AirAction::Set { name, at, radio, knobs } => {
            let found = air.participants().await?.into_iter().find(|part| part.name == name);
            let part = found.ok_or(AirError::UnknownParticipant(name.clone()))?;
            air.set_knobs(&name, knobs.apply(part.knobs)).await?;
            if let Some(at) = at {
                air.move_to(&name, at).await?;
            }
            if let Some(radio) = radio {
                air.set_radio(&name, radio == Switch::On).await?;
            }
            list(&air).await
        }
        AirAction::Cut { name, silently } => {
            let manner = if silently { Manner::Silent } else { Manner::Drop };
            Ok(air.cut(&name, manner).await?)
        }
    }
}

/// Starts a broker at an address that may be taken.
pub(super) async fn listen(address: SocketAddr, seed: u64) -> Result<Broker, Failure> {
    Broker::listen(address, BrokerOptions { seed }).await.map_err(|error| {
        let why = match error {
            AirError::Unreachable(error) => error.to_string(),
            other => other.to_string(),
        };
        Failure::new(
            "air-failed",
            format_args!("the air can't listen at {address}: {why}"),
            "Stop the other process there, or choose another address with --air.",
        )
    })
}

async fn broker(address: SocketAddr, seed: u64) -> Result<(), Failure> {
    let broker = listen(address, seed).await?;
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
