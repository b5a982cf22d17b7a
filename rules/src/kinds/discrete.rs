//! `discrete`: a contact that is not where it should be, or a trip (section 4). Its debounce is the
//! least of both delays, so what holds for them holds for it: it runs in event time, through gaps,
//! and only Good data cancel it (3.6, 3.7). A trip latches.

use davy_points::Priority;

use super::head::{Head, Policy, Site};
use super::{Finding, Judge, Now, Reading, Settings};
use crate::language::{Builder, Derived, Faults, Keys};

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
    use crate::kinds::trial::{compiled, refused};
    use crate::proof::plant;
    use crate::proof::script::check;

    fn contact(keys: &str) -> (davy_points::PointTable, crate::language::RuleSet) {
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
