//! The stage: access service, air and locks in one process, all of them the real ones, on loopback and on free ports.
//!
//! The demo plays its story on it, and [`keybutton stage`](crate::commands) hands it to whoever tests an app: any
//! language that can start a process and write a line of JSON. The parts are in [`Stage`]; what can be done to them is
//! one list of [`Command`]s, which [`Stage::obey`] carries out.

mod command;
mod door;
mod knobs;
mod obey;
mod plan;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use keybutton::radio::air::{AirControl, Broker, BrokerOptions};
use keybutton_protocol::api::{AccessGroupId, MemberId};
use keybutton_service::clock::Clock;
use tempfile::TempDir;

pub use command::{Command, CommandHelp, FieldHelp, HELP};
pub use door::{Door, Tally};
pub use knobs::{CountedWay, CutManner, KnobSettings};
pub use obey::Answer;
pub use plan::{DoorPlan, GroupPlan, MemberPlan, Plan};

use crate::{
    failure::Failure,
    organization::Organization,
    service_host::{Gate, Port, ServiceHost},
    session::SAMPLE,
    state::StateDir,
};

/// How often the air is asked whether a lock without power has left it; it tells nobody by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Everything that stands at the doors and behind them; only the phones are missing.
pub struct Stage {
    organization: Organization,
    air: AirControl,
    doors: Vec<Door>,
    groups: Vec<(String, AccessGroupId)>,
    members: Vec<Member>,
    service: Option<ServiceHost>,
    port: Port,
    gate: Gate,
    time: Time,
    broker: Broker,
    state: StateDir,
    // Last, so that everything in it is closed before it is removed.
    _dir: Option<TempDir>,
}

/// A member of the organization.
#[derive(Clone, Debug)]
pub struct Member {
    /// The name, which is also the subject of the member's session tokens.
    pub name: String,
    /// The member.
    pub id: MemberId,
    /// The access groups that the plan gives the member.
    pub groups: Vec<AccessGroupId>,
}

/// How far the stage's clocks are ahead of the machine's, seconds.
#[derive(Clone, Default)]
struct Time(Arc<AtomicU32>);

impl Time {
    fn ahead(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn clock(&self) -> Clock {
        let (system, time) = (Clock::system(), self.clone());
        Clock::new(move || system.now().saturating_add(time.ahead()))
    }
}

impl Stage {
    /// Starts every part of `plan` in `folder`, or in a temporary directory that goes with the stage. What a folder has
    /// from an earlier stage stays. `progress` is told what takes a moment.
    pub async fn set(
        plan: &Plan,
        folder: Option<PathBuf>,
        seed: u64,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, Failure> {
        let dir = match &folder {
            Some(_) => None,
            None => Some(TempDir::new().map_err(|error| Failure::file(&std::env::temp_dir(), &error))?),
        };
        let state = StateDir::open(folder.or_else(|| dir.as_ref().map(|dir| dir.path().to_owned())))?;

        progress("starting the access service");
        let (time, gate) = (Time::default(), Gate::default());
        let mut port = Port::reserve()?;
        let service = ServiceHost::start_at(&state.service()?, port.listen()?, time.clock(), gate.clone()).await?;
        let organization = match state.read(SAMPLE)? {
            Some(sample) => Organization::resume(&service.client()?, &sample)?,
            None => Organization::found(&service, plan.organization).await?,
        };
        state.write(SAMPLE, &organization.sample())?;

        progress("starting the air and the locks, which claim themselves");
        let broker = Broker::listen(([127, 0, 0, 1], 0).into(), BrokerOptions { seed }).await?;
        let air = AirControl::join(broker.endpoint()).await?;
        let mut doors = Vec::new();
        for door in &plan.doors {
            doors.push(Door::put(door, plan, &state, &organization, broker.endpoint()).await?);
        }
        let mut stage = Self {
            organization,
            air,
            doors,
            groups: Vec::new(),
            members: Vec::new(),
            service: Some(service),
            port,
            gate,
            time,
            broker,
            state,
            _dir: dir,
        };
        progress("letting the members in");
        stage.people(plan).await?;
        Ok(stage)
    }

    /// The organization, as its operator sees it.
    pub fn organization(&self) -> &Organization {
        &self.organization
    }

    /// The air's director.
    pub fn air(&self) -> &AirControl {
        &self.air
    }

    /// The air itself.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Where everything is kept.
    pub fn state(&self) -> &StateDir {
        &self.state
    }

    /// Every door, in the order of the plan.
    pub fn doors(&self) -> &[Door] {
        &self.doors
    }

    /// Every member, in the order of the plan and then of joining.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Finds a door by its name or id.
    pub fn door(&self, name: &str) -> Result<&Door, Failure> {
        let place = self.place_of(name)?;
        Ok(&self.doors[place])
    }

    /// Finds a member by name.
    pub fn member(&self, name: &str) -> Result<&Member, Failure> {
        self.members.iter().find(|member| member.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let known = self.members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(", ");
            Failure::new(
                "unknown-member",
                format_args!("there is no member called {name}"),
                format_args!("Members: {known}. `add-member` makes another."),
            )
        })
    }

