//! The level path allocates nothing: a gateway that judges a million samples a second has no time
//! for the allocator, and no memory that grows with them.

#![allow(clippy::unwrap_used)]

use davy_points::{
    Binding, Life, Limits, Mono, PointDef, PointIx, PointTable, PollClass, Quality, Sample,
    Scaling, SourceDef, Timestamp, Value,
};
use davy_rules::engine::{Engine, Envelope, Identity, Input, Restored};
use davy_rules::language::compile;
use std::time::Duration;

const BASE: i64 = 1_700_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// Points with LL 10, L 20, H 80, HH 90 and delays of 2 s.
fn table(points: usize) -> PointTable {
    let mut table = PointTable::new();
    let source = table.add_source(SourceDef {
        id: "plc".into(),
        gateway: "gw".into(),
        recorded: false,
    });
    for n in 0..points {
        let point = PointDef {
            tag: format!("LT-{n}").into(),
            description: "".into(),
            hazard: "TF".into(),
            area: "".into(),
            class: "tank_level".into(),
            unit: "m".into(),
            low: Some(0.0),
            high: Some(100.0),
            source,
            binding: Binding::Internal,
            scaling: Scaling::default(),
            poll: PollClass::Normal,
            expected_interval: Duration::from_secs(1),
            stale_after: Duration::from_secs(3),
            report_deadband: None,
            limits: Limits {
                ll: Some(10.0),
                l: Some(20.0),
                h: Some(80.0),
                hh: Some(90.0),
            },
            deadband: 1.0,
            on_delay: Duration::from_secs(2),
            off_delay: Duration::from_secs(2),
            priority: None,
            sentinels: Box::default(),
            life: Life::InService,
            calibration_due: None,
            note: "".into(),
            span: 0..0,
        };
        table.add(point).unwrap();
    }
    table
}

fn sample(point: PointIx, value: f64, at: i64, seq: u64) -> Envelope {
    let time = Timestamp(BASE + at);
    Envelope {
        seq,
        mono: Mono(at.unsigned_abs()),
        wall: time,
        input: Input::Sample(Sample {
            point,
            value: Value::F64(value),
            quality: Quality::Good,
            source_time: time,
            offset_ns: 0,
            uncertainty_ns: 0,
            arrival_time: time,
            seq,
        }),
    }
}

/// Gives every point one sample a second and counts what is allocated, warm.
fn allocations(points: usize, value: impl Fn(i64, usize) -> f64) -> u64 {
    let table = table(points);
    let (rules, faults) = compile(&[], &table, &[]);
    assert_eq!(faults, []);
    let all: Vec<PointIx> = table.iter().map(|(p, _)| p).collect();
    let id = Identity {
        site: "s".into(),
        owner: "gw".into(),
        plan_rev: "0".into(),
    };
    let mut engine = Engine::start(
        id,
        rules.unwrap().into(),
        table.into(),
        Restored::default(),
        Mono(0),
        Timestamp(BASE),
    );
    let mut seq = 0;
    let mut scan = |engine: &mut Engine, second: i64| {
        for (n, p) in all.iter().enumerate() {
            seq += 1;
            engine.handle(&sample(*p, value(second, n), second * SECOND, seq));
            while engine.poll().is_some() {}
        }
    };
    // What is made once: the first samples, the first delays, the first queue of deadlines.
    for second in 1..20 {
        scan(&mut engine, second);
    }
    let counted = allocation_counter::measure(|| {
        for second in 20..120 {
            scan(&mut engine, second);
        }
    });
    counted.count_total
}

/// Values that move within their limits.
#[test]
fn a_sample_within_its_limits_allocates_nothing() {
    #[allow(clippy::cast_precision_loss)]
    let calm = |second: i64, n: usize| 40.0 + ((second as usize * 7 + n) % 30) as f64;
    assert_eq!(allocations(100, calm), 0);
}

/// Alarms that stand, and values that go on moving beyond their limits.
#[test]
fn a_sample_of_a_standing_alarm_allocates_nothing() {
    #[allow(clippy::cast_precision_loss)]
    let high = |second: i64, n: usize| 91.0 + ((second as usize * 7 + n) % 8) as f64;
    assert_eq!(allocations(100, high), 0);
}

/// The count counts: a new occurrence has a record, and that is allocated.
#[test]
fn a_new_occurrence_does_allocate() {
    let waves = |second: i64, _: usize| if second % 10 < 5 { 95.0 } else { 50.0 };
    assert!(allocations(1, waves) > 0);
}
