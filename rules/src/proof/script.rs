//! Scripts of our own tests: a series in, a list of transitions out, both as an engineer reads
//! them. `check(plant, script, expected)`.
//!
//! A script has one step a line: a time, then what happens.
//! ```text
//! 0s    LT=50                 a Good sample, stamped now
//! 1s    LT=50 uncertain       or bad, lost (no answer), nan, none; at=0.5s is its own time, seq=7 its sequence
//! 2s    tick
//! 3s    ack table/LT/hh       the alarm's latest occurrence; also un_ack, silence, reset,
//! 3s    confirm table/LT/hh true
//! 3s    shelve table/LT/h 30m one_shot in its place for one occurrence; and unshelve
//! 3s    oos table/LT/h 8h permit=P-7 second=b    and in_service
//! 3s    suppress table/LT/h 2h cause=fan-off     and unsuppress with its cause
//! 3s    bypass LT,area:R1 1h permit=P-7 second=b    and restore LT
//! 3s    …                     role=, reason=, by=, occ=first may follow any verb
//! 4s    down · up             the first source; or the one that is named
//! 5s    health journal bad
//! 6s    step -3600s           the wall clock
//! 7s    image                 what a kill falls back to
//! 8s    reload                goes on with the rules of [`Rig::edit`]
//! 9s    restart · kill        the process was away since the step before
//! ```
//! Expected lines: `TIME ALARM FROM>TO CAUSE`, then the marks that are on: flags, `unknown`,
//! `silent` (open and unacknowledged, but not audible).

use std::sync::Arc;

use davy_points::{Mono, NoData, PointTable, Quality, Sample, SourceEvent, Timestamp, Value};

use crate::alarm::{Command, CommandResult, Transition, VERSION, Verb};
use crate::engine::{Engine, EngineImage, Envelope, Identity, Input, Output, Reload, Restored};
use crate::ruleset::RuleSet;

/// Wall time of second 0.
pub(crate) const BASE: i64 = 1_700_000_000_000_000_000;

pub(crate) struct Rig {
    pub(crate) engine: Engine,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) table: Arc<PointTable>,
    pub(crate) transitions: Vec<Transition>,
    pub(crate) results: Vec<CommandResult>,
    pub(crate) log: Vec<Envelope>,
    pub(crate) stored: Vec<(String, Quality)>,
    image: Option<EngineImage>,
    next: Option<Reload>,
    seq: u64,
    sample_seq: u64,
    commands: u64,
    /// Nobody has set the wall clock since the machine started.
    pub(crate) wall_doubtful: bool,
    /// Script time of the process's monotonic zero.
    origin: i64,
    /// Wall minus script time.
    wall: i64,
    /// What the wall clock was shifted by since the last step, backwards.
    stopped_shift: i64,
    last: i64,
}

impl Rig {
    pub(crate) fn new(table: PointTable, rules: RuleSet) -> Rig {
        let (table, rules) = (Arc::new(table), Arc::new(rules));
        let mut rig = Rig {
            engine: start(&rules, &table, Restored::default(), 0, BASE),
            rules,
            table,
            transitions: Vec::new(),
            results: Vec::new(),
            log: Vec::new(),
            stored: Vec::new(),
            image: None,
            next: None,
            seq: 0,
            sample_seq: 0,
            commands: 0,
            wall_doubtful: false,
            origin: 0,
            wall: BASE,
            stopped_shift: 0,
            last: 0,
        };
        rig.drain();
        rig
    }

