//! Every command that a page may give, as it reaches the gateway.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::broker::Mosquitto;
use crate::client::{Stream, post};
use crate::gateway::Gateway;
use crate::{center, example, site};

const NS_PER_MINUTE: i64 = 60_000_000_000;

/// Each verb arrives with what was asked for; all but an acknowledgement and a confirmation are
/// over after 30 s (`formats.md` section 5).
#[tokio::test(flavor = "multi_thread")]
async fn every_verb_reaches_its_gateway_with_its_fields() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let plan = Arc::new(site(broker.port));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let mut stream = Stream::open(at, None).await;
    let mut gateway = Gateway::connect("gw-01", broker.port).await;
    gateway.online(&plan.rev).await;
    let told = example::transition("gw-01", 1);
    let wire = gateway.seal(&told);
    gateway.publish("transition", wire).await;
    gateway.beat(1).await;
    stream
        .until("the alarm", |e| {
            e.name == "transition" && e.data["owner"] == "gw-01"
        })
        .await;

    let occurrence = |verb: &str| format!("/api/v1/occurrences/{}/{verb}", told.occurrence);
    let alarm = |verb: &str| format!("/api/v1/alarms/{}/{verb}", told.alarm);
    let point = |verb: &str| format!("/api/v1/points/LT-101/{verb}");
    let cases: [(&str, String, Json, Json); 14] = [
        ("ack", occurrence("ack"), json!({}), json!({})),
        ("un_ack", occurrence("unack"), json!({}), json!({})),
        ("silence", occurrence("silence"), json!({}), json!({})),
        ("reset", occurrence("reset"), json!({}), json!({})),
        (
            "confirm",
            occurrence("confirm"),
            json!({"verdict": "false"}),
            json!({"verdict": "false"}),
        ),
        (
            "shelve",
            alarm("shelve"),
            json!({"minutes": 30, "one_shot": true}),
            json!({"one_shot": true, "minutes": 30}),
        ),
        (
            "shelve",
            alarm("shelve"),
            json!({"until": 2_000_000_000_000_000_000_i64}),
            json!({"until": 2_000_000_000_000_000_000_i64}),
        ),
        ("unshelve", alarm("unshelve"), json!({}), json!({})),
        (
            "out_of_service",
            alarm("out-of-service"),
            json!({"minutes": 480, "permit": "P-7", "second": "b", "role": "supervisor"}),
            json!({"minutes": 480, "permit": "P-7", "second": "b", "role": "supervisor"}),
        ),
        (
            "in_service",
            alarm("in-service"),
            json!({"role": "engineer"}),
            json!({"role": "engineer"}),
        ),
        (
            "suppress",
            alarm("suppress"),
            json!({"minutes": 5, "cause": "fan-off", "role": "supervisor"}),
            json!({"minutes": 5, "cause": "fan-off", "role": "supervisor"}),
        ),
        (
            "unsuppress",
            alarm("unsuppress"),
            json!({"cause": "fan-off", "role": "supervisor"}),
            json!({"cause": "fan-off", "role": "supervisor"}),
        ),
        (
            "bypass",
            point("bypass"),
            json!({"minutes": 60, "permit": "P-7", "second": "b", "role": "engineer"}),
            json!({"minutes": 60, "permit": "P-7", "second": "b", "role": "engineer",
                   "points": ["LT-101"]}),
        ),
        (
            "restore",
            point("restore"),
            json!({"role": "engineer"}),
            json!({"role": "engineer", "points": ["LT-101"]}),
        ),
    ];
    for (n, (verb, path, more, expected)) in cases.into_iter().enumerate() {
        let mut body = json!({"reason": "校验", "actor": "a", "idempotency_key": format!("k{n}")});
        let fields = body.as_object_mut().expect("an object");
        fields.extend(more.as_object().cloned().unwrap_or_default());
        let answer = post(at, &path, &body).await;
        assert_eq!(answer.status, 202, "{verb}");
        let id = answer.json()["command_id"].clone();
        let command = gateway.hears("command", |c| c["id"] == id).await;
        assert_eq!(command["verb"], verb);
        assert_eq!(command["reason"], "校验");
        let on_occurrence = path.contains("/occurrences/");
        assert_eq!(command["occurrence"].is_string(), on_occurrence, "{verb}");
        let on_alarm = path.contains("/alarms/");
        assert_eq!(command["alarm"].is_string(), on_alarm, "{verb}");
        let issued = command["issued_at"].as_i64().expect("a time");
        for (field, value) in expected.as_object().expect("an object") {
            if field == "minutes" {
                let until = command["until"].as_i64().expect("a deadline");
                let minutes = value.as_i64().expect("a number");
                assert_eq!(until - issued, minutes * NS_PER_MINUTE, "{verb}");
            } else {
                assert_eq!(&command[field], value, "{verb} {field}");
            }
        }
        if expected.get("role").is_none() {
            assert_eq!(command["role"], "operator");
        }
        let waits = ["ack", "confirm"].contains(&verb);
        match waits {
            true => assert!(command.get("expires_at").is_none(), "{verb} waits"),
            false => assert_eq!(
                command["expires_at"].as_i64(),
                Some(issued + 30_000_000_000),
                "{verb}"
            ),
        }
    }
    for more in [
        json!({"minutes": 5, "until": 1}),
        json!({"role": "emperor"}),
        json!({"cause": "x".repeat(201)}),
        json!({"minutes": -5}),
        json!({"permit": "a\u{7}b"}),
    ] {
        let mut body = json!({"reason": "", "actor": "a", "idempotency_key": "bad"});
        let fields = body.as_object_mut().expect("an object");
        fields.extend(more.as_object().cloned().unwrap_or_default());
        let answer = post(at, &alarm("shelve"), &body).await;
        assert_eq!(answer.status, 400, "{more}");
        assert!(answer.json()["remedy"].is_string());
    }
    room.stop().await;
}

