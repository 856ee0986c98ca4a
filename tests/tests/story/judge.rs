//! Compares outcomes with what is told of them.

use keybutton::{Outcome, PressOutcome, UnlockId};

use crate::{script::Expected, stage::Stage};

/// Checks what is expected of an outcome, and what holds for every one.
pub fn judge(outcome: &PressOutcome, phases: &[String], id: UnlockId, expected: &Expected, stage: &Stage) {
    assert_eq!(outcome.press, id, "the outcome is of another press");
    let measured: Vec<&str> = outcome.metrics.phases.iter().map(|time| time.phase.as_str()).collect();
    assert_eq!(measured, phases, "metrics and listener differ");
    if let Some(code) = outcome.outcome.code() {
        assert!(!code.message().is_empty() && !code.remedy().is_empty());
    }

    let mut found = Vec::new();
    let mut compare = |what: &str, wanted: Option<String>, seen: String| {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != seen) {
            found.push(format!("{what} is {seen}, told is {wanted}"));
        }
    };
    let none = || "none".to_owned();
    let text = |text: &Option<String>| text.clone().unwrap_or_else(none);
    let result = &outcome.outcome;
    let cause = match result {
        Outcome::Unconfirmed(cause) => Some(cause.name()),
        Outcome::Opened(_) | Outcome::Refused(_) => None,
    };
    let by = match result {
        Outcome::Refused(refusal) if refusal.lock.is_some() => "lock",
        Outcome::Refused(_) => "phone",
        Outcome::Opened(_) | Outcome::Unconfirmed(_) => "none",
    };
    let door = outcome.door.as_ref().map(|door| stage.door_name(&door.0));
    let metrics = &outcome.metrics;
    let flag = |wanted: Option<bool>| wanted.map(|wanted| wanted.to_string());
    let count = |wanted: Option<u32>| wanted.map(|wanted| wanted.to_string());

    compare("the outcome", Some(expected.outcome.clone()), result.name().to_owned());
    compare("the code", expected.code.clone(), result.code().map_or_else(none, |code| code.as_str().to_owned()));
    compare("the cause", expected.cause.clone(), cause.unwrap_or("none").to_owned());
    compare("who said it", expected.by.clone(), by.to_owned());
    compare(
        "a repeat",
        flag(expected.replayed),
        result.lock_report().is_some_and(|report| report.replayed).to_string(),
    );
    compare("the door", expected.door.as_ref().map(text), text(&door));
    let route = outcome.route.map(|route| route.as_str().to_owned());
    compare("the route", expected.route.as_ref().map(text), text(&route));
    compare("the fast phase", flag(expected.fast), metrics.fast.to_string());
    compare("a download", flag(expected.downloaded), metrics.downloaded.to_string());
    compare("the number of links", count(expected.links), metrics.links.to_string());
    compare("the number of round trips", count(expected.round_trips), metrics.round_trips.to_string());
    compare("the list of phases", expected.phases.as_ref().map(|phases| phases.join(" ")), phases.join(" "));
    compare("the last phase", expected.last_phase.clone(), phases.last().cloned().unwrap_or_else(none));
    assert!(found.is_empty(), "{}\n{outcome:#?}", found.join("\n"));
}
