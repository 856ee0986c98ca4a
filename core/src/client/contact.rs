//! Contact with the access service: rights, enrolment, keys, uploads.

use std::{pin::Pin, sync::Arc, time::Duration};

use keybutton_protocol::{
    api::{AckToken, ButtonState, Bytes, Decision, DeviceId, EnrolDevice, HiddenReason, KeyBundle, Rights},
    ids::{PublicKey, UnixTime},
    keys::AuthenticationData,
};

use super::{
    inner::{Inner, Ticket},
    state::{Enrolled, Entry, State},
};
use crate::{
    device_key::sign,
    download::{self, Answer, Call, MAX_ANSWER, Request},
    error::{ErrorCode, KeyError},
    http::{HttpHeader, HttpRequest, HttpResponse, exchange},
    keyring::{AuditEnvelope, Keyring},
};

/// From sending a request to the last byte of its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an enrolment waits for the device key, which may have to ask the member first.
const SIGN_TIMEOUT: Duration = Duration::from_secs(60);

/// Why the service is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// The member signs in: a device that the service gave up is enrolled anew.
    SignIn,
    /// The host asks: keys are downloaded whether or not they are due.
    Refresh,
    /// There is contact anyway: only what is due.
    Passing,
}

impl Inner {
    /// Asks for rights, enrols, renews keys, hands in what waits. One round of everything.
    pub(super) async fn contact(self: &Arc<Self>, ticket: &Ticket, purpose: Purpose) -> Result<ButtonState, KeyError> {
        let result = self.contact_inner(ticket, purpose).await;
        match &result {
            Ok(ButtonState::Visible) => self.log.info("contact", format_args!("the Key Button is visible")),
            Ok(ButtonState::Hidden(reason)) => {
                let code = ErrorCode::from(*reason);
                self.log.info("contact", format_args!("the Key Button is hidden: {code}"));
            }
            Err(error) => self.log.warn("contact", format_args!("no contact: {}", error.code())),
        }
        result
    }

    async fn contact_inner(self: &Arc<Self>, ticket: &Ticket, purpose: Purpose) -> Result<ButtonState, KeyError> {
        self.fetch_rights(ticket, purpose == Purpose::SignIn).await?;
        self.renew(ticket, purpose != Purpose::Passing).await?;
        self.deliver(ticket).await;
        Ok(self.key_button())
    }

    /// Downloads keys if the member may have any, and if they are due or `anyway`.
    pub(super) async fn renew(self: &Arc<Self>, ticket: &Ticket, anyway: bool) -> Result<(), KeyError> {
        let visible = self.key_button() == ButtonState::Visible;
        let due = anyway || keys_due(&*self.state_of(ticket)?, self.now().wall);
        if visible && due {
            let bundle = self.fetch_keys(ticket).await?;
            self.install(ticket, bundle)?;
        }
        self.arm_renewal(ticket);
        Ok(())
    }

    /// `GET /v1/me`; enrols the device if it has to be, and then asks again.
    pub(super) async fn fetch_rights(self: &Arc<Self>, ticket: &Ticket, anew: bool) -> Result<Rights, KeyError> {
        let asked = self.device(ticket)?.map(|(id, _)| id);
        let rights = self.call(&download::rights(&ticket.session, asked.as_ref())).await?;
        let rights = self.take_rights(ticket, asked.as_ref(), rights)?;
        let may_enrol = match rights.button {
            ButtonState::Visible => true,
            ButtonState::Hidden(reason) => reason == HiddenReason::DeviceNotEnrolled,
        };
        let given_up =
            self.state_of(ticket)?.member.as_ref().is_some_and(|m| m.device.is_some() && m.enrolled().is_none());
        let enrolled = self.device(ticket)?.map(|(id, _)| id);
        // A device enrolled while this answer was under way has to be asked about by its own name.
        let answered = enrolled.is_some() && enrolled == asked;
        if !may_enrol || answered || (given_up && !anew) {
            return Ok(rights);
        }
        let device = self.enrol(ticket, given_up).await?;
        let rights = self.call(&download::rights(&ticket.session, Some(&device))).await?;
        self.take_rights(ticket, Some(&device), rights)
    }

