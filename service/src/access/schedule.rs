//! When an access group's doors are open: weekly windows in the site's time zone, with exceptions.

use std::fmt;

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// Weekly windows with exceptions, in the local time of the door's site.
///
/// A window belongs to the day it opens on, even when it closes after midnight.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Windows that come back every week, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekly: Vec<WeeklyWindow>,
    /// Days on which no weekly window opens (`YYYY-MM-DD`), at most 366.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub closed_days: Vec<Date>,
    /// Windows on single days, closed days included, at most 366.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<ExtraWindow>,
}

/// A window that comes back every week.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeeklyWindow {
    /// The days on which it opens.
    pub days: Vec<Day>,
    /// When it opens, `HH:MM`.
    #[schema(value_type = String)]
    pub from: TimeOfDay,
    /// When it closes, `HH:MM` or `24:00`; not after `from` means on the next day.
    #[schema(value_type = String)]
    pub until: TimeOfDay,
}

/// A window on one day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtraWindow {
    /// The day on which it opens, `YYYY-MM-DD`.
    #[schema(value_type = String)]
    pub date: Date,
    /// When it opens, `HH:MM`.
    #[schema(value_type = String)]
    pub from: TimeOfDay,
    /// When it closes, `HH:MM` or `24:00`; not after `from` means on the next day.
    #[schema(value_type = String)]
    pub until: TimeOfDay,
}

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// Minutes since midnight, 0 to 1,440; `HH:MM` in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

/// A stretch of time in Unix seconds, start inclusive, end exclusive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Interval {
    /// Start, inclusive.
    pub start: u32,
    /// End, exclusive.
    pub end: u32,
}

impl Schedule {
    /// Says what is wrong with the schedule, if anything.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.weekly.len() > 32 || self.closed_days.len() > 366 || self.extra.len() > 366 {
            return Err("has too many windows");
        }
        if self.weekly.iter().any(|window| window.days.is_empty()) {
            return Err("has a window without days");
        }
        let times = self.weekly.iter().map(|w| (w.from, w.until)).chain(self.extra.iter().map(|w| (w.from, w.until)));
        if times.clone().any(|(from, until)| from == until) {
            return Err("has a window of no length; a whole day is 00:00 to 24:00");
        }
        if times.clone().any(|(from, _)| from.0 == 1440) {
            return Err("has a window that opens at 24:00");
        }
        Ok(())
    }

    /// The stretches that touch `span`, in order, joined where they meet. They aren't clipped to `span`.
    pub fn intervals(&self, zone: &TimeZone, span: Interval) -> Vec<Interval> {
        let (Some(mut day), Some(last)) = (local_date(zone, span.start), local_date(zone, span.end)) else {
            return Vec::new();
        };
        // A window of the day before may reach into the span.
        day = day.saturating_sub(1.day());
        let mut found = Vec::new();
        while day <= last {
            if !self.closed_days.contains(&day) {
                for window in &self.weekly {
                    if window.days.iter().any(|d| d.index() == day.weekday().to_monday_zero_offset()) {
                        found.extend(interval(zone, day, window.from, window.until));
                    }
                }
            }
            for window in self.extra.iter().filter(|window| window.date == day) {
                found.extend(interval(zone, day, window.from, window.until));
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        found.retain(|interval| interval.end > span.start && interval.start < span.end);
        join(found)
    }
}

impl Day {
    /// 0 for Monday to 6 for Sunday.
    const fn index(self) -> i8 {
        match self {
            Self::Mon => 0,
            Self::Tue => 1,
            Self::Wed => 2,
            Self::Thu => 3,
            Self::Fri => 4,
            Self::Sat => 5,
            Self::Sun => 6,
        }
    }
}

impl TimeOfDay {
    /// Parses `HH:MM`, `00:00` to `24:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        if hour.len() != 2 || minute.len() != 2 || !text.bytes().all(|b| b.is_ascii_digit() || b == b':') {
            return None;
        }
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let minutes = hour.checked_mul(60)?.checked_add(minute)?;
        (minute < 60 && minutes <= 1440).then_some(Self(minutes))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Debug for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not a time of day HH:MM"))
    }
}

/// Sorts intervals and joins those that overlap or meet.
pub(crate) fn join(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_unstable();
    let mut joined: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match joined.last_mut() {
            Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
            _ => joined.push(interval),
        }
    }
    joined
}

/// The local date at an instant.
pub(crate) fn local_date(zone: &TimeZone, unix: u32) -> Option<Date> {
    let instant = Timestamp::from_second(i64::from(unix)).ok()?;
    Some(zone.to_datetime(instant).date())
}

/// One window of one local day as instants.
///
/// A time that a daylight-saving change skips stands for the moment the clock jumps over it; a time that comes twice
/// stands for its first coming.
fn interval(zone: &TimeZone, day: Date, from: TimeOfDay, until: TimeOfDay) -> Option<Interval> {
    let start = instant(zone, day, from)?;
    let end_day = if until <= from { day.tomorrow().ok()? } else { day };
    let end = instant(zone, end_day, until)?;
    (start < end).then_some(Interval { start, end })
}

