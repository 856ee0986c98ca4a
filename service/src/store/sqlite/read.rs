//! Every query that reads.

use std::collections::HashMap;

use keybutton_protocol::api::{AppId, DeviceId, MemberId, OrganizationId, SiteId};
use sqlx::{
    Row, SqlitePool,
    query::Query,
    sqlite::{Sqlite, SqliteArguments, SqliteRow},
};

use super::{
    super::{
        Ack, App, AuditRecord, ClaimCode, Device, Event, EventFilter, Member, MemberKey, MemberRecord, OperatorKey,
        OrganizationState, Press, PressFilter, Purpose, SiteState, StoreError,
    },
    rows,
};

type Result<T> = std::result::Result<T, StoreError>;
type Sql<'q> = Query<'q, Sqlite, SqliteArguments>;
type Map<T> = fn(&SqliteRow) -> Result<T>;

pub(super) async fn app(pool: &SqlitePool, id: &AppId) -> Result<Option<App>> {
    one(pool, sqlx::query("SELECT * FROM apps WHERE id = ?1").bind(&id.0), rows::app).await
}

pub(super) async fn operator_key(pool: &SqlitePool, hash: &[u8; 32]) -> Result<Option<OperatorKey>> {
    let sql = sqlx::query("SELECT * FROM operator_keys WHERE hash = ?1 AND revoked IS NULL").bind(&hash[..]);
    one(pool, sql, rows::operator_key).await
}

pub(super) async fn operator_keys(pool: &SqlitePool, organization: &OrganizationId) -> Result<Vec<OperatorKey>> {
    let sql = "SELECT * FROM operator_keys WHERE organization = ?1 AND revoked IS NULL ORDER BY created, id";
    all(pool, sqlx::query(sql).bind(&organization.0), rows::operator_key).await
}

pub(super) async fn organization(pool: &SqlitePool, id: &OrganizationId) -> Result<Option<OrganizationState>> {
    let sql = sqlx::query("SELECT * FROM organizations WHERE id = ?1").bind(&id.0);
    let Some(organization) = one(pool, sql, rows::organization).await? else { return Ok(None) };
    let of = |sql: &'static str| sqlx::query(sql).bind(&id.0);
    let keys = all(
        pool,
        of("SELECT * FROM signing_keys WHERE organization = ?1 AND state != 'retired' ORDER BY created, rowid"),
        rows::signing_key,
    )
    .await?;
    let (audit, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.purpose == Purpose::Audit);
    let locks = all(pool, of("SELECT * FROM locks WHERE organization = ?1 ORDER BY number"), rows::lock).await?;
    let sql = of("SELECT d.* FROM revocation_documents d JOIN sites s ON s.id = d.site WHERE s.organization = ?1");
    let mut documents: HashMap<_, _> =
        all(pool, sql, rows::revocation_document).await?.into_iter().map(|d| (d.site.clone(), d)).collect();
    let sql =
        of("SELECT r.* FROM revocations r JOIN sites s ON s.id = r.site WHERE s.organization = ?1 ORDER BY r.subject");
    let mut revocations: HashMap<SiteId, Vec<_>> = HashMap::new();
    for row in sql.fetch_all(pool).await? {
        revocations.entry(SiteId(row.try_get("site")?)).or_default().push(rows::revocation(&row)?);
    }
    let mut sites = Vec::new();
    for site in all(pool, of("SELECT * FROM sites WHERE organization = ?1 ORDER BY id"), rows::site).await? {
        sites.push(SiteState {
            keys: keys.iter().filter(|key| key.site.as_ref() == Some(&site.id)).cloned().collect(),
            locks: locks.iter().filter(|lock| lock.site == site.id).cloned().collect(),
            revocations: revocations.remove(&site.id).unwrap_or_default(),
            revocation_document: documents.remove(&site.id),
            site,
        });
    }
    let integrations =
        all(pool, of("SELECT * FROM integrations WHERE organization = ?1 ORDER BY id"), rows::integration).await?;
    Ok(Some(OrganizationState {
        organization,
        audit_key: audit.into_iter().next_back(),
        apps: all(pool, of("SELECT * FROM apps WHERE organization = ?1 ORDER BY id"), rows::app).await?,
        sites,
        integrations,
        doors: all(pool, of("SELECT * FROM doors WHERE organization = ?1 ORDER BY id"), rows::door).await?,
        groups: all(pool, of("SELECT * FROM access_groups WHERE organization = ?1 ORDER BY id"), rows::group).await?,
    }))
}

pub(super) async fn member(
    pool: &SqlitePool,
    organization: &OrganizationId,
    by: MemberKey<'_>,
) -> Result<Option<MemberRecord>> {
    let sql = match by {
        MemberKey::Id(id) => {
            sqlx::query("SELECT * FROM members WHERE organization = ?1 AND id = ?2").bind(&organization.0).bind(&id.0)
        }
        MemberKey::Subject(subject) => sqlx::query("SELECT * FROM members WHERE organization = ?1 AND subject = ?2")
            .bind(&organization.0)
            .bind(subject),
    };
    let Some(member) = one(pool, sql, rows::member).await? else { return Ok(None) };
    let of = |sql: &'static str| sqlx::query(sql).bind(&member.id.0);
    let memberships =
        all(pool, of("SELECT * FROM memberships WHERE member = ?1 ORDER BY access_group"), rows::membership).await?;
    let devices = all(
        pool,
        of("SELECT * FROM devices WHERE member = ?1 AND revoked IS NULL ORDER BY enrolled, rowid"),
        rows::device,
    )
    .await?;
    let sql = of("SELECT * FROM access_keys WHERE member = ?1 AND revoked IS NULL ORDER BY signed");
    let keys = all(pool, sql, rows::access_key).await?;
    let uses = all(pool, of("SELECT * FROM uses WHERE member = ?1"), rows::uses).await?;
    Ok(Some(MemberRecord { memberships, devices, keys, uses, member }))
}

