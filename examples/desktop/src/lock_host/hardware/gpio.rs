//! Lines of a Linux GPIO character device.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use gpiocdev::{
    Chip, Request,
    line::{Bias, EdgeDetection, Offset, Value},
    request::Builder,
    tokio::AsyncRequest,
};
use tokio::{sync::mpsc, time::timeout};

use super::{LineName, Part, Pull, Sensed, Wire, Wiring, relay::Lines};
use crate::failure::Failure;

/// Where chips are, and the first one.
const DEVICES: &str = "/dev";
const FIRST: &str = "gpiochip0";

/// Who the kernel says holds the lines.
const CONSUMER: &str = "keybutton lock";

/// How long all sensors have to be quiet before they count: contacts bounce for a few milliseconds.
const BOUNCE: Duration = Duration::from_millis(10);

/// The lines of a door's parts. They are off from the moment they are taken.
#[derive(Debug)]
pub(super) struct GpioLines {
    request: Request,
    offsets: BTreeMap<Part, Offset>,
    chip: String,
}

impl Lines for GpioLines {
    fn switch(&mut self, part: Part, on: bool) -> Result<(), Failure> {
        let Some(offset) = self.offsets.get(&part) else { return Ok(()) };
        let value = if on { Value::Active } else { Value::Inactive };
        self.request.set_value(*offset, value).map_err(|error| gone(&self.chip, &error))
    }
}

/// Takes the wires' lines. The sensors are watched by a task on the runtime that this is called on; they are `None` where
/// there are none.
pub(super) fn open(wiring: &Wiring) -> Result<(GpioLines, Option<mpsc::UnboundedReceiver<Sensed>>), Failure> {
    let path = chip_path(wiring)?;
    let chip = open_chip(&path)?;
    let wires = resolve(&chip, wiring)?;
    let (sensors, parts): (Vec<_>, Vec<_>) = wires.into_iter().partition(|(_, wire)| wire.part.is_sensor());
    let mut builder = builder(&path);
    for (offset, wire) in &parts {
        polarity(builder.with_line(*offset).as_output(Value::Inactive), wire);
    }
    let request = builder.request().map_err(|error| refused(&path, "take the lines", &error))?;
    let offsets = parts.iter().map(|(offset, wire)| (wire.part, *offset)).collect();
    let lines = GpioLines { request, offsets, chip: path.display().to_string() };
    Ok((lines, if sensors.is_empty() { None } else { Some(watch(&path, &sensors)?) }))
}

fn builder(path: &Path) -> Builder {
    let mut builder = Request::builder();
    builder.on_chip(path).with_consumer(CONSUMER);
    builder
}

fn polarity(builder: &mut Builder, wire: &Wire) {
    if wire.active_low {
        builder.as_active_low();
    } else {
        builder.as_active_high();
    }
}

fn chip_path(wiring: &Wiring) -> Result<PathBuf, Failure> {
    let named = wiring.wires.iter().find_map(|wire| match &wire.line {
        LineName::Name(name) if wire.part == Part::Bolt => Some(name),
        LineName::Name(_) | LineName::Offset(_) => None,
    });
    match (&wiring.chip, named) {
        (Some(chip), _) => Ok(Path::new(DEVICES).join(chip)),
        (None, Some(name)) => gpiocdev::find_named_line(name).map(|found| found.chip).ok_or_else(|| nowhere(name)),
        (None, None) => Ok(Path::new(DEVICES).join(FIRST)),
    }
}

/// Why a line is not found by its name: chips that may not be opened have none to show.
fn nowhere(name: &str) -> Failure {
    let chips = gpiocdev::chip::chips().unwrap_or_default();
    let closed = chips.iter().find_map(|chip| open_chip(chip).err());
    match (closed, chips.is_empty()) {
        (Some(closed), _) => closed,
        (None, true) => no_chip(&Path::new(DEVICES).join(FIRST), "there is none at all"),
        (None, false) => no_line(name, "any chip"),
    }
}

fn open_chip(path: &Path) -> Result<Chip, Failure> {
    // Tells what is missing more plainly than the library does.
    if let Err(error) = File::open(path) {
        return Err(match error.kind() {
            ErrorKind::NotFound => no_chip(path, "it is not there"),
            ErrorKind::PermissionDenied => Failure::new(
                "gpio-forbidden",
                format_args!("this user may not use {}", path.display()),
                "Join the group gpio (`usermod -aG gpio USER`, then log in again); where there is none, add \
                 packaging/60-keybutton-gpio.rules to /etc/udev/rules.d.",
            ),
            _ => refused(path, "open the chip", &error),
        });
    }
    Chip::from_path(path).map_err(|error| no_chip(path, &error.to_string()))
}

/// Finds the line of each wire, and sees that it is there, free, and no other wire's.
fn resolve<'w>(chip: &Chip, wiring: &'w Wiring) -> Result<Vec<(Offset, &'w Wire)>, Failure> {
    let (name, mut taken) = (chip.name(), BTreeSet::new());
    let mut wires = Vec::new();
    for wire in &wiring.wires {
        let info = match &wire.line {
            LineName::Offset(offset) => chip.line_info(*offset).ok(),
            LineName::Name(line) => chip.find_line_info(line),
        };
        let info = info.ok_or_else(|| no_line(&wire.line, &name))?;
        if info.used {
            return Err(Failure::new(
                "gpio-line-busy",
                format_args!("{} of {name}, the {}'s, is used by \"{}\"", wire.line, wire.part, info.consumer),
                "Stop that program or choose another line; on a Raspberry Pi, see that config.txt gives the pin to \
                 no other function.",
            ));
        }
        if !taken.insert(info.offset) {
            return Err(Failure::new(
                "gpio-line-twice",
                format_args!("{} of {name} is given to two parts", wire.line),
                "Give each part a line of its own.",
            ));
        }
        wires.push((info.offset, wire));
    }
    Ok(wires)
}