    /// Keeps an answer about rights, and draws the consequences for the device that was asked about.
    fn take_rights(
        self: &Arc<Self>,
        ticket: &Ticket,
        asked: Option<&DeviceId>,
        rights: Rights,
    ) -> Result<Rights, KeyError> {
        let mut changed = false;
        {
            let mut state = self.state_of(ticket)?;
            let State { member, keyring, .. } = &mut *state;
            let member = member.as_mut().ok_or(ErrorCode::NotSignedIn)?;
            if member.id.as_ref().is_some_and(|id| *id != rights.member) {
                // The token's subject is the same and the service knows another member: nothing held is theirs.
                member.device = None;
                *keyring = Keyring::new();
            }
            if member.id.as_ref() != Some(&rights.member) {
                member.id = Some(rights.member.clone());
                changed = true;
            }
            let unknown = rights.button == ButtonState::Hidden(HiddenReason::DeviceNotEnrolled);
            let given_up = |device: &&mut Enrolled| unknown && asked == Some(&device.id) && !device.revoked;
            if let Some(device) = member.device.as_mut().filter(given_up) {
                device.revoked = true;
                *keyring = Keyring::new();
                changed = true;
            }
            keyring.set_rights(rights.clone());
            if changed {
                state.keyring_changed();
            }
        }
        self.button_touched();
        if changed {
            self.save(Entry::Member, ticket.generation)?;
        }
        self.save_keyring_soon();
        Ok(rights)
    }

    /// Proves possession of the device key and has it enrolled. Only one of several callers does it.
    async fn enrol(self: &Arc<Self>, ticket: &Ticket, fresh_key: bool) -> Result<DeviceId, KeyError> {
        let _enrolling = self.enrolling.lock().await;
        if let Some((device, _)) = self.device(ticket)? {
            return Ok(device);
        }
        // The service gave the old key up; a lock may have been told so.
        let public = self.device_key(ticket, fresh_key)?;
        let challenge = self.call(&download::challenge(&ticket.session)).await?;
        let nonce = <&[u8; 32]>::try_from(&challenge.nonce.0[..]).map_err(|_| ErrorCode::ServiceFailed)?;
        let data = AuthenticationData::for_enrolment(nonce);
        let proof = tokio::time::timeout(SIGN_TIMEOUT, sign(&*self.platform.device_key, data)).await;
        let proof = proof.map_err(|_| ErrorCode::DeviceKeyFailed)?.map_err(|error| KeyError::from(&error))?;
        let enrolment = EnrolDevice {
            nonce: challenge.nonce.clone(),
            device_key: Bytes::from(public.as_bytes()),
            proof: Bytes::from(proof.as_bytes()),
            name: self.config.device_name.clone(),
            platform: self.config.platform.clone(),
        };
        let device = self.call(&download::enrol(&ticket.session, &enrolment)).await?;
        {
            let mut state = self.state_of(ticket)?;
            let member = state.member.as_mut().ok_or(ErrorCode::NotSignedIn)?;
            let key = Bytes::from(public.as_bytes());
            member.device = Some(Enrolled { id: device.id.clone(), key, revoked: false });
        }
        self.button_touched();
        if fresh_key {
            // Next to the new key, what the vault holds for the former one would count as damaged.
            self.save(Entry::Keyring, ticket.generation)?;
        }
        self.save(Entry::Member, ticket.generation)?;
        self.log.info("contact", format_args!("the device is enrolled"));
        Ok(device.id)
    }

    /// `POST /v1/keys`, for an enrolled device.
    pub(super) async fn fetch_keys(self: &Arc<Self>, ticket: &Ticket) -> Result<KeyBundle, KeyError> {
        let (device, _) = self.enrolled(ticket)?;
        self.call(&download::keys(&ticket.session, &device)).await
    }

    /// Verifies a download and keeps it.
    pub(super) fn install(self: &Arc<Self>, ticket: &Ticket, bundle: KeyBundle) -> Result<(), KeyError> {
        let (_, key) = self.enrolled(ticket)?;
        let sites = bundle.sites.len();
        {
            let mut state = self.state_of(ticket)?;
            state.keyring.install(bundle, &key, &self.crypto)?;
            state.keyring_changed();
        }
        self.log.info("contact", format_args!("holds keys of {sites} sites"));
        self.save_keyring_soon();
        Ok(())
    }

    pub(super) fn enrolled(&self, ticket: &Ticket) -> Result<(DeviceId, PublicKey), KeyError> {
        self.device(ticket)?.ok_or_else(|| ErrorCode::DeviceNotEnrolled.into())
    }

    /// Hands in audit envelopes and press reports. What can't be handed in now waits for the next contact.
    pub(super) async fn deliver(self: &Arc<Self>, ticket: &Ticket) {
        let _delivering = self.delivering.lock().await;
        if self.deliver_audit(ticket).await.is_ok() && self.deliver_reports(ticket).await.is_ok() {
            return;
        }
        self.log.debug("contact", format_args!("what waits for an upload goes with the next contact"));
    }

