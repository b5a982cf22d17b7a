//! Checked rules, resolved for every point of a table: one [`AlarmDef`] per (rule, tag, level).

mod approval;
mod judge;
mod pending;
mod provenance;
mod standards;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use davy_points::{
    Life, PointDef, PointIx, PointTable, Priority, QualityClass, SourceIx, Span, Value,
};
use sha2::{Digest, Sha256};

use crate::alarm::Level;
use crate::grammar::{Expression, ns};

pub(crate) use approval::Override;
pub use approval::{Approval, sign_override};
pub(crate) use judge::{Finding, Judge, Now, Reading, Settings};
pub(crate) use pending::{PendingBy, PendingCause, PendingGroup};
pub use provenance::Provenance;
pub(crate) use standards::{Standards, Substance};
pub(crate) use words::{About, FLOOD, STARTUP, Shade, sentence};

/// What a rule judges by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Limits with deadband and delays.
    Level,
    /// Process value minus set point, against signed limits.
    Deviation,
    /// Slope over a window.
    Rate,
    /// No admitted arrival for too long.
    Stale,
    /// Samples arrive, the value does not move, though it should.
    Stuck,
    /// Quality class in a set for a duration.
    Quality,
    /// Feedback does not follow the command in time.
    Discrepancy,
    /// Off-normal, or a trip.
    Discrete,
    /// Instruments of one quantity differ.
    Redundant,
    /// M out of N.
    Vote,
    /// Rising edges in a window.
    Count,
    /// Mean, extremes, sum, deviation or percentile over a window.
    Aggregate,
    /// What came in and went out against the change of content.
    MassBalance,
    /// How long until a limit is reached.
    TimeToLimit,
    /// One thing and then another, in time.
    Sequence,
    /// CEL over points.
    Expression,
    /// Which of a trip group came first.
    FirstOut,
    /// Built in: a source is lost, or its clock is.
    Source,
    /// Built in: a part of the process itself has failed.
    System,
    /// Built in: a point is bypassed for a test.
    Bypass,
}

impl Kind {
    /// As in records and as the name of its tables in a rule file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Level => "level",
            Kind::Deviation => "deviation",
            Kind::Rate => "rate",
            Kind::Stale => "stale",
            Kind::Stuck => "stuck",
            Kind::Quality => "quality",
            Kind::Discrepancy => "discrepancy",
            Kind::Discrete => "discrete",
            Kind::Redundant => "redundant",
            Kind::Vote => "vote",
            Kind::Count => "count",
            Kind::Aggregate => "aggregate",
            Kind::MassBalance => "mass_balance",
            Kind::TimeToLimit => "time_to_limit",
            Kind::Sequence => "sequence",
            Kind::Expression => "expression",
            Kind::FirstOut => "first_out",
            Kind::Source => "source",
            Kind::System => "system",
            Kind::Bypass => "bypass",
        }
    }
}

/// What a level rule makes of Bad input (`alarm-engine.md` 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnBad {
    /// Keep the last state, UNKNOWN.
    #[default]
    Hold,
    /// Raise the rule's own alarm at level `bad`.
    Alarm,
    /// A finite Bad value may raise, never return.
    UseValue,
}

impl OnBad {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            OnBad::Hold => "hold",
            OnBad::Alarm => "alarm",
            OnBad::UseValue => "use_value",
        }
    }
}

/// Settings of a rule of kind `stuck`.
#[derive(Debug, Clone, PartialEq)]
pub struct StuckSettings {
    /// `max − min ≤ epsilon` over the window is standing still.
    pub epsilon: f64,
    /// Window in event time, ns.
    pub window_ns: i64,
    /// Activity witness of each subject; none: always Unknown.
    pub witnesses: BTreeMap<PointIx, Arc<Expression>>,
}

