//! Rows into records.

use keybutton_protocol::{
    api::{AccessGroupId, AppId, DeviceId, DoorId, IntegrationKind, MemberId, OrganizationId, SiteId, UnlockMethod},
    ids::{CredentialId, GroupId, PublicKey, SubId},
};
use serde::de::DeserializeOwned;
use sqlx::{Row, sqlite::SqliteRow};

use super::super::{
    AccessGroup, AccessKey, Ack, App, AuditRecord, ClaimCode, Device, Door, Event, Integration, KeyState, Lock, Member,
    MemberState, Membership, OperatorKey, Organization, Press, Purpose, RevocationDocument, SigningKey, Site,
    StoreError, Uses,
};
use crate::issue::revocation::{Entry, Subject};

type Result<T> = std::result::Result<T, StoreError>;

pub(super) fn organization(row: &SqliteRow) -> Result<Organization> {
    Ok(Organization {
        id: OrganizationId(row.try_get("id")?),
        name: row.try_get("name")?,
        module_enabled: row.try_get("module_enabled")?,
        device_cap: number(row, "device_cap")?,
        created: row.try_get("created")?,
    })
}

pub(super) fn operator_key(row: &SqliteRow) -> Result<OperatorKey> {
    Ok(OperatorKey {
        id: row.try_get("id")?,
        organization: OrganizationId(row.try_get("organization")?),
        name: row.try_get("name")?,
        hash: array(row, "hash")?,
        created: row.try_get("created")?,
        revoked: row.try_get("revoked")?,
    })
}

pub(super) fn app(row: &SqliteRow) -> Result<App> {
    Ok(App {
        id: AppId(row.try_get("id")?),
        organization: OrganizationId(row.try_get("organization")?),
        name: row.try_get("name")?,
        enabled: row.try_get("enabled")?,
        issuer: row.try_get("issuer")?,
        audience: row.try_get("audience")?,
        jwks: row.try_get("jwks")?,
    })
}

pub(super) fn site(row: &SqliteRow) -> Result<Site> {
    Ok(Site {
        id: SiteId(row.try_get("id")?),
        organization: OrganizationId(row.try_get("organization")?),
        name: row.try_get("name")?,
        zone: row.try_get("zone")?,
        group_id: GroupId(array(row, "group_id")?),
        resolving_key: row.try_get("resolving_key")?,
        key_hours: number(row, "key_hours")?,
        locked_down: row.try_get("locked_down")?,
    })
}

pub(super) fn signing_key(row: &SqliteRow) -> Result<SigningKey> {
    Ok(SigningKey {
        id: row.try_get("id")?,
        organization: OrganizationId(row.try_get("organization")?),
        site: row.try_get::<Option<String>, _>("site")?.map(SiteId),
        purpose: word(row, "purpose", &PURPOSES)?,
        state: word(row, "state", &KEY_STATES)?,
        public_key: PublicKey(array(row, "public_key")?),
        handle: row.try_get("handle")?,
        created: row.try_get("created")?,
        access_iteration: row.try_get("access_iteration")?,
        revocation_iteration: row.try_get("revocation_iteration")?,
    })
}

pub(super) fn integration(row: &SqliteRow) -> Result<Integration> {
    Ok(Integration {
        id: row.try_get("id")?,
        organization: OrganizationId(row.try_get("organization")?),
        kind: word(row, "kind", &INTEGRATION_KINDS)?,
        name: row.try_get("name")?,
        connected: row.try_get("connected")?,
        unlock_method: word(row, "unlock_method", &UNLOCK_METHODS)?,
    })
}

pub(super) fn door(row: &SqliteRow) -> Result<Door> {
    Ok(Door {
        id: DoorId(row.try_get("id")?),
        organization: OrganizationId(row.try_get("organization")?),
        site: SiteId(row.try_get("site")?),
        integration: row.try_get("integration")?,
        name: row.try_get("name")?,
        locked_down: row.try_get("locked_down")?,
        policy: json(row, "policy")?,
        vendor_door: row.try_get("vendor_door")?,
    })
}

