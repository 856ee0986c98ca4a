//! The pair harness: the real lock machine and the real phone machine on a virtual clock, and a bare phone and a bare
//! lock that can do everything wrong.

pub mod air;
pub mod bench;
pub mod cbor;
pub mod dialog;
pub mod document;
pub mod keys;
pub mod lock;
pub mod meeting;
pub mod phone;
pub mod raw_lock;
pub mod raw_phone;
pub mod rng;
pub mod site;
pub mod store;
pub mod talk;
pub mod tlv;
pub mod world;
