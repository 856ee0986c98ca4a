//! `keybutton claim-code`: lets a lock elsewhere claim itself.

use std::path::PathBuf;

use clap::Args;

use super::lock::sample_code;
use crate::{failure::Failure, service_client::ServiceClient, session::Where, state::StateDir};

/// Options of `keybutton claim-code`.
#[derive(Clone, Debug, Args)]
pub struct ClaimCodeArgs {
    /// The door, by name.
    door: String,
    #[command(flatten)]
    at_where: Where,
}

/// Prints a code that one lock can claim itself with, once, within a day.
pub async fn run(args: ClaimCodeArgs, state: Option<PathBuf>) -> Result<(), Failure> {
    let state = StateDir::open(state)?;
    let service = ServiceClient::new(&args.at_where.find_service(&state)?)?;
    println!("{}", sample_code(&state, &service, &args.door).await?);
    Ok(())
}
