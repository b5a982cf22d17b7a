//! Level alarms against the plain model: every record of any rule under any series.
//!
//! Read first: `model`. A failing case is printed with the plan and the steps that make it, and kept
//! in `proptest-regressions`; `PROPTEST_RNG_SEED` repeats a whole run, `PROPTEST_CASES` lengthens it.

use davy_points::{Quality, QualityClass, Sample, Timestamp, Value};
use proptest::prelude::*;

use super::model::{LevelPlan, Model, Plan, Reading, S, Said};
use super::properties::QUARTER;
use crate::alarm::{Cause, Flag, Level, Outcome, Transition};
use crate::engine::Input;
use crate::proof::script::{BASE, Rig};

/// What may come; times in ns.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Value, class, age, and by how much its sequence is newer.
    Sample(f64, QualityClass, i64, i64),
    Tick,
    Down,
    Up,
    Ack(usize),
    UnAck(usize),
    /// The process is away for so long.
    Restart(i64),
}

/// What a series is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mix {
    /// Weights: Uncertain and Bad against ten of Good; NaN; not the time of arrival; source, people.
    pub(super) unsure: u32,
    pub(super) bad: u32,
    pub(super) nan: u32,
    pub(super) aged: u32,
    pub(super) source: u32,
    pub(super) people: u32,
    /// Long silences against ten waits of up to a second.
    pub(super) silent: u32,
    pub(super) restarts: u32,
}

pub(super) const ALL: Mix = Mix {
    unsure: 2,
    bad: 2,
    nan: 1,
    aged: 3,
    source: 1,
    people: 3,
    silent: 3,
    restarts: 0,
};

pub(super) const CALM: Mix = Mix {
    unsure: 0,
    bad: 0,
    nan: 0,
    aged: 0,
    source: 0,
    people: 0,
    silent: 0,
    restarts: 0,
};

/// With weight zero never, all the same.
fn weighted<T: std::fmt::Debug + Clone + 'static>(
    all: Vec<(u32, BoxedStrategy<T>)>,
) -> BoxedStrategy<T> {
    let some: Vec<_> = all.into_iter().filter(|(w, _)| *w > 0).collect();
    proptest::strategy::Union::new_weighted(some).boxed()
}

pub(super) fn steps(mix: Mix) -> impl Strategy<Value = Vec<(i64, Step)>> {
    const VALUES: [f64; 20] = [
        5.0, 9.0, 10.0, 10.5, 11.0, 12.0, 15.0, 20.0, 21.0, 21.5, 22.0, 50.0, 78.0, 79.0, 80.0,
        85.0, 89.0, 90.0, 94.0, 96.0,
    ];
    let value = prop_oneof![
        8 => proptest::sample::select(&VALUES[..]),
        1 => proptest::sample::select(&VALUES[..]).prop_map(f64::next_up),
        1 => proptest::sample::select(&VALUES[..]).prop_map(f64::next_down),
    ]
    .boxed();
    let odd = proptest::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).boxed();
    let value = weighted(vec![(20, value), (mix.nan, odd)]);
    let class = weighted(vec![
        (10, Just(QualityClass::Good).boxed()),
        (mix.unsure, Just(QualityClass::Uncertain).boxed()),
        (mix.bad, Just(QualityClass::Bad).boxed()),
    ]);
    let age = prop_oneof![
        3 => (1_i64..16, -1_i64..2).prop_map(|(q, ns)| q * QUARTER + ns),
        1 => (-24_i64..0, -1_i64..2).prop_map(|(q, ns)| q * QUARTER + ns),
        1 => Just(-1_i64),
    ]
    .boxed();
    let age = weighted(vec![(12, Just(0).boxed()), (mix.aged, age)]);
    let newer = weighted(vec![
        (12, Just(1_i64).boxed()),
        (mix.aged.min(1), Just(0).boxed()),
        (mix.aged.min(1), Just(-1).boxed()),
    ]);
    let sample = (value, class, age, newer)
        .prop_map(|(v, c, age, newer)| Step::Sample(v, c, age, newer))
        .boxed();
    let step = weighted(vec![
        (20, sample),
        (1, Just(Step::Tick).boxed()),
        (mix.source, Just(Step::Down).boxed()),
        (mix.source, Just(Step::Up).boxed()),
        (mix.people, (0_usize..7).prop_map(Step::Ack).boxed()),
        (mix.people / 2, (0_usize..7).prop_map(Step::UnAck).boxed()),
        (
            mix.restarts,
            prop_oneof![
                Just(0_i64),
                (0_i64..30).prop_map(|q| q * QUARTER),
                Just(40_000 * S)
            ]
            .prop_map(Step::Restart)
            .boxed(),
        ),
    ]);
    let wait = weighted(vec![
        (
            10,
            (0_i64..5, prop_oneof![9 => Just(0_i64), 1 => Just(1)])
                .prop_map(|(q, ns)| q * QUARTER + ns)
                .boxed(),
        ),
        (mix.silent, (5_i64..40).prop_map(|q| q * QUARTER).boxed()),
    ]);
    proptest::collection::vec((wait, step), 1..100)
}

