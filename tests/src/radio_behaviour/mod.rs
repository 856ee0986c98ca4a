//! What every radio does, from `tests/vectors/radio-behaviour.json`: the language, which `tests/vectors/README.md`
//! describes, and what plays it. Whoever has a radio brings the [`Stand`](player::Stand) that plays its peers.

pub mod listeners;
pub mod player;
pub mod recorder;
#[expect(missing_docs, reason = "the language has its description already")]
pub mod script;
