//! Plays a case with any radio whose other side can be played.

use std::{sync::Arc, time::Duration};

use keybutton::radio::{PeripheralId, Radio, RadioError};

use super::{
    recorder::{LinkEvent, Recorder, error_name, state_name},
    script::{Case, Command, Expect, Peer, Step},
};

/// Nothing takes longer. On a paused clock it costs nothing.
const PATIENCE: Duration = Duration::from_secs(120);

/// A radio under test, with what plays its peers and its system.
#[expect(async_fn_in_trait, reason = "who plays awaits on the thread that set the stand up")]
pub trait Stand {
    /// The radio.
    fn radio(&self) -> Arc<dyn Radio>;

    /// How the radio names a peripheral of the case.
    fn id(&self, peripheral: &str) -> PeripheralId;

    /// Has a peer or the system act.
    async fn act(&mut self, action: Peer);

    /// The next value that arrives at a peer.
    async fn received(&mut self, peripheral: &str) -> Vec<u8>;

    /// What arrived at any peer and nobody asked for.
    async fn left(&mut self) -> Vec<(String, Vec<u8>)>;

    /// Lets everything that is under way come to rest. Whoever advertises does so meanwhile, once at least.
    async fn rest(&mut self);
}

/// Plays the case; fails with the step that came out differently.
pub async fn play(case: &Case, stand: impl Stand) {
    let mut player = Player { radio: stand.radio(), stand, recorder: Recorder::new() };
    for (number, step) in case.steps.iter().enumerate() {
        println!("step {}: {step:?}", number + 1);
        match step {
            Step::Command(command) => player.command(command),
            Step::Peer(action) => player.act(action).await,
            Step::Expect(expected) => patiently(player.expect(expected)).await,
        }
    }
    player.end().await;
}

/// Waits for what has to happen, and not for ever.
pub async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("what is expected happens")
}

struct Player<S> {
    stand: S,
    radio: Arc<dyn Radio>,
    recorder: Arc<Recorder>,
}

impl<S: Stand> Player<S> {
    fn command(&self, command: &Command) {
        let events = self.recorder.clone();
        match command {
            Command::State { is } => assert_eq!(state_name(self.radio.state()), is),
            Command::StartScan { fails } => check(self.radio.start_scan(events), fails.as_deref()),
            Command::StopScan {} => self.radio.stop_scan(),
            Command::Connect { peripheral, fails } => {
                check(self.radio.connect(self.stand.id(peripheral), events), fails.as_deref());
            }
            Command::Write { peripheral, value, fails } => {
                check(self.radio.write(self.stand.id(peripheral), value.0.clone()), fails.as_deref());
            }
            Command::Disconnect { peripheral } => self.radio.disconnect(self.stand.id(peripheral)),
        }
    }

    async fn act(&mut self, action: &Peer) {
        self.stand.act(action.clone()).await;
    }

    async fn expect(&mut self, expected: &Expect) {
        match expected {
            Expect::Advertisement { peripheral, service_data, tx_power } => {
                let id = self.stand.id(peripheral);
                let wants_none = service_data.as_ref().is_some_and(|data| data.0.is_empty());
                let heard = self.recorder.next(|streams| {
                    let stream = streams.heard.get_mut(&id)?;
                    let found = stream.iter().position(|heard| wants_none || !heard.service_data.is_empty())?;
                    stream.drain(..=found).next_back()
                });
                let heard = heard.await;
                if let Some(data) = service_data {
                    assert_eq!(heard.service_data, data.0);
                }
                if tx_power.is_some() {
                    assert_eq!(heard.tx_power, *tx_power);
                }
                assert!(heard.rssi < 0, "a signal strength: {heard:?}");
            }
            Expect::Connected { peripheral, mtu } => {
                assert_eq!(self.link_event(peripheral).await, LinkEvent::Connected(*mtu));
            }
            Expect::Notification { peripheral, value } => {
                assert_eq!(self.link_event(peripheral).await, LinkEvent::Notification(value.0.clone()));
            }
            Expect::Disconnected { peripheral, cause } => match self.link_event(peripheral).await {
                LinkEvent::Disconnected(seen) => assert_eq!(error_name(seen), cause),
                other => panic!("not disconnected: {other:?}"),
            },
            Expect::State { is } => {
                assert_eq!(state_name(self.recorder.next(|streams| streams.states.pop_front()).await), is);
            }
            Expect::Received { peripheral, value } => assert_eq!(self.stand.received(peripheral).await, value.0),
            Expect::NoAdvertisement {} => {
                self.stand.rest().await;
                self.recorder.with(|streams| streams.heard.clear());
                self.stand.rest().await;
                self.recorder.with(|streams| assert!(streams.heard.is_empty(), "{:?}", streams.heard));
            }
            Expect::NoLinkEvent { peripheral } => {
                self.stand.rest().await;
                let id = self.stand.id(peripheral);
                let left = self.recorder.with(|streams| streams.links.remove(&id).unwrap_or_default());
                assert!(left.is_empty(), "{left:?}");
            }
        }
    }

    async fn link_event(&self, peripheral: &str) -> LinkEvent {
        self.recorder.link_event(&self.stand.id(peripheral)).await
    }

    /// Sees that nothing was reported, and nothing arrived, that the case does not tell.
    async fn end(mut self) {
        self.stand.rest().await;
        self.recorder.with(|streams| {
            streams.links.retain(|_, left| !left.is_empty());
            assert!(streams.links.is_empty(), "{:?}", streams.links);
            assert!(streams.states.is_empty(), "{:?}", streams.states);
        });
        assert_eq!(self.stand.left().await, []);
    }
}

fn check(result: Result<(), RadioError>, fails: Option<&str>) {
    assert_eq!(result.err().map(error_name), fails);
}
