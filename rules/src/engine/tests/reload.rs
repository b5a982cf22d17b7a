//! Edits while the engine runs (section 2, edits; 8.23, 8.24): nothing that stands is lost, nothing
//! returns by them, and an edit does what it would do over a restart.

use std::collections::BTreeMap;

use davy_points::{Life, PointDef, Priority, Quality};
use proptest::prelude::*;

use super::properties::{QUARTER, RULES, Step, give, plant, points, process, steps};
use super::{delays, lt};
use crate::alarm::{Cause, Label, Transition};
use crate::engine::{Engine, Envelope, Restored};
use crate::proof::script::{BASE, Rig, check, identity};
use crate::proof::{plant as build, replay};

/// LT as it is after the edit.
fn edit(rig: &mut Rig, change: impl Fn(&mut PointDef), rules: &str) {
    let (table, _) = super::ruled(change, rules);
    rig.edit(table, rules);
}

fn edited(
    before: impl Fn(&mut PointDef),
    script: &str,
    after: impl Fn(&mut PointDef),
    then: &str,
    expected: &str,
) -> Rig {
    let mut rig = Rig::new(lt(&before).0, lt(&before).1);
    rig.run(script);
    edit(
        &mut rig,
        |p| {
            before(p);
            after(p);
        },
        "",
    );
    let records = rig.transitions.len();
    rig.run(then);
    let expected: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    assert_eq!(rig.lines()[records..], expected, "{script}\n{then}");
    rig
}

/// Text and guidance: nothing happens, and the next record says the new words.
#[test]
fn a_text_is_only_a_text() {
    let rule = |text: &str| {
        format!(
            "[[level]]\nid = \"x\"\nselect = {{ tag = \"LT\" }}\non_delay = \"5s\"\noff_delay = \"3s\"\ntext = \"{text}\""
        )
    };
    let mut rig = check(
        super::ruled(|_| {}, &rule("old")),
        "0s LT=85
         3s LT=85
         5s LT=85
         6s ack x/LT/h
         7s LT=79.5
         7.5s LT=78",
        "5s x/LT/h NORMAL>UNACK condition
         6s x/LT/h UNACK>ACKED ack",
    );
    let (table, _) = super::ruled(|_| {}, &rule("new"));
    rig.edit(table, &rule("new"));
    // The off-delay that began at 7.5 s goes on.
    rig.run(
        "8s reload
         10.5s LT=78",
    );
    assert_eq!(rig.lines()[2..], ["10.5s x/LT/h ACKED>NORMAL returned"]);
    assert_eq!(&*rig.transitions[2].text, "new");
    assert_ne!(rig.transitions[2].rule_rev, rig.transitions[1].rule_rev);
    assert_eq!(&*rig.transitions[2].plan_rev, "fedcba9876543210");
}

/// Now true and was not: the on-delay starts now, though nothing comes.
#[test]
fn a_lowered_limit_alarms_by_its_delay() {
    edited(
        |p| {
            delays(2, 0)(p);
            p.stale_after = std::time::Duration::from_secs(60);
        },
        "0s LT=70",
        |p| p.limits.h = Some(60.0),
        "1s reload
         2.9s tick
         9s tick",
        "3s table/LT/h NORMAL>UNACK condition",
    );
    // Without a delay it is there at once.
    edited(
        |_| {},
        "0s LT=70",
        |p| p.limits.hh = Some(60.0),
        "1s reload",
        "1s table/LT/hh NORMAL>UNACK condition
         1s table/LT/h NORMAL>UNACK condition masked",
    );
}

/// Now false: its own off-delay from now, and a Good sample that ends it. No reload returns.
#[test]
fn a_raised_limit_returns_by_a_good_sample() {
    edited(
        |p| delays(0, 2)(p),
        "0s LT=85
         0.5s ack table/LT/h",
        |p| p.limits.h = Some(88.0),
        "1s reload
         2.9s LT=85
         3s LT=85 uncertain
         3.5s LT=85
         5.4s LT=85
         5.5s LT=85",
        "3s table/LT/hh NORMAL>NORMAL quality unknown
         3s table/LT/h ACKED>ACKED quality unknown
         3s table/LT/ll NORMAL>NORMAL quality unknown
         3s table/LT/l NORMAL>NORMAL quality unknown
         3.5s table/LT/hh NORMAL>NORMAL quality
         3.5s table/LT/h ACKED>ACKED quality
         3.5s table/LT/ll NORMAL>NORMAL quality
         3.5s table/LT/l NORMAL>NORMAL quality
         5.5s table/LT/h ACKED>NORMAL rule_changed",
    );
}