    async fn deliver_audit(self: &Arc<Self>, ticket: &Ticket) -> Result<(), KeyError> {
        loop {
            let Some(envelope) = self.state_of(ticket)?.keyring.pending_audit().next().cloned() else { return Ok(()) };
            let upload = download::audit(&ticket.session, envelope.reader_id, &envelope.envelope);
            match self.call(&upload).await {
                Ok(answer) => self.acknowledged(ticket, &envelope, &answer.ack)?,
                Err(error) if waits(error) => return Err(error),
                Err(error) => {
                    self.log.warn("contact", format_args!("the service refused an audit envelope: {}", error.code()));
                    self.state_of(ticket)?.keyring.drop_audit(&envelope);
                }
            }
            self.save_keyring_soon();
        }
    }

    fn acknowledged(&self, ticket: &Ticket, envelope: &AuditEnvelope, ack: &AckToken) -> Result<(), KeyError> {
        self.state_of(ticket)?.keyring.audit_acknowledged(envelope, ack, &self.crypto);
        Ok(())
    }

    async fn deliver_reports(self: &Arc<Self>, ticket: &Ticket) -> Result<(), KeyError> {
        loop {
            let Some(report) = self.state_of(ticket)?.reports.first().cloned() else { return Ok(()) };
            match self.call(&download::press(&ticket.session, &report)).await {
                Ok(()) => {}
                Err(error) if waits(error) => return Err(error),
                Err(error) => {
                    self.log.warn("contact", format_args!("the service refused a press report: {}", error.code()));
                }
            }
            self.state_of(ticket)?.reports.retain(|waiting| *waiting != report);
            self.save(Entry::Outbox, ticket.generation)?;
        }
    }

    /// Sends one call and reads its answer.
    pub(super) async fn call<T: Answer>(&self, call: &Call<T>) -> Result<T, KeyError> {
        let response = self.exchange(&call.request).await?;
        call.read(response.status, &response.body)
    }

    /// Sends a request. In a box, since every call would bring all of it along.
    fn exchange<'a>(
        &'a self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, KeyError>> + Send + 'a>> {
        Box::pin(async move {
            let header = |(name, value): &(&'static str, zeroize::Zeroizing<String>)| HttpHeader {
                name: (*name).to_owned(),
                value: value.clone(),
            };
            // The path may hold identifiers: the log gets what comes before them.
            let shown = request.path.split(['?']).next().unwrap_or_default();
            let shown = shown.split('/').take(3).collect::<Vec<_>>().join("/");
            let sent = HttpRequest {
                method: request.method,
                url: format!("{}{}", self.service, request.path),
                headers: request.headers.iter().map(header).collect(),
                body: request.body.clone().unwrap_or_default(),
                timeout: REQUEST_TIMEOUT,
                max_answer: u32::try_from(MAX_ANSWER).unwrap_or(u32::MAX),
            };
            let begun = self.platform.clock.monotonic_us();
            let method = request.method.as_str();
            let response = exchange(&*self.platform.http, sent).await.map_err(|error| {
                self.log.debug("contact", format_args!("{method} {shown}: {error}"));
                KeyError::from(error)
            })?;
            let took = self.platform.clock.monotonic_us().saturating_sub(begun);
            self.log.debug("contact", format_args!("{method} {shown}: {} in {took} µs", response.status));
            Ok(response)
        })
    }
}

/// Whether keys should be downloaded: they are due, or what they open is not what the service says the member may open.
fn keys_due(state: &State, now: UnixTime) -> bool {
    let keyring = &state.keyring;
    let Some(rights) = keyring.rights() else { return true };
    let differs = rights.doors.iter().filter(|door| door.reader_id.is_some()).any(|door| {
        let held = keyring.door(&door.id).is_some_and(|(_, lock)| lock.opens);
        match door.decision {
            Decision::Allow { .. } => !held,
            Decision::Refuse { reason } => held && reason == keybutton_protocol::api::AccessRefusal::NoPermission,
        }
    });
    keyring.is_due(now) || differs
}

/// Whether an upload is to be tried again at the next contact; anything else the service will never take.
fn waits(error: KeyError) -> bool {
    matches!(
        error.code(),
        ErrorCode::ServiceUnreachable
            | ErrorCode::ServiceFailed
            | ErrorCode::SessionRejected
            | ErrorCode::NotSignedIn
            | ErrorCode::ModuleDisabled
    )
}
