//! What every radio does, from `tests/vectors/radio-behaviour.json`, asked of the desktop's: one scenario for each case.

mod stand;

use std::rc::Rc;

use keybutton::radio::RadioError;
use keybutton_tests::radio_behaviour::{
    listeners,
    player::{self, Stand as _, patiently},
    recorder::{LinkEvent, Recorder},
    script::{self, Hex, Need, Peer},
};

use self::stand::BluezStand;
use crate::scenarios::{Scenario, on_air};

/// A scenario for each case, and for what holds for whoever listens. They leave Bob's adapter and the peers as the case
/// ended, and the doors out of range.
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = script::cases().into_iter().map(scenario).collect();
    scenarios.push(on_air("radio_listener_connects_again_from_within", |world| {
        Box::pin(async { listeners::connects_again_from_within(BluezStand::set(world).await).await })
    }));
    scenarios.push(on_air("radio_listener_is_let_go", |world| {
        Box::pin(async { listeners::is_let_go(BluezStand::set(world).await).await })
    }));
    scenarios.push(on_air("radio_unlearns_an_mtu", |world| {
        Box::pin(async { unlearns_an_mtu(BluezStand::set(world).await).await })
    }));
    scenarios
}

/// What a radio on Linux remembers of a lock includes the MTU of the link before. Where the lock takes less by now, the first
/// value that is too long ends the link, and the next one is right: a press repeats by itself.
async fn unlearns_an_mtu(mut stand: BluezStand<'_>) {
    let (radio, lock, recorder) = (stand.radio(), stand.id(listeners::LOCK), Recorder::new());
    listeners::hear_the_lock(&mut stand, &recorder).await;
    radio.stop_scan();
    let accept = |mtu, says| Peer::Accept { peripheral: listeners::LOCK.to_owned(), mtu, says };
    radio.connect(lock.clone(), recorder.clone()).unwrap();
    stand.act(accept(185, Some(Hex(vec![1])))).await;
    assert_eq!(patiently(recorder.link_event(&lock)).await, LinkEvent::Connected(185));
    assert_eq!(patiently(recorder.link_event(&lock)).await, LinkEvent::Notification(vec![1]));
    radio.disconnect(lock.clone());
    assert_eq!(patiently(recorder.link_event(&lock)).await, LinkEvent::Disconnected(RadioError::Closed));
    radio.connect(lock.clone(), recorder.clone()).unwrap();
    stand.act(accept(23, None)).await;
    assert!(matches!(patiently(recorder.link_event(&lock)).await, LinkEvent::Connected(_)));
    radio.write(lock.clone(), vec![2; 48]).unwrap();
    assert_eq!(patiently(recorder.link_event(&lock)).await, LinkEvent::Disconnected(RadioError::LinkLost));
    radio.connect(lock.clone(), recorder.clone()).unwrap();
    stand.act(accept(23, None)).await;
    assert_eq!(patiently(recorder.link_event(&lock)).await, LinkEvent::Connected(23));
    radio.disconnect(lock.clone());
    assert_eq!(patiently(recorder.link_event(&lock)).await, LinkEvent::Disconnected(RadioError::Closed));
    assert_eq!(stand.left().await, [], "nothing of what was too long");
}

fn scenario(case: script::Case) -> Scenario {
    let name = format!("radio_{}", case.name.replace('-', "_"));
    let left_out = case.needs.iter().find_map(|need| cannot(*need));
    let case = Rc::new(case);
    let scenario = on_air(&name, move |world| {
        let case = case.clone();
        Box::pin(async move { player::play(&case, BluezStand::set(world).await).await })
    });
    Scenario { left_out, ..scenario }
}

/// Why a need is not met here, if it is not.
const fn cannot(need: Need) -> Option<&'static str> {
    match need {
        Need::Strangers | Need::Services => None,
        Need::SuddenOff => Some("Linux 6.1 may crash"),
        Need::Permission => Some("Linux takes no permission from a program that runs"),
    }
}
