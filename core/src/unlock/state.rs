use keybutton_protocol::{api::DoorId, crypto::Crypto};

use super::{
    Action, Input,
    run::{Env, PAUSE_US, Run},
    talk::Talk,
    timers::is_due,
};
use crate::{
    error::{ErrorCode, KeyError},
    outcome::Cause,
};

/// Where a press stands. What it has learned is in [`Run`].
#[derive(Debug)]
pub(super) enum State<C: Crypto> {
    /// Not begun.
    Idle,
    /// The service has to say first whether the member may.
    Checking,
    /// A key is on its way.
    Downloading,
    /// Listening for the lock.
    Searching,
    /// The member has to say which of these doors.
    Choosing(Vec<DoorId>),
    /// A link is being set up.
    Connecting,
    /// The lock proves itself.
    Proving(Box<Talk<C>>),
    /// The lock has proved itself; the device key signs.
    Signing(Box<Talk<C>>),
    /// The member has to unlock the phone; there is no link.
    Authenticating,
    /// The lock has everything it needs to open, and decides.
    Deciding(Box<Talk<C>>),
    /// A vendor's SDK opens the door, or does not.
    AskingVendor,
    /// A failed link is being dropped; the search goes on after it.
    Dropping,
    /// A pause before the search goes on.
    Waiting,
    /// The press is over for the member; the lock may want something more.
    Syncing(Box<Talk<C>>),
    /// Nothing more happens.
    Over,
}

