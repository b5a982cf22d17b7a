//! What only the centre can see: silent gateways, other plans; and what it says of blindness.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::broker::Mosquitto;
use crate::client::{Stream, get, post, send};
use crate::gateway::Gateway;
use crate::{center, example, site};

fn center_alarm<'a>(alarms: &'a Json, tag: &str) -> Option<&'a Json> {
    alarms["alarms"]
        .as_array()?
        .iter()
        .find(|a| a["owner"] == "center" && a["tag"] == tag && a["kind"] == "stale")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_gateway_is_an_alarm_and_its_points_are_greyed_but_its_alarms_stand() {
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
    gateway.beat(0).await;
    stream
        .until("a beat with the gateway's tick", |e| {
            e.name == "beat" && e.data["gateways"]["gw-01"].is_u64()
        })
        .await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos();
    let line =
        format!("tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=91.5,q=192i {now}");
    let answer = send(at, "POST", "/api/v2/write", &[], line.as_bytes()).await;
    assert_eq!(answer.status, 204);
    let points = get(at, "/api/v1/points").await.json();
    assert_eq!(points["points"][0]["quality"], 192);
    let wire = gateway.seal(&example::transition("gw-01", 1));
    gateway.publish("transition", wire).await;
    gateway.hears("acked", |m| m["seq"] == 1).await;

    // No more beats.
    let silent = stream
        .until("the centre's alarm", |e| {
            e.name == "transition"
                && e.data["owner"] == "center"
                && e.data["tag"] == "gw-01"
                && e.data["label"] == "UNACK"
        })
        .await;
    assert_eq!(silent.data["alarm"], "gateway/gw-01/stale");
    assert_eq!(silent.data["priority"], 1);
    stream
        .until("the grey point", |e| {
            e.name == "samples" && e.data["rows"][0][0] == "LT-101" && e.data["rows"][0][2] == 24
        })
        .await;
    let points = get(at, "/api/v1/points").await.json();
    assert_eq!(points["points"][0]["quality_name"], "bad_communication");
    let gateways = get(at, "/api/v1/gateways").await.json();
    assert_eq!(gateways["gateways"][0]["state"], "silent");
    let alarms = get(at, "/api/v1/alarms").await.json();
    let stands = alarms["alarms"].as_array().is_some_and(|l| {
        l.iter()
            .any(|a| a["owner"] == "gw-01" && a["label"] == "UNACK")
    });
    assert!(stands, "silence clears nothing: {alarms}");

    // No hazard source or area with something in the list reads as normal.
    let blind = get(at, "/api/v1/not-protecting").await.json();
    let covers: Vec<_> = blind["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|i| i["kind"] == "gateway")
        .map(|i| (i["gateway"].clone(), i["hazard"].clone(), i["area"].clone()))
        .collect();
    assert!(
        covers.contains(&(json!("gw-01"), json!("TF"), json!("north"))),
        "{blind}"
    );
    let hazards = get(at, "/api/v1/hazards").await.json();
    for list in ["hazards", "areas"] {
        for one in hazards[list].as_array().expect("a list") {
            assert_ne!(one["reads"], "normal", "{hazards}");
        }
    }

    // The centre's own alarm is acknowledged here, without any gateway.
    let path = format!(
        "/api/v1/occurrences/{}/ack",
        silent.data["occurrence"].as_str().expect("an id")
    );
    let order = json!({"reason": "", "idempotency_key": "k", "actor": "operator-1"});
    assert_eq!(post(at, &path, &order).await.status, 202);
    stream
        .until("the acknowledged alarm", |e| {
            e.name == "transition" && e.data["tag"] == "gw-01" && e.data["label"] == "ACKED"
        })
        .await;

    // It survives a restart acknowledged, and a beat returns it.
    room.stop().await;
    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let alarms = get(at, "/api/v1/alarms").await.json();
    let again = center_alarm(&alarms, "gw-01").expect("it stands");
    assert_eq!(again["label"], "ACKED", "{again}");
    let mut stream = Stream::open(at, None).await;
    gateway.beat(1).await;
    stream
        .until("the return", |e| {
            e.name == "transition" && e.data["tag"] == "gw-01" && e.data["label"] == "NORMAL"
        })
        .await;
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_plan_at_a_gateway_is_an_alarm_until_it_agrees() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let plan = Arc::new(site(broker.port));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let mut stream = Stream::open(at, None).await;
    let mut gateway = Gateway::connect("gw-01", broker.port).await;
    gateway.online("another plan").await;
    let differs = stream
        .until("the alarm", |e| {
            e.name == "transition" && e.data["alarm"] == "system/plan/gw-01/on"
        })
        .await;
    assert_eq!(differs.data["label"], "UNACK");
    let blind = get(at, "/api/v1/not-protecting").await.json();
    assert!(
        blind["items"]
            .as_array()
            .is_some_and(|l| l.iter().any(|i| i["kind"] == "plan_differs")),
        "{blind}"
    );
    gateway.online(&plan.rev).await;
    stream
        .until("the return", |e| {
            e.name == "transition"
                && e.data["alarm"] == "system/plan/gw-01/on"
                && e.data["label"] == "RTN_UNACK"
        })
        .await;
    room.stop().await;
}
