//! Who gets which key: pure. Rights go in, the content of one Access Document per site comes out.

pub mod revocation;
pub mod rights;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::access::{
    DeviceFacts, Grant, OPEN_END, open_intervals,
    schedule::{Interval, join},
    utc::{UtcSchedule, fold},
};
use rights::{DoorRight, KeyRights};

/// Keys are valid from a little before now: a lock's clock may be up to 300 s behind before it follows a document
/// (`docs/PROTOCOL.md` section 18).
pub const BACKDATE_S: u32 = 600;

/// The most a key of a high-security door may live, hours.
pub const HIGH_SECURITY_HOURS: u16 = 24;

/// The most schedules an element may hold (`docs/PROTOCOL.md` section 10.3).
const MAX_SCHEDULES: usize = 8;

/// The most elements a document may carry.
pub const MAX_ELEMENTS: usize = keybutton_protocol::document::ELEMENTS_MAX;

/// One door as the plan needs it: claimed, and allowed by everything that binds everybody.
#[derive(Clone, Debug)]
pub struct PlanDoor {
    /// The lock's number in the site.
    pub number: u16,
    /// The door is marked high-security.
    pub high_security: bool,
    /// The member's grants of it.
    pub grants: Vec<Grant>,
    /// Uses under a limit that other access keys of the member have spent already.
    pub uses_elsewhere: u16,
}

/// What one site's key will say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SitePlan {
    /// The elements, in order of name.
    pub elements: Vec<Element>,
    /// Start of validity, Unix seconds.
    pub valid_from: u32,
    /// End of validity, Unix seconds.
    pub valid_until: u32,
    /// The rights the key stands for, kept to compare with later ones.
    pub rights: KeyRights,
    /// Locks that found no room in the key.
    pub left_out: Vec<u16>,
}

/// One data element of a document: what the key may do at the locks that answer to the name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    /// `site`, `lXXXX` or `zXXXX`.
    pub name: String,
    /// When the key opens; empty is the whole validity.
    pub schedules: Vec<UtcSchedule>,
    /// How often it opens, counted by the lock.
    pub use_limit: Option<u16>,
    /// The phone's user has to be authenticated.
    pub user_authentication: bool,
    /// Only a tap opens.
    pub tap_only: bool,
}

/// What a lock enforces beside the schedule; grants that differ in it can't share an element.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Terms {
    tap_only: bool,
    use_limit: Option<u16>,
}

/// Plans the key of one device for one site; `None` when it would open nothing.
///
/// `hours` is the site's key validity, `max_elements` how many elements the document has room for. `locks` counts all
/// locks of the site: the whole-site element is used only when the key opens each of them on the same terms through
/// groups that stand for the whole site.
pub fn plan(
    doors: &[PlanDoor],
    locks: usize,
    device: DeviceFacts,
    zone: &TimeZone,
    hours: u16,
    now: u32,
    max_elements: usize,
) -> Option<SitePlan> {
    let doors: Vec<_> = doors.iter().map(|door| usable(door, device, now)).filter(|d| !d.grants.is_empty()).collect();
    let hours = if doors.iter().any(|door| door.high_security) { hours.min(HIGH_SECURITY_HOURS) } else { hours };
    let valid_from = now.saturating_sub(BACKDATE_S);
    let mut valid_until = valid_from.saturating_add(u32::from(hours) * 3600);
    loop {
        let mut built = build(&doors, zone, now, valid_until);
        let crowded = built.iter().filter_map(|(_, elements)| crowded_at(elements)).min();
        if let Some(cut) = crowded {
            valid_until = cut;
            continue;
        }
        built.retain(|(_, elements)| !elements.is_empty());
        let (elements, whole_site, left_out) = name(built, &doors, locks, max_elements);
        if elements.is_empty() {
            return None;
        }
        let ends = elements.iter().map(|element| element.schedules.iter().map(|s| s.end).max().unwrap_or(OPEN_END));
        valid_until = valid_until.min(ends.max().unwrap_or(OPEN_END));
        let rights = doors
            .iter()
            .filter(|door| !left_out.contains(&door.number))
            .map(|door| {
                (door.number, DoorRight { user_authentication: door.high_security, grants: door.grants.clone() })
            })
            .collect();
        return Some(SitePlan {
            elements,
            valid_from,
            valid_until,
            rights: KeyRights { whole_site, doors: rights },
            left_out,
        });
    }
}

