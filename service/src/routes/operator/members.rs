//! Members, the groups they hold and their devices.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use keybutton_protocol::api::{AccessGroupId, Device, DeviceId, MemberId, Problem as ProblemBody};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    super::extract::{self, Path, Query},
    changed, name, open_end, window,
};
use crate::{
    events,
    integration::confirmed_at_creation,
    problem::{Answer, Code, Problem},
    random,
    service::{Draft, Hold, OperatorCall, Scope, Service, to_api},
    store::{Change, Member, MemberRecord, MemberState, Membership},
};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change))
        .routes(routes!(hold, drop_group))
        .routes(routes!(revoke_device))
}

/// A member as the operator sees them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct MemberInfo {
    /// The member's identifier.
    pub id: MemberId,
    /// The `sub` of the member's session tokens.
    pub subject: String,
    /// The member's name.
    pub name: String,
    /// Where the membership is in its life.
    pub state: MemberState,
    /// The vendor has confirmed the member's user; only then the Branded App opens.
    pub confirmed: bool,
    /// When the member was added.
    pub created: u32,
}

/// A member with the groups they hold and their devices.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct MemberDetails {
    /// The member.
    #[serde(flatten)]
    pub member: MemberInfo,
    /// The access groups they hold.
    pub groups: Vec<MembershipInfo>,
    /// Their devices, oldest first.
    pub devices: Vec<Device>,
}

/// A member's hold of an access group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct MembershipInfo {
    /// The group.
    pub group: AccessGroupId,
    /// From when, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<u32>,
    /// Until when, exclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<u32>,
}

/// Whom to add.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMember {
    /// The member's name, 1 to 128 characters.
    pub name: String,
    /// The `sub` of the member's session tokens, unique in the organization; the new identifier when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The vendor has confirmed the user; when left out: yes if every integration uses `branded-app`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
}

/// What to change; what is left out stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeMember {
    /// The member's name, 1 to 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Suspends, ends or takes up the membership; the first two revoke every key of the member at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<MemberState>,
    /// Whether the vendor has confirmed the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<bool>,
}

/// For how long a member holds a group.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HoldGroup {
    /// From when, inclusive; from now on and before when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<u32>,
    /// Until when, exclusive; without end when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<u32>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// The last identifier of the page before.
    #[param(value_type = Option<String>)]
    after: Option<MemberId>,
    /// At most so many, 1 to 500; 100 when left out.
    limit: Option<u32>,
}

/// Lists members in order of identifier.
#[utoipa::path(get, path = "/v1/operator/members", tag = "operator", security(("operator" = [])), params(ListQuery),
    responses((status = 200, body = [MemberInfo]), (status = "default", body = ProblemBody)))]
async fn list(
    State(service): State<Service>,
    headers: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Answer<Json<Vec<MemberInfo>>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    let limit = query.limit.unwrap_or(100).clamp(1, 500);
    let members = service.store().members(call.organization(), query.after.as_ref(), limit).await?;
    Ok(Json(members.iter().map(info).collect()))
}

/// Adds a member.
#[utoipa::path(post, path = "/v1/operator/members", tag = "operator", security(("operator" = [])),
    request_body = CreateMember,
    responses((status = 201, body = MemberInfo), (status = "default", body = ProblemBody)))]
async fn create(
    State(service): State<Service>,
    headers: HeaderMap,
    extract::Json(request): extract::Json<CreateMember>,
) -> Answer<(StatusCode, Json<MemberInfo>)> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let id = MemberId(random::id("mem")?);
    let subject = request.subject.unwrap_or_else(|| id.0.clone());
    if subject.is_empty() || subject.len() > 255 {
        return Err(Problem::field("subject", "has to be 1 to 255 bytes"));
    }
    let methods = call.org.state.integrations.iter().map(|integration| integration.unlock_method);
    let member = Member {
        id,
        organization: call.organization().clone(),
        subject,
        name: name(&request.name)?,
        state: MemberState::Active,
        confirmed: request.confirmed.unwrap_or_else(|| confirmed_at_creation(methods)),
        created: call.now,
    };
    let after = info(&member);
    let mut draft = Draft::member(&call.org, Vec::new(), Scope::Nobody);
    draft.event(changed(&call, "member", &after.id.0, None::<&MemberInfo>, Some(&after)).member(&after.id));
    draft.unit.push(Change::PutMember(member));
    service.commit(draft, call.now).await?;
    Ok((StatusCode::CREATED, Json(after)))
}

/// Shows a member with the groups they hold and their devices.
#[utoipa::path(get, path = "/v1/operator/members/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)),
    responses((status = 200, body = MemberDetails), (status = "default", body = ProblemBody)))]
async fn show(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<MemberId>,
) -> Answer<Json<MemberDetails>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    let record = service.member_by_id(call.organization(), &id).await?.ok_or(Code::NotFound)?;
    Ok(Json(MemberDetails {
        member: info(&record.member),
        groups: record.memberships.iter().map(membership_info).collect(),
        devices: record.devices.iter().map(to_api).collect(),
    }))
}