fn instant(zone: &TimeZone, day: Date, time: TimeOfDay) -> Option<u32> {
    let (day, minutes) = if time.0 == 1440 { (day.tomorrow().ok()?, 0) } else { (day, time.0) };
    let hour = i8::try_from(minutes / 60).ok()?;
    let minute = i8::try_from(minutes % 60).ok()?;
    let instant = zone.to_ambiguous_timestamp(day.at(hour, minute, 0, 0)).compatible().ok()?;
    u32::try_from(instant.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unix(text: &str) -> u32 {
        u32::try_from(text.parse::<Timestamp>().unwrap().as_second()).unwrap()
    }

    fn schedule(json: &str) -> Schedule {
        let schedule: Schedule = serde_json::from_str(json).unwrap();
        schedule.check().unwrap();
        schedule
    }

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn span(start: &str, end: &str) -> Interval {
        Interval { start: unix(start), end: unix(end) }
    }

    #[test]
    fn weekly_windows_follow_local_time_across_the_spring_change() {
        let office = schedule(r#"{"weekly":[{"days":["sat","sun","mon"],"from":"08:00","until":"18:00"}]}"#);
        // Clocks go forward on Sunday, 29 March 2026.
        let found = office.intervals(&berlin(), span("2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z"));
        assert_eq!(
            found,
            [
                span("2026-03-28T07:00:00Z", "2026-03-28T17:00:00Z"),
                span("2026-03-29T06:00:00Z", "2026-03-29T16:00:00Z"),
                span("2026-03-30T06:00:00Z", "2026-03-30T16:00:00Z"),
            ]
        );
    }

    #[test]
    fn a_night_across_the_change_is_an_hour_shorter_or_longer() {
        let night = schedule(r#"{"weekly":[{"days":["sat"],"from":"22:00","until":"06:00"}]}"#);
        let spring = night.intervals(&berlin(), span("2026-03-28T20:00:00Z", "2026-03-29T12:00:00Z"));
        assert_eq!(spring, [span("2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z")]);
        let autumn = night.intervals(&berlin(), span("2026-10-24T18:00:00Z", "2026-10-25T12:00:00Z"));
        assert_eq!(autumn, [span("2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z")]);
    }

    #[test]
    fn closed_days_close_and_extra_windows_open() {
        let office = schedule(
            r#"{"weekly":[{"days":["mon","tue"],"from":"08:00","until":"18:00"}],
                "closed_days":["2026-06-01"],"extra":[{"date":"2026-06-01","from":"10:00","until":"12:00"}]}"#,
        );
        let found = office.intervals(&berlin(), span("2026-06-01T00:00:00Z", "2026-06-03T00:00:00Z"));
        assert_eq!(
            found,
            [
                span("2026-06-01T08:00:00Z", "2026-06-01T10:00:00Z"),
                span("2026-06-02T06:00:00Z", "2026-06-02T16:00:00Z")
            ]
        );
    }

    #[test]
    fn whole_days_join_into_one_stretch() {
        let always = schedule(r#"{"weekly":[{"days":["mon","tue","wed"],"from":"00:00","until":"24:00"}]}"#);
        let found = always.intervals(&berlin(), span("2026-06-02T10:00:00Z", "2026-06-03T11:00:00Z"));
        assert_eq!(found, [span("2026-06-01T22:00:00Z", "2026-06-03T22:00:00Z")]);
    }

    #[test]
    fn a_night_window_belongs_to_the_day_it_opens() {
        let night = schedule(
            r#"{"weekly":[{"days":["mon","tue"],"from":"22:00","until":"02:00"}],"closed_days":["2026-06-02"]}"#,
        );
        let found = night.intervals(&berlin(), span("2026-06-02T00:00:00Z", "2026-06-04T00:00:00Z"));
        // Tuesday is closed, but Monday's window stays open into it: it closed at 00:00Z exactly, so nothing is left.
        assert_eq!(found, []);
        let found = night.intervals(&berlin(), span("2026-06-01T23:59:59Z", "2026-06-04T00:00:00Z"));
        assert_eq!(found, [span("2026-06-01T20:00:00Z", "2026-06-02T00:00:00Z")]);
    }

    #[test]
    fn empty_windows_are_refused() {
        for json in [
            r#"{"weekly":[{"days":["mon"],"from":"08:00","until":"08:00"}]}"#,
            r#"{"weekly":[{"days":["mon"],"from":"24:00","until":"08:00"}]}"#,
            r#"{"weekly":[{"days":[],"from":"08:00","until":"09:00"}]}"#,
        ] {
            assert!(serde_json::from_str::<Schedule>(json).unwrap().check().is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn times_of_day_round_trip(minutes in 0_u16..=1440) {
            let time = TimeOfDay(minutes);
            prop_assert_eq!(TimeOfDay::parse(&time.to_string()), Some(time));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,8}") {
            if let Some(time) = TimeOfDay::parse(&text) {
                prop_assert_eq!(time.to_string(), text);
            }
        }

        #[test]
        fn joined_intervals_are_apart_and_cover_the_same(raw in prop::collection::vec((0_u32..500, 1_u32..100), 0..20)) {
            let intervals: Vec<_> = raw.iter().map(|(start, len)| Interval { start: *start, end: start + len }).collect();
            let joined = join(intervals.clone());
            for pair in joined.windows(2) {
                prop_assert!(pair[0].end < pair[1].start);
            }
            for t in 0..600 {
                let inside = |list: &[Interval]| list.iter().any(|i| i.start <= t && t < i.end);
                prop_assert_eq!(inside(&intervals), inside(&joined));
            }
        }
    }
}
