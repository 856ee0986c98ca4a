//! `keybutton sniff`: a transaction as it happens, explained.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use keybutton::{
    press::PressOptions,
    radio::{PeripheralId, RadioError},
    unlock::Phase,
};
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    knobs::KnobArgs,
    press::{WhichPress, choose},
    print_json_line,
};
use crate::{
    console::{Paint, Progress, paint},
    failure::Failure,
    phone::{News, Phone},
    press_report::PressReport,
    session::PhoneArgs,
    sniff::{
        Conversation, Seen, TappedRadio, Value,
        capture::{self, Follower, Reader, RecordError},
        text,
    },
    state::StateDir,
};

/// How long the process stays for the lock's sake after the outcome, and for the link's end.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);

/// Options of `keybutton sniff`.
#[derive(Clone, Debug, Args)]
pub struct SniffArgs {
    #[command(flatten)]
    which: WhichPress,
    /// Explain this record instead of pressing: a btsnoop file, as `btmon -w FILE` writes it. `-` reads standard input, as
    /// it comes: btmon -w /dev/fd/3 3>&1 >/dev/null | keybutton sniff --capture -
    #[arg(long, value_name = "FILE", conflicts_with_all = ["door", "bluetooth", "offline", "deadline"])]
    capture: Option<PathBuf>,
    /// Print JSON, one object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    phone: PhoneArgs,
    #[command(flatten)]
    knobs: KnobArgs,
}

