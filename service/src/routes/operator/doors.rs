//! Doors, their locks and claim codes.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use keybutton_protocol::api::{Bytes, DoorId, IntegrationKind, LockPolicy, Problem as ProblemBody, SiteId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    super::extract::{self, Path},
    changed, name,
};
use crate::{
    problem::{Answer, Code, Problem},
    random,
    service::{Draft, Hold, KEY_HOURS, OperatorCall, OrgView, Scope, Service, effective_policy},
    store::{Change, ClaimCode, Door},
};

/// How long a claim code counts, seconds.
const CLAIM_CODE_S: u32 = 24 * 3600;

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(change, remove)).routes(routes!(claim_code))
}

/// A door as its operator sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct DoorInfo {
    /// Its identifier.
    pub id: DoorId,
    /// Where it is.
    pub site: SiteId,
    /// What drives it.
    pub integration: String,
    /// Its name.
    pub name: String,
    /// It is locked down: nobody opens it with a phone.
    pub locked_down: bool,
    /// What its lock is told at claiming.
    pub policy: LockPolicy,
    /// What the vendor calls it, where a vendor's SDK opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_door: Option<String>,
    /// Its lock's reader identifier, 32 bytes; absent until a lock is claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader_id: Option<Bytes>,
    /// Its lock's number in the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u16>,
    /// When its lock was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<u32>,
}

/// A lock's policy; what is left out keeps its default or stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySettings {
    /// The fast phase is allowed; on by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast: Option<bool>,
    /// High security: the user is authenticated, no fast phase, keys live 24 h at most; off by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_security: Option<bool>,
    /// The lock's sound is on; on by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<bool>,
    /// How long the bolt stays open, in tenths of a second, 5 to 600; 50 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open_time_ds: Option<u16>,
    /// The phone has to be held to the lock; off by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tap_hint: Option<bool>,
}

/// What to make.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDoor {
    /// Where it is.
    pub site: SiteId,
    /// What drives it; may be left out while there is one integration only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<String>,
    /// Its name, 1 to 128 characters.
    pub name: String,
    /// What its lock is told at claiming.
    #[serde(default)]
    pub policy: PolicySettings,
    /// What the vendor calls it, 1 to 128 characters; for doors of a `vendor` integration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_door: Option<String>,
}

/// What to change; what is left out stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeDoor {
    /// Its name, 1 to 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Locks the door down or lifts the lockdown; a lockdown revokes the keys that name the door at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_down: Option<bool>,
    /// What its lock is told at the next claiming; high security counts for keys issued from now on.
    pub policy: PolicySettings,
    /// What the vendor calls it, 1 to 128 characters; for doors of a `vendor` integration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_door: Option<String>,
}

/// A claim code. It is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimCodeInfo {
    /// The code, to be given to the lock. Secret.
    pub claim_code: String,
    /// When it ends.
    pub expires: u32,
}

/// Lists the organization's doors.
#[utoipa::path(get, path = "/v1/operator/doors", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = [DoorInfo]), (status = "default", body = ProblemBody)))]
async fn list(State(service): State<Service>, headers: HeaderMap) -> Answer<Json<Vec<DoorInfo>>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    Ok(Json(call.org.state.doors.iter().map(|door| info(&call.org, door)).collect()))
}

/// Makes a door.
#[utoipa::path(post, path = "/v1/operator/doors", tag = "operator", security(("operator" = [])),
    request_body = CreateDoor,
    responses((status = 201, body = DoorInfo), (status = "default", body = ProblemBody)))]
async fn create(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(request): extract::Json<CreateDoor>,
) -> Answer<(StatusCode, Json<DoorInfo>)> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    call.org.site(&request.site).ok_or(Code::NotFound)?;
    let defaults = LockPolicy {
        fast: true,
        high_security: false,
        sound: true,
        open_time_ds: 50,
        // As long as the site's keys live: what is told to the lock never goes beyond that.
        offline_limit_s: u32::from(*KEY_HOURS.end()) * 3600,
        tap_hint: false,
    };
    let integration = integration(&call, request.integration.as_deref())?;
    let door = Door {
        id: DoorId(random::id("dor")?),
        organization: call.organization().clone(),
        site: request.site.clone(),
        vendor_door: vendor_door(&call, &integration, request.vendor_door.as_deref())?,
        integration,
        name: name(&request.name)?,
        locked_down: false,
        policy: policy(&request.policy, &defaults)?,
    };
    let after = info(&call.org, &door);
    let mut draft = Draft::configuration(&call.org, Scope::Nobody);
    draft.event(changed(&call, "door", &door.id.0, None::<&DoorInfo>, Some(&after)).door(&door.id));
    draft.unit.push(Change::PutDoor(door));
    service.commit(draft, call.now).await?;
    Ok((StatusCode::CREATED, Json(after)))
}

/// Changes a door.
#[utoipa::path(patch, path = "/v1/operator/doors/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)), request_body = ChangeDoor,
    responses((status = 200, body = DoorInfo), (status = "default", body = ProblemBody)))]
