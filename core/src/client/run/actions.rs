//! What the machine says, done.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use keybutton_protocol::api::DoorId;

use super::{
    super::{
        inner::{Inner, Ticket},
        listeners::News,
    },
    Runner, SCAN_AGAIN,
};
use crate::{
    device_key::{authenticate_user, sign},
    error::{ErrorCode, KeyError},
    pending::guarded,
    radio::{PeripheralId, RadioError},
    unlock::{Action, Input, Phase, VendorWord},
    vendor::{VendorRequest, unlock},
};

impl Runner {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Phase(phase) => {
                self.inner.log.debug("press", format_args!("{}", phase.name()));
                if let Phase::Opening(door) = &phase {
                    // However the press ends, a repeat has to go to the lock that was asked.
                    self.asked = true;
                    self.course.options.door = Some(door.clone());
                }
                self.teller.tell(News::Phase(phase));
            }
            Action::Validate => {
                self.ask(|inner, ticket| async move { Input::Rights(inner.fetch_rights(&ticket, false).await) })
            }
            Action::DownloadKeys => {
                self.ask(|inner, ticket| async move { Input::Keys(inner.fetch_keys(&ticket).await) });
            }
            Action::StartScan => self.start_scan(),
            Action::StopScan => {
                self.scan_again = None;
                self.ear.stop_scan();
            }
            Action::Connect(peripheral) => self.connect(peripheral),
            Action::Write(peripheral, value) => self.write(peripheral, value),
            Action::Disconnect(peripheral) => self.disconnect(peripheral),
            Action::Sign(number, data) => self.ask_member(move |inner| async move {
                let signature = sign(&*inner.platform.device_key, data).await;
                Input::Signed(number, signature.map_err(|error| KeyError::from(&error)))
            }),
            Action::AuthenticateUser => self.ask_member(|inner| async move {
                let result = authenticate_user(&*inner.platform.device_key).await;
                Input::UserAuthenticated(result.map_err(|error| KeyError::from(&error)))
            }),
            Action::Apdu(response) => self.answer_reader(response),
            Action::AskVendor(door) => self.ask_vendor(door),
            Action::SaveKeyring => self.inner.save_keyring_soon(),
            Action::StoreAudit { envelope, .. } => {
                self.inner.log.debug("press", format_args!("carries {} bytes of audit", envelope.len()));
            }
            Action::Finish(outcome) => self.finish(*outcome),
            Action::Over => self.done = true,
        }
    }

    /// Has something done that takes time; its result is the machine's next input but one.
    fn ask<F>(&self, work: impl FnOnce(Arc<Inner>, Ticket) -> F)
    where
        F: Future<Output = Input> + Send + 'static,
    {
        self.bring(Box::pin(work(self.inner.clone(), self.ticket.clone())), false);
    }

    /// Has the host ask the member. Ends with the press, so that the host can take its prompt down.
    fn ask_member<F>(&self, work: impl FnOnce(Arc<Inner>) -> F)
    where
        F: Future<Output = Input> + Send + 'static,
    {
        self.bring(Box::pin(work(self.inner.clone())), true);
    }

    /// Has the host's vendor part open a door. The end of the press calls it off.
    fn ask_vendor(&self, door: DoorId) {
        let Some(vendor) = self.inner.platform.vendor.clone() else {
            return self.answer(Input::Vendor(VendorWord::Refused(ErrorCode::UnlockMethodNative)));
        };
        let begun = Duration::from_micros(self.inner.now().moment.since(self.started.moment));
        let vendor_door = self.inner.state_of(&self.ticket).ok().and_then(|state| {
            let doors = &state.keyring.rights()?.doors;
            doors.iter().find(|known| known.id == door)?.vendor_door.clone()
        });
        let request = VendorRequest {
            press: self.course.id,
            door,
            vendor_door,
            intent: self.course.options.intent,
            deadline: self.course.options.deadline.saturating_sub(begun),
        };
        self.ask_member(move |_| async move { Input::Vendor(unlock(vendor, request).await) });
    }

    fn bring(&self, work: Pin<Box<dyn Future<Output = Input> + Send>>, ends_with_press: bool) {
        let answers = self.answers.0.clone();
        let spawned = self.inner.spawn(async move {
            tokio::select! {
                () = answers.closed(), if ends_with_press => {}
                answer = work => {
                    // The press may have ended meanwhile.
                    let _ = answers.send(answer);
                }
            }
        });
        if spawned.is_err() {
            self.inner.log.error("press", format_args!("no thread for a question"));
        }
    }

    pub(super) fn start_scan(&mut self) {
        self.scan_again = None;
        match self.ear.start_scan() {
            Ok(()) => {}
            Err(RadioError::Unavailable) => {
                self.radio = self.inner.hub.radio().state();
                self.answer(Input::RadioState(self.radio));
            }
            Err(error) => {
                self.inner.log.warn("press", format_args!("no scan yet: {error}"));
                self.scan_again = Some(Instant::now() + SCAN_AGAIN);
            }
        }
    }

    fn connect(&mut self, peripheral: PeripheralId) {
        let mut result = Err(RadioError::ConnectFailed);
        let (link, events) = self.inner.hub.link_events();
        guarded(|| result = self.inner.hub.radio().connect(peripheral.clone(), events));
        match result {
            Ok(()) => self.link = Some(link),
            Err(error) => self.answer(Input::Disconnected(peripheral, error)),
        }
    }

    fn write(&self, peripheral: PeripheralId, value: Vec<u8>) {
        let mut result = Err(RadioError::LinkLost);
        guarded(|| result = self.inner.hub.radio().write(peripheral.clone(), value));
        if let Err(error) = result {
            // A link that takes no more is worth nothing; its end comes back as an event.
            self.inner.log.debug("press", format_args!("could not send: {error}"));
            self.disconnect(peripheral);
        }
    }

    fn disconnect(&self, peripheral: PeripheralId) {
        guarded(|| self.inner.hub.radio().disconnect(peripheral));
    }

    fn answer(&self, input: Input) {
        // Both ends are ours.
        let _ = self.answers.0.send(input);
    }
}
