//! Explanations of occurrences that a real engine made, from a journal and from a centre.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use davy_journal::{Journal, JournalOptions, Submission};
use davy_points::{
    Binding, Life, Limits, Mono, NoData, PointDef, PointIx, PointTable, PollClass, Sample, Scaling,
    SourceDef,
};
use davy_rules::alarm::{Command, Verb};
use davy_rules::engine::{Engine, Envelope, Identity, Input, Output, Restored};

use super::*;

const RULES: &str = r#"schema = 1
[[level]]
id = "tank-level"
select = { class = "tank_level" }
h = { limit = 85, priority = 2, deadband = 1, on_delay = "2s" }
hh = { limit = 90, priority = 1, deadband = 1 }
guidance = "tank"
"#;

const ZERO: i64 = 1_767_700_800_000_000_000;

struct Plant {
    engine: Engine,
    point: PointIx,
    seq: u64,
    made: Vec<Transition>,
}

impl Plant {
    fn new() -> Plant {
        let mut table = PointTable::new();
        let source = table.add_source(SourceDef {
            id: "plc".into(),
            gateway: "gw".into(),
            recorded: false,
        });
        let second = std::time::Duration::from_secs(1);
        let point = table
            .add(PointDef {
                tag: "LT-101".into(),
                description: "罐液位".into(),
                hazard: "TF".into(),
                area: "".into(),
                class: "tank_level".into(),
                unit: "%".into(),
                low: Some(0.0),
                high: Some(100.0),
                source,
                binding: Binding::Internal,
                scaling: Scaling::default(),
                poll: PollClass::Normal,
                expected_interval: second,
                stale_after: second * 3,
                report_deadband: None,
                limits: Limits::default(),
                deadband: 0.0,
                on_delay: std::time::Duration::ZERO,
                off_delay: std::time::Duration::ZERO,
                priority: None,
                sentinels: Box::default(),
                life: Life::InService,
                calibration_due: None,
                note: "".into(),
                span: 0..0,
            })
            .expect("the first");
        let files = [(PathBuf::from("rules/t.toml"), RULES.to_owned())];
        let (rules, faults) = davy_rules::language::compile(&files, &table, &["tank".to_owned()]);
        let identity = Identity {
            site: "s".into(),
            owner: "gw".into(),
            plan_rev: "0123456789abcdef".into(),
        };
        Plant {
            engine: Engine::start(
                identity,
                Arc::new(rules.unwrap_or_else(|| panic!("{faults:?}"))),
                Arc::new(table),
                Restored::default(),
                Mono(0),
                Timestamp(ZERO),
            ),
            point,
            seq: 0,
            made: Vec::new(),
        }
    }

    fn give(&mut self, second: i64, input: Input) {
        self.seq += 1;
        self.engine.handle(&Envelope {
            seq: self.seq,
            mono: Mono((second * 1_000_000_000).unsigned_abs()),
            wall: at(second),
            input,
        });
        while let Some(out) = self.engine.poll() {
            if let Output::Transition(t) = out {
                self.made.push(*t);
            }
        }
    }

    fn value(&mut self, second: i64, value: Option<f64>) {
        let sample = Sample {
            point: self.point,
            value: value.map_or(Value::none(NoData::NoAnswer), Value::F64),
            quality: match value {
                Some(_) => Quality::Good,
                None => Quality::BadCommunication,
            },
            source_time: at(second),
            offset_ns: 0,
            uncertainty_ns: 0,
            arrival_time: at(second),
            seq: self.seq,
        };
        self.give(second, Input::Sample(sample));
    }

    fn ack(&mut self, second: i64, occurrence: &str) {
        let command: Command = serde_json::from_value(json!({
            "v": 1, "id": format!("c{second}"), "occurrence": occurrence, "verb": Verb::Ack,
            "actor": "值班员甲", "role": "operator", "reason": "现场确认", "issued_at": at(second),
        }))
        .expect("a command");
        self.give(second, Input::Command(Box::new(command)));
    }

    /// Occurrence of the first record of this level.
    fn of(&self, level: Level) -> String {
        let found = self.made.iter().find(|t| t.level == level);
        found.expect("it came").occurrence.to_string()
    }

