//! JSON Schemas of the records that cross a border, generated from their types (`formats.md`).

use davy_points::{Quality, Timestamp, Value};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use super::{
    Acked, Beat, Command, CommandResult, Regions, Resend, Snapshot, SnapshotGet, Status, Transition,
};

/// Every schema by its name: what stands at `/api/v1/schemas/NAME.json` and what
/// `davy schema NAME` prints.
#[must_use]
pub fn schemas() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("acked", told::<Acked>()),
        ("beat", told::<Beat>()),
        ("command", taken::<Command>()),
        ("quality", told::<Quality>()),
        ("regions", told::<Regions>()),
        ("resend", taken::<Resend>()),
        ("result", told::<CommandResult>()),
        ("snapshot", told::<Snapshot>()),
        ("snapshot-get", taken::<SnapshotGet>()),
        ("status", told::<Status>()),
        ("timestamp", told::<Timestamp>()),
        ("transition", told::<Transition>()),
        ("value", told::<Value>()),
    ]
}

/// Of a record that we write: every field that is always there is required.
fn told<T: JsonSchema>() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12().for_serialize();
    generator
        .into_generator()
        .into_root_schema_for::<T>()
        .into()
}

/// Of a record that we read: a field that we can do without is not.
fn taken<T: JsonSchema>() -> serde_json::Value {
    let generator = SchemaSettings::draft2020_12().for_deserialize();
    generator
        .into_generator()
        .into_root_schema_for::<T>()
        .into()
}

#[cfg(test)]
#[path = "../../../tests/e2e/harness/schema.rs"]
mod validator;

#[cfg(test)]
mod tests {
    use davy_points::{Limits, NoData, Timestamp};
    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::alarm::{OutOfService, Presence, Shelve, VERSION, Verb};
    use crate::language::compile;
    use crate::proof::plant::{point, table};
    use crate::proof::script::Rig;

    fn schema(name: &str) -> serde_json::Value {
        let found = schemas().into_iter().find(|(n, _)| *n == name);
        found.expect(name).1
    }

    fn misfits(name: &str, record: &impl Serialize) -> Vec<String> {
        let record = serde_json::to_value(record).expect("JSON");
        super::validator::misfits(&schema(name), &record)
    }

    fn fits(name: &str, record: &impl Serialize) {
        assert_eq!(misfits(name, record), Vec::<String>::new(), "{name}");
    }

    #[test]
    fn the_schemas_are_what_they_were() {
        for (name, schema) in schemas() {
            insta::assert_json_snapshot!(name, schema);
        }
    }

    #[test]
    fn what_a_real_engine_says_fits() {
        let mut lt = point("LT");
        lt.limits = Limits {
            h: Some(80.0),
            hh: Some(90.0),
            ..Limits::default()
        };
        let table = table([lt]);
        let (rules, _) = compile(&[], &table, &[]);
        let mut rig = Rig::new(table, rules.expect("no fault"));
        rig.run(
            "1s LT=50
             2s LT=95
             3s ack table/LT/hh
             4s ack table/LT/hh
             5s LT=nan bad
             6s LT=50
             7s down
             8s up
             9s health journal bad
             10s image
             11s kill",
        );
        assert!(rig.transitions.len() > 6, "{}", rig.transitions.len());
        for t in &rig.transitions {
            fits("transition", t);
            fits("regions", &t.regions.after);
            fits("value", &t.value);
            fits("quality", &t.quality);
            fits("timestamp", &t.recorded_at);
        }
        assert_eq!(rig.results.len(), 2);
        for result in &rig.results {
            fits("result", result);
        }
        let alarms = rig.engine.standing();
        assert!(!alarms.is_empty());
        let snapshot = Snapshot {
            v: VERSION,
            owner: "gw-03".into(),
            seq: rig.engine.seq(),
            alarms,
            part: 1,
            parts: 1,
        };
        fits("snapshot", &snapshot);
    }

    #[test]
    fn records_of_the_link_fit() {
        fits(
            "status",
            &Status {
                v: VERSION,
                owner: "gw-01".into(),
                session: "s".into(),
                state: Presence::Online,
                version: "0.1.0".into(),
                plan_rev: "p".into(),
                clock: Timestamp(-1),
                last_seq: Some(u64::MAX),
            },
        );
        fits(
            "beat",
            &Beat {
                v: VERSION,
                owner: "gw-01".into(),
                session: "s".into(),
                tick: 1,
                at: Timestamp(0),
                last_seq: 0,
            },
        );
        fits(
            "acked",
            &Acked {
                v: VERSION,
                owner: "gw-01".into(),
                seq: 0,
                hash: Some("00".repeat(32).into()),
            },
        );
        fits(
            "resend",
            &Resend {
                v: VERSION,
                after: 0,
            },
        );
        fits("snapshot-get", &SnapshotGet { v: VERSION });
        fits(
            "command",
            &Command {
                v: VERSION,
                id: "c".into(),
                alarm: None,
                occurrence: Some("o".into()),
                verb: Verb::UnAck,
                actor: "a".into(),
                role: "operator".into(),
                reason: String::new(),
                until: Some(Timestamp(1)),
                one_shot: true,
                permit: Some("P-7".into()),
                second: Some("b".into()),
                verdict: Some("true".into()),
                cause: Some("fan-off".into()),
                points: vec!["LT-101".into()],
                issued_at: Timestamp(0),
                expires_at: Some(Timestamp(1)),
            },
        );
        let every_region = Regions {
            shelved: Some(Shelve::Timed {
                until: Timestamp(1),
            }),
            suppressed: vec!["esd".into()],
            suppressed_until: Some(Timestamp(1)),
            verdict: Some(true),
            out_of_service: Some(OutOfService {
                permit: "p".into(),
                until: Timestamp(1),
            }),
            ..Regions::default()
        };
        fits("regions", &every_region);
        for value in [
            Value::Bool(true),
            Value::I64(i64::MIN),
            Value::U64(u64::MAX),
            Value::F64(f64::NAN),
            Value::F64(-0.5),
            Value::Text("x".into()),
            Value::none(NoData::Null),
        ] {
            fits("value", &value);
        }
        for quality in Quality::ALL {
            fits("quality", &quality);
        }
    }

    #[test]
    fn what_is_no_such_record_does_not_fit() {
        for (name, record) in [
            ("quality", json!(0)),
            ("quality", json!(193)),
            ("quality", json!("good")),
            ("value", json!(null)),
            ("value", json!({"no_data": "boredom"})),
            ("timestamp", json!("2026-11-24T00:00:00Z")),
            (
                "beat",
                json!({"v": 2, "owner": "g", "session": "", "tick": 1, "at": 0, "last_seq": 0}),
            ),
            (
                "beat",
                json!({"v": 1, "owner": "g", "session": "", "at": 0, "last_seq": 0}),
            ),
            ("status", json!({"v": 1, "owner": "g", "state": "unheard"})),
            (
                "command",
                json!({"v": 1, "id": "c", "verb": "detonate", "actor": "", "role": "", "issued_at": 0}),
            ),
            ("regions", json!({})),
            ("transition", json!([])),
        ] {
            assert!(!misfits(name, &record).is_empty(), "{name} {record}");
        }
    }
}
