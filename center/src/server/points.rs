//! `GET /api/v1/points`: the point table with the newest sample of each.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use davy_points::{Life, Limits, Value};
use serde::Serialize;

use super::{App, json};
use crate::clock::millis;

#[derive(Serialize)]
struct Points<'a> {
    v: u32,
    points: Vec<Point<'a>>,
}

#[derive(Serialize)]
struct Point<'a> {
    tag: &'a str,
    description: &'a str,
    hazard: &'a str,
    area: &'a str,
    class: &'a str,
    unit: &'a str,
    low: Option<f64>,
    high: Option<f64>,
    limits: Limits,
    deadband: f64,
    gateway: &'a str,
    source: &'a str,
    life: Life,
    stale_after_ms: u64,
    value: Option<Value>,
    quality: u8,
    quality_name: &'static str,
    source_time: Option<i64>,
    arrival_time: Option<i64>,
}

pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    let room = &app.room;
    let now = room.now();
    let live = room.read();
    let points = room
        .plan
        .points
        .iter()
        .map(|(ix, p)| {
            let row = live.row(ix, now);
            let seen = live.points.get(ix).is_some();
            let source = room.plan.points.source(p.source);
            Point {
                tag: &p.tag,
                description: &p.description,
                hazard: &p.hazard,
                area: &p.area,
                class: &p.class,
                unit: &p.unit,
                low: p.low,
                high: p.high,
                limits: p.limits,
                deadband: p.deadband,
                gateway: &source.gateway,
                source: &source.id,
                life: p.life,
                stale_after_ms: millis(p.stale_after),
                value: row.value,
                quality: row.quality.code(),
                quality_name: row.quality.name(),
                source_time: seen.then_some(row.source_time.ns()),
                arrival_time: seen.then_some(row.arrival.ns()),
            }
        })
        .collect();
    json(&Points { v: 1, points })
}
