//! An organization, two doors with their locks and two members with their phones, each on an adapter of its own.

use std::{path::PathBuf, sync::Arc, time::Duration};

use keybutton::{
    Outcome, PressOptions, PressOutcome,
    radio::{Radio, air::Endpoint, btleplug::BtleplugRadio},
};
use keybutton_desktop::{
    bluetooth::open_btleplug,
    lock_host::{Fittings, LockFolder, LockOptions, VirtualLock},
    organization::{DoorWish, Organization},
    phone::{Phone, Pressing},
    service_host::ServiceHost,
    state::StateDir,
};
use keybutton_protocol::api::{AccessGroupId, ButtonState, DoorId, MemberId};
use tempfile::TempDir;

use crate::{air::Air, bluez};

/// Long enough for anything that happens at all under emulation on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a press may take here: BlueZ alone takes two seconds to drop each link before.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub struct World {
    /// Where it can be told who is in range.
    pub air: Option<Air>,
    pub organization: Organization,
    pub front: Door,
    pub back: Door,
    pub ann: Member,
    pub bob: Member,
    pub group: AccessGroupId,
    state: StateDir,
    service: Option<ServiceHost>,
    _dir: TempDir,
}

pub struct Door {
    pub id: DoorId,
    pub name: &'static str,
    pub adapter: &'static str,
    options: LockOptions,
    lock: Option<VirtualLock>,
}

pub struct Member {
    pub id: MemberId,
    pub adapter: &'static str,
    pub phone: Phone,
    /// The phone's radio, where it is the computer's own.
    btleplug: Option<Arc<BtleplugRadio>>,
}

impl World {
    pub async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let state = StateDir::open(Some(dir.path().to_owned())).unwrap();
        let service = ServiceHost::start(&state.service().unwrap(), ([127, 0, 0, 1], 0).into()).await.unwrap();
        let organization = Organization::found(&service, "Harbour").await.unwrap();
        organization.set_module(true).await.unwrap();
        let front = Door::put(&organization, state.lock("Front").unwrap(), "Front", "hci0").await;
        let back = Door::put(&organization, state.lock("Back").unwrap(), "Back", "hci1").await;
        let doors = [front.id.clone(), back.id.clone()];
        let group = organization.add_group("Members", &doors).await.unwrap();
        let ann = Member::join(&organization, &group, state.phone("Ann").unwrap(), "Ann", "hci2").await;
        let bob = Member::join(&organization, &group, state.phone("Bob").unwrap(), "Bob", "hci3").await;
        let (air, service) = (Air::reach(), Some(service));
        Self { air, organization, front, back, ann, bob, group, state, service, _dir: dir }
    }

    /// One more member, whose phone has this radio; `adapter` is what the air calls it.
    pub async fn join_by(&self, name: &str, radio: Arc<dyn Radio>, adapter: &'static str) -> Member {
        let vault = self.state.phone(name).unwrap();
        Member::join_by(&self.organization, &self.group, vault, name, radio, adapter).await
    }

    /// One more door, whose lock stands on a simulated air; `adapter` is what the real one calls its radio. Ann may open it.
    pub async fn put_on_air(&self, name: &'static str, endpoint: &Endpoint, mtu: u16, adapter: &'static str) -> Door {
        let folder = self.state.lock(name).unwrap();
        let mut options = LockOptions::new(folder, endpoint.clone(), name);
        options.participant.knobs.mtu = mtu;
        let door = Door::put_with(&self.organization, options, name, adapter).await;
        let group = self.organization.add_group(name, std::slice::from_ref(&door.id)).await.unwrap();
        self.organization.grant(&self.ann.id, &group).await.unwrap();
        self.ann.phone.refresh().await.unwrap();
        door
    }

    pub async fn close(mut self) {
        self.front.power_cut();
        self.back.power_cut();
        if let Some(service) = self.service.take() {
            service.stop().await.unwrap();
        }
    }
}

impl Door {
    async fn put(organization: &Organization, folder: PathBuf, name: &'static str, adapter: &'static str) -> Self {
        let options = LockOptions::bluetooth(folder, Some(adapter.to_owned()), name);
        Self::put_with(organization, options, name, adapter).await
    }

