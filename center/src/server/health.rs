//! `/health` and `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::ApiError;
use super::{App, json};
use crate::clock::millis;

/// A tick older than this means that the centre's engine hangs.
const TICK_LIMIT_MS: u64 = 2_000;

#[derive(Serialize)]
struct Health {
    v: u32,
    /// `ok`, or `failing`.
    status: &'static str,
    version: &'static str,
    center_tick_age_ms: u64,
}

pub(super) async fn get(State(app): State<Arc<App>>) -> Response {
    let tick_age = millis(app.watch.tick_age(app.room.clock.mono()));
    let ok = tick_age < TICK_LIMIT_MS;
    let body = json(&Health {
        v: 1,
        status: if ok { "ok" } else { "failing" },
        version: env!("CARGO_PKG_VERSION"),
        center_tick_age_ms: tick_age,
    });
    let status = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, body).into_response()
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let metrics = &app.room.metrics;
    metrics
        .pages
        .set(i64::try_from(app.room.hub.pages()).unwrap_or(i64::MAX));
    let text = metrics
        .text()
        .map_err(|e| ApiError::unavailable(e.to_string()))?;
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response())
}
