//! `keybutton serve`: access service and air, with a sample organization.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    air::{self, AIR},
    stopped,
};
use crate::{
    console::{Paint, paint},
    failure::Failure,
    organization::{DoorWish, Organization, WORKING_DAYS},
    service_host::ServiceHost,
    session::{RUNNING, SAMPLE, Sample},
    state::{Running, StateDir},
};

const ORGANIZATION: &str = "Harbour Coworking";
const MEMBERS: [&str; 2] = ["Ann", "Ben"];

/// Options of `keybutton serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Where the access service listens; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8788")]
    listen: SocketAddr,
    /// Where the air's broker listens; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS", env = "KEYBUTTON_AIR", default_value_t = AIR)]
    air: SocketAddr,
    /// Where the simulated randomness of the air starts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Runs the command until Ctrl-C.
pub async fn run(args: ServeArgs, state: Option<PathBuf>) -> Result<(), Failure> {
    let with_state = state.as_deref().map(state_option).unwrap_or_default();
    let state = StateDir::open(state)?;
    let service = ServiceHost::start(&state.service()?, args.listen).await?;
    let broker = air::listen(args.air, args.seed).await?;
    let air = broker.address().unwrap_or(args.air);
    if state.read::<Sample>(SAMPLE)?.is_none() {
        seed(&state, &service).await?;
    }
    state.write(RUNNING, &Running { service: service.url().to_owned(), air })?;
    println!("{} access service at {}, air at {air}", paint(Paint::Green, "running"), service.url());
    println!("state in {}", state.path().display());
    println!(
        "{ORGANIZATION}: doors Front door, Server room, Studio; members Ann (Front door, Studio), Ben (Front door)"
    );
    println!("\nNext, in other terminals:");
    println!("   keybutton lock \"Front door\"{with_state}\n   keybutton press \"Front door\"{with_state}");
    println!("Stop with Ctrl-C.");
    let result = stopped().await;
    state.remove(RUNNING);
    service.stop().await?;
    result
}

/// What the other commands need to find this state directory, ready to be pasted into a shell.
fn state_option(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/\\:._-".contains(c));
    if plain { format!(" --state {text}") } else { format!(" --state \"{text}\"") }
}

/// Makes the sample organization. Its secrets are kept last, so that a start cut short begins anew.
async fn seed(state: &StateDir, service: &ServiceHost) -> Result<(), Failure> {
    let organization = Organization::found(service, ORGANIZATION).await?;
    organization.set_module(true).await?;
    let front = organization.add_door(DoorWish::named("Front door")).await?;
    organization.add_door(DoorWish::named("Server room")).await?;
    let studio = organization.add_door(DoorWish::named("Studio")).await?;
    let members = organization.add_group("Members", std::slice::from_ref(&front)).await?;
    let studios = organization.add_weekly_group("Studio", &[studio], &WORKING_DAYS, "08:00", "18:00").await?;
    for name in MEMBERS {
        let member = organization.add_member(name).await?;
        organization.grant(&member, &members).await?;
        if name == "Ann" {
            organization.grant(&member, &studios).await?;
        }
    }
    state.write(SAMPLE, &organization.sample())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_can_be_pasted() {
        assert!(state_option(Path::new("/tmp/kb")).ends_with("/tmp/kb"));
        assert!(state_option(Path::new("/tmp/my doors")).ends_with("/tmp/my doors\""));
        assert!(state_option(Path::new("kb")).len() > " --state kb".len(), "another terminal stands elsewhere");
    }
}
