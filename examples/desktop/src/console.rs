//! Output for a person: colours where the terminal has them, plain text everywhere else.

use std::{
    env,
    io::{IsTerminal as _, stderr, stdout},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// A colour with a meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paint {
    /// Opened, passed.
    Green,
    /// Refused, failed.
    Red,
    /// Worth a look.
    Amber,
    /// Less important.
    Dim,
    /// Headings.
    Bold,
}

/// Paints text when standard output is a terminal that wants colours (`NO_COLOR` is respected).
pub fn paint(paint: Paint, text: &str) -> String {
    if !colours() {
        return text.to_owned();
    }
    let code = match paint {
        Paint::Green => "1;32",
        Paint::Red => "1;31",
        Paint::Amber => "33",
        Paint::Dim => "2",
        Paint::Bold => "1",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

fn colours() -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stdout().is_terminal() && !unwanted && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

const TICK: Duration = Duration::from_millis(120);

/// A spinner on standard error; nothing where that is no terminal.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Starts spinning when `wanted`.
    pub fn start(wanted: bool, text: &str) -> Self {
        let bar = if wanted && stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style.tick_chars("-\\|/ "));
        }
        bar.set_message(text.to_owned());
        let progress = Self(bar);
        progress.spin(true);
        progress
    }

    /// Spins, or stands still: spinning takes a thread that wakes up several times a second.
    pub fn spin(&self, on: bool) {
        if on && !self.0.is_hidden() {
            self.0.enable_steady_tick(TICK);
        } else {
            self.0.disable_steady_tick();
        }
    }

    /// Says what is being done now.
    pub fn say(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    /// Says what is being done now, in a line of its own where there is no terminal: for work that takes minutes.
    pub fn step(&self, text: &str) {
        if self.0.is_hidden() {
            eprintln!("{text}");
        } else {
            self.say(text);
        }
    }

    /// Prints lines above the spinner.
    pub fn above(&self, print: impl FnOnce()) {
        self.0.suspend(print);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A number of things.
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A duration as a person reads it.
pub fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..10_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_well() {
        assert_eq!(count(1, "round trip"), "1 round trip");
        assert_eq!(count(0, "tone"), "0 tones");
    }

    #[test]
    fn durations_read_well() {
        let cases = [(7, "7 us"), (1_234, "1.2 ms"), (56_789, "56 ms"), (1_230_000, "1.23 s")];
        for (micros, text) in cases {
            assert_eq!(duration(micros), text);
        }
    }
}
