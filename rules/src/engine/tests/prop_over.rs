//! What people and plans lay over alarms, and what ends it, each sentence of section 8 by itself:
//! labels, deadlines, rejections, re-alarms, suppression. Everything is reckoned from the records
//! and the commands alone.
//!
//! Read first: [`steps`]. What holds for the whole lifecycle at once is in `properties_lifecycle`.

use std::collections::BTreeMap;

use davy_points::{PointTable, QualityClass};
use proptest::prelude::*;

use super::compiled;
use super::model::{Reading, S};
use super::prop_level::give;
use crate::alarm::{Cause, Label, Regions, Rejection, Shelve, Transition, Verb};
use crate::engine::Input;
use crate::proof::plant;
use crate::proof::script::{BASE, Rig};
use crate::ruleset::RuleSet;

/// After so long an acknowledged alarm sounds again.
const REALARM: i64 = 7 * S;

fn plant_of_levels() -> (PointTable, RuleSet) {
    compiled(
        plant::table(["A", "X"].map(plant::point)),
        "[[level]]
             id = \"r\"
             select = { tag = \"A\" }
             chatter = false
             realarm = \"7s\"
             on_delay = \"1s\"
             off_delay = \"1s\"
             h = { limit = 80, priority = 3 }
             hh = { limit = 90, priority = 1 }
             l = { limit = 20, priority = 4 }",
    )
}

const ALARMS: [&str; 3] = ["r/A/h", "r/A/hh", "r/A/l"];

#[derive(Debug, Clone)]
enum Step {
    Sample(f64, QualityClass),
    Tick,
    /// Of the alarm's latest occurrence.
    Seen(&'static str, usize),
    /// A verb, and its rest: for so many seconds.
    Lay(&'static str, usize, i64, &'static str),
    Down,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let class = prop_oneof![
        9 => Just(QualityClass::Good),
        1 => Just(QualityClass::Uncertain),
        1 => Just(QualityClass::Bad),
    ];
    let value = proptest::sample::select(vec![10.0, 50.0, 50.0, 85.0, 85.0, 95.0]);
    let length =
        proptest::sample::select(vec![-1_i64, 0, 2, 3, 5, 60, 14_400, 14_401, 43_200, 43_201]);
    let lay = proptest::sample::select(vec![
        ("shelve", ""),
        ("shelve", ""),
        ("one_shot", ""),
        ("one_shot", ""),
        ("unshelve", ""),
        ("oos", "permit=P-1 second=b"),
        ("in_service", ""),
        ("suppress", "cause=fan permit=O-1 second=b"),
        ("suppress", "cause=idle permit=O-1 second=b"),
        ("unsuppress", "cause=fan"),
        ("unsuppress", "cause=idle"),
    ]);
    let seen = proptest::sample::select(vec!["ack", "ack", "ack", "ack", "un_ack", "silence"]);
    let step = prop_oneof![
        12 => (value, class).prop_map(|(v, c)| Step::Sample(v, c)),
        3 => Just(Step::Tick),
        6 => (seen, 0..ALARMS.len()).prop_map(|(v, n)| Step::Seen(v, n)),
        6 => (lay, 0..ALARMS.len(), length)
            .prop_map(|((v, more), n, s)| Step::Lay(v, n, s, more)),
        1 => Just(Step::Down),
    ];
    // Whole seconds, so that ends and steps meet.
    proptest::collection::vec(
        (
            prop_oneof![3 => Just(0_i64), 8 => 1_i64..4, 1 => 4_i64..80],
            step,
        ),
        1..90,
    )
}

/// What was asked for, and what became of it.
struct Asked<'a> {
    step: &'a Step,
    /// The named alarm before.
    before: Regions,
    /// None: applied.
    why: Option<Rejection>,
}

/// Runs a series; `judge` sees each step's records, and its command with the answer.
fn run(
    steps: &[(i64, Step)],
    mut judge: impl FnMut(&Rig, i64, &[Transition], Option<&Asked<'_>>) -> Result<(), TestCaseError>,
) -> Result<Rig, TestCaseError> {
    let (table, rules) = plant_of_levels();
    let mut rig = Rig::new(table, rules);
    let mut at = 0;
    let mut seq = 0;
    for (wait, step) in steps {
        at += wait * S;
        let from = rig.transitions.len();
        // What is due acts before what comes (8.2, 8.12).
        rig.give(at, Input::Tick);
        let said = rig.transitions[from..].to_vec();
        judge(&rig, at, &said, None)?;
        let from = rig.transitions.len();
        let answers = rig.results.len();
        let s = at / S;
        let mut before = Regions::default();
        let regions_of = |rig: &Rig, alarm: &str| {
            let last = rig.transitions.iter().rev().find(|t| &*t.alarm == alarm);
            last.map(|t| t.regions.after.clone()).unwrap_or_default()
        };
        match step {
            Step::Sample(value, class) => {
                seq += 1;
                let (value, class) = (*value, *class);
                give(
                    &mut rig,
                    "A",
                    &Reading {
                        at,
                        time: at,
                        seq,
                        value,
                        class,
                    },
                );
            }
            Step::Tick => {}
            Step::Down => rig.run(&format!("{s}s down")),
            Step::Seen(verb, n) => {
                before = regions_of(&rig, ALARMS[*n]);
                let has = |t: &Transition| &*t.alarm == ALARMS[*n] && !t.occurrence.is_empty();
                if let Some(t) = rig.transitions.iter().rev().find(|t| has(t)) {
                    let named = t.occurrence.to_string();
                    rig.command_for(at, verb, &named);
                }
            }
            Step::Lay(verb, n, length, more) => {
                before = regions_of(&rig, ALARMS[*n]);
                let until = match *verb {
                    "shelve" | "one_shot" | "oos" | "suppress" => format!("{length}s"),
                    _ => String::new(),
                };
                rig.run(&format!("{s}s {verb} {} {until} {more}", ALARMS[*n]));
            }
        }
        let why = rig.results.get(answers).map(|r| r.why);
        let asked = why.map(|why| Asked { step, before, why });
        let said = rig.transitions[from..].to_vec();
        judge(&rig, at, &said, asked.as_ref())?;
    }
    Ok(rig)
}

/// Section 1 and 8.11, once more: from the regions alone.
fn label(r: &Regions) -> Label {
    if r.out_of_service.is_some() {
        return Label::OutOfService;
    }
    if !r.suppressed.is_empty() {
        return Label::Suppressed;
    }
    if r.shelved.is_some() {
        return Label::Shelved;
    }
    underneath(r)
}

fn underneath(r: &Regions) -> Label {
    match (r.is_active(), r.open, r.acked) {
        (true, _, true) => Label::Acked,
        (true, _, false) => Label::Unack,
        (false, true, _) => Label::RtnUnack,
        (false, false, _) => Label::Normal,
    }
}

fn bare(r: &Regions) -> bool {
    r.out_of_service.is_none() && r.suppressed.is_empty() && r.shelved.is_none()
}

proptest! {
    #![proptest_config(super::cases())]

    /// 8.11, 8.22: OUT_OF_SERVICE before SUPPRESSED before SHELVED; beneath them nothing changes the
    /// label, and an activation is listed, unacknowledged and silent; commands act underneath.
    #[test]
    fn what_lies_over_an_alarm_names_it(steps in steps()) {
        run(&steps, |_, _, said, _| {
            for t in said {
                let (before, after) = (&t.regions.before, &t.regions.after);
                prop_assert_eq!((t.from, t.to), (label(before), label(after)), "{}", t.alarm);
                let lies = |r: &Regions| (r.out_of_service.is_some(), !r.suppressed.is_empty(), r.shelved.is_some());
                if lies(before) == lies(after) && !bare(before) {
                    prop_assert_eq!(t.from, t.to);
                    prop_assert_ne!(&t.regions.before, &t.regions.after);
                }
                if t.cause == Cause::Condition {
                    prop_assert!(after.open && !after.acked);
                    prop_assert_eq!(after.audible, bare(after) && !after.masked, "{}", t.alarm);
                }
                let acts = match t.cause {
                    Cause::Ack if before.is_active() => Label::Acked,
                    Cause::Ack => Label::Normal,
                    Cause::UnAck => Label::Unack,
                    _ => continue,
                };
                prop_assert_eq!(underneath(after), acts);
            }
            Ok(())
        })?;
    }

    /// 8.12: no shelf outlives its deadline, which comes before commands of its instant; a one-shot ends
    /// with the return, keeping the label underneath; a shelf on a shelf is refused, as is one of no
    /// length or more than the priority's, and one on priority 1.
    #[test]
    fn a_shelf_ends_when_it_must(steps in steps()) {
        run(&steps, |rig, at, said, asked| {
            for (n, t) in said.iter().enumerate() {
                let (before, after) = (&t.regions.before, &t.regions.after);
                let one_shot = matches!(before.shelved, Some(Shelve::OneShot { .. }));
                if t.cause == Cause::Returned && one_shot {
                    let end = said[n..].iter().find(|e| e.alarm == t.alarm && e.regions.after.shelved.is_none());
                    let end = end.expect("it ends with the return");
                    prop_assert_eq!((end.cause, end.recorded_at), (Cause::Expired, t.recorded_at));
                    prop_assert_eq!(underneath(&end.regions.after), underneath(after));
                }
                if before.shelved.is_some() && after.shelved.is_none() {
                    prop_assert!(matches!(t.cause, Cause::Expired | Cause::Unshelve));
                    // Row 12: with the condition true expiry asks again.
                    if t.cause == Cause::Expired && before.is_active() {
                        prop_assert_eq!(underneath(after), Label::Unack);
                    }
                }
            }
            for t in rig.engine.standing() {
                let r = &t.last.regions.after;
                let ends = r.shelved.map(|s| s.until().0 - BASE).into_iter()
                    .chain(r.out_of_service.as_ref().map(|o| o.until.0 - BASE))
                    .chain(r.suppressed_until.map(|u| u.0 - BASE));
                for end in ends {
                    prop_assert!(end > at, "{} at {at}", t.last.alarm);
                }
            }
            if let Some(Asked { step: Step::Lay("shelve" | "one_shot", n, length, _), before, why }) = asked {
                let longest = [240 * 60, 0, 720 * 60][*n];
                let expected = match (longest, before.shelved.is_some()) {
                    (0, _) => Some(Rejection::NotShelvable),
                    (_, true) => Some(Rejection::AlreadyShelved),
                    _ if *length <= 0 => Some(Rejection::NeedsDeadline),
                    _ if *length > longest => Some(Rejection::TooLong),
                    _ => None,
                };
                prop_assert_eq!(*why, expected);
            }
            Ok(())
        })?;
    }

    /// 8.13: a rejection is a result and no transition; what is applied is just one of the alarm named;
    /// the reason is that of the state that the person saw.
    #[test]
    fn a_rejection_changes_nothing(steps in steps()) {
        run(&steps, |rig, _, said, asked| {
            let Some(asked) = asked else { return Ok(()) };
            let id = rig.log.last().and_then(|e| match &e.input {
                Input::Command(c) => Some(c.id.clone()),
                _ => None,
            });
            let (Step::Seen(_, n) | Step::Lay(_, n, _, _)) = asked.step else { return Ok(()) };
            let of_it: Vec<&Transition> = said.iter().filter(|t| t.command_id == id).collect();
            prop_assert_eq!(of_it.len(), usize::from(asked.why.is_none()));
            prop_assert!(of_it.iter().all(|t| &*t.alarm == ALARMS[*n]));
            prop_assert!(asked.why.is_none() || said.is_empty(), "{:?}", said);
            let before = &asked.before;
            let expected = match asked.step {
                Step::Seen("ack", _) if !before.open => Some(Rejection::StaleOccurrence),
                Step::Seen("ack", _) if before.acked => Some(Rejection::AlreadyAcked),
                Step::Seen("ack", _) => None,
                Step::Seen("un_ack", _) if !before.open => Some(Rejection::StaleOccurrence),
                Step::Seen("un_ack", _) if underneath(before) != Label::Acked => Some(Rejection::NotApplicable),
                Step::Seen("un_ack", _) => None,
                Step::Seen(_, _) if !before.open => Some(Rejection::StaleOccurrence),
                Step::Seen(_, _) if !before.audible => Some(Rejection::NotApplicable),
                Step::Seen(_, _) => None,
                Step::Lay("unshelve", ..) => before.shelved.is_none().then_some(Rejection::NotApplicable),
                Step::Lay("in_service", ..) => before.out_of_service.is_none().then_some(Rejection::NotApplicable),
                _ => return Ok(()),
            };
            prop_assert_eq!(asked.why, expected, "{:?}", asked.step);
            Ok(())
        })?;
    }

    /// 8.10, 8.25: an acknowledged alarm sounds again just so long after the ack, the unshelving or the
    /// release, through UNKNOWN and off-delays; never under anything, never masked; and on release
    /// only UNACK sounds.
    #[test]
    fn it_sounds_again_in_its_time(steps in steps()) {
        let mut since: BTreeMap<String, (i64, bool)> = BTreeMap::new();
        run(&steps, |_, at, said, _| {
            for t in said {
                let (before, after) = (&t.regions.before, &t.regions.after);
                let now = t.recorded_at.0 - BASE;
                let free = |r: &Regions| bare(r) && !r.masked;
                let alarm = t.alarm.to_string();
                let known = since.get(&alarm).copied();
                if t.cause == Cause::Realarm {
                    prop_assert!(free(before), "{} under something", t.alarm);
                    prop_assert_eq!(known.map(|k| k.0 + REALARM), Some(now), "{}", t.alarm);
                    prop_assert_eq!(underneath(after), Label::Unack);
                    prop_assert!(after.audible);
                }
                let released = !free(before) && free(after);
                if released {
                    prop_assert_eq!(after.audible, underneath(after) == Label::Unack, "{} {:?}", t.alarm, t.cause);
                }
                match underneath(after) {
                    Label::Acked if released || t.cause == Cause::Ack || known.is_none() => {
                        since.insert(alarm, (now, free(after)));
                    }
                    Label::Acked => {
                        since.insert(alarm, (known.map_or(now, |k| k.0), free(after)));
                    }
                    _ => {
                        since.remove(&alarm);
                    }
                }
            }
            for (alarm, (start, is_free)) in &since {
                prop_assert!(!is_free || start + REALARM > at, "{alarm} is silent at {at} since {start}");
            }
            Ok(())
        })?;
    }

    /// 3.8: an ack, a shelf, a suppression, out of service of H, whatever they do to H, leave HH as it
    /// would be without them.
    #[test]
    fn what_is_done_to_h_leaves_hh_alone(steps in steps()) {
        let only_h: Vec<(i64, Step)> = steps.into_iter().map(|(w, s)| match s {
            Step::Seen(v, _) => (w, Step::Seen(v, 0)),
            Step::Lay(v, _, l, m) => (w, Step::Lay(v, 0, l, m)),
            other => (w, other),
        }).collect();
        let without: Vec<(i64, Step)> = only_h.iter().map(|(w, s)| match s {
            Step::Seen(..) | Step::Lay(..) => (*w, Step::Tick),
            other => (*w, other.clone()),
        }).collect();
        let of_hh = |rig: &Rig| -> Vec<String> {
            rig.lines().into_iter().filter(|l| l.contains("r/A/hh")).collect()
        };
        let (with, without) = (run(&only_h, |_, _, _, _| Ok(()))?, run(&without, |_, _, _, _| Ok(()))?);
        prop_assert_eq!(of_hh(&with), of_hh(&without));
    }

    /// 3.8, 8.23: while HH stands bare, H is masked; while it does not, H is not; HH itself never is.
    #[test]
    fn only_what_stands_masks(steps in steps()) {
        let mut now: BTreeMap<String, Regions> = BTreeMap::new();
        run(&steps, |_, _, said, _| {
            for t in said {
                now.insert(t.alarm.to_string(), t.regions.after.clone());
            }
            let of = |alarm: &str| now.get(alarm).cloned().unwrap_or_default();
            let (h, hh) = (of("r/A/h"), of("r/A/hh"));
            prop_assert_eq!(h.masked, hh.is_active() && bare(&hh), "{:?} {:?}", h, hh);
            prop_assert!(!hh.is_active() || h.is_active());
            prop_assert!(!hh.masked && !of("r/A/l").masked);
            Ok(())
        })?;
    }

    /// 8.14, 8.21: suppressed exactly while its cause is true, on Good input alone, and its maximum has
    /// not passed since it became true; after a start not before it has been judged.
    #[test]
    fn suppressed_while_its_cause_is_true(
        steps in proptest::collection::vec((1_i64..6, 0_u8..12), 1..60), max in 4_i64..20,
    ) {
        let rule = format!(
            "[[level]]\nid = \"r\"\nselect = {{ tag = \"A\" }}\nh = {{ limit = 80, priority = 3 }}\nchatter = false\n\
             suppress = [{{ while = \"X == 1\", cause = \"idle\", max = \"{max}s\" }}]"
        );
        let (table, rules) = compiled(plant::patient(&["A", "X"]), &rule);
        let mut rig = Rig::new(table, rules);
        // `before`: since when it was true when the process stopped; it has one maximum.
        let (mut at, mut since, mut before) = (0, None::<i64>, None::<i64>);
        for (n, (wait, what)) in steps.iter().enumerate() {
            at += wait * S;
            let say = |rig: &mut Rig, value, class| {
                give(rig, "X", &Reading { at, time: at, seq: n as u64 + 1, value, class });
            };
            let holds = match what {
                0..4 => {
                    say(&mut rig, 1.0, QualityClass::Good);
                    true
                }
                4..6 => {
                    say(&mut rig, 0.0, QualityClass::Good);
                    false
                }
                6 => {
                    say(&mut rig, 1.0, QualityClass::Uncertain);
                    false
                }
                7 => {
                    say(&mut rig, 1.0, QualityClass::Bad);
                    false
                }
                8 => {
                    rig.run(&format!("{}s down", at / S));
                    false
                }
                9 => {
                    rig.run(&format!("{}s restart", at / S));
                    let standing = rig.engine.standing();
                    prop_assert!(standing.iter().all(|s| s.last.regions.after.suppressed.is_empty()));
                    before = since.or(before);
                    since = None;
                    continue;
                }
                _ => {
                    rig.give(at, Input::Tick);
                    if since.is_none() {
                        continue;
                    }
                    true
                }
            };
            since = holds.then(|| since.or(before).unwrap_or(at));
            before = None;
            let expected = since.is_some_and(|t| at < t + max * S);
            let last = rig.transitions.iter().rev().find(|t| &*t.alarm == "r/A/h");
            let is = last.is_some_and(|t| !t.regions.after.suppressed.is_empty());
            prop_assert_eq!(is, expected, "at {} since {:?}: {:#?}", at / S, since.map(|s| s / S), rig.lines());
        }
    }
}

/// Only verbs that this file knows.
#[test]
fn roles_may_do_what_is_tried() {
    for verb in [Verb::Ack, Verb::Shelve, Verb::Silence] {
        assert!(crate::alarm::Role::Operator.may(verb));
    }
}
