use std::time::Duration;

use keybutton_protocol::api::Bytes;

use super::*;
use crate::radio::air::{
    knobs::{Cut, Direction, Manner, Position},
    wire::{ControlReply, ControlRequest},
};

const ADDRESS: &str = "c0:00:00:00:00:01";

/// A medium with one lock, one phone and a director, all on virtual time.
struct Scene {
    medium: Medium,
    now: Micros,
    lock: PartId,
    phone: PartId,
    director: PartId,
    /// Everything sent, with the time it was sent at.
    heard: Vec<(Micros, PartId, FromBroker)>,
}

impl Scene {
    fn new(knobs: Knobs) -> Self {
        Self::seeded(7, knobs)
    }

    fn seeded(seed: u64, knobs: Knobs) -> Self {
        let mut medium = Medium::new(seed);
        let lock = medium.join(Role::Lock, Participant::named("door").with(knobs)).unwrap();
        let phone = medium.join(Role::Phone, Participant::named("phone").at(2.0, 0.0)).unwrap();
        let director = medium.join(Role::Control, Participant::named("")).unwrap();
        let mut scene = Self { medium, now: 0, lock, phone, director, heard: Vec::new() };
        scene.say(lock, ToBroker::Advertise(Some(payload())));
        scene
    }

    fn say(&mut self, from: PartId, frame: ToBroker) {
        let mut out = Outbox::new();
        self.medium.handle(self.now, from, frame, &mut out);
        self.keep(out);
    }

    /// Runs the medium for `duration`, timer by timer.
    fn run(&mut self, duration: Duration) {
        let end = self.now + advertising::micros(duration);
        while let Some(at) = self.medium.deadline().filter(|at| *at <= end) {
            self.now = at;
            let mut out = Outbox::new();
            self.medium.on_time(at, &mut out);
            self.keep(out);
        }
        self.now = end;
    }

    fn keep(&mut self, out: Outbox) {
        let now = self.now;
        self.heard.extend(out.into_iter().map(|(to, frame)| (now, to, frame)));
    }

    fn direct(&mut self, request: ControlRequest) {
        self.say(self.director, ToBroker::Control(request));
    }

    /// Connects and returns the link.
    fn connect(&mut self) -> u32 {
        self.say(self.phone, ToBroker::Connect { address: ADDRESS.to_owned() });
        self.run(Duration::from_secs(1));
        let phone = self.phone;
        self.frames(phone)
            .find_map(|(_, frame)| if let FromBroker::Connected { link, .. } = frame { Some(*link) } else { None })
            .expect("connected")
    }

    fn phone_says(&mut self, link: u32, byte: u8) {
        self.say(self.phone, ToBroker::Value { link, value: Bytes(vec![byte; 20]) });
    }

    fn lock_says(&mut self, link: u32, byte: u8) {
        self.say(self.lock, ToBroker::Value { link, value: Bytes(vec![byte; 20]) });
    }

    fn frames(&self, to: PartId) -> impl Iterator<Item = (Micros, &FromBroker)> {
        self.heard.iter().filter(move |(_, at, _)| *at == to).map(|(at, _, frame)| (*at, frame))
    }

    /// The first bytes of the values that arrived at `to`, with their times.
    fn values(&self, to: PartId) -> Vec<(Micros, u8)> {
        self.frames(to)
            .filter_map(
                |(at, frame)| if let FromBroker::Value { value, .. } = frame { Some((at, value.0[0])) } else { None },
            )
            .collect()
    }

    fn closed(&self, to: PartId) -> Option<(Micros, Cause)> {
        self.frames(to).find_map(
            |(at, frame)| if let FromBroker::Closed { cause, .. } = frame { Some((at, *cause)) } else { None },
        )
    }
}

fn payload() -> Payload {
    Payload { address: ADDRESS.to_owned(), advertisement: Bytes(vec![1]), scan_response: Bytes(vec![2]) }
}

fn milliseconds(value: u64) -> Duration {
    Duration::from_millis(value)
}

