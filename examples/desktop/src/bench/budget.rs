//! How often a lock may be opened by phones it has to sign for.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Keeps below a lock's signing budget (docs/PROTOCOL.md section 14).
#[derive(Debug, Default)]
pub(super) struct Budget(VecDeque<Instant>);

impl Budget {
    const SIGNATURES: usize = 9;
    const WINDOW: Duration = Duration::from_millis(10_500);

    /// Waits until the lock may sign once more, and counts that signature.
    pub(super) async fn wait(&mut self) {
        if self.0.len() == Self::SIGNATURES
            && let Some(oldest) = self.0.pop_front()
        {
            tokio::time::sleep_until((oldest + Self::WINDOW).into()).await;
        }
        self.0.push_back(Instant::now());
    }
}
