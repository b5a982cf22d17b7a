//! Where a set point comes from, and whether it keeps to the cap of its standard.
//!
//! Lives here: `source`, `verified`, `override` and `substance` as they stand in a rule, and the
//! faults of a limit beyond its cap. May not live here: the caps (`language/standards`), the
//! signature (`language/approval`). Read first: [`Caps::hold`].

use davy_points::{PointDef, PointTable, Severity, Span};

use super::ladder::{LEVELS, LevelText, Many};
use crate::alarm::Level;
use crate::grammar::{Faults, Keys, nearest};
use crate::ruleset::{AlarmDef, Approval, Override, Provenance, Standards, Substance, table_limit};

/// Where a set point comes from, with the places.
#[derive(Debug, Clone, Default)]
pub(super) struct ProvenanceText {
    source: Option<String>,
    verified: bool,
    exception: Option<Exception>,
}

#[derive(Debug, Clone)]
struct Exception {
    reason: String,
    by: String,
    approved_by: String,
    date: String,
    signature: String,
    span: Span,
    /// Where the signature stands, or else the override.
    signature_span: Span,
}

impl ProvenanceText {
    /// Reads `source`, `verified` and `override` of a limit table.
    pub(super) fn read(k: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> ProvenanceText {
        let source = k.text("source", f);
        if let Some((text, span)) = &source
            && text.trim().is_empty()
        {
            f.add(
                "E302",
                span.clone(),
                "`source` is empty",
                "name the document and its clause, or leave it out",
            );
        }
        let verified = k.truth("verified", f).unwrap_or(false);
        if verified && source.is_none() {
            f.add(
                "E302",
                k.span.clone(),
                "`verified` without a source",
                "name what the number was read in: source = \"GB/T 50493-2019 5.5\"",
            );
        }
        ProvenanceText {
            source: source.map(|s| s.0.to_owned()),
            verified,
            exception: exception(k, f),
        }
    }

    pub(super) fn of(&self, level: Level) -> Provenance {
        Provenance {
            level,
            source: self.source.as_deref().map(Into::into),
            verified: self.verified,
            overridden: self.exception.is_some(),
        }
    }

    /// For kinds without caps: an override there would look as if it meant something.
    pub(super) fn no_override(&self, f: &mut Faults<'_>) {
        if let Some(e) = &self.exception {
            f.add(
                "E331",
                e.span.clone(),
                "`override` has no effect here: caps are held against kind `level` alone",
                "take it away",
            );
        }
    }
}

fn exception(k: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Option<Exception> {
    let mut o = k.table(
        "override",
        "{ reason = \"…\", by = \"…\", approved_by = \"…\", date = \"2026-11-25\", signature = \"…\" }",
        f,
    )?;
    let span = o.span.clone();
    let mut missing = Vec::new();
    let mut need = |o: &mut Keys<'_, '_>, key: &'static str, f: &mut Faults<'_>| {
        let text = o.text(key, f);
        if o.raw(key).is_none() {
            missing.push(key);
        }
        text.map(|t| (t.0.to_owned(), t.1))
    };
    let reason = need(&mut o, "reason", f);
    let by = need(&mut o, "by", f);
    let approved_by = need(&mut o, "approved_by", f);
    let date = need(&mut o, "date", f);
    let signature = o.text("signature", f);
    if o.raw("signature").is_some() && signature.is_none() {
        // Told as a wrong type.
        missing.push("signature");
    }
    o.finish(f);
    if !missing.is_empty() {
        missing.retain(|m| *m != "signature");
        if !missing.is_empty() {
            f.add(
                "E331",
                span,
                format!("the override lacks {}", missing.join(", ")),
                "who goes beyond a standard gives reason, by, approved_by, date and signature",
            );
        }
        return None;
    }
    let e = Exception {
        reason: reason?.0,
        by: by?.0,
        approved_by: approved_by?.0,
        date: date?.0,
        signature_span: signature.as_ref().map_or(span.clone(), |s| s.1.clone()),
        signature: signature.map_or_else(String::new, |s| s.0.to_owned()),
        span,
    };
    if let Some(why) = e.words().flaw() {
        f.add(
            "E331",
            e.span.clone(),
            format!("the override is none: {why}"),
            "who goes beyond a standard gives reason, by, approved_by (somebody else), date and signature",
        );
        return None;
    }
    Some(e)
}

impl Exception {
    fn words(&self) -> Override<'_> {
        Override {
            reason: &self.reason,
            by: &self.by,
            approved_by: &self.approved_by,
            date: &self.date,
        }
    }
}

/// The caps that one rule is held against.
pub(super) struct Caps<'s> {
    rule: String,
    substance: Option<&'static Substance>,
    approval: &'s Approval,
    beyond: Many,
    signed: Many,
    idle: Vec<(Span, Level)>,
    used: Vec<Span>,
    uncapped: Many,
    ask: Many,
}