/// A bypass goes to the gateway that holds the points; a name that means none goes nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_bypass_goes_to_the_gateway_of_its_points() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let plan = Arc::new(site(broker.port));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let mut gateway = Gateway::connect("gw-02", broker.port).await;
    gateway.online(&plan.rev).await;
    gateway.beat(1).await;
    let (_, source) = plan
        .points
        .sources()
        .find(|(_, s)| *s.gateway == *"gw-02")
        .expect("a source");
    let body = |key: &str| {
        json!({"reason": "bump test", "actor": "a", "idempotency_key": key, "role": "engineer",
               "minutes": 60, "permit": "P-7"})
    };
    for name in [
        "GT/201".to_owned(),
        "area:south".to_owned(),
        format!("device:{}", source.id),
    ] {
        let path = format!("/api/v1/points/{}/bypass", name.replace('/', "%2F"));
        let answer = post(at, &path, &body("k")).await;
        assert_eq!(answer.status, 202, "{name}");
        let id = answer.json()["command_id"].clone();
        let command = gateway.hears("command", |c| c["id"] == id).await;
        assert_eq!(command["points"], json!([name]));
        let again = post(at, &path, &body("k")).await;
        assert_eq!(again.json()["command_id"], id, "one key, one command");
    }
    for path in [
        "/api/v1/points/NO/bypass",
        "/api/v1/points/area:/bypass",
        "/api/v1/points/area:nowhere/bypass",
        "/api/v1/points/device:no%2F1/restore",
        "/api/v1/points/LT-101/shelve",
    ] {
        let answer = post(at, path, &body("n")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["remedy"].is_string());
    }
    let mut elsewhere = body("e");
    elsewhere["owner"] = "gw-01".into();
    let answer = post(at, "/api/v1/points/area:south/bypass", &elsewhere).await;
    assert_eq!(answer.status, 404);
    room.stop().await;
}