/// Never while it is Unknown: what was Bad, stale or lost at the edit says nothing of it.
#[test]
fn an_unknown_value_is_held_against_nothing() {
    for how in ["0.5s LT=70 bad", "4s tick", "0.5s down"] {
        let rig = edited(
            |_| {},
            "0s LT=70",
            |_| {},
            how,
            // Whatever the loss itself says.
            &{
                let mut r = Rig::new(lt(|_| {}).0, lt(|_| {}).1);
                r.run("0s LT=70");
                r.run(how);
                r.lines().join("\n")
            },
        );
        let mut rig = rig;
        edit(&mut rig, |p| p.limits.h = Some(60.0), "");
        let records = rig.transitions.len();
        rig.run("5s reload\n 5.5s tick");
        let raised = rig.transitions[records..]
            .iter()
            .any(|t| process(t) && t.cause == Cause::Condition);
        assert!(!raised, "{how}: {:#?}", rig.lines());
        rig.run("6s LT=70");
        assert_eq!(
            rig.transitions
                .iter()
                .filter(|t| process(t) && t.cause == Cause::Condition)
                .count(),
            1
        );
    }
}

/// A pending start keeps its start under another delay; one made false is cancelled.
#[test]
fn pending_starts() {
    let slow = |p: &mut PointDef| {
        delays(10, 0)(p);
        p.stale_after = std::time::Duration::from_secs(100);
    };
    edited(
        slow,
        "1s LT=85",
        |p| p.on_delay = std::time::Duration::from_secs(4),
        "2s reload
         20s tick",
        "5s table/LT/h NORMAL>UNACK condition",
    );
    // Over already: now.
    edited(
        slow,
        "1s LT=85\n 5s LT=85",
        |p| p.on_delay = std::time::Duration::from_secs(2),
        "6s reload",
        "6s table/LT/h NORMAL>UNACK condition",
    );
    edited(
        slow,
        "1s LT=85",
        |p| p.limits.h = Some(88.0),
        "2s reload
         20s tick",
        "",
    );
    // Uncertain beyond the new exit cancels nothing.
    edited(
        slow,
        "1s LT=85 uncertain",
        |p| p.limits.h = Some(88.0),
        "2s reload
         11s tick",
        "11s table/LT/h NORMAL>UNACK condition unknown",
    );
}

/// A raised priority is seen again; a lowered one is not.
#[test]
fn a_raised_priority_is_seen_again() {
    for (after, lines) in [(1, "2s table/LT/h ACKED>UNACK realarm"), (4, "")] {
        edited(
            |p| p.priority = Priority::new(3),
            "0s LT=85
             1s ack table/LT/h",
            |p| p.priority = Priority::new(after),
            "2s reload",
            lines,
        );
    }
}

/// A level, a rule, a point that is gone: what nobody has seen waits for a person.
#[test]
fn what_is_gone_waits_for_a_person() {
    for change in [
        (|p| p.limits.hh = None) as fn(&mut PointDef),
        |p| p.life = Life::Planned,
        |p| p.tag = "OTHER".into(),
    ] {
        let mut rig = Rig::new(lt(|_| {}).0, lt(|_| {}).1);
        rig.run("0s LT=95");
        edit(&mut rig, change, "");
        rig.run("1s reload");
        assert_eq!(
            rig.lines()[2],
            "1s table/LT/hh UNACK>RTN_UNACK superseded",
            "{:#?}",
            rig.lines()
        );
        rig.run("2s ack table/LT/hh");
        assert_eq!(
            rig.lines().last().unwrap(),
            "2s table/LT/hh RTN_UNACK>NORMAL ack"
        );
        // It comes back: its occurrences go on counting.
        let first = rig.occurrence("table/LT/hh");
        edit(&mut rig, |_| {}, "");
        rig.run("3s reload\n 4s LT=95");
        assert_ne!(first, rig.occurrence("table/LT/hh"));
    }
}