/// One step. Inputs that a state has no use for leave it as it is.
pub(super) fn step<C: Crypto>(state: State<C>, input: Input, run: &mut Run, env: &mut Env<'_, C>) -> State<C> {
    match (state, input) {
        (State::Idle, Input::Begin) => run.begin(env),
        (State::Idle, Input::Cancel) => run.finish(ErrorCode::PressCancelled, env),

        // The member lets go: certain as long as the lock was not asked.
        (
            State::Checking
            | State::Downloading
            | State::Searching
            | State::Choosing(_)
            | State::Connecting
            | State::Proving(_)
            | State::Signing(_)
            | State::Authenticating
            | State::AskingVendor
            | State::Deciding(_)
            | State::Dropping
            | State::Waiting,
            Input::Cancel,
        ) => run.fail(ErrorCode::PressCancelled, Cause::Cancelled, env),
        (State::Syncing(_), Input::Cancel) => run.close(),

        // The service.
        (State::Checking, Input::Rights(answer)) => run.checked(answer, env),
        (state @ State::Downloading, Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (state @ State::Searching, Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (state @ State::Choosing(_), Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (state @ State::Connecting, Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (state @ State::Proving(_), Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (state @ State::Signing(_), Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (state @ State::Authenticating, Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (state @ State::Deciding(_), Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (state @ State::Dropping, Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (state @ State::Waiting, Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (state @ State::Syncing(_), Input::Rights(answer)) => run.meanwhile(answer, state, env),
        (State::Downloading, Input::Keys(answer)) => run.downloaded(answer, env),

        // Finding the lock.
        (State::Searching, Input::Heard(heard)) => run.heard(&heard, env),
        (state @ State::Choosing(_), Input::Heard(heard)) => {
            env.discovery.hear(&heard, env.now.moment, env.keyring, env.crypto);
            state
        }
        (State::Choosing(doors), Input::Choose(door)) if doors.contains(&door) => run.chosen(door, env),
        (state @ (State::Searching | State::Choosing(_)), Input::RadioState(radio)) => {
            run.radio_changed(radio, state, env)
        }

        // The link. Events of another one are none of ours.
        (State::Connecting, Input::Connected(peripheral, mtu)) if run.is_our_link(&peripheral) => {
            run.connected(mtu, env)
        }
        (State::Proving(talk), Input::Value(from, value)) if run.is_our_link(&from) => run.value(talk, &value, env),
        (State::Signing(talk), Input::Value(from, value)) if run.is_our_link(&from) => {
            run.value_while_signing(talk, &value, env)
        }
        (State::Deciding(talk), Input::Value(from, value)) if run.is_our_link(&from) => run.value(talk, &value, env),
        (State::Syncing(talk), Input::Value(from, value)) if run.is_our_link(&from) => {
            run.value_after_verdict(talk, &value, env)
        }
        (
            State::Connecting | State::Proving(_) | State::Signing(_) | State::Deciding(_),
            Input::Disconnected(peripheral, error),
        ) if run.is_our_link(&peripheral) => {
            run.peripheral = None;
            env.discovery.forget(&peripheral);
            run.lost(KeyError::from(error).code(), env)
        }
        (State::Syncing(_), Input::Disconnected(peripheral, _)) if run.is_our_link(&peripheral) => {
            run.peripheral = None;
            run.close()
        }
        (State::Dropping, Input::Disconnected(..)) => {
            run.timers.pause = Some(env.now.moment.after(PAUSE_US));
            State::Waiting
        }

        // The member's proof.
        (State::Signing(talk), Input::Signed(ticket, signature)) if ticket == run.ticket => {
            run.signed(talk, signature, env)
        }
        (State::Authenticating, Input::UserAuthenticated(Ok(()))) => {
            run.options.user_authenticated = true;
            run.search(env)
        }
        (State::Authenticating, Input::UserAuthenticated(Err(_))) => {
            run.fail(ErrorCode::UserAuthRequired, Cause::Cancelled, env)
        }

        // The vendor's word.
        (State::AskingVendor, Input::Vendor(word)) => run.vendor_answered(word, env),

        // The lock's reader in the phone's field. Whatever the radio was about gives way.
        (State::Searching | State::Choosing(_) | State::Connecting | State::Waiting, Input::Apdu(apdu)) => {
            run.tapped(&apdu, env)
        }
        (State::Proving(talk), Input::Apdu(apdu)) if talk.is_tap() => run.apdu(talk, &apdu, env),
        (State::Deciding(talk), Input::Apdu(apdu)) if talk.is_tap() => run.apdu(talk, &apdu, env),
        (State::Proving(talk) | State::Signing(talk) | State::Deciding(talk), Input::FieldLost) if talk.is_tap() => {
            run.lost(ErrorCode::LinkLost, env)
        }

        // Time.
        (State::Checking | State::Downloading, Input::Timer) if run.deadline_is_due(env) => {
            run.fail(ErrorCode::ServiceUnreachable, Cause::Deadline, env)
        }
        (State::Searching, Input::Timer) if run.deadline_is_due(env) => {
            let code = run.why_not_found(env);
            run.fail(code, Cause::LinkLost, env)
        }
        (State::Searching, Input::Timer) => run.settle(env),
        (State::Choosing(_), Input::Timer) if run.deadline_is_due(env) => {
            run.fail(ErrorCode::DoorNotChosen, Cause::LinkLost, env)
        }
        (State::Authenticating, Input::Timer) if run.deadline_is_due(env) => {
            run.fail(ErrorCode::UserAuthRequired, Cause::LinkLost, env)
        }
        (
            State::Connecting
            | State::Proving(_)
            | State::Signing(_)
            | State::Deciding(_)
            | State::AskingVendor
            | State::Dropping
            | State::Waiting,
            Input::Timer,
        ) if run.deadline_is_due(env) => {
            // What the service says of the door is more than that its lock was silent.
            let code = run.online.known_refusal().unwrap_or(ErrorCode::TimedOut);
            run.fail(code, Cause::Deadline, env)
        }
        (State::Connecting | State::Proving(_) | State::Deciding(_), Input::Timer) if run.link_is_overdue(env) => {
            run.lost(ErrorCode::LinkLost, env)
        }
        (State::Signing(_), Input::Timer) if is_due(run.timers.link, env.now.moment) => {
            run.lost(ErrorCode::LinkLost, env)
        }
        // A radio that never says goodbye does not hold the press up.
        (State::Dropping | State::Waiting, Input::Timer) if is_due(run.timers.pause, env.now.moment) => {
            run.timers.pause = None;
            run.search(env)
        }
        (State::Syncing(_), Input::Timer) if run.link_is_overdue(env) => run.close(),

        // A reader always gets an answer; outside of a press it is "no".
        (
            state @ (State::Idle
            | State::Checking
            | State::Downloading
            | State::Proving(_)
            | State::Signing(_)
            | State::Authenticating
            | State::Deciding(_)
            | State::AskingVendor
            | State::Dropping
            | State::Syncing(_)
            | State::Over),
            Input::Apdu(_),
        ) => {
            run.push(Action::Apdu(Talk::<C>::NOT_NOW.to_vec()));
            state
        }

        // Nothing to do with it.
        (
            state,
            Input::Begin
            | Input::Cancel
            | Input::Choose(_)
            | Input::Rights(_)
            | Input::Keys(_)
            | Input::Heard(_)
            | Input::RadioState(_)
            | Input::Connected(..)
            | Input::Value(..)
            | Input::Disconnected(..)
            | Input::Signed(..)
            | Input::UserAuthenticated(_)
            | Input::Vendor(_)
            | Input::FieldLost
            | Input::Timer,
        ) => state,
    }
}