#[test]
fn advertisements_come_at_the_interval_plus_the_random_delay() {
    let mut scene = Scene::new(Knobs { advertising_interval: milliseconds(100), ..Knobs::default() });
    scene.say(scene.phone, ToBroker::Scan(true));
    scene.run(Duration::from_secs(10));
    let times: Vec<Micros> = scene.frames(scene.phone).map(|(at, _)| at).collect();
    assert!(times[0] <= 100_000, "the first event comes within one interval");
    assert!(times.windows(2).all(|pair| (100_000..=110_000).contains(&(pair[1] - pair[0]))));
    assert!((91..=100).contains(&times.len()));
}

#[test]
fn nobody_listening_costs_no_timer() {
    let mut scene = Scene::new(Knobs::default());
    assert_eq!(scene.medium.deadline(), None);
    scene.say(scene.phone, ToBroker::Scan(true));
    assert!(scene.medium.deadline().is_some());
    scene.say(scene.phone, ToBroker::Scan(false));
    assert_eq!(scene.medium.deadline(), None);
    scene.connect();
    assert_eq!(scene.medium.deadline(), None, "an idle link has no timer either");
}

#[test]
fn signal_falls_with_distance_until_nothing_is_heard() {
    let mean_at = |x: f32| {
        let mut scene = Scene::new(Knobs::default());
        scene.direct(ControlRequest::Move { name: "phone".into(), position: Position { x, y: 0.0 } });
        scene.say(scene.phone, ToBroker::Scan(true));
        scene.run(Duration::from_secs(5));
        let rssi: Vec<f32> = scene
            .frames(scene.phone)
            .filter_map(|(_, f)| if let FromBroker::Heard { rssi, .. } = f { Some(f32::from(*rssi)) } else { None })
            .collect();
        (!rssi.is_empty()).then(|| rssi.iter().sum::<f32>() / rssi.len() as f32)
    };
    let near = mean_at(1.0).unwrap();
    let far = mean_at(10.0).unwrap();
    assert!((near + 41.0).abs() < 1.0, "{near}");
    assert!((far + 63.0).abs() < 1.0, "{far}");
    assert_eq!(mean_at(1_000.0), None);
}

