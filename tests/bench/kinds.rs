//! Samples a second through rules that derive something, on one core: expressions over three
//! points, `rate` and `aggregate` over windows of 60 s at 1 Hz, and one sample in a second for each
//! other kind. And what an engine keeps for a level rule, at rest and while it stands.
//!
//! The floor of an expression is the same comparison written in Rust; the floor of a window is a
//! plain ring of sums.
//!
//! `cargo bench -p davy --bench kinds [-- --samples 2000000]`

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod devices;

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use davy_points::{
    Binding, Life, Limits, Mono, PointDef, PointIx, PointTable, PollClass, Quality, Sample,
    Scaling, SourceDef, Timestamp, Value,
};
use davy_rules::engine::{Engine, Envelope, Identity, Input, Output, Restored};
use davy_rules::language::compile;
use devices::{median, size};

const BASE: i64 = 1_700_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

fn main() {
    let samples: usize = size("samples", 2_000_000);
    let rounds: usize = size("rounds", 3);
    println!("{samples} samples, {rounds} rounds, one core");
    println!("                                             M samples/s   x floor   target M/s");
    let expression = "when = \"P_0 > 80.0 && P_1 - P_2 > 5.0\"";
    let floors = [compare(samples), ring(samples)];
    let cases = [
        (
            "expression over three points",
            rule("expression", "P-0", expression),
            3,
            0,
            1.0,
        ),
        (
            "rate, 60 s at 1 Hz",
            rule(
                "rate",
                "P-*",
                "window = \"60s\"\nper = \"min\"\nh = { limit = 1000 }",
            ),
            100,
            1,
            0.5,
        ),
        (
            "aggregate mean, 60 s at 1 Hz",
            rule(
                "aggregate",
                "P-*",
                "function = \"mean\"\nwindow = \"60s\"\nh = { limit = 1000 }",
            ),
            100,
            1,
            0.5,
        ),
        (
            "aggregate max, 60 s at 1 Hz",
            rule(
                "aggregate",
                "P-*",
                "function = \"max\"\nwindow = \"60s\"\nh = { limit = 1000 }",
            ),
            100,
            1,
            0.5,
        ),
        (
            "aggregate p95, 60 s at 1 Hz",
            rule(
                "aggregate",
                "P-*",
                "function = \"percentile\"\npercentile = 95\nwindow = \"60s\"\nh = { limit = 1000 }",
            ),
            100,
            1,
            0.5,
        ),
    ];
    for (what, text, points, floor, target) in cases {
        let rates = (0..rounds).map(|_| judge(&text, points, samples));
        let rate = median(rates.collect());
        println!(
            "{what:<44} {rate:>11.2} {:>9.3} {target:>12}",
            rate / floors[floor]
        );
    }
    println!(
        "floors: the comparison {:.0} M/s, the ring {:.0} M/s",
        floors[0], floors[1]
    );
    state();
}

fn rule(kind: &str, tag: &str, keys: &str) -> String {
    format!("schema = 1\n[[{kind}]]\nid = \"r\"\nselect = {{ tag = \"{tag}\" }}\n{keys}\n")
}

#[allow(clippy::cast_precision_loss)]
fn per_second(samples: usize, began: Instant) -> f64 {
    samples as f64 / began.elapsed().as_secs_f64() / 1e6
}

#[allow(clippy::cast_precision_loss)]
fn value(n: usize) -> f64 {
    40.0 + (n % 37) as f64
}

fn compare(samples: usize) -> f64 {
    let began = Instant::now();
    let mut last = [0.0_f64; 3];
    let mut alarms = 0_u64;
    for n in 0..samples {
        last[n % 3] = black_box(value(n));
        alarms += u64::from(last[0] > 80.0 && last[1] - last[2] > 5.0);
    }
    black_box(alarms);
    per_second(samples, began)
}

