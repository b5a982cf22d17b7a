//! `discrete`: a contact that is not where it should be, or a trip (section 4). Its debounce is the
//! least of both delays, so what holds for them holds for it: it runs in event time, through gaps,
//! and only Good data cancel it (3.6, 3.7). A trip latches.

use davy_points::Priority;

use super::head::{Head, Policy, Site};
use super::{Finding, Judge, Now, Reading, Settings};
use crate::grammar::{Faults, Keys};
use crate::ruleset::{Builder, Derived};

#[derive(Debug, Clone, Copy, PartialEq)]
struct Discrete {
    /// The state in which nothing is wrong.
    normal: f64,
    trip: bool,
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let normal = match keys.number("normal", f) {
        None => 0.0,
        Some((n, _)) if n == 0.0 || n == 1.0 => n,
        Some((n, span)) => {
            f.add(
                "E316",
                span,
                format!("`normal` cannot be {n}"),
                "0 or 1: the state in which nothing is wrong",
            );
            0.0
        }
    };
    let trip = keys.truth("trip", f).unwrap_or(false);
    let debounce = keys.duration_ns("debounce", f).map_or(0, |d| d.0);
    head.rule.trip = trip;
    head.rule.latch |= trip;
    head.on_delay = Some(head.on_delay.unwrap_or(0).max(debounce));
    head.off_delay = Some(head.off_delay.unwrap_or(0).max(debounce));
    let policy = Policy::read(&mut head, &mut keys, f);
    keys.finish(f);
    let subjects = head.subjects(site, f);
    let priority = match trip {
        true => Priority::HIGH,
        false => Priority::MEDIUM,
    };
    let rule = b.rule(head.rule.clone());
    for p in subjects {
        let derived = Derived {
            rule,
            subject: p,
            inputs: vec![p],
            settings: std::sync::Arc::new(Discrete { normal, trip }),
            what: if trip { "联锁动作" } else { "状态异常" },
            unit: site.table.point(p).unit.clone(),
        };
        b.derived(derived, vec![head.on(rule, p, priority)]);
        policy.alarms(rule, p, b);
    }
}

impl Settings for Discrete {
    fn judge(&self) -> Box<dyn Judge> {
        Box::new(Contact {
            normal: self.normal,
            latest: Finding::Unknown,
        })
    }

    fn text(&self) -> String {
        format!("{self:?}")
    }
}

#[derive(Debug)]
struct Contact {
    normal: f64,
    latest: Finding,
}

impl Judge for Contact {
    fn take(&mut self, _slot: usize, r: &Reading) {
        self.latest = match r.value {
            Some(v) => Finding::Truth {
                holds: v != self.normal,
                good: r.good().is_some(),
            },
            None => Finding::Unknown,
        };
    }

