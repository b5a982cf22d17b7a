//! What is allowed, and yet wrong: alarms nobody can act on in time, deadbands within the noise,
//! rules without a reason (section 6, `lint`).
//!
//! Lives here: judging checked rules. May not live here: grammar (`language`), files. Read first:
//! [`lint`].
//!
//! The time to respond is a fact of the process. No remedy here says to raise it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use davy_points::{Binding, Diagnostic, Life, ModbusType, PointDef, PointTable, Span};

use crate::alarm::Level;
use crate::grammar::{Page, ns};
use crate::ruleset::{AlarmDef, Kind, Rule, RuleSet, Side, Subject, SuppressedBy};

/// From the annunciation to a person's screen: the journal's fsync and MQTT. Measured at 1.8 ms
/// (p99, poll taken off); a loaded machine and one retransmission are within this.
pub const DELIVERY_NS: i64 = 300_000_000;

/// What is linted.
#[derive(Debug, Clone, Copy)]
pub struct Lint<'a> {
    /// Rules, resolved.
    pub rules: &'a RuleSet,
    /// Points.
    pub points: &'a PointTable,
    /// The point table's file.
    pub points_file: &'a Path,
    /// Texts of the rule files.
    pub files: &'a [(PathBuf, String)],
    /// Guidance pages.
    pub pages: &'a [Page],
}

/// Everything worth a finding, in one run.
#[must_use]
pub fn lint(site: &Lint<'_>) -> Vec<Diagnostic> {
    let mut found = Found::default();
    site.reasons(&mut found);
    for (ix, def) in site.rules.alarms() {
        let Subject::Point(p) = def.subject else {
            continue;
        };
        let point = site.points.point(p);
        if point.life == Life::Planned {
            continue;
        }
        let rule = site.rules.rule(def.rule);
        site.guidance(rule, def, point, &mut found);
        let window = match def.side().is_some() || def.level == Level::On {
            true => site.rules.window_of(ix),
            false => None,
        };
        site.latency(rule, def, window.unwrap_or(0), point, &mut found);
        if let Some(window) = window {
            site.window(rule, def, window, point, &mut found);
        }
        if matches!(rule.kind, Kind::Level) {
            site.noise(rule, def, point, &mut found);
            let above = site.rules.of_point(p).map(|(_, a)| a);
            let next = above.filter(|a| a.rule == def.rule && a.side() == def.side());
            site.gap(rule, def, next, point, &mut found);
        }
    }
    site.hidden(&mut found);
    found.into_list()
}

/// Findings; the same one on many points is told once, with their number.
#[derive(Default)]
struct Found {
    list: Vec<(Diagnostic, usize)>,
    by_place: BTreeMap<(&'static str, PathBuf, usize, Option<Level>), usize>,
    /// Tag, and where it stands.
    by_class: BTreeMap<String, Vec<(String, PathBuf, Span)>>,
}

impl Found {
    fn add(&mut self, level: Option<Level>, d: Diagnostic) {
        let key = (d.code, d.file.clone(), d.span.start, level);
        match self.by_place.get(&key) {
            Some(n) => self.list[*n].1 += 1,
            None => {
                self.by_place.insert(key, self.list.len());
                self.list.push((d, 0));
            }
        }
    }

    /// One finding a place, however many alarms have it.
    fn once(&mut self, d: Diagnostic) {
        let key = (d.code, d.file.clone(), d.span.start, None);
        if self.by_place.insert(key, usize::MAX).is_none() {
            self.list.push((d, 0));
        }
    }

    /// Points that only the table's limits watch: one finding a class.
    fn implicit(&mut self, file: &Path, point: &PointDef) {
        let of_class = self.by_class.entry(point.class.to_string()).or_default();
        if of_class.last().is_none_or(|(tag, ..)| *tag != *point.tag) {
            of_class.push((point.tag.to_string(), file.to_owned(), point.span.clone()));
        }
    }

