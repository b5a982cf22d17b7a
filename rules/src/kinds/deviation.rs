//! `deviation`: process value minus set point, against signed limits (section 4). Unknown if either
//! is; muted for a while after a step of the set point, for a loop needs its time to follow.

use davy_points::QualityClass;

use super::head::{Head, Policy, Site, missing};
use super::ladder::Ladder;
use super::mode::Modes;
use super::{Finding, Judge, Now, Reading, Settings};
use crate::grammar::{Faults, Keys};
use crate::ruleset::{Builder, Derived};

/// Where the set point comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum SetPoint {
    /// The second input.
    Point,
    Fixed(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Deviation {
    sp: SetPoint,
    /// How long a step of the set point mutes, ns.
    settle_ns: i64,
    /// What counts as a step, in the point's unit; any change beyond it.
    step: f64,
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let fixed = keys
        .raw("sp")
        .is_some_and(|v| v.get_ref().as_str().is_none());
    let number = if fixed { keys.number("sp", f) } else { None };
    let name = if fixed { None } else { keys.text("sp", f) };
    if !fixed && name.is_none() {
        missing(
            &mut keys,
            "sp",
            "the set point: a number, or the tag of its point",
            f,
        );
    }
    let settle_ns = keys.duration_ns("sp_settle", f).map_or(0, |d| d.0);
    let step = keys.amount("sp_step", f).map_or(0.0, |s| s.0);
    let ladder = Ladder::read(&mut keys, f);
    let policy = Policy::read(&mut head, &mut keys, f);
    let whole = ladder.is_whole("h = { limit = 5 }", f);
    keys.finish(f);
    let subjects = head.subjects(site, f);
    if !whole {
        return;
    }
    let modes = Modes::of(&ladder, &head, &subjects, site, f);
    let rule = b.rule(head.rule.clone());
    for p in subjects {
        let mut inputs = vec![p];
        let sp = match (&number, &name) {
            (Some((v, _)), _) => SetPoint::Fixed(*v),
            (None, Some((name, span))) => match head.input(name, span, p, site, f) {
                Some(sp) => {
                    inputs.push(sp);
                    SetPoint::Point
                }
                None => return,
            },
            (None, None) => return,
        };
        let settings = Deviation {
            sp,
            settle_ns,
            step,
        };
        let derived = Derived {
            rule,
            subject: p,
            inputs,
            settings: std::sync::Arc::new(settings),
            what: "偏差",
            unit: site.table.point(p).unit.clone(),
        };
        b.derived(derived, ladder.alarms(&head, rule, p));
        modes.add(rule, p, f, b);
        policy.alarms(rule, p, b);
    }
}

impl Settings for Deviation {
    fn judge(&self) -> Box<dyn Judge> {
        let none = Reading {
            time: i64::MIN,
            at: i64::MIN,
            value: None,
            class: QualityClass::Bad,
        };
        let fixed = match self.sp {
            SetPoint::Point => None,
            SetPoint::Fixed(v) => Some(v),
        };
        Box::new(Follow {
            settings: *self,
            pv: none,
            sp: Reading {
                value: fixed,
                class: if fixed.is_some() {
                    QualityClass::Good
                } else {
                    QualityClass::Bad
                },
                ..none
            },
            before: fixed,
            muted_until: None,
        })
    }

    fn text(&self) -> String {
        format!("{:?}", self)
    }
}

#[derive(Debug)]
struct Follow {
    settings: Deviation,
    pv: Reading,
    sp: Reading,
    /// The set point before, for steps.
    before: Option<f64>,
    muted_until: Option<i64>,
}

impl Judge for Follow {
    fn take(&mut self, slot: usize, r: &Reading) {
        if slot == 0 {
            self.pv = *r;
            return;
        }
        self.sp = *r;
        if let Some(v) = r.value {
            let stepped = self
                .before
                .is_some_and(|b| (v - b).abs() > self.settings.step);
            if stepped {
                self.muted_until = Some(r.at.saturating_add(self.settings.settle_ns));
            }
            self.before = Some(v);
        }
    }

    fn say(&mut self, now: Now) -> Finding {
        if self.muted_until.is_some_and(|until| now.at >= until) {
            self.muted_until = None;
        }
        match (self.pv.value, self.sp.value) {
            // Muted: neither raised nor returned.
            _ if self.muted_until.is_some() => Finding::Unknown,
            (Some(pv), Some(sp)) => Finding::Number {
                value: pv - sp,
                good: self.pv.good().is_some() && self.sp.good().is_some(),
            },
            _ => Finding::Unknown,
        }
    }

    fn wake(&self) -> Option<i64> {
        self.muted_until
    }
}

#[cfg(test)]
mod tests {
    use crate::language::compile;
    use crate::proof::plant;
    use crate::proof::script::check;

    fn loop_of(rule: &str) -> (davy_points::PointTable, crate::ruleset::RuleSet) {
        let table = plant::patient(&["TIC-1.PV", "TIC-1.SP", "TIC-2.PV", "TIC-2.SP"]);
        let text = format!("schema = 1\n[[deviation]]\nid = \"off\"\n{rule}");
        let (rules, faults) = compile(&[("rules/a.toml".into(), text)], &table, &[]);
        assert_eq!(faults, []);
        (table, rules.expect("no fault"))
    }

    const CLASS: &str = "select = { tag = \"TIC-*.PV\" }
        sp = \"TIC-*.SP\"
        h = { limit = 5, deadband = 1 }
        hh = { limit = 10 }
        l = { limit = -5, deadband = 1 }\n";

    /// One rule over a class; each side with its deadband, the worse level masks the lesser.
    #[test]
    fn a_class_of_loops_is_one_rule() {
        let rig = check(
            loop_of(CLASS),
            "0s TIC-1.SP=50; TIC-1.PV=50; TIC-2.SP=20; TIC-2.PV=20
             1s TIC-1.PV=55; TIC-2.PV=15
             2s TIC-1.PV=54.5; TIC-2.PV=15.5; TIC-1.SP=50; TIC-2.SP=20
             3s TIC-1.PV=60
             4s TIC-1.PV=50; TIC-2.PV=20; TIC-1.SP=50; TIC-2.SP=20",
            "1s off/TIC-1.PV/h NORMAL>UNACK condition
             1s off/TIC-2.PV/l NORMAL>UNACK condition
             3s off/TIC-1.PV/hh NORMAL>UNACK condition
             3s off/TIC-1.PV/h UNACK>UNACK masked masked
             4s off/TIC-1.PV/hh UNACK>RTN_UNACK returned
             4s off/TIC-1.PV/h UNACK>RTN_UNACK returned silent
             4s off/TIC-2.PV/l UNACK>RTN_UNACK returned",
        );
        let texts: Vec<&str> = rig.transitions.iter().map(|t| &*t.text).collect();
        assert_eq!(texts[0], "TIC-1.PV 偏差 5.00 m ≥ 高限 5.00 m");
        assert_eq!(texts[1], "TIC-2.PV 偏差 -5.00 m ≤ 低限 -5.00 m");
    }

    /// Unknown if either is; nothing returns on it (3.3).
    #[test]
    fn a_lost_set_point_returns_nothing() {
        check(
            loop_of(CLASS),
            "0s TIC-1.SP=50; TIC-1.PV=60
             1s TIC-1.SP=none bad
             2s TIC-1.PV=50
             3s TIC-1.SP=50; TIC-1.PV=50",
            "0s off/TIC-1.PV/hh NORMAL>UNACK condition
             0s off/TIC-1.PV/h NORMAL>UNACK condition masked
             1s off/TIC-1.PV/hh UNACK>UNACK quality unknown
             1s off/TIC-1.PV/h UNACK>UNACK quality masked unknown
             3s quality/TIC-1.SP/bad NORMAL>UNACK condition
             3s quality/TIC-1.SP/bad UNACK>RTN_UNACK returned
             3s off/TIC-1.PV/hh UNACK>UNACK quality
             3s off/TIC-1.PV/h UNACK>UNACK quality masked
             3s off/TIC-1.PV/hh UNACK>RTN_UNACK returned
             3s off/TIC-1.PV/h UNACK>RTN_UNACK returned silent",
        );
    }

    /// A step of the set point mutes for `sp_settle`; then what still deviates alarms by itself.
    #[test]
    fn a_step_of_the_set_point_mutes() {
        check(
            loop_of(&format!("{CLASS}sp_settle = \"3s\"\n")),
            "0s TIC-1.SP=50; TIC-1.PV=50; TIC-2.SP=20; TIC-2.PV=20
             1s TIC-1.SP=70
             2s TIC-1.PV=52; TIC-1.SP=70
             3s TIC-1.PV=54; TIC-1.SP=70
             5s tick",
            "4s off/TIC-1.PV/l NORMAL>UNACK condition",
        );
    }
}
