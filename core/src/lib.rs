//! The open mobile key SDK: decides whether a member may open a door, downloads the key, finds the lock and opens it.
//!
//! A Branded App uses it in this order:
//!
//! 1. Make a [`MobileKeys`] once, at the start of the app, from a [`Config`] and the [`Platform`]'s parts: Bluetooth,
//!    network, secure storage, device key, clock, log. Whoever was signed in still is.
//! 2. When the member signs in to the app, hand the app's own session token to [`MobileKeys::sign_in`]; hand over every
//!    renewed token the same way. The device is enrolled and keys are downloaded in the background.
//! 3. On the Home Screen, ask [`MobileKeys::key_button`] whether the Key Button is shown; a hidden one has one reason.
//!    [`MobileKeys::watch_button`] tells whenever that changes.
//! 4. When the member presses it, call [`MobileKeys::press`] with a [`PressListener`]: it hears each [`Phase`], then one
//!    [`PressOutcome`]. Answer [`Phase::Choose`] with [`Press::choose`].
//! 5. After `Unconfirmed`, [`MobileKeys::retry`] asks the same lock again under the same press id: nothing moves twice.
//! 6. When the app comes to the front, or a push hint arrives, call [`MobileKeys::refresh`].
//! 7. When the member signs out, call [`MobileKeys::sign_out`]: everything is wiped.
//!
//! ```no_run
//! use std::sync::Arc;
//! # use keybutton::{radio::Radio, outcome::PressOutcome, unlock::Phase};
//! use keybutton::{Config, MobileKeys, Platform, PressListener, PressOptions};
//!
//! struct Screen;
//!
//! impl PressListener for Screen {
//!     fn on_phase(&self, phase: Phase) {
//!         println!("{}", phase.name());
//!     }
//!
//!     fn on_outcome(&self, outcome: PressOutcome) {
//!         println!("{}: {}", outcome.outcome.name(), outcome.outcome.remedy().unwrap_or("come in"));
//!     }
//! }
//!
//! # fn open(radio: Arc<dyn Radio>, session_token: String) -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config {
//!     service_url: "https://keys.example".into(),
//!     app: keybutton::AppId("hub-app".into()),
//!     device_name: "Ann's phone".into(),
//!     platform: "linux".into(),
//! };
//! let keys = MobileKeys::new(config, Platform::desktop(radio, "state".as_ref())?)?;
//! keys.sign_in(session_token)?.wait()?;
//! let press = keys.press(PressOptions::default(), Arc::new(Screen))?;
//! println!("{:?}", press.wait().outcome);
//! # Ok(())
//! # }
//! ```
//!
//! Every call is synchronous and quick; what takes time is answered through a listener or a [`Pending`]. Errors are for
//! acting on: a [`KeyError`] has a stable code, the guilty side, whether a retry is safe, and a remedy.
//!
//! The decisions are made in modules without I/O, clock or threads: [`button`], [`access`], [`keyring`], [`download`],
//! [`discovery`], [`unlock`], [`doctor`], [`report`]. [`client`] drives them over the traits a host may replace:
//! [`radio::Radio`], [`http::Http`], [`vault::Vault`], [`device_key::DeviceKey`], [`vendor::VendorUnlock`],
//! [`clock::Clock`], [`log::LogSink`].

pub mod access;
mod alive;
pub mod button;
pub mod client;
pub mod clock;
pub mod device_key;
pub mod discovery;
pub mod doctor;
pub mod download;
pub mod error;
#[cfg(feature = "uniffi")]
mod ffi;
pub mod http;
mod json;
pub mod keyring;
pub mod log;
pub mod outcome;
mod pairs;
pub mod pending;
pub mod press;
pub mod radio;
pub mod report;
pub mod unlock;
pub mod vault;
pub mod vendor;

pub use alive::live_objects;
pub use client::{
    ButtonListener, ButtonWatch, Config, MobileKeys, Nearby, NearbyListener, Platform, StartError, TapLink, TapListener,
};
pub use error::{ErrorCode, KeyError};
pub use keybutton_protocol::{
    api::{AppId, ButtonState, Device, DeviceId, DoorId, DoorRights, HiddenReason},
    ids::{Intent, UnlockId},
};
pub use outcome::{Outcome, PressOutcome};
pub use pending::Pending;
pub use press::{Press, PressListener, PressOptions};
pub use unlock::Phase;

#[cfg(feature = "uniffi")]
uniffi::setup_scaffolding!("keybutton");

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
