//! HTTP: the API of `formats.md` section 6, the event stream, the write endpoint, the console.
//!
//! Lives here: one file per resource, each a thin reading of [`crate::state`] or the store. May
//! not live here: decisions about alarms. Read first: [`router`], then `guard`.

mod alarms;
mod assets;
mod commands;
mod error;
mod gateways;
mod guard;
mod guidance;
mod health;
mod history;
pub(crate) mod hub;
mod journal;
mod points;
mod schemas;
mod site;
mod stream;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Serialize;
use tokio::sync::watch;

use crate::ingest::recorder::Recorder;
use crate::room::Room;
use crate::store::Store;
use crate::watch::Watch;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub room: Arc<Room>,
    pub store: Arc<Store>,
    pub recorder: Recorder,
    pub watch: Watch,
    /// True once the centre stops: streams end, so that connections can close.
    pub stopping: watch::Receiver<bool>,
}

/// Largest body of a command.
const COMMAND_BODY: usize = 16 * 1024;

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/v1/site", get(site::get))
        .route("/api/v1/points", get(points::list))
        .route("/api/v1/points/{tag}/history", get(history::get))
        .route("/api/v1/points/{tag}/{verb}", post(commands::on_points))
        .route("/api/v1/alarms", get(alarms::list))
        .route("/api/v1/alarms/{*alarm_and_verb}", post(commands::on_alarm))
        .route("/api/v1/not-protecting", get(alarms::not_protecting))
        .route("/api/v1/journal", get(journal::get))
        .route("/api/v1/gateways", get(gateways::list))
        .route("/api/v1/hazards", get(gateways::hazards))
        .route("/api/v1/occurrences/{id}", get(alarms::occurrence))
        .route(
            "/api/v1/occurrences/{id}/{verb}",
            post(commands::on_occurrence),
        )
        .route("/api/v1/guidance/{name}", get(guidance::get))
        .route("/api/v1/commands/{id}", get(commands::get))
        .route("/api/v1/stream", get(stream::get))
        .route("/api/v1/openapi.json", get(site::openapi))
        .route("/api/v1/schemas", get(schemas::list))
        .route("/api/v1/schemas/{file}", get(schemas::get))
        .route("/api/v2/write", post(write::post))
        .route("/metrics", get(health::metrics))
        .route("/health", get(health::get))
        .fallback(assets::get)
        .layer(axum::middleware::from_fn(guard::guard))
        .with_state(app)
}

/// JSON from a borrowed view, written while the picture is held.
pub(crate) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(e) => {
            tracing::error!("an answer could not be written: {e}");
            error::ApiError::unavailable("the answer could not be written").into_response()
        }
    }
}

/// Bytes as people quote them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
