//! `GET /api/v1/alarms`, `/not-protecting` and `/occurrences/{id}`.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use davy_points::{Priority, Quality, Timestamp, Value};
use davy_rules::alarm::{Label, Transition};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::ApiError;
use super::{App, json};
use crate::clock::millis;
use crate::state::alarms::{AlarmKey, AlarmView, active, needs_ack};
use crate::state::blind::{self, Item};
use crate::store::transition;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    all: Option<String>,
}

impl ListQuery {
    /// `?all`, `?all=1`, `?all=true`.
    fn all(&self) -> bool {
        !matches!(self.all.as_deref(), None | Some("0" | "false"))
    }
}

#[derive(Serialize)]
struct Alarms<'a> {
    v: u32,
    seq: u64,
    alarms: Vec<AlarmView<'a>>,
}

/// Alarms that stand or cannot be evaluated; with `all`, every alarm that has a record.
pub(super) async fn list(State(app): State<Arc<App>>, Query(query): Query<ListQuery>) -> Response {
    let live = app.room.read();
    let mut keys: Vec<(&AlarmKey, (bool, Priority, i64))> = live
        .alarms
        .iter()
        .filter(|(_, t, _)| query.all() || t.to != Label::Normal || unknown(t))
        .map(|(key, t, _)| {
            let newest = t.annunciated_at.unwrap_or(t.source_time).ns();
            (key, (!needs_ack(t), t.priority, newest.saturating_neg()))
        })
        .collect();
    keys.sort_by(|(a, x), (b, y)| x.cmp(y).then_with(|| a.cmp(b)));
    json(&Alarms {
        v: 1,
        seq: live.center_seq,
        alarms: keys
            .into_iter()
            .filter_map(|(key, _)| live.alarm_view(key))
            .collect(),
    })
}

fn unknown(t: &Transition) -> bool {
    t.regions.after.eval == davy_rules::alarm::Eval::Unknown
}

#[derive(Serialize)]
struct NotProtecting {
    v: u32,
    items: Vec<Item>,
}

pub(super) async fn not_protecting(State(app): State<Arc<App>>) -> Response {
    let now = app.room.now();
    let items = blind::list(&app.room.read(), now);
    json(&NotProtecting { v: 1, items })
}

#[derive(Serialize)]
struct Occurrence<'a> {
    v: u32,
    occurrence: &'a str,
    alarm: &'a str,
    owner: &'a str,
    standing: bool,
    records: Vec<&'a RawValue>,
    explain: Explain<'a>,
}

/// Why it annunciated.
#[derive(Serialize)]
struct Explain<'a> {
    limit: Option<f64>,
    value: &'a Value,
    quality: Quality,
    condition_start: Option<Timestamp>,
    annunciated_at: Option<Timestamp>,
    on_delay_ms: Option<u64>,
    rule_rev: &'a str,
    text: &'a str,
}

pub(super) async fn occurrence(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let records = app
        .store
        .records_of(&id)
        .await
        .map_err(|e| ApiError::unavailable(e.to_string()))?;
    let parsed: Vec<Arc<Transition>> = records.iter().filter_map(transition).collect();
    let Some(first) = parsed
        .iter()
        .find(|t| t.annunciated_at.is_some())
        .or(parsed.first())
    else {
        return Err(unknown_occurrence(&id));
    };
    let live = app.room.read();
    let key: AlarmKey = (first.owner.clone(), first.alarm.clone());
    let standing = live
        .alarms
        .get(&key)
        .and_then(|s| s.latest())
        .is_some_and(|(t, _)| *t.occurrence == *id && (active(t) || t.regions.after.open));
    // The rule's delay as it ran: from the condition to the annunciation, where the rule itself
    // does not stand in the record.
    let on_delay_ms = match (first.condition_start, first.annunciated_at) {
        (Some(start), Some(at)) => u64::try_from(at.since(start) / 1_000_000).ok(),
        _ => app
            .room
            .plan
            .points
            .find(&first.tag)
            .map(|ix| millis(app.room.plan.points.point(ix).on_delay)),
    };
    Ok(json(&Occurrence {
        v: 1,
        occurrence: &id,
        alarm: &first.alarm,
        owner: &first.owner,
        standing,
        records: records
            .iter()
            .filter_map(|r| serde_json::from_slice(&r.wire).ok())
            .collect(),
        explain: Explain {
            limit: first.limit,
            value: &first.value,
            quality: first.quality,
            condition_start: first.condition_start,
            annunciated_at: first.annunciated_at,
            on_delay_ms,
            rule_rev: &first.rule_rev,
            text: &first.text,
        },
    }))
}

pub(super) fn unknown_occurrence(id: &str) -> ApiError {
    ApiError::not_found(
        format!("no alarm has or had the occurrence `{id}`"),
        "fetch /api/v1/alarms and use the `occurrence` of an alarm that stands there",
    )
}