    /// Finds an access group of the plan by name.
    pub fn group(&self, name: &str) -> Result<&AccessGroupId, Failure> {
        self.groups.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, id)| id).ok_or_else(|| {
            let known = self.groups.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            Failure::new(
                "unknown-group",
                format_args!("there is no access group called {name}"),
                format_args!("Access groups: {known}."),
            )
        })
    }

    /// Takes the service off the network, or brings it back on the same database at the same address.
    ///
    /// While it is away its port stays taken and every connection is refused.
    pub async fn set_service(&mut self, on: bool) -> Result<(), Failure> {
        match (on, self.service.take()) {
            (false, Some(service)) => {
                self.gate.open();
                let stopped = service.stop().await;
                self.port.hold()?;
                stopped
            }
            (true, None) => {
                let (folder, listener) = (self.state.service()?, self.port.listen()?);
                let started = ServiceHost::start_at(&folder, listener, self.time.clock(), self.gate.clone()).await;
                self.service = Some(started?);
                Ok(())
            }
            (true, there @ Some(_)) => {
                self.service = there;
                Ok(())
            }
            (false, None) => Ok(()),
        }
    }

    /// Stops what still runs.
    pub async fn clear(&mut self) -> Result<(), Failure> {
        self.doors.clear();
        self.set_service(false).await
    }

    /// Lets time pass for the service and for the locks, which are switched off and on for it.
    async fn advance(&mut self, seconds: u32) -> Result<Answer, Failure> {
        let ahead = self.time.0.fetch_add(seconds, Ordering::Relaxed).saturating_add(seconds);
        for place in 0..self.doors.len() {
            if self.doors[place].is_powered() {
                self.doors[place].set_power(false, false, ahead).await?;
                self.left(self.doors[place].name()).await?;
                self.doors[place].set_power(true, false, ahead).await?;
            }
        }
        Ok(Answer::from_iter([("ahead_s".to_owned(), ahead.into())]))
    }

    /// Waits until nobody on the air has this name any more.
    async fn left(&self, name: &str) -> Result<(), Failure> {
        while self.air.participants().await?.iter().any(|part| part.name == name) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    fn door_mut(&mut self, name: &str) -> Result<&mut Door, Failure> {
        let place = self.place_of(name)?;
        Ok(&mut self.doors[place])
    }

    fn place_of(&self, name: &str) -> Result<usize, Failure> {
        let same = |door: &Door| door.name().eq_ignore_ascii_case(name) || door.id().0 == name;
        self.doors.iter().position(same).ok_or_else(|| {
            let known = self.doors.iter().map(Door::name).collect::<Vec<_>>().join(", ");
            Failure::new(
                "unknown-door",
                format_args!("there is no door called {name}"),
                format_args!("Doors: {known}."),
            )
        })
    }

    /// Makes the groups and members of the plan that are not there yet.
    async fn people(&mut self, plan: &Plan) -> Result<(), Failure> {
        for group in &plan.groups {
            let mut doors = Vec::new();
            for name in group.doors {
                doors.push(self.door(name)?.id().clone());
            }
            let id = match self.organization.find_group(group.name).await? {
                Some(id) => id,
                None => self.organization.add_group(group.name, &doors).await?,
            };
            self.groups.push((group.name.to_owned(), id));
        }
        for member in &plan.members {
            let mut groups = Vec::new();
            for name in member.groups {
                groups.push(self.group(name)?.clone());
            }
            let id = match self.organization.find_member(member.name).await? {
                Some(id) => id,
                None => {
                    let id = self.organization.add_member(member.name).await?;
                    for group in &groups {
                        self.organization.grant(&id, group).await?;
                    }
                    id
                }
            };
            self.members.push(Member { name: member.name.to_owned(), id, groups });
        }
        if plan.module {
            self.organization.set_module(true).await?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("state", &self.state).finish_non_exhaustive()
    }
}