#[test]
fn the_same_seed_does_the_same_again() {
    let run = |seed| {
        let mut scene = Scene::seeded(seed, Knobs { loss: 0.2, ..Knobs::default() });
        scene.say(scene.phone, ToBroker::Scan(true));
        let link = scene.connect();
        (0..20).for_each(|byte| scene.phone_says(link, byte));
        scene.run(Duration::from_secs(5));
        scene.heard
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn set_up_takes_an_advertising_event_and_the_set_up_events() {
    let mut scene = Scene::new(Knobs { setup_events: 4, connection_interval: milliseconds(15), ..Knobs::default() });
    scene.connect();
    let (at, _) = scene.frames(scene.phone).next().unwrap();
    assert!((60_000..=60_000 + 40_000).contains(&at), "{at}");
    assert!(scene.frames(scene.lock).any(|(_, f)| matches!(f, FromBroker::Connected { mtu: 185, .. })));
}

#[test]
fn values_move_at_connection_events_a_few_at_a_time() {
    let mut scene =
        Scene::new(Knobs { connection_interval: milliseconds(30), values_per_event: 2, ..Knobs::default() });
    let link = scene.connect();
    (0..5).for_each(|byte| scene.phone_says(link, byte));
    scene.run(Duration::from_secs(1));
    let values = scene.values(scene.lock);
    assert_eq!(values.iter().map(|(_, byte)| *byte).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let first = values[0].0;
    let offsets: Vec<Micros> = values.iter().map(|(at, _)| at - first).collect();
    assert_eq!(offsets, [0, 0, 30_000, 30_000, 60_000]);
}

#[test]
fn latency_delays_every_value_and_keeps_the_order() {
    let quick = Scene::new(Knobs::default());
    let slow = Scene::new(Knobs { latency: milliseconds(40), ..Knobs::default() });
    let arrivals = |mut scene: Scene| {
        let link = scene.connect();
        (0..3).for_each(|byte| scene.phone_says(link, byte));
        scene.run(Duration::from_secs(1));
        scene.values(scene.lock)
    };
    let (quick, slow) = (arrivals(quick), arrivals(slow));
    assert_eq!(quick.len(), 3);
    for (quick, slow) in quick.into_iter().zip(slow) {
        assert_eq!(slow, (quick.0 + 40_000, quick.1));
    }
}

#[test]
fn lost_packets_are_sent_again_and_cost_intervals() {
    let mut scene = Scene::new(Knobs::default());
    let link = scene.connect();
    scene.direct(ControlRequest::SetKnobs {
        name: "door".into(),
        knobs: Box::new(Knobs { loss: 0.5, supervision_timeout: Duration::from_secs(30), ..Knobs::default() }),
    });
    let start = scene.now;
    (0..50).for_each(|byte| scene.phone_says(link, byte));
    scene.run(Duration::from_secs(20));
    let values = scene.values(scene.lock);
    assert_eq!(values.iter().map(|(_, byte)| *byte).collect::<Vec<_>>(), (0..50).collect::<Vec<u8>>());
    let took = values.last().unwrap().0 - start;
    assert!(took > 13 * 15_000, "without loss 13 events would do; took {took}");
}

#[test]
fn a_dead_air_loses_the_link_at_the_supervision_time_out() {
    let mut scene = Scene::new(Knobs { supervision_timeout: Duration::from_secs(2), ..Knobs::default() });
    let link = scene.connect();
    let at = scene.now;
    scene.direct(ControlRequest::Move { name: "phone".into(), position: Position { x: 5_000.0, y: 0.0 } });
    scene.phone_says(link, 1);
    scene.run(Duration::from_secs(5));
    assert_eq!(scene.closed(scene.phone), Some((at + 2_000_000, Cause::LinkLost)));
    assert_eq!(scene.closed(scene.lock), Some((at + 2_000_000, Cause::LinkLost)));
    assert!(scene.values(scene.lock).is_empty());
}

#[test]
fn a_phone_that_comes_back_in_time_keeps_its_link() {
    let mut scene = Scene::new(Knobs::default());
    let link = scene.connect();
    scene.direct(ControlRequest::Move { name: "phone".into(), position: Position { x: 5_000.0, y: 0.0 } });
    scene.phone_says(link, 1);
    scene.run(milliseconds(1_900));
    scene.direct(ControlRequest::Move { name: "phone".into(), position: Position::default() });
    scene.run(Duration::from_secs(5));
    assert_eq!(scene.closed(scene.phone), None);
    assert_eq!(scene.values(scene.lock).len(), 1);
}

#[test]
fn the_smaller_mtu_counts_and_longer_values_drop_the_link() {
    let mut scene = Scene::new(Knobs { mtu: 23, ..Knobs::default() });
    let link = scene.connect();
    assert!(scene.frames(scene.phone).any(|(_, f)| matches!(f, FromBroker::Connected { mtu: 23, .. })));
    scene.say(scene.phone, ToBroker::Value { link, value: Bytes(vec![0; 20]) });
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.values(scene.lock).len(), 1);
    scene.say(scene.phone, ToBroker::Value { link, value: Bytes(vec![0; 21]) });
    assert!(scene.closed(scene.lock).is_some());
}

#[test]
fn a_cut_lets_exactly_so_many_values_through() {
    let cut = Cut { direction: Direction::ToLock, after: 2, manner: Manner::Drop, links: Some(1) };
    let mut scene = Scene::new(Knobs { cut: Some(cut), values_per_event: 1, ..Knobs::default() });
    let link = scene.connect();
    (0..4).for_each(|byte| scene.phone_says(link, byte));
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.values(scene.lock).len(), 2);
    let last = scene.values(scene.lock)[1].0;
    assert_eq!(scene.closed(scene.phone), Some((last, Cause::LinkLost)));
    assert_eq!(scene.closed(scene.lock), Some((last, Cause::LinkLost)));

    // The knob has worn off: the next link lives.
    scene.heard.clear();
    let link = scene.connect();
    (0..4).for_each(|byte| scene.phone_says(link, byte));
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.values(scene.lock).len(), 4);
}

