//! `sequence`: A then B within T, or A and no B within T (section 4). Both are conditions; what
//! counts is when they begin. The delay runs on the monotonic clock from the event that began it, and
//! ends by itself (8.2); it survives a restart.

use std::sync::Arc;

use davy_points::{PointIx, Priority};
use serde::{Deserialize, Serialize};

use super::condition::{Condition, Latest, Said};
use super::head::{Head, Policy, Site, missing};
use super::window::{needed, said};
use super::{Finding, Judge, Now, Reading, Settings};
use crate::grammar::expression::Wanted;
use crate::grammar::{Faults, Keys};
use crate::ruleset::{Builder, Derived};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// Then after first, within T.
    Order,
    /// First, and no then within T.
    Missing,
}

/// Settings on one subject.
#[derive(Debug, Clone, PartialEq)]
struct Sequence {
    first: Condition,
    then: Condition,
    inputs: usize,
    within: i64,
    wrong: Wrong,
}

pub(super) fn read(
    mut head: Head<'_>,
    mut keys: Keys<'_, '_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    b: &mut Builder<'_>,
) {
    let before = f.all.len();
    let texts = ["first", "then"].map(|key| {
        let text = keys.text(key, f);
        if text.is_none() {
            missing(&mut keys, key, "a condition, like \"XS_101 == 1\"", f);
        }
        text
    });
    let within = needed(
        &mut keys,
        "within",
        "the time between the two, like \"30s\"",
        f,
    );
    let wrong = [("order", Wrong::Order), ("missing", Wrong::Missing)];
    let wrong = keys.word("alarm_on", &wrong, f);
    if wrong.is_none() {
        let what = "\"missing\" where `then` must follow, \"order\" where it must not";
        missing(&mut keys, "alarm_on", what, f);
    }
    let policy = Policy::read(&mut head, &mut keys, f);
    keys.finish(f);
    let subjects = head.subjects(site, f);
    let [first, then] = texts.map(|text| {
        let (text, at) = text?;
        let all = head.expressions(text, &at, Wanted::Truth, &subjects, site, f)?;
        if all.iter().any(|e| e.inputs().is_empty()) {
            f.add(
                "E341",
                at,
                "this reads no point: it could never change",
                "name a tag, with - and . written as _",
            );
        }
        Some(all)
    });
    let (Some(first), Some(then), Some(within), Some(wrong)) = (first, then, within, wrong) else {
        return;
    };
    if f.all.len() != before {
        return;
    }
    let rule = b.rule(head.rule.clone());
    for (n, p) in subjects.into_iter().enumerate() {
        let mut inputs: Vec<PointIx> = Vec::new();
        let settings = Sequence {
            first: Condition::of(first[n].clone(), &mut inputs),
            then: Condition::of(then[n].clone(), &mut inputs),
            inputs: inputs.len(),
            within: within.0,
            wrong,
        };
        let derived = Derived {
            rule,
            subject: p,
            inputs,
            settings: Arc::new(settings),
            what: match wrong {
                Wrong::Order => "顺序异常",
                Wrong::Missing => "未按时跟随",
            },
            unit: "".into(),
        };
        b.derived(derived, vec![head.on(rule, p, Priority::MEDIUM)]);
        policy.alarms(rule, p, b);
    }
}

impl Settings for Sequence {
    fn judge(&self) -> Box<dyn Judge> {
        Box::new(Watch {
            of: self.clone(),
            latest: Latest::of(self.inputs),
            said: [Said::Unknown; 2],
            known: Known::default(),
        })
    }

    fn text(&self) -> String {
        format!("{self:?}")
    }
}

/// What a restart may not lose; times as labels while it is stored, ns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Known {
    /// What `first` and `then` were when they were known last.
    was: [Option<bool>; 2],
    /// `first` was true and has not been false on Good input since.
    on: bool,
    /// When they began last.
    began: [Option<i64>; 2],
    /// `missing`: since when `then` is waited for.
    waiting: Option<i64>,
    /// It is wrong now; whether all of that rests on Good input.
    wrong: Option<bool>,
    /// What began rests on Good input.
    good: bool,
}

#[derive(Debug)]
struct Watch {
    of: Sequence,
    latest: Latest,
    said: [Said; 2],
    known: Known,
}