/// A rule: what its alarms have in common.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Stable id; `table`, `stale`, `quality`, `source`, `system` and `bypass` are implicit ones.
    pub id: Arc<str>,
    /// Kind.
    pub kind: Kind,
    /// Guidance page, or empty.
    pub guidance: Arc<str>,
    /// Sentence of its own in place of the rendered one.
    pub text: Option<Arc<str>>,
    /// File and place; none for implicit rules.
    pub origin: Option<(PathBuf, Span)>,
    /// Where its set points come from, as far as the file says.
    pub provenance: Vec<Provenance>,
    /// Policy for Bad input.
    pub on_bad: OnBad,
    /// `pending = "strict"`: the first Good sample that does not enter cancels (3.6).
    pub strict: bool,
    /// Gap that a pending start may bridge, ns; none: two expected intervals (3.6).
    pub gap_tolerance_ns: Option<i64>,
    /// Re-alarm time of an acknowledged alarm, ns.
    pub realarm_ns: Option<i64>,
    /// Stays on the list after its return until it is reset (rows 7–10).
    pub latch: bool,
    /// To be confirmed true or false before it closes (row 17).
    pub confirm: bool,
    /// Overrides "priority 1 or 2" as safety class.
    pub safety: Option<bool>,
    /// A trip: it latches, and no chatter guard holds it.
    pub trip: bool,
    /// Classes that kind `quality` raises on.
    pub classes: Vec<QualityClass>,
    /// Kind `stuck`.
    pub stuck: Option<StuckSettings>,
    /// What suppresses its alarms, as it stands in the file.
    pub suppress: Arc<str>,
    /// The chatter guard; none: switched off.
    pub chatter: Option<Chatter>,
}

/// The chatter guard of a rule: so many occurrences within the window are chatter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chatter {
    /// Occurrences, at least 2.
    pub count: usize,
    /// Window, and how long it must then be quiet, ns.
    pub window_ns: i64,
}

impl Default for Chatter {
    /// Three in a minute (ISA-18.2).
    fn default() -> Chatter {
        Chatter {
            count: 3,
            window_ns: 60_000_000_000,
        }
    }
}

/// Dense index of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIx(pub(crate) u32);

/// Dense index of an alarm. Never on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlarmIx(pub(crate) u32);

impl AlarmIx {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A point.
    Point(PointIx),
    /// A source.
    Source(SourceIx),
    /// A part of the process, by its place in the engine's list.
    Part(u32),
}

/// One alarm: (rule, tag, level), with what it needs to be judged.
#[derive(Debug, Clone, Copy)]
pub struct AlarmDef {
    /// Its rule.
    pub rule: RuleIx,
    /// What it is about.
    pub subject: Subject,
    /// Level.
    pub level: Level,
    /// Priority.
    pub priority: Priority,
    /// Limit; none for kinds without one.
    pub limit: Option<f64>,
    /// Deadband, acts on exit only (3.5).
    pub deadband: f64,
    /// On-delay, ns; for `stale` the silence that is allowed.
    pub on_delay_ns: i64,
    /// Off-delay, ns.
    pub off_delay_ns: i64,
}

/// Which side of the process a level guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    High,
    Low,
}

impl AlarmDef {
    pub(crate) fn side(&self) -> Option<Side> {
        match self.level {
            Level::H | Level::Hh | Level::Hhh => Some(Side::High),
            Level::L | Level::Ll => Some(Side::Low),
            _ => None,
        }
    }

    /// Whether a value would have left a level whose limit was `limit`, with the deadband of now.
    pub(crate) fn is_beyond_exit(&self, value: &Value, limit: Option<f64>) -> bool {
        let (_, exit) = AlarmDef { limit, ..*self }.bounds();
        let v = value.number();
        match self.side() {
            Some(Side::Low) => v.is_some_and(|v| v > exit),
            Some(Side::High) => v.is_some_and(|v| v < exit),
            None => false,
        }
    }

    /// Entry bound, and exit bound computed once (8.1).
    pub(crate) fn bounds(&self) -> (f64, f64) {
        let limit = self.limit.unwrap_or(f64::NAN);
        match self.side() {
            Some(Side::Low) => (limit, limit + self.deadband),
            _ => (limit, limit - self.deadband),
        }
    }
}

/// The alarms of one point: level alarms first, worst first on each side.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PointAlarms {
    pub(crate) first: u32,
    pub(crate) levels: u16,
    pub(crate) all: u16,
}

