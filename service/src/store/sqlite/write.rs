//! Every statement that writes.

use serde::Serialize;
use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    query::Query,
    sqlite::{Sqlite, SqliteArguments},
};

use super::{
    super::{Change, StoreError, Unit},
    rows::{INTEGRATION_KINDS, KEY_STATES, MEMBER_STATES, PURPOSES, UNLOCK_METHODS, to_word},
};
use crate::issue::revocation::Subject;

type Result<T> = std::result::Result<T, StoreError>;
type Sql<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Commits units together. The first try has no savepoints; only when a unit fails are they worth their price.
pub(super) async fn commit(pool: &SqlitePool, units: &[Unit]) -> Result<Vec<Result<()>>> {
    if commit_plain(pool, units).await.is_ok() {
        return Ok(units.iter().map(|_| Ok(())).collect());
    }
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut results = Vec::with_capacity(units.len());
    for unit in units {
        let mut savepoint = transaction.begin().await?;
        let result = apply_all(&mut savepoint, unit).await;
        match &result {
            Ok(()) => savepoint.commit().await?,
            Err(_) => savepoint.rollback().await?,
        }
        results.push(result);
    }
    transaction.commit().await?;
    Ok(results)
}

async fn commit_plain(pool: &SqlitePool, units: &[Unit]) -> Result<()> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for unit in units {
        apply_all(&mut transaction, unit).await?;
    }
    Ok(transaction.commit().await?)
}

async fn apply_all(connection: &mut SqliteConnection, unit: &Unit) -> Result<()> {
    for change in unit {
        apply(connection, change).await?;
    }
    Ok(())
}

