//! The access service in this process, on an embedded database in a folder.

mod gate;
mod port;

use std::{net::SocketAddr, path::Path, time::Duration};

use axum::serve::ListenerExt as _;
use keybutton_service::{Bootstrap, Service, Settings, clock::Clock};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub use gate::Gate;
pub use port::Port;

use crate::{failure::Failure, service_client::ServiceClient};

/// How long running requests may take when the service is stopped.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// A running access service.
#[derive(Debug)]
pub struct ServiceHost {
    service: Service,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl ServiceHost {
    /// Opens the database in `folder`, or makes one, and serves it at `listen`. Port 0 picks a free port.
    pub async fn start(folder: &Path, listen: SocketAddr) -> Result<Self, Failure> {
        let service = Service::open(Settings::file(folder.join("keybutton.db"))).await.map_err(cannot_start)?;
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            Failure::new(
                "listen-failed",
                format_args!("the access service can't listen at {listen}: {error}"),
                "Stop the other process there, or choose another address with --listen.",
            )
        })?;
        let address = listener.local_addr().map_err(cannot_start)?;
        let (stop, stopped) = oneshot::channel();
        let serving = service.clone().serve(listener, async {
            // A dropped host stops the service as well.
            let _ = stopped.await;
        });
        Ok(Self { service, url: format!("http://{address}"), stop: Some(stop), task: tokio::spawn(serving) })
    }

    /// As [`ServiceHost::start`], on a listener that is there, by a clock of its own, and behind a gate that can hold
    /// requests up.
    pub async fn start_at(folder: &Path, listener: TcpListener, clock: Clock, gate: Gate) -> Result<Self, Failure> {
        let settings = Settings { clock, ..Settings::file(folder.join("keybutton.db")) };
        let service = Service::open(settings).await.map_err(cannot_start)?;
        let address = listener.local_addr().map_err(cannot_start)?;
        // Answers are small and each is written at once. A stream that can't is slower, no more.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let router = service.router().layer(axum::middleware::from_fn_with_state(gate, Gate::pass));
        let (stop, stopped) = oneshot::channel::<()>();
        let database = service.clone();
        let task = tokio::spawn(async move {
            let shutdown = async {
                // A dropped host stops the service as well.
                let _ = stopped.await;
            };
            axum::serve(listener, router).with_graceful_shutdown(shutdown).await?;
            database.close().await.map_err(std::io::Error::other)
        });
        Ok(Self { service, url: format!("http://{address}"), stop: Some(stop), task })
    }

    /// Calls it without any credential.
    pub fn client(&self) -> Result<ServiceClient, Failure> {
        ServiceClient::new(&self.url)
    }

    /// The base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes an organization with its first operator key.
    pub async fn bootstrap(&self, organization: &str) -> Result<Bootstrap, Failure> {
        self.service.bootstrap_organization(organization).await.map_err(cannot_start)
    }

    /// Stops: lets running requests finish, closes the database.
    pub async fn stop(mut self) -> Result<(), Failure> {
        drop(self.stop.take());
        match tokio::time::timeout(STOP_PATIENCE, &mut self.task).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(cannot_start(error)),
            Ok(Err(error)) => Err(cannot_start(error)),
            Err(_) => {
                self.task.abort();
                Ok(())
            }
        }
    }
}

fn cannot_start(error: impl std::fmt::Display) -> Failure {
    Failure::new(
        "service-failed",
        format_args!("the access service failed: {error}"),
        "Follow what the message says; --state chooses another directory.",
    )
}
