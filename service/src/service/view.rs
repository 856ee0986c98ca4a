//! What the service works with: stored records with what is derived from them once.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use keybutton_protocol::api::{AccessGroupId, AppId, DoorId, IntegrationKind, SiteId, UnlockMethod};

use crate::{
    access::{DeviceFacts, DoorFacts, Grant, Standing},
    issue::{self, PlanDoor, SitePlan, rights::KeyRights},
    store::{
        AccessGroup, AccessKey, App, Device, Door, Integration, KeyState, Lock, MemberRecord, MemberState,
        OrganizationState, Purpose, SigningKey, SiteState,
    },
};

/// An organization's configuration with indexes.
#[derive(Clone, Debug)]
pub(crate) struct OrgView {
    pub(crate) state: OrganizationState,
    zones: HashMap<SiteId, TimeZone>,
    groups: HashMap<AccessGroupId, usize>,
    /// Doors with a lock, by site.
    claimed: HashMap<SiteId, Vec<(usize, usize)>>,
}

/// Whose key it is, and through which app.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder<'a> {
    pub(crate) app: &'a AppId,
    pub(crate) member: &'a MemberRecord,
    pub(crate) device: &'a Device,
}

impl OrgView {
    pub(crate) fn new(state: OrganizationState) -> Self {
        let zone = |site: &SiteState| {
            // A zone was checked when it was set; should the rules ever lose it, UTC keeps the service running.
            let zone = TimeZone::get(&site.site.zone).unwrap_or(TimeZone::UTC);
            (site.site.id.clone(), zone)
        };
        let zones = state.sites.iter().map(zone).collect();
        let groups = state.groups.iter().enumerate().map(|(at, group)| (group.id.clone(), at)).collect();
        let mut claimed: HashMap<SiteId, Vec<(usize, usize)>> = HashMap::new();
        for site in &state.sites {
            for (lock_at, lock) in site.locks.iter().enumerate().filter(|(_, lock)| lock.retired.is_none()) {
                if let Some(door_at) = state.doors.iter().position(|door| door.id == lock.door) {
                    claimed.entry(site.site.id.clone()).or_default().push((door_at, lock_at));
                }
            }
        }
        Self { state, zones, groups, claimed }
    }

    pub(crate) fn zone(&self, site: &SiteId) -> &TimeZone {
        const UTC: &TimeZone = &TimeZone::UTC;
        self.zones.get(site).unwrap_or(UTC)
    }

    pub(crate) fn app(&self, id: &AppId) -> Option<&App> {
        self.state.apps.iter().find(|app| app.id == *id)
    }

    pub(crate) fn site(&self, id: &SiteId) -> Option<&SiteState> {
        self.state.sites.iter().find(|site| site.site.id == *id)
    }

    pub(crate) fn door(&self, id: &DoorId) -> Option<&Door> {
        self.state.doors.iter().find(|door| door.id == *id)
    }

    pub(crate) fn integration(&self, id: &str) -> Option<&Integration> {
        self.state.integrations.iter().find(|integration| integration.id == *id)
    }

    pub(crate) fn group(&self, id: &AccessGroupId) -> Option<&AccessGroup> {
        self.groups.get(id).and_then(|at| self.state.groups.get(*at))
    }

    /// The lock on a door.
    pub(crate) fn lock_on(&self, door: &Door) -> Option<&Lock> {
        let site = self.site(&door.site)?;
        site.locks.iter().find(|lock| lock.door == door.id && lock.retired.is_none())
    }

