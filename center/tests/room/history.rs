//! Samples in as line protocol, points and trends out.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::client::{Stream, get, send};
use crate::{center, site};

#[tokio::test(flavor = "multi_thread")]
async fn samples_are_durable_live_and_come_back_bit_for_bit() {
    let plan = Arc::new(site(9));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let mut stream = Stream::open(at, None).await;
    let body = "tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=0.1234567890123456,q=192i 1000\n\
         tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 q=24i 2000\n\
         tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=85.5,q=84i 3000\n\
         gas_toxic,site=s1,gateway=gw-02,hazard=AS,tag=GT/201 value=3i,q=192i 3000\n";
    let answer = send(
        at,
        "POST",
        "/api/v2/write?precision=ns",
        &[],
        body.as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 204);
    let rows = json!([
        [1000, 0.1234567890123456, 192],
        [2000, null, 24],
        [3000, 85.5, 84]
    ]);
    let history = get(at, "/api/v1/points/LT-101/history").await.json();
    assert_eq!(history["rows"], rows);
    assert_eq!(
        (&history["unit"], &history["complete"]),
        (&json!("%"), &json!(true))
    );
    let other = get(at, "/api/v1/points/GT%2F201/history?from=0&to=5000")
        .await
        .json();
    assert_eq!(other["rows"], json!([[3000, 3, 192]]));
    let samples = stream.until("samples", |e| e.name == "samples").await;
    let mut tags: Vec<&Json> = samples.data["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|r| &r[0])
        .collect();
    tags.sort_by_key(|t| t.as_str());
    assert_eq!(tags, [&json!("GT/201"), &json!("LT-101")]);
    room.stop().await;

    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let history = get(at, "/api/v1/points/LT-101/history").await.json();
    assert_eq!(history["rows"], rows, "a restart keeps everything");
    let points = get(at, "/api/v1/points").await.json();
    let lt = &points["points"][0];
    assert_eq!((&lt["tag"], &lt["value"]), (&json!("LT-101"), &json!(85.5)));
    assert_ne!(lt["quality"], 192, "nothing of before is good now");
    room.stop().await;
}

/// A gateway moves its cursor on a 204 and never sends the lines again.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_keep_them_takes_no_lines() {
    let plan = Arc::new(site(9));
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&plan, dir.path()).await;
    let at = room.local_addr();
    let body = "tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=7,q=192i 1000\n";
    let write = || {
        send(
            at,
            "POST",
            "/api/v2/write?precision=ns",
            &[],
            body.as_bytes(),
        )
    };
    // Someone else holds the database: no commit of ours can end.
    let other = rusqlite::Connection::open(dir.path().join("series.db")).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let answer = write().await;
    assert_eq!(answer.status, 503, "{}", answer.json());
    other.execute_batch("ROLLBACK").expect("released");
    assert_eq!(write().await.status, 204);
    let history = get(at, "/api/v1/points/LT-101/history").await.json();
    assert_eq!(history["rows"], json!([[1000, 7.0, 192]]));
    room.stop().await;
}