/// One rule of a kind that derives something, on one subject, with what it reads.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) rule: RuleIx,
    pub(crate) subject: PointIx,
    /// Its ladder, worst first on each side, or its one alarm `on`.
    pub(crate) alarms: std::ops::Range<u32>,
    pub(crate) inputs: Box<[PointIx]>,
    pub(crate) settings: Arc<dyn Settings>,
    /// What it derives, in the words of an alarm: 变化速率.
    pub(crate) what: Arc<str>,
    /// Unit of its limits.
    pub(crate) unit: Arc<str>,
}

/// A cause for which alarms are by design not annunciated.
#[derive(Debug, Clone)]
pub(crate) struct Suppression {
    pub(crate) alarms: Box<[AlarmIx]>,
    pub(crate) cause: Arc<str>,
    /// It ends after this long though its cause goes on.
    pub(crate) max_ns: i64,
    pub(crate) by: SuppressedBy,
}

/// Alarms of which it is told which came first.
#[derive(Debug, Clone)]
pub(crate) struct TripGroup {
    pub(crate) rule: RuleIx,
    pub(crate) name: Arc<str>,
    pub(crate) priority: Priority,
    pub(crate) members: Box<[AlarmIx]>,
}

/// What makes a cause true.
#[derive(Debug, Clone)]
pub(crate) enum SuppressedBy {
    While(Arc<Expression>),
    Alarm(AlarmIx),
}

/// An instance before its alarms have their places.
pub(crate) struct Derived {
    pub(crate) rule: RuleIx,
    pub(crate) subject: PointIx,
    pub(crate) inputs: Vec<PointIx>,
    pub(crate) settings: Arc<dyn Settings>,
    pub(crate) what: &'static str,
    pub(crate) unit: Arc<str>,
}

/// A rule whose limits hang on the operating mode, on one subject.
#[derive(Debug, Clone)]
pub(crate) struct Modal {
    pub(crate) rule: RuleIx,
    pub(crate) subject: PointIx,
    /// Its alarms that have limits.
    pub(crate) alarms: Vec<AlarmIx>,
    /// Their limits where no mode is true.
    pub(crate) own: Vec<AlarmDef>,
    pub(crate) modes: Vec<Mode>,
}

/// Limits in one operating mode.
#[derive(Debug, Clone)]
pub(crate) struct Mode {
    pub(crate) name: Arc<str>,
    pub(crate) when: Arc<Expression>,
    /// In the order of the rule's alarms.
    pub(crate) limits: Vec<AlarmDef>,
}

/// All rules of a site, resolved against its point table.
#[derive(Debug, Clone)]
pub struct RuleSet {
    pub(crate) rules: Vec<Rule>,
    pub(crate) alarms: Vec<AlarmDef>,
    pub(crate) points: Vec<PointAlarms>,
    /// In the order of their alarms.
    pub(crate) instances: Vec<Instance>,
    /// Rules with modes, by subject.
    pub(crate) modal: Vec<Modal>,
    pub(crate) suppressions: Vec<Suppression>,
    pub(crate) groups: Vec<TripGroup>,
    /// `source/<id>/loss_of_view` of each source.
    pub(crate) sources: Vec<AlarmIx>,
    /// Rule of the built-in system alarms.
    pub(crate) system: RuleIx,
    /// Rule of the records of bypasses.
    pub(crate) bypass: RuleIx,
}

impl RuleSet {
    /// All rules, implicit ones included.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// A rule.
    #[must_use]
    pub fn rule(&self, ix: RuleIx) -> &Rule {
        &self.rules[ix.0 as usize]
    }

    /// All alarms that stand from the beginning; those of `system` come as parts report.
    #[allow(clippy::cast_possible_truncation)] // built with u32 indexes
    pub fn alarms(&self) -> impl ExactSizeIterator<Item = (AlarmIx, &AlarmDef)> {
        self.alarms
            .iter()
            .enumerate()
            .map(|(i, a)| (AlarmIx(i as u32), a))
    }

