//! The demo as a person reads it.

use keybutton::unlock::Phase;

use super::report::DemoReport;
use crate::{
    console::{Paint, Progress, count, duration, paint},
    press_report::PressReport,
};

/// Follows the demo while it runs.
pub trait Reporter: Send {
    /// Something takes a moment.
    fn doing(&mut self, what: &str);

    /// A new scene begins.
    fn scene(&mut self, title: &str);

    /// Something happened between the presses.
    fn fact(&mut self, what: &str);

    /// The press that goes on entered a phase.
    fn phase(&mut self, phase: &Phase);

    /// A press ended; `differences` is what came out otherwise than told.
    fn press(&mut self, press: &PressReport, differences: &[String]);

    /// All is over.
    fn end(&mut self, report: &DemoReport);
}

/// Shows nothing but a spinner where there is a terminal.
#[derive(Debug)]
pub struct Quiet(Progress);

impl Quiet {
    /// Spins when `progress` is wanted.
    pub fn new(progress: bool) -> Self {
        Self(Progress::start(progress, "the demo"))
    }
}

impl Reporter for Quiet {
    fn doing(&mut self, what: &str) {
        self.0.say(what);
    }

    fn scene(&mut self, title: &str) {
        self.0.say(title);
    }

    fn fact(&mut self, _: &str) {}

    fn phase(&mut self, _: &Phase) {}

    fn press(&mut self, _: &PressReport, _: &[String]) {}

    fn end(&mut self, _: &DemoReport) {}
}

/// Tells the story on standard output.
#[derive(Debug)]
pub struct Story {
    progress: Progress,
    scenes: u32,
}

impl Story {
    /// Begins the story.
    pub fn begin() -> Self {
        println!("{}", paint(Paint::Bold, "Keybutton: one press opens a door"));
        println!("An access service, two locks, two phones and a simulated radio, all real but the hardware.");
        Self { progress: Progress::start(true, ""), scenes: 0 }
    }

    fn print(&self, text: &str) {
        self.progress.above(|| println!("{text}"));
    }
}

impl Reporter for Story {
    fn doing(&mut self, what: &str) {
        self.progress.say(what);
    }

    fn scene(&mut self, title: &str) {
        self.scenes += 1;
        self.print(&format!("\n{}", paint(Paint::Bold, &format!("{}. {title}", self.scenes))));
        self.progress.say(title);
    }

    fn fact(&mut self, what: &str) {
        self.print(&format!("   {what}"));
    }

    fn phase(&mut self, phase: &Phase) {
        self.progress.say(&phase.name().replace('-', " "));
    }

    fn press(&mut self, press: &PressReport, differences: &[String]) {
        let door = press.door.as_deref().unwrap_or("no door");
        self.print(&format!("   {} presses the Key Button: {door}", press.member));
        for phase in &press.phases {
            let name = phase.name.replace('-', " ");
            self.print(&paint(Paint::Dim, &format!("      {name:<16} {:>9}", duration(phase.micros))));
        }
        self.print(&format!("   {}", verdict(press)));
        self.print(&paint(Paint::Dim, &format!("      {}", figures(press))));
        for line in [press.message, press.remedy].into_iter().flatten() {
            self.print(&format!("      {line}"));
        }
        for difference in differences {
            self.print(&paint(Paint::Amber, &format!("   not as told: {difference}")));
        }
    }

    fn end(&mut self, report: &DemoReport) {
        self.progress.say("");
        let took = duration(report.total_us);
        let end = if report.as_told {
            paint(Paint::Green, &format!("All of it came out as told, in {took}."))
        } else {
            paint(Paint::Red, &format!("{} came out otherwise than told.", count(report.differences.len(), "thing")))
        };
        self.print(&format!("\n{end}\n\n{NEXT}"));
    }
}

/// What the lock showed and what the phone concluded, in the colour of the lock's light.
fn verdict(press: &PressReport) -> String {
    let lock = press.lock.as_ref();
    let light = lock.and_then(|lock| lock.light);
    let colour = match light {
        Some("green") => Paint::Green,
        Some("red") => Paint::Red,
        _ => Paint::Amber,
    };
    let mut text = press.outcome.to_owned();
    if let Some(reason) = press.reason {
        text = format!("{text}: {reason}");
    }
    let shown = match light {
        Some(light) => {
            format!("{light} light, {}", count(lock.map_or(0, |lock| lock.tones_hz.len()), "tone"))
        }
        None => "the lock shows nothing".to_owned(),
    };
    let moved = match lock.map_or(0, |lock| lock.bolt_moves) {
        0 => "the bolt stays".to_owned(),
        1 => "the bolt moves once".to_owned(),
        n => format!("the bolt moves {n} times"),
    };
    let again = if press.replayed { ", the same verdict as before" } else { "" };
    format!("{}  {shown}; {moved}{again}", paint(colour, &format!("* {text}")))
}

fn figures(press: &PressReport) -> String {
    let way = if press.fast { "fast phase, " } else { "" };
    format!(
        "{} in all; {way}{}, {} bytes to the lock, {} to the phone; press {}",
        duration(press.total_us),
        count(press.round_trips as usize, "round trip"),
        press.bytes.to_lock,
        press.bytes.to_phone,
        press.id.get(..8).unwrap_or_default(),
    )
}

const NEXT: &str = "What to try next:
   keybutton serve                     the service and the air, with a sample organization
   keybutton lock \"Front door\"         a lock, in a second terminal
   keybutton press \"Front door\"        a phone, in a third one
   keybutton bench                     how fast all this is
   keybutton demo --json               this story for a machine
(`cargo run --release -- serve` and so on, from the source tree)";
