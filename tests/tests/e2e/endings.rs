//! How presses end that do not simply open: exactly once, and honestly.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use keybutton::{
    Config, MobileKeys, Phase, Platform, Press, PressListener, PressOptions, PressOutcome,
    http::{Http, HttpAnswer, HttpRequest},
    radio::air::{AirRadio, Cut, Direction, Knobs, Manner, Position},
};
use keybutton_protocol::api::{ButtonState, HiddenReason};
use tokio::sync::mpsc;

use crate::world::{
    World, hidden, only_outcome_of, opened, patiently, press, press_and_settle, quick, reach, refused_by_phone,
    unconfirmed,
};

const fn cut(after: u32, manner: Manner, links: Option<u32>) -> Option<Cut> {
    Some(Cut { direction: Direction::ToLock, after, manner, links })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unconfirmed_press_is_asked_for_again_and_moves_the_bolt_once() {
    let (world, door, _group, ann) = World::with_ann().await;
    opened(&press_and_settle(&ann, &door).await);
    let before = door.openings().await;

    // Initiate and the answer to AUTH0 go through: in the fast phase the lock has all it needs.
    let knobs = Knobs { cut: cut(2, Manner::Silent, None), ..quick() };
    world.air.set_knobs("Ann", knobs).await.unwrap();
    let options = PressOptions { deadline: Duration::from_secs(3), ..door.options() };
    let outcome = only_outcome_of(ann.press(options).unwrap()).await;
    unconfirmed(&outcome, "no-verdict");
    assert_eq!(door.openings().await, before + 1, "nobody told the phone");
    assert_eq!(ann.retry(keybutton::UnlockId([9; 16])).unwrap_err().code, "invalid-request");

    world.air.set_knobs("Ann", quick()).await.unwrap();
    let again = only_outcome_of(ann.retry(outcome.press).unwrap()).await;
    assert_eq!(again.press, outcome.press);
    assert!(opened(&again).replayed);
    assert_eq!(door.openings().await, before + 1);
    assert_eq!(ann.retry(outcome.press).unwrap_err().code, "invalid-request", "it is known how it ended");

    // A new press is a new wish.
    assert!(!opened(&press(&ann, &door).await).replayed);
    assert_eq!(door.openings().await, before + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_breaks_is_set_up_again_by_the_press_itself() {
    let (world, door, _group, ann) = World::with_ann().await;
    opened(&press_and_settle(&ann, &door).await);
    for (after, replayed) in [(0, false), (1, false), (2, true)] {
        let before = door.openings().await;
        let knobs = Knobs { cut: cut(after, Manner::Drop, Some(1)), ..quick() };
        world.air.set_knobs("Ann", knobs).await.unwrap();
        let outcome = only_outcome_of(ann.press(door.options()).unwrap()).await;
        let report = opened(&outcome);
        assert_eq!((outcome.metrics.links, report.replayed), (2, replayed), "cut after {after} values");
        assert_eq!(door.openings().await, before + 1, "cut after {after} values");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_press_can_be_cancelled_in_every_phase() {
    let world = World::new().await;
    let front = world.door("Front", 0.0).await;
    let back = world.door("Back", 2.0).await;
    let group = world.group("Members", &[&front, &back]).await;
    let member = world.member("Ann", &[]).await;
    let ann = Gated::start(&world, "Ann").await;
    let state = ann.keys.sign_in(world.organization.token("Ann").unwrap()).unwrap().done().await.unwrap();
    assert_eq!(state, hidden(HiddenReason::NoAccessGroup));
    world.organization.grant(&member, &group).await.unwrap();

    // Nothing on the phone: the service comes first.
    for (phase, held) in [("checking-access", "/v1/me"), ("downloading-key", "/v1/keys")] {
        ann.gate.hold(held);
        let outcome = ann.cancel_in(phase, front.options()).await;
        refused_by_phone(&outcome, "press-cancelled");
        ann.gate.let_through();
    }
    // The lock is silent.
    world.air.set_radio("Front", false).await.unwrap();
    refused_by_phone(&ann.cancel_in("searching", front.options()).await, "press-cancelled");
    world.air.set_radio("Front", true).await.unwrap();
    // Two doors are equally near.
    refused_by_phone(&ann.cancel_in("choose", PressOptions::default()).await, "press-cancelled");
    // The link takes its time, then every value does.
    world.air.set_knobs("Front", Knobs { setup_events: 255, ..quick() }).await.unwrap();
    refused_by_phone(&ann.cancel_in("connecting", front.options()).await, "press-cancelled");
    world.air.set_knobs("Front", Knobs { latency: Duration::from_millis(500), ..quick() }).await.unwrap();
    refused_by_phone(&ann.cancel_in("proving", front.options()).await, "press-cancelled");
    assert_eq!((front.lock().view().verdicts, back.lock().view().verdicts), (0, 0), "no lock was asked");

    let late = ann.cancel_in("opening", front.options()).await;
    unconfirmed(&late, "cancelled-late");
    world.air.set_knobs("Front", quick()).await.unwrap();
    let (press, mut told) = Told::new(|listener| ann.keys.retry(late.press, listener).unwrap());
    let again = told.only_outcome().await;
    opened(&again);
    press.cancel();
    assert_eq!(press.outcome().get().as_ref(), Some(&again), "cancelling what has ended does nothing");
    assert_eq!(front.openings().await, 1, "in all of these");
    assert_eq!(back.openings().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_ends_a_press() {
    let (world, door, _group, ann) = World::with_ann().await;
    let slow = Knobs { latency: Duration::from_millis(500), ..quick() };
    world.air.set_knobs(&door.name, slow).await.unwrap();
    for phase in ["searching", "proving", "opening"] {
        if ann.keys().key_button() != ButtonState::Visible {
            world.sign_in(&ann, "Ann").await;
        }
        let verdicts = door.lock().view().verdicts;
        world.air.set_radio(&door.name, phase != "searching").await.unwrap();
        let mut pressing = ann.press(door.options()).unwrap();
        reach(&mut pressing, phase).await;
        ann.keys().sign_out().unwrap();
        let outcome = only_outcome_of(pressing).await;
        if phase == "opening" {
            unconfirmed(&outcome, "cancelled-late");
        } else {
            refused_by_phone(&outcome, "press-cancelled");
            assert_eq!(door.lock().view().verdicts, verdicts);
        }
        assert_eq!(ann.keys().key_button(), hidden(HiddenReason::NotSignedIn));
        assert_eq!(ann.retry(outcome.press).unwrap_err().code, "not-signed-in");
    }
    world.no_links().await;
    world.air.set_knobs(&door.name, quick()).await.unwrap();
    world.sign_in(&ann, "Ann").await;
    opened(&press(&ann, &door).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_press_at_a_time() {
    let (world, door, _group, ann) = World::with_ann().await;
    world.air.set_radio(&door.name, false).await.unwrap();
    let mut first = ann.press(door.options()).unwrap();
    reach(&mut first, "searching").await;
    assert_eq!(ann.press(door.options()).unwrap_err().code, "press-in-progress");
    assert_eq!(ann.retry(first.press().id()).unwrap_err().code, "press-in-progress");
    world.air.set_radio(&door.name, true).await.unwrap();
    opened(&only_outcome_of(first).await);
    assert_eq!(door.openings().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_panics_harms_nobody_but_itself() {
    let (_world, door, _group, ann) = World::with_ann().await;
    let careless = Arc::new(Careless::default());
    let press_handle = ann.keys().press(door.options(), careless.clone()).unwrap();
    let outcome = patiently(press_handle.outcome().done()).await;
    opened(&outcome);
    patiently(press_handle.settled().done()).await;
    // Its listener hears of the press on a task of its own.
    patiently(careless.heard_outcome.notified()).await;
    assert!(careless.phases.load(Ordering::SeqCst) >= 4, "it was told every phase all the same");
    assert_eq!(careless.outcomes.load(Ordering::SeqCst), 1);
    assert_eq!(door.openings().await, 1);
    opened(&press(&ann, &door).await);
    assert_eq!(door.openings().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_core_that_goes_away_tells_its_listener() {
    let (world, door, _group, ann) = World::with_ann().await;
    world.air.set_radio(&door.name, false).await.unwrap();
    let mut pressing = ann.press(door.options()).unwrap();
    reach(&mut pressing, "searching").await;
    tokio::task::spawn_blocking(move || drop(ann)).await.unwrap();
    refused_by_phone(&only_outcome_of(pressing).await, "press-cancelled");
    world.left("Ann").await;
}

/// Panics whenever it is called.
#[derive(Default)]
struct Careless {
    phases: AtomicU32,
    outcomes: AtomicU32,
    heard_outcome: tokio::sync::Notify,
}

impl PressListener for Careless {
    fn on_phase(&self, _: Phase) {
        self.phases.fetch_add(1, Ordering::SeqCst);
        panic!("as told");
    }

    fn on_outcome(&self, _: PressOutcome) {
        self.outcomes.fetch_add(1, Ordering::SeqCst);
        self.heard_outcome.notify_one();
        panic!("as told");
    }
}

/// A phone whose requests to the service can be held up.
struct Gated {
    keys: MobileKeys,
    gate: Arc<Gate>,
}

impl Gated {
    async fn start(world: &World, name: &str) -> Self {
        let options = world.phone_options(name);
        let radio = Arc::new(AirRadio::join(&options.endpoint, &options.participant).await.unwrap());
        world.air.move_to(name, Position { x: 1.0, y: 0.0 }).await.unwrap();
        let platform = Platform::desktop(radio, &options.folder).unwrap();
        let gate = Arc::new(Gate { http: platform.http.clone(), state: Mutex::default() });
        let platform = Platform { http: gate.clone(), ..platform };
        let config = Config {
            service_url: options.service,
            app: options.app,
            device_name: name.to_owned(),
            platform: "linux".into(),
        };
        Self { keys: MobileKeys::new(config, platform).unwrap(), gate }
    }

    /// Presses, and cancels as soon as the phase is reached.
    async fn cancel_in(&self, phase: &str, options: PressOptions) -> PressOutcome {
        let (press, mut told) = Told::new(|listener| self.keys.press(options, listener).unwrap());
        told.reach(phase).await;
        press.cancel();
        let outcome = told.only_outcome().await;
        assert_eq!(outcome.metrics.phases.last().unwrap().phase, phase, "{:?}", outcome.metrics.phases);
        outcome
    }
}

enum News {
    Phase(Phase),
    Outcome(Box<PressOutcome>),
}

/// What a listener is told.
struct Told(mpsc::UnboundedReceiver<News>);

struct Listener(mpsc::UnboundedSender<News>);

impl Told {
    fn new(press: impl FnOnce(Arc<Listener>) -> Arc<Press>) -> (Arc<Press>, Self) {
        let (sender, news) = mpsc::unbounded_channel();
        (press(Arc::new(Listener(sender))), Self(news))
    }

    async fn reach(&mut self, name: &str) {
        patiently(async {
            loop {
                match self.0.recv().await.unwrap() {
                    News::Phase(phase) if phase.name() == name => return,
                    News::Phase(_) => {}
                    News::Outcome(outcome) => panic!("{name} was not reached: {outcome:?}"),
                }
            }
        })
        .await;
    }

    async fn only_outcome(&mut self) -> PressOutcome {
        patiently(async {
            let outcome = loop {
                if let News::Outcome(outcome) = self.0.recv().await.unwrap() {
                    break outcome;
                }
            };
            assert!(self.0.recv().await.is_none(), "nothing comes after the outcome");
            *outcome
        })
        .await
    }
}

impl PressListener for Listener {
    fn on_phase(&self, phase: Phase) {
        self.0.send(News::Phase(phase)).unwrap();
    }

    fn on_outcome(&self, outcome: PressOutcome) {
        self.0.send(News::Outcome(Box::new(outcome))).unwrap();
    }
}

/// Holds up requests for one path.
struct Gate {
    http: Arc<dyn Http>,
    state: Mutex<GateState>,
}

#[derive(Default)]
struct GateState {
    held_path: Option<&'static str>,
    held: Vec<(HttpRequest, Arc<HttpAnswer>)>,
}

impl Gate {
    fn hold(&self, path: &'static str) {
        self.state.lock().unwrap().held_path = Some(path);
    }

    /// Lets everything through from now on; what was held fails, as it does when its connection breaks.
    fn let_through(&self) {
        *self.state.lock().unwrap() = GateState::default();
    }
}

impl Http for Gate {
    fn send(&self, request: HttpRequest, answer: Arc<HttpAnswer>) {
        {
            let mut state = self.state.lock().unwrap();
            if state.held_path.is_some_and(|path| request.url.contains(path)) {
                state.held.push((request, answer));
                return;
            }
        }
        self.http.send(request, answer);
    }
}
