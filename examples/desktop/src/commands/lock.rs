//! `keybutton lock`: a virtual lock in its own process.

use std::path::PathBuf;

use clap::Args;
use keybutton::radio::air::{Endpoint, Position};
use keybutton_lock::{Event, Failure as Interruption, Path, env::BoltEvent, feedback::Signal};
use keybutton_protocol::verdict::ClockState;

use super::{
    apdu::{self, TapLockArgs},
    door_hardware::{DoorHardwareArgs, wires_text},
    knobs::{KnobArgs, place},
    stopped,
};
use crate::{
    bluetooth::BluetoothArgs,
    console::{Paint, paint},
    failure::Failure,
    lock_host::{Fittings, LockEvent, LockFolder, LockOptions, VirtualLock},
    organization::Organization,
    service_client::ServiceClient,
    session::{SAMPLE, Sample, Where},
    state::StateDir,
};

/// Options of `keybutton lock`.
#[derive(Clone, Debug, Args)]
pub struct LockArgs {
    /// The door the lock is on, by name.
    #[arg(required_unless_present = "apdu", conflicts_with = "apdu")]
    door: Option<String>,
    /// Claim the lock with this code, which the operator was given for the door. Without one, a new lock claims itself
    /// with the sample organization's operator key.
    #[arg(long, value_name = "CODE")]
    claim_code: Option<String>,
    /// Claim the lock and end; nothing but that needs the access service.
    #[arg(long, conflicts_with = "apdu")]
    claim_only: bool,
    /// This machine's clock does not outlast a power cut (a Raspberry Pi without a battery clock): begin without the time,
    /// until two phones have brought it.
    #[arg(long)]
    clock_lost: bool,
    /// Where the lock is: metres east and north.
    #[arg(long, value_name = "X,Y", default_value = "0,0", value_parser = place, allow_hyphen_values = true)]
    at: Position,
    /// Ring the terminal's bell with the lock's tones.
    #[arg(long)]
    bell: bool,
    #[command(flatten)]
    at_where: Where,
    #[command(flatten)]
    radio: BluetoothArgs,
    #[command(flatten)]
    hardware: DoorHardwareArgs,
    #[command(flatten)]
    knobs: KnobArgs,
    #[command(flatten, next_help_heading = "NFC taps over a pipe")]
    tap: TapLockArgs,
}

impl LockArgs {
    /// What the lock moves and shows.
    #[cfg(test)]
    pub(super) fn fittings(&self) -> Fittings {
        self.hardware.fittings()
    }
}

/// Runs the command until Ctrl-C, or until the pipe of its taps ends.
pub async fn run(args: LockArgs, state: Option<PathBuf>) -> Result<(), Failure> {
    if let Some(endpoint) = args.tap.apdu.clone() {
        return apdu::lock(endpoint, args.tap).await;
    }
    let Some(door) = &args.door else {
        return Err(Failure::new("no-door", "no door is named", "Name the door the lock is on."));
    };
    let state = StateDir::open(state)?;
    let path = state.lock(door)?;
    let folder = LockFolder::new(path.clone());
    if args.claim_code.is_some() || !folder.is_claimed() {
        let service = ServiceClient::new(&args.at_where.find_service(&state)?)?;
        let code = match &args.claim_code {
            Some(code) => code.clone(),
            None => sample_code(&state, &service, door).await?,
        };
        let provision = folder.claim(&service, &code).await?;
        println!("claimed as lock {} of {}", provision.number, provision.name);
    }
    if args.claim_only {
        return Ok(());
    }
    let (mut options, heard) = if args.radio.bluetooth {
        let adapter = args.radio.adapter.clone();
        let heard = adapter.clone().unwrap_or_else(|| "the first adapter".to_owned());
        (LockOptions::bluetooth(path, adapter, door), format!("advertises by Bluetooth on {heard}"))
    } else {
        let air = args.at_where.find(&state)?.air;
        let mut options = LockOptions::new(path, Endpoint::Tcp(air), door);
        options.participant.position = args.at;
        options.participant.knobs = args.knobs.apply(options.participant.knobs);
        (options, format!("is on the air at {air}"))
    };
    options.fittings = args.hardware.fittings();
    options.clock_lost = args.clock_lost;
    let moves = match &options.fittings {
        Fittings::Screen => String::new(),
        Fittings::Gpio(wiring) => format!(", drives {}", wires_text(wiring)),
    };
    let lock = VirtualLock::start(options).await?;
    let mut events = lock.events();
    println!("{} {} {heard}{moves}; stop with Ctrl-C", paint(Paint::Green, "running"), door);
    let end = stopped();
    tokio::pin!(end);
    loop {
        tokio::select! {
            result = &mut end => return result,
            event = events.recv() => match event {
                Ok(event) => show(event, args.bell),
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return Err(lock.stopped()),
            },
            failure = lock.ended() => return Err(failure),
        }
    }
}