pub(super) fn plans() -> impl Strategy<Value = Plan> {
    let delay = || (0_i64..14).prop_map(|q| if q < 4 { 0 } else { (q - 3) * 2 * QUARTER });
    let level = move |level, limit| {
        (delay(), delay(), 1_u8..5).prop_map(move |(on, off, priority)| LevelPlan {
            level,
            limit,
            priority,
            on,
            off,
        })
    };
    let all = (
        level(Level::H, 80.0),
        level(Level::Hh, 89.0),
        level(Level::Hhh, 94.0),
        level(Level::L, 20.0),
        level(Level::Ll, 10.0),
        1_u8..32,
    )
        .prop_map(|(h, hh, hhh, l, ll, which)| {
            [h, hh, hhh, l, ll]
                .into_iter()
                .enumerate()
                .filter(|(n, _)| which & (1 << n) != 0)
                .map(|(_, l)| l)
                .collect::<Vec<_>>()
        });
    let seconds =
        |from: i64, to: i64| proptest::option::of((from..to).prop_map(|q: i64| q * 2 * QUARTER));
    (
        all,
        proptest::sample::select(vec![0.0, 1.0, 1.5]),
        proptest::sample::select(vec!["hold", "alarm", "use_value"]),
        any::<bool>(),
        proptest::option::of(any::<bool>()),
        seconds(0, 8),
        seconds(2, 16),
        4_i64..14,
        (delay(), delay()),
    )
        .prop_map(
            |(levels, deadband, on_bad, strict, safety, tolerance, realarm, stale, bad)| Plan {
                levels,
                deadband,
                on_bad,
                strict,
                safety,
                tolerance,
                realarm,
                stale_after: stale * 2 * QUARTER,
                bad_on: bad.0,
                bad_off: bad.1,
            },
        )
}

pub(super) fn quality(class: QualityClass) -> Quality {
    match class {
        QualityClass::Good => Quality::Good,
        QualityClass::Uncertain => Quality::UncertainRange,
        QualityClass::Bad => Quality::BadSensorFailure,
    }
}

fn said(t: &Transition) -> Said {
    let open = t.regions.before.open || t.regions.after.open;
    Said {
        at: t.recorded_at.0 - BASE,
        level: t.level,
        cause: t.cause,
        from: t.from,
        to: t.to,
        eval: t.regions.after.eval,
        masked: t.flags.contains(&Flag::Masked),
        assumed: open && t.flags.contains(&Flag::Assumed),
        start: t.condition_start.filter(|_| open).map(|s| s.0 - BASE),
    }
}

/// Levels that people may name.
const NAMED: [Level; 7] = [
    Level::H,
    Level::Hh,
    Level::Hhh,
    Level::L,
    Level::Ll,
    Level::LossOfView,
    Level::Bad,
];