impl Watch {
    /// `missing`: a first sample that is true begins it too, for what is on when the rule is enabled
    /// must be followed all the same; a doubtful `then` satisfies nothing.
    fn follow(&mut self, began: [bool; 2], ended: bool, at: i64) {
        let k = &mut self.known;
        if self.said[1] == Said::Known(true) {
            (k.waiting, k.wrong) = (None, None);
        } else if began[0] && k.wrong.is_none() && k.waiting.is_none() {
            k.waiting = Some(at);
            k.good = matches!(self.said[0], Said::Known(_));
        } else if ended {
            // What should have followed is no longer wanted. While it is waited for it still is:
            // `first` may be the touch of a button.
            k.wrong = None;
        }
    }

    fn order(&mut self, began: [bool; 2]) {
        let k = &mut self.known;
        if self.said[1] == Said::Known(false) {
            k.wrong = None;
        }
        let usable = self.said.map(|s| s != Said::Unknown);
        // Either may be the one that came last by its arrival.
        if let ([Some(first), Some(then)], true) = (k.began, began[0] || began[1])
            && k.was[1] == Some(true)
            && (0..=self.of.within).contains(&then.saturating_sub(first))
        {
            let known = self.said.iter().all(|s| !matches!(s, Said::Doubtful(_)));
            k.wrong = Some(k.good && known && usable[1]);
        }
    }
}

impl Judge for Watch {
    fn take(&mut self, slot: usize, r: &Reading) {
        self.latest.take(slot, r);
        let now = [&self.of.first, &self.of.then].map(|c| c.judge(&self.latest));
        self.said = now;
        let mut began = [false; 2];
        let ended = self.known.on && now[0] == Said::Known(false);
        self.known.on = match now[0] {
            Said::Known(on) => on,
            Said::Doubtful(on) => on || self.known.on,
            Said::Unknown => self.known.on,
        };
        for i in 0..2 {
            let Some(holds) = now[i].usable() else {
                continue;
            };
            // A first sample of `then` that is true began nobody knows when.
            let was_not =
                self.known.was[i] == Some(false) || (i == 0 && self.known.was[i].is_none());
            began[i] = holds && was_not;
            if began[i] {
                self.known.began[i] = Some(r.at);
            }
            self.known.was[i] = Some(holds);
        }
        match self.of.wrong {
            Wrong::Missing => self.follow(began, ended, r.at),
            Wrong::Order => {
                if began[0] {
                    self.known.good = matches!(now[0], Said::Known(_));
                }
                self.order(began);
            }
        }
    }

    fn say(&mut self, now: Now) -> Finding {
        let then = self.said[1];
        let due = self.wake().is_some_and(|due| now.at >= due);
        if due {
            match then {
                Said::Known(false) | Said::Doubtful(false) => {
                    let good = self.known.good && then == Said::Known(false);
                    (self.known.wrong, self.known.waiting) = (Some(good), None);
                }
                // It may have come: neither raised nor returned until that is known.
                _ => return Finding::Unknown,
            }
        }
        match (self.known.wrong, self.of.wrong, self.said) {
            (Some(_), _, [_, Said::Unknown]) => Finding::Unknown,
            (Some(good), _, _) => Finding::Truth { holds: true, good },
            (None, Wrong::Missing, [s, _]) | (None, Wrong::Order, [_, s]) => match s {
                Said::Known(_) => Finding::Truth {
                    holds: false,
                    good: true,
                },
                Said::Doubtful(_) => Finding::Truth {
                    holds: false,
                    good: false,
                },
                Said::Unknown => Finding::Unknown,
            },
        }
    }

    fn wake(&self) -> Option<i64> {
        Some(self.known.waiting?.saturating_add(self.of.within))
    }

    fn words(&self) -> Option<String> {
        let within = said(self.of.within);
        let (first, then) = (self.of.first.text(), self.of.then.text());
        Some(match self.of.wrong {
            Wrong::Order => format!("{first} 后 {within} 内 {then}"),
            Wrong::Missing => format!("{first} 后 {within} 内未见 {then}"),
        })
    }

    fn save(&self, label: &dyn Fn(i64) -> i64) -> Option<serde_json::Value> {
        let known = Known {
            began: self.known.began.map(|t| t.map(label)),
            waiting: self.known.waiting.map(label),
            ..self.known.clone()
        };
        serde_json::to_value(known).ok()
    }

    fn restore(&mut self, saved: &serde_json::Value, instant: &dyn Fn(i64) -> i64) {
        if let Ok(known) = serde_json::from_value::<Known>(saved.clone()) {
            self.known = Known {
                began: known.began.map(|t| t.map(instant)),
                waiting: known.waiting.map(instant),
                ..known
            };
        }
    }
}

#[cfg(test)]
mod tests;
