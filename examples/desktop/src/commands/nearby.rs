//! `keybutton nearby`: the doors in range.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use console::Term;
use keybutton::{
    client::NearbyListener,
    discovery::{Candidate, GONE_US},
    error::KeyError,
    radio::{Advertisement, PeripheralId},
};
use keybutton_protocol::advert::ServiceData;
use serde::Serialize;
use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::{
    knobs::{KnobArgs, time},
    print_json_line, stopped,
};
use crate::{
    console::{Paint, Progress, count, paint},
    failure::Failure,
    session::PhoneArgs,
    sniff::{Seen, TappedRadio},
    state::StateDir,
};

/// Strengths are shown in steps of this, so that a list that says the same is the same.
const STEP_DB: i16 = 6;

/// A strength below this was not measured: no adapter hears as little.
const NOT_MEASURED_DB: i16 = -120;

/// How often the list is looked at without news: locks that nobody can name fall silent as well.
const LOOK: Duration = Duration::from_secs(1);

/// How long is listened until it is said that no door is in range: an adapter takes a moment to begin.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Options of `keybutton nearby`.
#[derive(Clone, Debug, Args)]
pub struct NearbyArgs {
    /// Stop after this time [default: at Ctrl-C]
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    duration: Option<Duration>,
    /// Print JSON, one list a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    phone: PhoneArgs,
    #[command(flatten)]
    knobs: KnobArgs,
}

/// What is in range.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
struct InRange {
    /// Doors of sites that the member belongs to, nearest first.
    doors: Vec<Row>,
    /// Locks with tags that none of the phone's keys resolves: other sites'.
    other_sites: usize,
    /// Locks that wait to be claimed.
    in_setup: usize,
    /// Why nothing can be heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked: Option<Blocked>,
}

/// A door.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Row {
    door: String,
    /// What its tag means to this phone: `opens`, `no-key`, or `unknown-door` of a known site.
    tag: &'static str,
    busy: bool,
    /// Strength received less strength sent; absent where the adapter does not measure it.
    strength_db: Option<i16>,
    /// `at-hand`, `in-the-room`, `far` or `unknown`.
    distance: &'static str,
    /// `ok` or `low`.
    battery: &'static str,
    /// `right`, or `wants-sync`: the lock wants the time or revocations from a phone, or has audit for one.
    clock: &'static str,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Blocked {
    code: String,
    message: String,
    remedy: String,
}

/// Runs the command.
pub async fn run(args: NearbyArgs, state: Option<PathBuf>) -> Result<(), Failure> {
    let state = StateDir::open(state)?;
    args.phone.at_where.find_service(&state)?;
    let radio = args.phone.open_radio(&state, args.knobs.apply(Default::default())).await?;
    let (radio, mut seen) = TappedRadio::listening(radio);
    let phone = args.phone.start_on(radio, &state).await?;
    let (sender, mut heard) = mpsc::unbounded_channel();
    let _nearby = phone.keys().nearby(Arc::new(Listener(sender)))?;
    let end = async {
        match args.duration {
            Some(duration) => {
                tokio::time::sleep(duration).await;
                Ok(())
            }
            None => stopped().await,
        }
    };
    tokio::pin!(end);
    let mut look = tokio::time::interval_at(tokio::time::Instant::now() + FIRST_LOOK, LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut list, mut air, mut screen) = (Ok(Vec::new()), Air::default(), Screen::new(args.json));
    let mut listening = Some(Progress::start(true, "listening"));
    loop {
        tokio::select! {
            biased;
            result = &mut end => return result,
            Some(news) = heard.recv() => list = news,
            Some(seen) = seen.recv() => {
                if let Seen::Heard(at, advertisement) = seen {
                    air.hear(at, advertisement);
                }
                continue;
            }
            _ = look.tick() => {}
        }
        drop(listening.take());
        screen.show(&in_range(&list, &mut air, Instant::now()))?;
    }
}