    /// One alarm.
    #[must_use]
    pub fn alarm(&self, ix: AlarmIx) -> &AlarmDef {
        &self.alarms[ix.index()]
    }

    /// The alarms of a point, level alarms first.
    pub fn of_point(&self, point: PointIx) -> impl Iterator<Item = (AlarmIx, &AlarmDef)> {
        let p = self.points[point.index()];
        (p.first..p.first + u32::from(p.all)).map(|i| (AlarmIx(i), &self.alarms[i as usize]))
    }

    /// The instance that an alarm of a deriving kind belongs to.
    pub(crate) fn instance_of(&self, a: AlarmIx) -> Option<(usize, &Instance)> {
        let after = self.instances.partition_point(|i| i.alarms.start <= a.0);
        let n = after.checked_sub(1)?;
        let i = &self.instances[n];
        i.alarms.contains(&a.0).then_some((n, i))
    }

    /// The window of an alarm's rule, where it has one.
    pub(crate) fn window_of(&self, a: AlarmIx) -> Option<i64> {
        match &self.rule(self.alarm(a).rule).stuck {
            Some(stuck) => Some(stuck.window_ns),
            None => self.instance_of(a)?.1.settings.window_ns(),
        }
    }

    /// The instance of a rule on a subject.
    pub(crate) fn instance_on(&self, rule: RuleIx, subject: PointIx) -> Option<&Instance> {
        let r = self.points[subject.index()];
        (r.first..r.first + u32::from(r.all))
            .map(AlarmIx)
            .filter(|a| self.alarm(*a).rule == rule)
            .find_map(|a| self.instance_of(a))
            .map(|(_, i)| i)
    }

