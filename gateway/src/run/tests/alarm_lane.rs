//! The alarm lane against a broker and a centre that go away at the worst time.

use super::center::contiguous;
use super::publisher::Publisher;
use super::*;

/// Makes transitions: a value that goes above HH and back, so many times.
async fn wave(field: &mut Publisher, times: usize) {
    for _ in 0..times {
        field.put("LT-1", false, r#"{"value":95}"#);
        field.put("LT-1", false, r#"{"value":10}"#);
    }
    field.flush().await;
}

/// All records of the gateway's journal, sealed, as they must have come.
fn journal(data: &Path) -> Vec<(u64, Vec<u8>)> {
    davy_journal::JournalReader::open(data)
        .map(|r| r.read_from(0, 1_000_000))
        .expect("there")
        .expect("readable")
        .into_iter()
        .map(|s| (s.seq, s.wire.to_vec()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_in_mid_stream_costs_no_transition_and_doubles_none() {
    let Some(field_broker) = Broker::start() else {
        return;
    };
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let mut site = Site::new(&field_broker, &store);
    let source = site.mqtt(Clock::Arrival);
    site.topic("LT-1", source);
    site.broker = broker.address();
    let data = data();
    let mut center = Center::start(&broker.address());
    let gateway = start(site.config(data.path())).expect("started");
    let mut field = Publisher::connect(&field_broker.address());
    field.first(&mut store, "LT-1", r#"{"value":10}"#).await;
    center.message("status", |s| s["state"] == "online").await;
    for round in 1..=3 {
        wave(&mut field, 150).await;
        // Some have come; more are on the way, with the broker, or not sent yet.
        center
            .until("some of the wave", |t| {
                (contiguous(&t.records) > (round - 1) * 300).then_some(())
            })
            .await;
        broker.restart();
        wave(&mut field, 50).await;
    }
    let last = center
        .until("everything", |t| {
            let made = gateway.stats().transitions;
            (made > 0 && contiguous(&t.records) == gateway.stats().last_seq && quiet(&gateway))
                .then_some(made)
        })
        .await;
    let stats = gateway.stop().await;
    let told = journal(data.path());
    let taken = center.taken.lock().expect("no panic");
    assert_eq!(stats.transitions, told.len() as u64);
    assert!(last >= 1200, "{last}");
    // Byte for byte what the journal sealed, each once after the centre's own care for doubles.
    assert_eq!(
        taken
            .records
            .iter()
            .map(|(s, r)| (*s, r.clone()))
            .collect::<Vec<_>>(),
        told
    );
    assert!(taken.rewritten.is_empty(), "{:?}", taken.rewritten);
    // A disk that took long made early copies; the sealed record followed each of them.
    for early in &taken.provisional {
        let seq = early["seq"].as_u64().expect("a record has its seq");
        assert!(taken.records.contains_key(&seq), "{early}");
    }
}

/// The gateway has judged all that the field gave.
fn quiet(gateway: &Gateway) -> bool {
    gateway.stats().samples == 1 + 3 * 400
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_that_is_away_gets_everything_when_it_comes() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let mut site = Site::new(&broker, &store);
    let source = site.mqtt(Clock::Arrival);
    site.topic("LT-1", source);
    let data = data();
    let gateway = start(site.config(data.path())).expect("started");
    let mut field = Publisher::connect(&broker.address());
    field.first(&mut store, "LT-1", r#"{"value":10}"#).await;
    // Far more than the window and than what is kept at hand for the lane.
    wave(&mut field, 1500).await;
    until(|| gateway.stats().samples > 3000).await;
    let mut center = Center::start(&broker.address());
    // A centre that missed the first ones sees the gap and asks.
    center.message("beat", |_| true).await;
    center.publish("resend", r#"{"v":1,"after":0}"#);
    center
        .until("everything", |t| {
            (contiguous(&t.records) >= gateway.stats().last_seq.max(1)).then_some(())
        })
        .await;
    let stats = gateway.stop().await;
    assert!(stats.transitions >= 3000);
    assert_eq!(
        center.taken.lock().expect("no panic").records.len() as u64,
        stats.transitions
    );
    assert_eq!(stats.acked_seq, stats.last_seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_dies_says_offline_and_one_that_stops_does_not() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let store = Store::start(|_, _| Reply::Status(204)).await;
    let mut center = Center::start(&broker.address());
    let data = data();
    let gateway = start(Site::new(&broker, &store).config(data.path())).expect("started");
    center.message("status", |s| s["state"] == "online").await;
    drop(gateway);
    center.message("status", |s| s["state"] == "offline").await;
    center.taken.lock().expect("no panic").rest.clear();
    let gateway = retry_start(|| Site::new(&broker, &store).config(data.path())).await;
    center.message("status", |s| s["state"] == "online").await;
    gateway.stop().await;
    center.message("status", |s| s["state"] == "stopping").await;
    // A beat of another gateway would come after a last will; ours has none to send.
    let rest = center.taken.lock().expect("no panic");
    assert!(
        !rest
            .rest
            .iter()
            .any(|(t, j)| t == "status" && j["state"] == "offline")
    );
}

/// The dropped gateway's threads give its locks back when they end.
async fn retry_start(config: impl Fn() -> GatewayConfig) -> Gateway {
    let until = std::time::Instant::now() + DEADLINE;
    loop {
        match start(config()) {
            Ok(gateway) => return gateway,
            Err(StartError::Open(_)) if std::time::Instant::now() < until => {
                tokio::task::yield_now().await;
            }
            Err(e) => panic!("{e}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_are_wrong_are_refused_and_disturb_nothing() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let store = Store::start(|_, _| Reply::Status(204)).await;
    let mut site = Site::new(&broker, &store);
    let source = site.mqtt(Clock::Arrival);
    site.topic("LT-1", source);
    site.key = Some(b"key".to_vec());
    let mut center = Center::start(&broker.address());
    let data = data();
    let gateway = start(site.config(data.path())).expect("started");
    center.message("beat", |_| true).await;
    let ack = |id: &str, more: &str| {
        format!(
            r#"{{"v":1,"id":"{id}","occurrence":"nowhere","verb":"ack","actor":"op","role":"operator","reason":"","issued_at":1{more}}}"#
        )
    };
    center.publish("command", "garbage");
    center.publish("acked", "garbage");
    center.publish("resend", r#"{"after":-1}"#);
    center.publish("command", &ack("unsigned", ""));
    let refused = center.message("result", |r| r["id"] == "unsigned").await;
    assert_eq!(
        (&refused["outcome"], &refused["why"]),
        (&"rejected".into(), &"forbidden".into())
    );
    center.publish("command", &sign(&ack("unknown", ""), b"key"));
    let refused = center.message("result", |r| r["id"] == "unknown").await;
    assert_eq!(refused["why"], "unknown_occurrence");
    center.publish("command", &sign(&ack("late", r#","expires_at":2"#), b"key"));
    let refused = center.message("result", |r| r["id"] == "late").await;
    assert_eq!(refused["why"], "expired");
    gateway.stop().await;
}

fn sign(body: &str, key: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("any key");
    mac.update(body.as_bytes());
    let hex: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    format!(
        "{},\"sig\":\"{hex}\"}}",
        body.strip_suffix('}').expect("JSON")
    )
}

/// Holds commits back, or fails them, at the test's will.
struct Gate(Arc<std::sync::Mutex<Option<String>>>);

impl davy_journal::CommitGate for Gate {
    fn before_commit(&mut self) -> Result<(), String> {
        match &*self.0.lock().expect("no panic") {
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_fails_silences_no_alarm() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let mut site = Site::new(&broker, &store);
    let source = site.mqtt(Clock::Arrival);
    site.topic("LT-1", source);
    let mut center = Center::start(&broker.address());
    let data = data();
    let fault = Arc::new(std::sync::Mutex::new(None));
    let options = davy_journal::SpawnOptions {
        gate: Some(Box::new(Gate(Arc::clone(&fault)))),
        ..davy_journal::SpawnOptions::default()
    };
    let gateway = super::super::start_with(site.config(data.path()), options).expect("started");
    center.message("beat", |_| true).await;
    let mut field = Publisher::connect(&broker.address());
    // A first value has come through: the gateway has subscribed.
    field.first(&mut store, "LT-1", r#"{"value":50}"#).await;
    *fault.lock().expect("no panic") = Some("the disk is gone".to_owned());
    field.put("LT-1", false, r#"{"value":95}"#);
    let told = center
        .until("the alarm though nothing can be journalled", |t| {
            t.provisional
                .iter()
                .find(|r| r["alarm"] == "table/LT-1/hh" && r["to"] == "UNACK")
                .cloned()
        })
        .await;
    assert!(
        told["flags"]
            .as_array()
            .is_some_and(|f| f.contains(&"unjournalled".into()))
    );
    assert!(told.get("prev").is_none());
    center
        .until("the journal's own alarm", |t| {
            t.provisional
                .iter()
                .find(|r| r["alarm"] == "system/journal/on" && r["to"] == "UNACK")
                .cloned()
        })
        .await;
    assert!(center.taken.lock().expect("no panic").records.is_empty());
    *fault.lock().expect("no panic") = None;
    let sealed = center.transition("table/LT-1/hh", "UNACK").await;
    assert_eq!(sealed["seq"], told["seq"]);
    assert!(
        sealed["flags"]
            .as_array()
            .is_some_and(|f| !f.contains(&"unjournalled".into()))
    );
    center.transition("system/journal/on", "RTN_UNACK").await;
    let stats = gateway.stop().await;
    assert_eq!(stats.acked_seq, stats.last_seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_took_and_the_centre_did_not_acknowledge_comes_again() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let config = |store: &Store, data: &Path| {
        let mut site = Site::new(&broker, store);
        let source = site.mqtt(Clock::Arrival);
        site.topic("LT-1", source);
        site.config(data)
    };
    let data = data();
    let mut center = Center::start(&broker.address());
    center.ack(false);
    let gateway = start(config(&store, data.path())).expect("started");
    let mut field = Publisher::connect(&broker.address());
    field.first(&mut store, "LT-1", r#"{"value":10}"#).await;
    field.put("LT-1", false, r#"{"value":95}"#);
    center.transition("table/LT-1/hh", "UNACK").await;
    let stats = gateway.stop().await;
    assert_eq!(stats.acked_seq, 0, "a PUBACK moves no cursor");
    center.ack(true);
    let told = center.taken.lock().expect("no panic").order.len();
    let gateway = start(config(&store, data.path())).expect("started again");
    center
        .until("all of it again", |t| {
            (t.order.len() >= told * 2).then_some(())
        })
        .await;
    until(|| {
        let stats = gateway.stats();
        stats.acked_seq == stats.last_seq
    })
    .await;
    gateway.stop().await;
    assert!(center.taken.lock().expect("no panic").rewritten.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_centre_says_is_refused_and_counted_and_disturbs_nothing() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let mut site = Site::new(&broker, &store);
    let source = site.mqtt(Clock::Arrival);
    site.topic("LT-1", source);
    let data = data();
    let gateway = start(site.config(data.path())).expect("started");
    let mut field = Publisher::connect(&broker.address());
    field.first(&mut store, "LT-1", r#"{"value":10}"#).await;
    let mut center = Center::start(&broker.address());
    center.message("beat", |_| true).await;
    for topic in ["acked", "resend", "snapshot/get"] {
        // Nothing in it is what we know, but its version.
        center.publish(topic, r#"{"v":2,"seq":"many","after":"some"}"#);
    }
    center.publish("command", r#"{"v":2,"id":"c-2","verb":"unheard_of"}"#);
    center.publish("resend", "{");
    let answer = center.message("result", |r| r["id"] == "c-2").await;
    assert_eq!(answer["why"], "unsupported");
    // What follows is taken, past a field that is not known.
    center.publish("snapshot/get", r#"{"later":{"v":7},"v":1}"#);
    let snapshot = center.message("snapshot", |_| true).await;
    assert_eq!(
        (&snapshot["part"], &snapshot["parts"]),
        (&1.into(), &1.into())
    );
    let refused = &gateway.metrics().commands_refused;
    assert_eq!(refused.with_label_values(&["version"]).get(), 4);
    assert_eq!(refused.with_label_values(&["resend"]).get(), 1);
    gateway.stop().await;
}