    fn into_list(mut self) -> Vec<Diagnostic> {
        for (class, points) in std::mem::take(&mut self.by_class) {
            let Some((tag, file, span)) = points.first() else {
                continue;
            };
            let d = Diagnostic::warning(
                "L101",
                file,
                span.clone(),
                format!("the limits of {tag} have no guidance: no rule covers class {class}"),
                "a `[[level]]` rule with `guidance` for this class, or no limits in the table",
            );
            self.list.push((d, points.len() - 1));
        }
        self.list
            .into_iter()
            .map(|(mut d, more)| {
                if more > 0 {
                    d.message.push_str(&format!(" (and {more} more points)"));
                }
                d
            })
            .collect()
    }
}

impl Lint<'_> {
    /// Cause, consequence, time to respond, action: on every page that a rule names.
    fn reasons(&self, found: &mut Found) {
        let named = |page: &&Page| {
            let mut rules = self.rules.rules().iter();
            rules.any(|r| *r.guidance == *page.name)
        };
        for page in self.pages.iter().filter(named) {
            let missing: Vec<&str> = [
                ("cause", page.cause.is_none()),
                ("consequence", page.consequence.is_none()),
                ("time_to_respond", page.time_to_respond_ns.is_none()),
                ("action", page.action.is_none()),
            ]
            .into_iter()
            .filter(|(_, missing)| *missing)
            .map(|(key, _)| key)
            .collect();
            if !missing.is_empty() {
                found.once(Diagnostic::error(
                    "L102",
                    &page.file,
                    0..1,
                    format!("the page does not say: {}", missing.join(", ")),
                    "begin it with `---`, a line `key: …` for each, and `---`: an alarm without them \
                     cannot be told from noise",
                ));
            }
        }
    }

    fn guidance(&self, rule: &Rule, def: &AlarmDef, point: &PointDef, found: &mut Found) {
        // What judges the signal itself speaks to the instrument engineer.
        let of_process = def.side().is_some() || def.level == Level::On;
        if !rule.guidance.is_empty() || !of_process {
            return;
        }
        match &rule.origin {
            Some((file, span)) => found.once(Diagnostic::error(
                "L101",
                file,
                span.clone(),
                format!(
                    "the alarms of {} have no guidance: what shall a person do?",
                    rule.id
                ),
                "guidance = \"PAGE\", and guidance/PAGE.md",
            )),
            None => found.implicit(self.points_file, point),
        }
    }

    /// Poll, delays, delivery and escalation against the time to respond.
    fn latency(
        &self,
        rule: &Rule,
        def: &AlarmDef,
        window: i64,
        point: &PointDef,
        found: &mut Found,
    ) {
        let page = self.pages.iter().find(|p| *p.name == *rule.guidance);
        let (Some((page, time)), true) = (
            page.and_then(|p| Some((p, p.time_to_respond_ns?))),
            def.level != Level::LossOfView,
        ) else {
            return;
        };
        let poll = match def.level {
            // It is the silence itself that is seen, not a reading.
            Level::Stale => 0,
            _ => ns(point.expected_interval),
        };
        let terms = [
            ("poll", poll),
            ("window", window),
            (
                match def.level {
                    Level::Stale => "silence",
                    _ => "on-delay",
                },
                def.on_delay_ns,
            ),
            ("delivery", DELIVERY_NS),
        ];
        let sum = terms.iter().fold(0_i64, |s, (_, t)| s.saturating_add(*t));
        if sum <= time {
            return;
        }
        let told: Vec<String> = terms
            .iter()
            .filter(|(_, t)| *t > 0)
            .map(|(what, t)| format!("{what} {}", shown(*t)))
            .collect();
        let (file, span) = self.place(rule, def, "on_delay", point);
        found.add(
            Some(def.level),
            Diagnostic::error(
                "L107",
                file,
                span,
                format!(
                    "{}/{}/{} comes too late: {} = {} > {} to respond",
                    rule.id,
                    point.tag,
                    def.level,
                    told.join(" + "),
                    shown(sum),
                    shown(time)
                ),
                "poll faster, shorten the delay, or put the limit further from the danger; the time \
                 to respond is a fact of the process",
            )
            .also(&page.file, page.time_span.clone(), "the process gives this much"),
        );
    }

