//! Everything the demo runs with, in one temporary directory.

use std::time::Duration;

use keybutton::{
    press::PressOptions,
    radio::air::{AirControl, Broker, BrokerOptions, Participant},
};
use keybutton_protocol::api::{AccessGroupId, DoorId};
use tempfile::TempDir;

use super::{DemoOptions, story::Reporter};
use crate::{
    failure::Failure,
    lock_host::{LockFolder, LockOptions, LockView, VirtualLock},
    organization::{DoorWish, Organization},
    phone::{PATIENCE, Phone, PhoneOptions},
    service_host::ServiceHost,
    state::StateDir,
};

pub(super) const ORGANIZATION: &str = "Harbour Coworking";
pub(super) const ANN: &str = "Ann";
pub(super) const BEN: &str = "Ben";

/// How long the demo's doors stay open, tenths of a second: short, so that the story moves on.
const OPEN_TIME_DS: u16 = 5;

/// How long a lock may take to show what it decided.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// The members of the story.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Ann,
    Ben,
}

impl Who {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ann => ANN,
            Self::Ben => BEN,
        }
    }
}

/// The doors of the story.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Door {
    Front,
    Server,
}

impl Door {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Front => "Front door",
            Self::Server => "Server room",
        }
    }
}

/// The parts of the demo.
pub(super) struct Stage {
    pub(super) organization: Organization,
    pub(super) air: AirControl,
    pub(super) group: AccessGroupId,
    front: (DoorId, VirtualLock),
    server: (DoorId, VirtualLock),
    ann: Phone,
    ben: Phone,
    service: Option<ServiceHost>,
    _broker: Broker,
    // Last, so that everything in it is closed before it is removed.
    _dir: TempDir,
}

impl Stage {
    /// Starts every part. The organization has its doors and an access group, but no member and no mobile access yet.
    pub(super) async fn set(options: DemoOptions, reporter: &mut dyn Reporter) -> Result<Self, Failure> {
        let dir = TempDir::new().map_err(|error| Failure::file(&std::env::temp_dir(), &error))?;
        let state = StateDir::open(Some(dir.path().to_owned()))?;

        reporter.doing("starting the access service on an empty database");
        let service = ServiceHost::start(&state.service()?, ([127, 0, 0, 1], 0).into()).await?;
        let organization = Organization::found(&service, ORGANIZATION).await?;

        reporter.doing("starting the air and two locks, which claim themselves");
        let broker = Broker::listen(([127, 0, 0, 1], 0).into(), BrokerOptions { seed: options.seed }).await?;
        let air = AirControl::join(broker.endpoint()).await?;
        let front = Self::lock(&state, &organization, &broker, Door::Front, 0.0).await?;
        let server = Self::lock(&state, &organization, &broker, Door::Server, 6.0).await?;
        let group = organization.add_group("Members", std::slice::from_ref(&front.0)).await?;

        reporter.doing("starting two phones");
        let ann = Self::phone_of(&state, &organization, &broker, Who::Ann).await?;
        let ben = Self::phone_of(&state, &organization, &broker, Who::Ben).await?;
        Ok(Self {
            organization,
            air,
            group,
            front,
            server,
            ann,
            ben,
            service: Some(service),
            _broker: broker,
            _dir: dir,
        })
    }

    /// Stops what still runs.
    pub(super) async fn clear(&mut self) -> Result<(), Failure> {
        self.stop_service().await
    }

    pub(super) async fn stop_service(&mut self) -> Result<(), Failure> {
        match self.service.take() {
            Some(service) => service.stop().await,
            None => Ok(()),
        }
    }

    pub(super) fn phone(&self, who: Who) -> &Phone {
        match who {
            Who::Ann => &self.ann,
            Who::Ben => &self.ben,
        }
    }

    pub(super) fn options(&self, door: Door) -> PressOptions {
        PressOptions::door(self.door(door).0.clone())
    }

    pub(super) fn view(&self, door: Door) -> LockView {
        self.door(door).1.view()
    }

    /// Waits until the bolt is back in its place.
    pub(super) async fn rested(&self, door: Door) -> Result<LockView, Failure> {
        let rested = self.door(door).1.wait_for(|view| !view.moving && !view.withdrawn);
        tokio::time::timeout(PATIENCE, rested).await.unwrap_or_else(|_| Ok(self.view(door)))
    }

    /// Waits until the lock shows what it decided, and its bolt rests. A lock that shows nothing is seen as it is.
    pub(super) async fn settled(&self, door: Door, before: &LockView, shows: bool) -> Result<LockView, Failure> {
        let before = before.answers;
        let settled = self.door(door).1.wait_for(|view| !view.moving && (!shows || view.answers > before));
        tokio::time::timeout(LOCK_PATIENCE, settled).await.unwrap_or_else(|_| Ok(self.view(door)))
    }

    fn door(&self, door: Door) -> &(DoorId, VirtualLock) {
        match door {
            Door::Front => &self.front,
            Door::Server => &self.server,
        }
    }

    async fn lock(
        state: &StateDir,
        organization: &Organization,
        broker: &Broker,
        door: Door,
        x: f32,
    ) -> Result<(DoorId, VirtualLock), Failure> {
        let id = organization.add_door(DoorWish { open_time_ds: OPEN_TIME_DS, ..DoorWish::named(door.name()) }).await?;
        let folder = state.lock(door.name())?;
        let code = organization.claim_code(&id).await?;
        LockFolder::new(folder.clone()).claim(organization.client(), &code).await?;
        let mut options = LockOptions::new(folder, broker.endpoint().clone(), door.name());
        options.participant = options.participant.at(x, 0.0);
        Ok((id, VirtualLock::start(options).await?))
    }

    async fn phone_of(
        state: &StateDir,
        organization: &Organization,
        broker: &Broker,
        who: Who,
    ) -> Result<Phone, Failure> {
        Phone::start(PhoneOptions {
            folder: state.phone(who.name())?,
            endpoint: broker.endpoint().clone(),
            participant: Participant::named(who.name()).at(3.0, 1.0),
            service: organization.client().base().to_owned(),
            app: organization.app().clone(),
        })
        .await
    }
}
