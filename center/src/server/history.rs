//! `GET /api/v1/points/{tag}/history`: a trend, thinned to what a page can draw.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use davy_points::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::{App, json};

const MAX_ROWS: usize = 2_000;
const MAX_ROWS_LIMIT: usize = 1_000_000;

#[derive(Deserialize)]
pub(super) struct HistoryQuery {
    from: Option<i64>,
    to: Option<i64>,
    max: Option<usize>,
}

#[derive(Serialize)]
struct History<'a> {
    v: u32,
    tag: &'a str,
    unit: &'a str,
    /// `[time_ns, value|null, q]`, ascending.
    rows: Vec<(i64, Option<&'a Value>, u8)>,
    /// False where rows were left out to keep `max`.
    complete: bool,
}

pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(tag): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, ApiError> {
    let Some(ix) = app.room.plan.points.find(&tag) else {
        return Err(ApiError::not_found(
            format!("there is no point `{tag}`"),
            "fetch /api/v1/points for the tags of this site",
        ));
    };
    let from = Timestamp(query.from.unwrap_or(i64::MIN));
    let to = Timestamp(query.to.unwrap_or(i64::MAX));
    if from > to {
        return Err(ApiError::bad_request(
            "`from` is later than `to`",
            "give both as UTC nanoseconds, `from` first",
        ));
    }
    let max = query.max.unwrap_or(MAX_ROWS).clamp(2, MAX_ROWS_LIMIT);
    let def = app.room.plan.points.point(ix);
    // A longer pause than this is a gap, and both its sides are kept.
    let gap = def.stale_after.max(3 * def.expected_interval);
    let trend = app
        .store
        .history(tag.clone(), from, to, max, gap)
        .await
        .map_err(|e| ApiError::unavailable(e.to_string()))?;
    Ok(json(&History {
        v: 1,
        tag: &tag,
        unit: &def.unit,
        rows: trend
            .rows
            .iter()
            .map(|r| {
                let value = match &r.value {
                    Value::NoData(_) => None,
                    // JSON has no NaN: what is not finite is never good either.
                    Value::F64(v) if !v.is_finite() => None,
                    v => Some(v),
                };
                (r.time.ns(), value, r.quality.code())
            })
            .collect(),
        complete: !trend.thinned,
    }))
}
