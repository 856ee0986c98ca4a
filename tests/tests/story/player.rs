//! Plays a scene.

use std::{collections::BTreeMap, time::Duration};

use keybutton::{DoorId, KeyError, Press, PressOptions};
use serde_json::Value;

use crate::{
    judge::judge,
    listener::{Running, Told},
    phone::{Phone, button, state},
    script::{Expected, Listener, PhoneStep, Step, story},
    stage::Stage,
};

/// Plays the scene of this name; fails with the step that came out differently.
pub fn play(name: &str) {
    let story = story();
    let scene = story.scenes.into_iter().find(|scene| scene.name == name).expect("the scene is written");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let stage = Stage::start();
    let phones = scene
        .phones
        .iter()
        .map(|(name, place)| (name.clone(), Phone::start(&runtime, &stage.introduction, name, *place)))
        .collect();
    let mut player = Player { stage, phones };
    for (number, PhoneStep { phone, step }) in scene.steps.into_iter().enumerate() {
        println!("step {}, {phone}: {step:?}", number + 1);
        player.step(&phone, step);
    }
    for phone in player.phones.values() {
        phone.presses.iter().for_each(|running| running.told.check_end());
    }
    drop(player.phones);
    player.stage.end();
}

struct Player {
    stage: Stage,
    phones: BTreeMap<String, Phone>,
}

impl Player {
    fn step(&mut self, who: &str, step: Step) {
        match step {
            Step::Stage { command, answer } => {
                let said = self.stage.ask(&command);
                assert!(has(&said, &answer), "the stage was asked {command} and answered {said}, told is {answer}");
            }
            Step::SignIn { member, lifetime_s, expect } => {
                let token = self.stage.token(&member, lifetime_s);
                assert_eq!(state(self.phone(who).keys().sign_in(token)), expect);
            }
            Step::SignOut {} => self.phone(who).keys().sign_out().unwrap(),
            Step::Refresh { expect } => assert_eq!(state(self.phone(who).keys().refresh()), expect),
            Step::Button { expect } => assert_eq!(button(self.phone(who).keys().key_button()), expect),
            Step::Doors { expect } => {
                let mut seen: Vec<_> = self.phone(who).keys().doors().into_iter().map(|door| door.name).collect();
                let mut expect = expect;
                seen.sort();
                expect.sort();
                assert_eq!(seen, expect);
            }
            Step::Devices { expect } => {
                assert_eq!(self.phone(who).keys().devices().unwrap().wait().unwrap().len(), expect);
            }
            Step::Doctor { expect } => {
                let found = self.phone(who).doctor();
                for (check, result) in expect {
                    assert!(found.contains(&(check.as_str(), result.clone())), "{check} is not {result}: {found:?}");
                }
            }
            Step::Nearby { expect } => self.phone(who).nearby(&expect.into_iter().collect()),
            Step::RadioState { expect } => self.phone(who).wait_radio(&expect),
            Step::Restart {} => self.phone_mut(who).restart(),
            Step::Press { door, deadline_ms, listener, error, until, expect } => {
                let door = door.map(|name| DoorId(self.stage.door_id(&name)));
                let deadline = deadline_ms.map_or(PressOptions::DEADLINE, Duration::from_millis);
                let options = PressOptions { door, deadline, ..PressOptions::default() };
                let told = Told::new(listener == Some(Listener::Throws));
                let started = self.phone(who).keys().press(options, told.clone());
                self.started(who, started, told, error);
                self.follow(who, until, expect);
            }
            Step::Retry { listener, error, until, expect } => {
                let told = Told::new(listener == Some(Listener::Throws));
                let phone = self.phone(who);
                let id = phone.running().press.id();
                let started = phone.keys().retry(id, told.clone());
                assert!(started.as_ref().is_ok_and(|press| press.id() == id) || error.is_some());
                self.started(who, started, told, error);
                self.follow(who, until, expect);
            }
            Step::Reach { phase } => self.phone(who).running().told.reach(&phase),
            Step::Choose { door } => {
                let door = DoorId(self.stage.door_id(&door));
                self.phone(who).running().press.choose(door);
            }
            Step::Cancel {} => self.phone(who).running().press.cancel(),
            Step::Outcome { expect } => self.outcome(who, &expect),
        }
    }

    fn started(
        &mut self,
        who: &str,
        started: Result<std::sync::Arc<Press>, KeyError>,
        told: std::sync::Arc<Told>,
        error: Option<String>,
    ) {
        match (started, error) {
            (Ok(press), None) => self.phone_mut(who).presses.push(Running { press, told }),
            (Err(seen), Some(error)) => assert_eq!(seen.code().as_str(), error),
            (Ok(_), Some(error)) => panic!("the press began; told is {error}"),
            (Err(seen), None) => panic!("the press did not begin: {}", seen.code().as_str()),
        }
    }

    fn follow(&self, who: &str, until: Option<String>, expect: Option<Expected>) {
        if let Some(phase) = until {
            self.phone(who).running().told.reach(&phase);
        }
        if let Some(expect) = expect {
            self.outcome(who, &expect);
        }
    }

    fn outcome(&self, who: &str, expect: &Expected) {
        let running = self.phone(who).running();
        let (phases, outcome) = running.told.outcome();
        judge(&outcome, &phases, running.press.id(), expect, &self.stage);
    }

    fn phone(&self, who: &str) -> &Phone {
        self.phones.get(who).unwrap_or_else(|| panic!("there is no phone {who}"))
    }

    fn phone_mut(&mut self, who: &str) -> &mut Phone {
        self.phones.get_mut(who).unwrap_or_else(|| panic!("there is no phone {who}"))
    }
}

/// Whether `seen` has all that `wanted` has.
fn has(seen: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Null => true,
        Value::Object(fields) => fields.iter().all(|(name, wanted)| match (seen.get(name), wanted) {
            (Some(seen), Value::Null) => seen.is_null(),
            (Some(seen), wanted) => has(seen, wanted),
            (None, _) => false,
        }),
        wanted => seen == wanted,
    }
}
