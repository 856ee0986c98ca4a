//! What the director may change and see.

use super::{Medium, Outbox, PartId};
use crate::radio::air::{
    control::{ParticipantReport, Role},
    wire::{ControlReply, ControlRequest},
};

impl Medium {
    pub(super) fn control(&mut self, request: ControlRequest, out: &mut Outbox) -> ControlReply {
        match request {
            ControlRequest::SetKnobs { name, knobs } => self.with_part(name, out, |medium, id, out| {
                let last_link = medium.last_link;
                if let Some(part) = medium.parts.get_mut(&id) {
                    part.who.knobs = knobs.clamped();
                    part.cuts_done = 0;
                    part.cut_after_link = last_link;
                }
                medium.refresh_links(out);
            }),
            ControlRequest::Move { name, position } => self.with_part(name, out, |medium, id, out| {
                if let Some(part) = medium.parts.get_mut(&id) {
                    part.who.position = position;
                }
                medium.refresh_links(out);
                medium.refresh_advertising();
            }),
            ControlRequest::Radio { name, on } => {
                self.with_part(name, out, |medium, id, out| medium.set_radio(id, on, out))
            }
            ControlRequest::Cut { name, manner } => {
                self.with_part(name, out, |medium, id, out| medium.cut_links(id, manner, out))
            }
            ControlRequest::Participants => ControlReply::Participants(self.participants()),
            ControlRequest::TakeLinks => {
                let ended = self.reports.drain(..).collect::<Vec<_>>();
                let live = self.links.values().map(|link| link.report());
                ControlReply::Links(ended.into_iter().chain(live).collect())
            }
        }
    }

    fn with_part(
        &mut self,
        name: String,
        out: &mut Outbox,
        change: impl FnOnce(&mut Self, PartId, &mut Outbox),
    ) -> ControlReply {
        match self.find(&name) {
            Some(id) => {
                change(self, id, out);
                ControlReply::Done
            }
            None => ControlReply::Unknown { name },
        }
    }

    fn participants(&self) -> Vec<ParticipantReport> {
        self.parts
            .iter()
            .filter(|(_, part)| part.role != Role::Control)
            .map(|(id, part)| ParticipantReport {
                name: part.who.name.clone(),
                role: part.role,
                position: part.who.position,
                knobs: part.who.knobs.clone(),
                radio: part.radio,
                links: u32::try_from(self.links_of(*id).len()).unwrap_or(u32::MAX),
            })
            .collect()
    }
}