/// Asks the service, as the sample organization's operator, for a code to claim the door with.
pub(super) async fn sample_code(state: &StateDir, service: &ServiceClient, door: &str) -> Result<String, Failure> {
    let sample: Sample = state.read(SAMPLE)?.ok_or_else(|| {
        Failure::new(
            "not-claimed",
            "the lock has not been claimed",
            "Give the door's --claim-code, or the --state of `keybutton serve`.",
        )
    })?;
    let organization = Organization::resume(service, &sample)?;
    let door = organization.door(door).await?;
    organization.claim_code(&door).await
}

fn show(event: LockEvent, bell: bool) {
    match event {
        LockEvent::Signal(feedback) => {
            let colour = match feedback.signal {
                Signal::Granted => Paint::Green,
                Signal::Refused | Signal::Fault | Signal::Alarm => Paint::Red,
                Signal::Acknowledged | Signal::Secured => Paint::Amber,
            };
            let tones: Vec<String> =
                feedback.steps().filter(|step| step.tone_hz > 0).map(|step| step.tone_hz.to_string()).collect();
            let sound = if tones.is_empty() { "silent".to_owned() } else { format!("{} Hz", tones.join(" ")) };
            let ring = if bell && !tones.is_empty() { "\u{7}" } else { "" };
            println!("{}  {sound}{ring}", paint(colour, &format!("* {}", signal_text(feedback.signal))));
        }
        LockEvent::Bolt(bolt) => println!("  bolt {}", bolt_text(bolt)),
        LockEvent::Connected => println!("{}", paint(Paint::Dim, "  a phone has connected")),
        LockEvent::Disconnected => println!("{}", paint(Paint::Dim, "  the phone has gone")),
        LockEvent::Happened(event) => {
            let colour = match event {
                Event::Verdict { .. } => None,
                Event::Failed { .. } | Event::StoreFailed => Some(Paint::Amber),
                Event::Time { .. }
                | Event::RevocationApplied
                | Event::AuditHandedOver { .. }
                | Event::AuditAcknowledged { .. } => Some(Paint::Dim),
            };
            let text = format!("  {}", event_text(event));
            println!("{}", colour.map_or_else(|| text.clone(), |colour| paint(colour, &text)));
        }
    }
}

fn signal_text(signal: Signal) -> &'static str {
    match signal {
        Signal::Granted => "granted",
        Signal::Refused => "refused",
        Signal::Acknowledged => "done as asked",
        Signal::Fault => "fault",
        Signal::Secured => "secured",
        Signal::Alarm => "alarm",
    }
}

pub(super) fn event_text(event: Event) -> String {
    match event {
        Event::Verdict { reason, path, repeated, .. } => {
            let again = if repeated { "; the verdict of before, nothing moves" } else { "" };
            format!("verdict {}, {}{again}", reason.name(), path_text(path))
        }
        Event::Failed { failure, .. } => format!("ended before a verdict: {}", failure_text(failure)),
        Event::Time { state } => format!("clock: {}", clock_text(state)),
        Event::RevocationApplied => "newer revocations taken from the phone".to_owned(),
        Event::AuditHandedOver { number } => format!("audit handed to the phone, up to record {number}"),
        Event::AuditAcknowledged { number } => format!("audit received by the service, up to record {number}"),
        Event::StoreFailed => "the store can't be written: nothing opens until it can".to_owned(),
    }
}

fn path_text(path: Path) -> &'static str {
    match path {
        Path::Fast => "fast phase",
        Path::Known => "a key the lock knows",
        Path::StepUp => "a key seen for the first time",
    }
}

fn clock_text(state: ClockState) -> &'static str {
    match state {
        ClockState::Unknown => "the time is not known",
        ClockState::LowerBound => "the time may be later than known",
        ClockState::Running => "running",
        ClockState::Confirmed => "confirmed",
    }
}

fn failure_text(failure: Interruption) -> &'static str {
    match failure {
        Interruption::Timeout => "the phone did not answer in time",
        Interruption::LinkLost => "the phone left",
        Interruption::Framing => "the phone broke the rules of the link",
        Interruption::Version => "phone and lock have no version in common",
        Interruption::Rejected => "the phone refused, or answered with something else",
        Interruption::Unauthentic => "a sealed message did not open",
        Interruption::DeviceSignature => "the device's signature is wrong",
        Interruption::Busy => "too many phones at once",
        Interruption::Engine => "the lock's crypto or random source failed",
    }
}

fn bolt_text(event: BoltEvent) -> &'static str {
    match event {
        BoltEvent::Withdrawn => "withdrawn",
        BoltEvent::Secured => "in place",
        BoltEvent::Jammed => "jammed",
        BoltEvent::MotorFault => "motor fault",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_shows_words() {
        let cases = [
            (Event::AuditHandedOver { number: 3 }, "audit handed to the phone, up to record 3"),
            (Event::Time { state: ClockState::Running }, "clock: running"),
            (
                Event::Failed { interface: keybutton_protocol::ids::Interface::Ble, failure: Interruption::LinkLost },
                "ended before a verdict: the phone left",
            ),
        ];
        for (event, text) in cases {
            assert_eq!(event_text(event), text);
        }
    }
}
