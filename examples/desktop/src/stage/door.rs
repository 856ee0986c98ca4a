use std::time::Duration;

use keybutton::radio::air::Endpoint;
use keybutton_lock::feedback::Light;
use keybutton_protocol::api::DoorId;
use serde::Serialize;

use super::{DoorPlan, Plan};
use crate::{
    failure::Failure,
    lock_host::{LockFolder, LockOptions, LockView, VirtualLock},
    organization::{DoorWish, Organization},
    press_report::colour,
    state::StateDir,
};

/// A door of the stage with its lock.
#[derive(Debug)]
pub struct Door {
    id: DoorId,
    name: String,
    options: LockOptions,
    lock: Option<VirtualLock>,
    /// What the lock did before its power was cut last.
    before: Tally,
}

/// What a lock has done since the stage was set, power cuts or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Tally {
    /// How often the bolt was withdrawn.
    pub bolt_moves: u32,
    /// How often light and sound answered a phone.
    pub answers: u32,
    /// How many verdicts it gave, repeated ones included.
    pub verdicts: u32,
    /// How many newer revocation documents it took from phones.
    pub revocations: u32,
    /// The newest audit record that it handed over to a phone.
    pub audit_handed_over: u32,
    /// The newest audit record that the service is known to have.
    pub audit_acknowledged: u32,
}

/// What one sees of a lock.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Sight {
    #[serde(flatten)]
    tally: Tally,
    /// It has power.
    powered: bool,
    /// The light now: `green`, `red`, `amber` or `off`.
    light: &'static str,
    /// The tone now, Hz; 0 is silence.
    tone_hz: u16,
    /// What it showed last to a phone: the colour it is known by and the tones, Hz.
    shown: Option<Shown>,
    /// The bolt is on its way.
    moving: bool,
    /// The bolt is withdrawn.
    withdrawn: bool,
    /// How many phones are linked.
    links: u32,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
struct Shown {
    light: Option<&'static str>,
    tones_hz: Vec<u16>,
}

/// What a lock is waited for: everything that is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Wish {
    pub(super) bolt_moves: Option<u32>,
    pub(super) answers: Option<u32>,
    pub(super) verdicts: Option<u32>,
    pub(super) revocations: Option<u32>,
    pub(super) audit_handed_over: Option<u32>,
    pub(super) links: Option<u32>,
    pub(super) at_rest: bool,
}

impl Door {
    /// Puts a lock on a door, which claims itself unless it has.
    pub(super) async fn put(
        door: &DoorPlan,
        plan: &Plan,
        state: &StateDir,
        organization: &Organization,
        endpoint: &Endpoint,
    ) -> Result<Self, Failure> {
        let id = match organization.find_door(door.name).await? {
            Some(id) => id,
            None => {
                let wish = DoorWish { open_time_ds: plan.open_time_ds, ..DoorWish::named(door.name) };
                organization.add_door(wish).await?
            }
        };
        let path = state.lock(door.name)?;
        let folder = LockFolder::new(path.clone());
        if !folder.is_claimed() {
            let code = organization.claim_code(&id).await?;
            folder.claim(organization.client(), &code).await?;
        }
        let mut options = LockOptions::new(path, endpoint.clone(), door.name);
        options.participant = options.participant.at(door.x, 0.0).with(plan.knobs.clone());
        options.bolt_travel = plan.bolt_travel;
        let lock = Some(VirtualLock::start(options.clone()).await?);
        Ok(Self { id, name: door.name.to_owned(), options, lock, before: Tally::default() })
    }

    /// The door as the service knows it.
    pub fn id(&self) -> &DoorId {
        &self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its lock.
    ///
    /// # Errors
    ///
    /// `lock-without-power` while it has none.
    pub fn lock(&self) -> Result<&VirtualLock, Failure> {
        self.lock.as_ref().ok_or_else(|| {
            Failure::new(
                "lock-without-power",
                format_args!("the lock of {} has no power", self.name),
                "Give it power: `power` with `on` true.",
            )
        })
    }

    /// Cuts the lock's power, or gives it back. Its store stays; its clock goes on unless `lose_clock`.
    pub(super) async fn set_power(&mut self, on: bool, lose_clock: bool, ahead_s: u32) -> Result<(), Failure> {
        if on {
            if self.lock.is_none() {
                self.options.clock_lost = lose_clock;
                self.options.clock_ahead_s = ahead_s;
                self.lock = Some(VirtualLock::start(self.options.clone()).await?);
            }
        } else if let Some(lock) = self.lock.take() {
            self.before = self.before.and(&lock.view());
            // Ending its thread takes as long as the lock's last step does.
            let ended = tokio::task::spawn_blocking(move || drop(lock)).await;
            ended.map_err(|error| Failure::new("lock-stopped", error, "Start the stage again."))?;
        }
        Ok(())
    }

    pub(super) fn is_powered(&self) -> bool {
        self.lock.is_some()
    }

    /// What the lock has done so far.
    pub fn tally(&self) -> Tally {
        self.before.and(&self.view())
    }

    pub(super) fn sight(&self) -> Sight {
        let view = self.view();
        Sight {
            tally: self.before.and(&view),
            powered: self.is_powered(),
            light: match view.light {
                Light::Off => "off",
                Light::Green => "green",
                Light::Red => "red",
                Light::Amber => "amber",
            },
            tone_hz: view.tone_hz,
            shown: view.answer.map(|feedback| Shown {
                light: colour(feedback.signal),
                tones_hz: feedback.steps().map(|step| step.tone_hz).filter(|tone| *tone > 0).collect(),
            }),
            moving: view.moving,
            withdrawn: view.withdrawn,
            links: view.links,
        }
    }

    /// Waits until the lock has done what is wished for.
    pub(super) async fn wait(&self, wish: Wish, patience: Duration) -> Result<Sight, Failure> {
        let before = self.before;
        let reached = self.lock()?.wait_for(|view| wish.fulfilled(&before.and(view), view));
        match tokio::time::timeout(patience, reached).await {
            Ok(reached) => reached.map(|_| self.sight()),
            Err(_) => {
                let sight = serde_json::to_string(&self.sight()).unwrap_or_default();
                Err(Failure::new(
                    "not-reached",
                    format_args!("the lock of {} did not get there in {patience:?}: {sight}", self.name),
                    "Ask for what can come, or give it more time.",
                ))
            }
        }
    }

    fn view(&self) -> LockView {
        self.lock.as_ref().map(VirtualLock::view).unwrap_or_default()
    }
}

impl Tally {
    fn and(&self, view: &LockView) -> Self {
        Self {
            bolt_moves: self.bolt_moves + view.openings,
            answers: self.answers + view.answers,
            verdicts: self.verdicts + view.verdicts,
            revocations: self.revocations + view.revocations,
            audit_handed_over: self.audit_handed_over.max(view.audit_handed_over),
            audit_acknowledged: self.audit_acknowledged.max(view.audit_acknowledged),
        }
    }
}

impl Wish {
    fn fulfilled(&self, tally: &Tally, view: &LockView) -> bool {
        let at_least = |wished: Option<u32>, seen: u32| wished.is_none_or(|wished| seen >= wished);
        at_least(self.bolt_moves, tally.bolt_moves)
            && at_least(self.answers, tally.answers)
            && at_least(self.verdicts, tally.verdicts)
            && at_least(self.revocations, tally.revocations)
            && at_least(self.audit_handed_over, tally.audit_handed_over)
            && self.links.is_none_or(|wished| view.links == wished)
            && (!self.at_rest || (!view.moving && !view.withdrawn))
    }
}
