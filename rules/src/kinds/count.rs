//! `count`: rising edges in a sliding window (section 4; 8.16): false, Unknown, true is one edge; a
//! first sample true is none; below N with an Unknown in the window is Unknown.

use std::collections::VecDeque;
use std::sync::Arc;

use davy_points::{PointIx, Priority, Span};
use serde::{Deserialize, Serialize};

use super::condition::{Condition, Latest, Said};
use super::head::{Head, Policy, Site, missing};
use super::window::{needed, said};
use super::{Finding, Judge, Now, Reading, Settings};
use crate::grammar::expression::Wanted;
use crate::grammar::{Faults, Keys};
use crate::ruleset::{Builder, Derived};

/// So many edges are kept at most, and as many as are needed.
const MOST: f64 = 10_000.0;

/// Settings on one subject.
#[derive(Debug, Clone, PartialEq)]
struct Count {
    of: Condition,
    inputs: usize,
    window: i64,
    at_least: usize,
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let before = f.all.len();
    let when = keys.text("when", f);
    let window = needed(
        &mut keys,
        "window",
        "the time to look back over, like \"10m\"",
        f,
    );
    let at_least = at_least(&mut keys, f);
    let policy = Policy::read(&mut head, &mut keys, f);
    let span = keys.span.clone();
    keys.finish(f);
    let subjects = head.subjects(site, f);
    let all = match &when {
        Some((text, at)) => head.expressions(text, at, Wanted::Truth, &subjects, site, f),
        None => None,
    };
    let (Some(window), Some(at_least)) = (window, at_least) else {
        return;
    };
    if f.all.len() != before {
        return;
    }
    let rule = b.rule(head.rule.clone());
    for (n, p) in subjects.into_iter().enumerate() {
        let mut inputs: Vec<PointIx> = Vec::new();
        let of = match &all {
            Some(all) => Condition::of(all[n].clone(), &mut inputs),
            None => {
                inputs.push(p);
                Condition::Contact(0)
            }
        };
        let point = site.table.point(p);
        if inputs.is_empty() || (when.is_none() && !point.unit.is_empty()) {
            let (span, message, hint) = match &when {
                Some((_, at)) => (
                    at.clone(),
                    "this reads no point: it could never change".to_owned(),
                    "name a tag, with - and . written as _".to_owned(),
                ),
                None => no_contact(&point.tag, &point.unit, &span),
            };
            f.add("E341", span, message, hint);
            return;
        }
        let settings = Count {
            of,
            inputs: inputs.len(),
            window: window.0,
            at_least,
        };
        let derived = Derived {
            rule,
            subject: p,
            inputs,
            settings: Arc::new(settings),
            what: "动作频繁",
            unit: "".into(),
        };
        b.derived(derived, vec![head.on(rule, p, Priority::MEDIUM)]);
        policy.alarms(rule, p, b);
    }
}

fn no_contact(tag: &str, unit: &str, span: &Span) -> (Span, String, String) {
    (
        span.clone(),
        format!("{tag} is no contact: it is in {unit}"),
        "say what counts, like `when = \"PT_101 > 5\"`, or select contacts".to_owned(),
    )
}

