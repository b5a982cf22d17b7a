//! What samples may and may not do, each sentence by itself: quality, range, times, silence.
//!
//! Most of these change a series in a way that must change nothing, and compare. Read first:
//! `prop_level`, from which the series come.

use std::collections::BTreeMap;

use davy_points::{PointTable, Quality, QualityClass};
use proptest::prelude::*;

use super::compiled;
use super::model::{LevelPlan, Plan, Reading, S};
use super::prop_level::{ALL, CALM, Mix, agree, engine, give, of_rule, plans, readings, steps};
use super::properties::from_records;
use crate::alarm::{Cause, Condition, Flag, Level, Regions, Transition};
use crate::engine::Input;
use crate::grammar::Kleene;
use crate::proof::plant;
use crate::proof::script::{BASE, Rig};

fn class() -> impl Strategy<Value = QualityClass> {
    prop_oneof![
        4 => Just(QualityClass::Good),
        2 => Just(QualityClass::Uncertain),
        1 => Just(QualityClass::Bad),
    ]
}

fn is_active(r: Option<&Regions>) -> bool {
    r.is_some_and(Regions::is_active)
}

/// One alarm on H (or L) of point P, without delays.
fn single(level: Level, limit: f64) -> Plan {
    Plan {
        levels: vec![LevelPlan {
            level,
            limit,
            priority: 3,
            on: 0,
            off: 0,
        }],
        deadband: 0.0,
        on_bad: "hold",
        strict: false,
        safety: None,
        tolerance: None,
        realarm: None,
        stale_after: 10 * S,
        bad_on: 0,
        bad_off: 0,
    }
}