#[test]
fn a_cut_asked_for_later_leaves_the_links_of_now_alone() {
    let mut scene = Scene::new(Knobs::default());
    let link = scene.connect();
    scene.phone_says(link, 1);
    scene.run(milliseconds(100));
    let cut = Cut { direction: Direction::ToLock, after: 1, manner: Manner::Drop, links: Some(1) };
    let knobs = Box::new(Knobs { cut: Some(cut), ..Knobs::default() });
    scene.direct(ControlRequest::SetKnobs { name: "phone".into(), knobs });
    scene.phone_says(link, 2);
    scene.run(milliseconds(100));
    assert_eq!(scene.values(scene.lock).len(), 2);
    assert_eq!(scene.closed(scene.phone), None);
    scene.say(scene.phone, ToBroker::Close { link });
    scene.run(milliseconds(100));
    scene.heard.clear();
    let link = scene.connect();
    scene.phone_says(link, 3);
    scene.run(milliseconds(100));
    assert!(scene.closed(scene.phone).is_some());
}

#[test]
fn a_silent_cut_shows_only_at_the_supervision_time_out() {
    let cut = Cut { direction: Direction::ToPhone, after: 1, manner: Manner::Silent, links: None };
    let mut scene = Scene::new(Knobs { cut: Some(cut), ..Knobs::default() });
    let link = scene.connect();
    (0..3).for_each(|byte| scene.lock_says(link, byte));
    scene.run(milliseconds(500));
    assert_eq!(scene.values(scene.phone).len(), 1);
    assert_eq!(scene.closed(scene.phone), None);
    scene.run(Duration::from_secs(3));
    assert!(matches!(scene.closed(scene.phone), Some((_, Cause::LinkLost))));
}

#[test]
fn a_cut_on_command_hits_the_links_of_now() {
    let mut scene = Scene::new(Knobs::default());
    scene.connect();
    scene.direct(ControlRequest::Cut { name: "door".into(), manner: Manner::Drop });
    assert!(scene.closed(scene.phone).is_some());
    scene.direct(ControlRequest::Cut { name: "nobody".into(), manner: Manner::Drop });
    assert!(matches!(
        scene.heard.last(),
        Some((_, _, FromBroker::Control(ControlReply::Unknown { name }))) if name == "nobody"
    ));
}

#[test]
fn a_radio_switched_off_is_silent_for_the_other_side() {
    let mut scene = Scene::new(Knobs::default());
    scene.connect();
    let at = scene.now;
    scene.direct(ControlRequest::Radio { name: "phone".into(), on: false });
    assert_eq!(scene.closed(scene.phone), Some((at, Cause::Unavailable)));
    assert_eq!(scene.closed(scene.lock), None);
    scene.run(Duration::from_secs(3));
    assert_eq!(scene.closed(scene.lock), Some((at + 2_000_000, Cause::LinkLost)));

    scene.heard.clear();
    scene.say(scene.phone, ToBroker::Connect { address: ADDRESS.to_owned() });
    assert!(matches!(scene.heard[0].2, FromBroker::ConnectFailed { cause: Cause::Unavailable, .. }));
    scene.direct(ControlRequest::Radio { name: "phone".into(), on: true });
    scene.connect();
}

#[test]
fn a_lock_that_vanishes_is_missed_by_the_time_out() {
    let mut scene = Scene::new(Knobs::default());
    scene.connect();
    let at = scene.now;
    let mut out = Outbox::new();
    scene.medium.leave(at, scene.lock, &mut out);
    scene.keep(out);
    scene.run(Duration::from_secs(3));
    assert_eq!(scene.closed(scene.phone), Some((at + 2_000_000, Cause::LinkLost)));
}

#[test]
fn closing_lets_the_values_before_it_through() {
    let mut scene = Scene::new(Knobs { values_per_event: 1, ..Knobs::default() });
    let link = scene.connect();
    (0..3).for_each(|byte| scene.lock_says(link, byte));
    scene.say(scene.lock, ToBroker::Close { link });
    scene.run(Duration::from_secs(1));
    assert_eq!(scene.values(scene.phone).len(), 3);
    assert!(matches!(scene.closed(scene.phone), Some((_, Cause::LinkLost))));
    assert!(matches!(scene.closed(scene.lock), Some((_, Cause::Closed))));
}

