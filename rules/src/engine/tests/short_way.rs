//! The way of a sample that changes nothing: no output, no allocation, little state.

use davy_points::{Mono, Quality, Sample, Timestamp, Value};

use super::lt;
use crate::engine::state::{AlarmState, PointState};
use crate::engine::{Engine, Envelope, Input, Restored};
use crate::proof::script::{BASE, identity};

/// `design.md` section 5: at most 200 B of state per point with its four levels.
#[test]
fn state_is_small() {
    let four_levels = size_of::<PointState>() + 4 * size_of::<AlarmState>();
    assert!(four_levels <= 200, "{four_levels} B");
}

/// 8.1: within the quiet band nothing happens, whatever the value does.
#[test]
fn a_quiet_sample_says_nothing() {
    let (table, rules) = lt(|p| {
        p.on_delay = std::time::Duration::from_secs(5);
        p.stale_after = std::time::Duration::from_secs(3600);
    });
    let point = table.find("LT").unwrap();
    let mut engine = Engine::start(
        identity(),
        rules.into(),
        table.into(),
        Restored::default(),
        Mono(0),
        Timestamp(BASE),
    );
    let envelopes: Vec<Envelope> = (1..=100_000_u64)
        .map(|n| {
            let t = Timestamp(BASE + i64::try_from(n).unwrap() * 1_000_000);
            Envelope {
                seq: n,
                mono: Mono(n * 1_000_000),
                wall: t,
                input: Input::Sample(Sample {
                    point,
                    value: Value::F64(50.0 + (n % 7) as f64),
                    quality: Quality::Good,
                    source_time: t,
                    offset_ns: 0,
                    uncertainty_ns: 0,
                    arrival_time: t,
                    seq: n,
                }),
            }
        })
        .collect();
    engine.handle(&envelopes[0]);
    while engine.poll().is_some() {}
    for e in &envelopes[1..] {
        assert_eq!(engine.handle(e), Some(Quality::Good));
    }
    assert_eq!(engine.poll(), None);
    assert!(
        engine.points[point.index()].quick,
        "the short way was taken"
    );
}
