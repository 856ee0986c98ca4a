use std::time::Duration;

use keybutton::radio::air::Knobs;

/// What stands on a stage.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The organization's name.
    pub organization: &'static str,
    /// Its doors, each with a lock.
    pub doors: Vec<DoorPlan>,
    /// Its access groups.
    pub groups: Vec<GroupPlan>,
    /// Its members.
    pub members: Vec<MemberPlan>,
    /// Mobile access is on.
    pub module: bool,
    /// How the locks' radios and links behave.
    pub knobs: Knobs,
    /// How long the bolts take to move.
    pub bolt_travel: Duration,
    /// How long the doors stay open, tenths of a second.
    pub open_time_ds: u16,
}

/// A door to be.
#[derive(Clone, Copy, Debug)]
pub struct DoorPlan {
    /// Its name, on the air as well.
    pub name: &'static str,
    /// Where it is, metres east.
    pub x: f32,
}

/// An access group to be, around the clock.
#[derive(Clone, Copy, Debug)]
pub struct GroupPlan {
    /// Its name.
    pub name: &'static str,
    /// Its doors.
    pub doors: &'static [&'static str],
}

/// A member to be.
#[derive(Clone, Copy, Debug)]
pub struct MemberPlan {
    /// The name, which is also the subject of the member's session tokens.
    pub name: &'static str,
    /// The access groups the member holds.
    pub groups: &'static [&'static str],
}

impl Plan {
    /// The stage on which apps are tested: two doors four metres apart that both members open, a third one that nobody
    /// opens, and a member without an access group. Radios are at their quickest, so that tests are.
    pub fn testing() -> Self {
        Self {
            organization: "Harbour Coworking",
            doors: vec![
                DoorPlan { name: "Front door", x: 0.0 },
                DoorPlan { name: "Back door", x: 4.0 },
                DoorPlan { name: "Server room", x: 8.0 },
            ],
            groups: vec![GroupPlan { name: "Members", doors: &["Front door", "Back door"] }],
            members: vec![
                MemberPlan { name: "Ann", groups: &["Members"] },
                MemberPlan { name: "Ben", groups: &["Members"] },
                MemberPlan { name: "Cid", groups: &[] },
            ],
            module: true,
            knobs: Self::quick(),
            bolt_travel: Duration::from_millis(10),
            open_time_ds: 5,
        }
    }

    /// Bluetooth at its quickest.
    pub fn quick() -> Knobs {
        Knobs {
            advertising_interval: Duration::from_millis(20),
            connection_interval: Duration::from_micros(7_500),
            setup_events: 2,
            ..Knobs::default()
        }
    }
}