/// H appears under an active HH: its own on-delay, masked, and exposed when HH leaves (8.23).
#[test]
fn a_lesser_level_under_a_worse_one() {
    edited(
        |p| {
            p.limits.h = None;
            delays(2, 0)(p);
        },
        "0s LT=95
         2s LT=95",
        |p| p.limits.h = Some(80.0),
        "3s reload
         4s LT=95
         5s LT=95
         6s LT=85",
        "5s table/LT/h NORMAL>UNACK condition masked
         6s table/LT/hh UNACK>RTN_UNACK returned
         6s table/LT/h UNACK>UNACK unmasked",
    );
}

/// Put into service with its condition true: annunciated, whatever was acknowledged before.
#[test]
fn a_point_put_into_service_says_what_stands() {
    edited(
        |p| p.life = Life::Commissioning,
        "0s LT=85
         1s ack table/LT/h",
        |p| p.life = Life::InService,
        "2s reload",
        "2s table/LT/h ACKED>UNACK realarm",
    );
}

/// What an edit says of an alarm that it takes away is a record of its own: not a copy of the last.
#[test]
fn a_superseded_record_is_no_copy_of_the_last() {
    let sealed = |rig: &mut Rig| {
        for t in &mut rig.transitions {
            (t.prev, t.hash) = (Some("before".into()), Some("here".into()));
        }
    };
    let at = |s: i64| davy_points::Timestamp(BASE + s * 1_000_000_000);
    // One that stands, and one that is only known to be blind.
    for (script, labels) in [
        (
            "0s LT=85\n 1s silence table/LT/h",
            (Label::Unack, Label::RtnUnack),
        ),
        ("0s LT=85 bad", (Label::Normal, Label::Normal)),
    ] {
        let mut rig = Rig::new(lt(|_| {}).0, lt(|_| {}).1);
        rig.run(script);
        sealed(&mut rig);
        rig.run("2s kill");
        sealed(&mut rig);
        let last = |rig: &Rig| {
            let of = |t: &&Transition| &*t.alarm == "table/LT/h";
            rig.transitions.iter().rev().find(of).cloned().unwrap()
        };
        let before = last(&rig);
        edit(&mut rig, |p| p.limits.h = None, "");
        rig.run("3s reload");
        let t = last(&rig);
        assert_eq!(
            (t.from, t.to, t.cause),
            (labels.0, labels.1, Cause::Superseded)
        );
        assert_eq!((t.source_time, t.recorded_at), (at(3), at(3)), "{script}");
        assert_eq!(&*t.plan_rev, "fedcba9876543210");
        assert_eq!((t.command_id, t.actor, t.reason), (None, None, None));
        assert_eq!((t.prev, t.hash), (None, None));
        assert_eq!(
            (t.occurrence, t.episode),
            (before.occurrence, before.episode)
        );
        assert_eq!(t.regions.before, before.regions.after);
        if !t.regions.before.open {
            let known = crate::alarm::Regions {
                eval: crate::alarm::Eval::Known,
                ..crate::alarm::Regions::default()
            };
            assert_eq!(t.regions.after, known);
        }
        assert_eq!(t.seq, rig.transitions.len() as u64);
    }
}

/// 3.6, 8.24: under `strict` an edit that no longer meets the entry condition cancels a pending one.
#[test]
fn an_edit_cancels_a_strict_pending_one_that_it_no_longer_meets() {
    for (pending, lines) in [
        ("held", vec!["10s x/LT/h NORMAL>UNACK condition"]),
        ("strict", vec![]),
    ] {
        let rule = |limit: u32| {
            format!(
                "[[level]]\nid = \"x\"\nselect = {{ tag = \"LT\" }}\npending = \"{pending}\"\nh = {{ limit = {limit}, priority = 3, deadband = 9, on_delay = \"10s\" }}"
            )
        };
        let bare = |p: &mut PointDef| p.limits = davy_points::Limits::default();
        let mut rig = Rig::new(
            super::ruled(bare, &rule(80)).0,
            super::ruled(bare, &rule(80)).1,
        );
        rig.run("0s LT=85");
        edit(&mut rig, bare, &rule(88));
        rig.run("1s reload\n 3s LT=85\n 6s LT=85\n 9s LT=85\n 11s tick");
        assert_eq!(rig.lines(), lines, "{pending}");
    }
}

