//! MQTT field sources against a real mosquitto.

use davy_points::{Quality, Timestamp, Value};
use tokio::sync::mpsc;

use super::publisher::Publisher;
use super::*;
use crate::acquire::{self, Batch};
use crate::metrics::Metrics;

fn tagged<'a>(lines: &'a [String], tag: &str) -> Option<&'a String> {
    lines
        .iter()
        .rev()
        .find(|l| l.contains(&format!("tag={tag} ")))
}

#[tokio::test]
async fn what_the_broker_kept_is_uncertain_until_a_live_message() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let mut field = Publisher::connect(&broker.address());
    let now_s = crate::run::wall_now().ns() / 1_000_000_000;
    field.put("LT-1", true, r#"{"value":10}"#);
    field.put(
        "LT-2",
        true,
        format!(r#"{{"value":11,"ts":{}}}"#, now_s - 5),
    );
    field.flush().await;
    let mut site = Site::new(&broker, &store);
    let source = site.mqtt(Clock::Device);
    for tag in ["LT-1", "LT-2", "LT-3"] {
        site.topic(tag, source);
    }
    let data = data();
    let gateway = start(site.config(data.path())).expect("started");
    for (tag, line) in [("LT-1", "value=10.0,q=68i"), ("LT-2", "value=11.0,q=192i")] {
        store
            .until(tag, |lines| {
                tagged(lines, tag).filter(|l| l.contains(line)).cloned()
            })
            .await;
    }
    field.put("LT-1", true, r#"{"value":12}"#);
    store
        .until("live", |lines| {
            tagged(lines, "LT-1")
                .filter(|l| l.contains("value=12.0,q=192i"))
                .cloned()
        })
        .await;

    // Garbage is counted and touches nothing; what comes after it counts.
    for payload in [&b"\xff\xfe"[..], b"", b"{", b"{\"value\":[1]}", b"nonsense"] {
        field.put("LT-3", false, payload);
    }
    field.put("unknown", false, "1");
    field.put("LT-3", false, r#"{"value":null}"#);
    field.put("LT-3", false, r#"{"value":1.5}"#);
    store
        .until("the good one", |lines| {
            tagged(lines, "LT-3")
                .filter(|l| l.contains("value=1.5,q=192i"))
                .cloned()
        })
        .await;
    let of_lt3: Vec<String> = store
        .lines()
        .into_iter()
        .filter(|l| l.contains("tag=LT-3 "))
        .collect();
    assert_eq!(of_lt3.len(), 2, "{of_lt3:?}");
    assert!(
        of_lt3[0].contains("tag=LT-3 q=16i "),
        "null has no value and is Bad: {of_lt3:?}"
    );
    let text = gateway.metrics().text();
    for (reason, n) in [
        ("not_utf8", 1),
        ("empty", 1),
        ("not_json", 2),
        ("not_a_value", 1),
        ("unknown_topic", 1),
    ] {
        let line =
            format!("davy_mqtt_refused_total{{reason=\"{reason}\",source=\"source-0\"}} {n}");
        assert!(text.contains(&line), "{line} not in\n{text}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_message_too_long_is_refused_once_and_stops_nobody() {
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
    field.put("LT-1", true, r#"{"value":1}"#);
    store
        .until("the first", |lines| tagged(lines, "LT-1").cloned())
        .await;
    field.put("LT-1", false, vec![b' '; 3 << 20]);
    field.put("LT-1", false, r#"{"value":2}"#);
    store
        .until("the one behind", |lines| {
            tagged(lines, "LT-1")
                .filter(|l| l.contains("value=2.0"))
                .cloned()
        })
        .await;
    let text = gateway.metrics().text();
    assert!(
        text.contains("davy_mqtt_refused_total{reason=\"too_long\",source=\"source-0\"} 1"),
        "{text}"
    );
    gateway.stop().await;
}

/// Subscribes with the gateway's own subscriber, batches in the test's hand.
fn subscribe(site: Site) -> (acquire::AcquireHandle, mpsc::Receiver<Batch>) {
    let data = data();
    let config = site.config(data.path());
    let (tx, rx) = mpsc::channel(64);
    let handle = acquire::mqtt::spawn(
        &config.plan.sources,
        &config.plan,
        "gw-1",
        &tx,
        acquire::Clock::start(),
        &Metrics::new().expect("fixed names"),
    )
    .expect("a thread")
    .expect("there is an MQTT source");
    (handle, rx)
}

async fn next_samples(rx: &mut mpsc::Receiver<Batch>) -> Batch {
    tokio::time::timeout(DEADLINE, async {
        loop {
            let batch = rx.recv().await.expect("a subscriber");
            if !batch.samples.is_empty() {
                return batch;
            }
        }
    })
    .await
    .expect("samples in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_acknowledged_when_it_is_durable_and_not_before() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let store = Store::start(|_, _| Reply::Status(204)).await;
    let site = || {
        let mut site = Site::new(&broker, &store);
        let source = site.mqtt(Clock::Arrival);
        site.topic("LT-1", source);
        site
    };
    let (handle, mut rx) = subscribe(site());
    let up = rx.recv().await.expect("up");
    assert!(up.events[0].up);
    let mut field = Publisher::connect(&broker.address());
    field.put("LT-1", false, r#"{"value":1}"#);
    let first = next_samples(&mut rx).await;
    assert_eq!(first.samples[0].value, Value::F64(1.0));
    // Not durable: whoever waits hears that it did not come, and the broker gives it again.
    drop(first.done);
    let again = next_samples(&mut rx).await;
    assert_eq!(again.samples[0].value, Value::F64(1.0));
    again.done.expect("who waits").send(()).expect("waits");
    field.put("LT-1", false, r#"{"value":2}"#);
    let second = next_samples(&mut rx).await;
    assert_eq!(
        second.samples[0].value,
        Value::F64(2.0),
        "the first was acknowledged"
    );
    // The process ends with the second not durable.
    tokio::task::spawn_blocking(move || handle.stop())
        .await
        .expect("stopped");
    drop(second);
    let (handle, mut rx) = subscribe(site());
    let second = next_samples(&mut rx).await;
    assert_eq!(
        second.samples[0].value,
        Value::F64(2.0),
        "and comes again after a start"
    );
    second.done.expect("who waits").send(()).expect("waits");
    field.put("LT-1", false, r#"{"value":3}"#);
    let third = next_samples(&mut rx).await;
    assert_eq!(third.samples[0].value, Value::F64(3.0));
    tokio::task::spawn_blocking(move || handle.stop())
        .await
        .expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_over_mqtt_is_in_the_series_bit_for_bit() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let mut site = Site::new(&broker, &store);
    let source = site.mqtt(Clock::Recorded);
    site.topic("LT-1", source);
    let data = data();
    let gateway = start(site.config(data.path())).expect("started");
    let mut field = Publisher::connect(&broker.address());
    const ROWS: i64 = 4000;
    let time = |row: i64| 1_580_000_000_000_000_000 + row * 1_000_000_000;
    // Values whose last bits are easily lost.
    let value = |row: i64| (row as f64 * 0.1).sin() / 3.0 * 10f64.powi((row % 40) as i32 - 20);
    let payload = |row| format!(r#"{{"value":{:?},"ts":{}}}"#, value(row), time(row));
    field.first(&mut store, "LT-1", &payload(0)).await;
    for row in 1..ROWS {
        field.put("LT-1", false, payload(row));
    }
    field.flush().await;
    store
        .until("the last row", |lines| {
            lines
                .iter()
                .find(|l| l.ends_with(&format!(" {}", time(ROWS - 1))))
                .cloned()
        })
        .await;
    gateway.stop().await;
    let series = davy_journal::SeriesReader::open(data.path()).expect("there");
    let rows = series
        .history("LT-1", Timestamp(0), Timestamp(i64::MAX), 10_000)
        .expect("read");
    assert_eq!(rows.len() as i64, ROWS);
    for (row, stored) in rows.iter().enumerate() {
        let row = row as i64;
        assert_eq!(
            (stored.time, stored.quality),
            (Timestamp(time(row)), Quality::Good)
        );
        let Value::F64(v) = stored.value else {
            panic!("row {row}: {stored:?}");
        };
        assert_eq!(v.to_bits(), value(row).to_bits(), "row {row}");
    }
    // The wire too: every line reads back to the same bits.
    for line in store.lines() {
        let (_, rest) = line.split_once(" value=").expect("a value");
        let (v, rest) = rest.split_once(",q=192i ").expect("good");
        let row = (rest.parse::<i64>().expect("a time") - time(0)) / 1_000_000_000;
        assert_eq!(
            v.parse::<f64>().expect("a double").to_bits(),
            value(row).to_bits()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_is_loss_of_view_and_its_return_ends_it() {
    let Some(mut broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let mut site = Site::new(&broker, &store);
    let source = site.mqtt(Clock::Arrival);
    site.topic("LT-1", source);
    let data = data();
    let mut center = Center::start(&broker.address());
    let gateway = start(site.config(data.path())).expect("started");
    let mut field = Publisher::connect(&broker.address());
    field.put("LT-1", true, r#"{"value":1}"#);
    field.flush().await;
    center.message("status", |s| s["state"] == "online").await;
    broker.restart();
    let lost = center
        .transition("source/source-0/loss_of_view", "UNACK")
        .await;
    assert!(lost["priority"].as_u64().is_some_and(|p| p <= 3));
    // (A new client: the crate drops what is queued when its session is gone.)
    drop(field);
    let mut field = Publisher::connect(&broker.address());
    // Kept by the broker from before we were back: of unknown age, and no proof of anything.
    field.put("LT-1", true, r#"{"value":2}"#);
    store
        .until("the kept one", |lines| {
            tagged(lines, "LT-1")
                .filter(|l| l.contains("value=2.0"))
                .cloned()
        })
        .await;
    // Live data ends it: until then nothing has been seen.
    field.put("LT-1", false, r#"{"value":3}"#);
    center
        .transition("source/source-0/loss_of_view", "RTN_UNACK")
        .await;
    gateway.stop().await;
}