    pub(crate) fn run(&mut self, script: &str) {
        for line in script.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (at, what) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let at = seconds(at);
            for step in what.split(';') {
                self.step(at, step.trim());
                self.last = at;
            }
        }
    }

    fn step(&mut self, at: i64, step: &str) {
        let words: Vec<&str> = step.split_whitespace().collect();
        match words[..] {
            ["tick"] => self.give(at, Input::Tick),
            [verb, alarm, ..] if verb_of(verb).is_some() => {
                self.command(at, verb, alarm, &words[2..]);
            }
            ["doubtful", "clock"] => self.wall_doubtful = true,
            ["down" | "up", ..] => {
                let named = |id: &str| words.get(1).is_none_or(|w| *w == id);
                let (source, _) = self.table.sources().find(|(_, s)| named(&s.id)).unwrap();
                let up = words[0] == "up";
                self.give(
                    at,
                    Input::SourceStatus(SourceEvent {
                        source,
                        up,
                        quality: Quality::BadCommunication,
                    }),
                );
            }
            ["health", part, how] => self.give(
                at,
                Input::Health {
                    part: part.to_owned(),
                    ok: how == "ok",
                    detail: String::new(),
                },
            ),
            ["step", by] => {
                let by_ns = seconds(by);
                self.wall += by_ns;
                self.give(at, Input::ClockStep { by_ns });
            }
            ["image"] => self.image = Some(self.engine.image()),
            ["reload"] => {
                let next = self.next.clone().expect("an edit comes before a reload");
                (self.table, self.rules) = (next.table().clone(), next.rules().clone());
                self.give(at, Input::Reload(Box::new(next)));
            }
            ["restart"] => {
                self.image = Some(self.engine.image());
                self.restart(at);
            }
            ["kill"] => self.restart(at),
            _ => self.sample(at, &words),
        }
    }

    /// What a `reload` or `restart` goes on with.
    pub(crate) fn edit(&mut self, table: PointTable, rules: &str) {
        let files = [("rules/a.toml".into(), format!("schema = 1\n{rules}"))];
        let (next, faults) = Reload::compile(
            &files,
            &[],
            table.into(),
            "fedcba9876543210".into(),
            &crate::language::Approval::default(),
        );
        assert_eq!(faults, []);
        self.next = next;
    }

    fn sample(&mut self, at: i64, words: &[&str]) {
        let (tag, value) = words[0]
            .split_once('=')
            .unwrap_or_else(|| panic!("{words:?}"));
        let point = self
            .table
            .find(tag)
            .unwrap_or_else(|| panic!("no point {tag}"));
        self.sample_seq += 1;
        let now = Timestamp(self.wall + at);
        let mut s = Sample {
            point,
            value: match value {
                "nan" => Value::F64(f64::NAN),
                "inf" => Value::F64(f64::INFINITY),
                "none" => Value::none(NoData::NoAnswer),
                v => Value::F64(v.parse().unwrap()),
            },
            quality: Quality::Good,
            source_time: now,
            offset_ns: 0,
            uncertainty_ns: 0,
            arrival_time: now,
            seq: self.sample_seq,
        };
        for word in &words[1..] {
            match word.split_once('=') {
                Some(("at", t)) => s.source_time = Timestamp(self.wall + seconds(t)),
                Some(("seq", n)) => s.seq = n.parse().unwrap(),
                None if *word == "uncertain" => s.quality = Quality::UncertainRange,
                None if *word == "lost" => s.quality = Quality::BadCommunication,
                None if *word == "bad" => s.quality = Quality::BadSensorFailure,
                _ => panic!("{word}"),
            }
        }
        self.give(at, Input::Sample(s));
    }

    /// The wall clock is off by this, and nobody says so.
    pub(crate) fn shift_wall(&mut self, by_ns: i64) {
        self.wall += by_ns;
        self.stopped_shift -= by_ns;
    }

    pub(crate) fn command_for(&mut self, at: i64, verb: &str, occurrence: &str) {
        let verb = verb_of(verb).unwrap_or_else(|| panic!("{verb}"));
        let c = Command {
            occurrence: Some(occurrence.to_owned()),
            ..self.plain(at, verb)
        };
        self.give(at, Input::Command(Box::new(c)));
    }

    /// A command that lacks what it is about.
    pub(crate) fn plain(&mut self, at: i64, verb: Verb) -> Command {
        self.commands += 1;
        Command {
            v: VERSION,
            id: format!("c{}", self.commands),
            alarm: None,
            occurrence: None,
            verb,
            actor: "shift-a".to_owned(),
            role: "operator".to_owned(),
            reason: String::new(),
            until: None,
            one_shot: false,
            permit: None,
            second: None,
            verdict: None,
            cause: None,
            points: Vec::new(),
            issued_at: Timestamp(self.wall + at),
            expires_at: None,
        }
    }

    fn command(&mut self, at: i64, word: &str, alarm: &str, more: &[&str]) {
        let verb = verb_of(word).unwrap_or_else(|| panic!("{word}"));
        let mut c = self.plain(at, verb);
        c.one_shot = word == "one_shot";
        match verb {
            Verb::Ack | Verb::UnAck | Verb::Silence | Verb::Confirm | Verb::Reset => {
                c.occurrence = Some(self.occurrence(alarm));
            }
            Verb::Bypass | Verb::Restore => {
                c.points = alarm.split(',').map(str::to_owned).collect();
                c.reason = "loop check".to_owned();
            }
            _ => {
                c.alarm = Some(alarm.to_owned());
                c.reason = "loop check".to_owned();
            }
        }
        if !crate::alarm::Role::Operator.may(verb) {
            c.role = "supervisor".to_owned();
        }
        for word in more {
            match word.split_once('=') {
                Some(("role", role)) => c.role = role.to_owned(),
                Some(("reason", reason)) => c.reason = reason.to_owned(),
                Some(("by", actor)) => c.actor = actor.to_owned(),
                Some(("permit", permit)) => c.permit = Some(permit.to_owned()),
                Some(("second", second)) => c.second = Some(second.to_owned()),
                Some(("cause", cause)) => c.cause = Some(cause.to_owned()),
                Some(("occ", "first")) => {
                    let of = |t: &&Transition| &*t.alarm == alarm && !t.occurrence.is_empty();
                    let first = self.transitions.iter().find(of);
                    c.occurrence = first.map(|t| t.occurrence.to_string());
                }
                None if matches!(*word, "true" | "false") => c.verdict = Some((*word).to_owned()),
                None => c.until = Some(Timestamp(self.wall + at + seconds(word))),
                Some(_) => panic!("{word}"),
            }
        }
        self.give(at, Input::Command(Box::new(c)));
    }

    /// Why each command was rejected, in order: its word, or `applied`.
    pub(crate) fn answers(&self) -> Vec<String> {
        self.results
            .iter()
            .map(|r| match r.why {
                Some(why) => serde_json::to_value(why)
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .to_owned(),
                None => "applied".to_owned(),
            })
            .collect()
    }

    /// Latest occurrence of an alarm.
    pub(crate) fn occurrence(&self, alarm: &str) -> String {
        self.transitions
            .iter()
            .rev()
            .find(|t| &*t.alarm == alarm)
            .map(|t| t.occurrence.to_string())
            .unwrap_or_else(|| panic!("{alarm} has had no occurrence"))
    }

    pub(crate) fn give(&mut self, at: i64, input: Input) {
        self.seq += 1;
        let e = Envelope {
            seq: self.seq,
            mono: Mono(u64::try_from(at - self.origin).unwrap()),
            wall: Timestamp(self.wall + at),
            input,
        };
        let stored = self.engine.handle(&e);
        if let (Input::Sample(s), Some(q)) = (&e.input, stored) {
            let tag = self.table.point(s.point).tag.to_string();
            self.stored.push((tag, q));
        }
        self.log.push(e);
        self.stopped_shift = 0;
        self.drain();
        self.last = at;
    }

    /// The process was away since the last step; what the journal has, comes back.
    fn restart(&mut self, at: i64) {
        let image = self.image.clone();
        let after = image.as_ref().map_or(0, |i| i.seq);
        let json = serde_json::to_vec(&image).unwrap();
        let restored = Restored {
            image: serde_json::from_slice(&json).unwrap(),
            transitions: self
                .transitions
                .iter()
                .filter(|t| t.seq > after)
                .cloned()
                .collect(),
            stopped_at: Some(Timestamp(self.wall + self.stopped_shift + self.last)),
            wall_doubtful: self.wall_doubtful,
        };
        self.origin = at;
        self.engine = start(&self.rules, &self.table, restored, 0, self.wall + at);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(out) = self.engine.poll() {
            match out {
                Output::Transition(t) => self.transitions.push(*t),
                Output::Result(r) => self.results.push(r),
                Output::WakeAt(_) => {}
            }
        }
    }

    /// The transitions as expected lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.transitions.iter().map(line).collect()
    }
}

