//! What the tests of a rule have shown of it: each limit passed both ways, each delay run out and
//! broken off, its input unknown once.
//!
//! Lives here: watching one engine, counting by (rule, level). May not live here: tests, verdicts
//! on them. Read first: [`Coverage`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use davy_points::{PointIx, PointTable, Span};

use crate::alarm::{Condition, Eval, Level};
use crate::engine::Engine;
use crate::ruleset::{AlarmIx, RuleSet, Subject};

/// What has been seen of one level of one rule, on any of its points. None: it has no such thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Coverage {
    /// Rule.
    pub rule: String,
    /// Level.
    pub level: Level,
    /// Where the rule stands.
    pub place: (PathBuf, Span),
    /// It was raised.
    pub raised: Option<bool>,
    /// It returned.
    pub returned: Option<bool>,
    /// The on-delay ran out.
    pub on_delay_expired: Option<bool>,
    /// The condition went before the on-delay ran out.
    pub on_delay_cancelled: Option<bool>,
    /// The off-delay ran out.
    pub off_delay_expired: Option<bool>,
    /// The off-delay was begun and began again.
    pub off_delay_restarted: Option<bool>,
    /// Its input could not be judged after it had been.
    pub unknown: Option<bool>,
}

impl Coverage {
    /// The columns: word, and what was seen.
    #[must_use]
    pub fn items(&self) -> [(&'static str, Option<bool>); 7] {
        [
            ("raised", self.raised),
            ("returned", self.returned),
            ("on_delay_expired", self.on_delay_expired),
            ("on_delay_cancelled", self.on_delay_cancelled),
            ("off_delay_expired", self.off_delay_expired),
            ("off_delay_restarted", self.off_delay_restarted),
            ("unknown", self.unknown),
        ]
    }

    /// What no test has shown.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        self.items()
            .into_iter()
            .filter(|(_, seen)| *seen == Some(false))
            .map(|(what, _)| what)
    }
}

/// The rows of a site, in the order of its files.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    rows: Vec<Coverage>,
    by_name: BTreeMap<(String, Level), usize>,
}

impl Seen {
    /// One row for each level that a rule file gives. What only accompanies a level (loss of view)
    /// and what stands without a file has none.
    pub(crate) fn expect(&mut self, rules: &RuleSet) {
        for (_, def) in rules.alarms() {
            let rule = rules.rule(def.rule);
            let (Some(place), false) = (&rule.origin, def.level == Level::LossOfView) else {
                continue;
            };
            let n = *self
                .by_name
                .entry((rule.id.to_string(), def.level))
                .or_insert(self.rows.len());
            if n == self.rows.len() {
                self.rows.push(Coverage {
                    rule: rule.id.to_string(),
                    level: def.level,
                    place: place.clone(),
                    raised: Some(false),
                    returned: Some(false),
                    on_delay_expired: None,
                    on_delay_cancelled: None,
                    off_delay_expired: None,
                    off_delay_restarted: None,
                    // What judges the signal itself always knows.
                    unknown: (!matches!(def.level, Level::Bad | Level::Stale)).then_some(false),
                });
            }
            let row = &mut self.rows[n];
            // The silence that `stale` allows is its limit, not its delay.
            if def.on_delay_ns > 0 && def.level != Level::Stale {
                row.on_delay_expired.get_or_insert(false);
                row.on_delay_cancelled.get_or_insert(false);
            }
            if def.off_delay_ns > 0 {
                row.off_delay_expired.get_or_insert(false);
                row.off_delay_restarted.get_or_insert(false);
            }
        }
    }

    pub(crate) fn into_rows(mut self) -> Vec<Coverage> {
        // By file and place; the levels of a rule from the lowest.
        self.rows.sort_by(|a, b| {
            (&a.place.0, a.place.1.start, a.level).cmp(&(&b.place.0, b.place.1.start, b.level))
        });
        self.rows
    }
}

/// Alarms that are watched, with what each was last.
#[derive(Debug, Default)]
pub(crate) struct Watch(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    alarm: AlarmIx,
    row: usize,
    was: Option<(Condition, Eval)>,
    /// It has been known: what an engine starts with shows nothing.
    known: bool,
}

impl Watch {
    /// The alarms of these points, as far as they have a row.
    pub(crate) fn of(
        points: impl IntoIterator<Item = PointIx>,
        rules: &RuleSet,
        seen: &Seen,
    ) -> Watch {
        let mut all = Vec::new();
        for p in points {
            for (alarm, def) in rules.of_point(p) {
                let rule = rules.rule(def.rule);
                let row = seen.by_name.get(&(rule.id.to_string(), def.level));
                if let (Some(row), Subject::Point(_), true) =
                    (row, def.subject, rule.origin.is_some())
                {
                    all.push(Watched {
                        alarm,
                        row: *row,
                        was: None,
                        known: false,
                    });
                }
            }
        }
        Watch(all)
    }

    /// After every input.
    pub(crate) fn look(&mut self, engine: &Engine, seen: &mut Seen) {
        for w in &mut self.0 {
            let now = engine.watched(w.alarm);
            if w.was == Some(now) {
                continue;
            }
            let row = &mut seen.rows[w.row];
            let mark = |item: &mut Option<bool>| {
                if let Some(seen) = item {
                    *seen = true;
                }
            };
            use Condition::{Active, Normal, PendingOff, PendingOn};
            match (w.was.map(|was| was.0), now.0) {
                (Some(PendingOn), Active) => {
                    mark(&mut row.on_delay_expired);
                    mark(&mut row.raised);
                }
                (Some(PendingOn), Normal) => mark(&mut row.on_delay_cancelled),
                (Some(PendingOff), Active) => mark(&mut row.off_delay_restarted),
                (Some(PendingOff), Normal) => {
                    mark(&mut row.off_delay_expired);
                    mark(&mut row.returned);
                }
                (Some(Normal), Active | PendingOff) => mark(&mut row.raised),
                (Some(Active), Normal) => mark(&mut row.returned),
                _ => {}
            }
            match now.1 {
                Eval::Known => w.known = true,
                Eval::Unknown if w.known => mark(&mut row.unknown),
                Eval::Unknown => {}
            }
            w.was = Some(now);
        }
    }
}

/// Points that a test gives values to.
pub(crate) fn given(
    table: &PointTable,
    tags: impl Iterator<Item = impl AsRef<str>>,
) -> Vec<PointIx> {
    tags.filter_map(|t| table.find(t.as_ref())).collect()
}
