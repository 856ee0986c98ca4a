//! Phones and locks in a record of what a Bluetooth controller was told: a btsnoop file, or `btmon` as it writes one.
//!
//! Followed are ATT writes and notifications of our characteristics. Which handles these have is learned from the
//! discovery in the record; where the phone had them cached, from what a transaction begins with.

mod btsnoop;
mod follow;
mod hci;

pub use btsnoop::{Datalink, Reader, Record, RecordError};
pub use follow::{Follower, News};