pub(crate) fn identity() -> Identity {
    Identity {
        site: "demo".into(),
        owner: "gw-03".into(),
        plan_rev: "0123456789abcdef".into(),
    }
}

fn start(
    rules: &Arc<RuleSet>,
    table: &Arc<PointTable>,
    restored: Restored,
    mono: u64,
    wall: i64,
) -> Engine {
    Engine::start(
        identity(),
        rules.clone(),
        table.clone(),
        restored,
        Mono(mono),
        Timestamp(wall),
    )
}

pub(crate) fn line(t: &Transition) -> String {
    super::line::line(t, BASE)
}

/// `5s`, `0.25s`, `-3600s`, `30m`, `8h` in nanoseconds.
pub(crate) fn seconds(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => panic!("{text}"),
    };
    let n: f64 = number.parse().unwrap_or_else(|_| panic!("{text}"));
    (n * unit).round() as i64
}

fn verb_of(word: &str) -> Option<Verb> {
    Some(match word {
        "ack" => Verb::Ack,
        "un_ack" => Verb::UnAck,
        "silence" => Verb::Silence,
        "confirm" => Verb::Confirm,
        "reset" => Verb::Reset,
        "shelve" | "one_shot" => Verb::Shelve,
        "unshelve" => Verb::Unshelve,
        "oos" => Verb::OutOfService,
        "in_service" => Verb::InService,
        "suppress" => Verb::Suppress,
        "unsuppress" => Verb::Unsuppress,
        "bypass" => Verb::Bypass,
        "restore" => Verb::Restore,
        _ => return None,
    })
}

/// Runs a script against a plant and compares the transition list.
pub(crate) fn check((table, rules): (PointTable, RuleSet), script: &str, expected: &str) -> Rig {
    let mut rig = Rig::new(table, rules);
    rig.run(script);
    let expected: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect();
    let got = rig.lines();
    assert!(
        got == expected,
        "\nscript:\n{script}\nexpected:\n  {}\ngot:\n  {}\n",
        expected.join("\n  "),
        got.join("\n  ")
    );
    for (n, t) in (1_u64..).zip(&rig.transitions) {
        assert_eq!(t.seq, n, "seq is gapless");
    }
    rig
}
