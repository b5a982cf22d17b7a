//! One register, the whole way; stopping, starting again, and two gateways on one directory.

use std::io::BufRead;

use davy_rules::engine::{Engine, Envelope, Identity};
use davy_rules::proof::{LogStart, replay};

use super::publisher::Publisher;
use super::*;

#[tokio::test]
async fn a_register_beyond_hh_warns_the_centre_which_acknowledges() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let device = Device::start().await;
    device.set(7, 50);
    let mut site = Site::new(&broker, &store);
    let plc = site.modbus(&device);
    site.register("LT-101", plc, 7);
    let mut center = Center::start(&broker.address());
    let data = data();
    let gateway = start(site.config(data.path())).expect("started");

    let online = center.message("status", |s| s["state"] == "online").await;
    assert_eq!(online["plan_rev"], "0123456789abcdef");
    let beat = center.message("beat", |_| true).await;
    assert_eq!(beat["session"], online["session"]);
    let key = "tank_level,site=site,gateway=gw-1,hazard=TF1,tag=LT-101";
    store
        .until("a good value", |lines| {
            lines
                .iter()
                .find(|l| l.starts_with(&format!("{key} value=50.0,q=192i ")))
                .cloned()
        })
        .await;

    device.set(7, 95);
    let hh = center.transition("table/LT-101/hh", "UNACK").await;
    assert_eq!((&hh["value"], &hh["limit"]), (&95.0.into(), &90.0.into()));
    assert_eq!(hh["priority"], 1);

    let occurrence = hh["occurrence"].as_str().expect("an occurrence");
    let command = format!(
        r#"{{"v":1,"id":"c-1","occurrence":"{occurrence}","verb":"ack","actor":"op","role":"operator","reason":"","issued_at":1}}"#
    );
    center.publish("command", &command);
    let result = center.message("result", |r| r["id"] == "c-1").await;
    assert_eq!(result["outcome"], "applied");
    let acked = center.transition("table/LT-101/hh", "ACKED").await;
    assert_eq!(
        (&acked["seq"], &acked["command_id"]),
        (&result["seq"], &"c-1".into())
    );

    center.publish("snapshot/get", r#"{"v":1}"#);
    let snapshot = center.message("snapshot", |_| true).await;
    assert!(
        snapshot["alarms"].as_array().is_some_and(|a| a.len() >= 2),
        "{snapshot}"
    );

    let request = store.requests.lock().expect("no panic")[0].clone();
    assert!(
        request.starts_with("POST /api/v2/write?bucket=davy&org=site&precision=ns HTTP/1.1"),
        "{request}"
    );
    assert!(
        request
            .to_lowercase()
            .contains("authorization: token secret"),
        "{request}"
    );

    let began = std::time::Instant::now();
    let stats = gateway.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    center.message("status", |s| s["state"] == "stopping").await;
    assert_eq!(stats.acked, 1, "a stop clears no alarm: {stats:?}");
    assert_eq!(
        (stats.lost, stats.acked_seq),
        (0, stats.last_seq),
        "{stats:?}"
    );
    assert_eq!(store.lines().len() as u64, stats.rows_stored);

    // The same directory again: what stood stands, acknowledged, and nothing is told twice.
    let before = center.taken.lock().expect("no panic").order.len();
    let mut site = Site::new(&broker, &store);
    let plc = site.modbus(&device);
    site.register("LT-101", plc, 7);
    let gateway = start(site.config(data.path())).expect("started again");
    device.set(7, 20);
    let back = center.transition("table/LT-101/hh", "NORMAL").await;
    assert_eq!(back["occurrence"].as_str(), Some(occurrence));
    gateway.stop().await;
    let taken = center.taken.lock().expect("no panic");
    let mut order = taken.order.clone();
    let fresh = &order[before..];
    assert!(
        fresh.iter().all(|seq| *seq > stats.last_seq),
        "{fresh:?} after {}",
        stats.last_seq
    );
    order.dedup();
    assert_eq!(order.len(), taken.order.len());
    assert_eq!(
        super::center::contiguous(&taken.records),
        *order.last().expect("some")
    );
}