    /// The doors of a site that have a lock, with it.
    pub(crate) fn claimed<'a>(&'a self, site: &'a SiteState) -> impl Iterator<Item = (&'a Door, &'a Lock)> {
        let pairs = self.claimed.get(&site.site.id).map(Vec::as_slice).unwrap_or_default();
        pairs.iter().filter_map(|(door, lock)| Some((self.state.doors.get(*door)?, site.locks.get(*lock)?)))
    }

    pub(crate) fn standing(&self, app: &AppId, member: &MemberRecord) -> Standing {
        Standing {
            module_enabled: self.state.organization.module_enabled && self.app(app).is_some_and(|app| app.enabled),
            active: member.member.state == MemberState::Active,
            confirmed: member.member.confirmed,
        }
    }

    /// What drives a door.
    pub(crate) fn kind(&self, door: &Door) -> IntegrationKind {
        self.integration(&door.integration).map_or(IntegrationKind::Native, |integration| integration.kind)
    }

    pub(crate) fn door_facts(&self, door: &Door) -> DoorFacts {
        DoorFacts {
            vendor: self.kind(door) == IntegrationKind::Vendor,
            unlock_method: self.integration(&door.integration).map_or(UnlockMethod::NativeMethods, |i| i.unlock_method),
            locked_down: door.locked_down || self.site(&door.site).is_some_and(|site| site.site.locked_down),
        }
    }

    /// Every grant of a door to a member, ended ones included.
    pub(crate) fn grants(&self, member: &MemberRecord, door: &Door) -> Vec<Grant> {
        let grant = |membership: &crate::store::Membership| {
            let group = self.group(&membership.group)?;
            let whole_site = group.whole_sites.contains(&door.site);
            (whole_site || group.doors.contains(&door.id)).then(|| Grant {
                group: group.id.clone(),
                from: group.valid_from.max(membership.valid_from),
                until: group.valid_until.min(membership.valid_until),
                schedule: group.schedule.clone(),
                restrictions: group.restrictions.clone(),
                whole_site,
            })
        };
        member.memberships.iter().filter_map(grant).collect()
    }

    /// Plans the key of a device at a site. `keep` is the access identifier it goes on with.
    pub(crate) fn plan(
        &self,
        holder: &Holder<'_>,
        site: &SiteState,
        keep: Option<[u8; 8]>,
        now: u32,
        max_elements: usize,
    ) -> Option<SitePlan> {
        let member = holder.member;
        let standing = self.standing(holder.app, member);
        let mut locks = 0;
        let mut doors = Vec::new();
        for (door, lock) in self.claimed(site) {
            locks += 1;
            if standing.check(self.door_facts(door)).is_err() {
                continue;
            }
            let grants = self.grants(member, door);
            if grants.is_empty() {
                continue;
            }
            doors.push(PlanDoor {
                number: lock.number,
                high_security: door.policy.high_security,
                grants,
                uses_elsewhere: member.uses_at(lock, keep),
            });
        }
        let device = DeviceFacts { primary: holder.device.primary };
        issue::plan(&doors, locks, device, self.zone(&site.site.id), site.site.key_hours, now, max_elements)
    }

    /// The rights a key would be issued for now.
    pub(crate) fn rights_of(&self, key: &AccessKey, member: &MemberRecord, now: u32) -> KeyRights {
        let device = member.devices.iter().find(|device| device.id == key.device);
        let plan = device.zip(self.site(&key.site)).and_then(|(device, site)| {
            let holder = Holder { app: &key.app, member, device };
            self.plan(&holder, site, Some(key.access_id), now, issue::MAX_ELEMENTS)
        });
        plan.map(|plan| plan.rights).unwrap_or_default()
    }
}

impl MemberRecord {
    /// How often a lock counted a use, those of one access identifier left out.
    pub(crate) fn uses_at(&self, lock: &Lock, but: Option<[u8; 8]>) -> u16 {
        let counted = self.uses.iter().filter(|uses| uses.lock == lock.id && Some(uses.access_id) != but);
        let total = counted.map(|uses| uses.count).fold(0_u32, u32::saturating_add);
        u16::try_from(total).unwrap_or(u16::MAX)
    }
}

impl SiteState {
    /// The signing key of a purpose in a state.
    pub(crate) fn key(&self, purpose: Purpose, state: KeyState) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.purpose == purpose && key.state == state)
    }

    /// The issuer in use.
    pub(crate) fn issuer(&self) -> Option<&SigningKey> {
        self.key(Purpose::Issuer, KeyState::Current)
    }
}
