//! What every scenario begins with, and how it waits: for events and outcomes, never for time to pass.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use keybutton::{
    Outcome, Phase, PressOptions, PressOutcome,
    doctor::{Check, CheckName, CheckResult},
    outcome::{LockReport, Refusal},
    radio::air::{AirControl, Broker, BrokerOptions, Knobs, Participant},
};
use keybutton_desktop::{
    failure::Failure,
    lock_host::{LockEvent, LockFolder, LockOptions, VirtualLock},
    organization::{DoorWish, Organization},
    phone::{News, Phone, PhoneOptions, Pressing},
    service_host::ServiceHost,
    state::StateDir,
};
use keybutton_lock::Event;
use keybutton_protocol::{
    api::{AccessGroupId, ButtonState, DoorId, HiddenReason, MemberId},
    ids::UnlockId,
    verdict::Reason,
};
use keybutton_service::operator::{GroupInfo, PressInfo, SiteRevocations};
use serde::{Serialize, de::IgnoredAny};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::broadcast;

/// Long enough for anything that happens at all, also on a busy machine: a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bluetooth at its quickest.
pub fn quick() -> Knobs {
    Knobs {
        advertising_interval: Duration::from_millis(20),
        connection_interval: Duration::from_micros(7_500),
        setup_events: 2,
        ..Knobs::default()
    }
}

/// An organization with mobile access on, and an air.
pub struct World {
    pub organization: Organization,
    pub air: AirControl,
    pub state: StateDir,
    service: Option<ServiceHost>,
    broker: Option<Broker>,
    // Last, so that everything in it is closed before it is removed.
    _dir: TempDir,
}

/// A door with its lock.
pub struct Door {
    pub id: DoorId,
    pub name: String,
    options: LockOptions,
    lock: Option<VirtualLock>,
}

