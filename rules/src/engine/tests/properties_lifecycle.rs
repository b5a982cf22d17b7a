//! Properties of the lifecycle under any commands, samples, restarts and clock steps: nothing that
//! nobody has seen is lost, no shelf is lengthened, nothing covers a worse level, labels follow from
//! regions.

use std::collections::BTreeMap;

use davy_points::{PointTable, Quality};
use proptest::prelude::*;

use super::compiled;
use crate::alarm::{Cause, Label, Level, Regions, Transition};
use crate::proof::plant;
use crate::proof::script::{Rig, seconds};
use crate::ruleset::RuleSet;

/// Alarms that commands are about: latched and confirmed, plain, of every priority.
const ALARMS: [&str; 7] = [
    "keep/A/hh",
    "keep/A/h",
    "keep/A/l",
    "plain/B/hh",
    "plain/B/h",
    "plain/B/l",
    "again/B/h",
];

fn plant() -> (PointTable, RuleSet) {
    let mut a = plant::point("A");
    a.limits = davy_points::Limits {
        ll: None,
        l: Some(20.0),
        h: Some(80.0),
        hh: Some(90.0),
    };
    a.deadband = 1.0;
    let mut b = a.clone();
    b.tag = "B".into();
    compiled(
        plant::table([a, b]),
        "[[level]]
         id = \"keep\"
         select = { tag = \"A\" }
         latch = true
         confirm = true
         chatter = false
         on_delay = \"1s\"
         off_delay = \"2s\"
         l = { priority = 4 }
         [[level]]
         id = \"plain\"
         select = { tag = \"B\" }
         chatter = false
         h = { priority = 2 }
         hh = { priority = 3 }
         [[level]]
         id = \"again\"
         select = { tag = \"B\" }
         chatter = false
         realarm = \"40s\"
         h = { limit = 85, priority = 4 }",
    )
}

#[derive(Debug, Clone)]
enum Step {
    Sample(usize, i64, Quality),
    Tick,
    /// A verb on the latest occurrence of an alarm.
    Seen(&'static str, usize),
    /// A verb on an alarm.
    Lay(String, usize),
    Down,
    Clock(i64),
    Restart,
    /// Back to the image from before the step before.
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let quality = prop_oneof![
        8 => Just(Quality::Good),
        1 => Just(Quality::UncertainRange),
        1 => Just(Quality::BadSensorFailure),
    ];
    let value = prop_oneof![
        1 => Just(10_i64), 4 => Just(50), 1 => Just(79), 3 => Just(82), 2 => Just(87), 4 => Just(95)
    ];
    let seen = prop_oneof![
        6 => Just("ack"), 1 => Just("un_ack"), 1 => Just("silence"), 2 => Just("confirm"),
        2 => Just("reset"),
    ];
    let minutes = prop_oneof![
        Just(0_u32),
        Just(1),
        Just(5),
        Just(30),
        Just(60),
        Just(61),
        Just(700)
    ];
    let lay = prop_oneof![
        4 => ("shelve|one_shot", minutes.clone()).prop_map(|(v, m)| (v, format!("{m}m"))),
        2 => Just(("unshelve".to_owned(), String::new())),
        1 => minutes.clone().prop_map(|m| ("oos".to_owned(), format!("{m}m permit=P-7 second=b"))),
        1 => Just(("in_service".to_owned(), String::new())),
        1 => ("fan|idle", minutes).prop_map(|(c, m)| {
            ("suppress".to_owned(), format!("{m}m cause={c} permit=O-1 second=b"))
        }),
        1 => "fan|idle".prop_map(|c| ("unsuppress".to_owned(), format!("cause={c}"))),
    ]
    .prop_flat_map(|(verb, more)| {
        (0..ALARMS.len()).prop_map(move |n| Step::Lay(format!("{verb} ALARM {more}"), n))
    });
    let step = prop_oneof![
        12 => (0_usize..2, value, quality).prop_map(|(p, v, q)| Step::Sample(p, v, q)),
        2 => Just(Step::Tick),
        7 => (seen, 0..ALARMS.len()).prop_map(|(v, n)| Step::Seen(v, n)),
        7 => lay,
        1 => Just(Step::Down),
        1 => prop_oneof![Just(-3600_i64), Just(-7), Just(5), Just(3600)].prop_map(Step::Clock),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ];
    let wait = prop_oneof![6 => 0_i64..5, 2 => 5_i64..100, 1 => 100_i64..3_000];
    proptest::collection::vec((wait, step), 1..100)
}

/// How long something may lie over an alarm, by a clock that nobody sets.
#[derive(Default)]
struct Deadlines(BTreeMap<(String, &'static str), i64>);

impl Deadlines {
    fn note(&mut self, t: &Transition, now: i64) {
        let (before, after) = (&t.regions.before, &t.regions.after);
        let length = |until: davy_points::Timestamp| until.since(t.recorded_at);
        let mut put = |what, was: bool, is: Option<i64>| {
            let key = (t.alarm.to_string(), what);
            match is {
                Some(length) if !was => {
                    self.0.insert(key, now + length);
                }
                Some(_) => {}
                None => {
                    self.0.remove(&key);
                }
            }
        };
        let shelf = after.shelved.map(|s| length(s.until()));
        put("shelf", before.shelved.is_some(), shelf);
        let out = after.out_of_service.as_ref().map(|o| length(o.until));
        put("out", before.out_of_service.is_some(), out);
    }
}

fn run(steps: &[(i64, Step)]) -> (Rig, i64) {
    let (table, rules) = plant();
    let mut rig = Rig::new(table, rules);
    let mut at = 0_i64;
    let mut deadlines = Deadlines::default();
    let mut standing: BTreeMap<String, Regions> = BTreeMap::new();
    for (wait, step) in steps {
        let from = rig.transitions.len();
        if !matches!(step, Step::Kill) {
            rig.run(&format!("{}s image", at as f64 / 1e9));
        }
        at += wait * 250_000_000;
        let s = at as f64 / 1e9;
        match step {
            Step::Sample(p, v, q) => {
                let how = match *q {
                    Quality::Good => "",
                    Quality::UncertainRange => "uncertain",
                    _ => "bad",
                };
                rig.run(&format!("{s}s {}={v} {how}", ["A", "B"][*p]));
            }
            Step::Tick => rig.run(&format!("{s}s tick")),
            Step::Seen(verb, n) => {
                let has = |t: &Transition| &*t.alarm == ALARMS[*n] && !t.occurrence.is_empty();
                match rig.transitions.iter().any(has) {
                    true => rig.run(&format!("{s}s {verb} {} true", ALARMS[*n])),
                    false => rig.run(&format!("{s}s tick")),
                }
            }
            Step::Lay(line, n) => rig.run(&format!("{s}s {}", line.replace("ALARM", ALARMS[*n]))),
            Step::Down => rig.run(&format!("{s}s down")),
            Step::Clock(by) => rig.run(&format!("{s}s step {by}s")),
            Step::Restart => rig.run(&format!("{s}s restart")),
            Step::Kill => rig.run(&format!("{s}s kill")),
        }
        for t in &rig.transitions[from..] {
            judge(t, step, standing.get(&*t.alarm));
            standing.insert(t.alarm.to_string(), t.regions.after.clone());
            deadlines.note(t, at);
        }
        for ((alarm, what), end) in &deadlines.0 {
            assert!(*end > at, "{what} of {alarm} lies on at {at}");
        }
        // What is open stands, acknowledged or not, whatever lies over it.
        let engine = rig.engine.standing();
        for (alarm, r) in standing.iter().filter(|(_, r)| r.open) {
            let found = engine.iter().find(|s| *s.last.alarm == **alarm);
            let found = found.unwrap_or_else(|| panic!("{alarm} is lost"));
            assert_eq!(&found.last.regions.after, r, "{alarm}");
        }
    }
    (rig, at)
}

/// What holds for every record.
fn judge(t: &Transition, step: &Step, known: Option<&Regions>) {
    let (before, after) = (&t.regions.before, &t.regions.after);
    // Labels follow from regions, and no change goes untold: only pending conditions have no record.
    assert_eq!((t.from, t.to), (before.label(), after.label()));
    if let Some(known) = known {
        let told = Regions {
            condition: known.condition,
            ..before.clone()
        };
        let silent_start = Regions {
            eval: told.eval,
            ..known.clone()
        };
        assert_eq!(told, silent_start, "{} changed untold", t.alarm);
        assert_eq!(known.is_active(), before.is_active(), "{}", t.alarm);
    }
    let sounds = after.is_bare() && after.open && !after.acked && !after.masked;
    assert!(!after.audible || sounds, "{} sounds", t.alarm);
    // 3.3: only a Good sample of that very point returns.
    let gone = before.is_active() && !after.is_active();
    if gone && matches!(t.kind.as_ref(), "level") {
        assert!(
            matches!(t.cause, Cause::Returned),
            "{} {:?}",
            t.alarm,
            t.cause
        );
        match step {
            Step::Sample(p, _, Quality::Good) => assert_eq!(&*t.tag, ["A", "B"][*p]),
            other => panic!("{} returned by {other:?}", t.alarm),
        }
    }
    // Nobody but a person makes it seen; and only of the alarm that they named.
    let unseen = before.open && !before.acked;
    if unseen && (after.acked || !after.open) && t.kind.as_ref() == "level" {
        assert!(
            matches!(t.cause, Cause::Ack | Cause::Unshelve),
            "{}",
            t.alarm
        );
        assert!(t.actor.is_some(), "{} was seen by nobody", t.alarm);
    }
    if let (Some(_), Step::Seen(_, n) | Step::Lay(_, n)) = (&t.actor, step) {
        assert_eq!(&*t.alarm, ALARMS[*n], "H's command touched another alarm");
    }
    // Row 11.
    if t.priority.get() == 1 || t.level == Level::LossOfView {
        assert!(after.shelved.is_none(), "{} is shelved", t.alarm);
    }
    // 3.8: whatever lies over H, HH is heard.
    if t.level == Level::Hh && t.cause == Cause::Condition {
        assert_eq!(after.audible, after.is_bare(), "{} is not heard", t.alarm);
    }
    // Row 10.
    if t.cause == Cause::Reset {
        assert!(before.acked && before.confirmed && !before.is_active());
        assert_eq!(before.underlying_label(), Label::LatchAck);
        assert_eq!(after.underlying_label(), Label::Normal);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Section 7, 2; rows 1 to 18 under everything at once.
    #[test]
    fn the_lifecycle_keeps_its_promises(steps in steps()) {
        let (mut rig, at) = run(&steps);
        for (n, t) in (1_u64..).zip(&rig.transitions) {
            prop_assert_eq!(t.seq, n);
        }
        // Every deadline ends.
        let later = at + seconds("200h");
        rig.run(&format!("{}s tick", later as f64 / 1e9));
        let over: Vec<String> = rig.engine.standing().iter()
            .filter(|s| !s.last.regions.after.is_bare())
            .map(|s| s.last.alarm.to_string()).collect();
        prop_assert_eq!(over, Vec::<String>::new());
        // A person can close everything once the process is well.
        let mut t = later;
        for _ in 0..8 {
            t += seconds("1s");
            rig.run(&format!("{0}s A=50; B=50", t as f64 / 1e9));
        }
        for verb in ["ack", "confirm", "reset"] {
            for alarm in ALARMS {
                t += seconds("0.1s");
                let has = |t: &Transition| &*t.alarm == alarm && !t.occurrence.is_empty();
                if rig.transitions.iter().any(has) {
                    rig.run(&format!("{}s {verb} {alarm} true", t as f64 / 1e9));
                }
            }
        }
        let open: Vec<String> = rig.engine.standing().iter()
            .filter(|s| s.last.regions.after.open && ALARMS.contains(&&*s.last.alarm))
            .map(|s| s.last.alarm.to_string()).collect();
        prop_assert_eq!(open, Vec::<String>::new());
    }
}
