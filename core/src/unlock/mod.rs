//! One press, from the button to the lock's word.

mod types;

pub use self::types::{Action, Input, Moment, Now, Phase, UnlockOptions};
