//! A running scene, as a lock's or a phone's own process finds it in the state directory.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Args;
use keybutton::radio::{
    Radio,
    air::{AirRadio, Endpoint, Knobs, Participant, Position},
};
use keybutton_protocol::api::{AppId, ButtonState, HiddenReason, SiteId};
use serde::{Deserialize, Serialize};

use crate::{
    bluetooth::{BluetoothArgs, open_radio},
    failure::Failure,
    phone::Phone,
    state::{Running, StateDir},
    tokens::TokenIssuer,
};

/// Where `serve` writes what runs.
pub const RUNNING: &str = "running.json";

/// Where `serve` writes what the sample organization needs.
pub const SAMPLE: &str = "sample.json";

/// What `serve` leaves for the other commands: the operator's key and the Branded App's token key. Both secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Sample {
    /// The organization's name.
    pub organization: String,
    /// The Branded App.
    pub app: AppId,
    /// Its site.
    pub site: SiteId,
    /// Its integration.
    pub integration: String,
    /// The operator's API key.
    pub operator_key: String,
    /// The `iss` of the app's session tokens.
    pub issuer: String,
    /// Their `aud`.
    pub audience: String,
    /// The key that signs them, PKCS #8.
    pub token_key: keybutton_protocol::api::Bytes,
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sample").field("organization", &self.organization).finish_non_exhaustive()
    }
}

impl Sample {
    /// Signs session tokens as the app's identity provider would.
    pub fn tokens(&self) -> Result<TokenIssuer, Failure> {
        TokenIssuer::from_pkcs8(&self.issuer, &self.audience, &self.token_key.0)
    }
}

/// Where to find service and air, where `serve` has not left word of them.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// The access service [default: what `keybutton serve` left in the state directory]
    #[arg(long, value_name = "URL", env = "KEYBUTTON_SERVICE")]
    pub service: Option<String>,
    /// The air's broker [default: what `keybutton serve` left in the state directory]
    #[arg(long, value_name = "ADDRESS", env = "KEYBUTTON_AIR")]
    pub air: Option<SocketAddr>,
}

impl Where {
    /// Settles on addresses.
    pub fn find(&self, state: &StateDir) -> Result<Running, Failure> {
        let known: Option<Running> = state.read(RUNNING)?;
        let air = self.air.or(known.map(|known| known.air));
        Ok(Running { service: self.find_service(state)?, air: air.ok_or_else(|| missing(state))? })
    }

    /// Settles on the access service's address alone: real Bluetooth needs no air.
    pub fn find_service(&self, state: &StateDir) -> Result<String, Failure> {
        let known = || Ok::<_, Failure>(state.read::<Running>(RUNNING)?.map(|known| known.service));
        let service = match &self.service {
            Some(service) => Some(service.clone()),
            None => known()?,
        };
        service.ok_or_else(|| missing(state))
    }
}

fn missing(state: &StateDir) -> Failure {
    Failure::new(
        "nothing-running",
        format_args!("no service is known in {}", state.path().display()),
        "Start `keybutton serve` with the same --state, or give --service and --air.",
    )
}

/// Which phone it is.
#[derive(Clone, Debug, Args)]
pub struct PhoneArgs {
    /// The member whose phone it is; signed in with a token of the sample organization's app.
    #[arg(long, value_name = "NAME", default_value = "Ann")]
    pub member: String,
    /// Sign in with this session token instead.
    #[arg(long, value_name = "JWT", env = "KEYBUTTON_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Sign in again, also when somebody is signed in.
    #[arg(long)]
    pub sign_in: bool,
    /// The Branded App [default: the sample organization's]
    #[arg(long, value_name = "ID")]
    pub app: Option<String>,
    /// Where the phone is: metres east and north.
    #[arg(long, value_name = "X,Y", default_value = "1,0", value_parser = crate::commands::place, allow_hyphen_values = true)]
    pub at: Position,
    /// Where service and air are.
    #[command(flatten)]
    pub at_where: Where,
    /// Real Bluetooth instead.
    #[command(flatten)]
    pub radio: BluetoothArgs,
}

impl PhoneArgs {
    /// Starts the phone, and signs the member in when nobody is.
    pub async fn start(&self, state: Option<PathBuf>, knobs: Knobs) -> Result<Phone, Failure> {
        let state = StateDir::open(state)?;
        // First of all: where nothing runs, nothing else that is missing matters.
        self.at_where.find_service(&state)?;
        let radio = self.open_radio(&state, knobs).await?;
        self.start_on(radio, &state).await
    }

    /// Opens the radio the phone uses: the simulated air or the computer's Bluetooth.
    pub async fn open_radio(&self, state: &StateDir, knobs: Knobs) -> Result<Arc<dyn Radio>, Failure> {
        if self.radio.bluetooth {
            return open_radio(self.radio.adapter.as_deref()).await;
        }
        let air = Endpoint::Tcp(self.at_where.find(state)?.air);
        let participant = Participant { name: self.member.clone(), position: self.at, knobs };
        Ok(Arc::new(AirRadio::join(&air, &participant).await?))
    }

    /// Starts the phone on a radio that is open, and signs the member in when nobody is.
    pub async fn start_on(&self, radio: Arc<dyn Radio>, state: &StateDir) -> Result<Phone, Failure> {
        let service = self.at_where.find_service(state)?;
        let sample: Option<Sample> = state.read(SAMPLE)?;
        let app = self.app.clone().map(AppId).or_else(|| sample.as_ref().map(|sample| sample.app.clone()));
        let app = app.ok_or_else(|| {
            Failure::new("no-app", "there is no Branded App to be", "Give --app and --token, or run `keybutton serve`.")
        })?;
        let token = match (&self.token, &sample) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(sample)) => Some(sample.tokens()?.token(&self.member)?),
            (None, None) => None,
        };
        let phone = Phone::with_radio(radio, &state.phone(&self.member)?, self.member.clone(), service, app)?;
        let signed_in = phone.keys().key_button() != ButtonState::Hidden(HiddenReason::NotSignedIn);
        if let Some(token) = token.filter(|_| !signed_in || self.sign_in || self.token.is_some()) {
            match phone.sign_in(token).await {
                // What is held in the vault may still open: the press says what it finds.
                Err(failure) if failure.code == "service-unreachable" => tracing::info!(%failure, "signed in offline"),
                other => drop(other?),
            }
        }
        Ok(phone)
    }
}
