//! What was heard: which peripherals are locks, what they said last, and what of it is worth telling.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::radio::{Advertisement, PeripheralId};

/// A peripheral's advertisements are told no more often than this, unless they say something new.
const THINNED: Duration = Duration::from_millis(50);

/// A peripheral that was silent for this long is forgotten: locks advertise at least every two seconds.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// The most peripherals that are remembered, ours and others'.
const MOST: usize = 1_024;

/// Stands for a strength that the adapter did not measure: the weakest there is, so that such a lock never passes for
/// the nearest. dBm.
const NOT_MEASURED: i8 = -127;

/// A report of one peripheral; what is `None` was not said this time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Report {
    /// The peripheral advertises our service, or data for it.
    pub(super) ours: bool,
    pub(super) service_data: Option<Vec<u8>>,
    pub(super) rssi: Option<i16>,
    pub(super) tx_power: Option<i16>,
}

/// The peripherals that were heard.
#[derive(Debug, Default)]
pub(super) struct Sightings(HashMap<PeripheralId, Sighting>);

#[derive(Debug)]
struct Sighting {
    ours: bool,
    service_data: Vec<u8>,
    rssi: i8,
    tx_power: Option<i8>,
    heard: Instant,
    told: Option<Instant>,
}

impl Sightings {
    /// Tells whether the peripheral is known, ours or not: of one that is not, the system has to be asked.
    pub(super) fn knows(&self, peripheral: &PeripheralId) -> bool {
        self.0.contains_key(peripheral)
    }

    /// Takes a report in; returns the advertisement where it is worth telling.
    pub(super) fn hear(&mut self, peripheral: &PeripheralId, report: Report, now: Instant) -> Option<Advertisement> {
        let known = self.0.entry(peripheral.clone()).or_insert_with(|| Sighting {
            ours: false,
            service_data: Vec::new(),
            rssi: NOT_MEASURED,
            tx_power: None,
            heard: now,
            told: None,
        });
        known.heard = now;
        known.ours |= report.ours;
        // 127 is how a controller says that it has not measured (Bluetooth Core 5.4, volume 4 part E, 7.7.65.2).
        if let Some(rssi) = report.rssi.and_then(|rssi| i8::try_from(rssi).ok()).filter(|rssi| *rssi != i8::MAX) {
            known.rssi = rssi;
        }
        known.tx_power = report.tx_power.and_then(|power| i8::try_from(power).ok()).or(known.tx_power);
        let news = report.service_data.is_some_and(|data| {
            let news = data != known.service_data;
            known.service_data = data;
            news
        });
        let due = news || known.told.is_none_or(|told| now.saturating_duration_since(told) >= THINNED);
        let worth = known.ours && due;
        if worth {
            known.told = Some(now);
        }
        let advertisement = worth.then(|| Advertisement {
            peripheral: peripheral.clone(),
            rssi: known.rssi,
            tx_power: known.tx_power,
            service_data: known.service_data.clone(),
        });
        self.forget_one_too_many();
        advertisement
    }

    /// Forgets who has been silent for long.
    pub(super) fn forget_silent(&mut self, now: Instant) {
        self.0.retain(|_, sighting| now.saturating_duration_since(sighting.heard) < FORGOTTEN);
    }

    /// Forgets what strangers are, so that they are looked at again: a lock may use an address that was a stranger's.
    pub(super) fn forget_strangers(&mut self) {
        self.0.retain(|_, sighting| sighting.ours);
    }

    fn forget_one_too_many(&mut self) {
        if self.0.len() > MOST
            && let Some(silent) = self.0.iter().min_by_key(|(_, s)| (s.ours, s.heard)).map(|(id, _)| id.clone())
        {
            self.0.remove(&silent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> PeripheralId {
        PeripheralId(name.into())
    }

    fn ours(data: &[u8], rssi: i16) -> Report {
        Report { ours: true, service_data: Some(data.to_vec()), rssi: Some(rssi), tx_power: None }
    }

    #[test]
    fn only_locks_are_told() {
        let mut sightings = Sightings::default();
        let now = Instant::now();
        assert_eq!(sightings.hear(&id("tv"), Report { rssi: Some(-40), ..Report::default() }, now), None);
        let told = sightings.hear(&id("door"), ours(&[0x10], -60), now).unwrap();
        assert_eq!((told.rssi, told.service_data), (-60, vec![0x10]));
        assert!(sightings.knows(&id("tv")) && sightings.knows(&id("door")));
        sightings.forget_strangers();
        assert!(!sightings.knows(&id("tv")) && sightings.knows(&id("door")));
    }

    #[test]
    fn repeats_are_thinned_and_news_is_not() {
        let mut sightings = Sightings::default();
        let start = Instant::now();
        let mut told = 0;
        for ms in 0..1_000 {
            let report = Report { rssi: Some(-60), ours: true, ..Report::default() };
            told += u32::from(sightings.hear(&id("door"), report, start + Duration::from_millis(ms)).is_some());
        }
        assert_eq!(told, 20);
        let end = start + Duration::from_millis(999);
        assert!(sightings.hear(&id("door"), ours(&[1], -60), end).is_some());
        assert!(sightings.hear(&id("door"), ours(&[1], -60), end).is_none());
        assert!(sightings.hear(&id("door"), ours(&[2], -60), end).is_some(), "the tag has rotated");
    }

    #[test]
    fn what_is_left_unsaid_stays() {
        let mut sightings = Sightings::default();
        let start = Instant::now();
        let first = Report { tx_power: Some(4), ..ours(&[1], -60) };
        sightings.hear(&id("door"), first, start);
        let told =
            sightings.hear(&id("door"), Report { rssi: Some(-70), ..Report::default() }, start + THINNED).unwrap();
        assert_eq!((told.rssi, told.tx_power, told.service_data), (-70, Some(4), vec![1]));
    }

    #[test]
    fn a_strength_that_was_not_measured_never_looks_near() {
        let mut sightings = Sightings::default();
        assert_eq!(sightings.hear(&id("door"), ours(&[1], 127), Instant::now()).unwrap().rssi, NOT_MEASURED);
    }

    #[test]
    fn memory_has_bounds() {
        let mut sightings = Sightings::default();
        let start = Instant::now();
        sightings.hear(&id("door"), ours(&[1], -60), start);
        for n in 0..2_000 {
            sightings.hear(&id(&n.to_string()), Report::default(), start + Duration::from_millis(n));
        }
        assert!(sightings.0.len() <= MOST && sightings.knows(&id("door")), "strangers go first");
        sightings.forget_silent(start + FORGOTTEN);
        assert!(!sightings.knows(&id("door")));
    }
}
