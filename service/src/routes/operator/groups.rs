//! Access groups.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use keybutton_protocol::api::{AccessGroupId, DoorId, Problem as ProblemBody, SiteId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    super::extract::{self, Path},
    changed, name, open_end, window,
};
use crate::{
    access::{Restrictions, schedule::Schedule},
    problem::{Answer, Code, Problem},
    random,
    service::{Draft, Hold, OperatorCall, Scope, Service},
    store::{AccessGroup, Change},
};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(replace, remove))
}

/// An access group as its operator sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupInfo {
    /// Its identifier.
    pub id: AccessGroupId,
    /// Everything else.
    #[serde(flatten)]
    pub group: PutGroup,
}

/// How an access group is to be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutGroup {
    /// Its name, 1 to 128 characters.
    pub name: String,
    /// Its doors.
    #[serde(default)]
    pub doors: Vec<DoorId>,
    /// Sites of which it has every door, also doors that come later.
    #[serde(default)]
    pub whole_sites: Vec<SiteId>,
    /// When its doors are open, in each door's local time; around the clock when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What else has to hold.
    #[serde(default)]
    pub restrictions: Restrictions,
    /// From when it grants, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<u32>,
    /// Until when it grants, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<u32>,
}

/// Lists the organization's access groups.
#[utoipa::path(get, path = "/v1/operator/groups", tag = "operator", security(("operator" = [])),
    responses((status = 200, body = [GroupInfo]), (status = "default", body = ProblemBody)))]
async fn list(State(service): State<Service>, headers: HeaderMap) -> Answer<Json<Vec<GroupInfo>>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    Ok(Json(call.org.state.groups.iter().map(info).collect()))
}

/// Makes an access group.
#[utoipa::path(post, path = "/v1/operator/groups", tag = "operator", security(("operator" = [])),
    request_body = PutGroup,
    responses((status = 201, body = GroupInfo), (status = "default", body = ProblemBody)))]
async fn create(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(request): extract::Json<PutGroup>,
) -> Answer<(StatusCode, Json<GroupInfo>)> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let group = group(&call, AccessGroupId(random::id("grp")?), request)?;
    let after = info(&group);
    let mut draft = Draft::configuration(&call.org, Scope::Nobody);
    draft.event(changed(&call, "access-group", &group.id.0, None::<&GroupInfo>, Some(&after)));
    draft.unit.push(Change::PutGroup(group));
    service.commit(draft, call.now).await?;
    Ok((StatusCode::CREATED, Json(after)))
}

/// Replaces an access group; keys that stand for more than what remains are revoked at once.
#[utoipa::path(put, path = "/v1/operator/groups/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)), request_body = PutGroup,
    responses((status = 200, body = GroupInfo), (status = "default", body = ProblemBody)))]
async fn replace(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<AccessGroupId>,
    extract::Json(request): extract::Json<PutGroup>,
) -> Answer<Json<GroupInfo>> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let before = info(call.org.group(&id).ok_or(Code::NotFound)?);
    let group = group(&call, id, request)?;
    let after = info(&group);
    if before != after {
        let mut draft = Draft::configuration(&call.org, Scope::Everybody);
        draft.event(changed(&call, "access-group", &group.id.0, Some(&before), Some(&after)));
        let known = draft.state.groups.iter_mut().filter(|known| known.id == group.id);
        known.for_each(|known| known.clone_from(&group));
        draft.unit.push(Change::PutGroup(group));
        service.commit(draft, call.now).await?;
    }
    Ok(Json(after))
}

/// Removes an access group; everybody loses what it granted at once.
#[utoipa::path(delete, path = "/v1/operator/groups/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn remove(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<AccessGroupId>,
) -> Answer<StatusCode> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let before = info(call.org.group(&id).ok_or(Code::NotFound)?);
    let mut draft = Draft::configuration(&call.org, Scope::Everybody);
    draft.state.groups.retain(|group| group.id != id);
    draft.event(changed(&call, "access-group", &id.0, Some(&before), None::<&GroupInfo>));
    draft.unit.push(Change::RemoveGroup(id));
    service.commit(draft, call.now).await?;
    // Holds of the group are part of members that hold no key, too.
    service.forget_members(call.organization());
    Ok(StatusCode::NO_CONTENT)
}

fn group(call: &OperatorCall, id: AccessGroupId, request: PutGroup) -> Answer<AccessGroup> {
    if !request.doors.iter().all(|door| call.org.door(door).is_some())
        || !request.whole_sites.iter().all(|site| call.org.site(site).is_some())
    {
        return Err(Code::NotFound.into());
    }
    if let Some(schedule) = &request.schedule {
        schedule.check().map_err(|rule| Problem::field("schedule", rule))?;
    }
    let restrictions = &request.restrictions;
    if restrictions.use_limit == Some(0) {
        return Err(Problem::field("use_limit", "has to be 1 to 65535"));
    }
    if restrictions.geofence.as_ref().is_some_and(|geofence| geofence.radius_m < 10) {
        return Err(Problem::field("radius_m", "has to be 10 to 65535"));
    }
    let (valid_from, valid_until) = window(request.valid_from, request.valid_until)?;
    Ok(AccessGroup {
        id,
        organization: call.organization().clone(),
        name: name(&request.name)?,
        doors: request.doors,
        whole_sites: request.whole_sites,
        schedule: request.schedule,
        restrictions: request.restrictions,
        valid_from,
        valid_until,
    })
}

fn info(group: &AccessGroup) -> GroupInfo {
    GroupInfo {
        id: group.id.clone(),
        group: PutGroup {
            name: group.name.clone(),
            doors: group.doors.clone(),
            whole_sites: group.whole_sites.clone(),
            schedule: group.schedule.clone(),
            restrictions: group.restrictions.clone(),
            valid_from: (group.valid_from > 0).then_some(group.valid_from),
            valid_until: open_end(group.valid_until),
        },
    }
}
