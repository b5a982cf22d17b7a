//! `GET /api/v1/schemas` and `GET /api/v1/schemas/{name}.json`: what the records look like that
//! cross a border, generated from the types that read and write them.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use davy_rules::alarm::schemas;
use serde::Serialize;

use super::error::ApiError;
use super::json;

#[derive(Serialize)]
struct Schemas {
    v: u32,
    schemas: Vec<&'static str>,
}

pub(super) async fn list() -> Response {
    let schemas = schemas().into_iter().map(|(name, _)| name).collect();
    json(&Schemas { v: 1, schemas })
}

pub(super) async fn get(Path(file): Path<String>) -> Response {
    let asked = file.strip_suffix(".json").unwrap_or(&file);
    match schemas().into_iter().find(|(name, _)| *name == asked) {
        Some((_, schema)) => json(&schema),
        None => ApiError::not_found(
            "there is no such schema",
            "their names stand at /api/v1/schemas",
        )
        .into_response(),
    }
}
