//! Limits on what strangers can make the lock do (`docs/PROTOCOL.md` section 14).

use core::time::Duration;

use crate::{reader::Address, uptime::Uptime};

/// The most AUTH1 signatures in [`SIGNING_WINDOW`].
pub const SIGNATURES_MAX: usize = 10;
/// The window of [`SIGNATURES_MAX`].
pub const SIGNING_WINDOW: Duration = Duration::from_secs(10);
/// After this many failed transactions in a row an address has to wait.
pub const FAILURES_MAX: u8 = 3;
/// How long it has to wait.
pub const PAUSE: Duration = Duration::from_secs(2);
/// How many addresses are remembered.
const ADDRESSES: usize = 8;

/// Grants at most [`SIGNATURES_MAX`] signatures in any [`SIGNING_WINDOW`].
#[derive(Debug, Default)]
pub struct SigningBudget {
    granted: [Option<Uptime>; SIGNATURES_MAX],
    next: usize,
}

impl SigningBudget {
    /// Takes one signature from the budget; `false` when it is used up.
    #[must_use]
    pub fn take(&mut self, now: Uptime) -> bool {
        // The slot that comes next holds the oldest grant.
        let Some(slot) = self.granted.get_mut(self.next) else { return false };
        if slot.is_some_and(|granted| now.since(granted) < SIGNING_WINDOW) {
            return false;
        }
        *slot = Some(now);
        self.next = (self.next + 1) % SIGNATURES_MAX;
        true
    }
}

/// Makes addresses wait whose transactions keep failing.
#[derive(Debug, Default)]
pub struct Penalties {
    entries: [Option<Entry>; ADDRESSES],
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: Address,
    failures: u8,
    last: Uptime,
}

impl Penalties {
    /// Whether `address` still has to wait.
    pub fn is_paused(&self, address: Address, now: Uptime) -> bool {
        self.entries
            .iter()
            .flatten()
            .any(|entry| entry.address == address && entry.failures >= FAILURES_MAX && now.since(entry.last) < PAUSE)
    }

    /// Notes a failed transaction.
    pub fn failed(&mut self, address: Address, now: Uptime) {
        let known = self.entries.iter_mut().flatten().find(|entry| entry.address == address);
        if let Some(entry) = known {
            // Whoever has waited starts anew.
            let waited = entry.failures >= FAILURES_MAX && now.since(entry.last) >= PAUSE;
            entry.failures = if waited { 1 } else { entry.failures.saturating_add(1) };
            entry.last = now;
            return;
        }
        let oldest = self.entries.iter_mut().min_by_key(|slot| slot.as_ref().map(|entry| entry.last));
        if let Some(slot) = oldest {
            *slot = Some(Entry { address, failures: 1, last: now });
        }
    }

    /// Notes a transaction that reached its verdict.
    pub fn succeeded(&mut self, address: Address) {
        for slot in &mut self.entries {
            if slot.as_ref().is_some_and(|entry| entry.address == address) {
                *slot = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Address = Address([1; 6]);
    const B: Address = Address([2; 6]);

    #[test]
    fn l_flood_ten_signatures_in_ten_seconds() {
        let mut budget = SigningBudget::default();
        let granted = (0..20).filter(|n| budget.take(Uptime(n * 500))).count();
        assert_eq!(granted, 10);
        assert!(!budget.take(Uptime(9_999)));
        assert!(budget.take(Uptime(10_000)), "the first is ten seconds old");
        assert!(!budget.take(Uptime(10_001)));
    }

    #[test]
    fn three_failures_in_a_row_pause_an_address_alone() {
        let mut penalties = Penalties::default();
        for n in 0..2 {
            penalties.failed(A, Uptime(n));
        }
        assert!(!penalties.is_paused(A, Uptime(3)));
        penalties.failed(A, Uptime(3));
        assert!(penalties.is_paused(A, Uptime(2_002)));
        assert!(!penalties.is_paused(B, Uptime(4)));
        assert!(!penalties.is_paused(A, Uptime(2_003)));
        penalties.failed(A, Uptime(2_003));
        assert!(!penalties.is_paused(A, Uptime(2_003)));
    }

    #[test]
    fn a_verdict_clears_an_address() {
        let mut penalties = Penalties::default();
        penalties.failed(A, Uptime(0));
        penalties.failed(A, Uptime(0));
        penalties.succeeded(A);
        penalties.failed(A, Uptime(0));
        assert!(!penalties.is_paused(A, Uptime(0)));
    }

    #[test]
    fn the_oldest_address_is_forgotten_first() {
        let mut penalties = Penalties::default();
        for n in 0..9u8 {
            for _ in 0..3 {
                penalties.failed(Address([n; 6]), Uptime(n.into()));
            }
        }
        assert!(!penalties.is_paused(Address([0; 6]), Uptime(10)));
        assert!((1..9).all(|n| penalties.is_paused(Address([n; 6]), Uptime(10))));
    }
}
