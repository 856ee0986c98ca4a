//! `keybutton lock --apdu` and `keybutton tap`: both sides of a tap over a byte pipe.

use std::{
    path::PathBuf,
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use clap::{Args, ValueEnum};
use keybutton_lock::env::BoltCommand;
use keybutton_protocol::{
    ids::{Intent, ReaderId, UnixTime},
    initiator::InitiatorError,
    profile::{CertificateCarrier, SaltAnchor},
    verdict::Verdict,
};
use tokio::sync::oneshot;

use super::{lock::event_text, stopped};
use crate::{
    apdu::{Endpoint, KeyFile, LockOutput, Note, Pipes, Run, TapLock, TapPhone, Taps, Told, serve_lock, serve_phone},
    failure::Failure,
};

/// The stack of the thread that runs a side, bytes: a lock's tables pass over it when it starts.
const STACK: usize = 8 << 20;

/// Options of `keybutton lock` for taps over a pipe.
#[derive(Clone, Debug, Args)]
pub struct TapLockArgs {
    /// Be the reader of NFC taps over a pipe, one APDU a line in hex: `stdio`, or `tcp:HOST:PORT`, which connects to
    /// whoever listens there and listens itself when nobody does (port 0: any free one). The lock writes commands and
    /// `close`, and reads responses, `close`, `tap` (another tap) and `reset` (forget the phone, start again).
    /// `pcsc` and `pcsc:READER` use a PC/SC reader, in builds with that feature.
    #[arg(long, value_name = "WHERE", requires = "provision")]
    pub(super) apdu: Option<Endpoint>,
    /// Keys, documents and elements of the lock: a JSON file with the names of docs/APDU-PIPE.md.
    #[arg(long, value_name = "FILE", requires = "apdu")]
    provision: Option<PathBuf>,
    /// Keep to what readers and phones of others speak: the standard's application identifiers, no extensions of our own.
    #[arg(long, requires = "apdu")]
    interop: bool,
    /// What time it is for the lock, Unix seconds [default: this machine's time].
    #[arg(long, value_name = "UNIX", requires = "apdu")]
    now: Option<u32>,
    /// How the reader certificate of the file travels [default: auth1, with --interop none].
    #[arg(long, value_name = "HOW", requires = "apdu")]
    certificate: Option<Carrier>,
    /// Begin this many taps without being asked, one after the other, then end.
    #[arg(long, value_name = "N", requires = "apdu", value_parser = clap::value_parser!(u32).range(1..))]
    taps: Option<u32>,
}

/// Options of `keybutton tap`.
#[derive(Clone, Debug, Args)]
pub struct TapArgs {
    /// Where the lock's commands come from, one APDU a line in hex: `stdio`, or `tcp:HOST:PORT`, which connects to
    /// whoever listens there and listens itself when nobody does (port 0: any free one). Every command is answered by
    /// one line; `close` ends a session, `reset` forgets the locks met.
    #[arg(long, value_name = "WHERE")]
    apdu: Endpoint,
    /// Keys and documents of the phone: a JSON file with the names of docs/APDU-PIPE.md.
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// Keep to what readers and phones of others speak: the standard's application identifiers, no extensions of our own.
    #[arg(long)]
    interop: bool,
    /// What time it is for the phone, Unix seconds [default: this machine's time].
    #[arg(long, value_name = "UNIX")]
    now: Option<u32>,
    /// Whose key stands in the salts after LOAD CERT [default: ca, with --interop subject].
    #[arg(long, value_name = "WHOSE")]
    salt_anchor: Option<Anchor>,
    /// What the lock shall do; told to locks of ours only.
    #[arg(long, value_name = "WHAT", default_value = "unlock")]
    intent: Wanted,
}

/// How a reader certificate travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Carrier {
    /// In AUTH1.
    Auth1,
    /// By LOAD CERT.
    LoadCert,
    /// Not at all: the reader key itself proves the lock.
    None,
}

/// Whose x coordinate stands in the salts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Anchor {
    /// The site CA's.
    Ca,
    /// The certificate's own.
    Subject,
}

/// What a lock shall do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Wanted {
    Unlock,
    HoldOpen,
    Lock,
    Status,
}

