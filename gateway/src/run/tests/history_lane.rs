//! History lanes against stores that refuse, hang and go away.

use std::sync::atomic::{AtomicBool, Ordering};

use davy_plan::InfluxSink;

use super::publisher::Publisher;
use super::*;

fn values(lines: &[String], tag: &str) -> Vec<f64> {
    let mut values: Vec<f64> = lines
        .iter()
        .filter(|l| l.contains(&format!("tag={tag} ")))
        .map(|l| {
            let (_, rest) = l.split_once(" value=").expect("a value");
            rest.split(',')
                .next()
                .and_then(|v| v.parse().ok())
                .expect("a number")
        })
        .collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_in_every_way_loses_nothing_and_poison_stands_alone() {
    let Some(broker) = Broker::start() else {
        return;
    };
    // The centre's lane is healthy; the mirror behind it is not.
    let mut center_store = Store::start(|_, _| Reply::Status(204)).await;
    let mut mirror = Store::start(|n, body| match n {
        0 => Reply::Close,
        1 => Reply::Status(500),
        2 => Reply::Hang,
        3 => Reply::Status(401),
        4 => Reply::Status(404),
        5 => Reply::Status(503),
        _ if body.contains("value=666.0") => Reply::Status(400),
        _ if body.lines().count() > 700 => Reply::Status(413),
        _ => Reply::Status(204),
    })
    .await;
    let mut site = Site::new(&broker, &center_store);
    let source = site.mqtt(Clock::Recorded);
    site.topic("LT-1", source);
    site.sinks.push(InfluxSink {
        id: "mirror".into(),
        url: mirror.url(),
        org: "o".into(),
        bucket: "b".into(),
        token: None,
    });
    let data = data();
    let gateway = start(site.config(data.path())).expect("started");
    let mut field = Publisher::connect(&broker.address());
    const ROWS: u32 = 2000;
    let payload = |row| format!(r#"{{"value":{row},"ts":{}}}"#, 1_580_000_000 + row);
    field.first(&mut center_store, "LT-1", &payload(0)).await;
    for row in 1..ROWS {
        field.put("LT-1", false, payload(row));
    }
    field.flush().await;
    let all: Vec<f64> = (0..ROWS).map(f64::from).collect();
    let good: Vec<f64> = all.iter().copied().filter(|v| *v != 666.0).collect();
    center_store
        .until("all at the centre", |lines| {
            (values(lines, "LT-1") == all).then_some(())
        })
        .await;
    mirror
        .until("all but the poison at the mirror", |lines| {
            (values(lines, "LT-1") == good).then_some(())
        })
        .await;
    // Alarms are mirrored there, and only there.
    mirror
        .until("the alarm", |lines| {
            lines
                .iter()
                .find(|l| {
                    l.starts_with("alarm,site=site,gateway=gw-1,hazard=TF1,tag=LT-1,rule=table,level=hh state=2i,priority=1i,value=")
                })
                .cloned()
        })
        .await;
    let stats = gateway.stop().await;
    let dead = std::fs::read_to_string(data.path().join("dead-letter/mirror.lp")).expect("written");
    assert_eq!(
        dead.lines().filter(|l| !l.starts_with('#')).count(),
        1,
        "{dead}"
    );
    assert!(dead.contains("value=666.0"), "{dead}");
    assert_eq!(stats.lost, 1, "what a sink refused for good is counted");
    assert!(stats.retries >= 6, "{stats:?}");
    assert!(!center_store.lines().iter().any(|l| l.starts_with("alarm,")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_away_gets_everything_after_a_restart_too() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let open = Arc::new(AtomicBool::new(false));
    let door = Arc::clone(&open);
    let mut store = Store::start(move |_, _| {
        if door.load(Ordering::SeqCst) {
            Reply::Status(204)
        } else {
            Reply::Status(500)
        }
    })
    .await;
    let data = data();
    let config = |store: &Store| {
        let mut site = Site::new(&broker, store);
        let source = site.mqtt(Clock::Arrival);
        site.topic("LT-1", source);
        site.config(data.path())
    };
    let gateway = start(config(&store)).expect("started");
    let mut field = Publisher::connect(&broker.address());
    field.put("LT-1", true, r#"{"value":0}"#);
    until(|| gateway.stats().rows_stored >= 1).await;
    for v in 1..300 {
        field.put("LT-1", false, format!(r#"{{"value":{v}}}"#));
    }
    field.flush().await;
    until(|| gateway.stats().rows_stored >= 300).await;
    let began = std::time::Instant::now();
    let stats = gateway.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "a stop waits for no store"
    );
    assert_eq!(stats.history_delivered, 0);
    open.store(true, Ordering::SeqCst);
    let gateway = start(config(&store)).expect("started again");
    let all: Vec<f64> = (0..300).map(f64::from).collect();
    store
        .until("everything", |lines| {
            (values(lines, "LT-1") == all).then_some(())
        })
        .await;
    gateway.stop().await;
    // A third start sends nothing again: the cursor is kept.
    let gateway = start(config(&store)).expect("started a third time");
    field.put("LT-1", false, r#"{"value":1000}"#);
    store
        .until("the new one", |lines| {
            lines.iter().find(|l| l.contains("value=1000.0")).cloned()
        })
        .await;
    gateway.stop().await;
    let mut lines = store.lines();
    let sent = lines.len();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), sent, "no line twice");
}

#[tokio::test]
async fn a_sink_that_cannot_be_used_is_said_at_the_start() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let store = Store::start(|_, _| Reply::Status(204)).await;
    for (url, why) in [
        ("https://127.0.0.1:1", "must begin with http://"),
        ("http://127.0.0.1:1/insert/0", "has a path"),
        ("127.0.0.1", "is no URL"),
    ] {
        let mut site = Site::new(&broker, &store);
        site.sinks.push(InfluxSink {
            id: "mirror".into(),
            url: url.into(),
            org: "o".into(),
            bucket: "b".into(),
            token: None,
        });
        let data = data();
        let text = start(site.config(data.path()))
            .expect_err("refused")
            .to_string();
        assert!(
            text.starts_with("sink mirror: ") && text.contains(why),
            "{text}"
        );
    }
}

/// A damaged series was moved aside, as the manual says: the new one counts from 1 again, below
/// where the lane had come, and is delivered all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_series_begun_anew_is_delivered_from_its_first_batch() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let mut site = Site::new(&broker, &store);
    let source = site.mqtt(Clock::Recorded);
    site.topic("LT-1", source);
    let data = data();
    let config = site.config(data.path());
    let mut field = Publisher::connect(&broker.address());
    let payload = |row: u32| format!(r#"{{"value":{row},"ts":{}}}"#, 1_580_000_000 + row);
    let gateway = start(config.clone()).expect("started");
    field.first(&mut store, "LT-1", &payload(0)).await;
    for row in 1..20 {
        field.put("LT-1", false, payload(row));
        let want = f64::from(row);
        store
            .until("one batch after the other", |lines| {
                values(lines, "LT-1").contains(&want).then_some(())
            })
            .await;
    }
    gateway.stop().await;
    for part in ["series.db", "series.db-wal", "series.db-shm"] {
        let _ = std::fs::remove_file(data.path().join(part));
    }
    let gateway = start(config).expect("started again");
    field.put("LT-1", false, payload(20));
    store
        .until("the first batch of the new series", |lines| {
            values(lines, "LT-1").contains(&20.0).then_some(())
        })
        .await;
    gateway.stop().await;
}

/// A bypassed point (section 2, points): what is measured meanwhile carries the test mark in the
/// gateway's own series and goes to no store; what comes after it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_measured_in_a_test_goes_to_no_store() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let mut site = Site::new(&broker, &store);
    let source = site.mqtt(Clock::Arrival);
    site.topic("LT-1", source);
    let mut center = Center::start(&broker.address());
    let data = data();
    let gateway = start(site.config(data.path())).expect("started");
    center.message("beat", |_| true).await;
    let mut field = Publisher::connect(&broker.address());
    field.first(&mut store, "LT-1", r#"{"value":1}"#).await;

    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let now = i64::try_from(now.as_nanos()).expect("before 2262");
    let command = |id: &str, verb: &str| {
        let until = now + 3_600_000_000_000;
        format!(
            r#"{{"v":1,"id":"{id}","verb":"{verb}","points":["LT-1"],"actor":"a","second":"b","role":"engineer","reason":"bump test","permit":"P-7","until":{until},"issued_at":{now}}}"#
        )
    };
    center.publish("command", &command("begin", "bypass"));
    let result = center.message("result", |r| r["id"] == "begin").await;
    assert_eq!(result["outcome"], "applied", "{result}");
    center.transition("bypass/LT-1/on", "OUT_OF_SERVICE").await;
    for v in 2..5 {
        field.put("LT-1", false, format!(r#"{{"value":{v}}}"#));
    }
    let latest = || {
        let series = davy_journal::SeriesReader::open(data.path()).expect("there");
        series.latest("LT-1").expect("read")
    };
    until(|| latest().is_some_and(|row| row.value.number() == Some(4.0))).await;
    let kept = latest().expect("a row");
    assert_eq!(kept.quality, davy_points::Quality::UncertainTest);

    center.publish("command", &command("end", "restore"));
    let result = center.message("result", |r| r["id"] == "end").await;
    assert_eq!(result["outcome"], "applied", "{result}");
    field.put("LT-1", false, r#"{"value":9}"#);
    let sent = store
        .until("what comes after the test", |lines| {
            let sent = values(lines, "LT-1");
            sent.contains(&9.0).then_some(sent)
        })
        .await;
    assert_eq!(sent, [1.0, 9.0]);
    gateway.stop().await;
}