/// The door with the grants this device can use at all.
fn usable(door: &PlanDoor, device: DeviceFacts, now: u32) -> PlanDoor {
    let mut door = door.clone();
    door.grants.retain(|grant| {
        let device_fits = device.primary || !grant.restrictions.primary_device_only;
        let uses_left = grant.restrictions.use_limit.is_none_or(|limit| limit > door.uses_elsewhere);
        device_fits && uses_left && grant.until > now
    });
    door
}

/// The elements of each door, unnamed: at most two, the most lenient terms first.
fn build(doors: &[PlanDoor], zone: &TimeZone, now: u32, valid_until: u32) -> Vec<(u16, Vec<Element>)> {
    doors.iter().map(|door| (door.number, door_elements(door, zone, now, valid_until))).collect()
}

fn door_elements(door: &PlanDoor, zone: &TimeZone, now: u32, valid_until: u32) -> Vec<Element> {
    let mut by_terms: BTreeMap<Terms, Vec<Interval>> = BTreeMap::new();
    for grant in &door.grants {
        let use_limit = grant.restrictions.use_limit.map(|limit| limit - door.uses_elsewhere.min(limit));
        let terms = Terms { tap_only: grant.restrictions.tap_only, use_limit };
        by_terms.entry(terms).or_default().extend(open_intervals(grant, zone, now, valid_until));
    }
    // Without terms a grant needs no stricter one beside it for the same time.
    let lenient = by_terms.get(&Terms { tap_only: false, use_limit: None }).cloned().map(join).unwrap_or_default();
    let mut elements = Vec::new();
    for (terms, intervals) in by_terms {
        let intervals = join(intervals);
        let free = !terms.tap_only && terms.use_limit.is_none();
        let covered = |i: &Interval| lenient.iter().any(|l| l.start <= i.start && i.end <= l.end);
        if intervals.is_empty() || (!free && intervals.iter().all(covered)) {
            continue;
        }
        let always = intervals.iter().any(|i| i.start <= now && i.end >= valid_until);
        elements.push(Element {
            name: String::new(),
            schedules: if always { Vec::new() } else { fold(&intervals) },
            use_limit: terms.use_limit,
            user_authentication: door.high_security,
            tap_only: terms.tap_only,
        });
    }
    elements.truncate(2);
    elements
}

/// When the first schedule begins that finds no room; the key has to end there and be renewed.
fn crowded_at(elements: &[Element]) -> Option<u32> {
    elements.iter().filter_map(|element| element.schedules.get(MAX_SCHEDULES)).map(|schedule| schedule.start).min()
}

/// Gives the elements their names: one `site`, or `lXXXX` with `zXXXX` for a lock's second terms.
fn name(
    built: Vec<(u16, Vec<Element>)>,
    doors: &[PlanDoor],
    locks: usize,
    max_elements: usize,
) -> (Vec<Element>, bool, Vec<u16>) {
    let whole = doors.iter().all(|door| door.grants.iter().all(|grant| grant.whole_site));
    let same = built.windows(2).all(|pair| pair[0].1 == pair[1].1) && built.iter().all(|(_, e)| e.len() == 1);
    if whole && same && built.len() == locks {
        let element = built.into_iter().next().and_then(|(_, elements)| elements.into_iter().next());
        let elements = element.map(|element| Element { name: "site".to_owned(), ..element });
        return (elements.into_iter().collect(), true, Vec::new());
    }
    let mut named = Vec::new();
    let mut left_out = Vec::new();
    for (number, elements) in built {
        if named.len() + elements.len() > max_elements {
            left_out.push(number);
            continue;
        }
        for (element, prefix) in elements.into_iter().zip(["l", "z"]) {
            named.push(Element { name: format!("{prefix}{number:04x}"), ..element });
        }
    }
    named.sort_by(|a, b| a.name.cmp(&b.name));
    (named, false, left_out)
}

/// The names a lock answers to: its own, its second, and the whole site.
pub fn lock_elements(number: u16) -> Vec<String> {
    vec![format!("l{number:04x}"), format!("z{number:04x}"), "site".to_owned()]
}

#[cfg(test)]
mod tests;
