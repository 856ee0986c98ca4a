//! What every store has to do. A back end joins by calling [`run`] with a way to make empty stores.

use std::future::Future;

use keybutton_protocol::{
    api::{
        AccessGroupId, AppId, DeviceId, DoorId, IntegrationKind, LockPolicy, MemberId, OrganizationId, SiteId,
        UnlockMethod,
    },
    ids::{CredentialId, GroupId, PublicKey, SubId},
};

use super::*;
use crate::{
    access::{OPEN_END, Restrictions},
    events,
    issue::{
        revocation::{Entry, Subject},
        rights::KeyRights,
    },
};

/// Runs every check, each on a store of its own.
pub(crate) async fn run<S, F>(mut make: impl FnMut() -> F)
where
    S: Store,
    F: Future<Output = S>,
{
    everything_comes_back(&make().await).await;
    puts_replace_and_keep_to_their_organization(&make().await).await;
    units_are_all_or_nothing(&make().await).await;
    single_use_things_are_used_once(&make().await).await;
    identities_are_unique(&make().await).await;
    references_hold(&make().await).await;
    tenants_see_only_their_own(&make().await).await;
    revoked_keys_stay_revoked(&make().await).await;
    events_are_paged_filtered_and_append_only(&make().await).await;
    audit_is_kept_in_order(&make().await).await;
    presses_are_joined(&make().await).await;
    members_are_paged(&make().await).await;
}

async fn apply(store: &dyn Store, unit: Unit) -> Result<(), StoreError> {
    let mut results = store.commit(&[unit]).await.unwrap();
    results.pop().unwrap()
}

fn org(name: &str) -> OrganizationId {
    OrganizationId(format!("org_{name}"))
}

fn organization(name: &str) -> Organization {
    Organization { id: org(name), name: name.into(), module_enabled: true, device_cap: 10, created: 1 }
}

fn site(name: &str, of: &str) -> Site {
    let byte = name.bytes().next().unwrap();
    Site {
        id: SiteId(format!("sit_{name}")),
        organization: org(of),
        name: name.into(),
        zone: "Europe/Berlin".into(),
        group_id: GroupId([byte; 16]),
        resolving_key: vec![1, 2, 3],
        key_hours: 48,
        locked_down: false,
    }
}

fn signing_key(id: &str, site: Option<&str>, purpose: Purpose) -> SigningKey {
    SigningKey {
        id: id.into(),
        organization: org("a"),
        site: site.map(|site| SiteId(format!("sit_{site}"))),
        purpose,
        state: KeyState::Current,
        public_key: PublicKey([4; 65]),
        handle: vec![9; 40],
        created: 5,
        access_iteration: 1,
        revocation_iteration: 0,
    }
}

fn integration(of: &str) -> Integration {
    Integration {
        id: format!("int_{of}"),
        organization: org(of),
        kind: IntegrationKind::Native,
        name: "doors".into(),
        connected: 7,
        unlock_method: UnlockMethod::BrandedApp,
    }
}

fn door(name: &str) -> Door {
    Door {
        id: DoorId(format!("dor_{name}")),
        organization: org("a"),
        site: SiteId("sit_s".into()),
        integration: "int_a".into(),
        name: name.into(),
        locked_down: false,
        policy: LockPolicy {
            fast: true,
            high_security: false,
            sound: true,
            open_time_ds: 50,
            offline_limit_s: 3600,
            tap_hint: false,
        },
        vendor_door: Some(format!("vendor's {name}")),
    }
}

fn lock(number: u16) -> Lock {
    Lock {
        id: format!("lck_{number}"),
        organization: org("a"),
        site: SiteId("sit_s".into()),
        door: DoorId("dor_1".into()),
        number,
        sub_id: SubId([u8::try_from(number).unwrap(); 16]),
        reader_key: PublicKey([4; 65]),
        issuers: vec!["sig_1".into()],
        claimed: 3,
        retired: None,
    }
}