    async fn put_with(
        organization: &Organization,
        mut options: LockOptions,
        name: &'static str,
        adapter: &'static str,
    ) -> Self {
        let id = organization.add_door(DoorWish { open_time_ds: 5, ..DoorWish::named(name) }).await.unwrap();
        let code = organization.claim_code(&id).await.unwrap();
        LockFolder::new(options.folder.clone()).claim(organization.client(), &code).await.unwrap();
        options.bolt_travel = Duration::from_millis(10);
        let lock = Some(start(&options, name).await);
        Self { id, name, adapter, options, lock }
    }

    pub fn lock(&self) -> &VirtualLock {
        self.lock.as_ref().unwrap()
    }

    pub fn press_options(&self) -> PressOptions {
        PressOptions { deadline: DEADLINE, ..PressOptions::door(self.id.clone()) }
    }

    /// How often the bolt was withdrawn, once it is back in its place.
    pub async fn openings(&self) -> u32 {
        patiently(self.lock().wait_for(|view| !view.moving && !view.withdrawn)).await.unwrap().openings
    }

    /// Stops the lock.
    pub fn power_cut(&mut self) {
        self.lock = None;
    }

    /// How the lock runs.
    pub fn options(&self) -> LockOptions {
        self.options.clone()
    }

    /// Starts the lock again on the same store, with other fittings.
    pub async fn refit(&mut self, fittings: Fittings) {
        self.power_cut();
        self.options.fittings = fittings;
        self.power_up().await;
    }

    /// Starts the lock again on the same store.
    pub async fn power_up(&mut self) {
        self.lock = Some(start(&self.options, self.name).await);
    }
}

/// Starts a lock, and logs what happens at it.
async fn start(options: &LockOptions, name: &'static str) -> VirtualLock {
    let lock = VirtualLock::start(options.clone()).await.unwrap();
    let mut events = lock.events();
    tokio::spawn(async move {
        while let Ok(event) = events.recv().await {
            tracing::debug!("{name}: {event:?}");
        }
    });
    lock
}

impl Member {
    async fn join(
        organization: &Organization,
        group: &AccessGroupId,
        vault: PathBuf,
        name: &str,
        adapter: &'static str,
    ) -> Self {
        let radio = open_btleplug(Some(adapter)).await.unwrap();
        let member = Self::join_by(organization, group, vault, name, radio.clone(), adapter).await;
        Self { btleplug: Some(radio), ..member }
    }

    async fn join_by(
        organization: &Organization,
        group: &AccessGroupId,
        vault: PathBuf,
        name: &str,
        radio: Arc<dyn Radio>,
        adapter: &'static str,
    ) -> Self {
        let id = organization.add_member(name).await.unwrap();
        organization.grant(&id, group).await.unwrap();
        let service = organization.client().base().to_owned();
        let phone = Phone::with_radio(radio, &vault, name.to_owned(), service, organization.app().clone()).unwrap();
        assert_eq!(phone.sign_in(organization.token(name).unwrap()).await.unwrap(), ButtonState::Visible);
        Self { id, adapter, phone, btleplug: None }
    }

    pub fn radio(&self) -> &Arc<BtleplugRadio> {
        self.btleplug.as_ref().unwrap()
    }

    /// Presses for a door and waits until phone, lock and service have exchanged everything.
    pub async fn press(&self, door: &Door) -> PressOutcome {
        self.press_with(door.press_options()).await
    }

    pub async fn press_with(&self, options: PressOptions) -> PressOutcome {
        settle(self.phone.press(options).unwrap()).await
    }

    /// Waits until the phone has no link: BlueZ takes two seconds to drop one.
    pub async fn unlinked(&self) {
        patiently(async {
            while bluez::is_linked(self.adapter) {
                tokio::task::yield_now().await
            }
        })
        .await;
    }
}

/// Waits until phone, lock and service have exchanged everything that a press is about.
pub async fn settle(mut pressing: Pressing) -> PressOutcome {
    let settled = pressing.press().settled().clone();
    let outcome = patiently(pressing.outcome()).await.unwrap();
    patiently(settled.done()).await;
    outcome
}

pub async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("nothing happened for two minutes")
}

pub fn opened(outcome: &PressOutcome) {
    assert!(matches!(outcome.outcome, Outcome::Opened(_)), "not opened: {outcome:?}");
}

/// The press ended without an opening, for this reason.
pub fn refused(outcome: &PressOutcome, code: &str) {
    match &outcome.outcome {
        Outcome::Refused(refusal) if refusal.code.as_str() == code => {}
        other => panic!("not refused with {code}: {other:?} {:?}", outcome.metrics),
    }
}
