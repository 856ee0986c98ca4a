//! What locks in range say of their clocks.

use std::{sync::Arc, time::Duration};

use keybutton::{MobileKeys, NearbyListener, discovery::Candidate, error::KeyError};
use tokio::sync::mpsc;

use super::Row;
use crate::failure::Failure;

const CHECK: &str = "lock-clocks";

/// Listens for a while to the locks of the member's sites: which of them want to be told the time.
pub async fn lock_clocks(keys: &MobileKeys, time: Duration) -> Row {
    let (sender, mut heard) = mpsc::unbounded_channel();
    let nearby = match keys.nearby(Arc::new(Listener(sender))) {
        Ok(nearby) => nearby,
        Err(error) => return Row::skipped(CHECK, Failure::from(error).message),
    };
    tokio::time::sleep(time).await;
    nearby.stop();
    let mut last = Vec::new();
    while let Ok(doors) = heard.try_recv() {
        last = doors;
    }
    judge(&last)
}

fn judge(doors: &[Candidate]) -> Row {
    let wanting: Vec<&str> = doors.iter().filter(|door| door.wants_sync).map(|door| door.name.as_str()).collect();
    match (doors, &wanting[..]) {
        ([], _) => Row::skipped(CHECK, "no lock of the member's sites is in range"),
        (_, []) => Row::passed(CHECK, "no lock in range wants to be told the time"),
        (_, wanting) => Row::warning(
            CHECK,
            Failure::new(
                "lock-wants-sync",
                format_args!("to be told the time, or to hand over audit, wants: {}", wanting.join(", ")),
                "Press there with a phone that is online: it brings time and revocations, and carries audit away. A \
                 lock without the time refuses keys whose schedule needs it (clock-unknown).",
            ),
        ),
    }
}

struct Listener(mpsc::UnboundedSender<Vec<Candidate>>);

impl NearbyListener for Listener {
    fn on_doors(&self, doors: Vec<Candidate>) {
        // The doctor may be done.
        let _ = self.0.send(doors);
    }

    fn on_blocked(&self, _: KeyError) {}
}

#[cfg(test)]
mod tests {
    use keybutton::radio::PeripheralId;
    use keybutton_protocol::api::SiteId;

    use super::*;
    use crate::doctor::Result;

    #[test]
    fn locks_that_want_the_time_are_named() {
        let door = |name: &str, wants_sync| Candidate {
            door: None,
            site: SiteId("site".into()),
            name: name.into(),
            peripheral: PeripheralId(name.into()),
            strength_db: -50,
            opens: true,
            busy: false,
            battery_low: false,
            wants_sync,
            tap_hint: false,
            last_opened: None,
        };
        assert_eq!(judge(&[]).result, Result::Skipped);
        assert_eq!(judge(&[door("Front door", false)]).result, Result::Passed);
        let row = judge(&[door("Front door", false), door("Back door", true)]);
        assert_eq!(row.result, Result::Warning);
        assert!(row.message.unwrap().ends_with("wants: Back door"));
    }
}