pub(super) fn lock(row: &SqliteRow) -> Result<Lock> {
    Ok(Lock {
        id: row.try_get("id")?,
        organization: OrganizationId(row.try_get("organization")?),
        site: SiteId(row.try_get("site")?),
        door: DoorId(row.try_get("door")?),
        number: number(row, "number")?,
        sub_id: SubId(array(row, "sub_id")?),
        reader_key: PublicKey(array(row, "reader_key")?),
        issuers: json(row, "issuers")?,
        claimed: row.try_get("claimed")?,
        retired: row.try_get("retired")?,
    })
}

pub(super) fn claim_code(row: &SqliteRow) -> Result<ClaimCode> {
    Ok(ClaimCode {
        hash: array(row, "hash")?,
        organization: OrganizationId(row.try_get("organization")?),
        door: DoorId(row.try_get("door")?),
        expires: row.try_get("expires")?,
    })
}

pub(super) fn group(row: &SqliteRow) -> Result<AccessGroup> {
    let schedule: Option<String> = row.try_get("schedule")?;
    Ok(AccessGroup {
        id: AccessGroupId(row.try_get("id")?),
        organization: OrganizationId(row.try_get("organization")?),
        name: row.try_get("name")?,
        doors: json(row, "doors")?,
        whole_sites: json(row, "whole_sites")?,
        schedule: schedule
            .map(|text| serde_json::from_str(&text).map_err(|_| StoreError::Corrupt("schedule")))
            .transpose()?,
        restrictions: json(row, "restrictions")?,
        valid_from: row.try_get("valid_from")?,
        valid_until: row.try_get("valid_until")?,
    })
}

pub(super) fn member(row: &SqliteRow) -> Result<Member> {
    Ok(Member {
        id: MemberId(row.try_get("id")?),
        organization: OrganizationId(row.try_get("organization")?),
        subject: row.try_get("subject")?,
        name: row.try_get("name")?,
        state: word(row, "state", &MEMBER_STATES)?,
        confirmed: row.try_get("confirmed")?,
        created: row.try_get("created")?,
    })
}

pub(super) fn membership(row: &SqliteRow) -> Result<Membership> {
    Ok(Membership {
        member: MemberId(row.try_get("member")?),
        group: AccessGroupId(row.try_get("access_group")?),
        valid_from: row.try_get("valid_from")?,
        valid_until: row.try_get("valid_until")?,
    })
}

pub(super) fn device(row: &SqliteRow) -> Result<Device> {
    Ok(Device {
        id: DeviceId(row.try_get("id")?),
        organization: OrganizationId(row.try_get("organization")?),
        member: MemberId(row.try_get("member")?),
        public_key: PublicKey(array(row, "public_key")?),
        credential: CredentialId(array(row, "credential")?),
        name: row.try_get("name")?,
        platform: row.try_get("platform")?,
        enrolled: row.try_get("enrolled")?,
        primary: row.try_get("is_primary")?,
        revoked: row.try_get("revoked")?,
    })
}

pub(super) fn access_key(row: &SqliteRow) -> Result<AccessKey> {
    Ok(AccessKey {
        access_id: array(row, "access_id")?,
        organization: OrganizationId(row.try_get("organization")?),
        member: MemberId(row.try_get("member")?),
        device: DeviceId(row.try_get("device")?),
        site: SiteId(row.try_get("site")?),
        app: AppId(row.try_get("app")?),
        iteration: row.try_get("iteration")?,
        signed: row.try_get("signed")?,
        valid_until: row.try_get("valid_until")?,
        rights: json(row, "rights")?,
        revoked: row.try_get("revoked")?,
    })
}

pub(super) fn revocation(row: &SqliteRow) -> Result<Entry> {
    let subject: Vec<u8> = row.try_get("subject")?;
    let subject = match (<[u8; 32]>::try_from(&subject[..]), <[u8; 8]>::try_from(&subject[..])) {
        (Ok(hash), _) => Subject::Device(hash),
        (_, Ok(id)) => Subject::Access(id),
        _ => return Err(StoreError::Corrupt("revocation")),
    };
    Ok(Entry { subject, expires: row.try_get("expires")?, revoked: row.try_get("revoked")? })
}