fn at_least(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Option<usize> {
    let Some((n, span)) = keys.number("at_least", f) else {
        missing(keys, "at_least", "how many edges are too many, like 5", f);
        return None;
    };
    if !(1.0..=MOST).contains(&n) || n.fract() != 0.0 {
        f.add(
            "E311",
            span,
            format!("`at_least` cannot be {n}"),
            "give a whole number from 1 to 10000",
        );
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above
    Some(n as usize)
}

impl Settings for Count {
    fn judge(&self) -> Box<dyn Judge> {
        Box::new(Edges {
            of: self.clone(),
            latest: Latest::of(self.inputs),
            frontier: i64::MIN,
            said: Said::Unknown,
            known: Known::default(),
            blind: i64::MIN,
            doubtful: i64::MIN,
        })
    }

    fn text(&self) -> String {
        format!("{self:?}")
    }
}

/// What a restart may not lose; UTC ns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Known {
    /// The newest that count.
    edges: VecDeque<i64>,
    /// Those of them that rest on Good input at both ends.
    good: VecDeque<i64>,
    /// What was known last, and whether it was Good.
    was: Option<(bool, bool)>,
}

#[derive(Debug)]
struct Edges {
    of: Count,
    latest: Latest,
    frontier: i64,
    said: Said,
    known: Known,
    /// Until when it was Unknown at least; nothing is known before the first reading.
    blind: i64,
    /// Until when it was doubtful at least.
    doubtful: i64,
}

impl Edges {
    fn note(&mut self, t: i64) {
        match self.said {
            Said::Unknown => self.blind = t,
            Said::Doubtful(_) => self.doubtful = t,
            Said::Known(_) => {}
        }
    }

    fn within(&self, t: i64) -> usize {
        let start = t.saturating_sub(self.of.window);
        self.known.edges.iter().filter(|e| **e >= start).count()
    }
}

impl Judge for Edges {
    fn take(&mut self, slot: usize, r: &Reading) {
        let t = r.time.max(self.frontier);
        self.note(t);
        self.frontier = t;
        self.latest.take(slot, r);
        self.said = self.of.of.judge(&self.latest);
        self.note(t);
        let Some(now) = self.said.usable() else {
            return;
        };
        let good = matches!(self.said, Said::Known(_));
        if now && let Some((false, was_good)) = self.known.was {
            let both = [
                Some(&mut self.known.edges),
                (good && was_good).then_some(&mut self.known.good),
            ];
            for edges in both.into_iter().flatten() {
                edges.push_back(t);
                if edges.len() > self.of.at_least {
                    edges.pop_front();
                }
            }
        }
        self.known.was = Some((now, good));
    }

    fn say(&mut self, now: Now) -> Finding {
        let t = now.time.max(self.frontier);
        let start = t.saturating_sub(self.of.window);
        let enough = |edges: &VecDeque<i64>| {
            edges.len() >= self.of.at_least && edges.front().is_some_and(|e| *e >= start)
        };
        if enough(&self.known.edges) {
            return Finding::Truth {
                holds: true,
                good: enough(&self.known.good),
            };
        }
        if self.said == Said::Unknown || self.blind >= start {
            return Finding::Unknown;
        }
        Finding::Truth {
            holds: false,
            good: self.doubtful < start,
        }
    }

    fn begin_again(&mut self) {
        self.frontier = i64::MIN;
        self.said = Said::Unknown;
        self.known.edges.clear();
        self.known.good.clear();
        (self.blind, self.doubtful) = (i64::MIN, i64::MIN);
    }

    fn words(&self) -> Option<String> {
        let window = said(self.of.window);
        Some(format!("{window} 内 {} 次", self.within(self.frontier)))
    }

    fn save(&self, _label: &dyn Fn(i64) -> i64) -> Option<serde_json::Value> {
        serde_json::to_value(&self.known).ok()
    }

    fn restore(&mut self, saved: &serde_json::Value, _instant: &dyn Fn(i64) -> i64) {
        if let Ok(known) = serde_json::from_value::<Known>(saved.clone()) {
            self.known = known;
            // An edit may want fewer.
            for edges in [&mut self.known.edges, &mut self.known.good] {
                while edges.len() > self.of.at_least {
                    edges.pop_front();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use davy_points::{PointDef, PointTable, QualityClass};
    use proptest::prelude::*;

    use super::*;
    use crate::kinds::trial::{ask, compiled, reading, refused};
    use crate::proof::plant;
    use crate::proof::script::{Rig, check};
    use crate::ruleset::RuleSet;

    const S: i64 = 1_000_000_000;

    fn site() -> PointTable {
        let point = |tag: &str, unit: &str| PointDef {
            unit: unit.into(),
            stale_after: Duration::from_secs(3600),
            ..plant::point(tag)
        };
        plant::table([point("XS-1", ""), point("PT-1", "bar")])
    }

    const RULE: &str = "[[count]]
id = \"n\"
select = { tag = \"XS-1\" }
window = \"10s\"
at_least = 3
";

    fn plant_of(keys: &str) -> (PointTable, RuleSet) {
        compiled(site(), &format!("{RULE}{keys}"))
    }

    fn told(keys: &str, script: &str, expected: &str) -> Rig {
        let (table, rules) = plant_of(keys);
        let mut rig = Rig::new(table, rules);
        rig.run(script);
        rig.transitions.retain(|t| t.alarm.starts_with("n/"));
        let expected: Vec<&str> = expected.lines().map(str::trim).collect();
        assert_eq!(rig.lines(), expected, "{script}");
        rig
    }

    /// The third edge raises; the window is closed on both sides: at 12 s the edge of 2 s counts.
    #[test]
    fn the_third_edge_raises() {
        let rig = check(
            plant_of(""),
            "0s XS-1=0; PT-1=0
             2s XS-1=1
             3s XS-1=0
             5s XS-1=1
             7s XS-1=0
             12s XS-1=1
             12.5s XS-1=1
             15.5s XS-1=1
             22.5s XS-1=1",
            "12s n/XS-1/on NORMAL>UNACK condition
             12.5s n/XS-1/on UNACK>RTN_UNACK returned",
        );
        assert_eq!(&*rig.transitions[0].text, "XS-1 动作频繁：10 s 内 3 次");
    }

    /// 8.16: false, Unknown, true is one edge; a first sample true is none.
    #[test]
    fn an_unknown_between_is_one_edge() {
        told(
            "",
            "0s XS-1=1; PT-1=0
             1s XS-1=0
             2s XS-1=none bad
             3s XS-1=1
             4s XS-1=none bad
             5s XS-1=1
             6s XS-1=0
             7s XS-1=1
             8s XS-1=0
             9s XS-1=1
             10s XS-1=0
             19.5s XS-1=0",
            "9s n/XS-1/on NORMAL>UNACK condition
             19.5s n/XS-1/on UNACK>RTN_UNACK returned",
        );
    }

    /// Below N with an Unknown in the window is Unknown: it returns nothing (3.3).
    #[test]
    fn an_unknown_in_the_window_returns_nothing() {
        let edges = "0s XS-1=0; PT-1=0
             1s XS-1=1
             2s XS-1=0
             3s XS-1=1
             4s XS-1=0
             5s XS-1=1\n";
        told(
            "",
            &format!("{edges}6s XS-1=none bad\n7s XS-1=0\n12s XS-1=0\n17s XS-1=0\n17.5s XS-1=0"),
            "5s n/XS-1/on NORMAL>UNACK condition
             12s n/XS-1/on UNACK>UNACK quality unknown
             17.5s n/XS-1/on UNACK>UNACK quality
             17.5s n/XS-1/on UNACK>RTN_UNACK returned",
        );
        // Uncertain edges raise, and as long as one is in the window nothing returns.
        told(
            "",
            &format!(
                "{}5s XS-1=1 uncertain\n6s XS-1=0\n15s XS-1=0\n16s XS-1=0\n17s XS-1=0",
                edges
                    .rsplit_once("5s")
                    .expect("it ends so")
                    .0
                    .trim_end()
                    .to_owned()
                    + "\n"
            ),
            "5s n/XS-1/on NORMAL>UNACK condition unknown
             17s n/XS-1/on UNACK>UNACK quality
             17s n/XS-1/on UNACK>RTN_UNACK returned",
        );
    }

    /// What has been counted survives a restart; what happened meanwhile is Unknown.
    #[test]
    fn a_restart_loses_no_edge() {
        told(
            "",
            "0s XS-1=0; PT-1=0
             1s XS-1=1
             2s XS-1=0
             3s XS-1=1
             4s XS-1=0
             6s restart
             7s XS-1=1; PT-1=0
             8s XS-1=0
             14s XS-1=0
             17.5s XS-1=0",
            "7s n/XS-1/on NORMAL>UNACK condition
             14s n/XS-1/on UNACK>UNACK quality unknown
             17.5s n/XS-1/on UNACK>UNACK quality
             17.5s n/XS-1/on UNACK>RTN_UNACK returned",
        );
    }

    /// Of a condition; the silence after the last reading returns nothing by itself.
    #[test]
    fn conditions_count() {
        told(
            "when = \"PT_1 > 5\"\n",
            "0s PT-1=1; XS-1=0
             1s PT-1=6
             2s PT-1=5
             3s PT-1=7
             4s PT-1=1
             5s PT-1=8
             30s tick
             31s XS-1=0
             32s PT-1=8",
            "5s n/XS-1/on NORMAL>UNACK condition
             32s n/XS-1/on UNACK>RTN_UNACK returned",
        );
    }

    #[test]
    fn faults() {
        refused(
            &site(),
            "[[count]]
id = \"a\"
select = { tag = \"XS-1\" }
[[count]]
id = \"b\"
select = { tag = \"PT-1\" }
window = \"1m\"
at_least = 3
[[count]]
id = \"c\"
select = { tag = \"PT-1\" }
window = \"0s\"
at_least = 2.5
[[count]]
id = \"d\"
select = { tag = \"PT-1\" }
window = \"1m\"
at_least = 2
when = \"true\"
",
            &[
                "E302 2:1 [[[count]]] `window` is missing | give the time to look back over, like \"10m\"",
                "E302 2:1 [[[count]]] `at_least` is missing | give how many edges are too many, like 5",
                "E341 5:1 [[[count]]] PT-1 is no contact: it is in bar | say what counts, like `when = \"PT_101 > 5\"`, or select contacts",
                "E310 13:10 [\"0s\"] `window` is zero | give the time to look back over, like \"10m\"",
                "E311 14:12 [2.5] `at_least` cannot be 2.5 | give a whole number from 1 to 10000",
                "E341 20:8 [\"true\"] this reads no point: it could never change | name a tag, with - and . written as _",
            ],
        );
    }

    proptest! {
        /// 8.16: against a count from scratch, over gaps, Bad, Uncertain and equal times.
        #[test]
        fn counts_agree_with_those_made_from_scratch(
            series in prop::collection::vec((0..4_i64, prop::sample::select(vec![
                Some((false, true)), Some((true, true)), Some((false, true)), Some((true, true)),
                Some((true, false)), Some((false, false)), None,
            ])), 1..120)
        ) {
            let (_, rules) = plant_of("");
            let mut judge = rules.instances[0].settings.judge();
            let mut all: Vec<(i64, Option<(bool, bool)>)> = Vec::new();
            let mut t = 0;
            for (after, value) in series {
                t += after;
                all.push((t, value));
                let class = match value {
                    Some((_, false)) => QualityClass::Uncertain,
                    _ => QualityClass::Good,
                };
                let v = value.map(|(b, _)| f64::from(u8::from(b)));
                let said = ask(&mut *judge, 0, &reading(t * S, v, class));
                let known: Vec<_> = all.iter().filter_map(|(t, v)| v.map(|v| (*t, v))).collect();
                let edge = |w: &&[(i64, (bool, bool))]| !w[0].1.0 && w[1].1.0 && w[1].0 >= t - 10;
                let edges = known.windows(2).filter(edge).count();
                let good = known.windows(2).filter(edge).filter(|w| w[0].1.1 && w[1].1.1).count();
                // A state lasts until the next reading; before the first nothing is known.
                let lasts = |n: usize| all.get(n + 1).map_or(t, |r| r.0);
                let of = |which: &dyn Fn(Option<(bool, bool)>) -> bool| {
                    all.iter().enumerate().any(|(n, r)| which(r.1) && lasts(n) >= t - 10)
                };
                let unknown = of(&|v| v.is_none()) || all[0].0 >= t - 10;
                let doubtful = of(&|v| v.is_some_and(|v| !v.1));
                let expected = if edges >= 3 {
                    Finding::Truth { holds: true, good: good >= 3 }
                } else if unknown {
                    Finding::Unknown
                } else {
                    Finding::Truth { holds: false, good: !doubtful }
                };
                prop_assert_eq!(said, expected, "{:?}", all);
            }
        }
    }
}
