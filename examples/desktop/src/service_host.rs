//! The access service in this process, on an embedded database in a folder.

use std::{net::SocketAddr, path::Path, time::Duration};

use keybutton_service::{Bootstrap, Service, Settings};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::failure::Failure;

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