pub(super) fn revocation_document(row: &SqliteRow) -> Result<RevocationDocument> {
    Ok(RevocationDocument {
        site: SiteId(row.try_get("site")?),
        signing_key: row.try_get("signing_key")?,
        iteration: row.try_get("iteration")?,
        signed: row.try_get("signed")?,
        valid_until: row.try_get("valid_until")?,
        document: row.try_get("document")?,
    })
}

pub(super) fn audit(row: &SqliteRow) -> Result<AuditRecord> {
    Ok(AuditRecord {
        number: row.try_get("number")?,
        record: row.try_get("record")?,
        hash: array(row, "hash")?,
        press: array(row, "press")?,
    })
}

pub(super) fn ack(row: &SqliteRow) -> Result<Ack> {
    Ok(Ack { lock: row.try_get("lock")?, number: row.try_get("number")?, token: row.try_get("token")? })
}

pub(super) fn uses(row: &SqliteRow) -> Result<Uses> {
    Ok(Uses { access_id: array(row, "access_id")?, lock: row.try_get("lock")?, count: row.try_get("count")? })
}

pub(super) fn press(row: &SqliteRow) -> Result<Press> {
    Ok(Press {
        organization: OrganizationId(row.try_get("organization")?),
        press: array(row, "press")?,
        member: row.try_get::<Option<String>, _>("member")?.map(MemberId),
        device: row.try_get::<Option<String>, _>("device")?.map(DeviceId),
        door: row.try_get::<Option<String>, _>("door")?.map(DoorId),
        reported: row.try_get("reported")?,
        witnessed: row.try_get("witnessed")?,
        at: row.try_get("at")?,
    })
}

pub(super) fn event(row: &SqliteRow) -> Result<Event> {
    Ok(Event {
        seq: row.try_get("seq")?,
        organization: OrganizationId(row.try_get("organization")?),
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        actor: row.try_get("actor")?,
        member: row.try_get::<Option<String>, _>("member")?.map(MemberId),
        device: row.try_get::<Option<String>, _>("device")?.map(DeviceId),
        door: row.try_get::<Option<String>, _>("door")?.map(DoorId),
        data: row.try_get("data")?,
    })
}

pub(super) const PURPOSES: [(Purpose, &str); 3] =
    [(Purpose::Issuer, "issuer"), (Purpose::SiteCa, "site-ca"), (Purpose::Audit, "audit")];

pub(super) const KEY_STATES: [(KeyState, &str); 4] = [
    (KeyState::Standby, "standby"),
    (KeyState::Current, "current"),
    (KeyState::Previous, "previous"),
    (KeyState::Retired, "retired"),
];

pub(super) const MEMBER_STATES: [(MemberState, &str); 3] =
    [(MemberState::Active, "active"), (MemberState::Suspended, "suspended"), (MemberState::Ended, "ended")];

pub(super) const INTEGRATION_KINDS: [(IntegrationKind, &str); 2] =
    [(IntegrationKind::Native, "native"), (IntegrationKind::Vendor, "vendor")];

pub(super) const UNLOCK_METHODS: [(UnlockMethod, &str); 2] =
    [(UnlockMethod::NativeMethods, "native-methods"), (UnlockMethod::BrandedApp, "branded-app")];

/// The stored word for a value.
pub(super) fn to_word<T: PartialEq + Copy>(value: T, words: &[(T, &'static str)]) -> &'static str {
    words.iter().find(|(known, _)| *known == value).map_or("", |(_, word)| word)
}

fn word<T: Copy>(row: &SqliteRow, column: &'static str, words: &[(T, &'static str)]) -> Result<T> {
    let text: String = row.try_get(column)?;
    words.iter().find(|(_, word)| *word == text).map(|(value, _)| *value).ok_or(StoreError::Corrupt(column))
}

fn number(row: &SqliteRow, column: &'static str) -> Result<u16> {
    let value: i64 = row.try_get(column)?;
    u16::try_from(value).map_err(|_| StoreError::Corrupt(column))
}

fn array<const N: usize>(row: &SqliteRow, column: &'static str) -> Result<[u8; N]> {
    let bytes: Vec<u8> = row.try_get(column)?;
    bytes.try_into().map_err(|_| StoreError::Corrupt(column))
}

fn json<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|_| StoreError::Corrupt(column))
}
