//! What the demo's story adds to a stage: two phones, and who is who.

use std::time::Duration;

use keybutton::{
    press::PressOptions,
    radio::air::{AirControl, Knobs, Participant},
};
use keybutton_protocol::api::AccessGroupId;

use super::{DemoOptions, story::Reporter};
use crate::{
    failure::Failure,
    lock_host::LockView,
    organization::Organization,
    phone::{PATIENCE, Phone, PhoneOptions},
    stage::{self, DoorPlan, GroupPlan, Plan},
};

pub(super) const ORGANIZATION: &str = "Harbour Coworking";
pub(super) const ANN: &str = "Ann";
pub(super) const BEN: &str = "Ben";
const GROUP: &str = "Members";

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
    ann: Phone,
    ben: Phone,
    stage: stage::Stage,
}

impl Stage {
    /// Starts every part. The organization has its doors and an access group, but no member and no mobile access yet.
    pub(super) async fn set(options: DemoOptions, reporter: &mut dyn Reporter) -> Result<Self, Failure> {
        let stage = stage::Stage::set(&plan(), None, options.seed, &mut |what| reporter.doing(what)).await?;
        reporter.doing("starting two phones");
        let ann = phone_of(&stage, Who::Ann).await?;
        let ben = phone_of(&stage, Who::Ben).await?;
        Ok(Self { ann, ben, stage })
    }

    /// Stops what still runs.
    pub(super) async fn clear(&mut self) -> Result<(), Failure> {
        self.stage.clear().await
    }

    pub(super) async fn stop_service(&mut self) -> Result<(), Failure> {
        self.stage.set_service(false).await
    }

    pub(super) fn organization(&self) -> &Organization {
        self.stage.organization()
    }

    pub(super) fn air(&self) -> &AirControl {
        self.stage.air()
    }

    /// The access group that opens the front door.
    pub(super) fn group(&self) -> Result<&AccessGroupId, Failure> {
        self.stage.group(GROUP)
    }

    pub(super) fn phone(&self, who: Who) -> &Phone {
        match who {
            Who::Ann => &self.ann,
            Who::Ben => &self.ben,
        }
    }

    pub(super) fn options(&self, door: Door) -> Result<PressOptions, Failure> {
        Ok(PressOptions::door(self.stage.door(door.name())?.id().clone()))
    }

    pub(super) fn view(&self, door: Door) -> Result<LockView, Failure> {
        Ok(self.stage.door(door.name())?.lock()?.view())
    }

    /// Waits until the bolt is back in its place.
    pub(super) async fn rested(&self, door: Door) -> Result<LockView, Failure> {
        let rested = self.stage.door(door.name())?.lock()?.wait_for(|view| !view.moving && !view.withdrawn);
        tokio::time::timeout(PATIENCE, rested).await.unwrap_or_else(|_| self.view(door))
    }

    /// Waits until the lock shows what it decided, and its bolt rests. A lock that shows nothing is seen as it is.
    pub(super) async fn settled(&self, door: Door, before: &LockView, shows: bool) -> Result<LockView, Failure> {
        let before = before.answers;
        let lock = self.stage.door(door.name())?.lock()?;
        let settled = lock.wait_for(|view| !view.moving && (!shows || view.answers > before));
        tokio::time::timeout(LOCK_PATIENCE, settled).await.unwrap_or_else(|_| self.view(door))
    }
}

/// Radios and bolts as in a house: the report's times are to mean something. Doors stay open shortly, so that the story
/// moves on.
fn plan() -> Plan {
    Plan {
        organization: ORGANIZATION,
        doors: vec![DoorPlan { name: Door::Front.name(), x: 0.0 }, DoorPlan { name: Door::Server.name(), x: 6.0 }],
        groups: vec![GroupPlan { name: GROUP, doors: const { &[Door::Front.name()] } }],
        members: Vec::new(),
        module: false,
        knobs: Knobs::default(),
        bolt_travel: Duration::from_millis(60),
        open_time_ds: 5,
    }
}

async fn phone_of(stage: &stage::Stage, who: Who) -> Result<Phone, Failure> {
    Phone::start(PhoneOptions {
        folder: stage.state().phone(who.name())?,
        endpoint: stage.broker().endpoint().clone(),
        participant: Participant::named(who.name()).at(3.0, 1.0),
        service: stage.organization().client().base().to_owned(),
        app: stage.organization().app().clone(),
    })
    .await
}
