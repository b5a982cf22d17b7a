//! `GET /api/v1/gateways` and `GET /api/v1/hazards`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::{App, json};
use crate::state::blind;
use crate::state::gateways::GatewayView;
use crate::state::hazards::{RollUp, roll_up};

#[derive(Serialize)]
struct List<'a> {
    v: u32,
    gateways: Vec<GatewayView<'a>>,
}

pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    let now = app.room.clock.mono();
    let live = app.room.read();
    json(&List {
        v: 1,
        gateways: live
            .gateways
            .iter()
            .map(|g| g.view(&app.room.plan, now))
            .collect(),
    })
}

#[derive(Serialize)]
struct Hazards<'a> {
    v: u32,
    hazards: Vec<RollUp<'a>>,
    areas: Vec<RollUp<'a>>,
}

pub(super) async fn hazards(State(app): State<Arc<App>>) -> Response {
    let now = app.room.now();
    let live = app.room.read();
    let (hazards, areas) = roll_up(&live, &blind::list(&live, now));
    json(&Hazards {
        v: 1,
        hazards,
        areas,
    })
}