proptest! {
    #![proptest_config(super::cases())]

    /// 3.1: Kleene: a true leg trips an OR, a false one ends an AND, whatever the other says;
    /// Uncertain is true for entry and Unknown for exit, and only a Good arrival returns.
    #[test]
    fn logic_is_three_valued(
        samples in proptest::collection::vec((0_usize..2, any::<bool>(), class()), 1..60),
    ) {
        let rules: String = [("or", "A > 50 || B > 50"), ("and", "A > 50 && B > 50"), ("not", "!(A > 50)")]
            .iter()
            .map(|(id, when)| format!(
                "[[expression]]\nid = \"{id}\"\nselect = {{ tag = \"A\" }}\nchatter = false\nwhen = \"{when}\"\n"
            ))
            .collect();
        let (table, rules) = compiled(plant::patient(&["A", "B"]), &rules);
        let mut rig = Rig::new(table, rules);
        let mut legs = [(Kleene::Unknown, Kleene::Unknown); 2];
        let mut stands: BTreeMap<&str, bool> = BTreeMap::new();
        for (n, (leg, high, class)) in samples.iter().enumerate() {
            let at = (n as i64 + 1) * S;
            let value = if *high { 60.0 } else { 40.0 };
            give(&mut rig, ["A", "B"][*leg], &Reading { at, time: at, seq: n as u64 + 1, value, class: *class });
            let says = if *high { Kleene::True } else { Kleene::False };
            legs[*leg] = match class {
                QualityClass::Good => (says, says),
                QualityClass::Uncertain => (says, Kleene::Unknown),
                QualityClass::Bad => (Kleene::Unknown, Kleene::Unknown),
            };
            use Kleene::{False, True, Unknown};
            let or = |a, b| match (a, b) {
                (True, _) | (_, True) => True,
                (False, False) => False,
                _ => Unknown,
            };
            let and = |a, b| match (a, b) {
                (False, _) | (_, False) => False,
                (True, True) => True,
                _ => Unknown,
            };
            let not = |a| match a {
                True => False,
                False => True,
                Unknown => Unknown,
            };
            let [(a, a_good), (b, b_good)] = legs;
            let reads_only_a = *leg == 1;
            for (id, enters, leaves) in [
                ("or", or(a, b), or(a_good, b_good)),
                ("and", and(a, b), and(a_good, b_good)),
                ("not", not(a), not(a_good)),
            ] {
                if id == "not" && reads_only_a {
                    continue;
                }
                let stood = stands.entry(id).or_default();
                *stood = match (enters, leaves) {
                    (True, _) => true,
                    (_, False) if *class == QualityClass::Good => false,
                    _ => *stood,
                };
                let now = from_records(&rig.transitions);
                let is = is_active(now.get(&format!("{id}/A/on")));
                prop_assert_eq!(is, *stood, "{} after {:?}: {:#?}", id, &samples[..=n], rig.lines());
            }
        }
    }

    /// 3.1: with every Good sample made Uncertain, nothing is cancelled and nothing returns, and what
    /// was raised without a delay is raised all the same.
    #[test]
    fn uncertain_raises_and_never_returns(plan in plans(), steps in steps(CALM)) {
        let mut plan = plan;
        for l in &mut plan.levels {
            l.on = 0;
        }
        plan.stale_after = 3_600 * S;
        let good: Vec<Reading> = readings(&steps).into_iter().map(|r| r.1).collect();
        let unsure: Vec<Reading> = good.iter()
            .map(|r| Reading { class: QualityClass::Uncertain, ..*r }).collect();
        let (good, unsure) = (engine(&plan, &good), engine(&plan, &unsure));
        prop_assert!(of_rule(&unsure).iter().all(|s| s.cause != Cause::Returned));
        let raised = |rig: &Rig| -> std::collections::BTreeSet<Level> {
            of_rule(rig).iter().filter(|s| s.cause == Cause::Condition).map(|s| s.level).collect()
        };
        prop_assert_eq!(raised(&good), raised(&unsure));
    }

    /// 3.2: what lies beyond the range is Uncertain, clamped, and true for every limit on its side.
    #[test]
    fn beyond_the_range_is_true_for_every_limit(
        plan in plans(), steps in steps(ALL), limits in proptest::collection::vec(0.0..100.0_f64, 5), above: bool,
    ) {
        let mut plan = plan;
        let mut sorted = limits;
        sorted.sort_by(f64::total_cmp);
        plan.deadband = 0.0;
        for l in &mut plan.levels {
            l.on = 0;
            l.limit = sorted[match l.level {
                Level::Ll => 0,
                Level::L => 1,
                Level::H => 2,
                Level::Hh => 3,
                _ => 4,
            }];
        }
        prop_assume!(sorted.windows(2).all(|w| w[0] < w[1]));
        let (mut rig, at) = agree(&plan, &steps)?;
        // Newer than anything, whatever the clocks were: a minute of it, so that the clock is believed.
        for n in 1..60_i64 {
            let at = at + 20 * S + n * S;
            let value = if above { 100.0 } else { 0.0 };
            give(&mut rig, "P", &Reading { at, time: at, seq: 1_000_000 + n as u64, value, class: QualityClass::Uncertain });
        }
        let now = from_records(&rig.transitions);
        for l in &plan.levels {
            let high = !matches!(l.level, Level::L | Level::Ll);
            if high == above {
                prop_assert!(is_active(now.get(&format!("m/P/{}", l.level))), "{} {:#?}", l.level, rig.lines());
            }
        }
    }

    /// 3.4: policy `alarm` adds level `bad` and changes nothing else: it masks nothing, nothing
    /// masks it; every Bad sample, silence and lost source has raised it.
    #[test]
    fn bad_stands_beside_the_levels(plan in plans(), steps in steps(Mix { people: 0, ..ALL })) {
        let of = |on_bad| Plan { on_bad, bad_on: 0, bad_off: 0, ..plan.clone() };
        let (hold, _) = agree(&of("hold"), &steps)?;
        let (alarm, _) = agree(&of("alarm"), &steps)?;
        let bad = of_rule(&alarm);
        let others: Vec<_> = bad.iter().filter(|s| s.level != Level::Bad).cloned().collect();
        prop_assert_eq!(others, of_rule(&hold));
        prop_assert!(bad.iter().all(|s| s.level != Level::Bad || !s.masked));
    }

    /// 8.5: `hold` freezes: what a Bad sample says is not looked at; nor what it said before.
    #[test]
    fn under_hold_a_bad_value_means_nothing(
        plan in plans(), steps in steps(Mix { bad: 10, people: 0, source: 0, ..ALL }), other in 0.0..100.0_f64,
    ) {
        let plan = Plan { on_bad: if plan.strict { "hold" } else { "alarm" }, ..plan };
        let given: Vec<Reading> = readings(&steps).into_iter().map(|r| r.1).collect();
        let changed: Vec<Reading> = given.iter().map(|r| match r.class {
            QualityClass::Bad => Reading { value: other, ..*r },
            _ => *r,
        }).collect();
        prop_assert_eq!(of_rule(&engine(&plan, &given)), of_rule(&engine(&plan, &changed)));
    }

    /// 3.5, 8.1: a limit and a deadband of any bits: entered at the limit, left beyond limit and
    /// deadband, computed once and compared exactly; low limits mirror high ones.
    #[test]
    fn a_deadband_acts_on_exit_alone_to_the_bit(
        limit in 1.0..99.0_f64, deadband in prop_oneof![Just(0.0), 0.0..1.0_f64], low: bool,
        values in proptest::collection::vec((0_u8..8, 0.0..100.0_f64), 1..80),
    ) {
        let mut plan = single(if low { Level::L } else { Level::H }, limit);
        plan.deadband = deadband;
        let exit = if low { limit + deadband } else { limit - deadband };
        let (mut active, mut expected, mut samples) = (false, Vec::new(), Vec::new());
        for (n, (which, any)) in values.iter().enumerate() {
            let value = match which {
                0 => limit,
                1 => limit.next_up(),
                2 => limit.next_down(),
                3 => exit,
                4 => exit.next_up(),
                5 => exit.next_down(),
                _ => *any,
            };
            let at = n as i64 * S;
            samples.push(Reading { at, time: at, seq: n as u64 + 1, value, class: QualityClass::Good });
            let (enters, leaves) = match low {
                true => (value <= limit, value > exit),
                false => (value >= limit, value < exit),
            };
            if enters && !active {
                expected.push((at, Cause::Condition));
            } else if leaves && active {
                expected.push((at, Cause::Returned));
            }
            active = enters || (active && !leaves);
        }
        let got: Vec<_> = of_rule(&engine(&plan, &samples)).iter().map(|s| (s.at, s.cause)).collect();
        prop_assert_eq!(got, expected);
    }

    /// 3.6, 8.6: a gap of just the tolerance is within; a nanosecond more is not.
    #[test]
    fn a_gap_is_within_up_to_its_tolerance(
        delay in 2_i64..20, tolerance in 0_i64..19, off in -1_i64..2, silent: bool, safety: bool, given: bool,
    ) {
        let mut plan = single(Level::H, 80.0);
        // The gap begins at least a second after its entry.
        plan.levels[0].on = (delay + if given { 0 } else { 4 }) * S / 2;
        plan.safety = Some(safety);
        plan.tolerance = given.then_some(tolerance % (delay - 1) * S / 2);
        let (delay, tolerance) = (plan.levels[0].on, plan.tolerance.unwrap_or(2 * S));
        let gap_from = delay - tolerance + off;
        // A silence begins `stale_after` after the last arrival.
        plan.stale_after = S / 2;
        let entering = |at| Reading { at, time: at, seq: at as u64 + 1, value: 85.0, class: QualityClass::Good };
        let mut samples = vec![entering(0)];
        let until = if silent { gap_from - S / 2 } else { gap_from };
        while samples.last().is_some_and(|r| r.at + S / 2 < until) {
            samples.push(entering(samples.last().map_or(0, |r| r.at) + S / 2));
        }
        if until > 0 {
            samples.push(Reading { class: if silent { QualityClass::Good } else { QualityClass::Bad }, ..entering(until) });
        }
        let mut rig = engine(&plan, &samples);
        rig.give(delay + 100 * S, Input::Tick);
        let got: Vec<_> = of_rule(&rig).into_iter()
            .filter(|s| s.cause == Cause::Condition)
            .map(|s| (s.at, s.level, s.assumed)).collect();
        let gap = delay - gap_from;
        let expected = match (gap <= tolerance, safety) {
            (true, _) => (delay, Level::H, false),
            (false, true) => (delay, Level::H, true),
            (false, false) => (delay, Level::LossOfView, false),
        };
        prop_assert_eq!(got, vec![expected]);
    }

    /// 3.9, 3.11, 8.26: what is not newer than the newest admitted sample of its point changes
    /// nothing that is live, and sounds nowhere: with or without it, the same records but for what
    /// was listed of late samples, silent and returned.
    #[test]
    fn what_is_late_changes_nothing(plan in plans(), steps in steps(Mix { aged: 30, people: 0, source: 0, ..ALL })) {
        let mut table = PointTable::new();
        let (of_plan, _) = plan.compiled();
        // A recording, whose clock is never suspect.
        let source = table.add_source(plant::source("plc", true));
        let (_, p) = of_plan.iter().next().expect("the point");
        let mut p = p.clone();
        p.source = source;
        table.add(p).expect("one point");
        let (_, rules) = plan.compiled();
        let all: Vec<Reading> = readings(&steps).into_iter().map(|r| r.1).collect();
        let run = |samples: &[Reading]| {
            let mut rig = Rig::new(table.clone(), rules.clone());
            for r in samples {
                give(&mut rig, "P", r);
            }
            if let Some(last) = all.last() {
                rig.give(last.at + 60 * S, Input::Tick);
            }
            rig
        };
        let mut newest = None;
        let in_order: Vec<Reading> = all.iter().copied().filter(|r| {
            let is_newer = newest.is_none_or(|(time, seq)| {
                let time_of = r.time.min(r.at);
                time_of > time || (time_of == time && r.seq > seq)
            });
            if is_newer {
                newest = Some((r.time.min(r.at), r.seq));
            }
            is_newer
        }).collect();
        let (with, without) = (run(&all), run(&in_order));
        let is_late = |t: &Transition| t.cause == Cause::Condition && t.flags.contains(&Flag::Retrospective);
        let live = |rig: &Rig| -> Vec<_> {
            let live = rig.transitions.iter().filter(|t| !is_late(t));
            live.map(|t| {
                let a = &t.regions.after;
                let state = (a.condition, a.eval, a.acked, a.masked, a.audible);
                let assumed = t.cause == Cause::Condition && t.flags.contains(&Flag::Assumed);
                (t.recorded_at, t.alarm.clone(), t.cause, state, assumed)
            })
            .collect()
        };
        prop_assert_eq!(live(&with), live(&without));
        prop_assert!(!without.transitions.iter().any(is_late));
        for t in with.transitions.iter().filter(|t| is_late(t)) {
            let (before, after) = (&t.regions.before, &t.regions.after);
            prop_assert!(t.to == crate::alarm::Label::RtnUnack && after.audible == before.audible);
        }
    }

    /// 3.13: NaN and infinities are never Good, whatever they say of themselves, and return nothing.
    #[test]
    fn what_is_not_finite_is_never_good(plan in plans(), steps in steps(Mix { nan: 20, bad: 0, people: 0, ..ALL })) {
        let samples: Vec<Reading> = readings(&steps).into_iter().map(|r| r.1).collect();
        let (table, rules) = plan.compiled();
        let mut rig = Rig::new(table, rules);
        for r in &samples {
            let before = rig.transitions.len();
            give(&mut rig, "P", r);
            if !r.value.is_finite() {
                let stored: Quality = rig.stored.last().expect("it was stored").1;
                prop_assert!(stored.is_bad(), "{:?} of {}", stored, r.value);
                let of_it = rig.transitions[before..].iter().filter(|t| &*t.rule == "m");
                prop_assert!(of_it.clone().all(|t| t.cause != Cause::Returned));
                prop_assert!(of_it.clone().all(|t| t.value.number().is_none_or(f64::is_finite)));
            }
        }
    }

    /// 8.7: stale is strictly later than the last arrival and `stale_after`, stamped with that, and
    /// ended by any admitted sample, Good or not; what never started counts from the start.
    #[test]
    fn silence_is_stale_strictly_after_its_time(
        after in 1_i64..20,
        arrivals in proptest::collection::vec((0_u8..5, 0_i64..40, class()), 0..40),
    ) {
        let after = after * S / 2;
        let mut p = plant::point("P");
        p.stale_after = std::time::Duration::from_nanos(after.unsigned_abs());
        let (table, rules) = compiled(plant::table([p]), "");
        let mut rig = Rig::new(table, rules);
        let (mut last, mut expected) = (0, Vec::new());
        for (n, (how, any, class)) in arrivals.iter().enumerate() {
            let gap = match how {
                0 => after - 1,
                1 => after,
                2 => after + 1,
                _ => any * S / 4,
            };
            let at = last + gap;
            if gap > after {
                expected.push((last + after, Cause::Condition));
                expected.push((at, Cause::Returned));
            }
            give(&mut rig, "P", &Reading { at, time: at, seq: n as u64 + 1, value: 50.0, class: *class });
            last = at;
        }
        rig.give(last + after, Input::Tick);
        rig.give(last + after + 1, Input::Tick);
        expected.push((last + after, Cause::Condition));
        let stale = rig.transitions.iter().filter(|t| &*t.kind == "stale" && t.cause != Cause::Ack);
        let got: Vec<_> = stale.map(|t| (t.recorded_at.0 - BASE, t.cause)).collect();
        prop_assert_eq!(got, expected);
    }

    /// 3.10, 8.20: a clock is suspect with the first late or future sample three intervals after the
    /// first of an unbroken run of its source, whatever its points; a duplicate is none of the run,
    /// a sample in time of any point breaks it.
    #[test]
    fn a_clock_is_suspect_after_three_intervals(
        samples in proptest::collection::vec((0_usize..2, 0_u8..12, 0_u8..8), 1..30),
    ) {
        let (table, rules) = compiled(plant::patient(&["P", "Q"]), "");
        let mut rig = Rig::new(table, rules);
        let (mut at, mut first, mut newest) = (10 * S, None::<i64>, [0_i64; 2]);
        for (n, tag) in ["P", "Q"].iter().enumerate() {
            give(&mut rig, tag, &Reading { at, time: at, seq: 1 + n as u64, value: 1.0, class: QualityClass::Good });
            newest[n] = at;
        }
        for (n, (point, what, wait)) in samples.iter().enumerate() {
            // The end of three intervals is where it is decided.
            let end = first.map_or(at + 1, |f| f + 3 * S);
            at = match wait {
                0 => end - 1,
                1 => end,
                2 => end + 1,
                _ => at + i64::from(*wait) * S / 8,
            }.max(at + 1);
            let (time, seq) = match what {
                0..5 => (newest[*point] - 1, 100 + n as u64),
                5..8 => (at + 6 * S, 100 + n as u64),
                8..10 => (newest[*point], 0),
                _ => (at, 100 + n as u64),
            };
            give(&mut rig, ["P", "Q"][*point], &Reading { at, time, seq, value: 1.0, class: QualityClass::Good });
            let mut suspect = false;
            match what {
                0..8 => {
                    let since = *first.get_or_insert(at);
                    suspect = at - since >= 3 * S;
                }
                8..10 => {}
                _ => {
                    first = None;
                    newest[*point] = at;
                }
            }
            let said = rig.transitions.iter().any(|t| &*t.rule == "source" && t.cause == Cause::Condition);
            prop_assert_eq!(said, suspect, "{:?} at {} since {:?}", &samples[..=n], at, first);
            if suspect {
                break;
            }
        }
    }

    /// 8.24: an edit that makes a condition false starts its off-delay then, and a Good sample at or after
    /// its end returns it, with the cause of the edit; none before does, and no edit by itself.
    #[test]
    fn an_edit_starts_the_off_delay_of_now(
        off in 0_i64..12, seen in 1_i64..20, edit in 1_i64..20, then in proptest::collection::vec((1_i64..8, class()), 1..20),
    ) {
        let mut before = single(Level::H, 80.0);
        before.levels[0].off = off * S / 2;
        before.stale_after = 3_600 * S;
        let mut after = before.clone();
        after.levels[0].limit = 90.0;
        let off = before.levels[0].off;
        let reading = |at: i64, class| Reading { at, time: at, seq: at as u64 + 1, value: 85.0, class };
        let mut rig = engine(&before, &[reading(0, QualityClass::Good), reading(seen * S / 4, QualityClass::Good)]);
        let (table, _) = after.compiled();
        rig.edit(table, &after.text());
        let edited = (seen + edit) * S / 4;
        rig.run(&format!("{}s reload", edited as f64 / 1e9));
        prop_assert_eq!(of_rule(&rig).len(), 1);
        // Anything but Good starts it again.
        let (mut at, mut start, mut expected) = (edited, Some(edited), None);
        for (wait, class) in then {
            at += wait * S / 4;
            give(&mut rig, "P", &reading(at, class));
            start = match class {
                QualityClass::Good => Some(start.unwrap_or(at)),
                _ => None,
            };
            let is_over = start.is_some_and(|start| at >= start + off);
            if expected.is_none() && is_over {
                expected = Some((at, Cause::RuleChanged));
            }
        }
        let got: Vec<_> = of_rule(&rig).iter()
            .filter(|s| matches!(s.cause, Cause::Returned | Cause::RuleChanged))
            .map(|s| (s.at, s.cause)).collect();
        prop_assert_eq!(got, expected.into_iter().collect::<Vec<_>>());
    }

    /// 8.2: an exit sample exactly at the deadline does not prevent the alarm; one before it does.
    #[test]
    fn a_timer_acts_before_the_input_of_its_instant(delay in 1_i64..40, early in 0_i64..3, steps in 1_i64..6) {
        let mut plan = single(Level::H, 80.0);
        plan.levels[0].on = delay * S / 4;
        plan.levels[0].on -= plan.levels[0].on % 1_000_000;
        plan.stale_after = 3_600 * S;
        let delay = plan.levels[0].on;
        let mut samples: Vec<Reading> = (0..steps)
            .map(|n| n * delay / (steps + 1))
            .map(|at| Reading { at, time: at, seq: at as u64 + 1, value: 85.0, class: QualityClass::Good })
            .collect();
        let at = delay - early;
        samples.push(Reading { at, time: at, seq: u64::MAX, value: 50.0, class: QualityClass::Good });
        let rig = engine(&plan, &samples);
        let got: Vec<_> = of_rule(&rig).iter().map(|s| (s.at, s.cause)).collect();
        match early {
            0 => prop_assert_eq!(got, vec![(delay, Cause::Condition), (delay, Cause::Returned)]),
            _ => prop_assert_eq!(got, vec![]),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..super::cases() })]

    /// 3.13: no internal limit drops what stands: after thousands of occurrences of one episode and
    /// of another alarm, the first is acknowledged by its name, and one ack closes all.
    #[test]
    fn no_limit_drops_what_stands(occurrences in 4_097_u64..4_200) {
        let mut plan = single(Level::H, 80.0);
        plan.levels.push(LevelPlan { level: Level::L, limit: 20.0, ..plan.levels[0] });
        let (table, rules) = plan.compiled();
        let mut rig = Rig::new(table, rules);
        for n in 0..2 * occurrences {
            let value = if n % 2 == 0 { 85.0 } else { 15.0 };
            let at = n as i64 * S;
            give(&mut rig, "P", &Reading { at, time: at, seq: n + 1, value, class: QualityClass::Good });
        }
        let first = rig.transitions.iter().find(|t| t.level == Level::H).expect("it occurred");
        let (first, episode) = (first.occurrence.to_string(), first.episode.clone());
        prop_assert!(rig.transitions.iter().filter(|t| t.level == Level::H).all(|t| t.episode == episode));
        let at = 2 * occurrences as i64 * S;
        rig.command_for(at, "ack", &first);
        let last = rig.transitions.last().expect("the ack");
        prop_assert_eq!((last.cause, last.level), (Cause::Ack, Level::H));
        prop_assert_eq!(&*last.occurrence, &*first);
        prop_assert_eq!(last.regions.after.condition, Condition::Normal);
        prop_assert!(!last.regions.after.open);
    }
}