fn in_range(list: &Result<Vec<Candidate>, KeyError>, air: &mut Air, now: Instant) -> InRange {
    match list {
        Ok(doors) => {
            let (other_sites, in_setup) = air.strangers(doors, now);
            InRange { doors: doors.iter().map(row).collect(), other_sites, in_setup, blocked: None }
        }
        Err(error) => {
            let Failure { code, message, remedy } = Failure::from(*error);
            InRange { blocked: Some(Blocked { code, message, remedy }), ..InRange::default() }
        }
    }
}

fn row(door: &Candidate) -> Row {
    let measured = door.strength_db > NOT_MEASURED_DB;
    Row {
        door: door.name.clone(),
        tag: match (&door.door, door.opens) {
            (None, _) => "unknown-door",
            (Some(_), true) => "opens",
            (Some(_), false) => "no-key",
        },
        busy: door.busy,
        strength_db: measured.then(|| (door.strength_db + STEP_DB / 2).div_euclid(STEP_DB) * STEP_DB),
        distance: if measured { distance(door.strength_db) } else { "unknown" },
        battery: if door.battery_low { "low" } else { "ok" },
        clock: if door.wants_sync { "wants-sync" } else { "right" },
    }
}

/// In free air 40 dB are lost over the first metre, 50 over three, 60 over ten; walls and people take more.
const fn distance(strength_db: i16) -> &'static str {
    match strength_db {
        -50.. => "at-hand",
        -65..-50 => "in-the-room",
        _ => "far",
    }
}

/// All locks that were heard, the member's or not.
#[derive(Debug, Default)]
struct Air(HashMap<PeripheralId, (Instant, bool)>);

impl Air {
    fn hear(&mut self, at: Instant, advertisement: Advertisement) {
        if let Some(data) = ServiceData::parse(&advertisement.service_data) {
            self.0.insert(advertisement.peripheral, (at, data.setup));
        }
    }

    /// How many locks of other sites there are, and how many that wait to be claimed.
    fn strangers(&mut self, known: &[Candidate], now: Instant) -> (usize, usize) {
        self.0.retain(|_, (heard, _)| now.saturating_duration_since(*heard) < Duration::from_micros(GONE_US));
        let is_known = |peripheral: &PeripheralId| known.iter().any(|door| door.peripheral == *peripheral);
        let strangers = self.0.iter().filter(|(peripheral, _)| !is_known(peripheral));
        let (setup, others): (Vec<_>, Vec<_>) = strangers.partition(|(_, (_, setup))| *setup);
        (others.len(), setup.len())
    }
}

/// A table that is drawn over itself on a terminal; elsewhere a new one whenever it says something new.
struct Screen {
    json: bool,
    terminal: Option<Term>,
    lines: usize,
    shown: Option<InRange>,
}

impl Screen {
    fn new(json: bool) -> Self {
        let terminal = Some(Term::stdout()).filter(|terminal| terminal.is_term() && !json);
        Self { json, terminal, lines: 0, shown: None }
    }

    fn show(&mut self, list: &InRange) -> Result<(), Failure> {
        if self.shown.as_ref() == Some(list) {
            return Ok(());
        }
        if self.json {
            print_json_line(list)?;
        } else {
            let text = table(list);
            if let Some(terminal) = &self.terminal {
                // A terminal that is gone ends the program at the next line.
                let _ = terminal.clear_last_lines(self.lines);
            } else if self.shown.is_some() {
                println!();
            }
            text.iter().for_each(|line| println!("{line}"));
            self.lines = text.len();
        }
        self.shown = Some(list.clone());
        Ok(())
    }
}

