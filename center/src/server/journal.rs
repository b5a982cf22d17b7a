//! `GET /api/v1/journal`: transitions as they were received, in the centre's order.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::ApiError;
use super::{App, json};
use crate::store::RawRecord;

const LIMIT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

#[derive(Deserialize)]
pub(super) struct JournalQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
    owner: Option<String>,
}

#[derive(Serialize)]
struct Journal<'a> {
    v: u32,
    /// Newest centre sequence of the store.
    seq: u64,
    /// As their owners wrote them, byte for byte: a reader can verify the chain.
    records: Vec<&'a RawValue>,
    /// Beside each record, its place in the centre's order.
    center_seq: Vec<u64>,
    /// Beside each record: false where hash or `prev` does not fit.
    chain_ok: Vec<bool>,
}

pub(super) async fn get(
    State(app): State<Arc<App>>,
    Query(query): Query<JournalQuery>,
) -> Result<Response, ApiError> {
    let limit = query.limit.unwrap_or(LIMIT).min(LIMIT_MAX);
    let records = app
        .store
        .records_after(query.after, query.owner, limit)
        .await
        .map_err(|e| ApiError::unavailable(e.to_string()))?;
    let raw: Vec<(&RawRecord, &RawValue)> = records
        .iter()
        .filter_map(|r| Some((r, serde_json::from_slice::<&RawValue>(&r.wire).ok()?)))
        .collect();
    Ok(json(&Journal {
        v: 1,
        seq: app.room.read().center_seq,
        records: raw.iter().map(|(_, text)| *text).collect(),
        center_seq: raw.iter().map(|(r, _)| r.center_seq).collect(),
        chain_ok: raw.iter().map(|(r, _)| r.chain_ok).collect(),
    }))
}
