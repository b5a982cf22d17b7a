//! `GET /api/v1/points/{tag}/history`: a trend, thinned to what a page can draw.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use davy_points::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use super::{App, json};
use crate::store::HistoryRow;

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
    let rows = app
        .store
        .history(tag.clone(), from, to)
        .await
        .map_err(|e| ApiError::unavailable(e.to_string()))?;
    let (kept, complete) = thin(&rows, max);
    Ok(json(&History {
        v: 1,
        tag: &tag,
        unit: &app.room.plan.points.point(ix).unit,
        rows: kept
            .into_iter()
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
        complete,
    }))
}

/// At most `max` rows that draw the same picture: of each slice of time the lowest, the highest
/// and every change of quality class, so that neither a spike nor a gap is lost.
fn thin(rows: &[HistoryRow], max: usize) -> (Vec<&HistoryRow>, bool) {
    if rows.len() <= max {
        return (rows.iter().collect(), true);
    }
    // Each slice gives at most its first and last, its lowest and highest.
    let slices = (max / 4).max(1);
    let per_slice = rows.len().div_ceil(slices);
    let mut kept = Vec::with_capacity(max);
    for slice in rows.chunks(per_slice) {
        let mut pick = vec![0, slice.len() - 1];
        let numbers = || {
            slice
                .iter()
                .enumerate()
                .filter(|(_, r)| !r.quality.is_bad())
                .filter_map(|(i, r)| r.value.number().filter(|v| v.is_finite()).map(|v| (i, v)))
        };
        pick.extend(numbers().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i));
        pick.extend(numbers().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i));
        // Where the slice holds a gap, the gap goes before its edges.
        if let Some(bad) = slice.iter().position(|r| r.quality.is_bad())
            && !slice[0].quality.is_bad()
        {
            pick[0] = bad;
        }
        pick.sort_unstable();
        pick.dedup();
        kept.extend(pick.into_iter().map(|i| &slice[i]));
    }
    (kept, false)
}

#[cfg(test)]
mod tests {
    use davy_points::Quality;

    use super::*;

    fn row(i: i64, value: f64, quality: Quality) -> HistoryRow {
        HistoryRow {
            time: Timestamp(i),
            value: Value::F64(value),
            quality,
        }
    }

    #[test]
    fn thinning_keeps_spikes_and_gaps_within_the_bound() {
        let mut rows: Vec<HistoryRow> = (0..10_000)
            .map(|i| row(i, (i % 7) as f64, Quality::Good))
            .collect();
        rows[4_321] = row(4_321, 99.0, Quality::Good);
        rows[7_000] = row(7_000, 3.0, Quality::BadCommunication);
        let (kept, complete) = thin(&rows, 400);
        assert!(!complete);
        assert!(kept.len() <= 400, "{}", kept.len());
        assert!(kept.iter().any(|r| r.value == Value::F64(99.0)));
        assert!(kept.iter().any(|r| r.quality.is_bad()));
        assert!(kept.windows(2).all(|w| w[0].time < w[1].time));
        let (kept, complete) = thin(&rows[..400], 400);
        assert!(complete);
        assert_eq!(kept.len(), 400);
    }
}