/// 8.24: `rule_changed` is for a return that the limit of before would not have made: not where the
/// alarm has stood by the limits of now since.
#[test]
fn what_stood_by_the_new_limits_returns_by_itself() {
    for (limits, script, cause) in [
        (&[90.0][..], "1.5s LT=85", "rule_changed"),
        (&[90.0], "1.5s LT=96", "returned"),
        (&[90.0, 84.0], "1.5s LT=82.5", "returned"),
        (&[90.0, 88.0], "1.5s LT=82.5", "rule_changed"),
    ] {
        let plant = |h: f64| {
            move |p: &mut PointDef| {
                delays(0, 4)(p);
                p.limits.h = Some(h);
                p.limits.hh = None;
            }
        };
        let mut rig = Rig::new(lt(plant(80.0)).0, lt(plant(80.0)).1);
        rig.run("0s LT=85");
        for h in limits {
            edit(&mut rig, plant(*h), "");
            rig.run("1s reload");
        }
        rig.run(script);
        rig.run("2s LT=82.5\n 4s LT=82.5\n 6s LT=82.5");
        let lines = rig.lines();
        let expected = format!("6s table/LT/h UNACK>RTN_UNACK {cause}");
        assert_eq!(lines[1..], [expected], "{limits:?} {script}");
    }
}

/// An edited set of classes is held against the newest sample; what ends it is still a Good one.
#[test]
fn edited_classes_are_held_against_the_newest_sample() {
    let rule = |classes: &str| {
        format!(
            "[[quality]]\nid = \"poor\"\nselect = {{ tag = \"LT\" }}\nclasses = [{classes}]\npriority = 2\non_delay = \"0s\"\noff_delay = \"2s\""
        )
    };
    let table = || build::table_of(&["LT"]);
    let run = |before: &str, script: &str, after: &str, then: &str| {
        let (plant, rules) = super::compiled(table(), &rule(before));
        let mut rig = Rig::new(plant, rules);
        rig.run(script);
        rig.edit(table(), &rule(after));
        rig.run(then);
        rig.lines()
    };
    let (bad, both) = ("\"bad\"", "\"bad\", \"uncertain\"");
    assert_eq!(
        run(bad, "0s LT=1 uncertain", both, "1s reload"),
        ["1s poor/LT/bad NORMAL>UNACK condition"]
    );
    let raised = "0s poor/LT/bad NORMAL>UNACK condition";
    // Neither in the set nor Good: no off-delay begins.
    assert_eq!(
        run(
            both,
            "0s LT=1 uncertain",
            bad,
            "1s reload\n 2s LT=1\n 3.5s LT=1"
        )[..],
        [raised]
    );
    // Good: it begins with the edit, and nothing but a sample ends it.
    assert_eq!(
        run(
            both,
            "0s LT=1 uncertain\n 1s LT=1",
            bad,
            "1.5s reload\n 3.6s tick\n 3.8s LT=1"
        ),
        [raised, "3.8s poor/LT/bad UNACK>RTN_UNACK rule_changed"]
    );
}

/// 8.24: an acked alarm whose rule is gone goes; where a person had still to confirm it, it waits.
#[test]
fn an_acked_alarm_that_is_gone_waits_for_its_confirmation_only() {
    let rule = "[[level]]\nid = \"x\"\nselect = { tag = \"LT\" }\nconfirm = true\nh = { limit = 80, priority = 3 }";
    let bare = |p: &mut PointDef| p.limits = davy_points::Limits::default();
    for (confirm, to) in [("", "LATCH_ACK"), ("2s confirm x/LT/h true", "NORMAL")] {
        let mut rig = Rig::new(super::ruled(bare, rule).0, super::ruled(bare, rule).1);
        rig.run(&format!("0s LT=85\n 1s ack x/LT/h\n {confirm}"));
        edit(&mut rig, bare, "");
        rig.run("3s reload");
        let lines = rig.lines();
        assert_eq!(
            *lines.last().unwrap(),
            format!("3s x/LT/h ACKED>{to} superseded")
        );
    }
}

