//! NFC taps over a byte pipe: one APDU a line, in hex, so that a reader bridge or anybody's reader or phone
//! implementation can be put on the other side (`docs/APDU-PIPE.md`).
//!
//! [`TapLock`] is the lock's reader and [`TapPhone`] the phone, both without I/O; [`serve_lock`] and [`serve_phone`] run
//! them over a [`Pipe`].

mod endpoint;
mod key_file;
mod line;
mod lock;
#[cfg(feature = "pcsc")]
mod pcsc;
mod phone;
mod pipe;
mod serve;

pub use endpoint::Endpoint;
pub use key_file::{Identity, KeyFile, Provision};
pub use line::{LineError, Lines, MAX_APDU, Word};
pub use lock::{LockOutput, TapLock};
#[cfg(feature = "pcsc")]
pub use pcsc::CardReader;
pub use phone::{PhoneReply, TapPhone, Told};
pub use pipe::{Arrived, Pipe, Pipes, StreamPipe};
pub use serve::{Note, Run, Taps, serve_lock, serve_phone};
