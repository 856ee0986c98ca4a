//! What a command does.

use std::time::Duration;

use keybutton::radio::air::{Cut, Knobs, ParticipantReport, Position, Role};
use keybutton_lock::Lockdown;
use keybutton_protocol::api::AccessGroupId;
use keybutton_service::{
    operator::{ChangeDoor, ChangeMember, PressInfo},
    store::MemberState,
};
use serde::{Serialize, de::IgnoredAny};
use serde_json::{Map, Value, json};

use super::{Command, HELP, Member, Plan, Stage, door::Wish};
use crate::{failure::Failure, lock_host};

/// How long a command waits when it does not say.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a command answers beside `ok`.
pub type Answer = Map<String, Value>;

impl Stage {
    /// What a client has to know first: where everything is, and who and what is there.
    pub fn introduction(&self) -> Answer {
        let site = self.organization().site();
        let doors: Vec<_> =
            self.doors().iter().map(|door| json!({ "id": door.id(), "name": door.name(), "site": site })).collect();
        let members: Vec<_> = self.members().iter().map(|member| member.name.as_str()).collect();
        answer([
            ("service_url", json!(self.organization().client().base())),
            ("air", json!(self.broker().address())),
            ("app", json!(self.organization().app())),
            ("doors", json!(doors)),
            ("members", json!(members)),
        ])
    }

    /// Carries out one command.
    ///
    /// # Errors
    ///
    /// What was wrong with it. Everything is as it was before, and the next command is welcome.
    pub async fn obey(&mut self, command: Command) -> Result<Answer, Failure> {
        match command {
            Command::Help {} => Ok(answer([("commands", json!(HELP))])),

            Command::Session { member, lifetime_s } => {
                // Names are compared without case everywhere else, and a subject is not.
                let member = self.member(&member).map_or(member, |known| known.name.clone());
                let token = self.organization().token_for(&member, lifetime_s, self.time.ahead())?;
                Ok(answer([("member", json!(member)), ("token", json!(token))]))
            }
            Command::AddMember { member } => {
                let id = self.organization().add_member(&member).await?;
                let added = answer([("id", json!(id))]);
                self.members.push(Member { name: member, id, groups: Vec::new() });
                Ok(added)
            }
            Command::Revoke { member, group } => {
                for group in self.groups_of(&member, group)? {
                    self.organization().take(&self.member(&member)?.id, &group).await?;
                }
                Ok(done())
            }
            Command::Restore { member, group } => {
                for group in self.groups_of(&member, group)? {
                    self.organization().grant(&self.member(&member)?.id, &group).await?;
                }
                Ok(done())
            }
            Command::Suspend { member } => self.set_member(&member, MemberState::Suspended).await,
            Command::Resume { member } => self.set_member(&member, MemberState::Active).await,
            Command::RevokeDevices { member } => {
                let revoked = self.organization().revoke_member(&self.member(&member)?.id).await?;
                Ok(answer([("revoked", json!(revoked))]))
            }
            Command::Module { on } => self.organization().set_module(on).await.map(|()| done()),
            Command::VendorDoor { door, vendor_door, member } => {
                let organization = self.organization();
                let id = organization.add_vendor_door(&door, &vendor_door).await?;
                let group = organization.add_group(&door, std::slice::from_ref(&id)).await?;
                organization.grant(&self.member(&member)?.id, &group).await?;
                Ok(answer([("id", json!(id))]))
            }
            Command::LockDown { door, on } => self.lock_down(&door, on).await,
            Command::Presses {} => {
                let presses: Vec<PressInfo> = self.organization().client().get("/v1/operator/presses").await?;
                Ok(answer([("presses", json!(presses))]))
            }

            Command::Service { on } => self.set_service(on).await.map(|()| done()),
            Command::Hold { path } => {
                self.gate.hold(path);
                Ok(done())
            }
            Command::WaitHeld { count, timeout_ms } => {
                let held = self.gate.wait_held(count.unwrap_or(1), patience(timeout_ms)).await?;
                Ok(answer([("held", json!(held))]))
            }
            Command::Release {} => {
                self.gate.open();
                Ok(done())
            }

            Command::Air {} => {
                let list = self.air().participants().await?;
                Ok(answer([("participants", list.iter().map(participant).collect())]))
            }
            Command::Move { who, x, y } => Ok(self.air().move_to(&who, Position { x, y }).await.map(|()| done())?),
            Command::Radio { who, on } => Ok(self.air().set_radio(&who, on).await.map(|()| done())?),
            Command::Cut { who, manner } => {
                Ok(self.air().cut(&who, manner.unwrap_or_default().into()).await.map(|()| done())?)
            }
            Command::CutAfter { who, values, direction, manner, links } => {
                let manner = manner.unwrap_or_default().into();
                let cut = Some(Cut { direction: direction.into(), after: values, manner, links });
                let knobs = self.participant(&who).await?.knobs;
                Ok(self.air().set_knobs(&who, Knobs { cut, ..knobs }).await.map(|()| done())?)
            }
            Command::Knobs { who, set } => {
                let knobs = self.participant(&who).await?.knobs;
                Ok(self.air().set_knobs(&who, set.apply(knobs)).await.map(|()| done())?)
            }
            Command::ResetKnobs { who } => {
                let knobs = match self.participant(&who).await?.role {
                    Role::Lock => Plan::quick(),
                    Role::Phone | Role::Control => Knobs::default(),
                };
                Ok(self.air().set_knobs(&who, knobs).await.map(|()| done())?)
            }
            Command::Links {} => Ok(answer([("links", json!(self.air().take_links().await?))])),

            Command::Lock { door } => Ok(answer([("lock", json!(self.door(&door)?.sight()))])),
            Command::WaitLock {
                door,
                bolt_moves,
                answers,
                verdicts,
                revocations,
                audit_handed_over,
                links,
                at_rest,
                timeout_ms,
            } => {
                let at_rest = at_rest.unwrap_or_default();
                let wish = Wish { bolt_moves, answers, verdicts, revocations, audit_handed_over, links, at_rest };
                let sight = self.door(&door)?.wait(wish, patience(timeout_ms)).await?;
                Ok(answer([("lock", json!(sight))]))
            }
            Command::Jam { door, on } => self.at_lock(&door, lock_host::Command::Jam(on)),
            Command::Privacy { door, on } => self.at_lock(&door, lock_host::Command::Privacy(on)),
            Command::Leaf { door, open } => self.at_lock(&door, lock_host::Command::Door(open)),
            Command::Power { door, on, clock_lost } => {
                let ahead = self.time.ahead();
                let name = self.door(&door)?.name().to_owned();
                self.door_mut(&door)?.set_power(on, clock_lost.unwrap_or_default(), ahead).await?;
                if !on {
                    self.left(&name).await?;
                }
                Ok(done())
            }
            Command::Advance { seconds } => self.advance(seconds).await,
        }
    }