/// A sample as it comes from the field.
pub(super) fn give(rig: &mut Rig, tag: &str, r: &Reading) {
    let point = rig.table.find(tag).expect("the point");
    rig.give(
        r.at,
        Input::Sample(Sample {
            point,
            value: Value::F64(r.value),
            quality: quality(r.class),
            source_time: Timestamp(BASE + r.time),
            offset_ns: 0,
            uncertainty_ns: 0,
            arrival_time: Timestamp(BASE + r.at),
            seq: r.seq,
        }),
    );
}

/// The samples of a series as they arrive, each with the index of its step.
pub(super) fn readings(steps: &[(i64, Step)]) -> Vec<(usize, Reading)> {
    let (mut at, mut seq) = (0_i64, 1_000_u64);
    let mut all = Vec::new();
    for (n, (wait, step)) in steps.iter().enumerate() {
        at += wait;
        match step {
            Step::Sample(value, class, age, newer) => {
                seq = seq.saturating_add_signed(*newer);
                let (value, class) = (*value, *class);
                let time = at - age;
                all.push((
                    n,
                    Reading {
                        at,
                        time,
                        seq,
                        value,
                        class,
                    },
                ));
            }
            Step::Restart(away) => at += away,
            _ => {}
        }
    }
    all
}

/// The engine alone, on samples alone.
pub(super) fn engine(plan: &Plan, samples: &[Reading]) -> Rig {
    let (table, rules) = plan.compiled();
    let mut rig = Rig::new(table, rules);
    for r in samples {
        give(&mut rig, "P", r);
    }
    rig
}

/// What its rule said.
pub(super) fn of_rule(rig: &Rig) -> Vec<Said> {
    let of_rule = rig.transitions.iter().filter(|t| &*t.rule == "m");
    of_rule.map(said).collect()
}

/// Both through the same steps; the first record or state that differs fails.
pub(super) fn agree(plan: &Plan, steps: &[(i64, Step)]) -> Result<(Rig, i64), TestCaseError> {
    let (table, rules) = plan.compiled();
    let mut rig = Rig::new(table, rules);
    let mut model = Model::new(plan);
    let samples = readings(steps);
    let mut at = 0_i64;
    let mut clock_lost = false;
    let mut told = 0;
    for (n, (wait, step)) in steps.iter().enumerate() {
        let stopped = at;
        at += wait;
        if let Step::Restart(away) = step {
            model.until(stopped);
            at += away;
            rig.run(&format!("{}s restart", at as f64 / 1e9));
            model.restart(stopped, at);
            // What had fallen due acts with the first envelope.
            rig.give(at, Input::Tick);
            model.until(at);
            clock_lost = false;
        } else {
            model.until(at);
        }
        match step {
            Step::Sample(..) => {
                let i = samples.partition_point(|(i, _)| *i < n);
                let r = samples[i].1;
                give(&mut rig, "P", &r);
                model.sample(&r);
            }
            Step::Tick => rig.give(at, Input::Tick),
            Step::Down => {
                rig.run(&format!("{}s down", at as f64 / 1e9));
                model.source_down();
            }
            Step::Up => {
                rig.run(&format!("{}s up", at as f64 / 1e9));
                model.source_up();
            }
            Step::Restart(_) => {}
            Step::Ack(level) | Step::UnAck(level) => {
                let level = NAMED[*level];
                // Timers of this instant act before the person.
                rig.give(at, Input::Tick);
                let alarm = format!("m/P/{level}");
                let known = |t: &Transition| *t.alarm == *alarm && !t.occurrence.is_empty();
                let occurred = rig.transitions.iter().any(known);
                prop_assert_eq!(model.has(level) && model.has_occurred(level), occurred);
                if occurred {
                    let named = rig.transitions.iter().rev().find(|t| known(t));
                    let named = named.map(|t| t.occurrence.to_string()).unwrap_or_default();
                    let verb = match step {
                        Step::Ack(_) => "ack",
                        _ => "un_ack",
                    };
                    rig.command_for(at, verb, &named);
                    let obeyed = match step {
                        Step::Ack(_) => model.ack(level),
                        _ => model.un_ack(level),
                    };
                    let answer = rig.results.last().map(|r| r.outcome == Outcome::Applied);
                    prop_assert_eq!(answer, Some(obeyed), "step {}: {:?}", n, step);
                }
            }
        }
        for t in &rig.transitions[told..] {
            let late = t.cause == Cause::Condition && t.flags.contains(&Flag::Retrospective);
            if late && &*t.rule == "m" {
                let start = t.condition_start.map_or(0, |s| s.0 - BASE);
                let beneath = t.flags.contains(&Flag::Masked);
                prop_assert!(model.retrospective(t.level, start, beneath), "step {}", n);
            }
        }
        told = rig.transitions.len();
        let got = of_rule(&rig);
        let same = got
            .iter()
            .zip(&model.said)
            .take_while(|(a, b)| a == b)
            .count();
        prop_assert!(
            got.len() == model.said.len() && same == got.len(),
            "step {n} at {at}: {step:?}\nengine: {:#?}\nmodel: {:#?}\n{:#?}",
            &got[same..],
            &model.said[same..],
            rig.lines(),
        );
        // What has no record is the same, too: pending delays, the overlay of what is at rest.
        for l in &plan.levels {
            let a = rig
                .rules
                .find(&format!("m/P/{}", l.level), &rig.table)
                .expect("the alarm");
            prop_assert_eq!(
                rig.engine.watched(a),
                model.state(l.level),
                "step {} {}",
                n,
                l.level
            );
        }
        // 8.20: the source says so as long as its clock is suspect.
        let suspect = model.is_clock_suspect();
        if suspect && !clock_lost {
            let source = rig.transitions.iter().rev().find(|t| &*t.rule == "source");
            prop_assert!(
                source.is_some_and(|t| t.regions.after.is_active()),
                "step {}",
                n
            );
        }
        clock_lost = suspect;
    }
    for (n, t) in (1_u64..).zip(&rig.transitions) {
        prop_assert_eq!(t.seq, n);
    }
    Ok((rig, at))
}

