//! `GET /api/v1/site` and the description of the API itself.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{App, json};

#[derive(Serialize)]
struct Site<'a> {
    v: u32,
    site: &'a str,
    name: &'a str,
    zone: &'a str,
    version: &'static str,
    plan_rev: &'a str,
    hazards: Vec<Hazard<'a>>,
    areas: Vec<Named<'a>>,
    gateways: Vec<Named<'a>>,
}

#[derive(Serialize)]
struct Hazard<'a> {
    id: &'a str,
    name: &'a str,
    grade: Option<u8>,
    substance: &'a str,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
    name: &'a str,
}

pub(super) async fn get(State(app): State<Arc<App>>) -> Response {
    let plan = &app.room.plan;
    json(&Site {
        v: 1,
        site: &plan.site,
        name: &plan.name,
        zone: &plan.zone,
        version: env!("CARGO_PKG_VERSION"),
        plan_rev: &plan.rev,
        hazards: plan
            .hazards
            .iter()
            .map(|h| Hazard {
                id: &h.id,
                name: &h.name,
                grade: h.grade,
                substance: &h.substance,
            })
            .collect(),
        areas: plan
            .areas
            .iter()
            .map(|(id, name)| Named { id, name })
            .collect(),
        gateways: plan
            .gateways
            .iter()
            .map(|g| Named {
                id: &g.id,
                name: &g.name,
            })
            .collect(),
    })
}

pub(super) async fn openapi() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        include_str!("openapi.json"),
    )
        .into_response()
}
