//! What the doctor of this computer looks at beyond the phone core's own checks.

mod bluez;
mod clocks;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use keybutton::{
    doctor::{CLOCK_TOLERANCE_S, Check, CheckResult},
    radio::Radio,
};
use serde::{Deserialize, Serialize};

pub use clocks::lock_clocks;

use crate::{failure::Failure, service_client::ServiceClient};

/// One check and how it came out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Row {
    /// What was checked.
    pub check: &'static str,
    /// How it came out.
    pub result: Result,
    /// The stable code of what is wrong.
    pub code: Option<String>,
    /// What was found.
    pub message: Option<String>,
    /// What a person can do about it.
    pub remedy: Option<String>,
}

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Result {
    /// Fine.
    Passed,
    /// Doors open, but not for long or not everywhere.
    Warning,
    /// Doors don't open because of this.
    Failed,
    /// It could not be checked.
    Skipped,
}

impl Row {
    /// It is fine; `message` tells what was found.
    pub fn passed(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, result: Result::Passed, code: None, message: Some(message.into()), remedy: None }
    }

    /// It could not be checked, and why.
    pub fn skipped(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, result: Result::Skipped, code: None, message: Some(message.into()), remedy: None }
    }

    /// It deserves a look.
    pub fn warning(check: &'static str, what: Failure) -> Self {
        Self { result: Result::Warning, ..Self::failed(check, what) }
    }

    /// It is what stands between the member and the door.
    pub fn failed(check: &'static str, Failure { code, message, remedy }: Failure) -> Self {
        Self { check, result: Result::Failed, code: Some(code), message: Some(message), remedy: Some(remedy) }
    }
}

impl From<&Check> for Row {
    fn from(check: &Check) -> Self {
        let entry = check.code().map(|code| code.entry());
        Self {
            check: check.name.as_str(),
            result: match check.result {
                CheckResult::Passed => Result::Passed,
                CheckResult::Warning(_) => Result::Warning,
                CheckResult::Failed(_) => Result::Failed,
                CheckResult::Skipped => Result::Skipped,
            },
            code: entry.map(|entry| entry.name.to_owned()),
            message: entry.map(|entry| entry.message.to_owned()),
            remedy: check.remedy().map(str::to_owned),
        }
    }
}

/// Looks at the computer's Bluetooth, and opens it when that can be done.
pub async fn bluetooth(adapter: Option<&str>) -> (Vec<Row>, Option<std::sync::Arc<dyn Radio>>) {
    let mut rows = bluez::switches();
    let opened = crate::bluetooth::open_named(adapter).await;
    let (rest, radio) = match opened {
        Ok((radio, name)) => {
            let rows = vec![
                Row::passed("bluetooth-service", "the system's Bluetooth service answers"),
                Row::passed("bluetooth-permission", "this program may use it"),
                Row::passed("bluetooth-adapter", format!("{name} is there and switched on")),
            ];
            (rows, Some(radio))
        }
        Err(failure) => (not_opened(failure), None),
    };
    rows.extend(rest);
    rows.extend(bluez::version().await);
    (rows, radio)
}

/// The service comes first, then the permission, then the adapter: what comes after the one that fails is not known.
fn not_opened(failure: Failure) -> Vec<Row> {
    let checks = ["bluetooth-service", "bluetooth-permission", "bluetooth-adapter"];
    let at = match failure.code.as_str() {
        "no-bluetooth-service" | "no-bluetooth-in-this-build" => 0,
        "bluetooth-forbidden" => 1,
        _ => 2,
    };
    let mut failure = Some(failure);
    let row = |(number, check)| match number {
        n if n < at => Row::passed(check, "fine"),
        _ => match failure.take() {
            Some(failure) => Row::failed(check, failure),
            None => Row::skipped(check, "not known before the one above is mended"),
        },
    };
    checks.into_iter().enumerate().map(row).collect()
}