proptest! {
    #![proptest_config(super::cases())]

    /// 3.4, 3.6, 3.7, 3.8, 3.9, 8.2, 8.3, 8.4, 8.6, 8.8, 8.9, 8.10, 8.17, 8.18, 8.19, 8.22, 8.23:
    /// every record, whatever comes.
    #[test]
    fn every_record_is_that_of_the_model(plan in plans(), steps in steps(ALL)) {
        agree(&plan, &steps)?;
    }

    /// 3.5, 3.8, 8.1, 8.9, 8.23: Good samples in time alone: entry, deadband, delays and masks, to the bit.
    #[test]
    fn good_samples_make_the_records_of_the_model(plan in plans(), steps in steps(CALM)) {
        agree(&plan, &steps)?;
    }

    /// 3.6, 3.7, 8.5, 8.6, 8.18, 8.19: blindness and silence while delays run.
    #[test]
    fn gaps_make_the_records_of_the_model(
        plan in plans(), steps in steps(Mix { bad: 6, nan: 2, silent: 8, source: 1, ..CALM }),
    ) {
        agree(&plan, &steps)?;
    }

    /// 3.9, 3.10, 8.3, 8.17, 8.20: late, equal, old and future times.
    #[test]
    fn odd_times_make_the_records_of_the_model(
        plan in plans(), steps in steps(Mix { aged: 24, silent: 2, ..CALM }),
    ) {
        agree(&plan, &steps)?;
    }

    /// 8.15, 8.18: and over restarts of any length, at any moment.
    #[test]
    fn restarts_make_the_records_of_the_model(
        plan in plans(), steps in steps(Mix { restarts: 4, aged: 10, ..ALL }),
    ) {
        agree(&plan, &steps)?;
    }
}

/// A second, that no reader has to guess.
#[test]
fn a_second_is_four_quarters() {
    assert_eq!(4 * QUARTER, S);
}
