use serde::{Deserialize, Serialize};

use super::knobs::{CountedWay, CutManner, KnobSettings};

/// A command as `help` describes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct CommandHelp {
    /// What `do` is.
    #[serde(rename = "do")]
    pub name: &'static str,
    /// What it does, and what it answers beside `ok`.
    #[serde(serialize_with = "trimmed")]
    pub what: &'static str,
    /// What else belongs to the command.
    pub fields: &'static [FieldHelp],
}

/// A field of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct FieldHelp {
    /// Its name.
    pub name: &'static str,
    /// Its type; one in `Option<>` may be left out.
    pub kind: &'static str,
    /// What it means.
    #[serde(serialize_with = "trimmed")]
    pub what: &'static str,
}

/// Declares the commands and their help together, so that neither can be without the other.
macro_rules! commands {
    ($(#[doc = $what:literal] $variant:ident = $name:literal {
        $(#[doc = $field_what:literal] $field:ident: $kind:ty,)*
    })+) => {
        /// What can be done on a stage.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(tag = "do", deny_unknown_fields)]
        pub enum Command {
            $(#[doc = $what] #[serde(rename = $name)] $variant {
                $(#[doc = $field_what] $field: $kind,)*
            },)+
        }

        /// Every command, in the order of the source.
        pub const HELP: &[CommandHelp] = &[
            $(CommandHelp {
                name: $name,
                what: $what,
                fields: &[$(FieldHelp { name: stringify!($field), kind: stringify!($kind), what: $field_what },)*],
            },)+
        ];
    };
}

