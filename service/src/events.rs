//! Events: what happened, who did it, append-only.

use keybutton_protocol::api::{DeviceId, DoorId, MemberId, OrganizationId};
use serde::Serialize;

use crate::store::Event;

/// The actor of what the service does by itself.
pub(crate) const SERVICE: &str = "service";

/// An event by an actor.
pub(crate) fn by(organization: &OrganizationId, at: u32, kind: &str, actor: &str) -> Event {
    Event {
        seq: 0,
        organization: organization.clone(),
        at,
        kind: kind.to_owned(),
        actor: actor.to_owned(),
        member: None,
        device: None,
        door: None,
        data: "{}".to_owned(),
    }
}

/// An event by a member, about themselves.
pub(crate) fn by_member(organization: &OrganizationId, at: u32, kind: &str, member: &MemberId) -> Event {
    Event { member: Some(member.clone()), ..by(organization, at, kind, &format!("member:{member}")) }
}

/// Adds the device.
pub(crate) fn with_device(event: Event, device: &DeviceId) -> Event {
    Event { device: Some(device.clone()), ..event }
}

impl Event {
    /// Adds the member it is about.
    pub(crate) fn member(self, member: &MemberId) -> Self {
        Self { member: Some(member.clone()), ..self }
    }

    /// Adds the door it is about.
    pub(crate) fn door(self, door: &DoorId) -> Self {
        Self { door: Some(door.clone()), ..self }
    }

    /// Adds particulars. Must hold no secret.
    pub(crate) fn data(self, data: &impl Serialize) -> Self {
        let data = serde_json::to_string(data).unwrap_or_else(|_| "{}".to_owned());
        Self { data, ..self }
    }
}