    /// What an alarm reads beside its subject, by tag: on other inputs it is another alarm
    /// (section 2, edits).
    pub(crate) fn inputs_of<'t>(&self, a: AlarmIx, table: &'t PointTable) -> Vec<&'t str> {
        let def = self.alarm(a);
        let stuck = &self.rule(def.rule).stuck;
        let witness = match def.subject {
            Subject::Point(p) => stuck.as_ref().and_then(|s| s.witnesses.get(&p)),
            Subject::Source(_) | Subject::Part(_) => None,
        };
        let inputs = match self.instance_of(a) {
            Some((_, i)) => &i.inputs[..],
            None => witness.map_or(&[][..], |w| w.inputs()),
        };
        inputs.iter().map(|p| &*table.point(*p).tag).collect()
    }

    /// The loss-of-view alarm of a source.
    #[must_use]
    pub fn of_source(&self, source: SourceIx) -> AlarmIx {
        self.sources[source.index()]
    }

    /// Safety class: priority 1 or 2 unless the rule says otherwise (section 1); loss of view
    /// and `bad` never (8.19).
    #[must_use]
    pub fn is_safety(&self, def: &AlarmDef) -> bool {
        if matches!(
            def.level,
            Level::LossOfView | Level::Bad | Level::Chattering
        ) {
            return false;
        }
        self.rule(def.rule)
            .safety
            .unwrap_or(def.priority <= Priority::HIGH)
    }

    /// SHA-256 (hex, first 16 characters) of the rule as it runs for this alarm: its settings and
    /// everything resolved from the point.
    #[must_use]
    pub fn rule_rev(&self, def: &AlarmDef, table: &PointTable) -> String {
        let rule = self.rule(def.rule);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{}|{}|{}|{}|{}|{:?}|{:?}|{:?}|{:?}|{}|{:?}|{}",
            rule.id,
            rule.kind.name(),
            rule.guidance,
            rule.on_bad.name(),
            rule.strict,
            rule.gap_tolerance_ns,
            rule.realarm_ns,
            rule.safety,
            rule.classes,
            rule.text.as_deref().unwrap_or(""),
            rule.chatter,
            rule.trip,
        );
        for (set, word) in [(rule.latch, "|latch"), (rule.confirm, "|confirm")] {
            if set {
                text.push_str(word);
            }
        }
        text.push_str(&rule.suppress);
        if let Some(s) = &rule.stuck {
            let witness = match def.subject {
                Subject::Point(p) => s.witnesses.get(&p),
                _ => None,
            };
            let words = witness.map_or("", |w| w.text());
            let _ = write!(text, "|{:?}|{}|{words}", s.epsilon, s.window_ns);
            // What a `*` stands for on this point.
            for input in witness
                .filter(|_| words.contains('*'))
                .iter()
                .flat_map(|w| w.inputs())
            {
                let _ = write!(text, "|{}", table.point(*input).tag);
            }
        }
        let siblings: Vec<&AlarmDef> = match def.subject {
            Subject::Point(p) => {
                let _ = write!(text, "|{}", table.point(p).tag);
                let modal = self
                    .modal
                    .iter()
                    .find(|m| m.rule == def.rule && m.subject == p);
                for mode in modal.into_iter().flat_map(|m| &m.modes) {
                    let _ = write!(text, "|{}|{}", mode.name, mode.when.text());
                    for a in &mode.limits {
                        let limits = (a.limit, a.deadband, a.on_delay_ns, a.off_delay_ns);
                        let _ = write!(text, "|{limits:?}");
                    }
                }
                if let Some(i) = self.instance_on(def.rule, p) {
                    let _ = write!(text, "|{}|{}", i.unit, i.settings.text());
                    for input in &i.inputs {
                        let _ = write!(text, "|{}", table.point(*input).tag);
                    }
                }
                self.of_point(p)
                    .map(|(_, a)| a)
                    .filter(|a| a.rule == def.rule)
                    .collect()
            }
            Subject::Source(s) => {
                let _ = write!(text, "|{}", table.source(s).id);
                vec![def]
            }
            Subject::Part(_) => vec![def],
        };
        for a in siblings {
            let _ = write!(
                text,
                "|{} {} {:?} {:?} {} {}",
                a.level,
                a.priority.get(),
                a.limit,
                a.deadband,
                a.on_delay_ns,
                a.off_delay_ns
            );
        }
        hex16(&Sha256::digest(text.as_bytes()))
    }

    /// The alarm named `rule/tag/level`, if it stands from the beginning.
    #[must_use]
    pub fn find(&self, name: &str, table: &PointTable) -> Option<AlarmIx> {
        let (rule, rest) = name.split_once('/')?;
        let (subject, level) = rest.rsplit_once('/')?;
        if rule == "source" {
            let (ix, _) = table.sources().find(|(_, s)| &*s.id == subject)?;
            return (level == Level::LossOfView.name()).then(|| self.of_source(ix));
        }
        let point = table.find(subject)?;
        self.of_point(point)
            .find(|(_, a)| &*self.rule(a.rule).id == rule && a.level.name() == level)
            .map(|(ix, _)| ix)
    }

    /// Whether an alarm of this name can come: one that stands from the beginning, that of a trip
    /// group, or the chatter of one.
    pub(crate) fn can_come(&self, name: &str, table: &PointTable) -> bool {
        let of_group = |g: &TripGroup| {
            let named = name.strip_prefix(&*self.rule(g.rule).id);
            named.is_some_and(|rest| *rest == format!("/{}/{}", g.name, Level::On))
        };
        let chatters = || {
            let (rule, rest) = name.split_once('/')?;
            let tag = rest.strip_suffix("/chattering")?;
            let mut alarms = self.of_point(table.find(tag)?);
            alarms.find(|(_, a)| &*self.rule(a.rule).id == rule)
        };
        self.find(name, table).is_some() || self.groups.iter().any(of_group) || chatters().is_some()
    }

    /// Name of an alarm that stands from the beginning.
    #[must_use]
    pub fn name(&self, def: &AlarmDef, table: &PointTable) -> String {
        let subject: &str = match def.subject {
            Subject::Point(p) => &table.point(p).tag,
            Subject::Source(s) => &table.source(s).id,
            Subject::Part(_) => "",
        };
        format!("{}/{subject}/{}", self.rule(def.rule).id, def.level)
    }
}

pub(crate) fn hex16(digest: &[u8]) -> String {
    let mut out = String::with_capacity(16);
    for b in digest.iter().take(8) {
        let _ = write!(out, "{b:02x}");
    }
    out
}

