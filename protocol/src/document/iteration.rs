//! The two numbers a lock keeps for each issuer, and when a document may raise them (`docs/PROTOCOL.md` section 10.5).

use thiserror::Error;

/// How far behind an access document may be: at this distance it is refused.
pub const ACCESS_WINDOW: u32 = 8;
/// How far ahead a document may be: an issuer's slip must not lock a site out for good.
pub const JUMP_MAX: u32 = 1_024;

/// Why an iteration is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum IterationError {
    /// The document has none.
    #[error("document has no iteration")]
    Missing,
    /// The issuer has withdrawn the document.
    #[error("document's iteration is too old")]
    Stale,
    /// The document is too far ahead of what was seen.
    #[error("document's iteration jumps too far")]
    Jump,
}

/// Judges an access document; returns the number to store, never a lower one than `stored`.
pub const fn access(stored: u32, offered: Option<u32>) -> Result<u32, IterationError> {
    match offered {
        None => Err(IterationError::Missing),
        Some(offered) if offered >= stored => forward(stored, offered),
        Some(offered) if stored - offered < ACCESS_WINDOW => Ok(stored),
        Some(_) => Err(IterationError::Stale),
    }
}

/// Judges a revocation document; returns the number to store.
pub const fn revocation(stored: u32, offered: Option<u32>) -> Result<u32, IterationError> {
    match offered {
        None => Err(IterationError::Missing),
        Some(offered) if offered >= stored => forward(stored, offered),
        Some(_) => Err(IterationError::Stale),
    }
}

const fn forward(stored: u32, offered: u32) -> Result<u32, IterationError> {
    if offered - stored > JUMP_MAX { Err(IterationError::Jump) } else { Ok(offered) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn l_iteration_8() {
        assert_eq!(access(50, Some(42)), Err(IterationError::Stale));
        assert_eq!(access(50, Some(43)), Ok(50));
        assert_eq!(access(50, Some(50)), Ok(50));
        assert_eq!(access(50, Some(51)), Ok(51));
        assert_eq!(access(50, None), Err(IterationError::Missing));
    }

    #[test]
    fn l_iteration_jump() {
        assert_eq!(access(50, Some(2_000)), Err(IterationError::Jump));
        assert_eq!(access(50, Some(50 + 1_024)), Ok(1_074));
        assert_eq!(revocation(50, Some(50 + 1_025)), Err(IterationError::Jump));
    }

    #[test]
    fn l_revocation_old() {
        assert_eq!(revocation(50, Some(49)), Err(IterationError::Stale));
        assert_eq!(revocation(50, Some(50)), Ok(50));
        assert_eq!(revocation(50, None), Err(IterationError::Missing));
    }

    proptest! {
        #[test]
        fn what_is_stored_never_decreases(stored in any::<u32>(), offered in any::<Option<u32>>()) {
            for next in [access(stored, offered), revocation(stored, offered)].into_iter().flatten() {
                prop_assert!(next >= stored && next - stored <= JUMP_MAX);
            }
        }
    }
}
