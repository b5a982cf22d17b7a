//! One register, the whole way; stopping, starting again, and two gateways on one directory.

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

    center.publish("snapshot/get", "{}");
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