/// What is told, with the time since the begin.
#[derive(Serialize)]
struct Told {
    at_us: u64,
    #[serde(flatten)]
    what: What,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum What {
    Phase {
        phase: &'static str,
    },
    LinkUp {
        link: u32,
        mtu: u16,
        /// The adapter's number, in a record.
        #[serde(skip_serializing_if = "Option::is_none")]
        adapter: Option<u16>,
        /// Whose adapter it is, in a record that says so.
        #[serde(skip_serializing_if = "Option::is_none")]
        side: Option<&'static str>,
    },
    Value {
        link: u32,
        #[serde(flatten)]
        value: Value,
    },
    LinkDown {
        link: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    Outcome {
        #[serde(flatten)]
        report: Box<PressReport>,
    },
}

/// Runs the command; the exit code of a press is 0 when the door opened, 1 when not.
pub async fn run(args: SniffArgs, state: Option<PathBuf>) -> Result<ExitCode, Failure> {
    match args.capture.clone() {
        Some(path) => {
            let json = args.json;
            let read = tokio::task::spawn_blocking(move || explain_record(&path, json));
            read.await.map_err(|error| Failure::new("sniff-failed", error, "Report this as a defect."))??;
            Ok(ExitCode::SUCCESS)
        }
        None => press(args, state).await,
    }
}

async fn press(args: SniffArgs, state: Option<PathBuf>) -> Result<ExitCode, Failure> {
    let state = StateDir::open(state)?;
    args.phone.at_where.find_service(&state)?;
    let radio = args.phone.open_radio(&state, args.knobs.apply(Default::default())).await?;
    let (radio, seen) = TappedRadio::new(radio);
    let phone = args.phone.start_on(radio, &state).await?;
    let options = args.which.options(&phone).await?;
    let mut listener =
        Listener { begun: Instant::now(), json: args.json, seen, links: HashMap::new(), last: 0, open: 0 };
    let opened = listener.listen(&phone, options, &args.phone.member).await?;
    Ok(if opened { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Who listens to a press and to the radio under it.
struct Listener {
    begun: Instant,
    json: bool,
    seen: mpsc::UnboundedReceiver<Seen>,
    links: HashMap<PeripheralId, (u32, Conversation)>,
    last: u32,
    /// Links that are up.
    open: u32,
}

impl Listener {
    /// Presses, and tells all until the link is gone; returns whether the door opened.
    async fn listen(&mut self, phone: &Phone, options: PressOptions, member: &str) -> Result<bool, Failure> {
        let mut pressing = phone.press(options)?;
        let outcome = loop {
            tokio::select! {
                biased;
                // What was seen goes first: a phase follows from it.
                Some(seen) = self.seen.recv() => self.radio(seen)?,
                news = pressing.next() => match news? {
                    News::Phase(phase) => {
                        self.tell(Instant::now(), What::Phase { phase: phase.name() })?;
                        if let Phase::Choose(candidates) = phase {
                            choose(&pressing, &Progress::start(false, ""), candidates, self.json)?;
                        }
                    }
                    News::Outcome(outcome) => break outcome,
                },
            }
        };
        let doors = phone.keys().doors();
        let name = doors.iter().find(|door| Some(&door.id) == outcome.door.as_ref()).map(|door| door.name.clone());
        let report = PressReport::new(&outcome, member, name);
        let opened = report.outcome == "opened";
        self.tell(Instant::now(), What::Outcome { report: Box::new(report) })?;
        // After the verdict the lock may ask for more, on the same link.
        let end = tokio::time::sleep(SETTLE_PATIENCE);
        tokio::pin!(end);
        while self.open > 0 {
            tokio::select! {
                Some(seen) = self.seen.recv() => self.radio(seen)?,
                () = &mut end => break,
            }
        }
        let _ = tokio::time::timeout(SETTLE_PATIENCE, pressing.press().settled().done()).await;
        Ok(opened)
    }

    fn radio(&mut self, seen: Seen) -> Result<(), Failure> {
        match seen {
            Seen::Up(at, peripheral, mtu) => {
                self.last += 1;
                self.open += 1;
                self.links.insert(peripheral, (self.last, Conversation::new()));
                self.tell(at, What::LinkUp { link: self.last, mtu, adapter: None, side: None })
            }
            Seen::Value(at, peripheral, way, value) => {
                let Some((link, conversation)) = self.links.get_mut(&peripheral) else { return Ok(()) };
                let (link, value) = (*link, conversation.value(way, &value));
                self.tell(at, What::Value { link, value })
            }
            Seen::Down(at, peripheral, cause) => {
                // A link that never came up has no number.
                let link = self.links.remove(&peripheral).map_or(0, |(link, _)| link);
                self.open = self.open.saturating_sub(u32::from(link > 0));
                self.tell(at, What::LinkDown { link, cause: Some(why(cause)) })
            }
            Seen::Heard(..) => Ok(()),
        }
    }

    fn tell(&self, at: Instant, what: What) -> Result<(), Failure> {
        let since = at.saturating_duration_since(self.begun);
        show(Told { at_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX), what }, self.json)
    }
}

/// Why a link has gone. A lock that has said everything drops it: nothing was lost then.
fn why(cause: RadioError) -> String {
    match cause {
        RadioError::LinkLost => "the lock dropped it, or the air did".to_owned(),
        RadioError::Closed => "the phone dropped it".to_owned(),
        RadioError::Unavailable
        | RadioError::OutOfRange
        | RadioError::ConnectFailed
        | RadioError::WrongService
        | RadioError::Throttled => cause.to_string(),
    }
}

/// Explains what phones and locks said in a record. Returns at its end, or when a pipe into us closes.
fn explain_record(path: &Path, json: bool) -> Result<(), Failure> {
    let piped = path.as_os_str() == "-";
    let name = if piped { "standard input".to_owned() } else { path.display().to_string() };
    let from: Box<dyn Read> = if piped {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(|error| Failure::file(path, &error))?)
    };
    let unusable = |error: RecordError| unusable(&name, piped, &error);
    let mut reader = Reader::new(BufReader::new(from)).map_err(unusable)?;
    let mut follower = Follower::new(reader.datalink());
    let (mut begun, mut links, mut cut) = (None, 0_u32, None);
    loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            // What came before counts all the same.
            Err(error @ RecordError::CutShort) => {
                cut = Some(error);
                break;
            }
            Err(error) => return Err(unusable(error)),
        };
        for news in follower.take(&record) {
            let since = record.at_us.saturating_sub(*begun.get_or_insert(record.at_us));
            links += u32::from(matches!(news, capture::News::Began { .. }));
            show(Told { at_us: u64::try_from(since).unwrap_or(0), what: in_record(news) }, json)?;
        }
    }
    if links == 0 && !json {
        println!("no phone and no lock is in this record");
    }
    match cut {
        // Whoever wrote into the pipe was stopped, as it has to be.
        Some(error) if piped => eprintln!("{error}"),
        Some(error) => return Err(unusable(error)),
        None => {}
    }
    Ok(())
}

fn unusable(name: &str, piped: bool, error: &RecordError) -> Failure {
    let (code, remedy) = match error {
        RecordError::CutShort => (
            "record-cut-short",
            "What comes before is told. Copy the file whole, or record with `btmon -w FILE` again.",
        ),
        RecordError::Empty if piped => ("record-unusable", "See what btmon says: it has to be root."),
        RecordError::Format if piped => (
            "record-unusable",
            "btmon prints to standard output as well. Keep the two apart: \
             `btmon -w /dev/fd/3 3>&1 >/dev/null | keybutton sniff --capture -`.",
        ),
        RecordError::Empty
        | RecordError::Format
        | RecordError::Datalink(_)
        | RecordError::TooLong(_)
        | RecordError::Io(_) => (
            "record-unusable",
            "Record with `btmon -w FILE`, or take Android's HCI snoop log. Wireshark saves as btsnoop, too.",
        ),
    };
    Failure::new(code, format_args!("{name}: {error}"), remedy)
}

fn in_record(news: capture::News) -> What {
    match news {
        capture::News::Began { link, adapter, phone, mtu } => {
            let side = phone.map(|phone| if phone { "phone" } else { "lock" });
            What::LinkUp { link, mtu, adapter: Some(adapter), side }
        }
        capture::News::Value { link, value } => What::Value { link, value },
        capture::News::Ended { link } => What::LinkDown { link, cause: None },
    }
}

/// Prints, and at once: somebody may be reading along.
fn show(told: Told, json: bool) -> Result<(), Failure> {
    if json {
        print_json_line(&told)?;
    } else {
        tell(&told);
    }
    // A reader that has seen enough ends the program at the next line.
    let _ = io::stdout().flush();
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "no press takes centuries")]
fn tell(told: &Told) {
    let at = paint(Paint::Dim, &format!("{:>10.3} ms", told.at_us as f64 / 1e3));
    match &told.what {
        What::Phase { phase } => println!("{at}  {}", paint(Paint::Bold, &phase.replace('-', " "))),
        What::LinkUp { link, mtu, adapter, side } => {
            let on = adapter.map(|adapter| format!(" on hci{adapter}")).unwrap_or_default();
            let whose = side.map(|side| format!(" (the {side}'s)")).unwrap_or_default();
            println!("{at}  link {link} is up{on}{whose}, ATT MTU {mtu}");
        }
        What::Value { link, value } => {
            let mut lines = text(value).into_iter();
            println!("{at}  {link}: {}", lines.next().unwrap_or_default());
            for line in lines {
                println!("{:15} {line}", "");
            }
        }
        What::LinkDown { link: 0, cause } => {
            println!("{at}  no link: {}", cause.as_deref().unwrap_or("not said why"));
        }
        What::LinkDown { link, cause } => {
            let why = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
            println!("{at}  link {link} is gone{why}");
        }
        What::Outcome { report } => {
            let colour = if report.outcome == "opened" { Paint::Green } else { Paint::Red };
            let reason = report.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            println!("{at}  {}", paint(colour, &format!("* {}{reason}", report.outcome)));
        }
    }
}
