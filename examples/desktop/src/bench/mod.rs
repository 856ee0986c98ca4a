//! Measures what the product promises in figures, and puts each beside its bar (docs/PERFORMANCE.md).

#[cfg(feature = "bluetooth")]
mod bluetooth;
mod budget;
mod cpu;
mod ground;
pub mod html;
mod idle;
mod issue;
mod pair;
mod plots;
mod radio;
mod scan;
mod table;

use std::time::Duration;

#[cfg(feature = "bluetooth")]
pub use bluetooth::{At, BluetoothOptions, measure as measure_bluetooth};
pub use table::{Bar, BenchReport, Found, Plot, Row, Series, Sum, number, percentile, print_row};

use crate::{
    demo::{self, DemoOptions, Quiet},
    failure::Failure,
};

/// A part of the bench.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, clap::ValueEnum)]
pub enum Part {
    /// Round trips and bytes of the three flows.
    Flows,
    /// The phone's own time for each press, and the lock's with 1 and with 64 phones.
    Cpu,
    /// From the press to the verdict on the air.
    Air,
    /// Keys issued by the service over HTTP.
    Issue,
    /// What listening costs with fifty advertisers in range.
    Scan,
    /// What a core costs that nobody uses.
    Idle,
    /// How long the demo takes.
    Demo,
}

impl Part {
    /// All of them, in the order they are measured.
    pub const ALL: [Self; 7] = [Self::Flows, Self::Cpu, Self::Air, Self::Issue, Self::Scan, Self::Idle, Self::Demo];

    /// Whether others of this process must be at rest while it is measured.
    pub const fn wants_quiet(self) -> bool {
        matches!(self, Self::Scan | Self::Idle)
    }
}

/// How much the bench measures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BenchOptions {
    /// What to measure.
    pub parts: Vec<Part>,
    /// Presses of the pure pair, for each flow.
    pub cpu_presses: u32,
    /// Fast presses on the air; known keys and first openings get a third of it.
    pub air_presses: u32,
    /// How long keys are issued, for each of the two loads.
    pub issue_time: Duration,
    /// How long the listening core is watched.
    pub scan_time: Duration,
    /// How long the idle core is watched.
    pub idle_time: Duration,
    /// Where the air's simulated randomness starts.
    pub seed: u64,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            parts: Part::ALL.to_vec(),
            cpu_presses: 200,
            air_presses: 45,
            issue_time: Duration::from_secs(5),
            scan_time: Duration::from_secs(5),
            idle_time: Duration::from_secs(5),
            seed: 0,
        }
    }
}

/// Measures; `tell` hears of each part as it begins and of each figure as it is there.
pub async fn run(options: &BenchOptions, mut tell: impl FnMut(Told<'_>)) -> Result<BenchReport, Failure> {
    let mut all = Found::default();
    for part in Part::ALL.into_iter().filter(|part| options.parts.contains(part)) {
        tell(Told::Begins(part, title(part)));
        let found: Found = match part {
            Part::Flows => cpu::flows().await?.into(),
            Part::Cpu => cpu::times(options.cpu_presses).await?.into(),
            Part::Air => radio::times(options.air_presses, options.seed).await?,
            Part::Issue => issue::load(options.issue_time).await?.into(),
            Part::Scan => scan::watch(options.scan_time).await?.into(),
            Part::Idle => idle::watch(options.idle_time).await?.into(),
            Part::Demo => demo_time(options.seed).await?.into(),
        };
        found.rows.iter().for_each(|row| tell(Told::Row(row)));
        all.rows.extend(found.rows);
        all.plots.extend(found.plots);
    }
    Ok(BenchReport::new(all))
}

/// What the bench tells while it runs.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A part begins.
    Begins(Part, &'static str),
    /// A figure is there.
    Row(&'a Row),
}

fn title(part: Part) -> &'static str {
    match part {
        Part::Flows => "Round trips and bytes",
        Part::Cpu => "Thinking: phone (ring) and lock (RustCrypto), without the air",
        Part::Air => "From press to verdict: 15 ms connection interval, 30 ms advertising, MTU 185",
        Part::Issue => "Keys issued over HTTP by the service on embedded SQLite",
        Part::Scan => "Listening for doors: 50 advertisers, each heard 10 times a second",
        Part::Idle => "A signed-in core that nobody uses",
        Part::Demo => "The demo",
    }
}

async fn demo_time(seed: u64) -> Result<Vec<Row>, Failure> {
    let report = demo::run(DemoOptions { seed }, &mut Quiet::new(false)).await?;
    let told = if report.as_told { 1.0 } else { 0.0 };
    Ok(vec![
        Row::new("demo, from start to end", report.total_us as f64 / 1e6, "s").bar(Bar::AtMost(15.0)),
        Row::new("demo came out as told (1: yes)", told, "").bar(Bar::Exactly(1.0)),
    ])
}