fn ring(samples: usize) -> f64 {
    let began = Instant::now();
    let mut rings: Vec<(VecDeque<f64>, f64)> = vec![(VecDeque::with_capacity(61), 0.0); 100];
    let mut alarms = 0_u64;
    for n in 0..samples {
        let (ring, sum) = &mut rings[n % 100];
        let v = black_box(value(n));
        ring.push_back(v);
        *sum += v;
        if ring.len() > 60 {
            *sum -= ring.pop_front().unwrap_or_default();
        }
        alarms += u64::from(*sum > 60_000.0);
    }
    black_box(alarms);
    per_second(samples, began)
}

fn table(points: usize, limits: Limits) -> PointTable {
    let mut table = PointTable::new();
    let source = table.add_source(SourceDef {
        id: "plc".into(),
        gateway: "gw".into(),
        recorded: false,
    });
    for n in 0..points {
        let point = PointDef {
            tag: format!("P-{n}").into(),
            description: "".into(),
            hazard: "TF".into(),
            area: "".into(),
            class: "tank_level".into(),
            unit: "m".into(),
            low: Some(0.0),
            high: Some(1000.0),
            source,
            binding: Binding::Internal,
            scaling: Scaling::default(),
            poll: PollClass::Normal,
            expected_interval: Duration::from_secs(1),
            stale_after: Duration::from_secs(3),
            report_deadband: None,
            limits,
            deadband: 1.0,
            on_delay: Duration::ZERO,
            off_delay: Duration::ZERO,
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

fn engine(table: PointTable, text: &str) -> (Engine, Vec<PointIx>) {
    let files: Vec<_> = (!text.is_empty())
        .then(|| ("rules/bench.toml".into(), text.to_owned()))
        .into_iter()
        .collect();
    let (rules, faults) = compile(&files, &table, &[]);
    let rules = rules.unwrap_or_else(|| panic!("{faults:#?}"));
    let all = table.iter().map(|(p, _)| p).collect();
    let id = Identity {
        site: "bench".into(),
        owner: "gw".into(),
        plan_rev: "0".into(),
    };
    let table = Arc::new(table);
    let start = Restored::default();
    (
        Engine::start(id, rules.into(), table, start, Mono(0), Timestamp(BASE)),
        all,
    )
}

fn envelope(point: PointIx, value: f64, second: usize, seq: u64) -> Envelope {
    let at = i64::try_from(second).unwrap() * SECOND;
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

fn judge(text: &str, points: usize, samples: usize) -> f64 {
    let (mut engine, all) = engine(table(points, Limits::default()), text);
    let mut seq = 0;
    let began = Instant::now();
    for n in 0..samples {
        seq += 1;
        let e = envelope(all[n % points], value(n), n / points + 1, seq);
        black_box(engine.handle(black_box(&e)));
        while let Some(out) = engine.poll() {
            black_box(out);
        }
    }
    per_second(samples, began)
}

/// Bytes that an engine keeps for one level of one point: at rest, and while its alarm stands.
fn state() {
    const POINTS: usize = 10_000;
    let limits = Limits {
        ll: Some(50.0),
        l: Some(100.0),
        h: Some(850.0),
        hh: Some(900.0),
    };
    let kept = |limits: Limits, high: bool| {
        let mut made = None;
        let counted = allocation_counter::measure(|| {
            let (mut engine, all) = engine(table(POINTS, limits), "");
            for (n, p) in all.iter().enumerate() {
                let v = if high { 870.0 } else { 400.0 };
                engine.handle(&envelope(*p, v, 1, n as u64 + 1));
                while let Some(Output::Transition(_) | Output::Result(_) | Output::WakeAt(_)) =
                    engine.poll()
                {}
            }
            made = Some(engine);
        });
        drop(made);
        counted.bytes_current
    };
    #[allow(clippy::cast_precision_loss)]
    let each = |bytes: i64, of: usize| bytes as f64 / of as f64;
    let bare = kept(Limits::default(), false);
    let rest = kept(limits, false) - bare;
    let standing = kept(limits, true) - bare - rest;
    println!(
        "state of a level rule at rest: {:.0} B a level (definition included)",
        each(rest, POINTS * 4)
    );
    println!(
        "of a standing alarm, with its latest record: {:.0} B more",
        each(standing, POINTS)
    );
    println!("target: <= 200 B of state a level rule");
}