/// Puts the alarms of every point side by side. `language` fills it rule by rule.
pub(crate) struct Builder<'a> {
    table: &'a PointTable,
    rules: Vec<Rule>,
    by_point: BTreeMap<PointIx, Vec<AlarmDef>>,
    derived: Vec<Derived>,
    modal: Vec<Modal>,
    pub(crate) suppress: Vec<PendingCause>,
    pub(crate) first_out: Vec<PendingGroup>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(table: &'a PointTable) -> Builder<'a> {
        Builder {
            table,
            rules: Vec::new(),
            by_point: BTreeMap::new(),
            derived: Vec::new(),
            modal: Vec::new(),
            suppress: Vec::new(),
            first_out: Vec::new(),
        }
    }

    #[allow(clippy::cast_possible_truncation)] // a site has few rules
    pub(crate) fn rule(&mut self, rule: Rule) -> RuleIx {
        self.rules.push(rule);
        RuleIx((self.rules.len() - 1) as u32)
    }

    pub(crate) fn alarm(&mut self, point: PointIx, def: AlarmDef) {
        self.by_point.entry(point).or_default().push(def);
    }

    /// An instance and its alarms, those of its policy apart.
    pub(crate) fn derived(&mut self, d: Derived, alarms: Vec<AlarmDef>) {
        for a in alarms {
            self.alarm(d.subject, a);
        }
        self.derived.push(d);
    }

    pub(crate) fn suppress(&mut self, p: PendingCause) {
        self.suppress.push(p);
    }

    /// The alarms of a rule on a point that have limits.
    pub(crate) fn limits_of(&self, rule: RuleIx, point: PointIx) -> Vec<AlarmDef> {
        let all = self.by_point.get(&point).into_iter().flatten();
        let own = all.filter(|a| a.rule == rule && a.side().is_some());
        own.copied().collect()
    }

    /// Modes of a rule on a point; the limits of each are in the order of [`Builder::limits_of`].
    pub(crate) fn modal(&mut self, rule: RuleIx, point: PointIx, modes: Vec<Mode>) {
        let own = self.limits_of(rule, point);
        self.modal.push(Modal {
            rule,
            subject: point,
            alarms: Vec::new(),
            own,
            modes,
        });
    }

    pub(crate) fn covered(&self, point: PointIx, kind: Kind) -> bool {
        self.by_point.get(&point).is_some_and(|alarms| {
            alarms
                .iter()
                .any(|a| self.rules[a.rule.0 as usize].kind == kind)
        })
    }

    fn kind_of(&self, a: &AlarmDef) -> Kind {
        self.rules[a.rule.0 as usize].kind
    }

    /// Adds what no rule file covers, point by point, and closes the set.
    #[allow(clippy::cast_possible_truncation)] // a table has fewer than 2^32 points, a point few alarms
    pub(crate) fn finish(mut self) -> RuleSet {
        let implicit = Implicit {
            table: self.rule(Rule::implicit("table", Kind::Level)),
            stale: self.rule(Rule::implicit("stale", Kind::Stale)),
            quality: self.rule(Rule {
                classes: vec![QualityClass::Bad],
                ..Rule::implicit("quality", Kind::Quality)
            }),
        };
        let source_rule = self.rule(Rule::implicit("source", Kind::Source));
        let system_rule = self.rule(Rule::implicit("system", Kind::System));
        let bypass_rule = self.rule(Rule::implicit("bypass", Kind::Bypass));
        let mut alarms = Vec::new();
        let mut points = vec![PointAlarms::default(); self.table.len()];
        let mut worst: Vec<Priority> = vec![Priority::MEDIUM; self.table.sources().len()];
        for (ix, point) in self.table.iter() {
            let mut of_point = self.by_point.remove(&ix).unwrap_or_default();
            if point.life != Life::Planned {
                self.imply(ix, point, &implicit, &mut of_point);
                self.blind_alarms(ix, &mut of_point);
            }
            let is_level = |a: &AlarmDef| a.side().is_some() && self.kind_of(a) == Kind::Level;
            of_point.sort_by_key(|a| (!is_level(a), a.rule, order(a.level)));
            let levels = of_point.iter().filter(|a| is_level(a)).count();
            points[ix.index()] = PointAlarms {
                first: alarms.len() as u32,
                levels: levels as u16,
                all: of_point.len() as u16,
            };
            let of_source = &mut worst[point.source.index()];
            for a in &of_point {
                *of_source = (*of_source).min(a.priority);
            }
            alarms.append(&mut of_point);
        }
        let mut sources = Vec::new();
        for (ix, _) in self.table.sources() {
            sources.push(AlarmIx(alarms.len() as u32));
            alarms.push(AlarmDef {
                rule: source_rule,
                subject: Subject::Source(ix),
                level: Level::LossOfView,
                priority: worst[ix.index()],
                limit: None,
                deadband: 0.0,
                on_delay_ns: 0,
                off_delay_ns: 0,
            });
        }
        alarms.shrink_to_fit();
        let instances = place(std::mem::take(&mut self.derived), &points, &alarms);
        let modal = place_modal(std::mem::take(&mut self.modal), &points, &alarms);
        RuleSet {
            rules: self.rules,
            alarms,
            points,
            instances,
            modal,
            suppressions: Vec::new(),
            groups: Vec::new(),
            sources,
            system: system_rule,
            bypass: bypass_rule,
        }
    }

    /// `table`, `stale` and `quality`, each where no rule of a file covers the point.
    fn imply(
        &self,
        ix: PointIx,
        point: &PointDef,
        implicit: &Implicit,
        alarms: &mut Vec<AlarmDef>,
    ) {
        let covered = |kind: Kind| {
            alarms
                .iter()
                .any(|a| self.rules[a.rule.0 as usize].kind == kind)
        };
        let (level, stale, quality) = (
            covered(Kind::Level),
            covered(Kind::Stale),
            covered(Kind::Quality),
        );
        if !level {
            for level in [Level::Hh, Level::H, Level::Ll, Level::L] {
                let Some(limit) = table_limit(point, level) else {
                    continue;
                };
                alarms.push(AlarmDef {
                    rule: implicit.table,
                    subject: Subject::Point(ix),
                    level,
                    priority: point.priority.unwrap_or_else(|| default_priority(level)),
                    limit: Some(limit),
                    deadband: point.deadband,
                    on_delay_ns: ns(point.on_delay),
                    off_delay_ns: ns(point.off_delay),
                });
            }
        }
        if point.life != Life::InService {
            return;
        }
        if !stale && !point.stale_after.is_zero() {
            let silence = ns(point.stale_after);
            alarms.push(plain(implicit.stale, ix, Level::Stale, silence, 0));
        }
        if !quality {
            let delay = ns(point.expected_interval).saturating_mul(2);
            alarms.push(plain(implicit.quality, ix, Level::Bad, delay, 0));
        }
    }

    /// `rule/tag/loss_of_view` wherever a pending start outside the safety class can go blind (3.6).
    fn blind_alarms(&self, ix: PointIx, alarms: &mut Vec<AlarmDef>) {
        let mut need: Vec<RuleIx> = alarms
            .iter()
            .filter(|a| {
                let rule = &self.rules[a.rule.0 as usize];
                let safety = rule.safety.unwrap_or(a.priority <= Priority::HIGH);
                let of_process =
                    a.side().is_some() || (a.level == Level::On && rule.kind != Kind::Stuck);
                of_process && a.on_delay_ns > 0 && !safety
            })
            .map(|a| a.rule)
            .collect();
        need.dedup();
        for rule in need {
            let given = alarms
                .iter()
                .any(|a| a.rule == rule && a.level == Level::LossOfView);
            if !given {
                alarms.push(plain(rule, ix, Level::LossOfView, 0, 0));
            }
        }
    }
}