/// Changes a member.
#[utoipa::path(patch, path = "/v1/operator/members/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)), request_body = ChangeMember,
    responses((status = 200, body = MemberInfo), (status = "default", body = ProblemBody)))]
async fn change(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<MemberId>,
    extract::Json(request): extract::Json<ChangeMember>,
) -> Answer<Json<MemberInfo>> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let mut record = service.member_by_id(call.organization(), &id).await?.ok_or(Code::NotFound)?;
    let before = info(&record.member);
    let member = &mut record.member;
    if let Some(text) = &request.name {
        member.name = name(text)?;
    }
    member.state = request.state.unwrap_or(member.state);
    member.confirmed = request.confirmed.unwrap_or(member.confirmed);
    let after = info(member);
    if before != after {
        let put = Change::PutMember(member.clone());
        let mut draft = Draft::member(&call.org, vec![record], Scope::Drafted);
        draft.unit.push(put);
        draft.event(changed(&call, "member", &id.0, Some(&before), Some(&after)).member(&id));
        service.commit(draft, call.now).await?;
    }
    Ok(Json(after))
}

/// Grants a member an access group, or changes for how long they hold it.
#[utoipa::path(put, path = "/v1/operator/members/{id}/groups/{group}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path), ("group" = String, Path)), request_body = HoldGroup,
    responses((status = 200, body = MembershipInfo), (status = "default", body = ProblemBody)))]
async fn hold(
    State(service): State<Service>,
    headers: HeaderMap,
    Path((id, group)): Path<(MemberId, AccessGroupId)>,
    extract::Json(request): extract::Json<HoldGroup>,
) -> Answer<Json<MembershipInfo>> {
    let (valid_from, valid_until) = window(request.valid_from, request.valid_until)?;
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let record = held(&service, &call, &id, &group).await?;
    let membership = Membership { member: id, group, valid_from, valid_until };
    regroup(&service, &call, record, Some(membership.clone()), &membership.group).await?;
    Ok(Json(membership_info(&membership)))
}

/// Takes an access group from a member; keys that stand for it are revoked at once.
#[utoipa::path(delete, path = "/v1/operator/members/{id}/groups/{group}", tag = "operator",
    security(("operator" = [])), params(("id" = String, Path), ("group" = String, Path)),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn drop_group(
    State(service): State<Service>,
    headers: HeaderMap,
    Path((id, group)): Path<(MemberId, AccessGroupId)>,
) -> Answer<StatusCode> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let record = held(&service, &call, &id, &group).await?;
    if !record.memberships.iter().any(|membership| membership.group == group) {
        return Err(Code::NotFound.into());
    }
    regroup(&service, &call, record, None, &group).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes a member's device with every key it holds.
#[utoipa::path(delete, path = "/v1/operator/devices/{id}", tag = "operator", security(("operator" = [])),
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = ProblemBody)))]
async fn revoke_device(
    State(service): State<Service>,
    headers: HeaderMap,
    Path(id): Path<DeviceId>,
) -> Answer<StatusCode> {
    let call = service.operator_call(&headers, Hold::Alone).await?;
    let device = service.store().device(call.organization(), &id).await?.ok_or(Code::NotFound)?;
    let record = service.member_by_id(call.organization(), &device.member).await?.ok_or(Code::NotFound)?;
    service.revoke_device(&call.org, record, &id, &call.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn held(service: &Service, call: &OperatorCall, id: &MemberId, group: &AccessGroupId) -> Answer<MemberRecord> {
    call.org.group(group).ok_or(Code::NotFound)?;
    Ok(service.member_by_id(call.organization(), id).await?.ok_or(Code::NotFound)?)
}

/// Commits a member's changed hold of a group.
async fn regroup(
    service: &Service,
    call: &OperatorCall,
    mut record: MemberRecord,
    membership: Option<Membership>,
    group: &AccessGroupId,
) -> Answer<()> {
    let member = record.member.id.clone();
    let before = record.memberships.iter().find(|known| known.group == *group).map(membership_info);
    record.memberships.retain(|known| known.group != *group);
    record.memberships.extend(membership.clone());
    let mut draft = Draft::member(&call.org, vec![record], Scope::Drafted);
    let kind = if membership.is_some() { "group-granted" } else { "group-taken" };
    let after = membership.as_ref().map(membership_info);
    let event = events::by(call.organization(), call.now, kind, &call.actor()).member(&member);
    draft.event(event.data(&json!({ "group": group, "before": before, "after": after })));
    draft.unit.push(match membership {
        Some(membership) => Change::PutMembership(membership),
        None => Change::RemoveMembership(member, group.clone()),
    });
    service.commit(draft, call.now).await.map(drop)
}

fn info(member: &Member) -> MemberInfo {
    MemberInfo {
        id: member.id.clone(),
        subject: member.subject.clone(),
        name: member.name.clone(),
        state: member.state,
        confirmed: member.confirmed,
        created: member.created,
    }
}

fn membership_info(membership: &Membership) -> MembershipInfo {
    MembershipInfo {
        group: membership.group.clone(),
        valid_from: (membership.valid_from > 0).then_some(membership.valid_from),
        valid_until: open_end(membership.valid_until),
    }
}
