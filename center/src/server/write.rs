//! `POST /api/v2/write`: the history lane. 204 only once every sample of the body is durable.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::App;
use super::error::ApiError;
use crate::ingest::line::Precision;
use crate::ingest::samples;

/// Largest body.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

#[derive(Deserialize)]
pub(super) struct WriteQuery {
    precision: Option<String>,
}

pub(super) async fn post(
    State(app): State<Arc<App>>,
    Query(query): Query<WriteQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let refused = |why: &str| {
        app.room
            .metrics
            .writes_refused
            .with_label_values(&[why])
            .inc();
    };
    if !authorized(&headers, app.room.plan.center.token.as_deref()) {
        refused("token");
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "the token is missing or wrong",
            "send `Authorization: Token …` with the token of the site's configuration",
        ));
    }
    let Some(precision) = Precision::parse(query.precision.as_deref()) else {
        refused("precision");
        return Err(ApiError::bad_request(
            "`precision` is none of ns, us, ms, s",
            "send precision=ns",
        ));
    };
    let plain = headers
        .get(header::CONTENT_ENCODING)
        .is_none_or(|e| e.as_bytes() == b"identity");
    if !plain {
        refused("encoding");
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body is compressed",
            "send it without Content-Encoding",
        ));
    }
    let bytes = to_bytes(body, BODY_LIMIT).await.map_err(|_| {
        refused("size");
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {BODY_LIMIT} bytes"),
            "send at most 5 000 lines or 1 MiB at once",
        )
    })?;
    let room = app.room.clone();
    let store = app.store.clone();
    // Parsing and the fsync keep a thread busy: not one of the server's.
    let outcome = tokio::task::spawn_blocking(move || {
        let body = samples::read(&bytes, precision, &room.plan).map_err(WriteError::Refused)?;
        store
            .append(&room, &body.samples)
            .map_err(|e| WriteError::Store(e.to_string()))
    })
    .await
    .unwrap_or_else(|e| Err(WriteError::Store(e.to_string())));
    match outcome {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(WriteError::Refused(why)) => {
            refused(why.kind);
            tracing::warn!("a write was refused: {why}");
            Err(ApiError::bad_request(
                why.to_string(),
                "nothing of the body was stored; set this line aside and send the rest again",
            ))
        }
        Err(WriteError::Store(why)) => {
            refused("store");
            tracing::error!("samples could not be stored: {why}");
            Err(ApiError::unavailable(why))
        }
    }
}

enum WriteError {
    Refused(samples::Refused),
    Store(String),
}

/// Compares digests, so that the time that it takes says nothing of the token.
fn authorized(headers: &HeaderMap, token: Option<&str>) -> bool {
    let Some(token) = token else {
        return true;
    };
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|h| h.to_str().ok())
        .and_then(|h| {
            h.strip_prefix("Token ")
                .or_else(|| h.strip_prefix("Bearer "))
        })
        .unwrap_or("");
    Sha256::digest(given.trim()) == Sha256::digest(token)
}