    fn say(&mut self, _now: Now) -> Finding {
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::kinds::trial::{compiled, refused};
    use crate::proof::plant;
    use crate::proof::script::check;

    fn contact(keys: &str) -> (davy_points::PointTable, crate::ruleset::RuleSet) {
        let rule = format!("[[discrete]]\nid = \"di\"\nselect = {{ tag = \"XS-*\" }}\n{keys}");
        compiled(plant::patient(&["XS-1"]), &rule)
    }

    /// Off-normal both ways round: a contact may be closed when all is well.
    #[test]
    fn what_is_not_normal_alarms() {
        let rig = check(
            contact("normal = 1"),
            "0s XS-1=1
             1s XS-1=0
             2s XS-1=1",
            "1s di/XS-1/on NORMAL>UNACK condition
             2s di/XS-1/on UNACK>RTN_UNACK returned",
        );
        assert_eq!(&*rig.transitions[0].text, "XS-1 状态异常");
        assert_eq!(rig.transitions[0].priority.get(), 3);
        let rig = check(
            contact("trip = true"),
            "0s XS-1=0
             1s XS-1=1",
            "1s di/XS-1/on NORMAL>UNACK condition",
        );
        assert_eq!(&*rig.transitions[0].text, "XS-1 联锁动作");
        assert_eq!(rig.transitions[0].priority.get(), 2);
    }

    /// A state that is neither is not the normal one.
    #[test]
    fn a_double_contact_between_its_ends_is_off_normal() {
        check(
            contact("normal = 1"),
            "0s XS-1=1
             1s XS-1=2",
            "1s di/XS-1/on NORMAL>UNACK condition",
        );
    }

    /// The debounce counts from the sample's own time, both ways; what bounces within it starts it
    /// again, and the alarm says since when.
    #[test]
    fn a_bounce_is_no_change() {
        let rig = check(
            contact("debounce = \"2s\""),
            "0s XS-1=0
             1s XS-1=1
             2s XS-1=0
             4s XS-1=1 at=3s
             5s tick
             6s XS-1=0
             7s XS-1=1
             8s XS-1=0
             9.5s XS-1=0
             10s XS-1=0",
            "5s di/XS-1/on NORMAL>UNACK condition
             10s di/XS-1/on UNACK>RTN_UNACK returned",
        );
        let start = rig.transitions[0].condition_start.expect("it is active");
        assert_eq!(start.0 - crate::proof::script::BASE, 3_000_000_000);
    }

    /// 3.1, 3.3: Uncertain raises and does not return; Bad does neither.
    #[test]
    fn only_good_data_return_it() {
        check(
            contact("debounce = \"1s\""),
            "0s XS-1=0
             1s XS-1=1 uncertain
             2s tick
             3s XS-1=0 uncertain
             5s XS-1=0 uncertain
             6s XS-1=0 bad
             8s XS-1=0
             9s XS-1=0",
            "2s di/XS-1/on NORMAL>UNACK condition unknown
             8s quality/XS-1/bad NORMAL>UNACK condition
             8s quality/XS-1/bad UNACK>RTN_UNACK returned
             8s di/XS-1/on UNACK>UNACK quality
             9s di/XS-1/on UNACK>RTN_UNACK returned",
        );
    }

    /// 3.6: a debounce that ends blind beyond the gap tolerance is a loss of view, for a trip an
    /// alarm on the assumption that it stands.
    #[test]
    fn a_contact_that_goes_blind_while_it_settles() {
        let script = "0s XS-1=0
             1s XS-1=1
             2s XS-1=none bad
             6s tick";
        check(
            contact("debounce = \"5s\""),
            script,
            "4s quality/XS-1/bad NORMAL>UNACK condition
             6s di/XS-1/loss_of_view NORMAL>UNACK condition",
        );
        check(
            contact("debounce = \"5s\"\ntrip = true"),
            script,
            "4s quality/XS-1/bad NORMAL>UNACK condition
             6s di/XS-1/on NORMAL>UNACK condition assumed unknown",
        );
    }

    /// Section 4: a trip is latched, whatever `latch` says: a person resets it.
    #[test]
    fn a_trip_latches() {
        check(
            contact("trip = true\nlatch = false"),
            "0s XS-1=0
             1s XS-1=1
             2s XS-1=0
             3s ack di/XS-1/on
             4s reset di/XS-1/on",
            "1s di/XS-1/on NORMAL>UNACK condition
             2s di/XS-1/on UNACK>LATCH_UNACK returned
             3s di/XS-1/on LATCH_UNACK>LATCH_ACK ack
             4s di/XS-1/on LATCH_ACK>NORMAL reset",
        );
    }

    /// A text is no state of a contact, however good it is.
    #[test]
    fn a_text_is_unknown() {
        let (table, rules) = contact("");
        let mut rig = crate::proof::script::Rig::new(table, rules);
        rig.run("0s XS-1=1");
        let now = davy_points::Timestamp(crate::proof::script::BASE + 1_000_000_000);
        rig.give(
            1_000_000_000,
            crate::engine::Input::Sample(davy_points::Sample {
                point: rig.table.find("XS-1").expect("it is there"),
                value: davy_points::Value::Text("open".into()),
                quality: davy_points::Quality::Good,
                source_time: now,
                offset_ns: 0,
                uncertainty_ns: 0,
                arrival_time: now,
                seq: 2,
            }),
        );
        rig.run("2s XS-1=0");
        assert_eq!(
            rig.lines(),
            [
                "0s di/XS-1/on NORMAL>UNACK condition",
                "1s di/XS-1/on UNACK>UNACK quality unknown",
                "2s di/XS-1/on UNACK>UNACK quality",
                "2s di/XS-1/on UNACK>RTN_UNACK returned",
            ]
        );
    }

    /// What a debounce means, by the clock, sample by sample: when a trip is raised and returned.
    fn naive(samples: &[(i64, &str)], debounce: i64) -> Vec<String> {
        let mut out = Vec::new();
        let (mut pending, mut active, mut leaving) = (None::<i64>, false, None::<i64>);
        for (t, said) in samples {
            if let Some(start) = pending.filter(|start| start + debounce <= *t) {
                out.push(format!("{}s condition", start + debounce));
                (pending, active) = (None, true);
            }
            match *said {
                "1" | "1 uncertain" if active => leaving = None,
                "1" | "1 uncertain" if debounce == 0 => {
                    out.push(format!("{t}s condition"));
                    active = true;
                }
                "1" | "1 uncertain" => pending = pending.or(Some(*t)),
                "0" => {
                    pending = None;
                    let since = leaving.unwrap_or(*t);
                    leaving = active.then_some(since);
                    if active && *t >= since + debounce {
                        out.push(format!("{t}s returned"));
                        (active, leaving) = (false, None);
                    }
                }
                _ => leaving = None,
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        /// A trip is raised and returned when that says so, through gaps, Bad and Uncertain.
        #[test]
        fn a_debounce_goes_by_the_clock(
            steps in prop::collection::vec(
                (1_i64..5, prop::sample::select(vec!["0", "0", "1", "1", "1 uncertain", "0 uncertain", "none bad"])),
                1..60,
            ),
            debounce in 0_i64..6,
        ) {
            let mut t = 0;
            let mut samples = Vec::new();
            let mut script = String::new();
            for (dt, said) in steps {
                t += dt;
                samples.push((t, said));
                script.push_str(&format!("{t}s XS-1={said}\n"));
            }
            let (table, rules) = contact(&format!("trip = true\ndebounce = \"{debounce}s\""));
            let mut rig = crate::proof::script::Rig::new(table, rules);
            rig.run(&script);
            let ours = rig.lines().into_iter().filter(|l| l.contains(" di/XS-1/on "));
            let changes: Vec<String> = ours
                .filter_map(|l| {
                    let words: Vec<&str> = l.split(' ').collect();
                    let change = matches!(words[3], "condition" | "returned");
                    change.then(|| format!("{} {}", words[0], words[3]))
                })
                .collect();
            prop_assert_eq!(changes, naive(&samples, debounce), "{}", script);
        }
    }

    #[test]
    fn faults() {
        refused(
            &plant::patient(&["XS-1"]),
            "[[discrete]]
id = \"di\"
select = { tag = \"XS-*\" }
normal = 2
trip = \"yes\"
debounce = 0.5
debounced = \"1s\"
",
            &[
                "E316 5:10 [2] `normal` cannot be 2 | 0 or 1: the state in which nothing is wrong",
                "E302 6:8 [\"yes\"] `trip` is of type string | give true or false",
                "E302 7:12 [0.5] `debounce` is of type float | give a duration in quotes, like \"5s\"",
                "E301 8:1 [debounced] unknown key `debounced` | did you mean `debounce`?",
            ],
        );
    }
}