/// Gives every rule with modes the places of its alarms.
fn place_modal(mut all: Vec<Modal>, points: &[PointAlarms], alarms: &[AlarmDef]) -> Vec<Modal> {
    for m in &mut all {
        let r = points[m.subject.index()];
        let range = r.first..r.first + u32::from(r.all);
        let place = |def: &AlarmDef| {
            let same = |a: &AlarmDef| a.rule == def.rule && a.level == def.level;
            range
                .clone()
                .find(|i| same(&alarms[*i as usize]))
                .map(AlarmIx)
        };
        // Every alarm of the builder has its place.
        m.alarms = m.own.iter().filter_map(place).collect();
    }
    all
}

/// Gives every instance the places of its alarms, and all of them their order.
#[allow(clippy::cast_possible_truncation)] // fewer than 2^32 alarms by construction
fn place(derived: Vec<Derived>, points: &[PointAlarms], alarms: &[AlarmDef]) -> Vec<Instance> {
    let own = |d: &Derived, a: &AlarmDef| {
        a.rule == d.rule && (a.side().is_some() || a.level == Level::On)
    };
    let mut out: Vec<Instance> = derived
        .into_iter()
        .filter_map(|d| {
            let r = points[d.subject.index()];
            let range = r.first..r.first + u32::from(r.all);
            let first = range.clone().find(|i| own(&d, &alarms[*i as usize]))?;
            let count = range.filter(|i| own(&d, &alarms[*i as usize])).count();
            Some(Instance {
                rule: d.rule,
                subject: d.subject,
                alarms: first..first + count as u32,
                inputs: d.inputs.into(),
                settings: d.settings,
                what: d.what.into(),
                unit: d.unit,
            })
        })
        .collect();
    out.sort_by_key(|i| i.alarms.start);
    out
}