impl World {
    pub async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let state = StateDir::open(Some(dir.path().to_owned())).unwrap();
        let service = ServiceHost::start(&state.service().unwrap(), ([127, 0, 0, 1], 0).into()).await.unwrap();
        let organization = Organization::found(&service, "Harbour").await.unwrap();
        organization.set_module(true).await.unwrap();
        let broker = Broker::listen(([127, 0, 0, 1], 0).into(), BrokerOptions { seed: 7 }).await.unwrap();
        let air = AirControl::join(broker.endpoint()).await.unwrap();
        Self { organization, air, state, service: Some(service), broker: Some(broker), _dir: dir }
    }

    /// A world with one door, one group that opens it, and one member of it whose phone has its key.
    pub async fn with_ann() -> (Self, Door, AccessGroupId, Phone) {
        let world = Self::new().await;
        let door = world.door("Front", 0.0).await;
        let group = world.group("Members", &[&door]).await;
        world.member("Ann", &[&group]).await;
        let ann = world.signed_in("Ann").await;
        (world, door, group, ann)
    }

    /// Adds a door at `x` metres, and puts a lock on it that has claimed itself.
    pub async fn door(&self, name: &str, x: f32) -> Door {
        let wish = DoorWish { open_time_ds: 5, ..DoorWish::named(name) };
        let id = self.organization.add_door(wish).await.unwrap();
        let folder = self.state.lock(name).unwrap();
        let code = self.organization.claim_code(&id).await.unwrap();
        LockFolder::new(folder.clone()).claim(self.organization.client(), &code).await.unwrap();
        let mut options = LockOptions::new(folder, self.broker().endpoint().clone(), name);
        options.participant = options.participant.at(x, 0.0).with(quick());
        options.bolt_travel = Duration::from_millis(10);
        let lock = Some(VirtualLock::start(options.clone()).await.unwrap());
        Door { id, name: name.to_owned(), options, lock }
    }

    pub async fn group(&self, name: &str, doors: &[&Door]) -> AccessGroupId {
        self.special_group(name, doors, json!({})).await
    }

    /// A group with a schedule or restrictions.
    pub async fn special_group(&self, name: &str, doors: &[&Door], more: Value) -> AccessGroupId {
        let doors: Vec<_> = doors.iter().map(|door| &door.id).collect();
        let mut group = json!({ "name": name, "doors": doors });
        group.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made: GroupInfo = self.organization.client().post("/v1/operator/groups", &group).await.unwrap();
        made.id
    }

    pub async fn member(&self, name: &str, groups: &[&AccessGroupId]) -> MemberId {
        let member = self.organization.add_member(name).await.unwrap();
        for group in groups {
            self.organization.grant(&member, group).await.unwrap();
        }
        member
    }

    pub async fn patch(&self, path: &str, change: &impl Serialize) {
        let path = format!("/v1/operator/{path}");
        self.organization.client().patch::<IgnoredAny>(&path, change).await.unwrap();
    }

    pub async fn take(&self, member: &MemberId, group: &AccessGroupId) {
        let path = format!("/v1/operator/members/{member}/groups/{group}");
        self.organization.client().delete::<()>(&path).await.unwrap();
    }

    pub async fn presses(&self) -> Vec<PressInfo> {
        self.organization.client().get("/v1/operator/presses").await.unwrap()
    }

    /// The press as the operator sees it.
    pub async fn press(&self, id: UnlockId) -> PressInfo {
        let mut presses = self.presses().await;
        presses.retain(|press| press.press.0 == id.as_bytes());
        assert_eq!(presses.len(), 1, "{presses:?}");
        presses.remove(0)
    }

    pub async fn revocations(&self) -> SiteRevocations {
        let mut sites: Vec<SiteRevocations> = self.organization.client().get("/v1/operator/revocations").await.unwrap();
        assert_eq!(sites.len(), 1);
        sites.remove(0)
    }

    /// What a phone is started with; it stands near the first door.
    pub fn phone_options(&self, name: &str) -> PhoneOptions {
        PhoneOptions {
            folder: self.vault(name),
            endpoint: self.broker().endpoint().clone(),
            participant: Participant::named(name).at(1.0, 0.0).with(quick()),
            service: self.organization.client().base().to_owned(),
            app: self.organization.app().clone(),
        }
    }

    pub async fn phone(&self, name: &str) -> Phone {
        Phone::start(self.phone_options(name)).await.unwrap()
    }

    pub fn vault(&self, name: &str) -> PathBuf {
        self.state.phone(name).unwrap()
    }

    /// A member's phone, with the key on it.
    pub async fn signed_in(&self, member: &str) -> Phone {
        let phone = self.phone(member).await;
        self.sign_in(&phone, member).await;
        phone
    }

    pub async fn sign_in(&self, phone: &Phone, member: &str) {
        let state = phone.sign_in(self.organization.token(member).unwrap()).await.unwrap();
        assert_eq!(state, ButtonState::Visible, "{member} signs in");
    }

    pub async fn stop_service(&mut self) {
        self.service.take().unwrap().stop().await.unwrap();
    }

    /// Stops the service and starts it again on the same database, at the same address.
    pub async fn restart_service(&mut self) {
        self.stop_service().await;
        let address = self.organization.client().base().strip_prefix("http://").unwrap().parse().unwrap();
        self.service = Some(ServiceHost::start(&self.state.service().unwrap(), address).await.unwrap());
    }

    pub fn stop_air(&mut self) {
        self.broker = None;
    }

    /// Switches a phone's radio on, and waits until the phone knows.
    pub async fn switch_on(&self, phone: &Phone, name: &str) {
        self.air.set_radio(name, true).await.unwrap();
        let on = Check { name: CheckName::Radio, result: CheckResult::Passed };
        patiently(async { while !phone.keys().doctor().unwrap().done().await.unwrap().contains(&on) {} }).await;
    }

    /// Waits until nobody on the air has this name any more.
    pub async fn left(&self, name: &str) {
        patiently(async { while self.air.participants().await.unwrap().iter().any(|who| who.name == name) {} }).await;
    }

    /// Waits until nobody on the air has a link any more.
    pub async fn no_links(&self) {
        patiently(async { while self.air.participants().await.unwrap().iter().any(|who| who.links > 0) {} }).await;
    }

    /// How many links there were since the last call.
    pub async fn links(&self) -> usize {
        self.air.take_links().await.unwrap().len()
    }

    /// Where the air is to be joined from outside.
    pub fn air_address(&self) -> String {
        self.broker().address().unwrap().to_string()
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }
}

impl Door {
    pub fn lock(&self) -> &VirtualLock {
        self.lock.as_ref().unwrap()
    }

    pub fn options(&self) -> PressOptions {
        PressOptions::door(self.id.clone())
    }

    /// How often the bolt was withdrawn, once it is back in its place.
    pub async fn openings(&self) -> u32 {
        let rested = self.lock().wait_for(|view| !view.moving && !view.withdrawn);
        patiently(rested).await.unwrap().openings
    }

    /// Stops the lock for good: its folder is somebody else's from now on.
    pub async fn hand_over(&mut self, world: &World) {
        drop(self.lock.take());
        world.left(&self.name).await;
    }