pub(super) async fn members(
    pool: &SqlitePool,
    organization: &OrganizationId,
    after: Option<&MemberId>,
    limit: u32,
) -> Result<Vec<Member>> {
    let sql = sqlx::query("SELECT * FROM members WHERE organization = ?1 AND id > ?2 ORDER BY id LIMIT ?3")
        .bind(&organization.0)
        .bind(after.map_or("", |id| id.0.as_str()))
        .bind(limit);
    all(pool, sql, rows::member).await
}

pub(super) async fn key_holders(pool: &SqlitePool, organization: &OrganizationId, now: u32) -> Result<Vec<MemberId>> {
    let sql = sqlx::query(
        "SELECT DISTINCT member FROM access_keys
         WHERE organization = ?1 AND valid_until > ?2 AND revoked IS NULL ORDER BY member",
    )
    .bind(&organization.0)
    .bind(now);
    all(pool, sql, |row| Ok(MemberId(row.try_get("member")?))).await
}

pub(super) async fn device(pool: &SqlitePool, organization: &OrganizationId, id: &DeviceId) -> Result<Option<Device>> {
    let sql =
        sqlx::query("SELECT * FROM devices WHERE organization = ?1 AND id = ?2").bind(&organization.0).bind(&id.0);
    one(pool, sql, rows::device).await
}

pub(super) async fn device_by_credential(
    pool: &SqlitePool,
    organization: &OrganizationId,
    credential: &[u8; 16],
) -> Result<Option<Device>> {
    let sql = sqlx::query(
        "SELECT * FROM devices WHERE organization = ?1 AND credential = ?2 ORDER BY revoked IS NULL DESC, rowid DESC LIMIT 1",
    )
    .bind(&organization.0)
    .bind(&credential[..]);
    one(pool, sql, rows::device).await
}

pub(super) async fn claim_code(pool: &SqlitePool, hash: &[u8; 32]) -> Result<Option<ClaimCode>> {
    one(pool, sqlx::query("SELECT * FROM claim_codes WHERE hash = ?1").bind(&hash[..]), rows::claim_code).await
}

pub(super) async fn audit(pool: &SqlitePool, lock: &str, from: u32, limit: u32) -> Result<Vec<AuditRecord>> {
    let sql = sqlx::query("SELECT * FROM audit_records WHERE lock = ?1 AND number >= ?2 ORDER BY number LIMIT ?3")
        .bind(lock)
        .bind(from)
        .bind(limit);
    all(pool, sql, rows::audit).await
}

pub(super) async fn acks(pool: &SqlitePool, site: &SiteId) -> Result<Vec<Ack>> {
    let sql = sqlx::query(
        "SELECT a.* FROM ack_tokens a JOIN locks l ON l.id = a.lock WHERE l.site = ?1 AND l.retired IS NULL ORDER BY l.number",
    )
    .bind(&site.0);
    all(pool, sql, rows::ack).await
}

pub(super) async fn events(
    pool: &SqlitePool,
    organization: &OrganizationId,
    filter: &EventFilter,
) -> Result<Vec<Event>> {
    let sql = sqlx::query(
        "SELECT * FROM events WHERE organization = ?1 AND at >= ?2
           AND (?3 IS NULL OR at < ?3) AND (?4 IS NULL OR seq < ?4) AND (?5 IS NULL OR kind = ?5)
           AND (?6 IS NULL OR member = ?6) AND (?7 IS NULL OR door = ?7)
         ORDER BY seq DESC LIMIT ?8",
    )
    .bind(&organization.0)
    .bind(filter.from)
    .bind(filter.until)
    .bind(filter.before)
    .bind(&filter.kind)
    .bind(filter.member.as_ref().map(|id| &id.0))
    .bind(filter.door.as_ref().map(|id| &id.0))
    .bind(filter.limit);
    all(pool, sql, rows::event).await
}

pub(super) async fn presses(
    pool: &SqlitePool,
    organization: &OrganizationId,
    filter: &PressFilter,
) -> Result<Vec<Press>> {
    let sql = sqlx::query(
        "SELECT * FROM presses WHERE organization = ?1 AND (?2 IS NULL OR member = ?2) AND (?3 IS NULL OR door = ?3)
           AND (?4 IS NULL OR press = ?4)
         ORDER BY at DESC, rowid DESC LIMIT ?5",
    )
    .bind(&organization.0)
    .bind(filter.member.as_ref().map(|id| &id.0))
    .bind(filter.door.as_ref().map(|id| &id.0))
    .bind(filter.press.as_ref().map(|press| &press[..]))
    .bind(filter.limit);
    all(pool, sql, rows::press).await
}

pub(super) async fn meta(pool: &SqlitePool, name: &str) -> Result<Option<Vec<u8>>> {
    one(pool, sqlx::query("SELECT value FROM meta WHERE name = ?1").bind(name), |row| Ok(row.try_get("value")?)).await
}

async fn one<T>(pool: &SqlitePool, sql: Sql<'_>, map: Map<T>) -> Result<Option<T>> {
    sql.fetch_optional(pool).await?.as_ref().map(map).transpose()
}

async fn all<T>(pool: &SqlitePool, sql: Sql<'_>, map: Map<T>) -> Result<Vec<T>> {
    sql.fetch_all(pool).await?.iter().map(map).collect()
}