    /// A deadband below the step of the instrument, or below a thousandth of its range.
    fn noise(&self, rule: &Rule, def: &AlarmDef, point: &PointDef, found: &mut Found) {
        if def.side().is_none() || is_discrete(point) {
            return;
        }
        let db = def.deadband;
        let (file, span) = self.place(rule, def, "deadband", point);
        let tag = &point.tag;
        let unit = &point.unit;
        match resolution(point) {
            Some(step) if db < step * 0.999 => found.add(
                Some(def.level),
                Diagnostic::error(
                    "L104",
                    file,
                    span,
                    format!(
                        "the deadband of {}/{tag}/{}, {db} {unit}, is finer than one step of the \
                         instrument, {} {unit}: it chatters",
                        rule.id,
                        def.level,
                        figures(step)
                    ),
                    format!(
                        "a deadband of two steps or more: {} {unit}",
                        figures(step * 2.0)
                    ),
                ),
            ),
            _ => {
                let (Some(low), Some(high)) = (point.low, point.high) else {
                    return;
                };
                let noise = (high - low) * 0.001;
                if db < noise {
                    found.add(
                        Some(def.level),
                        Diagnostic::warning(
                            "L104",
                            file,
                            span,
                            format!(
                                "the deadband of {}/{tag}/{}, {db} {unit}, is below a thousandth of \
                                 the range, {} {unit}: noise may make it chatter",
                                rule.id,
                                def.level,
                                figures(noise)
                            ),
                            "the noise of this point is not known here: take a deadband above three σ",
                        ),
                    );
                }
            }
        }
    }

    /// A deadband that reaches the next limit: the worse level stands until the lesser is left too.
    fn gap<'d>(
        &self,
        rule: &Rule,
        def: &AlarmDef,
        siblings: impl Iterator<Item = &'d AlarmDef>,
        point: &PointDef,
        found: &mut Found,
    ) {
        let (Some(side), Some(limit)) = (def.side(), def.limit) else {
            return;
        };
        let lesser = siblings.filter_map(|a| a.limit).filter(|l| match side {
            Side::High => *l < limit,
            Side::Low => *l > limit,
        });
        let Some(gap) = lesser.map(|l| (l - limit).abs()).min_by(f64::total_cmp) else {
            return;
        };
        if def.deadband <= gap {
            return;
        }
        let (file, span) = self.place(rule, def, "deadband", point);
        let (tag, unit) = (&point.tag, &point.unit);
        found.add(
            Some(def.level),
            Diagnostic::error(
                "L103",
                file,
                span,
                format!(
                    "the deadband of {}/{tag}/{}, {} {unit}, is wider than the gap to the next limit, \
                     {} {unit}: the lesser level is left first, and masked all the while",
                    rule.id,
                    def.level,
                    def.deadband,
                    figures(gap)
                ),
                format!("a deadband below {} {unit}", figures(gap)),
            ),
        );
    }

    /// A cause that is judged by the very point it silences: the consequence may be its own cause.
    fn hidden(&self, found: &mut Found) {
        for s in &self.rules.suppressions {
            for a in &s.alarms {
                let def = self.rules.alarm(*a);
                let Subject::Point(p) = def.subject else {
                    continue;
                };
                let point = self.points.point(p);
                let by = match &s.by {
                    SuppressedBy::While(e) if e.inputs().contains(&p) => {
                        format!("`{}` reads {} itself", e.text(), point.tag)
                    }
                    SuppressedBy::Alarm(by) if self.rules.alarm(*by).subject == def.subject => {
                        let by = self.rules.name(self.rules.alarm(*by), self.points);
                        format!("{by} is an alarm of the same point")
                    }
                    _ => continue,
                };
                let rule = self.rules.rule(def.rule);
                let (file, span) = self.place(rule, def, "suppress", point);
                found.add(
                    None,
                    Diagnostic::error(
                        "L108",
                        file,
                        span,
                        format!(
                            "what suppresses {}/{}/{} can hide it: {by}",
                            rule.id, point.tag, def.level
                        ),
                        "a cause that another instrument tells: a fan's contact, a valve's position",
                    ),
                );
            }
        }
    }

    fn window(
        &self,
        rule: &Rule,
        def: &AlarmDef,
        window_ns: i64,
        point: &PointDef,
        found: &mut Found,
    ) {
        let poll = ns(point.expected_interval);
        if window_ns >= poll.saturating_mul(3) {
            return;
        }
        let (file, span) = self.place(rule, def, "window", point);
        found.add(
            None,
            Diagnostic::error(
                "L105",
                file,
                span,
                format!(
                    "the window of {} holds fewer than three readings of {}, which comes every {}",
                    rule.id,
                    point.tag,
                    shown(poll)
                ),
                format!(
                    "a window of {} or more, or a faster poll",
                    shown(poll.saturating_mul(3))
                ),
            ),
        );
    }

    /// Where a file gives this of a level: its line within the rule, else the rule's key, else the
    /// rule; of an implicit rule, the row of the point.
    fn place(&self, rule: &Rule, def: &AlarmDef, key: &str, point: &PointDef) -> (PathBuf, Span) {
        let Some((file, span)) = &rule.origin else {
            return (self.points_file.to_owned(), point.span.clone());
        };
        let text = self.files.iter().find(|(f, _)| f == file);
        // The rule goes on to the next one.
        let rest = text.and_then(|(_, t)| t.get(span.start..)).unwrap_or("");
        let written = &rest[..rest.find("\n[[").unwrap_or(rest.len())];
        let line_of = |name: &str| {
            let mut at = span.start;
            written.split_inclusive('\n').find_map(|line| {
                let from = at;
                at += line.len();
                let begins = line.trim_start().strip_prefix(name)?.trim_start();
                let indent = line.len() - line.trim_start().len();
                begins
                    .starts_with('=')
                    .then(|| from + indent..from + line.trim_end().len())
            })
        };
        // A window and a suppression are the rule's, whatever the level.
        let place = (!matches!(key, "window" | "suppress"))
            .then(|| line_of(def.level.name()))
            .flatten()
            .or_else(|| line_of(key))
            .unwrap_or_else(|| span.clone());
        (file.clone(), place)
    }
}

