//! Keys are renewed at use; one long timer covers an app that stays open without being used.

use std::{sync::Arc, time::Duration};

use super::{
    contact::Purpose,
    inner::{Inner, Ticket},
};

/// Renewing more often than this is not asked for by any service; a time already past is left to the next use.
const SHORTEST: u32 = 60;

impl Inner {
    /// Sets the timer to when keys are due. Replaces the one before; set only after a contact that succeeded, so a
    /// service out of reach is not asked again and again.
    pub(super) fn arm_renewal(self: &Arc<Self>, ticket: &Ticket) {
        let Ok(due) = self.state_of(ticket).map(|state| state.keyring.renew_after()) else { return };
        let now = self.now().wall;
        let wait = due.map_or(0, |due| due.0.saturating_sub(now.0));
        if wait < SHORTEST {
            return;
        }
        let (core, ticket) = (Arc::downgrade(self), ticket.clone());
        let timer = async move {
            tokio::time::sleep(Duration::from_secs(u64::from(wait))).await;
            if let Some(inner) = core.upgrade() {
                // Logged where it failed; the next use tries again.
                let _ = inner.contact(&ticket, Purpose::Passing).await;
            }
        };
        if let Ok(handle) = self.spawn(timer) {
            let former = self.renewal().replace(handle);
            if let Some(former) = former {
                former.abort();
            }
        }
    }
}
