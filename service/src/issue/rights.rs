//! The rights an access key stands for, and whether later rights are at least as good.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::{Grant, Restrictions};

/// What a key was issued for, kept with it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KeyRights {
    /// The key names the whole site.
    pub whole_site: bool,
    /// What it opens, by lock number.
    pub doors: BTreeMap<u16, DoorRight>,
}

/// What a key was issued for at one door.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DoorRight {
    /// The phone's user has to be authenticated.
    pub user_authentication: bool,
    /// The grants.
    pub grants: Vec<Grant>,
}

impl KeyRights {
    /// Whether these rights allow everything that `old` allows from `now` until `until`.
    ///
    /// Anything that isn't plainly as good counts as worse: a key is then revoked and issued again, which costs a
    /// contact, while a right that outlives its grant costs more.
    pub fn cover(&self, old: &Self, now: u32, until: u32) -> bool {
        if old.whole_site && !self.whole_site {
            return false;
        }
        old.doors.iter().all(|(number, old_door)| {
            let old_grants = old_door.grants.iter().filter(|grant| grant.until > now && grant.from < until);
            let Some(door) = self.doors.get(number) else { return old_grants.count() == 0 };
            let user_authentication_added = door.user_authentication && !old_door.user_authentication;
            let mut old_grants = old_grants.peekable();
            !(user_authentication_added && old_grants.peek().is_some())
                && old_grants.all(|grant| door.grants.iter().any(|new| grant_covers(new, grant, now, until)))
        })
    }
}

fn grant_covers(new: &Grant, old: &Grant, now: u32, until: u32) -> bool {
    new.from <= old.from.max(now)
        && new.until >= old.until.min(until)
        && (new.schedule.is_none() || new.schedule == old.schedule)
        && restrictions_cover(&new.restrictions, &old.restrictions)
}

fn restrictions_cover(new: &Restrictions, old: &Restrictions) -> bool {
    let limit = match (new.use_limit, old.use_limit) {
        (None, _) => true,
        (Some(new), Some(old)) => new >= old,
        (Some(_), None) => false,
    };
    limit && (!new.tap_only || old.tap_only) && (!new.primary_device_only || old.primary_device_only)
}

#[cfg(test)]
mod tests {
    use keybutton_protocol::api::AccessGroupId;

    use super::*;
    use crate::access::OPEN_END;

    const NOW: u32 = 1000;
    const UNTIL: u32 = 2000;

    fn grant(from: u32, until: u32) -> Grant {
        Grant {
            group: AccessGroupId("g".into()),
            from,
            until,
            schedule: None,
            restrictions: Restrictions::default(),
            whole_site: false,
        }
    }

    fn rights(grants: Vec<Grant>) -> KeyRights {
        let door = DoorRight { user_authentication: false, grants };
        KeyRights { whole_site: false, doors: [(1, door)].into() }
    }

    fn cover(new: &KeyRights, old: &KeyRights) -> bool {
        new.cover(old, NOW, UNTIL)
    }

    #[test]
    fn the_same_rights_cover() {
        let old = rights(vec![grant(0, OPEN_END)]);
        assert!(cover(&old, &old));
        assert!(!cover(&KeyRights::default(), &old));
        assert!(cover(&old, &KeyRights::default()));
    }

    #[test]
    fn only_the_time_the_key_lives_counts() {
        let old = rights(vec![grant(0, OPEN_END)]);
        assert!(cover(&rights(vec![grant(0, UNTIL)]), &old));
        assert!(!cover(&rights(vec![grant(0, UNTIL - 1)]), &old));
        assert!(cover(&rights(vec![grant(NOW, UNTIL)]), &old));
        assert!(!cover(&rights(vec![grant(NOW + 1, UNTIL)]), &old));
        assert!(cover(&KeyRights::default(), &rights(vec![grant(0, NOW)])), "ended by itself");
    }

    #[test]
    fn schedules_may_only_widen() {
        let schedule: crate::access::schedule::Schedule =
            serde_json::from_str(r#"{"weekly":[{"days":["mon"],"from":"08:00","until":"18:00"}]}"#).unwrap();
        let narrow = rights(vec![Grant { schedule: Some(schedule), ..grant(0, OPEN_END) }]);
        let wide = rights(vec![grant(0, OPEN_END)]);
        assert!(cover(&wide, &narrow));
        assert!(cover(&narrow, &narrow));
        assert!(!cover(&narrow, &wide));
    }

    #[test]
    fn restrictions_may_only_fall_away() {
        let with = |restrictions| rights(vec![Grant { restrictions, ..grant(0, OPEN_END) }]);
        let free = with(Restrictions::default());
        for strict in [
            Restrictions { tap_only: true, ..Restrictions::default() },
            Restrictions { primary_device_only: true, ..Restrictions::default() },
            Restrictions { use_limit: Some(3), ..Restrictions::default() },
        ] {
            let strict = with(strict);
            assert!(!cover(&strict, &free), "{strict:?}");
            assert!(cover(&free, &strict) && cover(&strict, &strict), "{strict:?}");
        }
        let two = with(Restrictions { use_limit: Some(2), ..Restrictions::default() });
        let three = with(Restrictions { use_limit: Some(3), ..Restrictions::default() });
        assert!(cover(&three, &two) && !cover(&two, &three));
    }

    #[test]
    fn user_authentication_and_the_whole_site_are_compared() {
        let old = rights(vec![grant(0, OPEN_END)]);
        let mut secured = old.clone();
        secured.doors.values_mut().for_each(|door| door.user_authentication = true);
        assert!(!cover(&secured, &old) && cover(&old, &secured));
        let whole = KeyRights { whole_site: true, ..old.clone() };
        assert!(!cover(&old, &whole) && cover(&whole, &old));
    }

    #[test]
    fn rights_survive_json() {
        let rights = rights(vec![grant(3, OPEN_END)]);
        let json = serde_json::to_string(&rights).unwrap();
        assert_eq!(serde_json::from_str::<KeyRights>(&json).unwrap(), rights);
    }
}