#[test]
fn connecting_gives_up_when_told_or_when_nobody_is_there() {
    let mut scene = Scene::new(Knobs::default());
    let other = "c0:00:00:00:00:02".to_owned();
    scene.say(scene.phone, ToBroker::Connect { address: other.clone() });
    scene.run(Duration::from_secs(6));
    assert!(matches!(scene.heard[0], (5_000_000, _, FromBroker::ConnectFailed { cause: Cause::OutOfRange, .. })));

    scene.heard.clear();
    scene.say(scene.phone, ToBroker::Connect { address: other.clone() });
    scene.say(scene.phone, ToBroker::GiveUp { address: other });
    assert!(matches!(scene.heard[0].2, FromBroker::ConnectFailed { cause: Cause::Closed, .. }));
    assert_eq!(scene.medium.deadline(), None);
}

#[test]
fn giving_up_during_set_up_ends_the_link_quietly() {
    let mut scene = Scene::new(Knobs { setup_events: 20, ..Knobs::default() });
    scene.say(scene.phone, ToBroker::Connect { address: ADDRESS.to_owned() });
    scene.run(milliseconds(100));
    scene.say(scene.phone, ToBroker::GiveUp { address: ADDRESS.to_owned() });
    scene.run(Duration::from_secs(3));
    assert!(matches!(
        scene.frames(scene.phone).last(),
        Some((_, FromBroker::ConnectFailed { cause: Cause::Closed, .. }))
    ));
    assert_eq!(scene.frames(scene.lock).count(), 0);
    assert_eq!(scene.medium.deadline(), None);
}

#[test]
fn a_lock_with_no_free_link_lets_the_next_phone_wait() {
    let mut scene = Scene::new(Knobs { max_links: 1, ..Knobs::default() });
    let link = scene.connect();
    let second = scene.medium.join(Role::Phone, Participant::named("second")).unwrap();
    scene.say(second, ToBroker::Connect { address: ADDRESS.to_owned() });
    scene.run(Duration::from_secs(2));
    assert_eq!(scene.frames(second).count(), 0);
    scene.say(scene.phone, ToBroker::Close { link });
    scene.run(Duration::from_secs(1));
    assert!(matches!(scene.frames(second).next(), Some((_, FromBroker::Connected { .. }))));
}

#[test]
fn the_link_report_counts_what_went_over_it() {
    let mut scene = Scene::new(Knobs::default());
    let link = scene.connect();
    scene.phone_says(link, 1);
    scene.run(milliseconds(100));
    scene.lock_says(link, 2);
    scene.run(milliseconds(100));
    scene.phone_says(link, 3);
    scene.run(milliseconds(100));
    scene.say(scene.phone, ToBroker::Close { link });
    scene.run(milliseconds(100));
    scene.direct(ControlRequest::TakeLinks);
    let Some((_, _, FromBroker::Control(ControlReply::Links(reports)))) = scene.heard.last() else { panic!() };
    let report = &reports[0];
    assert_eq!((report.values_to_lock, report.values_to_phone), (2, 1));
    assert_eq!((report.bytes_to_lock, report.bytes_to_phone), (40, 20));
    assert_eq!(report.round_trips, 1);
    assert!(report.ended);
    assert!(report.setup_us >= 60_000);
    assert!((1..=60_000).contains(&report.in_flight_us), "{}", report.in_flight_us);
}

#[test]
fn frames_that_do_not_fit_change_nothing() {
    let mut scene = Scene::new(Knobs::default());
    let link = scene.connect();
    scene.heard.clear();
    scene.say(scene.phone, ToBroker::Advertise(Some(payload())));
    scene.say(scene.lock, ToBroker::Scan(true));
    scene.say(scene.phone, ToBroker::Control(ControlRequest::Participants));
    scene.say(scene.phone, ToBroker::Value { link: link + 1, value: Bytes(vec![1]) });
    scene.say(scene.phone, ToBroker::Close { link: link + 1 });
    assert!(scene.heard.is_empty());
}