async fn change(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<DoorId>,
    extract::Json(request): extract::Json<ChangeDoor>,
) -> Answer<Json<DoorInfo>> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let known = call.org.door(&id).ok_or(Code::NotFound)?;
    let mut door = known.clone();
    if let Some(text) = &request.name {
        door.name = name(text)?;
    }
    door.locked_down = request.locked_down.unwrap_or(door.locked_down);
    door.policy = policy(&request.policy, &door.policy)?;
    if request.vendor_door.is_some() {
        door.vendor_door = vendor_door(&call, &door.integration, request.vendor_door.as_deref())?;
    }
    let (before, after) = (info(&call.org, known), info(&call.org, &door));
    if *known != door {
        let mut draft = Draft::configuration(&call.org, Scope::Everybody);
        draft.event(changed(&call, "door", &id.0, Some(&before), Some(&after)).door(&id));
        draft.state.doors.iter_mut().filter(|known| known.id == id).for_each(|known| known.clone_from(&door));
        draft.unit.push(Change::PutDoor(door));
        service.commit(draft, call.now).await?;
    }
    Ok(Json(after))
}

/// Removes a door that no group names and that never had a lock.
#[utoipa::path(delete, path = "/v1/operator/doors/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn remove(State(service): State<Service>, headers: HeaderMap, Path(id): Path<DoorId>) -> Answer<StatusCode> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let door = call.org.door(&id).ok_or(Code::NotFound)?;
    if call.org.state.groups.iter().any(|group| group.doors.contains(&id)) {
        return Err(Problem::new(Code::InUse).with_detail("an access group names the door"));
    }
    let before = info(&call.org, door);
    let mut draft = Draft::configuration(&call.org, Scope::Nobody);
    draft.event(changed(&call, "door", &id.0, Some(&before), None::<&DoorInfo>).door(&id));
    draft.unit.push(Change::RemoveDoor(id));
    service.commit(draft, call.now).await.map_err(|problem| match problem.code {
        Code::Conflict => Problem::new(Code::InUse).with_detail("the door has or had a lock"),
        _ => problem,
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a claim code for the door's lock; an earlier code of the door ends.
#[utoipa::path(post, path = "/v1/operator/doors/{id}/claim-code", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)),
    responses((status = 201, body = ClaimCodeInfo), (status = "default", body = ProblemBody)))]
async fn claim_code(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<DoorId>,
) -> Answer<(StatusCode, Json<ClaimCodeInfo>)> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let door = call.org.door(&id).ok_or(Code::NotFound)?;
    if call.org.kind(door) == IntegrationKind::Vendor {
        return Err(Problem::field("door", "is opened by a vendor's SDK and takes no lock"));
    }
    let code = random::claim_code()?;
    let expires = call.now.saturating_add(CLAIM_CODE_S);
    let record = ClaimCode {
        hash: random::sha256(code.as_bytes()),
        organization: call.organization().clone(),
        door: door.id.clone(),
        expires,
    };
    let mut draft = Draft::member(&call.org, Vec::new(), Scope::Nobody);
    let event = crate::events::by(call.organization(), call.now, "claim-code-created", &call.actor());
    draft.event(event.door(&door.id));
    draft.unit.push(Change::AddClaimCode(record));
    service.commit(draft, call.now).await?;
    Ok((StatusCode::CREATED, Json(ClaimCodeInfo { claim_code: code, expires })))
}

fn integration(call: &OperatorCall, named: Option<&str>) -> Answer<String> {
    match (named, &call.org.state.integrations[..]) {
        (Some(id), _) => Ok(call.org.integration(id).ok_or(Code::NotFound)?.id.clone()),
        (None, [only]) => Ok(only.id.clone()),
        (None, _) => Err(Problem::field("integration", "has to be named unless there is exactly one")),
    }
}

fn vendor_door(call: &OperatorCall, integration: &str, named: Option<&str>) -> Answer<Option<String>> {
    let Some(named) = named else { return Ok(None) };
    let vendor = call.org.integration(integration).is_some_and(|known| known.kind == IntegrationKind::Vendor);
    if !vendor {
        return Err(Problem::field("vendor_door", "is for doors of a vendor integration"));
    }
    name(named).map(Some)
}

fn policy(settings: &PolicySettings, base: &LockPolicy) -> Answer<LockPolicy> {
    let open_time_ds = settings.open_time_ds.unwrap_or(base.open_time_ds);
    if !(5..=600).contains(&open_time_ds) {
        return Err(Problem::field("open_time_ds", "has to be 5 to 600"));
    }
    Ok(LockPolicy {
        fast: settings.fast.unwrap_or(base.fast),
        high_security: settings.high_security.unwrap_or(base.high_security),
        sound: settings.sound.unwrap_or(base.sound),
        open_time_ds,
        offline_limit_s: base.offline_limit_s,
        tap_hint: settings.tap_hint.unwrap_or(base.tap_hint),
    })
}

fn info(org: &OrgView, door: &Door) -> DoorInfo {
    let lock = org.lock_on(door);
    let site = org.site(&door.site);
    let key_hours = site.map_or(*KEY_HOURS.start(), |site| site.site.key_hours);
    DoorInfo {
        id: door.id.clone(),
        site: door.site.clone(),
        integration: door.integration.clone(),
        name: door.name.clone(),
        locked_down: door.locked_down,
        policy: effective_policy(&door.policy, key_hours),
        vendor_door: door.vendor_door.clone(),
        reader_id: lock.zip(site).map(|(lock, site)| lock.reader_id(site.site.group_id).0.into()),
        number: lock.map(|lock| lock.number),
        claimed: lock.map(|lock| lock.claimed),
    }
}