    fn journal(&self, confirmed: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        let options = JournalOptions {
            reserve_bytes: 0,
            quota_bytes: None,
        };
        let mut journal = Journal::open_with(dir.path(), "s/gw", &options).expect("a journal");
        let records = self.made.iter().map(|t| {
            let json = serde_json::to_vec(t).expect("json");
            (t.seq, json)
        });
        let all = Submission {
            records: records.collect(),
            ..Submission::default()
        };
        let cursors = [("center".to_owned(), confirmed)];
        journal.append(&[&all], &cursors).expect("appended");
        dir
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp(ZERO + second * 1_000_000_000)
}

fn from_journal(plant: &Plant, occurrence: &str, confirmed: u64) -> Known {
    let dir = plant.journal(confirmed);
    sources::read(dir.path(), occurrence).unwrap_or_else(|e| panic!("{e:?}"))
}

/// H for two seconds, then HH, acknowledged, then over.
fn filled_and_emptied() -> Plant {
    let mut p = Plant::new();
    for (second, value) in [(0, 80.0), (1, 86.0), (2, 86.5), (3, 87.0), (4, 91.0)] {
        p.value(second, Some(value));
    }
    let h = p.of(Level::H);
    p.ack(5, &h);
    p
}

#[test]
fn an_alarm_that_is_over() {
    let mut p = filled_and_emptied();
    for second in [6, 7] {
        p.value(second, Some(70.0));
    }
    let known = from_journal(&p, &p.of(Level::H), 3);
    insta::assert_snapshot!(render(&known));
    let json = to_json(&known);
    assert_eq!(json["standing"], false);
    assert_eq!(json["people"][0]["actor"], "值班员甲");
    assert_eq!(
        json["records"].as_array().map(Vec::len),
        Some(known.records.len())
    );
}

#[test]
fn why_it_has_not_returned() {
    // What stands on Good data; a journal knows no sample.
    let mut p = filled_and_emptied();
    let hh = p.of(Level::Hh);
    let known = from_journal(&p, &hh, 99);
    assert!(known.stands());
    assert_eq!(
        known.why(),
        "not returned: no Good sample has stayed beyond exit for the off-delay"
    );
    assert_eq!(why_raised(known.raised()), "91 % ≥ hh 90 %");
    assert!(delivered(&known).starts_with("the centre has confirmed all"));
    for (value, quality, why) in [
        (95.0, 192, "it still holds, 95 %"),
        (89.5, 192, "has not been beyond exit"),
        (70.0, 84, "is not Good"),
    ] {
        let sample = Some((Value::F64(value), quality, at(9)));
        let known = Known {
            sample,
            ..from_journal(&p, &hh, 0)
        };
        assert!(known.why().contains(why), "{} {why}", known.why());
    }
    // Blind.
    p.value(6, None);
    let known = from_journal(&p, &hh, 0);
    assert_eq!(
        known.why(),
        "not returned: its input cannot be judged since 2026-01-06T12:00:06Z (bad_communication); \
         absence never clears"
    );
    // Returned and not seen.
    p.value(7, Some(70.0));
    let known = from_journal(&p, &hh, 0);
    assert_eq!(
        known.why(),
        "returned at 2026-01-06T12:00:07Z; it waits for an acknowledgement"
    );
    p.ack(9, &hh);
    let known = from_journal(&p, &hh, 0);
    assert_eq!(
        known.why(),
        "over: closed at 2026-01-06T12:00:09Z, acknowledged by 值班员甲"
    );
    // Another one since.
    p.value(10, Some(95.0));
    let known = from_journal(&p, &hh, 0);
    assert!(
        known.why().starts_with("over: occurrence "),
        "{}",
        known.why()
    );
    assert!(!known.stands());
}

#[test]
fn what_nobody_knows_is_a_finding() {
    let p = filled_and_emptied();
    let dir = p.journal(0);
    for occurrence in ["nothing", ""] {
        let nothing = sources::read(dir.path(), occurrence);
        assert!(matches!(nothing, Err(Nothing::Unknown(_))), "{nothing:?}");
    }
    let empty = tempfile::tempdir().expect("a folder");
    let nothing = sources::read(empty.path(), "x");
    assert!(matches!(nothing, Err(Nothing::Unusable(_))), "{nothing:?}");
    for (url, occurrence) in [
        ("https://127.0.0.1:1", "x"),
        ("127.0.0.1:1", "x"),
        ("http://not a host", "x"),
    ] {
        let nothing = sources::ask(url, occurrence);
        assert!(matches!(nothing, Err(Nothing::Unusable(_))), "{nothing:?}");
    }
    // It would be a path of its own.
    let nothing = sources::ask("http://127.0.0.1:1", "../alarms");
    assert!(matches!(nothing, Err(Nothing::Unknown(_))), "{nothing:?}");
}

/// Answers like a centre, until it has answered so many requests.
fn centre(answers: Vec<(&'static str, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let path = lines.next().unwrap_or_default();
            for line in lines.by_ref() {
                if line.is_empty() {
                    break;
                }
            }
            let found = answers.iter().find(|(part, _)| path.contains(part));
            let (status, body) = match found {
                Some((_, body)) => ("200 OK", body.as_str()),
                None => (
                    "404 Not Found",
                    r#"{"error":"no alarm has it","remedy":"look"}"#,
                ),
            };
            let _ = write!(
                &stream,
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    url
}

#[test]
fn a_centre_is_asked() {
    let p = filled_and_emptied();
    let hh = p.of(Level::Hh);
    let records: Vec<&Transition> = p.made.iter().filter(|t| *t.occurrence == *hh).collect();
    let newest = records[records.len() - 1];
    let url = centre(vec![
        (
            "occurrences/",
            json!({ "v": 1, "records": records }).to_string(),
        ),
        (
            "alarms?all=1",
            json!({ "v": 1, "alarms": [newest] }).to_string(),
        ),
        (
            "/points",
            json!({ "v": 1, "points": [
                { "tag": "LT-101", "value": 93.5, "quality": 192, "source_time": at(30) }
            ] })
            .to_string(),
        ),
    ]);
    let known = sources::ask(&url, &hh).unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(
        known.why(),
        "not returned: it still holds, 93.5 % at 2026-01-06T12:00:30Z"
    );
    assert_eq!(
        delivered(&known),
        format!("the centre holds records {0} to {0}", newest.seq)
    );
    let url = centre(Vec::new());
    match sources::ask(&url, &hh) {
        Err(Nothing::Unknown(why)) => assert_eq!(why, "no alarm has it: look"),
        other => panic!("{other:?}"),
    }
    let url = centre(vec![("occurrences/", "{\"v\":1}".to_owned())]);
    assert!(matches!(sources::ask(&url, &hh), Err(Nothing::Unusable(_))));
}
