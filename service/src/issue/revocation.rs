//! A site's revocation list: what enters it, what leaves it, and when the access iteration takes over.

/// The most entries a Revocation Document carries (`docs/PROTOCOL.md` section 10.6).
pub const MAX_ENTRIES: usize = 32;

/// How far the access iteration jumps to cut off every older document (`docs/PROTOCOL.md` section 10.5).
pub const CUT_OFF: u32 = 8;

/// How long an entry stays after the keys it revokes have expired, seconds.
const KEEP_AFTER_EXPIRY_S: u32 = 86_400;

/// What an entry revokes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// Every key of a device: SHA-256 of its public key.
    Device([u8; 32]),
    /// One access identifier.
    Access([u8; 8]),
}

/// One entry of a revocation list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What is revoked.
    pub subject: Subject,
    /// When the last key it revokes expires, Unix seconds.
    pub expires: u32,
    /// When it was revoked, Unix seconds.
    pub revoked: u32,
}

/// A site's list after a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revised {
    /// The list, in order of subject.
    pub entries: Vec<Entry>,
    /// The list overflowed: the access iteration has to rise by [`CUT_OFF`].
    pub cut_off: bool,
}

impl Revised {
    /// Makes room: the entry that ends first goes, and the access iteration takes over for it.
    pub fn shorten(&mut self) {
        let first = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.expires).map(|(at, _)| at);
        if let Some(at) = first {
            self.entries.remove(at);
        }
        self.cut_off = true;
    }
}

/// Adds `new` entries to the list and drops those that are over.
///
/// On overflow the entries that live longest stay, since a lock forgets what an overwriting list leaves out and learns of
/// the higher iteration only from the next access document.
pub fn revise(current: &[Entry], new: &[Entry], now: u32) -> Revised {
    let mut entries: Vec<Entry> = Vec::with_capacity(current.len() + new.len());
    for entry in current.iter().chain(new).filter(|entry| !is_over(entry, now)) {
        match entries.iter_mut().find(|kept| kept.subject == entry.subject) {
            Some(kept) => kept.expires = kept.expires.max(entry.expires),
            None => entries.push(entry.clone()),
        }
    }
    entries.sort_by_key(|entry| std::cmp::Reverse((entry.expires, entry.revoked)));
    let cut_off = entries.len() > MAX_ENTRIES;
    entries.truncate(MAX_ENTRIES);
    entries.sort_by(|a, b| a.subject.cmp(&b.subject));
    Revised { entries, cut_off }
}

/// Whether an entry may leave the list.
pub fn is_over(entry: &Entry, now: u32) -> bool {
    entry.expires.saturating_add(KEEP_AFTER_EXPIRY_S) < now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u8, expires: u32) -> Entry {
        Entry { subject: Subject::Access([id; 8]), expires, revoked: 0 }
    }

    #[test]
    fn entries_leave_a_day_after_their_keys() {
        let kept = revise(&[entry(1, 100), entry(2, 101)], &[], 101 + KEEP_AFTER_EXPIRY_S);
        assert_eq!(kept.entries, [entry(2, 101)]);
    }

    #[test]
    fn one_subject_has_one_entry_with_the_latest_expiry() {
        let revised = revise(&[entry(1, 100)], &[entry(1, 300), entry(1, 200)], 0);
        assert_eq!(revised, Revised { entries: vec![entry(1, 300)], cut_off: false });
    }

    #[test]
    fn what_ends_first_makes_room() {
        let mut revised = revise(&[entry(1, 300), entry(2, 100), entry(3, 200)], &[], 0);
        revised.shorten();
        assert_eq!(revised, Revised { entries: vec![entry(1, 300), entry(3, 200)], cut_off: true });
    }

    #[test]
    fn thirty_two_fit_and_the_next_cuts_off() {
        let full: Vec<_> = (0..32).map(|id| entry(id, 1000 + u32::from(id))).collect();
        assert!(!revise(&full, &[], 0).cut_off);
        let over = revise(&full, &[entry(99, 5000)], 0);
        assert!(over.cut_off);
        assert_eq!(over.entries.len(), MAX_ENTRIES);
        assert!(over.entries.contains(&entry(99, 5000)) && !over.entries.contains(&entry(0, 1000)));
    }
}