fn table(list: &InRange) -> Vec<String> {
    if let Some(blocked) = &list.blocked {
        let what = format!("{} ({})", blocked.message, blocked.code);
        return vec![format!("{}  {}", paint(Paint::Amber, &what), blocked.remedy)];
    }
    let mut lines = Vec::new();
    if list.doors.is_empty() {
        lines.push("no door is in range".to_owned());
    } else {
        let head = line(["DOOR", "TAG", "SIGNAL", "DISTANCE", "BATTERY", "CLOCK"]);
        lines.push(paint(Paint::Dim, &head));
        lines.extend(list.doors.iter().map(|row| {
            let signal = row.strength_db.map_or_else(|| "not measured".to_owned(), |db| format!("{db} dB"));
            let tag = format!("{}{}", row.tag.replace('-', " "), if row.busy { ", busy" } else { "" });
            let text = line([
                &row.door,
                &tag,
                &signal,
                &row.distance.replace('-', " "),
                row.battery,
                &row.clock.replace('-', " "),
            ]);
            let good = row.tag == "opens" && !row.busy;
            paint(if good { Paint::Green } else { Paint::Amber }, &text)
        }));
    }
    if list.other_sites > 0 {
        lines.push(format!("{} of other sites", count(list.other_sites, "lock")));
    }
    if list.in_setup > 0 {
        lines.push(format!("{} waiting to be claimed", count(list.in_setup, "lock")));
    }
    lines
}

fn line([door, tag, signal, distance, battery, clock]: [&str; 6]) -> String {
    format!("{door:<24} {tag:<16} {signal:>12}  {distance:<12} {battery:<8} {clock}").trim_end().to_owned()
}

struct Listener(mpsc::UnboundedSender<Result<Vec<Candidate>, KeyError>>);

impl NearbyListener for Listener {
    fn on_doors(&self, doors: Vec<Candidate>) {
        // The command may be ending.
        let _ = self.0.send(Ok(doors));
    }

    fn on_blocked(&self, error: KeyError) {
        let _ = self.0.send(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use keybutton::{DoorId, error::ErrorCode};
    use keybutton_protocol::{advert::Tag, api::SiteId};

    use super::*;

    fn door(name: &str, strength_db: i16) -> Candidate {
        Candidate {
            door: Some(DoorId(name.into())),
            site: SiteId("site".into()),
            name: name.into(),
            peripheral: PeripheralId(name.into()),
            strength_db,
            opens: true,
            busy: false,
            battery_low: false,
            wants_sync: false,
            tap_hint: false,
            last_opened: None,
        }
    }

    fn advertisement(name: &str, setup: bool) -> Advertisement {
        let service_data = ServiceData { setup, tag: Tag([1; 8]), masked_flags: 0 }.to_bytes().to_vec();
        Advertisement { peripheral: PeripheralId(name.into()), rssi: -60, tx_power: None, service_data }
    }

    #[test]
    fn a_row_says_all_there_is_to_say() {
        let mut far = door("Back door", -70);
        (far.opens, far.busy, far.battery_low, far.wants_sync) = (false, true, true, true);
        let unmeasured = Candidate { door: None, ..door("Harbour", -131) };
        let list =
            InRange { doors: [&door("Front door", -43), &far, &unmeasured].map(row).to_vec(), ..InRange::default() };
        let text = table(&list).join("\n");
        let words = |line: usize| text.lines().nth(line).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(1), "Front door opens -42 dB at hand ok right");
        assert_eq!(words(2), "Back door no key, busy -72 dB far low wants sync");
        assert_eq!(words(3), "Harbour unknown door not measured unknown ok right");
    }

    #[test]
    fn locks_that_nobody_can_name_are_counted() {
        let (mut air, now) = (Air::default(), Instant::now());
        for (name, setup) in [("Front door", false), ("next house", false), ("new", true)] {
            air.hear(now, advertisement(name, setup));
        }
        let list = in_range(&Ok(vec![door("Front door", -43)]), &mut air, now);
        assert_eq!((list.doors.len(), list.other_sites, list.in_setup), (1, 1, 1));
        let later = in_range(&Ok(Vec::new()), &mut air, now + Duration::from_micros(GONE_US));
        assert_eq!(later, InRange::default());
    }

    #[test]
    fn what_keeps_from_hearing_is_said_with_its_remedy() {
        let list = in_range(&Err(ErrorCode::BluetoothOff.into()), &mut Air::default(), Instant::now());
        assert!(table(&list)[0].contains("(bluetooth-off)  Switch Bluetooth on."), "{:?}", table(&list));
    }
}
