//! What holds whatever happens, in whatever order.

use keybutton_protocol::{
    api::{ButtonState, DoorId, HiddenReason},
    ids::Signature,
    verdict::Reason,
};
use proptest::prelude::*;

use super::{
    super::*,
    rig::{Rig, rights},
};
use crate::{
    error::ErrorCode,
    keyring::fixture::{Plan, door},
    outcome::Outcome,
    radio::{PeripheralId, RadioError, RadioState},
};

/// Something that may happen next to what the rig does by itself.
#[derive(Clone, Debug)]
enum Odd {
    /// Nothing: the rig goes on.
    Go,
    Cancel,
    Begin,
    Choose(u16),
    RightsVisible,
    RightsHidden,
    RightsFailed,
    Keys,
    KeysFailed,
    Radio(bool),
    Connected(u16),
    Value(Vec<u8>),
    Corrupt(u8),
    Lost,
    Swallow,
    Signed(u32),
    User(bool),
    Apdu(Vec<u8>),
    FieldLost,
    Timer,
    Later(u32),
}

fn odd() -> impl Strategy<Value = Odd> {
    prop_oneof![
        30 => Just(Odd::Go),
        1 => Just(Odd::Cancel),
        1 => Just(Odd::Begin),
        1 => (0u16..4).prop_map(Odd::Choose),
        1 => Just(Odd::RightsVisible),
        1 => Just(Odd::RightsHidden),
        1 => Just(Odd::RightsFailed),
        1 => Just(Odd::Keys),
        1 => Just(Odd::KeysFailed),
        1 => any::<bool>().prop_map(Odd::Radio),
        1 => (0u16..600).prop_map(Odd::Connected),
        1 => prop::collection::vec(any::<u8>(), 0..30).prop_map(Odd::Value),
        1 => any::<u8>().prop_map(Odd::Corrupt),
        2 => Just(Odd::Lost),
        1 => Just(Odd::Swallow),
        1 => (0u32..3).prop_map(Odd::Signed),
        1 => any::<bool>().prop_map(Odd::User),
        1 => prop::collection::vec(any::<u8>(), 0..30).prop_map(Odd::Apdu),
        1 => Just(Odd::FieldLost),
        2 => Just(Odd::Timer),
        1 => (0u32..6_000_000).prop_map(Odd::Later),
    ]
}

