//! Every kind at once on one plant: what holds for all of them, whatever comes.
//!
//! What each kind says is held against its sentence beside the kind (`kinds`); here stand the laws
//! that no kind may break: absence clears nothing, ticks change nothing, one log has one outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use davy_points::{Mono, PointTable, Quality, QualityClass, Timestamp};
use proptest::prelude::*;

use super::compiled;
use super::model::{Reading, S};
use super::prop_level::{give, quality};
use super::properties::QUARTER;
use crate::alarm::{Cause, Level, Regions, Transition};
use crate::engine::{Engine, Envelope, Input, Restored};
use crate::proof::plant;
use crate::proof::replay;
use crate::proof::script::{BASE, Rig, identity};
use crate::ruleset::RuleSet;

const RULES: &str = "
[[level]]
id = \"tank\"
select = { tag = \"A\" }
on_delay = \"1s\"
off_delay = \"2s\"
on_bad = \"alarm\"
h = { limit = 70, priority = 3, deadband = 2 }
hh = { limit = 85, priority = 1 }
l = { limit = 20, priority = 4 }
suppress = [{ while = \"X == 1\", levels = [\"l\"], cause = \"idle\", max = \"20s\" }]

[[level]]
id = \"kept\"
select = { tag = \"B\" }
latch = true
on_bad = \"use_value\"
h = { limit = 70, priority = 2 }

[[deviation]]
id = \"apart\"
select = { tag = \"A\" }
sp = \"B\"
h = { limit = 20, deadband = 5 }
l = { limit = -20 }
off_delay = \"1s\"

[[rate]]
id = \"climb\"
select = { tag = \"A\" }
window = \"5s\"
per = \"min\"
h = { limit = 60 }

[[discrete]]
id = \"contact\"
select = { tag = \"X\" }
normal = 0
debounce = \"1s\"

[[discrete]]
id = \"trip\"
select = { tag = \"Y\" }
normal = 0
trip = true

[[redundant]]
id = \"pair\"
select = { tag = \"A\" }
with = [\"B\", \"C\"]
share = 0.1
on_delay = \"1s\"

[[vote]]
id = \"two\"
select = { tag = \"A\" }
legs = [\"A\", \"B\", \"C\"]
of = 2
above = 70

[[aggregate]]
id = \"mean\"
select = { tag = \"C\" }
function = \"mean\"
window = \"4s\"
h = { limit = 70 }

[[expression]]
id = \"both\"
select = { tag = \"A\" }
when = \"A > 70 && (B > 70 || X == 1)\"
off_delay = \"1s\"

[[count]]
id = \"often\"
select = { tag = \"X\" }
window = \"20s\"
at_least = 3

[[sequence]]
id = \"order\"
select = { tag = \"X\" }
first = \"X == 1\"
then = \"Y == 1\"
within = \"3s\"
alarm_on = \"missing\"

[[discrepancy]]
id = \"valve\"
select = { tag = \"X\" }
feedback = \"Y\"
within = \"2s\"

[[stuck]]
id = \"frozen\"
select = { tag = \"C\" }
epsilon = 0.5
window = \"3s\"
while = \"A > 30\"
";

const TAGS: [&str; 5] = ["A", "B", "C", "X", "Y"];

fn plant_of_all() -> (PointTable, RuleSet) {
    let contact = |tag: &str| {
        let mut p = plant::point(tag);
        (p.low, p.high) = (None, None);
        p.unit = "".into();
        p
    };
    let points = TAGS.map(|tag| match tag {
        "X" | "Y" => contact(tag),
        _ => plant::point(tag),
    });
    compiled(plant::table(points), RULES)
}

#[derive(Debug, Clone)]
enum Step {
    /// Which point, what, how good, how old.
    Sample(usize, f64, QualityClass, i64),
    Tick,
    Down,
    Up,
    Clock(i64),
    /// The same rules once more.
    Reload,
    Image,
    Restart(i64),
    Kill(i64),
    Ack(usize),
    Shelve(usize),
    Reset(usize),
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let class = prop_oneof![
        9 => Just(QualityClass::Good),
        1 => Just(QualityClass::Uncertain),
        1 => Just(QualityClass::Bad),
    ];
    let value = prop_oneof![
        Just(10.0),
        Just(30.0),
        Just(50.0),
        Just(51.0),
        Just(69.0),
        Just(75.0),
        Just(90.0),
        Just(f64::NAN)
    ];
    let age = prop_oneof![12 => Just(0_i64), 1 => -8_i64..24];
    let analog = (0_usize..3, value, class.clone(), age.clone())
        .prop_map(|(p, v, c, age)| Step::Sample(p, v, c, age * QUARTER));
    let contact = (3_usize..5, any::<bool>(), class, age)
        .prop_map(|(p, on, c, age)| Step::Sample(p, f64::from(u8::from(on)), c, age * QUARTER));
    let away = || prop_oneof![Just(0_i64), 1_i64..40, Just(40_000)].prop_map(|q| q * QUARTER);
    let step = prop_oneof![
        24 => analog,
        14 => contact,
        2 => Just(Step::Tick),
        1 => Just(Step::Down),
        1 => Just(Step::Up),
        1 => prop_oneof![Just(-3600_i64), Just(3600)].prop_map(Step::Clock),
        1 => Just(Step::Reload),
        1 => Just(Step::Image),
        1 => away().prop_map(Step::Restart),
        1 => away().prop_map(Step::Kill),
        3 => (0_usize..12).prop_map(Step::Ack),
        1 => (0_usize..12).prop_map(Step::Shelve),
        1 => (0_usize..12).prop_map(Step::Reset),
    ];
    proptest::collection::vec((prop_oneof![8 => 0_i64..4, 1 => 4_i64..40], step), 1..160)
}

/// One step; `seq` counts samples, `wall` is what clocks were stepped by.
fn take(rig: &mut Rig, at: i64, seq: u64, wall: i64, step: &Step) {
    let s = at as f64 / 1e9;
    let standing = |rig: &Rig, n: usize| {
        let mut all: Vec<Transition> = rig.engine.standing().into_iter().map(|s| s.last).collect();
        all.retain(|t| t.regions.after.open);
        all.sort_by(|a, b| a.alarm.cmp(&b.alarm));
        all.get(n).cloned()
    };
    match step {
        Step::Sample(p, value, class, age) => {
            let (value, class) = (*value, *class);
            // Stamps go with the wall clock.
            let point = rig.table.find(TAGS[*p]).expect("the point");
            let now = Timestamp(BASE + wall + at);
            rig.give(
                at,
                Input::Sample(davy_points::Sample {
                    point,
                    value: davy_points::Value::F64(value),
                    quality: quality(class),
                    source_time: Timestamp(now.0 - age),
                    offset_ns: 0,
                    uncertainty_ns: 0,
                    arrival_time: now,
                    seq,
                }),
            );
        }
        Step::Tick => rig.give(at, Input::Tick),
        Step::Down => rig.run(&format!("{s}s down")),
        Step::Up => rig.run(&format!("{s}s up")),
        Step::Clock(by) => rig.run(&format!("{s}s step {by}s")),
        Step::Image => rig.run(&format!("{s}s image")),
        Step::Reload => {
            rig.edit((*rig.table).clone(), RULES);
            rig.run(&format!("{s}s reload"));
        }
        Step::Restart(_) => rig.run(&format!("{s}s restart")),
        Step::Kill(_) => rig.run(&format!("{s}s kill")),
        Step::Ack(n) => {
            if let Some(t) = standing(rig, *n) {
                rig.command_for(at, "ack", &t.occurrence);
            }
        }
        Step::Reset(n) => {
            if let Some(t) = standing(rig, *n) {
                rig.command_for(at, "reset", &t.occurrence);
            }
        }
        Step::Shelve(n) => {
            if let Some(t) = standing(rig, *n) {
                rig.run(&format!("{s}s shelve {} 1m", t.alarm));
            }
        }
    }
}

/// Runs all of it; `judge` sees what each step said.
fn run(
    steps: &[(i64, Step)],
    mut judge: impl FnMut(&Rig, &Step, &[Transition]) -> Result<(), TestCaseError>,
) -> Result<Rig, TestCaseError> {
    let (table, rules) = plant_of_all();
    let mut rig = Rig::new(table, rules);
    rig.run("0s image");
    let (mut at, mut wall) = (0, 0);
    for (seq, (wait, step)) in (1_u64..).zip(steps) {
        at += wait * QUARTER;
        if let Step::Restart(away) | Step::Kill(away) = step {
            at += away;
        }
        if let Step::Clock(by) = step {
            wall += by * S;
        }
        let from = rig.transitions.len();
        take(&mut rig, at, seq, wall, step);
        let said = rig.transitions[from..].to_vec();
        judge(&rig, step, &said)?;
    }
    Ok(rig)
}

/// An alarm of the process, not of the signal or of other alarms.
fn process(t: &Transition) -> bool {
    let signal = matches!(
        &*t.kind,
        "stale" | "quality" | "source" | "system" | "stuck"
    );
    !signal && !matches!(t.level, Level::Bad | Level::LossOfView | Level::Chattering)
}

fn fresh(rig: &Rig) -> Engine {
    Engine::start(
        identity(),
        rig.rules.clone(),
        rig.table.clone(),
        Restored::default(),
        Mono(0),
        Timestamp(BASE),
    )
}

/// Without what begins another process, which a log of one process does not hold.
fn one_life(steps: Vec<(i64, Step)>) -> Vec<(i64, Step)> {
    let lives = |s: &(i64, Step)| !matches!(s.1, Step::Restart(_) | Step::Kill(_) | Step::Reload);
    steps.into_iter().filter(lives).collect()
}

proptest! {
    #![proptest_config(super::cases())]

    /// 3.3, 3.13, 8.4: whatever comes, of whatever kind: what stands goes only by the arrival of a
    /// Good sample of one of its inputs; a reload, a restart, a tick, a command, a lost source, a
    /// clock, a Bad, an Uncertain or a late sample end nothing.
    #[test]
    fn absence_clears_no_kind(steps in steps()) {
        run(&steps, |rig, step, said| {
            for t in said.iter().filter(|t| process(t)) {
                let (before, after) = (&t.regions.before, &t.regions.after);
                if !before.is_active() || after.is_active() {
                    continue;
                }
                prop_assert_eq!(t.cause, Cause::Returned, "{} by {:?}", t.alarm, step);
                let Step::Sample(p, v, QualityClass::Good, _) = step else {
                    return Err(TestCaseError::fail(format!("{} by {step:?}", t.alarm)));
                };
                prop_assert!(v.is_finite());
                prop_assert_eq!(rig.stored.last().map(|s| s.1), Some(Quality::Good), "{}", t.alarm);
                let a = rig.rules.find(&t.alarm, &rig.table).expect("the alarm");
                let mut inputs = rig.rules.inputs_of(a, &rig.table);
                inputs.push(&t.tag);
                prop_assert!(inputs.contains(&TAGS[*p]), "{} by {}", t.alarm, TAGS[*p]);
                prop_assert_eq!(t.quality, Quality::Good);
            }
            Ok(())
        })?;
    }

    /// 3.3, section 2, edits: what nobody has seen is never lost: it stands until a person has named it,
    /// over reloads and restarts of any age.
    #[test]
    fn what_nobody_has_seen_stands(steps in steps()) {
        let mut last: BTreeMap<Arc<str>, Regions> = BTreeMap::new();
        run(&steps, |rig, step, said| {
            for t in said {
                let (before, after) = (&t.regions.before, &t.regions.after);
                if process(t) && before.open && !before.acked && !after.open {
                    prop_assert_eq!(t.cause, Cause::Ack, "{} by {:?}", t.alarm, step);
                    prop_assert!(t.actor.is_some());
                }
                last.insert(t.alarm.clone(), after.clone());
            }
            let standing = rig.engine.standing();
            let of: BTreeMap<&str, &Regions> = standing.iter()
                .map(|s| (&*s.last.alarm, &s.last.regions.after)).collect();
            for (alarm, r) in last.iter().filter(|(_, r)| r.open) {
                prop_assert_eq!(of.get(&**alarm), Some(&r), "{} by {:?}", alarm, step);
            }
            Ok(())
        })?;
    }

    /// 8.2: the number of ticks never changes the transition list, of no kind.
    #[test]
    fn ticks_change_no_kind(steps in steps(), every in 1_u64..9) {
        let rig = run(&one_life(steps), |_, _, _| Ok(()))?;
        let mut ticked: Vec<Envelope> = Vec::new();
        for e in &rig.log {
            if let Some(last) = ticked.last().cloned() {
                let offset = last.wall.0 - i64::try_from(last.mono.0).expect("small");
                let mut t = last.mono.0;
                while t + every * 180_000_001 < e.mono.0 {
                    t += every * 180_000_001;
                    ticked.push(Envelope {
                        seq: 0,
                        mono: Mono(t),
                        wall: Timestamp(offset + i64::try_from(t).expect("small")),
                        input: Input::Tick,
                    });
                }
            }
            ticked.push(e.clone());
        }
        let again = replay(fresh(&rig), &ticked);
        for (a, b) in again.transitions.iter().zip(&rig.transitions) {
            prop_assert_eq!(a, b);
        }
        prop_assert_eq!(again.transitions.len(), rig.transitions.len());
    }

    /// 1, 8.2: one log, one outcome, bit for bit, with every kind in it.
    #[test]
    fn one_log_has_one_outcome(steps in steps()) {
        let rig = run(&one_life(steps), |_, _, _| Ok(()))?;
        let (first, second) = (replay(fresh(&rig), &rig.log), replay(fresh(&rig), &rig.log));
        prop_assert_eq!(&first.transitions, &rig.transitions);
        prop_assert_eq!(first.hash, second.hash);
    }

    /// 1, 8.8, 8.22: records hold together: `seq` has no gap over any restart, no occurrence comes
    /// twice, what one record leaves the next one finds, and an overlay record is a change.
    #[test]
    fn records_of_all_kinds_hold_together(steps in steps()) {
        let rig = run(&steps, |_, _, _| Ok(()))?;
        let mut occurrences = BTreeSet::new();
        let mut last: BTreeMap<&str, &Regions> = BTreeMap::new();
        for (n, t) in (1_u64..).zip(&rig.transitions) {
            let (before, after) = (&t.regions.before, &t.regions.after);
            prop_assert_eq!(t.seq, n);
            prop_assert_eq!((t.from, t.to), (before.label(), after.label()));
            if t.cause == Cause::Condition {
                prop_assert!(occurrences.insert(t.occurrence.clone()), "{} twice", t.occurrence);
                prop_assert_eq!(t.occurrence.len(), 26);
            }
            let known = last.insert(&t.alarm, after);
            if let Some(known) = known {
                prop_assert_eq!(known.open, before.open, "{}", t.alarm);
                prop_assert_eq!(known.acked, before.acked, "{}", t.alarm);
                prop_assert_eq!(known.latched, before.latched, "{}", t.alarm);
                prop_assert_eq!(known.is_active(), before.is_active(), "{}", t.alarm);
                prop_assert_eq!(&known.shelved, &before.shelved, "{}", t.alarm);
                prop_assert_eq!(&known.suppressed, &before.suppressed, "{}", t.alarm);
            }
            if t.cause == Cause::Quality {
                prop_assert!(known.map(|k| k.eval) != Some(after.eval), "{}: {:?}", t.alarm, after.eval);
                prop_assert_eq!(t.from, t.to);
            }
            prop_assert!(!(after.masked && after.audible));
            prop_assert!(!after.audible || after.is_bare());
        }
    }
}

/// A sample in time, for whoever reads this file.
#[test]
fn the_plant_compiles_and_speaks() {
    let (table, rules) = plant_of_all();
    let mut rig = Rig::new(table, rules);
    let mut kinds = BTreeSet::new();
    for n in 0..60_i64 {
        for (i, tag) in TAGS.iter().enumerate() {
            let value = match (*tag, n) {
                ("A", 0..20) => 10.0 + 4.0 * n as f64,
                ("A", _) => 90.0,
                ("X" | "Y", n) => f64::from(u8::from(n % 6 < 3 && (*tag == "X" || n > 30))),
                ("B", 20..) => 90.0,
                ("C", 20..) => 75.0,
                _ => 30.0,
            };
            let (at, seq) = (n * S, (n * 10) as u64 + i as u64 + 1);
            let class = QualityClass::Good;
            give(
                &mut rig,
                tag,
                &Reading {
                    at,
                    time: at,
                    seq,
                    value,
                    class,
                },
            );
        }
    }
    for t in rig
        .transitions
        .iter()
        .filter(|t| t.cause == Cause::Condition)
    {
        kinds.insert(t.kind.to_string());
    }
    let expected = [
        "aggregate",
        "count",
        "deviation",
        "discrepancy",
        "discrete",
        "expression",
        "level",
        "rate",
        "redundant",
        "sequence",
        "stuck",
        "vote",
    ];
    for kind in expected {
        assert!(kinds.contains(kind), "{kind} is silent: {kinds:?}");
    }
}
