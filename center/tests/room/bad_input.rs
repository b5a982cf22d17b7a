//! What is malformed, forged or too large is refused with a reason and disturbs nothing else.

use std::sync::Arc;

use serde_json::json;

use crate::broker::Mosquitto;
use crate::client::{Stream, get, post, send};
use crate::gateway::Gateway;
use crate::{center, example, site};

const NOBODY: u16 = 9;

#[tokio::test(flavor = "multi_thread")]
async fn poison_on_mqtt_is_counted_and_does_not_come_again() {
    let Some(broker) = Mosquitto::start().await else {
        return;
    };
    let plan = Arc::new(site(broker.port));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let mut gateway = Gateway::connect("gw-01", broker.port).await;
    let mut stream = Stream::open(at, None).await;
    for poison in [&b"{"[..], b"\xff\xff", b"{\"v\":2}", b"[]", b""] {
        gateway.publish("transition", poison.to_vec()).await;
    }
    let forged = gateway.seal(&example::transition("gw-01", 1));
    let forged = String::from_utf8(forged)
        .expect("UTF-8")
        .replace("\"owner\":\"gw-01\"", "\"owner\":\"gw-02\"");
    gateway.publish("transition", forged.into_bytes()).await;
    gateway.begin_anew();
    let good = gateway.seal(&example::transition("gw-01", 1));
    gateway.publish("transition", good).await;
    stream
        .until("the good one", |e| {
            e.name == "transition" && e.data["owner"] == "gw-01"
        })
        .await;
    let metrics = String::from_utf8(get(at, "/metrics").await.body).expect("UTF-8");
    assert!(
        metrics.contains("davy_center_malformed_total{lane=\"transition\"} 6")
            || metrics.contains("davy_malformed_total{lane=\"transition\"} 6"),
        "{metrics}"
    );
    assert!(!metrics.contains("LT-101"), "no label holds a tag");
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused_with_a_remedy() {
    let mut plan = site(NOBODY);
    plan.center.token = Some("secret".into());
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&Arc::new(plan), dir.path()).await;
    let at = room.local_addr();
    let order = json!({"reason": "", "idempotency_key": "k", "actor": "a"});
    for (path, body, status) in [
        ("/api/v1/occurrences/nothing/ack", order.clone(), 404),
        ("/api/v1/occurrences/nothing/explode", order.clone(), 404),
        ("/api/v1/alarms/table/LT-999/hh/shelve", order.clone(), 404),
        (
            "/api/v1/occurrences/nothing/ack",
            json!({"actor": "a"}),
            400,
        ),
        ("/api/v1/occurrences/nothing/ack", json!([]), 400),
        (
            "/api/v1/occurrences/nothing/ack",
            json!({"reason": "", "idempotency_key": "k", "actor": " "}),
            400,
        ),
        (
            "/api/v1/occurrences/nothing/ack",
            json!({"reason": "x".repeat(20_000), "idempotency_key": "k", "actor": "a"}),
            413,
        ),
    ] {
        let answer = post(at, path, &body).await;
        let said = answer.json();
        assert_eq!(answer.status, status, "{path} {said}");
        assert!(
            said["error"].is_string() && said["remedy"].is_string(),
            "{said}"
        );
    }
    for (path, status) in [
        ("/api/v1/points/NOPE/history", 404),
        ("/api/v1/points/LT-101/history?from=5&to=1", 400),
        ("/api/v1/occurrences/nothing", 404),
        ("/api/v1/commands/nothing", 404),
        ("/api/v1/guidance/nothing", 404),
        ("/api/v1/guidance/..%2F..%2Fsite", 404),
        ("/api/v1/nothing", 404),
        ("/nothing.js", 404),
    ] {
        let answer = get(at, path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["remedy"].is_string(), "{path}");
    }
    // Another host or another page's origin.
    for extra in [
        [("host", "rebound.example"), ("x-a", "b")],
        [("origin", "http://evil.example"), ("x-a", "b")],
    ] {
        for (method, path) in [
            ("POST", "/api/v1/occurrences/nothing/ack"),
            ("GET", "/api/v1/stream"),
            ("GET", "/api/v1/alarms"),
        ] {
            let answer = send(at, method, path, &extra, order.to_string().as_bytes()).await;
            assert_eq!(answer.status, 403, "{method} {path} {extra:?}");
        }
    }
    let line = b"tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=1,q=192i 5";
    let write = |auth: &'static str, body: Vec<u8>| async move {
        send(
            at,
            "POST",
            "/api/v2/write?org=o&bucket=b&precision=ns",
            &[("authorization", auth)],
            &body,
        )
        .await
    };
    assert_eq!(write("Token wrong", line.to_vec()).await.status, 401);
    assert_eq!(write("", line.to_vec()).await.status, 401);
    assert_eq!(write("Token secret", line.to_vec()).await.status, 204);
    let huge = write("Token secret", vec![b'#'; 8 * 1024 * 1024 + 1]).await;
    assert_eq!(huge.status, 413);
    let forged = String::from_utf8_lossy(line).replace("LT-101", "LT-999");
    let answer = write("Token secret", format!("\n{forged}\n").into_bytes()).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.json()["error"],
        "line 2: the plan has no point `LT-999`"
    );
    room.stop().await;
}

#[tokio::test]
async fn it_listens_on_loopback_only_and_alone_in_its_folder() {
    let plan = Arc::new(site(NOBODY));
    let dir = tempfile::tempdir().expect("a folder");
    let listen = |listen: &str| davy_center::CenterConfig {
        plan: plan.clone(),
        data_dir: dir.path().to_path_buf(),
        listen: listen.parse().expect("an address"),
    };
    let open = davy_center::start(listen("0.0.0.0:0"))
        .await
        .err()
        .expect("refused");
    assert_eq!(
        open.to_string(),
        "the centre would listen on 0.0.0.0:0, which other machines can reach: until sign-in exists it listens on loopback only, set `listen = \"127.0.0.1:0\"`"
    );
    let room = center(&plan, dir.path()).await;
    let second = davy_center::start(listen("127.0.0.1:0"))
        .await
        .err()
        .expect("refused");
    assert!(
        second
            .to_string()
            .contains("in use by another davy process"),
        "{second}"
    );
    let taken = davy_center::start(listen(&room.local_addr().to_string())).await;
    let taken = taken.err().expect("refused").to_string();
    assert!(taken.contains("cannot listen on"), "{taken}");
    room.stop().await;
}