    fn at_lock(&self, door: &str, command: lock_host::Command) -> Result<Answer, Failure> {
        self.door(door)?.lock()?.command(command);
        Ok(done())
    }

    fn groups_of(&self, member: &str, group: Option<String>) -> Result<Vec<AccessGroupId>, Failure> {
        let member = self.member(member)?;
        match group {
            Some(group) => Ok(vec![self.group(&group)?.clone()]),
            None => Ok(member.groups.clone()),
        }
    }

    async fn set_member(&self, member: &str, state: MemberState) -> Result<Answer, Failure> {
        let path = format!("/v1/operator/members/{}", self.member(member)?.id);
        self.change(&path, &ChangeMember { state: Some(state), ..ChangeMember::default() }).await
    }

    async fn lock_down(&self, door: &str, on: bool) -> Result<Answer, Failure> {
        let door = self.door(door)?;
        let lock = door.lock()?;
        let change = ChangeDoor { locked_down: Some(on), ..ChangeDoor::default() };
        let changed = self.change(&format!("/v1/operator/doors/{}", door.id()), &change).await?;
        lock.command(lock_host::Command::Lockdown(if on { Lockdown::Door } else { Lockdown::Off }));
        Ok(changed)
    }

    async fn change(&self, path: &str, change: &impl Serialize) -> Result<Answer, Failure> {
        self.organization().client().patch::<IgnoredAny>(path, change).await.map(|_| done())
    }

    async fn participant(&self, who: &str) -> Result<ParticipantReport, Failure> {
        let list = self.air().participants().await?;
        let known = list.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(", ");
        list.iter().find(|part| part.name == who).cloned().ok_or_else(|| {
            Failure::new(
                "unknown-participant",
                format_args!("nobody on the air is called {who}"),
                format_args!("On the air: {known}."),
            )
        })
    }
}

fn participant(part: &ParticipantReport) -> Value {
    json!({
        "name": part.name, "role": part.role, "x": part.position.x, "y": part.position.y,
        "radio": part.radio, "links": part.links,
    })
}

fn patience(millis: Option<u64>) -> Duration {
    millis.map_or(PATIENCE, Duration::from_millis)
}

fn answer<const N: usize>(fields: [(&str, Value); N]) -> Answer {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn done() -> Answer {
    Answer::new()
}
