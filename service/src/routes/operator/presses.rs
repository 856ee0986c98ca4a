//! Presses: what phone and lock say, joined.

use axum::{Json, extract::State, http::HeaderMap};
use keybutton_protocol::api::{Bytes, DeviceId, DoorId, MemberId, Problem as ProblemBody};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::super::extract::Query;
use crate::{
    problem::Answer,
    service::{Hold, Service},
    store::{Press, PressFilter},
};

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A press.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct PressInfo {
    /// The press id, 16 bytes.
    pub press: Bytes,
    /// When the first account of it says it was.
    pub at: u32,
    /// Who pressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// With what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// At which door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<DoorId>,
    /// `opened`, `refused` or `unconfirmed`: what the lock says, else what the phone says.
    pub outcome: String,
    /// Whose word the outcome is: `lock` or `phone`.
    pub witness: String,
    /// The phone's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub phone: Option<serde_json::Value>,
    /// The lock's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub lock: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct PressQuery {
    /// Only by this member.
    #[param(value_type = Option<String>)]
    member: Option<MemberId>,
    /// Only at this door.
    #[param(value_type = Option<String>)]
    door: Option<DoorId>,
    /// At most so many, 1 to 500; 100 when left out.
    limit: Option<u32>,
}

/// Lists presses, newest first. Where phone and lock differ the lock's word counts.
#[utoipa::path(get, path = "/v1/operator/presses", tag = "operator", security(("operator" = [])), params(PressQuery),
    responses((status = 200, body = [PressInfo]), (status = "default", body = ProblemBody)))]
async fn list(
    State(service): State<Service>,
    headers: HeaderMap,
    Query(query): Query<PressQuery>,
) -> Answer<Json<Vec<PressInfo>>> {
    let call = service.operator_call(&headers, Hold::Shared).await?;
    let limit = query.limit.unwrap_or(100).clamp(1, 500);
    let filter = PressFilter { member: query.member, door: query.door, press: None, limit };
    let presses = service.store().presses(call.organization(), &filter).await?;
    Ok(Json(presses.into_iter().map(info).collect()))
}

fn info(press: Press) -> PressInfo {
    let account = |text: Option<String>| text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let (phone, lock) = (account(press.reported), account(press.witnessed));
    let outcome = |account: Option<&serde_json::Value>| {
        account.and_then(|account| account.get("outcome")?.as_str()).unwrap_or("unconfirmed").to_owned()
    };
    PressInfo {
        press: press.press.into(),
        at: press.at,
        member: press.member,
        device: press.device,
        door: press.door,
        outcome: outcome(lock.as_ref().or(phone.as_ref())),
        witness: if lock.is_some() { "lock" } else { "phone" }.to_owned(),
        phone,
        lock,
    }
}