/// What the service says of itself to anybody.
#[derive(Deserialize)]
struct Health {
    version: String,
    now: u32,
}

/// Asks the service for its version and its time.
pub async fn service(base: &str) -> Vec<Row> {
    let begun = Instant::now();
    let asked = match ServiceClient::new(base) {
        Ok(client) => client.get::<Health>("/v1/health").await,
        Err(failure) => Err(failure),
    };
    let took = begun.elapsed();
    match asked {
        Ok(health) => {
            vec![version(&health.version), skew(health.now, unix_time(), took)]
        }
        Err(failure) => vec![
            // Doors open without it for as long as the keys last.
            Row::warning("service-version", failure),
            Row::skipped("service-clock", "the service does not say its time"),
        ],
    }
}

fn version(theirs: &str) -> Row {
    let ours = env!("CARGO_PKG_VERSION");
    if theirs == ours {
        return Row::passed("service-version", format!("{theirs}, as this program"));
    }
    Row::warning(
        "service-version",
        Failure::new(
            "version-differs",
            format_args!("the service has version {theirs}, this program {ours}"),
            "Use the same version on both sides while versions begin with 0.",
        ),
    )
}

/// The answer was made somewhere between asking and hearing it.
fn skew(theirs: u32, ours_after: u32, took: Duration) -> Row {
    let half = u32::try_from(took.as_secs() / 2).unwrap_or(u32::MAX);
    let ours = ours_after.saturating_sub(half);
    let apart = theirs.abs_diff(ours);
    let text = match (apart, theirs > ours) {
        (0 | 1, _) => "both clocks agree".to_owned(),
        (_, true) => format!("this computer's clock is {apart} s behind the service's"),
        (_, false) => format!("this computer's clock is {apart} s ahead of the service's"),
    };
    if apart <= CLOCK_TOLERANCE_S {
        return Row::passed("service-clock", text);
    }
    Row::warning(
        "service-clock",
        Failure::new("clock-wrong", text, "Set the clock; on Linux `timedatectl set-ntp true` keeps it right."),
    )
}

fn unix_time() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(rows: &[Row]) -> Vec<(&'static str, Result)> {
        rows.iter().map(|row| (row.check, row.result)).collect()
    }

    #[test]
    fn what_fails_hides_what_comes_after() {
        let forbidden = not_opened(Failure::new("bluetooth-forbidden", "no", "join the group bluetooth"));
        assert_eq!(
            results(&forbidden),
            [
                ("bluetooth-service", Result::Passed),
                ("bluetooth-permission", Result::Failed),
                ("bluetooth-adapter", Result::Skipped)
            ]
        );
        assert_eq!(forbidden[1].remedy.as_deref(), Some("join the group bluetooth"));
        let off = not_opened(Failure::new("bluetooth-off", "off", "switch it on"));
        assert_eq!(results(&off)[2], ("bluetooth-adapter", Result::Failed));
        let service = not_opened(Failure::new("no-bluetooth-service", "none", "start it"));
        assert_eq!(results(&service)[0], ("bluetooth-service", Result::Failed));
    }

    #[test]
    fn clocks_that_are_far_apart_are_named_with_who_is_ahead() {
        assert_eq!(skew(1_000, 1_001, Duration::from_secs(2)).message.as_deref(), Some("both clocks agree"));
        let close = skew(1_000, 1_010, Duration::ZERO);
        assert_eq!((close.result, close.remedy), (Result::Passed, None));
        let behind = skew(10_000, 9_000, Duration::ZERO);
        assert_eq!(behind.result, Result::Warning);
        assert!(behind.message.unwrap().contains("1000 s behind") && behind.remedy.is_some());
    }

    #[test]
    fn other_versions_are_told() {
        assert_eq!(version(env!("CARGO_PKG_VERSION")).result, Result::Passed);
        assert_eq!(version("99.0.0").code.as_deref(), Some("version-differs"));
    }
}
