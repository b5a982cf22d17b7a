//! The centre's untrusted inputs as plain functions, for `tests/fuzz`: the same code that the
//! endpoint and the connection run, without sockets and store.

use std::sync::Arc;

use davy_plan::Plan;
use davy_points::{Quality, Timestamp, Value};

use crate::ingest::line::Precision;
use crate::ingest::{intake, samples};

/// A sample as the write endpoint would store it.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Of which point.
    pub tag: Arc<str>,
    /// What it read.
    pub value: Value,
    /// How far to believe it.
    pub quality: Quality,
    /// Its own time.
    pub time: Timestamp,
}

/// A body at `/api/v2/write`.
///
/// # Errors
/// The first wrong line, and why.
pub fn write(body: &[u8], precision: &str, plan: &Plan) -> Result<Vec<Written>, String> {
    let precision =
        Precision::parse(Some(precision)).ok_or_else(|| "no such precision".to_owned())?;
    let body = samples::read(body, precision, plan).map_err(|refused| refused.to_string())?;
    Ok(body
        .samples
        .into_iter()
        .map(|s| Written {
            tag: plan.points.point(s.point).tag.clone(),
            value: s.value,
            quality: s.quality,
            time: s.time,
        })
        .collect())
}

/// A message on a topic of the broker.
///
/// # Errors
/// Why it is refused, as the log says it.
pub fn hear(plan: &Plan, topic: &str, payload: &[u8]) -> Result<(), String> {
    intake::topic(plan, topic)
        .and_then(|(owner, kind)| intake::read(plan, &owner, kind, payload))
        .map(drop)
        .map_err(|refusal| refusal.to_string())
}