#[tokio::test]
async fn two_gateways_on_one_directory_is_a_clear_error() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let store = Store::start(|_, _| Reply::Status(204)).await;
    let data = data();
    let first = start(Site::new(&broker, &store).config(data.path())).expect("started");
    let second = start(Site::new(&broker, &store).config(data.path())).expect_err("locked");
    assert!(matches!(second, StartError::Open(_)), "{second}");
    let text = second.to_string();
    assert!(!text.contains('\n') && text.contains("process"), "{text}");
    first.stop().await;
    let mut unknown = Site::new(&broker, &store).config(data.path());
    unknown.id = "gw-9".into();
    assert_eq!(
        start(unknown).expect_err("unknown").to_string(),
        "the plan has no gateway `gw-9`; it has: gw-1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_input_log_replays_to_the_same_transitions() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let mut store = Store::start(|_, _| Reply::Status(204)).await;
    let data = data();
    let config = |log: &str, store: &Store| {
        let mut site = Site::new(&broker, store);
        let source = site.mqtt(Clock::Arrival);
        site.topic("LT-1", source);
        let mut config = site.config(data.path());
        config.input_log = Some(data.path().join(log));
        config
    };
    let mut field = Publisher::connect(&broker.address());
    let mut after = 0;
    // The second log begins with what the first run left behind.
    for log in ["first.log", "second.log"] {
        let config = config(log, &store);
        let (rules, plan) = (config.rules.clone(), config.plan.clone());
        let gateway = start(config).expect("started");
        field.first(&mut store, "LT-1", r#"{"value":10}"#).await;
        let before = gateway.stats().samples;
        for value in ["95", "87.5", "10", "91", "null", "\"text\"", "95"] {
            field.put("LT-1", false, format!(r#"{{"value":{value}}}"#));
        }
        field.flush().await;
        until(|| gateway.stats().samples >= before + 7).await;
        gateway.stop().await;

        let file = std::fs::File::open(data.path().join(log)).expect("written");
        let mut lines = std::io::BufReader::new(file)
            .lines()
            .map(|l| l.expect("UTF-8"));
        let start: LogStart =
            serde_json::from_str(&lines.next().expect("a start")).expect("a start");
        let envelopes: Vec<Envelope> = lines
            .map(|l| serde_json::from_str(&l).expect("an envelope"))
            .collect();
        let id = Identity {
            site: plan.site.clone(),
            owner: "gw-1".into(),
            plan_rev: plan.rev.clone(),
        };
        let engine = Engine::start(
            id,
            rules,
            plan.points.clone(),
            start.restored,
            start.mono,
            start.wall,
        );
        let again: Vec<Vec<u8>> = replay(engine, &envelopes)
            .transitions
            .iter()
            .map(|t| serde_json::to_vec(t).expect("JSON"))
            .collect();
        let journal = davy_journal::JournalReader::open(data.path()).expect("there");
        let told = journal.read_json(after, 10_000).expect("readable");
        after = told.last().expect("some").0;
        let told: Vec<Vec<u8>> = told.into_iter().map(|(_, record)| record).collect();
        assert_eq!(again, told, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_cannot_be_written_silences_no_alarm_and_loses_nothing() {
    let Some(broker) = Broker::start() else {
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
    field.first(&mut store, "LT-1", r#"{"value":10}"#).await;
    // Somebody holds the file.
    let other = rusqlite::Connection::open(data.path().join("series.db")).expect("there");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    field.put("LT-1", false, r#"{"value":95}"#);
    center.transition("table/LT-1/hh", "UNACK").await;
    center.transition("system/history/on", "UNACK").await;
    field.put("LT-1", false, r#"{"value":20}"#);
    center.transition("table/LT-1/hh", "RTN_UNACK").await;
    other.execute_batch("ROLLBACK").expect("given back");
    center.transition("system/history/on", "RTN_UNACK").await;
    store
        .until("both values", |lines| {
            let has = |v: &str| lines.iter().any(|l| l.contains(&format!("value={v},")));
            (has("95.0") && has("20.0")).then_some(())
        })
        .await;
    let stats = gateway.stop().await;
    assert_eq!(stats.lost, 0);
}