/// The rules that stand without a file.
struct Implicit {
    table: RuleIx,
    stale: RuleIx,
    quality: RuleIx,
}

impl Rule {
    pub(crate) fn implicit(id: &str, kind: Kind) -> Rule {
        Rule {
            id: id.into(),
            kind,
            guidance: "".into(),
            text: None,
            origin: None,
            provenance: Vec::new(),
            on_bad: OnBad::Hold,
            strict: false,
            gap_tolerance_ns: None,
            realarm_ns: None,
            latch: false,
            confirm: false,
            safety: None,
            trip: false,
            suppress: "".into(),
            classes: Vec::new(),
            stuck: None,
            chatter: Some(Chatter::default()),
        }
    }
}

/// An alarm without a limit, priority 3 unless given.
pub(crate) fn plain(
    rule: RuleIx,
    point: PointIx,
    level: Level,
    on_delay_ns: i64,
    off_delay_ns: i64,
) -> AlarmDef {
    AlarmDef {
        rule,
        subject: Subject::Point(point),
        level,
        priority: Priority::MEDIUM,
        limit: None,
        deadband: 0.0,
        on_delay_ns,
        off_delay_ns,
    }
}

/// An alarm of something that is no point.
pub(crate) fn plain_part(rule: RuleIx, subject: Subject) -> AlarmDef {
    AlarmDef {
        rule,
        subject,
        level: Level::On,
        priority: Priority::MEDIUM,
        limit: None,
        deadband: 0.0,
        on_delay_ns: 0,
        off_delay_ns: 0,
    }
}

/// Worst first on each side; what judges the signal itself comes after the process.
pub(crate) const fn order(level: Level) -> u8 {
    match level {
        Level::Hhh => 0,
        Level::Hh => 1,
        Level::H => 2,
        Level::Ll => 3,
        Level::L => 4,
        Level::On => 5,
        Level::LossOfView => 6,
        Level::Bad => 7,
        Level::Stale => 8,
        Level::Chattering => 9,
    }
}

/// Default priorities of `formats.md` section 2: LL and HH 1, L and H 2.
pub(crate) const fn default_priority(level: Level) -> Priority {
    match level {
        Level::Ll | Level::Hh | Level::Hhh => Priority::CRITICAL,
        Level::L | Level::H => Priority::HIGH,
        _ => Priority::MEDIUM,
    }
}

pub(crate) fn table_limit(point: &PointDef, level: Level) -> Option<f64> {
    match level {
        Level::Ll => point.limits.ll,
        Level::L => point.limits.l,
        Level::H => point.limits.h,
        Level::Hh => point.limits.hh,
        _ => None,
    }
}
