use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use tokio::sync::watch;

use crate::failure::Failure;

/// Where requests to a service can be held up before it sees them. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<watch::Sender<Held>>);

#[derive(Clone, Debug, Default)]
struct Held {
    path: Option<String>,
    requests: u32,
}

impl Gate {
    /// Holds up every request whose path begins like this, from now on.
    pub fn hold(&self, path: String) {
        self.0.send_modify(|held| held.path = Some(path));
    }

    /// Lets everything through, what was held first.
    pub fn open(&self) {
        self.0.send_modify(|held| held.path = None);
    }

    /// Waits until this many requests are held up; returns how many are.
    pub async fn wait_held(&self, count: u32, patience: Duration) -> Result<u32, Failure> {
        let mut held = self.0.subscribe();
        let reached = held.wait_for(|held| held.requests >= count);
        match tokio::time::timeout(patience, reached).await {
            Ok(Ok(held)) => Ok(held.requests),
            Ok(Err(_)) | Err(_) => Err(Failure::new(
                "not-reached",
                format_args!("the service did not come to hold {count} requests in {patience:?}"),
                "Check which path is held, and that the app asks for it.",
            )),
        }
    }

    /// Lets a request through, once it may.
    pub(super) async fn pass(State(gate): State<Self>, request: Request, next: Next) -> Response {
        let wanted = request.uri().path().to_owned();
        let is_held = move |held: &Held| held.path.as_deref().is_some_and(|path| wanted.starts_with(path));
        let mut state = gate.0.subscribe();
        let is_held_now = is_held(&state.borrow_and_update());
        if is_held_now {
            let _counted = Counted::new(&gate);
            // The sender is the gate itself.
            let _ = state.wait_for(|held| !is_held(held)).await;
        }
        next.run(request).await
    }
}

/// A request that is held, also one whose caller hangs up.
struct Counted<'a>(&'a Gate);

impl<'a> Counted<'a> {
    fn new(gate: &'a Gate) -> Self {
        gate.0.send_modify(|held| held.requests += 1);
        Self(gate)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|held| held.requests = held.requests.saturating_sub(1));
    }
}
