//! Keybutton's access service: rights, keys, devices, locks, events.
//!
//! It decides who may open which door (`access`), issues access keys that open doors without it (`issue`, `signing`),
//! remembers everything (`store`) and answers over HTTP (`routes`). It runs alone as the binary `keybutton-service`, or
//! inside another program:
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use keybutton_service::{Service, Settings};
//!
//! let service = Service::open(Settings::file("keybutton.db")).await?;
//! let first = service.bootstrap_organization("Example Coworking").await?;
//! println!("operator key, shown once: {}", first.operator_key);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! service.serve(listener, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```

pub mod access;
pub mod auth;
pub mod clock;
mod events;
pub mod integration;
pub mod issue;
pub mod problem;
mod random;
mod routes;
mod service;
pub mod settings;
pub mod signing;
pub mod store;

pub use routes::{openapi, operator};
pub use service::{Bootstrap, Database, Service, ServiceError, Settings};
