mod endings;
pub(crate) mod lock;
mod openings;
mod properties;
pub(crate) mod rig;
mod tapping;
mod vendors;
