use super::{Moment, Phase};
use crate::outcome::{PhaseTime, PressMetrics};

/// Measures a press from the moments passed in.
#[derive(Debug, Default)]
pub(super) struct Meter {
    begun: Moment,
    phase: Option<(&'static str, Moment)>,
    pub(super) metrics: PressMetrics,
}

impl Meter {
    pub(super) fn begin(&mut self, now: Moment) {
        self.begun = now;
    }

    pub(super) fn enter(&mut self, phase: &Phase, now: Moment) {
        self.leave(now);
        self.phase = Some((phase.name(), now));
    }

    pub(super) fn end(&mut self, now: Moment) -> PressMetrics {
        self.leave(now);
        self.metrics.total_us = now.since(self.begun);
        self.metrics.clone()
    }

    pub(super) fn sent(&mut self, bytes: usize, packets: usize) {
        add(&mut self.metrics.bytes_sent, bytes);
        add(&mut self.metrics.packets_sent, packets);
    }

    pub(super) fn received_packet(&mut self) {
        add(&mut self.metrics.packets_received, 1);
    }

    pub(super) fn received(&mut self, bytes: usize) {
        add(&mut self.metrics.bytes_received, bytes);
    }

    fn leave(&mut self, now: Moment) {
        if let Some((name, since)) = self.phase.take() {
            self.metrics.phases.push(PhaseTime { phase: name.to_owned(), micros: now.since(since) });
        }
    }
}

fn add(counter: &mut u32, more: usize) {
    *counter = counter.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
}
