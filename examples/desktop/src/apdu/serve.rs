//! Runs a lock or a phone over a pipe.

use std::{
    io,
    time::{Duration, Instant},
};

use keybutton_lock::{Event, Failure as Interruption, Uptime};
use keybutton_protocol::{apdu::StatusWord, ids::UnixTime};

use super::{Arrived, LineError, LockOutput, Pipe, TapLock, TapPhone, Told, Word};
use crate::failure::Failure;

/// What a person at the terminal is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// The lock moved its bolt, or reports something.
    Lock(LockOutput),
    /// The phone reports something.
    Phone(Told),
    /// A line was none.
    Garbage(u64, LineError),
    /// A response came that nobody had asked for.
    Stray,
    /// Everything learned was forgotten.
    Reset,
}

/// How many taps a lock begins by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taps {
    /// The first; every other one needs a word of the peer.
    AsAsked,
    /// This many, one after the other.
    Left(u32),
}

/// A lock's clock and its taps, which outlive a peer.
#[derive(Debug)]
pub struct Run {
    started: Instant,
    taps: Taps,
}

impl Run {
    /// Starts the lock's uptime.
    pub fn new(taps: Taps) -> Self {
        Self { started: Instant::now(), taps }
    }

    /// Whether all taps are done.
    pub fn is_over(&self) -> bool {
        self.taps == Taps::Left(0)
    }

    fn now(&self) -> Uptime {
        Uptime(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Runs a lock until the peer has gone or all its taps are done.
///
/// # Errors
///
/// When the pipe fails, or ends before a session has its verdict.
pub fn serve_lock(
    lock: &mut TapLock,
    pipe: &mut impl Pipe,
    run: &mut Run,
    tell: &mut dyn FnMut(Note),
) -> Result<(), Failure> {
    let mut outputs = if pipe.begins_by_itself() { lock.tap(run.now()) } else { Vec::new() };
    loop {
        while let Some(output) = take_first(&mut outputs) {
            match output {
                LockOutput::Command(apdu) => pipe.send(&Word::Apdu(apdu)).map_err(|error| cut(&error))?,
                LockOutput::Close => {
                    pipe.send(&Word::Close).map_err(|error| cut(&error))?;
                    if let Taps::Left(left) = &mut run.taps {
                        *left = left.saturating_sub(1);
                        if *left == 0 {
                            return Ok(());
                        }
                        if pipe.begins_by_itself() {
                            outputs.extend(lock.tap(run.now()));
                        }
                    }
                }
                LockOutput::Bolt(_) | LockOutput::Happened(_) => tell(Note::Lock(output)),
            }
        }
        let until = lock.next_deadline().map(|at| run.started + Duration::from_millis(at.0));
        let arrived = pipe.receive(until);
        let now = run.now();
        outputs = match arrived {
            None => lock.deadline(now),
            Some(Arrived::Word(Word::Apdu(apdu))) if lock.is_in_session() => lock.response(now, &apdu),
            Some(Arrived::Word(Word::Apdu(_))) => {
                tell(Note::Stray);
                Vec::new()
            }
            Some(Arrived::Word(Word::Tap)) => lock.tap(now),
            Some(Arrived::Word(Word::Reset)) => {
                lock.reset(now).map_err(|error| {
                    Failure::new(
                        "lock-stopped",
                        format_args!("the lock does not start again: {error}"),
                        "Start it again.",
                    )
                })?;
                tell(Note::Reset);
                lock.tap(now)
            }
            Some(Arrived::Word(Word::Close)) => lock.lost(now),
            Some(Arrived::Garbage(number, error)) => {
                tell(Note::Garbage(number, error));
                let outputs = lock.lost(now);
                if error == LineError::Cut {
                    return end(outputs, tell);
                }
                outputs
            }
            Some(Arrived::Ended) => return end(lock.lost(now), tell),
            Some(Arrived::Failed(error)) => {
                // Whatever the session was at, the failure is what matters.
                let _ = end(lock.lost(now), tell);
                return Err(cut(&error));
            }
        };
    }
}

/// Runs a phone until the peer has gone. `now` tells the phone's time.
///
/// # Errors
///
/// When the pipe fails, or ends before a session has its verdict.
pub fn serve_phone(
    phone: &mut TapPhone,
    pipe: &mut impl Pipe,
    now: impl Fn() -> UnixTime,
    tell: &mut dyn FnMut(Note),
) -> Result<(), Failure> {
    loop {
        match pipe.receive(None) {
            Some(Arrived::Word(Word::Apdu(apdu))) => {
                let reply = phone.command(&apdu, now());
                reply.told.into_iter().for_each(|told| tell(Note::Phone(told)));
                pipe.send(&Word::Apdu(reply.response)).map_err(|error| cut(&error))?;
            }
            Some(Arrived::Word(Word::Close | Word::Tap)) => phone.close(),
            Some(Arrived::Word(Word::Reset)) => {
                phone.reset();
                tell(Note::Reset);
            }
            Some(Arrived::Garbage(number, error)) => {
                tell(Note::Garbage(number, error));
                if error == LineError::Cut {
                    return Err(session_cut());
                }
                // Every command has its response: a peer that waits for one is not left waiting.
                phone.close();
                let response = Word::Apdu(StatusWord::WRONG_LENGTH.to_bytes().to_vec());
                pipe.send(&response).map_err(|error| cut(&error))?;
            }
            Some(Arrived::Ended) if phone.awaits_verdict() => return Err(session_cut()),
            Some(Arrived::Ended) => return Ok(()),
            Some(Arrived::Failed(error)) => return Err(cut(&error)),
            None => {}
        }
    }
}

fn end(outputs: Vec<LockOutput>, tell: &mut dyn FnMut(Note)) -> Result<(), Failure> {
    let undecided = outputs
        .iter()
        .any(|output| matches!(output, LockOutput::Happened(Event::Failed { failure: Interruption::LinkLost, .. })));
    for output in outputs {
        if matches!(output, LockOutput::Bolt(_) | LockOutput::Happened(_)) {
            tell(Note::Lock(output));
        }
    }
    if undecided { Err(session_cut()) } else { Ok(()) }
}

fn take_first(outputs: &mut Vec<LockOutput>) -> Option<LockOutput> {
    (!outputs.is_empty()).then(|| outputs.remove(0))
}

fn cut(error: &io::Error) -> Failure {
    Failure::new("apdu-session-cut", format_args!("the pipe failed: {error}"), "Start both sides again.")
}

fn session_cut() -> Failure {
    Failure::new(
        "apdu-session-cut",
        "the other side closed the pipe in the middle of a session",
        "Look there for the reason; the line `close` ends a session properly.",
    )
}