fn apply(rig: &mut Rig, odd: Odd) {
    let peripheral = PeripheralId("p1".into());
    let input = match odd {
        Odd::Go => return rig.turn(),
        Odd::Cancel => Input::Cancel,
        Odd::Begin => Input::Begin,
        Odd::Choose(number) => Input::Choose(door(rig.world.group, number)),
        Odd::RightsVisible => Input::Rights(Ok(rights(&rig.world, ButtonState::Visible))),
        Odd::RightsHidden => Input::Rights(Ok(rights(&rig.world, ButtonState::Hidden(HiddenReason::ModuleDisabled)))),
        Odd::RightsFailed => Input::Rights(Err(ErrorCode::ServiceUnreachable.into())),
        Odd::Keys => Input::Keys(Ok(rig.world.bundle(&Plan::default()))),
        Odd::KeysFailed => Input::Keys(Err(ErrorCode::ServiceFailed.into())),
        Odd::Radio(on) => Input::RadioState(if on { RadioState::On } else { RadioState::Off }),
        Odd::Connected(mtu) => Input::Connected(peripheral, mtu),
        Odd::Value(value) => Input::Value(peripheral, value),
        Odd::Corrupt(at) => {
            for input in &mut rig.inputs {
                if let Input::Value(_, value) = input
                    && let Some(byte) = value.get_mut(usize::from(at))
                {
                    *byte ^= 1;
                }
            }
            return;
        }
        Odd::Lost => Input::Disconnected(peripheral, RadioError::LinkLost),
        Odd::Swallow => {
            rig.inputs.pop_front();
            return;
        }
        Odd::Signed(ticket) => Input::Signed(ticket, Ok(Signature([7; 64]))),
        Odd::User(unlocked) => {
            Input::UserAuthenticated(if unlocked { Ok(()) } else { Err(ErrorCode::UserAuthRequired.into()) })
        }
        Odd::Apdu(apdu) => Input::Apdu(apdu),
        Odd::FieldLost => Input::FieldLost,
        Odd::Timer => Input::Timer,
        Odd::Later(micros) => {
            rig.now = rig.now.after(micros.into());
            return;
        }
    };
    rig.feed(input);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_press_ends_once_and_tells_the_truth(
        with_key: bool,
        met: bool,
        chosen: bool,
        tap: bool,
        radio: bool,
        authenticated: bool,
        reason in prop::sample::select(Reason::ALL.to_vec()),
        happenings in prop::collection::vec(odd(), 0..120),
    ) {
        let mut rig = if with_key { Rig::new() } else { Rig::without_key() };
        rig.download = Some(Ok(Plan::default()));
        if met {
            rig.press_door(9, 1);
        }
        let moved_before = rig.moved();
        rig.lock().reason = reason;
        let door = if chosen { rig.options(1).door } else { None };
        rig.start(1, UnlockOptions { door, tap, radio: radio || !tap, user_authenticated: authenticated, ..UnlockOptions::default() });
        rig.feed(Input::Begin);
        rig.inputs.clear();
        if let Some(rights) = rig.rights.clone() {
            rig.inputs.push_back(Input::Rights(rights));
        }
        for odd in happenings {
            if rig.over {
                break;
            }
            apply(&mut rig, odd);
        }
        let press = rig.run_to_end();
        let moved = rig.moved() - moved_before;
        prop_assert!(moved <= 1, "one press, one movement");
        match press.outcome {
            Outcome::Opened(_) => prop_assert_eq!(moved, 1),
            Outcome::Refused(_) => prop_assert_eq!(moved, 0, "certain means certain: {:?}", rig.log),
            Outcome::Unconfirmed(_) => {}
        }
        // Over means over.
        for input in [Input::Begin, Input::Cancel, Input::Timer, Input::FieldLost] {
            rig.over = false;
            rig.feed(input);
            prop_assert!(!rig.over && rig.outcomes.len() == 1);
        }
    }

    #[test]
    fn an_input_of_no_use_changes_nothing(turns in 0usize..40, with_key: bool) {
        let mut rig = if with_key { Rig::new() } else { Rig::without_key() };
        rig.download = Some(Ok(Plan::default()));
        let options = rig.options(1);
        rig.start(1, options);
        for _ in 0..turns {
            if !rig.over {
                rig.turn();
            }
        }
        let before = (format!("{:?}", rig.machine), rig.machine.next_timer(), rig.log.len());
        let elsewhere = PeripheralId("elsewhere".into());
        let mut useless = vec![
            Input::Choose(DoorId("elsewhere".into())),
            Input::Connected(elsewhere.clone(), 23),
            Input::Value(elsewhere.clone(), vec![0xC0, 1, 2, 3, 4]),
            Input::Disconnected(elsewhere, RadioError::LinkLost),
            Input::Signed(77, Ok(Signature([1; 64]))),
            Input::UserAuthenticated(Ok(())),
            Input::FieldLost,
            Input::RadioState(RadioState::On),
        ];
        if rig.phases.is_empty() {
            useless.push(Input::Timer);
        } else {
            useless.push(Input::Begin);
        }
        for input in useless {
            rig.feed(input);
            let after = (format!("{:?}", rig.machine), rig.machine.next_timer(), rig.log.len());
            prop_assert_eq!(&after, &before);
        }
        if !rig.over {
            prop_assert!(matches!(rig.run_to_end().outcome, Outcome::Opened(_)));
        }
    }
}
