//! `GET /api/v1/guidance/{name}`: what the site wrote down to do about an alarm, as it was written,
//! without the head that programs read.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::error::ApiError;
use super::{App, json};

#[derive(Serialize)]
struct Guidance<'a> {
    v: u32,
    name: &'a str,
    /// Markdown (`text/markdown`), never rendered here: a reader must not trust it as HTML.
    text: &'a str,
}

pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(asked): Path<String>,
) -> Result<Response, ApiError> {
    let pages = &app.room.plan.guidance;
    let Some((name, text)) = pages.iter().find(|(name, _)| *name == asked) else {
        return Err(ApiError::not_found(
            format!("the site has no guidance page `{asked}`"),
            format!(
                "add guidance/{asked}.md to the configuration directory, or correct the rule that names it"
            ),
        ));
    };
    let text = davy_rules::language::body(text);
    Ok(json(&Guidance { v: 1, name, text }))
}