commands! {
    /// Lists the commands: `commands`, each with `do`, `what` and `fields`.
    Help = "help" {}

    /// Signs a session token as the Branded App's identity provider would: `token`, `member`.
    Session = "session" {
        /// The member, or any other subject.
        member: String,
        /// How long it is good for, seconds; a month when left out. Negative: it ran out that long ago.
        lifetime_s: Option<i64>,
    }
    /// Adds a member without an access group: `id`.
    AddMember = "add-member" {
        /// The name, which is the subject of the session tokens as well.
        member: String,
    }
    /// Takes the member's access group away.
    Revoke = "revoke" {
        /// The member.
        member: String,
        /// One access group; all that the member has from the stage when left out.
        group: Option<String>,
    }
    /// Gives the member the access group, or gives it back.
    Restore = "restore" {
        /// The member.
        member: String,
        /// One access group; all that the member has from the stage when left out.
        group: Option<String>,
    }
    /// Suspends the member.
    Suspend = "suspend" {
        /// The member.
        member: String,
    }
    /// Ends the member's suspension.
    Resume = "resume" {
        /// The member.
        member: String,
    }
    /// Revokes every device of the member, and the keys on them: `revoked`, how many.
    RevokeDevices = "revoke-devices" {
        /// The member.
        member: String,
    }
    /// Switches mobile access of the whole organization.
    Module = "module" {
        /// On or off.
        on: bool,
    }
    /// Adds a door that a vendor's own SDK opens, and lets the member open it: `id`, the door's.
    VendorDoor = "vendor-door" {
        /// The new door's name.
        door: String,
        /// What the vendor calls it.
        vendor_door: String,
        /// The member.
        member: String,
    }
    /// Locks the door down, or lifts it: at the service and at the lock itself.
    LockDown = "lock-down" {
        /// The door, by name or id.
        door: String,
        /// Locked down or not.
        on: bool,
    }
    /// Lists the presses as the operator sees them, newest first: `presses`.
    Presses = "presses" {}

    /// Takes the access service off the network (every connection is refused, the port stays taken) or brings it back.
    Service = "service" {
        /// On the network or not.
        on: bool,
    }
    /// Has the service answer no request for this path until `release`.
    Hold = "hold" {
        /// The path's begin, such as `/v1/me`.
        path: String,
    }
    /// Waits until the service holds requests: `held`, how many.
    WaitHeld = "wait-held" {
        /// At least so many; 1 when left out.
        count: Option<u32>,
        /// How long to wait at most, milliseconds; 10000 when left out.
        timeout_ms: Option<u64>,
    }
    /// Answers what is held, and holds nothing any more.
    Release = "release" {}

    /// Lists who is on the air: `participants`, each with `name`, `role`, `x`, `y`, `radio`, `links`.
    Air = "air" {}
    /// Moves a participant of the air.
    Move = "move" {
        /// The participant: a door's name, or the name under which a phone joined.
        who: String,
        /// Metres east.
        x: f32,
        /// Metres north.
        y: f32,
    }
    /// Switches a participant's radio.
    Radio = "radio" {
        /// The participant.
        who: String,
        /// On or off.
        on: bool,
    }
    /// Cuts every link that the participant has now.
    Cut = "cut" {
        /// The participant.
        who: String,
        /// `drop` (both ends hear of it at once) or `silent` (by the supervision time-out); `drop` when left out.
        manner: Option<CutManner>,
    }
    /// Cuts the participant's next links once so many values went through.
    CutAfter = "cut-after" {
        /// The participant.
        who: String,
        /// How many values still arrive; 0 cuts as soon as the link is up.
        values: u32,
        /// The way that counts: `to-lock` or `to-phone`.
        direction: CountedWay,
        /// `drop` or `silent`; `drop` when left out.
        manner: Option<CutManner>,
        /// How many links are cut until this wears off; every one when left out.
        links: Option<u32>,
    }
    /// Turns a participant's knobs. `set` takes `latency_us`, `loss` (0 to 1), `mtu`, `advertising_interval_us`, `connection_interval_us`, `setup_events`, `values_per_event`, `supervision_timeout_us`, `connect_timeout_us`, `max_links`, `tx_power_dbm`.
    Knobs = "knobs" {
        /// The participant.
        who: String,
        /// What to change; what is not given stays.
        set: KnobSettings,
    }
    /// Puts a participant's knobs back to what they are when a stage is set, and takes a cut away.
    ResetKnobs = "reset-knobs" {
        /// The participant.
        who: String,
    }
    /// Takes what went over the links since the last call: `links`.
    Links = "links" {}

    /// What one sees of a door's lock: `lock`, with counts since the stage was set.
    Lock = "lock" {
        /// The door, by name or id.
        door: String,
    }
    /// Waits until all that is given holds, and answers as `lock` does; fails when time runs out.
    WaitLock = "wait-lock" {
        /// The door.
        door: String,
        /// The bolt was withdrawn at least so often.
        bolt_moves: Option<u32>,
        /// Light and sound answered phones at least so often.
        answers: Option<u32>,
        /// At least so many verdicts were given.
        verdicts: Option<u32>,
        /// At least so many newer revocation documents were taken from phones.
        revocations: Option<u32>,
        /// The audit was handed over up to this record at least.
        audit_handed_over: Option<u32>,
        /// Exactly so many phones are linked.
        links: Option<u32>,
        /// The bolt is back in its place.
        at_rest: Option<bool>,
        /// How long to wait at most, milliseconds; 10000 when left out.
        timeout_ms: Option<u64>,
    }
    /// Holds the bolt so that it jams, or lets go of it.
    Jam = "jam" {
        /// The door.
        door: String,
        /// Jammed or not.
        on: bool,
    }
    /// Turns privacy on or off from inside.
    Privacy = "privacy" {
        /// The door.
        door: String,
        /// On or off.
        on: bool,
    }
    /// Opens or closes the door itself.
    Leaf = "leaf" {
        /// The door.
        door: String,
        /// Open or closed.
        open: bool,
    }
    /// Cuts the lock's power, or gives it back.
    Power = "power" {
        /// The door.
        door: String,
        /// On or off.
        on: bool,
        /// Given back: the lock has lost its clock; it has not when left out.
        clock_lost: Option<bool>,
    }
    /// Lets time pass for the service and the locks, which are switched off and on for it: `ahead_s`, how far they are ahead of the machine. A phone's clock is its app's.
    Advance = "advance" {
        /// How much, seconds.
        seconds: u32,
    }
}

fn trimmed<S: serde::Serializer>(text: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text.trim())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_is_described_once() {
        let names: BTreeSet<&str> = HELP.iter().map(|help| help.name).collect();
        assert_eq!(names.len(), HELP.len());
        for help in HELP {
            assert!(help.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", help.name);
            let fields: BTreeSet<&str> = help.fields.iter().map(|field| field.name).collect();
            assert_eq!(fields.len(), help.fields.len(), "{}", help.name);
            assert!(help.fields.iter().all(|field| field.name != "do" && field.what.trim().ends_with('.')));
        }
    }

    #[test]
    fn what_may_be_left_out_may() {
        let command: Command = serde_json::from_str(r#"{"do":"cut","who":"Front door"}"#).unwrap();
        assert!(matches!(command, Command::Cut { manner: None, .. }));
        let error = serde_json::from_str::<Command>(r#"{"do":"cut"}"#).unwrap_err();
        assert!(error.to_string().contains("who"), "{error}");
    }
}