    /// Cuts the lock's power and starts it again on the same store.
    pub async fn restart(&mut self, world: &World) {
        drop(self.lock.take());
        world.left(&self.name).await;
        self.lock = Some(VirtualLock::start(self.options.clone()).await.unwrap());
    }
}

/// Fails a test that would wait for ever.
pub async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("nothing happened for a minute")
}

/// Waits for what the lock reports.
pub async fn report(events: &mut broadcast::Receiver<LockEvent>, mut is_it: impl FnMut(&Event) -> bool) -> Event {
    patiently(async {
        loop {
            match events.recv().await.unwrap() {
                LockEvent::Happened(event) if is_it(&event) => return event,
                _ => {}
            }
        }
    })
    .await
}

/// Presses for a door and waits for the outcome.
pub async fn press(phone: &Phone, door: &Door) -> PressOutcome {
    press_with(phone, door.options()).await
}

pub async fn press_with(phone: &Phone, options: PressOptions) -> PressOutcome {
    outcome_of(phone.press(options).unwrap()).await
}

/// Presses, and waits until lock, phone and service have exchanged everything.
pub async fn press_and_settle(phone: &Phone, door: &Door) -> PressOutcome {
    let pressing = phone.press(door.options()).unwrap();
    let settled = pressing.press().settled().clone();
    let outcome = outcome_of(pressing).await;
    patiently(settled.done()).await;
    outcome
}

/// Waits for the outcome.
pub async fn outcome_of(mut pressing: Pressing) -> PressOutcome {
    patiently(pressing.outcome()).await.unwrap()
}

/// The outcome of a press, once it is certain that it has only one, and that it was the last that was told.
pub async fn only_outcome_of(mut pressing: Pressing) -> PressOutcome {
    patiently(async {
        let outcome = loop {
            if let News::Outcome(outcome) = pressing.next().await.unwrap() {
                break outcome;
            }
        };
        assert_eq!(pressing.press().outcome().get().as_ref(), Some(&*outcome), "handle and listener say the same");
        assert_eq!(pressing.next().await.unwrap_err().code, "press-dropped", "nothing comes after the outcome");
        *outcome
    })
    .await
}

/// Waits for a phase.
pub async fn reach(pressing: &mut Pressing, name: &str) -> Phase {
    patiently(async {
        loop {
            match pressing.next().await.unwrap() {
                News::Phase(phase) if phase.name() == name => return phase,
                News::Phase(_) => {}
                News::Outcome(outcome) => panic!("{name} was not reached: {outcome:?}"),
            }
        }
    })
    .await
}

pub fn opened(outcome: &PressOutcome) -> LockReport {
    match &outcome.outcome {
        Outcome::Opened(report) => *report,
        other => panic!("not opened: {other:?} {:?}", outcome.metrics),
    }
}

/// The lock itself refused, for this reason.
pub fn refused_by_lock(outcome: &PressOutcome, code: &str) {
    let refusal = refused(outcome, code);
    assert!(refusal.lock.is_some(), "the lock did not say it: {refusal:?}");
}

/// The press was refused before the lock was asked.
pub fn refused_by_phone(outcome: &PressOutcome, code: &str) {
    let refusal = refused(outcome, code);
    assert!(refusal.lock.is_none(), "the lock said it: {refusal:?}");
}

fn refused<'a>(outcome: &'a PressOutcome, code: &str) -> &'a Refusal {
    match &outcome.outcome {
        Outcome::Refused(refusal) if refusal.code.as_str() == code => {
            assert!(!refusal.remedy().is_empty());
            refusal
        }
        other => panic!("not refused with {code}: {other:?} {:?}", outcome.metrics),
    }
}

pub fn unconfirmed(outcome: &PressOutcome, code: &str) {
    match &outcome.outcome {
        Outcome::Unconfirmed(cause) if cause.code().as_str() == code => {}
        other => panic!("not unconfirmed with {code}: {other:?} {:?}", outcome.metrics),
    }
}

/// The phases a press went through.
pub fn phases(outcome: &PressOutcome) -> BTreeSet<&str> {
    outcome.metrics.phases.iter().map(|time| time.phase.as_str()).collect()
}

pub const fn hidden(reason: HiddenReason) -> ButtonState {
    ButtonState::Hidden(reason)
}

/// The code of a failure.
pub fn code<T>(result: Result<T, Failure>) -> String {
    match result {
        Ok(_) => panic!("did not fail"),
        Err(failure) => {
            assert!(!failure.remedy.is_empty(), "{failure}");
            failure.code
        }
    }
}

pub const fn is_verdict(event: &Event, wanted: Reason) -> bool {
    matches!(event, Event::Verdict { reason, .. } if reason.code() == wanted.code())
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
