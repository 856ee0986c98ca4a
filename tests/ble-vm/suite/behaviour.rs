//! What every radio does, from `tests/vectors/radio-behaviour.json`, asked of the desktop's: one scenario for each case.

mod stand;

use std::rc::Rc;

use keybutton_tests::radio_behaviour::{
    listeners, player,
    script::{self, Need},
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
    scenarios
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