impl<'s> Caps<'s> {
    /// Reads `substance` of a rule.
    pub(super) fn read(
        rule: &str,
        keys: &mut Keys<'_, '_>,
        approval: &'s Approval,
        f: &mut Faults<'_>,
    ) -> Caps<'s> {
        let standards = Standards::built_in();
        let substance = keys.text("substance", f).and_then(|(word, span)| {
            let found = standards.substance(word);
            if found.is_none() {
                let names = standards.names();
                f.add(
                    "E333",
                    span,
                    format!("no substance \"{word}\" in standards.toml"),
                    match nearest(word, &names) {
                        Some(near) => format!("did you mean \"{near}\"? A CAS number is understood too"),
                        None => format!(
                            "one of: {}; or a CAS number of one; without it no toxic cap is checked",
                            names.join(", ")
                        ),
                    },
                );
            }
            found
        });
        Caps {
            rule: rule.to_owned(),
            substance,
            approval,
            beyond: Many::default(),
            signed: Many::default(),
            idle: Vec::new(),
            used: Vec::new(),
            uncapped: Many::default(),
            ask: Many::default(),
        }
    }

    /// Holds the limits of one point against their caps. `mode` is the operating mode that the
    /// limits are of, empty for the rule's own.
    pub(super) fn hold(
        &mut self,
        point: &PointDef,
        alarms: &[AlarmDef],
        texts: &[LevelText],
        at: impl Fn(Level) -> Span,
        mode: &str,
    ) {
        let standards = Standards::built_in();
        for a in alarms {
            let Some(limit) = a.limit else { continue };
            let text = texts.iter().find(|t| t.level == a.level);
            let exception = text.and_then(|t| t.provenance.exception.as_ref());
            let cap = standards.cap(self.substance, &point.class, &point.unit, a.level);
            if let (None, Some(s), Level::H) = (&cap, self.substance, a.level)
                && s.is_toxic()
            {
                let unit = if point.unit.is_empty() {
                    "no unit"
                } else {
                    &point.unit
                };
                self.uncapped.note_as(
                    format!(
                        "no cap of {} is known in the unit of {}, {unit}",
                        s.name, point.tag
                    ),
                    at(a.level),
                    a.level,
                );
            }
            if let Some(s) = self.substance
                && let Some(ask) = &s.ask
                && cap.is_some()
                && !text.is_some_and(|t| t.provenance.verified)
                && !point.unit.to_lowercase().contains("lel")
            {
                self.ask
                    .note_as(format!("{}: {ask}", s.name), at(a.level), Level::On);
            }
            let Some(cap) = cap else { continue };
            if cap.allows(limit) {
                continue;
            }
            let beyond = format!(
                "{} {} {limit} on {} lies {} the cap of {} {}",
                self.rule,
                a.level,
                point.tag,
                if cap.low { "below" } else { "above" },
                cap.bound,
                point.unit
            );
            let said = format!(
                "{beyond} ({}{})",
                cap.source,
                if cap.verified { "" } else { "; not verified" }
            );
            let Some(e) = exception else {
                self.beyond.note_as(said, at(a.level), a.level);
                continue;
            };
            self.used.push(e.span.clone());
            if text.is_none_or(|t| t.limit.is_none()) {
                self.signed.note_as(
                    format!(
                        "{beyond}, and the override signs no `limit`: it comes from the point table"
                    ),
                    e.span.clone(),
                    a.level,
                );
                continue;
            }
            let name = if mode.is_empty() {
                a.level.name().to_owned()
            } else {
                format!("{}/{mode}", a.level)
            };
            if !self.approval.has_key() {
                self.signed.note_as(
                    format!("{beyond}, and the override cannot be verified: the site has no approval key"),
                    e.signature_span.clone(),
                    a.level,
                );
            } else if !self
                .approval
                .verify(&self.rule, &name, limit, &e.words(), &e.signature)
            {
                self.signed.note_as(
                    format!(
                        "{beyond}, and the signature of the override is not that of these words"
                    ),
                    e.signature_span.clone(),
                    a.level,
                );
            }
        }
        for t in texts {
            if let Some(e) = &t.provenance.exception {
                self.idle.push((e.span.clone(), t.level));
            }
        }
    }

    /// Tells the faults.
    pub(super) fn tell(self, f: &mut Faults<'_>) {
        let rule = self.rule;
        let revision = &Standards::built_in().revision;
        self.beyond.tell("E330", f, |said, level| {
            (
                said.to_owned(),
                format!(
                    "keep to the cap (standards.toml of {revision}); or add override = {{ reason, by, \
                     approved_by, date, signature }}, signed with `davy check DIR --sign {rule}/{level}`"
                ),
            )
        });
        self.signed.tell("E332", f, |said, level| {
            (
                said.to_owned(),
                format!(
                    "set `[approval] key_file` in site.toml, write `limit` beside the override, \
                     and let the approver print the signature: `davy check DIR --sign {rule}/{level}`"
                ),
            )
        });
        let mut idle: Vec<(Span, Level)> = self
            .idle
            .into_iter()
            .filter(|(s, _)| !self.used.contains(s))
            .collect();
        idle.dedup();
        for (span, level) in idle {
            f.add(
                "E331",
                span,
                format!("the override of {level} has no effect: no limit goes beyond its cap"),
                "take it away, so that it cannot cover a later change",
            );
        }
        let from = f.all.len();
        self.uncapped.tell("W331", f, |said, _| {
            (
                said.to_owned(),
                "give the point its unit, mg/m³ or ppm, or take `substance` away".to_owned(),
            )
        });
        self.ask.tell("W330", f, |said, _| {
            (
                said.to_owned(),
                "the plant decides: write its source and `verified = true` beside the limit"
                    .to_owned(),
            )
        });
        for d in &mut f.all[from..] {
            d.severity = Severity::Warning;
        }
    }
}

/// Limits that stand in the point table alone, without any rule: the caps of their class hold too.
pub(crate) fn hold_the_table(
    table: &PointTable,
    covered: impl Fn(davy_points::PointIx) -> bool,
    all: &mut Vec<davy_points::Diagnostic>,
) {
    let standards = Standards::built_in();
    for (ix, point) in table.iter() {
        if point.life == davy_points::Life::Planned || covered(ix) {
            continue;
        }
        for (_, level) in LEVELS {
            let Some(limit) = table_limit(point, level) else {
                continue;
            };
            let Some(cap) = standards.cap(None, &point.class, &point.unit, level) else {
                continue;
            };
            if !cap.allows(limit) {
                all.push(davy_points::Diagnostic::error(
                    "E330",
                    "points.csv",
                    0..0,
                    format!(
                        "{} {limit} of {} in the point table lies {} the cap of {} {} ({})",
                        level.name().to_uppercase(),
                        point.tag,
                        if cap.low { "below" } else { "above" },
                        cap.bound,
                        point.unit,
                        cap.source
                    ),
                    "keep to the cap; or write a `[[level]]` rule for it with a signed override",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