fn is_discrete(point: &PointDef) -> bool {
    match &point.binding {
        Binding::Modbus(m) => matches!(m.kind, ModbusType::Bool | ModbusType::Bit(_)),
        _ => false,
    }
}

/// One count of the instrument, in the point's unit; none where it is not known.
fn resolution(point: &PointDef) -> Option<f64> {
    let Binding::Modbus(m) = &point.binding else {
        return None;
    };
    if matches!(
        m.kind,
        ModbusType::F32 | ModbusType::F64 | ModbusType::Text(_)
    ) {
        return None;
    }
    match (point.scaling.raw, point.low, point.high) {
        (Some((raw_low, raw_high)), Some(low), Some(high)) => {
            Some(((high - low) / (raw_high - raw_low)).abs())
        }
        (Some(_), ..) => None,
        (None, ..) => Some(point.scaling.scale.abs()),
    }
    .filter(|s| s.is_finite() && *s > 0.0)
}

/// Without the dust of floating point.
fn figures(v: f64) -> String {
    format!("{}", (v * 1e6).round() / 1e6)
}

/// `300ms`, `5s`, `1.5s`, `10m`.
#[allow(clippy::cast_precision_loss)] // shown to the millisecond
fn shown(ns: i64) -> String {
    let ms = ns / 1_000_000;
    if ms < 1000 {
        format!("{ms}ms")
    } else if ms % 60_000 == 0 && ms >= 120_000 {
        format!("{}m", ms / 60_000)
    } else {
        format!("{}s", ms as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::pages;
    use crate::language::compile;
    use crate::proof::plant::{point, table};
    use davy_points::{ByteOrder, ModbusBinding, ModbusTable};

    const PAGE: &str = "---\ncause: c\nconsequence: q\ntime_to_respond: 10s\naction: a\n---\n";

    /// `CODE FILE[TEXT] MESSAGE`, of a site with these rules and one page.
    fn found(rules: &str, page: &str, points: impl IntoIterator<Item = PointDef>) -> Vec<String> {
        let points = table(points);
        let files = [(
            PathBuf::from("rules/r.toml"),
            format!("schema = 1\n{rules}"),
        )];
        let texts = [("p".to_owned(), page.to_owned())];
        let (set, faults) = compile(&files, &points, &["p".to_owned()]);
        let set = set.unwrap_or_else(|| panic!("{faults:?}"));
        let (pages, faults) = pages(&texts);
        assert_eq!(faults, []);
        lint(&Lint {
            rules: &set,
            points: &points,
            points_file: Path::new("points.csv"),
            files: &files,
            pages: &pages,
        })
        .iter()
        .map(|d| {
            let text = match d.file.starts_with("rules") {
                true => &*files[0].1,
                false => page,
            };
            let first = text
                .get(d.span.clone())
                .unwrap_or("")
                .lines()
                .next()
                .unwrap_or("");
            format!("{} {}[{first}] {}", d.code, d.file.display(), d.message)
        })
        .collect()
    }

    /// A point whose instrument gives this type, one unit a step.
    fn register(tag: &str, kind: ModbusType) -> PointDef {
        let mut p = point(tag);
        p.binding = Binding::Modbus(ModbusBinding {
            unit_id: 1,
            table: ModbusTable::Holding,
            address: 0,
            kind,
            order: ByteOrder::Abcd,
            status: None,
        });
        p
    }

    const CLEAN: &str = "[[level]]\nid = \"t\"\nselect = { tag = \"LT\" }\nguidance = \"p\"\n\
                         h = { limit = 80, deadband = 1 }\nhh = { limit = 90, deadband = 1 }\n";

    #[track_caller]
    fn check(rules: &str, page: &str, expected: &[&str]) {
        assert_eq!(found(rules, page, [point("LT")]), expected, "{rules}");
    }

    #[test]
    fn nothing_wrong_is_nothing_found() {
        check(CLEAN, PAGE, &[]);
    }

    #[test]
    fn an_alarm_has_a_reason() {
        check(
            &CLEAN.replace("guidance = \"p\"\n", ""),
            PAGE,
            &[
                "L101 rules/r.toml[[[level]]] the alarms of t have no guidance: what shall a person do?",
            ],
        );
        check(
            CLEAN,
            "---\ncause: c\naction:\n---\n",
            &["L102 guidance/p.md[-] the page does not say: consequence, time_to_respond, action"],
        );
        check(
            CLEAN,
            "# a page\n",
            &[
                "L102 guidance/p.md[#] the page does not say: cause, consequence, time_to_respond, action",
            ],
        );
        // A page that nobody names is nobody's fault.
        let other = CLEAN.replace("guidance = \"p\"\n", "text = \"x\"\n");
        assert_eq!(found(&other, "", [point("LT")]).len(), 1);
    }

    #[test]
    fn limits_that_no_rule_covers_are_told_by_class() {
        let tank = |tag: &str| {
            let mut p = point(tag);
            p.limits.h = Some(80.0);
            p.limits.hh = Some(90.0);
            p.deadband = 1.0;
            p
        };
        let told = found(CLEAN, PAGE, [point("LT"), tank("A"), tank("B"), tank("C")]);
        assert_eq!(
            told,
            [
                "L101 points.csv[] the limits of A have no guidance: no rule covers class tank_level (and 2 more points)"
            ]
        );
    }

    #[test]
    fn the_latency_budget_is_kept_to_the_nanosecond() {
        // Poll 1 s + 8.7 s + 0.3 s is exactly the 10 s.
        let h = |delay: &str| {
            CLEAN.replace(
                "h = { limit = 80, ",
                &format!("h = {{ limit = 80, on_delay = \"{delay}\", "),
            )
        };
        check(&h("8700ms"), PAGE, &[]);
        check(
            &h("8701ms"),
            PAGE,
            &[
                "L107 rules/r.toml[h = { limit = 80, on_delay = \"8701ms\", deadband = 1 }] t/LT/h comes \
               too late: poll 1s + on-delay 8.701s + delivery 300ms = 10.001s > 10s to respond",
            ],
        );
        // A window is a delay: the gauge is stuck for so long before anybody knows.
        let stuck = "[[stuck]]\nid = \"s\"\nselect = { tag = \"LT\" }\nguidance = \"p\"\nepsilon = 1\nwindow = \"10s\"\n";
        let told = found(stuck, PAGE, [point("LT")]);
        assert!(
            told[0].contains("poll 1s + window 10s + delivery 300ms = 11.3s > 10s"),
            "{told:?}"
        );
        // Silence is seen as silence, and needs no poll.
        let stale = "[[stale]]\nid = \"s\"\nselect = { tag = \"LT\" }\nguidance = \"p\"\nafter = \"9700ms\"\n";
        check(stale, PAGE, &[]);
        let told = found(&stale.replace("9700", "9701"), PAGE, [point("LT")]);
        assert!(
            told[0].contains("silence 9.701s + delivery 300ms"),
            "{told:?}"
        );
        // Many points are one finding; and no remedy raises the time.
        let points = ["LT", "LT2", "LT3"].map(point);
        let told = found(&h("9s").replace("\"LT\"", "\"LT*\""), PAGE, points);
        assert_eq!(told.len(), 1);
        assert!(told[0].ends_with("(and 2 more points)"), "{told:?}");
    }

    #[test]
    fn no_remedy_is_to_raise_the_time_to_respond() {
        let source = include_str!("lint.rs");
        let before_tests = source.split("#[cfg(test)]").next().unwrap();
        for line in before_tests
            .lines()
            .filter(|l| !l.trim_start().starts_with("//"))
        {
            assert!(!line.contains("longer time to respond"), "{line}");
            assert!(!line.contains("raise the time"), "{line}");
        }
    }

    #[test]
    fn a_deadband_is_coarser_than_the_instrument() {
        let with = |deadband: f64, kind: ModbusType| {
            let rules = CLEAN.replace("deadband = 1", &format!("deadband = {deadband}"));
            let told = found(&rules, PAGE, [register("LT", kind)]);
            told.iter().map(|t| t[..4].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(with(1.0, ModbusType::U16), [""; 0]);
        assert_eq!(with(0.99, ModbusType::U16), ["L104", "L104"]);
        // A float says nothing of its step: a thousandth of the range is a note.
        assert_eq!(with(0.1, ModbusType::F32), [""; 0]);
        assert_eq!(with(0.09, ModbusType::F32), ["L104", "L104"]);
        // A bit has no noise.
        assert_eq!(with(0.0, ModbusType::Bool), [""; 0]);
        // Raw counts of a 4–20 mA card: 16000 steps over 100 units.
        let mut p = register("LT", ModbusType::U16);
        p.scaling.raw = Some((4000.0, 20000.0));
        assert_eq!(resolution(&p), Some(100.0 / 16000.0));
    }

    #[test]
    fn a_deadband_does_not_reach_the_next_limit() {
        // Within a rule file `check` refuses it (E307); the table's row has one deadband for all.
        let with = |deadband: f64, low: f64, high: f64| {
            let mut p = point("A");
            p.limits.ll = Some(low);
            p.limits.l = Some(10.0);
            p.limits.h = Some(80.0);
            p.limits.hh = Some(high);
            p.deadband = deadband;
            let mut told = found(CLEAN, PAGE, [point("LT"), p]);
            told.retain(|t| !t.starts_with("L101"));
            told
        };
        assert_eq!(with(10.0, 0.0, 90.0), [""; 0]);
        assert_eq!(
            with(10.5, -5.0, 90.0),
            [
                "L103 points.csv[] the deadband of table/A/hh, 10.5 m, is wider than the gap to the next \
                 limit, 10 m: the lesser level is left first, and masked all the while",
            ]
        );
        let low = with(10.5, 1.0, 95.0);
        assert_eq!(low.len(), 1);
        assert!(low[0].contains("table/A/ll, 10.5 m"), "{low:?}");
    }

    #[test]
    fn a_suppression_does_not_hide_its_own_consequence() {
        let with = |by: &str| {
            let rules = CLEAN.replace(
                "guidance = \"p\"\n",
                &format!("guidance = \"p\"\nsuppress = [{{ {by}, levels = [\"h\"], cause = \"off\", max = \"1h\" }}]\n"),
            )
            .replace("hh = { limit = 90", "hh = { limit = 90, priority = 2")
            + "[[level]]\nid = \"u\"\nselect = { tag = \"LT\" }\nguidance = \"p\"\nl = { limit = 5, deadband = 1 }\n\
               [[level]]\nid = \"f\"\nselect = { tag = \"FT\" }\nguidance = \"p\"\nl = { limit = 5, deadband = 1 }\n";
            let told = found(&rules, PAGE, [point("LT"), point("FT")]);
            told.into_iter()
                .map(|t| {
                    t.split_once("can hide it: ")
                        .map_or(t.clone(), |t| t.1.to_owned())
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(with("while = \"FT < 5\""), [""; 0]);
        assert_eq!(
            with("while = \"FT < 5 && LT > 1\""),
            ["`FT < 5 && LT > 1` reads LT itself"]
        );
        assert_eq!(with("alarm = \"f/FT/l\""), [""; 0]);
        assert_eq!(
            with("alarm = \"u/LT/l\""),
            ["u/LT/l is an alarm of the same point"]
        );
    }

    #[test]
    fn a_rate_has_three_readings() {
        let rate = |window: &str| {
            format!(
                "[[rate]]\nid = \"r\"\nselect = {{ tag = \"LT\" }}\nguidance = \"p\"\nwindow = \"{window}\"\n\
                 h = {{ limit = 50, deadband = 1 }}\n"
            )
        };
        check(&rate("3s"), PAGE, &[]);
        check(
            &rate("2900ms"),
            PAGE,
            &[
                "L105 rules/r.toml[window = \"2900ms\"] the window of r holds fewer than three readings of LT, which comes every 1s",
            ],
        );
    }
}