async fn apply(connection: &mut SqliteConnection, change: &Change) -> Result<()> {
    match change {
        Change::PutMeta(name, value) => {
            let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
            run(connection, sqlx::query(sql).bind(name).bind(value), StoreError::Conflict).await
        }
        Change::PutOrganization(o) => {
            let sql = "INSERT INTO organizations VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE SET
                name = excluded.name, module_enabled = excluded.module_enabled, device_cap = excluded.device_cap";
            let sql = sqlx::query(sql).bind(&o.id.0).bind(&o.name).bind(o.module_enabled).bind(o.device_cap);
            run(connection, sql.bind(o.created), StoreError::Conflict).await
        }
        Change::PutOperatorKey(k) => {
            let sql = "INSERT INTO operator_keys VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET
                name = excluded.name, revoked = excluded.revoked WHERE organization = excluded.organization";
            let sql = sqlx::query(sql).bind(&k.id).bind(&k.organization.0).bind(&k.name).bind(&k.hash[..]);
            run(connection, sql.bind(k.created).bind(k.revoked), StoreError::Conflict).await
        }
        Change::PutApp(a) => {
            let sql = "INSERT INTO apps VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET
                name = excluded.name, enabled = excluded.enabled, issuer = excluded.issuer,
                audience = excluded.audience, jwks = excluded.jwks WHERE organization = excluded.organization";
            let sql = sqlx::query(sql).bind(&a.id.0).bind(&a.organization.0).bind(&a.name).bind(a.enabled);
            run(connection, sql.bind(&a.issuer).bind(&a.audience).bind(&a.jwks), StoreError::Conflict).await
        }
        Change::PutSite(s) => {
            let sql = "INSERT INTO sites VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET
                name = excluded.name, zone = excluded.zone, key_hours = excluded.key_hours,
                locked_down = excluded.locked_down WHERE organization = excluded.organization";
            let sql = sqlx::query(sql).bind(&s.id.0).bind(&s.organization.0).bind(&s.name).bind(&s.zone);
            let sql = sql.bind(&s.group_id.0[..]).bind(&s.resolving_key).bind(s.key_hours).bind(s.locked_down);
            run(connection, sql, StoreError::Conflict).await
        }
        Change::PutSigningKey(k) => {
            let sql = "INSERT INTO signing_keys VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                ON CONFLICT (id) DO UPDATE SET state = excluded.state, access_iteration = excluded.access_iteration,
                revocation_iteration = excluded.revocation_iteration WHERE organization = excluded.organization";
            let sql = sqlx::query(sql).bind(&k.id).bind(&k.organization.0).bind(k.site.as_ref().map(|s| &s.0));
            let sql = sql.bind(to_word(k.purpose, &PURPOSES)).bind(to_word(k.state, &KEY_STATES));
            let sql = sql.bind(&k.public_key.0[..]).bind(&k.handle).bind(k.created);
            run(connection, sql.bind(k.access_iteration).bind(k.revocation_iteration), StoreError::Conflict).await
        }
        Change::PutIntegration(i) => {
            let sql = "INSERT INTO integrations VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET
                name = excluded.name, unlock_method = excluded.unlock_method WHERE organization = excluded.organization";
            let sql = sqlx::query(sql).bind(&i.id).bind(&i.organization.0).bind(to_word(i.kind, &INTEGRATION_KINDS));
            let sql = sql.bind(&i.name).bind(i.connected).bind(to_word(i.unlock_method, &UNLOCK_METHODS));
            run(connection, sql, StoreError::Conflict).await
        }
        Change::PutDoor(d) => {
            let sql = "INSERT INTO doors VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET
                name = excluded.name, locked_down = excluded.locked_down, policy = excluded.policy,
                vendor_door = excluded.vendor_door
                WHERE organization = excluded.organization";
            let sql = sqlx::query(sql).bind(&d.id.0).bind(&d.organization.0).bind(&d.site.0).bind(&d.integration);
            let sql = sql.bind(&d.name).bind(d.locked_down).bind(json(&d.policy)?).bind(&d.vendor_door);
            run(connection, sql, StoreError::Conflict).await
        }
        Change::RemoveDoor(id) => {
            exec(connection, sqlx::query("DELETE FROM claim_codes WHERE door = ?1").bind(&id.0)).await?;
            run(connection, sqlx::query("DELETE FROM doors WHERE id = ?1").bind(&id.0), StoreError::Gone).await
        }
        Change::PutLock(l) => {
            let sql =
                "INSERT INTO locks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO UPDATE SET
                issuers = excluded.issuers, retired = excluded.retired WHERE organization = excluded.organization";
            let sql = sqlx::query(sql).bind(&l.id).bind(&l.organization.0).bind(&l.site.0).bind(&l.door.0);
            let sql = sql.bind(l.number).bind(&l.sub_id.0[..]).bind(&l.reader_key.0[..]).bind(json(&l.issuers)?);
            run(connection, sql.bind(l.claimed).bind(l.retired), StoreError::Conflict).await
        }
        Change::AddClaimCode(c) => {
            exec(connection, sqlx::query("DELETE FROM claim_codes WHERE door = ?1").bind(&c.door.0)).await?;
            let sql = sqlx::query("INSERT INTO claim_codes VALUES (?1, ?2, ?3, ?4)").bind(&c.hash[..]);
            let sql = sql.bind(&c.organization.0).bind(&c.door.0).bind(c.expires);
            run(connection, sql, StoreError::Conflict).await
        }
        Change::TakeClaimCode(hash, now) => {
            let sql = sqlx::query("DELETE FROM claim_codes WHERE hash = ?1 AND expires > ?2").bind(&hash[..]).bind(now);
            run(connection, sql, StoreError::Gone).await
        }
        Change::PutGroup(g) => {
            let sql =
                "INSERT INTO access_groups VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO UPDATE SET
                name = excluded.name, doors = excluded.doors, whole_sites = excluded.whole_sites,
                schedule = excluded.schedule, restrictions = excluded.restrictions, valid_from = excluded.valid_from,
                valid_until = excluded.valid_until WHERE organization = excluded.organization";
            let sql = sqlx::query(sql).bind(&g.id.0).bind(&g.organization.0).bind(&g.name).bind(json(&g.doors)?);
            let sql = sql.bind(json(&g.whole_sites)?).bind(g.schedule.as_ref().map(json).transpose()?);
            let sql = sql.bind(json(&g.restrictions)?).bind(g.valid_from).bind(g.valid_until);
            run(connection, sql, StoreError::Conflict).await
        }
        Change::RemoveGroup(id) => {
            exec(connection, sqlx::query("DELETE FROM memberships WHERE access_group = ?1").bind(&id.0)).await?;
            run(connection, sqlx::query("DELETE FROM access_groups WHERE id = ?1").bind(&id.0), StoreError::Gone).await
        }
        Change::PutMember(m) => {
            let sql = "INSERT INTO members VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO UPDATE SET
                subject = excluded.subject, name = excluded.name, state = excluded.state,
                confirmed = excluded.confirmed WHERE organization = excluded.organization";
            let sql = sqlx::query(sql).bind(&m.id.0).bind(&m.organization.0).bind(&m.subject).bind(&m.name);
            let sql = sql.bind(to_word(m.state, &MEMBER_STATES)).bind(m.confirmed).bind(m.created);
            run(connection, sql, StoreError::Conflict).await
        }
        Change::PutMembership(m) => {
            let sql = "INSERT INTO memberships VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET
                valid_from = excluded.valid_from, valid_until = excluded.valid_until";
            let sql = sqlx::query(sql).bind(&m.member.0).bind(&m.group.0).bind(m.valid_from).bind(m.valid_until);
            run(connection, sql, StoreError::Conflict).await
        }
        Change::RemoveMembership(member, group) => {
            let sql = sqlx::query("DELETE FROM memberships WHERE member = ?1 AND access_group = ?2");
            run(connection, sql.bind(&member.0).bind(&group.0), StoreError::Gone).await
        }
        Change::AddChallenge(c, now) => {
            exec(connection, sqlx::query("DELETE FROM challenges WHERE expires <= ?1").bind(now)).await?;
            let sql = sqlx::query("INSERT INTO challenges VALUES (?1, ?2, ?3)").bind(&c.nonce[..]);
            run(connection, sql.bind(&c.member.0).bind(c.expires), StoreError::Conflict).await
        }
        Change::TakeChallenge(nonce, member, now) => {
            let sql = sqlx::query("DELETE FROM challenges WHERE nonce = ?1 AND member = ?2 AND expires > ?3");
            run(connection, sql.bind(&nonce[..]).bind(&member.0).bind(now), StoreError::Gone).await
        }
        Change::PutDevice(d) => {
            let sql =
                "INSERT INTO devices VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (id) DO UPDATE SET
                name = excluded.name, is_primary = excluded.is_primary WHERE organization = excluded.organization";
            let sql = sqlx::query(sql).bind(&d.id.0).bind(&d.organization.0).bind(&d.member.0);
            let sql = sql.bind(&d.public_key.0[..]).bind(&d.credential.0[..]).bind(&d.name).bind(&d.platform);
            run(connection, sql.bind(d.enrolled).bind(d.primary).bind(d.revoked), StoreError::Conflict).await
        }
        Change::RevokeDevice(id, at) => {
            let sql = sqlx::query("UPDATE devices SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL");
            run(connection, sql.bind(&id.0).bind(at), StoreError::Gone).await
        }
        Change::PutAccessKey(k) => {
            let sql = "INSERT INTO access_keys VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                ON CONFLICT (access_id) DO UPDATE SET app = excluded.app, iteration = excluded.iteration,
                signed = excluded.signed, valid_until = max(valid_until, excluded.valid_until), rights = excluded.rights
                WHERE organization = excluded.organization AND revoked IS NULL";
            let sql = sqlx::query(sql).bind(&k.access_id[..]).bind(&k.organization.0).bind(&k.member.0);
            let sql = sql.bind(&k.device.0).bind(&k.site.0).bind(&k.app.0).bind(k.iteration).bind(k.signed);
            run(connection, sql.bind(k.valid_until).bind(json(&k.rights)?).bind(k.revoked), StoreError::Gone).await
        }
        Change::RevokeAccessKey(id, at) => {
            let sql = sqlx::query("UPDATE access_keys SET revoked = ?2 WHERE access_id = ?1 AND revoked IS NULL");
            run(connection, sql.bind(&id[..]).bind(at), StoreError::Gone).await
        }
        Change::PutRevocations(site, entries) => {
            exec(connection, sqlx::query("DELETE FROM revocations WHERE site = ?1").bind(&site.0)).await?;
            for entry in entries {
                let subject = match &entry.subject {
                    Subject::Device(hash) => &hash[..],
                    Subject::Access(id) => &id[..],
                };
                let sql = sqlx::query("INSERT INTO revocations VALUES (?1, ?2, ?3, ?4)").bind(&site.0).bind(subject);
                run(connection, sql.bind(entry.expires).bind(entry.revoked), StoreError::Conflict).await?;
            }
            Ok(())
        }
        Change::PutRevocationDocument(d) => {
            let sql =
                "INSERT INTO revocation_documents VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (site) DO UPDATE SET
                signing_key = excluded.signing_key, iteration = excluded.iteration, signed = excluded.signed,
                valid_until = excluded.valid_until, document = excluded.document";
            let sql = sqlx::query(sql).bind(&d.site.0).bind(&d.signing_key).bind(d.iteration).bind(d.signed);
            run(connection, sql.bind(d.valid_until).bind(&d.document), StoreError::Conflict).await
        }
        Change::AddAudit(lock, a, stored) => {
            let sql = sqlx::query("INSERT INTO audit_records VALUES (?1, ?2, ?3, ?4, ?5, ?6)").bind(lock);
            let sql = sql.bind(a.number).bind(&a.record).bind(&a.hash[..]).bind(&a.press[..]).bind(stored);
            run(connection, sql, StoreError::Conflict).await
        }
        Change::PutAck(a) => {
            let sql = "INSERT INTO ack_tokens VALUES (?1, ?2, ?3) ON CONFLICT (lock) DO UPDATE SET
                number = excluded.number, token = excluded.token";
            run(connection, sqlx::query(sql).bind(&a.lock).bind(a.number).bind(&a.token), StoreError::Conflict).await
        }
        Change::CountUse(id, member, lock) => {
            let sql = "INSERT INTO uses VALUES (?1, ?2, ?3, 1) ON CONFLICT DO UPDATE SET count = count + 1";
            run(connection, sqlx::query(sql).bind(&id[..]).bind(&member.0).bind(lock), StoreError::Conflict).await
        }
        Change::JoinPress(p) => {
            let sql = "INSERT INTO presses VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET
                member = coalesce(iif(excluded.witnessed IS NULL, member, excluded.member), member, excluded.member),
                device = coalesce(iif(excluded.witnessed IS NULL, device, excluded.device), device, excluded.device),
                door = coalesce(iif(excluded.witnessed IS NULL, door, excluded.door), door, excluded.door),
                reported = coalesce(reported, excluded.reported), witnessed = coalesce(witnessed, excluded.witnessed),
                at = min(at, excluded.at)";
            let sql = sqlx::query(sql).bind(&p.organization.0).bind(&p.press[..]).bind(p.member.as_ref().map(|m| &m.0));
            let sql = sql.bind(p.device.as_ref().map(|d| &d.0)).bind(p.door.as_ref().map(|d| &d.0));
            run(connection, sql.bind(&p.reported).bind(&p.witnessed).bind(p.at), StoreError::Conflict).await
        }
        Change::AddEvent(e) => {
            let sql = "INSERT INTO events (organization, at, kind, actor, member, device, door, data)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let sql = sqlx::query(sql).bind(&e.organization.0).bind(e.at).bind(&e.kind).bind(&e.actor);
            let sql = sql.bind(e.member.as_ref().map(|m| &m.0)).bind(e.device.as_ref().map(|d| &d.0));
            run(connection, sql.bind(e.door.as_ref().map(|d| &d.0)).bind(&e.data), StoreError::Conflict).await
        }
    }
}

/// Runs a statement that has to change a row; says `otherwise` when it did not.
async fn run(connection: &mut SqliteConnection, sql: Sql<'_>, otherwise: StoreError) -> Result<()> {
    if sql.execute(connection).await?.rows_affected() == 0 { Err(otherwise) } else { Ok(()) }
}

/// Runs a statement that may change nothing.
async fn exec(connection: &mut SqliteConnection, sql: Sql<'_>) -> Result<()> {
    sql.execute(connection).await?;
    Ok(())
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt("value"))
}