/// What a judge waits for goes on over an edit of another rule, by its own name, wherever it stands
/// in the files; and so does what it has counted.
#[test]
fn a_judge_keeps_its_memory_and_its_deadline_over_an_edit() {
    let count = |id: &str, tag: &str, n: u32| {
        format!(
            "[[count]]\nid = \"{id}\"\nselect = {{ tag = \"{tag}\" }}\nwhen = \"{tag} > 0.5\"\nwindow = \"10m\"\nat_least = {n}\n"
        )
    };
    let watch = "[[sequence]]\nid = \"s\"\nselect = { tag = \"A\" }\nfirst = \"A > 0.5\"\nthen = \"C > 0.5\"\nwithin = \"10s\"\nalarm_on = \"missing\"\n";
    let table = || build::patient(&["A", "B", "C"]);
    let before = format!("{}{}{watch}", count("one", "A", 2), count("two", "B", 3));
    // In another order; B is asked for less; A's settings are the same.
    let after = format!("{watch}{}{}", count("two", "B", 2), count("one", "A", 2));
    let (plant, rules) = super::compiled(table(), &before);
    let mut rig = Rig::new(plant, rules);
    rig.run("0s A=0; B=0; C=0\n 1s A=1; B=1\n 2s B=0");
    rig.edit(table(), &after);
    rig.run("3s reload\n 4s A=0\n 5s A=1\n 6s B=1\n 12s tick");
    assert_eq!(
        rig.lines(),
        [
            "5s one/A/on NORMAL>UNACK condition",
            "6s two/B/on NORMAL>UNACK condition",
            "11s s/A/on NORMAL>UNACK condition",
        ]
    );
}

/// On other inputs it is another alarm, and starts UNKNOWN; with other settings it is the same.
#[test]
fn other_inputs_supersede() {
    let rule = |sp: &str| {
        format!(
            "[[deviation]]\nid = \"off\"\nselect = {{ tag = \"PV\" }}\nsp = \"{sp}\"\nh = {{ limit = 5 }}\nsp_settle = \"1s\""
        )
    };
    let table = || build::patient(&["PV", "S1", "S2"]);
    for (after, lines) in [
        (rule("S2"), vec!["2s off/PV/h UNACK>RTN_UNACK superseded"]),
        (rule("S1").replace("1s", "2s"), vec![]),
        (rule("S1").replace('5', "4"), vec![]),
    ] {
        let (plant, rules) = super::compiled(table(), &rule("S1"));
        let mut rig = Rig::new(plant, rules);
        rig.run("0s S1=50; PV=56");
        rig.edit(table(), &after);
        rig.run("2s reload");
        assert_eq!(rig.lines()[1..], lines, "{after}");
        let first = rig.occurrence("off/PV/h");
        rig.run("3s S2=10; PV=56; S1=10");
        rig.run("9s S2=10; PV=56; S1=10");
        let second = rig.occurrence("off/PV/h");
        assert_eq!(first != second, lines.len() == 1, "{:#?}", rig.lines());
    }
}

/// The same over a restart: the image knows what an alarm read.
#[test]
fn other_inputs_supersede_over_a_restart() {
    let rule = |sp: &str| {
        format!(
            "[[deviation]]\nid = \"off\"\nselect = {{ tag = \"PV\" }}\nsp = \"{sp}\"\nh = {{ limit = 5 }}"
        )
    };
    let table = || build::patient(&["PV", "S1", "S2"]);
    let (plant, rules) = super::compiled(table(), &rule("S1"));
    let mut rig = Rig::new(plant, rules);
    rig.run("0s S1=50; PV=56");
    let first = rig.occurrence("off/PV/h");
    let (plant, rules) = super::compiled(table(), &rule("S2"));
    (rig.table, rig.rules) = (plant.into(), rules.into());
    rig.run("2s restart");
    assert_eq!(rig.lines()[1..], ["2s off/PV/h UNACK>RTN_UNACK superseded"]);
    rig.run("3s S2=10; PV=56");
    assert_ne!(first, rig.occurrence("off/PV/h"));
}

/// Tables in another order: indexes are others, and nothing else is.
fn turned() -> davy_points::PointTable {
    let mut table = davy_points::PointTable::new();
    table.add_source(build::source("more", false));
    let source = table.add_source(build::source("plc", false));
    let mut points = points();
    points.reverse();
    points.insert(1, build::point("NEW"));
    for mut p in points {
        p.source = source;
        p.life = if &*p.tag == "NEW" {
            Life::Planned
        } else {
            p.life
        };
        table.add(p).unwrap();
    }
    table
}

/// Alarms of the process: which of two points that fall silent at once is told first is a matter of
/// their order.
fn by_alarm(rig: &Rig) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let all = rig.transitions.iter().zip(rig.lines());
    for (t, line) in all.filter(|(t, _)| process(t)) {
        let occurrence = &t.occurrence;
        out.entry(t.alarm.to_string())
            .or_default()
            .push(format!("{} {occurrence}", line.replace(" grouped", "")));
    }
    out
}

fn run(steps: &[(i64, Step)], between: impl FnMut(&mut Rig, usize, i64)) -> Rig {
    run_on(plant(), steps, between)
}