/// Reports how the sensors are, and from then on every change.
fn watch(path: &Path, wires: &[(Offset, &Wire)]) -> Result<mpsc::UnboundedReceiver<Sensed>, Failure> {
    let mut builder = builder(path);
    for (offset, wire) in wires {
        builder.with_line(*offset).as_input().with_edge_detection(EdgeDetection::BothEdges).with_bias(wire.pull.map(
            |pull| match pull {
                Pull::Up => Bias::PullUp,
                Pull::Down => Bias::PullDown,
            },
        ));
        polarity(&mut builder, wire);
    }
    let request = builder.request().map_err(|error| refused(path, "watch the sensors", &error))?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut watcher = Watcher {
        request: AsyncRequest::new(request),
        parts: wires.iter().map(|(offset, wire)| (*offset, (wire.part, None))).collect(),
        sender,
    };
    // After the lines are watched, so that no change falls in between.
    watcher.tell().map_err(|error| refused(path, "read the sensors", &error))?;
    let chip = path.display().to_string();
    tokio::spawn(async move {
        let sender = watcher.sender.clone();
        tokio::select! {
            failure = watcher.run() => {
                let _ = sender.send(Sensed::Lost(gone(&chip, &failure)));
            }
            () = sender.closed() => {}
        }
    });
    Ok(receiver)
}

/// The sensors' lines, and what was told of each.
struct Watcher {
    request: AsyncRequest,
    parts: BTreeMap<Offset, (Part, Option<Value>)>,
    sender: mpsc::UnboundedSender<Sensed>,
}

impl Watcher {
    /// Passes changes on; returns why it no longer can.
    async fn run(&mut self) -> gpiocdev::Error {
        loop {
            if let Err(error) = self.request.read_edge_event().await {
                return error;
            }
            // The kernel's own debouncing does not work on chips behind a bus.
            while let Ok(event) = timeout(BOUNCE, self.request.read_edge_event()).await {
                if let Err(error) = event {
                    return error;
                }
            }
            if let Err(error) = self.tell() {
                return error;
            }
        }
    }

    /// Tells what is no longer as it was told before.
    fn tell(&mut self) -> gpiocdev::Result<()> {
        for (offset, (part, told)) in &mut self.parts {
            let value = self.request.as_ref().value(*offset)?;
            if told.replace(value) != Some(value) {
                // Whoever has gone will not wait for it.
                let _ = self.sender.send(sensed(*part, value == Value::Active));
            }
        }
        Ok(())
    }
}

fn sensed(part: Part, active: bool) -> Sensed {
    match part {
        Part::DoorContact => Sensed::DoorClosed(active),
        Part::PrivacySwitch => Sensed::Privacy(active),
        Part::BoltSensor | Part::Bolt | Part::Green | Part::Red | Part::Light | Part::Buzzer => {
            Sensed::BoltInPlace(active)
        }
    }
}

fn no_chip(path: &Path, why: &str) -> Failure {
    Failure::new(
        "no-gpio-chip",
        format_args!("{} is no GPIO chip of this machine: {why}", path.display()),
        "See which there are with `gpiodetect` (Debian: `apt install gpiod`), and name one with --gpio.",
    )
}

fn no_line(line: impl std::fmt::Display, chip: &str) -> Failure {
    Failure::new(
        "no-gpio-line",
        format_args!("there is no {line} on {chip}"),
        "See the lines' numbers and names with `gpioinfo` (Debian: `apt install gpiod`).",
    )
}

fn refused(path: &Path, what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        "gpio-refused",
        format_args!("{} does not let the lock {what}: {error}", path.display()),
        "See `gpioinfo` for what the lines are; sensors need lines that report changes (interrupts).",
    )
}

fn gone(chip: &str, error: &gpiocdev::Error) -> Failure {
    Failure::new(
        "gpio-gone",
        format_args!("{chip} no longer works: {error}"),
        "See that the chip is plugged in and `gpiodetect` lists it, then start the lock again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wiring(chip: &Path, line: &str) -> Wiring {
        let bolt = Wire { part: Part::Bolt, line: line.parse().unwrap(), active_low: false, pull: None };
        Wiring { chip: Some(chip.display().to_string()), wires: vec![bolt], bolt_time: Duration::ZERO }
    }

    #[test]
    fn what_is_no_chip_is_named_with_a_remedy() {
        let missing = open(&wiring(Path::new("/dev/gpiochip-none"), "17")).unwrap_err();
        assert_eq!(missing.code, "no-gpio-chip");
        assert!(missing.message.contains("/dev/gpiochip-none") && missing.remedy.contains("--gpio"), "{missing:?}");
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(open(&wiring(file.path(), "17")).unwrap_err().code, "no-gpio-chip");
        let nowhere = Wiring { chip: None, ..wiring(file.path(), "NO SUCH LINE") };
        let code = open(&nowhere).unwrap_err().code;
        assert!(["no-gpio-chip", "no-gpio-line", "gpio-forbidden"].contains(&code.as_str()), "{code}");
    }
}
