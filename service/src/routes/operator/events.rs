//! Events: list and export.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use keybutton_protocol::api::{DeviceId, DoorId, MemberId, Problem as ProblemBody};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::super::extract::Query;
use crate::{
    problem::Answer,
    service::{Hold, Service},
    store::{Event, EventFilter},
};

/// The most events of one export.
const EXPORT_MAX: u32 = 10_000;

pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(export))
}

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventInfo {
    /// Its number; grows with time.
    pub seq: i64,
    /// When.
    pub at: u32,
    /// What happened, such as `key-issued` or `settings-changed`.
    pub kind: String,
    /// Who did it: `operator:KEY`, `member:ID`, `lock:ID` or `service`.
    pub actor: String,
    /// The member it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// The device it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The door it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<DoorId>,
    /// Particulars; for settings `before` and `after`.
    #[schema(value_type = Object)]
    pub data: serde_json::Value,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    /// Only this kind.
    kind: Option<String>,
    /// Only about this member.
    #[param(value_type = Option<String>)]
    member: Option<MemberId>,
    /// Only about this door.
    #[param(value_type = Option<String>)]
    door: Option<DoorId>,
    /// From when, inclusive.
    from: Option<u32>,
    /// Until when, exclusive.
    until: Option<u32>,
    /// Only numbers below this one: the last `seq` of the page before.
    before: Option<i64>,
    /// At most so many, 1 to 500 (export: 10,000); 100 (export: 10,000) when left out.
    limit: Option<u32>,
    /// For the export: `jsonl` (default) or `csv`.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Jsonl,
    Csv,
}

/// Lists events, newest first.
#[utoipa::path(get, path = "/v1/operator/events", tag = "operator", security(("operator" = [])), params(EventQuery),
    responses((status = 200, body = [EventInfo]), (status = "default", body = ProblemBody)))]
async fn list(
    State(service): State<Service>,
    headers: HeaderMap,
    Query(query): Query<EventQuery>,
) -> Answer<Json<Vec<EventInfo>>> {
    Ok(Json(find(&service, &headers, query, 100, 500).await?))
}

/// Exports events, newest first, as JSON Lines or CSV.
#[utoipa::path(get, path = "/v1/operator/events/export", tag = "operator", security(("operator" = [])),
    params(EventQuery),
    responses((status = 200, body = String, content_type = "application/jsonl"), (status = "default", body = ProblemBody)))]
async fn export(
    State(service): State<Service>,
    headers: HeaderMap,
    Query(query): Query<EventQuery>,
) -> Answer<Response> {
    let format = query.format.unwrap_or(Format::Jsonl);
    let events = find(&service, &headers, query, EXPORT_MAX, EXPORT_MAX).await?;
    let (kind, text) = match format {
        Format::Jsonl => ("application/jsonl", events.iter().map(json_line).collect::<String>()),
        Format::Csv => ("text/csv; charset=utf-8", csv(&events)),
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

async fn find(
    service: &Service,
    headers: &HeaderMap,
    query: EventQuery,
    usual: u32,
    most: u32,
) -> Answer<Vec<EventInfo>> {
    let call = service.operator_call(headers, Hold::Shared).await?;
    let filter = EventFilter {
        kind: query.kind,
        member: query.member,
        door: query.door,
        from: query.from.unwrap_or(0),
        until: query.until,
        before: query.before,
        limit: query.limit.unwrap_or(usual).clamp(1, most),
    };
    Ok(service.store().events(call.organization(), &filter).await?.into_iter().map(info).collect())
}

fn info(event: Event) -> EventInfo {
    EventInfo {
        seq: event.seq,
        at: event.at,
        kind: event.kind,
        actor: event.actor,
        member: event.member,
        device: event.device,
        door: event.door,
        data: serde_json::from_str(&event.data).unwrap_or_default(),
    }
}

fn json_line(event: &EventInfo) -> String {
    serde_json::to_string(event).unwrap_or_default() + "\n"
}

fn csv(events: &[EventInfo]) -> String {
    let mut text = String::from("seq,at,kind,actor,member,device,door,data\r\n");
    for event in events {
        let id = |id: Option<&String>| id.cloned().unwrap_or_default();
        let fields = [
            event.seq.to_string(),
            event.at.to_string(),
            event.kind.clone(),
            event.actor.clone(),
            id(event.member.as_ref().map(|id| &id.0)),
            id(event.device.as_ref().map(|id| &id.0)),
            id(event.door.as_ref().map(|id| &id.0)),
            event.data.to_string(),
        ];
        text += &fields.map(|field| csv_field(&field)).join(",");
        text += "\r\n";
    }
    text
}

/// A CSV field (RFC 4180), made harmless for programs that take a leading sign for a formula.
fn csv_field(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if guard.is_empty() && !field.contains([',', '"', '\r', '\n']) {
        return field.to_owned();
    }
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_are_quoted_where_needed() {
        assert_eq!(csv_field("plain"), "plain");
        assert_eq!(csv_field("a,b"), "\"a,b\"");
        assert_eq!(csv_field("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(csv_field("=1+1"), "\"'=1+1\"");
    }
}