/// Runs a lock until its peer has gone, its taps are done, or Ctrl-C.
pub async fn lock(endpoint: Endpoint, args: TapLockArgs) -> Result<(), Failure> {
    let Some(path) = &args.provision else { return Err(no_file("provision")) };
    let file = KeyFile::read(path)?;
    let carrier = match args.certificate {
        Some(Carrier::Auth1) => Some(CertificateCarrier::Auth1),
        Some(Carrier::LoadCert) => Some(CertificateCarrier::LoadCert),
        Some(Carrier::None) => None,
        None => (!args.interop && file.has_certificate()).then_some(CertificateCarrier::Auth1),
    };
    if carrier.is_some() && !file.has_certificate() {
        return Err(Failure::new(
            "key-file-unusable",
            format_args!("{}: `certificate_profile0000` is missing", path.display()),
            "Leave --certificate out, or give a file with a reader certificate.",
        ));
    }
    let now = args.now.map_or_else(machine_time, UnixTime);
    let provision = file.provision(args.interop, carrier, now)?;
    let lock = TapLock::new(provision).map_err(|error| {
        Failure::new("lock-stopped", format_args!("the lock does not start: {error}"), "Report this as a defect.")
    })?;
    let run = Run::new(args.taps.map_or(Taps::AsAsked, Taps::Left));
    on_a_thread(move || run_lock(lock, run, &endpoint)).await
}

/// Runs a phone until its peer has gone, or Ctrl-C.
pub async fn tap(args: TapArgs) -> Result<(), Failure> {
    let identity = KeyFile::read(&args.identity)?.identity()?;
    let anchor = match args.salt_anchor {
        Some(Anchor::Ca) => SaltAnchor::Ca,
        Some(Anchor::Subject) => SaltAnchor::Subject,
        None if args.interop => SaltAnchor::Subject,
        None => SaltAnchor::Ca,
    };
    let intent = match args.intent {
        Wanted::Unlock => Intent::Unlock,
        Wanted::HoldOpen => Intent::HoldOpen,
        Wanted::Lock => Intent::Lock,
        Wanted::Status => Intent::Status,
    };
    let mut phone = TapPhone::new(identity, args.interop, anchor, intent);
    let begun = Instant::now();
    let now = move || match args.now {
        Some(at) => UnixTime(at.saturating_add(u32::try_from(begun.elapsed().as_secs()).unwrap_or(u32::MAX))),
        None => machine_time(),
    };
    on_a_thread(move || {
        let pipes = Pipes::open(&args.apdu)?;
        each_peer(pipes, |pipe| {
            let served = serve_phone(&mut phone, pipe, now, &mut |note| tell(&note));
            phone.close();
            served.map(|()| false)
        })
    })
    .await
}

fn run_lock(mut lock: TapLock, mut run: Run, endpoint: &Endpoint) -> Result<(), Failure> {
    let mut tell = |note: Note| tell(&note);
    if let Endpoint::Pcsc(name) = endpoint {
        return with_reader(&mut lock, name.as_deref(), &mut run, &mut tell);
    }
    each_peer(Pipes::open(endpoint)?, |pipe| serve_lock(&mut lock, pipe, &mut run, &mut tell).map(|()| run.is_over()))
}

#[cfg(feature = "pcsc")]
fn with_reader(
    lock: &mut TapLock,
    name: Option<&str>,
    run: &mut Run,
    tell: &mut dyn FnMut(Note),
) -> Result<(), Failure> {
    let mut reader = crate::apdu::CardReader::open(name)?;
    eprintln!("reading cards at {}", reader.name());
    serve_lock(lock, &mut reader, run, tell)
}

#[cfg(not(feature = "pcsc"))]
fn with_reader(_: &mut TapLock, _: Option<&str>, _: &mut Run, _: &mut dyn FnMut(Note)) -> Result<(), Failure> {
    Err(Failure::new(
        "no-pcsc",
        "this build has no PC/SC",
        "Build it with `cargo build -p keybutton-desktop --features pcsc`, or put a bridge on the other side of a pipe \
         (docs/APDU-PIPE.md).",
    ))
}

