//! Samples a second through the engine on one core, each against four levels with deadband and
//! delays (and `stale` and `quality`). The floor is four bare comparisons of the same values.
//!
//! `cargo bench -p davy --bench engine [-- --points 1000 --samples 20000000]`

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod devices;

use std::hint::black_box;
use std::time::Instant;

use davy_points::{Mono, PointIx, Quality, Sample, Timestamp, Value};
use davy_rules::engine::{Engine, Envelope, Identity, Input, Restored};
use devices::{Site, SiteShape, median, size};

const BASE: i64 = 1_700_000_000_000_000_000;
/// Between two scans.
const STEP: i64 = 1_000_000_000;

fn main() {
    let points: usize = size("points", 1_000);
    let samples: usize = size("samples", 20_000_000);
    let rounds: usize = size("rounds", 3);
    println!("{points} points, {samples} samples, {rounds} rounds, one core");
    println!("                                    M samples/s   x floor   transitions");
    let scans = samples / points;
    let floor = median((0..rounds).map(|_| compare(points, scans)).collect());
    println!("four comparisons              {floor:>14.1}");
    // One sample in so many leaves the quiet band: enters H, is back before the on-delay is over.
    for (what, every) in [
        ("all within limits", 0),
        ("1 in 100 beyond H and back", 100),
        ("every other beyond H and back", 2),
    ] {
        let scans = if every == 2 { scans / 10 } else { scans };
        let mut transitions = 0;
        let rates = (0..rounds).map(|_| {
            let (rate, n) = judge(points, scans, every);
            transitions = n;
            rate
        });
        let rate = median(rates.collect());
        println!(
            "{what:<30}{rate:>14.1} {:>9.3} {transitions:>13}",
            rate / floor
        );
    }
    println!("target of a later issue: >= 40 M samples/s");
}

fn value(n: usize, every: usize) -> f64 {
    if every > 0 && n.is_multiple_of(every) {
        860.0
    } else {
        #[allow(clippy::cast_precision_loss)]
        let wave = (n % 97) as f64;
        400.0 + wave
    }
}

#[allow(clippy::cast_precision_loss)]
fn rate(points: usize, scans: usize, began: Instant) -> f64 {
    (points * scans) as f64 / began.elapsed().as_secs_f64() / 1e6
}

fn compare(points: usize, scans: usize) -> f64 {
    let limits: Vec<[f64; 4]> = vec![[50.0, 100.0, 850.0, 900.0]; points];
    let began = Instant::now();
    let mut alarms = 0_u64;
    for scan in 0..scans {
        for (n, [ll, l, h, hh]) in limits.iter().enumerate() {
            let v = black_box(value(scan + n, 0));
            let beyond = u64::from(v <= *ll) + u64::from(v <= *l) + u64::from(v >= *h);
            alarms += beyond + u64::from(v >= *hh);
        }
    }
    black_box(alarms);
    rate(points, scans, began)
}

fn judge(points: usize, scans: usize, every: usize) -> (f64, usize) {
    let root = tempfile::tempdir().unwrap();
    let shape = SiteShape {
        ports: &[1],
        points,
        poll: "1s",
        on_delay: "5s",
        report: "0",
        broker: 9,
    };
    let (plan, rules) = Site::write(root.path(), &shape).load();
    let table = plan.points;
    let all: Vec<PointIx> = table.iter().map(|(ix, _)| ix).collect();
    let id = Identity {
        site: "bench".into(),
        owner: "gw-1".into(),
        plan_rev: "0".into(),
    };
    let restored = Restored::default();
    let mut engine = Engine::start(id, rules.into(), table, restored, Mono(0), Timestamp(BASE));
    let (mut seq, mut transitions) = (0, 0);
    let began = Instant::now();
    for scan in 0..scans {
        let at = i64::try_from(scan + 1).unwrap() * STEP;
        let time = Timestamp(BASE + at);
        for (n, point) in all.iter().enumerate() {
            seq += 1;
            let envelope = Envelope {
                seq,
                mono: Mono(at.unsigned_abs()),
                wall: time,
                input: Input::Sample(Sample {
                    point: *point,
                    value: Value::F64(value(scan + n, every)),
                    quality: Quality::Good,
                    source_time: time,
                    offset_ns: 0,
                    uncertainty_ns: 0,
                    arrival_time: time,
                    seq,
                }),
            };
            black_box(engine.handle(black_box(&envelope)));
            while let Some(out) = engine.poll() {
                transitions +=
                    usize::from(matches!(out, davy_rules::engine::Output::Transition(_)));
            }
        }
    }
    (rate(points, scans, began), transitions)
}
