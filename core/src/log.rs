//! The log: what the core tells the host about its work, without any secret.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// How much a log line matters, most important first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Enum))]
pub enum LogLevel {
    /// Something failed and a person should look.
    Error,
    /// Something failed and the core goes on.
    Warn,
    /// What a support desk wants to see of an ordinary day.
    Info,
    /// Every step of a press and every request.
    Debug,
    /// Every input and action of the unlock machine.
    Trace,
}

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "uniffi", derive(uniffi::Record))]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The part of the core that speaks: `client`, `press`, `contact`.
    pub part: String,
    /// The text. Holds no key, token, signature or document at any level.
    pub text: String,
}

/// Takes the core's log lines.
///
/// Called from the core's own threads and never while the core holds a lock; must return quickly.
#[cfg_attr(feature = "uniffi", uniffi::export(rust, foreign))]
pub trait LogSink: Send + Sync + 'static {
    /// The least important level wanted; lines below it are not even written.
    fn level(&self) -> LogLevel;

    /// Takes one line.
    fn line(&self, line: LogLine);
}

/// Hands log lines to the process's `tracing` subscriber, under the target `keybutton`.
#[derive(Clone, Copy, Debug)]
pub struct TracingLog(
    /// The least important level handed on.
    pub LogLevel,
);

impl LogSink for TracingLog {
    fn level(&self) -> LogLevel {
        self.0
    }

    fn line(&self, line: LogLine) {
        let LogLine { level, part, text } = line;
        match level {
            LogLevel::Error => tracing::error!(target: "keybutton", part, "{text}"),
            LogLevel::Warn => tracing::warn!(target: "keybutton", part, "{text}"),
            LogLevel::Info => tracing::info!(target: "keybutton", part, "{text}"),
            LogLevel::Debug => tracing::debug!(target: "keybutton", part, "{text}"),
            LogLevel::Trace => tracing::trace!(target: "keybutton", part, "{text}"),
        }
    }
}

/// The core's end of a [`LogSink`]: filters by level and survives a panicking sink.
#[derive(Clone)]
pub(crate) struct Log(Arc<dyn LogSink>);

impl Log {
    pub(crate) fn new(sink: Arc<dyn LogSink>) -> Self {
        Self(sink)
    }

    pub(crate) fn error(&self, part: &str, text: fmt::Arguments<'_>) {
        self.write(LogLevel::Error, part, text);
    }

    pub(crate) fn warn(&self, part: &str, text: fmt::Arguments<'_>) {
        self.write(LogLevel::Warn, part, text);
    }

    pub(crate) fn info(&self, part: &str, text: fmt::Arguments<'_>) {
        self.write(LogLevel::Info, part, text);
    }

    pub(crate) fn debug(&self, part: &str, text: fmt::Arguments<'_>) {
        self.write(LogLevel::Debug, part, text);
    }

    pub(crate) fn trace(&self, part: &str, text: fmt::Arguments<'_>) {
        self.write(LogLevel::Trace, part, text);
    }

    fn write(&self, level: LogLevel, part: &str, text: fmt::Arguments<'_>) {
        // A sink that panics loses its line; there is nowhere left to report that.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            if level <= self.0.level() {
                self.0.line(LogLine { level, part: part.to_owned(), text: text.to_string() });
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Collect(LogLevel, Mutex<Vec<LogLine>>);

    impl LogSink for Collect {
        fn level(&self) -> LogLevel {
            self.0
        }

        fn line(&self, line: LogLine) {
            assert_ne!(line.text, "panic", "as told");
            self.1.lock().unwrap().push(line);
        }
    }

    #[test]
    fn lines_below_the_wanted_level_are_dropped() {
        let sink = Arc::new(Collect(LogLevel::Info, Mutex::default()));
        let log = Log::new(sink.clone());
        log.error("a", format_args!("one"));
        log.info("b", format_args!("two"));
        log.debug("c", format_args!("three"));
        let texts: Vec<_> = sink.1.lock().unwrap().iter().map(|line| line.text.clone()).collect();
        assert_eq!(texts, ["one", "two"]);
    }

    #[test]
    fn a_panicking_sink_does_not_reach_the_core() {
        let log = Log::new(Arc::new(Collect(LogLevel::Trace, Mutex::default())));
        log.warn("a", format_args!("panic"));
    }
}
