//! The Swift and Kotlin surface: what the records and traits of the core do not bring along themselves.
//!
//! Records, enums and traits are exported where they stand. Here are the identifiers' forms in other languages
//! (`types`), the calls whose result comes later (`keys`) and the parts a host may take ready-made (`parts`).

mod errors;
mod keys;
mod parts;
mod types;