/// Serves one peer after the other until `serve` says that it is done. One peer's failure ends what has no other.
fn each_peer(
    mut pipes: Pipes,
    mut serve: impl FnMut(&mut crate::apdu::StreamPipe) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    if let Some(how) = pipes.describe() {
        eprintln!("{how}");
    }
    while let Some(mut pipe) = pipes.accept()? {
        match serve(&mut pipe) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(failure) if pipes.outlive_a_peer() => eprintln!("{failure}"),
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// Runs what blocks on a thread of its own, so that Ctrl-C ends it.
async fn on_a_thread(run: impl FnOnce() -> Result<(), Failure> + Send + 'static) -> Result<(), Failure> {
    let (sender, ended) = oneshot::channel();
    let stop = |why: &dyn std::fmt::Display| Failure::new("apdu-pipe-failed", why, "Start it again.");
    thread::Builder::new()
        .name("apdu".into())
        .stack_size(STACK)
        .spawn(move || {
            // Whoever waited may have been stopped.
            let _ = sender.send(run());
        })
        .map_err(|error| stop(&error))?;
    tokio::select! {
        result = ended => result.unwrap_or_else(|_| Err(stop(&"its thread ended"))),
        result = stopped() => result,
    }
}

fn tell(note: &Note) {
    let text = match note {
        Note::Lock(LockOutput::Happened(event)) => event_text(*event),
        Note::Lock(LockOutput::Bolt(BoltCommand::Open(time))) => {
            format!("bolt withdrawn for {}.{} s", time.as_secs(), time.subsec_millis() / 100)
        }
        Note::Lock(LockOutput::Bolt(BoltCommand::HoldOpen)) => "bolt withdrawn".to_owned(),
        Note::Lock(LockOutput::Bolt(BoltCommand::Secure)) => "bolt in place".to_owned(),
        Note::Lock(LockOutput::Command(_) | LockOutput::Close) => return,
        Note::Phone(told) => told_text(told),
        Note::Garbage(number, error) => format!("line {number}: {error}"),
        Note::Stray => "a response that nobody asked for is skipped; `tap` or `reset` begins a session".to_owned(),
        Note::Reset => "everything about earlier taps is forgotten".to_owned(),
    };
    eprintln!("{text}");
}

fn told_text(told: &Told) -> String {
    match told {
        Told::Selected => "selected by a reader".to_owned(),
        Told::Proven(reader) => format!("the lock has proven that it is {}", lock_name(reader)),
        Told::ShownDocuments(len) => format!("documents shown: {len} bytes"),
        Told::Verdict { verdict, fast } => verdict_text(verdict, *fast),
        Told::VerdictOfAnotherPress => "not opened: the verdict is for another press".to_owned(),
        Told::Ended(InitiatorError::LockGaveUp(s2)) => format!("ended by the lock before a verdict ({s2:02x})"),
        Told::Ended(error) => format!("ended before a verdict: {error}; answered {:04x}", error.status_word().0),
        Told::BrokenChain(status) => format!("ended before a verdict: broken chain; answered {:04x}", status.0),
    }
}

fn verdict_text(verdict: &Verdict, fast: bool) -> String {
    let path = if fast { "fast phase" } else { "by signature" };
    let reason = verdict.report.map(|report| match report.reason.known() {
        Some(reason) => reason.name().to_owned(),
        None => format!("reason {:02x}", report.reason.0),
    });
    let again = verdict.report.is_some_and(|report| report.detail == 1 && verdict.is_granted());
    let [s1, s2] = verdict.status.to_bytes();
    match (verdict.is_granted(), reason) {
        (true, _) if again => format!("opened by an earlier tap, {path} (status {s1:02x}{s2:02x})"),
        (true, _) => format!("opened, {path} (status {s1:02x}{s2:02x})"),
        (false, Some(reason)) => format!("refused: {reason}, {path} (status {s1:02x}{s2:02x})"),
        (false, None) => format!("refused, {path} (status {s1:02x}{s2:02x})"),
    }
}

/// The first bytes of a lock's two identifiers.
fn lock_name(reader: &ReaderId) -> String {
    let head = |bytes: &[u8; 16]| bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{} of site {}", head(&reader.sub().0), head(&reader.group().0))
}

fn machine_time() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime(u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
}

fn no_file(option: &str) -> Failure {
    Failure::new("key-file-unusable", format_args!("--{option} is missing"), format_args!("Give --{option} FILE."))
}
