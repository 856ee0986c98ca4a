//! What the doctor and the support file are made from.

use std::sync::Arc;

use keybutton_protocol::{
    api::{Decision, IntegrationKind, Rights},
    ids::UnixTime,
};
use ring::rand::SystemRandom;

use super::{
    inner::Inner,
    state::{Entry, Member},
};
use crate::{
    doctor::{self, Check},
    download,
    error::{ErrorCode, KeyError},
    report,
};

/// The vault entry that the doctor writes and removes again.
const PROBE: &str = "doctor";

impl Inner {
    /// Finds the facts, and has them judged.
    pub(super) async fn examine(self: &Arc<Self>) -> Vec<Check> {
        let service = match self.ticket() {
            Ok(ticket) => {
                let device = self.device(&ticket).ok().flatten().map(|(id, _)| id);
                let answer = self.call(&download::rights(&ticket.session, device.as_ref())).await;
                Some(answer.map(|rights| UnixTime(rights.now)))
            }
            Err(_) => None,
        };
        self.judge(service)
    }

    /// A support file: what happened on this phone, without names, identifiers or secrets.
    pub(super) fn support_report(&self) -> String {
        let checks = self.judge(None);
        let (button, capabilities) = (self.key_button(), self.capabilities());
        let radio = Some(self.hub.radio().state());
        // Without randomness there is no salt; a fixed one only lets two such files be compared.
        let salt = ring::rand::generate::<[u8; 16]>(&SystemRandom::new()).map_or([0; 16], |salt| salt.expose());
        let now = self.now().wall;
        let state = self.state();
        let presses = state.history.iter().map(|(began, press)| (*began, press)).collect();
        let platform = self.config.platform_name();
        let keyring = &state.keyring;
        report::support_report(
            &report::Facts { platform, now, capabilities, radio, button, keyring, checks: &checks, presses },
            &salt,
        )
    }

    fn judge(&self, service: Option<Result<UnixTime, KeyError>>) -> Vec<Check> {
        let (keys, keyless) = {
            let state = self.state();
            let keys = state.keyring.sites().map(|site| site.validity().valid_until).collect();
            (keys, state.keyring.rights().is_some_and(is_keyless))
        };
        doctor::examine(&doctor::Facts {
            capabilities: self.capabilities(),
            signed_in: self.ticket().is_ok(),
            device_key: self.probe_device_key(),
            vault: self.probe_vault(),
            service,
            now: self.now().wall,
            radio: Some(self.hub.radio().state()),
            button: self.key_button(),
            keys,
            keyless,
        })
    }

    /// The key is there and is the one that was enrolled. Makes none: a member who is not signed in has none.
    fn probe_device_key(&self) -> Result<(), KeyError> {
        let enrolled = self.state().member.as_ref().and_then(Member::enrolled).and_then(|device| device.public_key());
        let enrolled = enrolled.ok_or(ErrorCode::DeviceNotEnrolled)?;
        if self.device_key(&self.ticket()?, false)? == enrolled {
            Ok(())
        } else {
            Err(ErrorCode::DeviceNotEnrolled.into())
        }
    }

    fn probe_vault(&self) -> Result<(), KeyError> {
        let vault = &self.platform.vault;
        let probe = || {
            for entry in Entry::ALL {
                vault.load(entry.name().to_owned())?;
            }
            vault.store(PROBE.to_owned(), vec![1])?;
            vault.remove(PROBE.to_owned())
        };
        probe().map_err(|error| {
            self.log.error("vault", format_args!("{error}"));
            KeyError::from(&error)
        })
    }
}

/// Whether the member may open something, and all of it is opened by vendors' SDKs.
fn is_keyless(rights: &Rights) -> bool {
    let mut open = rights.doors.iter().filter(|door| matches!(door.decision, Decision::Allow { .. })).peekable();
    open.peek().is_some() && open.all(|door| door.integration == IntegrationKind::Vendor)
}
