//! The access service over real HTTP: every test starts one on a port of its own.

mod audit;
mod binary;
mod devices;
mod keys;
mod operators;
mod problems;
mod revocation;
mod rights;
mod secrets;
mod tenants;
mod world;