fn run_on(
    (table, rules): (davy_points::PointTable, crate::ruleset::RuleSet),
    steps: &[(i64, Step)],
    mut between: impl FnMut(&mut Rig, usize, i64),
) -> Rig {
    let mut rig = Rig::new(table, rules);
    let mut at = 0;
    for (n, (wait, step)) in steps.iter().enumerate() {
        let before = at;
        at += wait * QUARTER;
        between(&mut rig, n, before);
        give(&mut rig, at, step);
    }
    rig
}

/// What an edit may be, from the least to the most.
#[derive(Debug, Clone, Copy)]
enum Change {
    Limit(f64),
    Deadband(f64),
    Delay(u64),
    Priority(u8),
    NoHh,
    Table,
    Commissioning,
}

/// Rules without the chatter guard, whose memory a restart does not keep, and without a re-alarm,
/// which may fall into an off-delay that a restart begins again.
const CALM: &str = "[[level]]
    id = \"slow\"
    select = { tag = \"A\" }
    on_delay = \"2s\"
    off_delay = \"3s\"
    h = { priority = 3 }
    on_bad = \"alarm\"
    chatter = false
    [[level]]
    id = \"calm\"
    select = { tag = \"C\" }
    chatter = false";

/// One of them is gone for another, the other is strict.
const OTHER: &str = "[[level]]
    id = \"new\"
    select = { tag = \"A\" }
    off_delay = \"1s\"
    chatter = false
    [[level]]
    id = \"calm\"
    select = { tag = \"C\" }
    pending = \"strict\"
    chatter = false";

fn changed(change: Change) -> (Vec<PointDef>, &'static str) {
    let mut all = points();
    for p in &mut all {
        match change {
            Change::Limit(h) => p.limits.h = Some(h),
            Change::Deadband(d) => p.deadband = d,
            Change::Delay(s) => {
                p.on_delay = std::time::Duration::from_secs(s);
                p.off_delay = p.on_delay;
            }
            Change::Priority(n) => p.priority = Priority::new(n),
            Change::NoHh => p.limits.hh = None,
            Change::Table => {}
            Change::Commissioning => p.life = Life::Commissioning,
        }
    }
    let rules = match change {
        Change::Table => OTHER,
        _ => CALM,
    };
    (all, rules)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        prop_oneof![Just(70.0), Just(79.0), Just(85.0), Just(88.0)].prop_map(Change::Limit),
        prop_oneof![Just(0.0), Just(3.0)].prop_map(Change::Deadband),
        (0_u64..5).prop_map(Change::Delay),
        (1_u8..5).prop_map(Change::Priority),
        Just(Change::NoHh),
        Just(Change::Table),
        Just(Change::Commissioning),
    ]
}

fn in_time() -> impl Strategy<Value = Vec<(i64, Step)>> {
    steps().prop_map(|steps| {
        let plain = |step| match step {
            Step::Sample(p, v, q, _) => Some(Step::Sample(p, v, q, 0)),
            Step::Clock(_) => None,
            other => Some(other),
        };
        steps
            .into_iter()
            .filter_map(|(w, s)| Some((w, plain(s)?)))
            .collect()
    })
}

proptest! {
    #![proptest_config(super::cases())]

    /// 8.24: the same rules again change nothing, at whatever moment, in whatever order of points.
    #[test]
    fn the_same_rules_again_change_nothing(steps in steps(), at in 0_usize..120, other_order in any::<bool>()) {
        // Which of several that fall silent at once is told, and which stands beneath, is a matter of
        // their order: what is acknowledged by its place in the list would be another.
        let by_place = |s: &Step| matches!(s, Step::Ack(_) | Step::UnAck(_));
        let steps: Vec<_> = steps.into_iter().filter(|(_, s)| !(other_order && by_place(s))).collect();
        let plain = run(&steps, |_, _, _| {});
        let again = run(&steps, |rig, n, now| if n == at {
            rig.edit(if other_order { turned() } else { build::table(points()) }, RULES);
            rig.run(&format!("{}s reload", now as f64 / 1e9));
        });
        if other_order {
            let (plain, again) = (by_alarm(&plain), by_alarm(&again));
            prop_assert_eq!(plain.len(), again.len());
            for (alarm, lines) in &plain {
                for (a, b) in lines.iter().zip(&again[alarm]) {
                    prop_assert_eq!(a, b);
                }
                let tail = |l: &[String]| l[l.len().saturating_sub(3)..].to_vec();
                prop_assert_eq!(lines.len(), again[alarm].len(), "{:?} {:?}", tail(lines), tail(&again[alarm]));
            }
        } else {
            prop_assert_eq!(plain.lines(), again.lines());
        }
    }

    /// 8.24, 3.3: no edit returns anything by itself, and none loses what nobody has seen, acknowledgements
    /// included; a log with reloads in it has one outcome.
    #[test]
    fn no_edit_loses_anything(steps in steps(), at in 0_usize..120, change in change()) {
        let mut checked = Ok(());
        let rig = run(&steps, |rig, n, now| if n == at {
            let open = |rig: &Rig| -> BTreeMap<String, (Label, bool)> {
                rig.engine.standing().iter().filter(|s| s.last.regions.after.open)
                    .map(|s| (s.last.alarm.to_string(), (s.last.regions.after.label(), s.last.regions.after.acked)))
                    .collect()
            };
            let before = open(rig);
            let records = rig.transitions.len();
            let (points, rules) = changed(change);
            rig.edit(build::table(points), rules);
            rig.run(&format!("{}s reload", now as f64 / 1e9));
            let after = open(rig);
            checked = (|| {
                for t in &rig.transitions[records..] {
                    prop_assert!(!matches!(t.cause, Cause::Returned | Cause::RuleChanged), "{:?}", t);
                }
                for (alarm, (label, acked)) in before {
                    let is = after.get(&alarm);
                    if !acked {
                        prop_assert!(is.is_some_and(|i| !i.1), "{alarm} was {label:?}, is {is:?}");
                    } else if is.is_none() {
                        let gone = rig.transitions[records..].iter()
                            .any(|t| *t.alarm == *alarm && t.cause == Cause::Superseded);
                        prop_assert!(gone, "{alarm} is gone");
                    }
                }
                Ok(())
            })();
        });
        checked?;
        let mut seen = std::collections::BTreeSet::new();
        for (n, t) in (1_u64..).zip(&rig.transitions) {
            prop_assert_eq!(t.seq, n);
            if t.cause == Cause::Condition {
                prop_assert!(seen.insert(t.occurrence.clone()), "{} twice", t.occurrence);
            }
        }
        let text: Vec<String> = rig.log.iter().map(|e| serde_json::to_string(e).unwrap()).collect();
        let log: Vec<Envelope> = text.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
        let again: Vec<String> = log.iter().map(|e| serde_json::to_string(e).unwrap()).collect();
        prop_assert_eq!(text, again);
        let (table, rules) = plant();
        let start = Engine::start(
            identity(), rules.into(), table.into(), Restored::default(),
            davy_points::Mono(0), davy_points::Timestamp(BASE),
        );
        prop_assert_eq!(&replay(start, &log).transitions, &rig.transitions);
    }

    /// 8.24: an edit while it runs does what it would do over a restart that takes no time.
    #[test]
    fn a_reload_does_what_a_restart_does(
        steps in in_time(), at in 0_usize..60, change in change(), end in proptest::collection::vec((0_usize..3, 0_i64..100), 1..30),
    ) {
        let outcome = |how: &str| {
            let mut newest = [(50, Quality::Good); 3];
            let mut last = 0;
            let start = super::compiled(build::table(points()), CALM);
            let mut rig = run_on(start, &steps[..at.min(steps.len())], |_, n, now| {
                last = now;
                if let Step::Sample(p, v, q, _) = steps[n].1 { newest[p] = (v, q); }
            });
            last += steps.get(at.min(steps.len()).wrapping_sub(1)).map_or(0, |s| s.0 * QUARTER);
            let (points, rules) = changed(change);
            let say = |rig: &mut Rig, now: i64| for (p, (v, q)) in newest.iter().enumerate() {
                give(rig, now, &Step::Sample(p, *v, *q, 0));
            };
            say(&mut rig, last);
            rig.edit(build::table(points.clone()), rules);
            if how == "restart" {
                let (table, rules) = super::compiled(build::table(points), rules);
                (rig.table, rig.rules) = (table.into(), rules.into());
            }
            rig.run(&format!("{}s {how}", last as f64 / 1e9));
            // Over a restart an off-delay begins again (8.15): both run out before anything else.
            let mut now = last;
            for _ in 0..24 {
                say(&mut rig, now);
                now += 2 * QUARTER;
            }
            for (p, v) in &end {
                now += QUARTER;
                give(&mut rig, now, &Step::Sample(*p, *v, Quality::Good, 0));
            }
            let mut out = BTreeMap::new();
            for t in rig.transitions.iter().filter(|t: &&Transition| process(t) && &*t.tag != "B") {
                let r = &t.regions.after;
                out.insert(t.alarm.to_string(), (r.label(), r.acked, r.masked, r.shelved, t.occurrence.clone()));
            }
            // At rest is at rest, whether a record said so or not.
            out.retain(|_, r| r.0 != Label::Normal);
            (out, rig.lines())
        };
        let (live, live_lines) = outcome("reload");
        let (restarted, lines) = outcome("restart");
        prop_assert_eq!(live, restarted, "{:#?}\n{:#?}", live_lines, lines);
    }
}

/// The record of an alarm that is gone is of nobody's doing: what a person did last is not said
/// again, and it names the occurrence that waits.
#[test]
fn the_record_of_what_is_gone_is_of_nobodys_doing() {
    let mut rig = Rig::new(lt(|_| {}).0, lt(|_| {}).1);
    rig.run(
        "0s LT=95
         1s silence table/LT/hh",
    );
    let waits = rig.occurrence("table/LT/hh");
    edit(&mut rig, |p| p.limits.hh = None, "");
    rig.run("2s reload");
    let gone = rig
        .transitions
        .iter()
        .find(|t| t.cause == Cause::Superseded);
    let gone = gone.expect("it is said");
    assert_eq!(
        (&gone.actor, &gone.reason, &gone.command_id),
        (&None, &None, &None)
    );
    assert_eq!((&*gone.occurrence, &*gone.episode), (&*waits, &*waits));
    assert_eq!((gone.from, gone.to), (Label::Unack, Label::RtnUnack));
}

/// Read back from the journal, where every record has its hash: a new record has none of its own
/// yet, and no other's.
#[test]
fn a_record_after_a_restart_carries_no_hash_of_another() {
    let (table, rules) = lt(|_| {});
    let mut rig = Rig::new(table, rules);
    rig.run("0s LT=95");
    let mut transitions = rig.transitions.clone();
    for t in &mut transitions {
        t.prev = Some("aa".to_owned());
        t.hash = Some("bb".to_owned());
    }
    let (table, rules) = lt(|p| p.limits.hh = None);
    let wall = davy_points::Timestamp(crate::proof::script::BASE + 1_000_000_000);
    let restored = crate::engine::Restored {
        transitions,
        stopped_at: Some(wall),
        ..crate::engine::Restored::default()
    };
    let mut engine = crate::engine::Engine::start(
        crate::proof::script::identity(),
        rules.into(),
        table.into(),
        restored,
        davy_points::Mono(0),
        wall,
    );
    let mut superseded = 0;
    while let Some(out) = engine.poll() {
        if let crate::engine::Output::Transition(t) = out {
            assert_eq!((&t.prev, &t.hash), (&None, &None), "{t:?}");
            superseded += usize::from(t.cause == Cause::Superseded);
        }
    }
    assert_eq!(superseded, 1);
}

/// A source that was lost has given one point again; the other waits for its own sample, and an
/// edit makes it no more known than it was.
#[test]
fn a_point_that_is_still_lost_stays_unknown_over_an_edit() {
    let mut points = points();
    for p in &mut points {
        p.stale_after = std::time::Duration::from_secs(3600);
    }
    let mut rig = Rig::new(
        build::table(points.clone()),
        crate::language::compile(
            &[("rules/a.toml".into(), format!("schema = 1\n{CALM}"))],
            &build::table(points.clone()),
            &[],
        )
        .0
        .unwrap(),
    );
    rig.run(
        "0s A=50; C=50
         1s down
         2s A=50",
    );
    rig.edit(build::table(points), CALM);
    rig.run("3s reload");
    let known = |rig: &Rig| {
        let of = |t: &&Transition| &*t.alarm == "calm/C/h";
        rig.transitions
            .iter()
            .rfind(of)
            .map(|t| t.regions.after.eval)
    };
    assert_eq!(known(&rig), Some(crate::alarm::Eval::Unknown));
    rig.run("4s C=50");
    assert_eq!(
        known(&rig),
        Some(crate::alarm::Eval::Known),
        "and says when it is seen"
    );
}
