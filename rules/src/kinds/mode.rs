//! Limits by operating mode: `[[level.mode]]` in any rule with a ladder (section 4). The first mode
//! that is true gives the limits; none true, the rule's own; which one holds is the engine's to say
//! (`engine::modes`). A level that a mode does not name keeps the rule's own limit in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_points::{PointIx, Span};

use super::head::{Head, Site, missing};
use super::ladder::{Ladder, LevelText};
use crate::alarm::Level;
use crate::grammar::expression::Wanted;
use crate::grammar::{Expression, Faults, Keys};
use crate::ruleset::{AlarmDef, Builder, Mode, RuleIx};

/// One mode as the file gives it.
pub(super) struct ModeText {
    pub(super) name: String,
    when: Option<(String, Span)>,
    pub(super) given: Vec<LevelText>,
    deadband: Option<f64>,
    span: Span,
}

impl ModeText {
    pub(super) fn read(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Vec<ModeText> {
        let mut out: Vec<ModeText> = Vec::new();
        for mut k in keys.tables("mode", "[[level.mode]]", f) {
            let span = k.span.clone();
            let name = k.text("name", f);
            if name.is_none() {
                missing(
                    &mut k,
                    "name",
                    "what the mode is called, like \"filling\"",
                    f,
                );
            }
            let name = name.map_or_else(String::new, |n| n.0.to_owned());
            if !name.is_empty() && out.iter().any(|m| m.name == name) {
                f.add(
                    "E304",
                    span.clone(),
                    format!("a mode \"{name}\" exists already in this rule"),
                    "give this one another name",
                );
            }
            let when = k.text("while", f).map(|(t, s)| (t.to_owned(), s));
            if when.is_none() {
                missing(&mut k, "while", "when it holds, like \"FT_201 > 5\"", f);
            }
            let ladder = Ladder::read_levels(&mut k, f);
            k.finish(f);
            out.push(ModeText {
                name,
                when,
                given: ladder.given,
                deadband: ladder.deadband,
                span,
            });
        }
        out
    }

    /// Where a level's limit stands in the mode, or else the mode.
    pub(super) fn at(&self, level: Level) -> Span {
        let text = self.given.iter().find(|g| g.level == level);
        text.map_or_else(
            || self.span.clone(),
            |t| t.limit.as_ref().map_or(t.span.clone(), |l| l.1.clone()),
        )
    }

    /// The limits of a rule in this mode, level by level.
    pub(super) fn limits(&self, own: &[AlarmDef]) -> Vec<AlarmDef> {
        let of = |own: &AlarmDef| {
            let Some(t) = self.given.iter().find(|g| g.level == own.level) else {
                return *own;
            };
            AlarmDef {
                priority: t.priority.unwrap_or(own.priority),
                limit: t.limit.as_ref().map(|l| l.0).or(own.limit),
                deadband: t.deadband.or(self.deadband).unwrap_or(own.deadband),
                on_delay_ns: t.on_delay.unwrap_or(own.on_delay_ns),
                off_delay_ns: t.off_delay.unwrap_or(own.off_delay_ns),
                ..*own
            }
        };
        own.iter().map(of).collect()
    }
}

/// The modes of a rule, with what says on each subject whether they hold.
pub(super) struct Modes<'l> {
    texts: &'l [ModeText],
    on: BTreeMap<PointIx, Vec<Arc<Expression>>>,
}

impl<'l> Modes<'l> {
    pub(super) fn of(
        ladder: &'l Ladder,
        head: &Head<'_>,
        subjects: &[PointIx],
        site: &Site<'_>,
        f: &mut Faults<'_>,
    ) -> Modes<'l> {
        let mut on: BTreeMap<PointIx, Vec<Arc<Expression>>> = BTreeMap::new();
        for m in &ladder.modes {
            let Some((text, span)) = &m.when else {
                continue;
            };
            let all = head.expressions(text, span, Wanted::Truth, subjects, site, f);
            for (p, e) in subjects.iter().zip(all.into_iter().flatten()) {
                on.entry(*p).or_default().push(e);
            }
            if m.given.is_empty() {
                f.add(
                    "E315",
                    m.span.clone(),
                    format!("mode \"{}\" has no limit of its own", m.name),
                    "give a level, like `h = { limit = 80 }`, or take the mode away",
                );
            }
        }
        Modes {
            texts: &ladder.modes,
            on,
        }
    }

    /// Gives the rule's alarms on one subject their modes; they stand in the builder already.
    pub(super) fn add(&self, rule: RuleIx, p: PointIx, f: &mut Faults<'_>, b: &mut Builder<'_>) {
        if self.texts.is_empty() {
            return;
        }
        let own = b.limits_of(rule, p);
        for m in self.texts {
            for g in &m.given {
                // Told once, however many points there are.
                let message = format!(
                    "mode \"{}\" gives level {}, which the rule has no limit of its own for",
                    m.name, g.level
                );
                let told = f.all.iter().any(|d| d.message == message);
                if !own.iter().any(|a| a.level == g.level) && !told {
                    let hint = "give the rule the level, too: it holds where no mode is true";
                    f.add("E315", g.span.clone(), message, hint);
                }
            }
        }
        let Some(whens) = self.on.get(&p).filter(|w| w.len() == self.texts.len()) else {
            return;
        };
        let modes = self.texts.iter().zip(whens).map(|(m, when)| Mode {
            name: m.name.as_str().into(),
            when: when.clone(),
            limits: m.limits(&own),
        });
        let modes: Vec<Mode> = modes.collect();
        b.modal(rule, p, modes);
    }
}
