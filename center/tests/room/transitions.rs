//! Transitions in over MQTT, alarms and events out over HTTP, commands back.

use std::sync::Arc;

use davy_points::Value;
use davy_rules::alarm::{Flag, Label};
use serde_json::{Value as Json, json};

use crate::broker::Mosquitto;
use crate::client::{Stream, get, post};
use crate::gateway::Gateway;
use crate::{center, example, site};

fn ack(key: &str) -> Json {
    json!({"reason": "看过了", "idempotency_key": key, "actor": "operator-1"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transition_becomes_an_alarm_an_event_and_an_acknowledged_record() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let plan = Arc::new(site(broker.port));
    let dir = tempfile::tempdir().expect("a folder");
    let center_1 = center(&plan, dir.path()).await;
    let at = center_1.local_addr();
    let mut stream = Stream::open(at, None).await;
    let mut gateway = Gateway::connect("gw-01", broker.port).await;
    gateway.online(&plan.rev).await;
    gateway.beat(0).await;

    let first = gateway.seal(&example::transition("gw-01", 1));
    gateway.publish("transition", first.clone()).await;
    let event = stream
        .until("the event", |e| {
            e.name == "transition" && e.data["owner"] == "gw-01"
        })
        .await;
    let id = event.id.expect("a centre sequence");
    assert_eq!(event.data["label"], "UNACK");
    assert_eq!(event.data["needs_ack"], true);
    assert_eq!(event.data["provisional"], false);
    assert_eq!(event.data["description"], "LT-101 描述");
    gateway.hears("acked", |m| m["seq"] == 1).await;

    // Again: a duplicate changes nothing, and is acknowledged.
    gateway.publish("transition", first.clone()).await;
    let second = gateway.seal(&{
        let mut t = example::transition("gw-01", 2);
        (t.alarm, t.level) = ("table/LT-101/h".into(), davy_rules::alarm::Level::H);
        t
    });
    gateway.publish("transition", second).await;
    let next = stream
        .until("the second event", |e| {
            e.name == "transition" && e.data["owner"] == "gw-01"
        })
        .await;
    assert_eq!(next.data["alarm"], "table/LT-101/h");
    gateway.hears("acked", |m| m["seq"] == 2).await;

    let alarms = get(at, "/api/v1/alarms").await.json();
    let names: Vec<_> = of_gateway(&alarms["alarms"]);
    assert_eq!(names, ["table/LT-101/h", "table/LT-101/hh"]);
    // The record in the journal is what the gateway sealed, byte for byte.
    let journal = get(at, "/api/v1/journal?owner=gw-01").await;
    let text = String::from_utf8(journal.body).expect("UTF-8");
    assert!(text.contains(std::str::from_utf8(&first).expect("UTF-8")));

    // Resumed after the first event, the stream begins with the second.
    let mut resumed = Stream::open(at, Some(&id.to_string())).await;
    let again = resumed
        .until("the replayed event", |e| {
            e.name == "transition" || e.name == "resync"
        })
        .await;
    assert_eq!(
        (again.id, &again.data["alarm"]),
        (next.id, &next.data["alarm"])
    );
    let mut lost = Stream::open(at, Some("999999")).await;
    lost.until("resync", |e| e.name == "resync").await;

    // Another centre on the same folder takes up where this one ended.
    center_1.stop().await;
    let center_2 = center(&plan, dir.path()).await;
    let at = center_2.local_addr();
    let again = get(at, "/api/v1/alarms").await.json();
    assert_eq!(of_gateway(&again["alarms"]), names);
    let gateways = get(at, "/api/v1/gateways").await.json();
    assert_eq!(gateways["gateways"][0]["acked_seq"], 2);
    center_2.stop().await;
}

fn of_gateway(alarms: &Json) -> Vec<String> {
    let mut names: Vec<String> = alarms
        .as_array()
        .expect("a list")
        .iter()
        .filter(|a| a["owner"] == "gw-01")
        .map(|a| a["alarm"].as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_waits_for_a_gateway_that_is_away_and_is_given_once() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let mut plan = site(broker.port);
    plan.center.command_key = Some(b"a key".to_vec());
    let plan = Arc::new(plan);
    let dir = tempfile::tempdir().expect("a folder");
    let center_1 = center(&plan, dir.path()).await;
    let at = center_1.local_addr();
    let mut stream = Stream::open(at, None).await;
    let mut gateway = Gateway::connect("gw-01", broker.port).await;
    let told = example::transition("gw-01", 1);
    let wire = gateway.seal(&told);
    gateway.publish("transition", wire).await;
    stream
        .until("the alarm", |e| {
            e.name == "transition" && e.data["owner"] == "gw-01"
        })
        .await;

    let path = format!("/api/v1/occurrences/{}/ack", told.occurrence);
    let answer = post(at, &path, &ack("k1")).await;
    assert_eq!(answer.status, 202);
    let id = answer.json()["command_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let same = post(at, &path, &ack("k1")).await;
    assert_eq!(
        same.json()["command_id"],
        id.as_str(),
        "one key, one command"
    );
    let pending = get(at, &format!("/api/v1/commands/{id}")).await.json();
    assert_eq!(pending["state"], "pending");
    let alarms = get(at, "/api/v1/alarms").await.json();
    let alarm = alarms["alarms"]
        .as_array()
        .and_then(|l| l.iter().find(|a| a["owner"] == "gw-01"))
        .expect("the alarm")
        .clone();
    assert_eq!(alarm["pending_command"], id.as_str());

    // The gateway was never heard, so the command waits, over a restart too.
    center_1.stop().await;
    let center_2 = center(&plan, dir.path()).await;
    let at = center_2.local_addr();
    let mut stream = Stream::open(at, None).await;
    gateway.online(&plan.rev).await;
    gateway.beat(1).await;
    let command = gateway.hears("command", |c| c["id"] == id.as_str()).await;
    assert_eq!(command["verb"], "ack");
    assert_eq!(command["occurrence"], &*told.occurrence);
    assert_eq!(command["role"], "operator");
    assert_eq!(command["sig"].as_str().map(str::len), Some(64));
    assert!(command.get("expires_at").is_none(), "an ack may wait");

    let acked = gateway.seal(&{
        let mut t = example::transition("gw-01", 2);
        t.occurrence = told.occurrence.clone();
        (t.from, t.to) = (Label::Unack, Label::Acked);
        t.regions.after.acked = true;
        t.command_id = Some(id.clone());
        t
    });
    gateway.publish("transition", acked).await;
    let done = stream
        .until("the outcome", |e| {
            e.name == "command" && e.data["id"] == id.as_str()
        })
        .await;
    assert_eq!(done.data["state"], "applied");
    let result = json!({"v": 1, "id": id, "outcome": "applied", "seq": 2});
    gateway
        .publish("result", result.to_string().into_bytes())
        .await;

    // An answer of refusal reaches the page with its reason.
    let answer = post(at, &path, &ack("k2")).await.json();
    let id = answer["command_id"].as_str().expect("an id").to_owned();
    gateway.hears("command", |c| c["id"] == id.as_str()).await;
    let result = json!({"v": 1, "id": id, "outcome": "rejected", "why": "already_acked"});
    gateway
        .publish("result", result.to_string().into_bytes())
        .await;
    let refused = stream
        .until("the refusal", |e| {
            e.name == "command" && e.data["id"] == id.as_str() && e.data["state"] != "pending"
        })
        .await;
    assert_eq!(
        (&refused.data["state"], &refused.data["why"]),
        (&json!("rejected"), &json!("already_acked"))
    );
    center_2.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_shown_at_once_and_asked_for_again() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let plan = Arc::new(site(broker.port));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let mut stream = Stream::open(at, None).await;
    let mut gateway = Gateway::connect("gw-01", broker.port).await;
    let wires: Vec<_> = (1..=3)
        .map(|seq| gateway.seal(&example::transition("gw-01", seq)))
        .collect();
    gateway.publish("transition", wires[0].clone()).await;
    gateway.hears("acked", |m| m["seq"] == 1).await;
    gateway.publish("transition", wires[2].clone()).await;
    let early = stream
        .until("the early alarm", |e| {
            e.name == "transition" && e.data["seq"] == 3
        })
        .await;
    assert_eq!((early.id, &early.data["provisional"]), (None, &json!(true)));
    gateway.hears("resend", |m| m["after"] == 1).await;
    gateway.publish("transition", wires[1].clone()).await;
    gateway.publish("transition", wires[2].clone()).await;
    gateway.hears("acked", |m| m["seq"] == 3).await;
    let sealed = stream
        .until("the sealed alarm", |e| {
            e.name == "transition" && e.data["seq"] == 3 && e.data["provisional"] == false
        })
        .await;
    assert!(sealed.id.is_some());
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_chain_is_stored_shown_and_said() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let plan = Arc::new(site(broker.port));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let mut stream = Stream::open(at, None).await;
    let mut gateway = Gateway::connect("gw-01", broker.port).await;
    let first = gateway.seal(&example::transition("gw-01", 1));
    gateway.publish("transition", first).await;
    gateway.begin_anew();
    let second = gateway.seal(&example::transition("gw-01", 2));
    gateway.publish("transition", second).await;
    gateway.hears("acked", |m| m["seq"] == 2).await;
    stream
        .until("the alarm", |e| {
            e.name == "transition" && e.data["seq"] == 2
        })
        .await;
    let journal = get(at, "/api/v1/journal?owner=gw-01").await.json();
    assert_eq!(journal["chain_ok"], json!([true, false]));
    let blind = get(at, "/api/v1/not-protecting").await.json();
    let said = blind["items"].as_array().is_some_and(|l| {
        l.iter()
            .any(|i| i["kind"] == "journal" && i["owner"] == "gw-01")
    });
    assert!(said, "{blind}");

    // Its journal begins anew: sequence 1 with other content is a chain of its own.
    gateway.begin_anew();
    let other = {
        let mut t = example::transition("gw-01", 1);
        (t.alarm, t.value) = ("table/LT-102/hh".into(), Value::F64(95.0));
        t
    };
    let anew = gateway.seal(&other);
    gateway.publish("transition", anew.clone()).await;
    gateway.hears("resend", |m| m["after"] == 0).await;
    stream
        .until("the new journal's alarm", |e| {
            e.name == "transition" && e.data["alarm"] == "table/LT-102/hh"
        })
        .await;
    gateway.publish("transition", anew).await;
    gateway.hears("acked", |m| m["seq"] == 1).await;
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unjournalled_alarm_is_shown_and_its_sealed_record_replaces_it() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let plan = Arc::new(site(broker.port));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let mut stream = Stream::open(at, None).await;
    let mut gateway = Gateway::connect("gw-01", broker.port).await;
    let mut early = example::transition("gw-01", 1);
    (early.prev, early.hash) = (None, None);
    early.flags.push(Flag::Unjournalled);
    gateway
        .publish("transition", serde_json::to_vec(&early).expect("JSON"))
        .await;
    let shown = stream
        .until("the early alarm", |e| {
            e.name == "transition" && e.data["owner"] == "gw-01"
        })
        .await;
    assert_eq!(shown.data["provisional"], true);
    let blind = get(at, "/api/v1/not-protecting").await.json();
    assert!(
        blind["items"]
            .as_array()
            .is_some_and(|l| l.iter().any(|i| i["kind"] == "journal")),
        "{blind}"
    );
    let journal = get(at, "/api/v1/journal?owner=gw-01").await.json();
    assert_eq!(journal["records"], json!([]), "never committed");
    let sealed = gateway.seal(&example::transition("gw-01", 1));
    gateway.publish("transition", sealed).await;
    let shown = stream
        .until("the sealed alarm", |e| {
            e.name == "transition" && e.data["provisional"] == false && e.data["owner"] == "gw-01"
        })
        .await;
    assert!(shown.id.is_some());
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_and_forgets_everything_costs_no_record() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let port = broker.port;
    let plan = Arc::new(site(port));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let mut stream = Stream::open(room.local_addr(), None).await;
    let mut gateway = Gateway::connect("gw-01", port).await;
    let first = gateway.seal(&example::transition("gw-01", 1));
    gateway.publish("transition", first).await;
    gateway.hears("acked", |m| m["seq"] == 1).await;

    drop(broker);
    let lost = stream
        .until("the lost broker", |e| {
            e.name == "transition" && e.data["alarm"] == "source/broker/loss_of_view"
        })
        .await;
    assert_eq!(lost.data["label"], "UNACK");
    let Some(_again) = Mosquitto::start_on(port).await else {
        return;
    };
    let mut gateway = gateway.reconnect(port).await;
    // Once the centre hears again it says how far it is and asks for the rest.
    gateway.hears("resend", |m| m["after"] == 1).await;
    gateway.hears("acked", |m| m["seq"] == 1).await;
    let second = gateway.seal(&example::transition("gw-01", 2));
    gateway.publish("transition", second).await;
    gateway.hears("acked", |m| m["seq"] == 2).await;
    stream
        .until("the second record", |e| {
            e.name == "transition" && e.data["owner"] == "gw-01" && e.data["seq"] == 2
        })
        .await;
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_answer_delays_no_alarm() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let plan = Arc::new(site(broker.port));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let mut stream = Stream::open(room.local_addr(), None).await;
    let mut gateway = Gateway::connect("gw-01", broker.port).await;
    // Someone else holds the database: no commit of ours can end.
    let other = rusqlite::Connection::open(dir.path().join("journal.db")).expect("opened");
    other
        .busy_timeout(std::time::Duration::from_secs(20))
        .expect("set");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let wire = gateway.seal(&example::transition("gw-01", 1));
    gateway.publish("transition", wire).await;
    let shown = stream
        .until("the alarm", |e| {
            e.name == "transition" && e.data["owner"] == "gw-01"
        })
        .await;
    assert_eq!((shown.id, &shown.data["provisional"]), (None, &json!(true)));
    // Shown, and not acknowledged: the gateway would never send it again.
    let gateways = get(room.local_addr(), "/api/v1/gateways").await.json();
    assert_eq!(gateways["gateways"][0]["acked_seq"], 0, "{gateways}");
    other.execute_batch("ROLLBACK").expect("released");
    gateway.hears("acked", |m| m["seq"] == 1).await;
    let sealed = stream
        .until("the committed alarm", |e| {
            e.name == "transition" && e.data["owner"] == "gw-01" && e.data["provisional"] == false
        })
        .await;
    assert!(sealed.id.is_some());
    room.stop().await;
}