fn group(id: &str) -> AccessGroup {
    AccessGroup {
        id: AccessGroupId(id.into()),
        organization: org("a"),
        name: "group".into(),
        doors: vec![DoorId("dor_1".into())],
        whole_sites: vec![],
        schedule: Some(
            serde_json::from_str(r#"{"weekly":[{"days":["mon"],"from":"08:00","until":"18:00"}]}"#).unwrap(),
        ),
        restrictions: Restrictions { tap_only: true, ..Restrictions::default() },
        valid_from: 0,
        valid_until: OPEN_END,
    }
}

fn member(name: &str, of: &str) -> Member {
    Member {
        id: MemberId(format!("mem_{name}")),
        organization: org(of),
        subject: name.into(),
        name: name.into(),
        state: MemberState::Active,
        confirmed: true,
        created: 2,
    }
}

fn device(id: u8, of: &str) -> Device {
    Device {
        id: DeviceId(format!("dev_{id}")),
        organization: org("a"),
        member: MemberId(format!("mem_{of}")),
        public_key: PublicKey([id; 65]),
        credential: CredentialId([id; 16]),
        name: "phone".into(),
        platform: "ios".into(),
        enrolled: u32::from(id),
        primary: id == 1,
        revoked: None,
    }
}

fn access_key(id: u8) -> AccessKey {
    AccessKey {
        access_id: [id; 8],
        organization: org("a"),
        member: MemberId("mem_m".into()),
        device: DeviceId("dev_1".into()),
        site: SiteId("sit_s".into()),
        app: AppId("app".into()),
        iteration: 1,
        signed: u32::from(id),
        valid_until: 1000,
        rights: KeyRights { whole_site: true, ..KeyRights::default() },
        revoked: None,
    }
}

fn app(id: &str, of: &str) -> App {
    App {
        id: AppId(id.into()),
        organization: org(of),
        name: id.into(),
        enabled: true,
        issuer: "https://issuer".into(),
        audience: "doors".into(),
        jwks: "{}".into(),
    }
}

/// Organization `a` with one of everything, organization `b` beside it.
fn world() -> Unit {
    vec![
        Change::PutOrganization(organization("a")),
        Change::PutOrganization(organization("b")),
        Change::PutApp(app("app", "a")),
        Change::PutSite(site("s", "a")),
        Change::PutSigningKey(signing_key("sig_1", Some("s"), Purpose::Issuer)),
        Change::PutSigningKey(signing_key("sig_2", Some("s"), Purpose::SiteCa)),
        Change::PutSigningKey(signing_key("sig_3", None, Purpose::Audit)),
        Change::PutIntegration(integration("a")),
        Change::PutDoor(door("1")),
        Change::PutDoor(door("2")),
        Change::PutLock(lock(1)),
        Change::PutGroup(group("grp")),
        Change::PutMember(member("m", "a")),
        Change::PutMembership(membership(0, OPEN_END)),
        Change::PutDevice(device(1, "m")),
        Change::PutAccessKey(access_key(1)),
    ]
}

fn membership(valid_from: u32, valid_until: u32) -> Membership {
    Membership { member: MemberId("mem_m".into()), group: AccessGroupId("grp".into()), valid_from, valid_until }
}

async fn member_m(store: &dyn Store) -> MemberRecord {
    store.member(&org("a"), MemberKey::Subject("m")).await.unwrap().unwrap()
}

async fn everything_comes_back(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    let state = store.organization(&org("a")).await.unwrap().unwrap();
    assert_eq!(state.organization, organization("a"));
    assert_eq!(state.apps, [app("app", "a")]);
    assert_eq!(state.audit_key, Some(signing_key("sig_3", None, Purpose::Audit)));
    assert_eq!(state.integrations, [integration("a")]);
    assert_eq!(state.doors, [door("1"), door("2")]);
    assert_eq!(state.groups, [group("grp")]);
    assert_eq!(state.sites.len(), 1);
    assert_eq!(state.sites[0].site, site("s", "a"));
    assert_eq!(state.sites[0].locks, [lock(1)]);
    assert_eq!(state.sites[0].keys.len(), 2);
    let record = member_m(store).await;
    assert_eq!(record.member, member("m", "a"));
    assert_eq!(record.memberships, [membership(0, OPEN_END)]);
    assert_eq!(record.devices, [device(1, "m")]);
    assert_eq!(record.keys, [access_key(1)]);
    let id = MemberId("mem_m".into());
    assert_eq!(store.member(&org("a"), MemberKey::Id(&id)).await.unwrap(), Some(record));
    assert_eq!(store.app(&AppId("app".into())).await.unwrap(), Some(app("app", "a")));
    assert_eq!(store.device_by_credential(&org("a"), &[1; 16]).await.unwrap(), Some(device(1, "m")));

    let entries = vec![
        Entry { subject: Subject::Access([1; 8]), expires: 10, revoked: 1 },
        Entry { subject: Subject::Device([2; 32]), expires: 20, revoked: 2 },
    ];
    let document = RevocationDocument {
        site: SiteId("sit_s".into()),
        signing_key: "sig_1".into(),
        iteration: 3,
        signed: 4,
        valid_until: 5,
        document: vec![6; 7],
    };
    let unit = vec![
        Change::PutRevocations(document.site.clone(), entries.clone()),
        Change::PutRevocationDocument(document.clone()),
        Change::PutMeta("name", vec![1]),
    ];
    apply(store, unit).await.unwrap();
    let state = store.organization(&org("a")).await.unwrap().unwrap();
    assert_eq!(state.sites[0].revocations, entries);
    assert_eq!(state.sites[0].revocation_document, Some(document));
    assert_eq!(store.meta("name").await.unwrap(), Some(vec![1]));
    assert_eq!(store.meta("other").await.unwrap(), None);
    assert_eq!(store.organization(&org("c")).await.unwrap(), None);
}

async fn puts_replace_and_keep_to_their_organization(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    let changed = Member { state: MemberState::Suspended, ..member("m", "a") };
    apply(store, vec![Change::PutMember(changed.clone()), Change::PutMembership(membership(5, 6))]).await.unwrap();
    let record = member_m(store).await;
    assert_eq!((record.member, record.memberships), (changed, vec![membership(5, 6)]));
    let stolen = vec![
        Change::PutApp(app("app", "b")),
        Change::PutMember(Member { organization: org("b"), ..member("m", "a") }),
        Change::PutDoor(Door { organization: org("b"), ..door("1") }),
        Change::PutGroup(AccessGroup { organization: org("b"), ..group("grp") }),
        Change::PutSite(Site { organization: org("b"), ..site("s", "a") }),
    ];
    for change in stolen {
        let result = apply(store, vec![change.clone()]).await;
        assert!(matches!(result, Err(StoreError::Conflict)), "{change:?}: {result:?}");
    }
    assert_eq!(store.app(&AppId("app".into())).await.unwrap().unwrap().organization, org("a"));
}

async fn units_are_all_or_nothing(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    let good = vec![Change::PutMember(member("good", "a"))];
    let bad = vec![
        Change::PutMember(member("half", "a")),
        Change::PutMember(Member { subject: "m".into(), ..member("twice", "a") }),
    ];
    let last = vec![Change::PutMember(member("last", "a"))];
    let results = store.commit(&[good, bad, last]).await.unwrap();
    assert!(results[0].is_ok() && results[2].is_ok());
    assert!(matches!(results[1], Err(StoreError::Conflict)));
    let names: Vec<_> =
        store.members(&org("a"), None, 10).await.unwrap().into_iter().map(|member| member.name).collect();
    assert_eq!(names, ["good", "last", "m"]);
}

async fn single_use_things_are_used_once(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    let m = MemberId("mem_m".into());
    let challenge = |nonce, expires| Challenge { nonce, member: m.clone(), expires };
    apply(store, vec![Change::AddChallenge(challenge([1; 32], 100), 0)]).await.unwrap();
    apply(store, vec![Change::AddChallenge(challenge([2; 32], 100), 0)]).await.unwrap();
    let take = |nonce, now| vec![Change::TakeChallenge(nonce, m.clone(), now)];
    let other = vec![Change::TakeChallenge([1; 32], MemberId("mem_x".into()), 50)];
    assert!(matches!(apply(store, other).await, Err(StoreError::Gone)));
    apply(store, take([1; 32], 99)).await.unwrap();
    assert!(matches!(apply(store, take([1; 32], 99)).await, Err(StoreError::Gone)));
    assert!(matches!(apply(store, take([2; 32], 100)).await, Err(StoreError::Gone)), "expired");

    let code = |hash| ClaimCode { hash, organization: org("a"), door: DoorId("dor_1".into()), expires: 100 };
    apply(store, vec![Change::AddClaimCode(code([1; 32]))]).await.unwrap();
    apply(store, vec![Change::AddClaimCode(code([2; 32]))]).await.unwrap();
    assert_eq!(store.claim_code(&[1; 32]).await.unwrap(), None, "replaced");
    assert_eq!(store.claim_code(&[2; 32]).await.unwrap(), Some(code([2; 32])));
    assert!(matches!(apply(store, vec![Change::TakeClaimCode([2; 32], 100)]).await, Err(StoreError::Gone)), "expired");
    apply(store, vec![Change::TakeClaimCode([2; 32], 99)]).await.unwrap();
    assert!(matches!(apply(store, vec![Change::TakeClaimCode([2; 32], 99)]).await, Err(StoreError::Gone)));
}

async fn identities_are_unique(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    let conflicts = vec![
        Change::PutSite(Site { id: SiteId("sit_t".into()), ..site("s", "a") }),
        Change::PutLock(Lock { id: "lck_x".into(), door: DoorId("dor_2".into()), ..lock(1) }),
        Change::PutLock(lock(2)),
        Change::PutDevice(Device { id: DeviceId("dev_x".into()), ..device(1, "m") }),
    ];
    for change in conflicts {
        let result = apply(store, vec![change.clone()]).await;
        assert!(matches!(result, Err(StoreError::Conflict)), "{change:?}: {result:?}");
    }
    // A retired lock frees its door, a revoked device its key.
    let retired = Lock { retired: Some(9), ..lock(1) };
    apply(store, vec![Change::PutLock(retired), Change::PutLock(lock(2))]).await.unwrap();
    let again = Device { id: DeviceId("dev_x".into()), ..device(1, "m") };
    apply(store, vec![Change::RevokeDevice(DeviceId("dev_1".into()), 9), Change::PutDevice(again)]).await.unwrap();
    let gone = apply(store, vec![Change::RevokeDevice(DeviceId("dev_1".into()), 9)]).await;
    assert!(matches!(gone, Err(StoreError::Gone)));
}

async fn references_hold(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    assert!(matches!(apply(store, vec![Change::RemoveDoor(DoorId("dor_1".into()))]).await, Err(StoreError::Conflict)));
    apply(store, vec![Change::RemoveDoor(DoorId("dor_2".into()))]).await.unwrap();
    let stray = Membership { group: AccessGroupId("grp_x".into()), ..membership(0, 1) };
    assert!(matches!(apply(store, vec![Change::PutMembership(stray)]).await, Err(StoreError::Conflict)));
    apply(store, vec![Change::RemoveGroup(AccessGroupId("grp".into()))]).await.unwrap();
    assert!(member_m(store).await.memberships.is_empty());
    let gone = vec![Change::RemoveMembership(MemberId("mem_m".into()), AccessGroupId("grp".into()))];
    assert!(matches!(apply(store, gone).await, Err(StoreError::Gone)));
}

async fn tenants_see_only_their_own(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    let b = org("b");
    assert_eq!(store.member(&b, MemberKey::Subject("m")).await.unwrap(), None);
    assert_eq!(store.member(&b, MemberKey::Id(&MemberId("mem_m".into()))).await.unwrap(), None);
    assert_eq!(store.device(&b, &DeviceId("dev_1".into())).await.unwrap(), None);
    assert_eq!(store.device_by_credential(&b, &[1; 16]).await.unwrap(), None);
    assert!(store.key_holders(&b, 0).await.unwrap().is_empty());
    assert!(store.members(&b, None, 10).await.unwrap().is_empty());
    let state = store.organization(&b).await.unwrap().unwrap();
    assert!(state.sites.is_empty() && state.doors.is_empty() && state.groups.is_empty() && state.apps.is_empty());
    // The same subject in two organizations is two members.
    apply(store, vec![Change::PutMember(Member { id: MemberId("mem_n".into()), ..member("m", "b") })]).await.unwrap();
    assert_ne!(store.member(&b, MemberKey::Subject("m")).await.unwrap().unwrap().member.id, MemberId("mem_m".into()));
}

async fn revoked_keys_stay_revoked(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    assert_eq!(store.key_holders(&org("a"), 999).await.unwrap(), [MemberId("mem_m".into())]);
    assert!(store.key_holders(&org("a"), 1000).await.unwrap().is_empty(), "expired");
    // A shorter renewal doesn't shorten what may be revoked: the earlier document lives on.
    let shorter = AccessKey { valid_until: 500, signed: 50, ..access_key(1) };
    apply(store, vec![Change::PutAccessKey(shorter)]).await.unwrap();
    assert_eq!(member_m(store).await.keys[0].valid_until, 1000);
    apply(store, vec![Change::RevokeAccessKey([1; 8], 60)]).await.unwrap();
    assert!(member_m(store).await.keys.is_empty());
    assert!(store.key_holders(&org("a"), 0).await.unwrap().is_empty());
    assert!(matches!(apply(store, vec![Change::PutAccessKey(access_key(1))]).await, Err(StoreError::Gone)));
    assert!(matches!(apply(store, vec![Change::RevokeAccessKey([1; 8], 60)]).await, Err(StoreError::Gone)));
}

async fn events_are_paged_filtered_and_append_only(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    for at in 1..=5 {
        let kind = if at % 2 == 0 { "even" } else { "odd" };
        let event = events::by(&org("a"), at, kind, "service").door(&DoorId(format!("dor_{at}")));
        apply(store, vec![Change::AddEvent(event)]).await.unwrap();
    }
    let find = async |filter: EventFilter| {
        let events = store.events(&org("a"), &filter).await.unwrap();
        events.into_iter().map(|event| (event.seq, event.at)).collect::<Vec<_>>()
    };
    let all = EventFilter { limit: 3, ..EventFilter::default() };
    let page = find(all.clone()).await;
    assert_eq!(page.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [5, 4, 3]);
    let rest = find(EventFilter { before: Some(page[2].0), ..all.clone() }).await;
    assert_eq!(rest.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [2, 1]);
    let kind = find(EventFilter { kind: Some("even".into()), ..all.clone() }).await;
    assert_eq!(kind.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [4, 2]);
    let window = find(EventFilter { from: 2, until: Some(4), ..all.clone() }).await;
    assert_eq!(window.iter().map(|(_, at)| *at).collect::<Vec<_>>(), [3, 2]);
    let door = find(EventFilter { door: Some(DoorId("dor_4".into())), ..all.clone() }).await;
    assert_eq!(door.len(), 1);
    assert!(store.events(&org("b"), &all).await.unwrap().is_empty());
}

async fn audit_is_kept_in_order(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    let record = |number: u32| AuditRecord {
        number,
        record: vec![u8::try_from(number).unwrap(); 96],
        hash: [u8::try_from(number).unwrap(); 32],
        press: [0; 16],
    };
    for number in [3, 1, 2] {
        apply(store, vec![Change::AddAudit("lck_1".into(), record(number), 9)]).await.unwrap();
    }
    assert_eq!(store.audit("lck_1", 2, 10).await.unwrap(), [record(2), record(3)]);
    assert_eq!(store.audit("lck_1", 1, 1).await.unwrap(), [record(1)]);
    let twice = apply(store, vec![Change::AddAudit("lck_1".into(), record(2), 9)]).await;
    assert!(matches!(twice, Err(StoreError::Conflict)));
    let ack = |number| Ack { lock: "lck_1".into(), number, token: vec![7] };
    apply(store, vec![Change::PutAck(ack(1))]).await.unwrap();
    apply(store, vec![Change::PutAck(ack(3))]).await.unwrap();
    assert_eq!(store.acks(&SiteId("sit_s".into())).await.unwrap(), [ack(3)]);
    let count = || Change::CountUse([1; 8], MemberId("mem_m".into()), "lck_1".into());
    apply(store, vec![count(), count()]).await.unwrap();
    apply(store, vec![count()]).await.unwrap();
    assert_eq!(member_m(store).await.uses, [Uses { access_id: [1; 8], lock: "lck_1".into(), count: 3 }]);
}

async fn presses_are_joined(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    let phone = Press {
        organization: org("a"),
        press: [5; 16],
        member: Some(MemberId("mem_m".into())),
        device: Some(DeviceId("dev_1".into())),
        door: None,
        reported: Some("phone".into()),
        witnessed: None,
        at: 20,
    };
    let lock = Press {
        member: None,
        device: None,
        door: Some(DoorId("dor_1".into())),
        reported: None,
        witnessed: Some("lock".into()),
        at: 10,
        ..phone.clone()
    };
    let again = Press { reported: Some("again".into()), ..phone.clone() };
    for press in [phone.clone(), lock, again] {
        apply(store, vec![Change::JoinPress(press)]).await.unwrap();
    }
    let filter = PressFilter { limit: 10, ..PressFilter::default() };
    let joined = store.presses(&org("a"), &filter).await.unwrap();
    let expected =
        Press { door: Some(DoorId("dor_1".into())), witnessed: Some("lock".into()), at: 10, ..phone.clone() };
    assert_eq!(joined, [expected]);
    assert!(store.presses(&org("b"), &filter).await.unwrap().is_empty());
    let other = PressFilter { press: Some([6; 16]), ..filter };
    assert!(store.presses(&org("a"), &other).await.unwrap().is_empty());
}

async fn members_are_paged(store: &dyn Store) {
    apply(store, world()).await.unwrap();
    for name in ["x", "y", "z"] {
        apply(store, vec![Change::PutMember(member(name, "a"))]).await.unwrap();
    }
    let ids = |members: Vec<Member>| members.into_iter().map(|member| member.id.0).collect::<Vec<_>>();
    assert_eq!(ids(store.members(&org("a"), None, 2).await.unwrap()), ["mem_m", "mem_x"]);
    let after = MemberId("mem_x".into());
    assert_eq!(ids(store.members(&org("a"), Some(&after), 10).await.unwrap()), ["mem_y", "mem_z"]);
}
