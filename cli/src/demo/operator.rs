//! The simulated operator of `davy demo --json`: acknowledges through the HTTP API as a person's
//! page would, a few seconds after an alarm appears. It has no other way in.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::Instant;

/// The name that its acknowledgements carry.
pub(super) const NAME: &str = "simulated-operator";

/// How long an alarm stands before it is acknowledged: a person reads first.
const READING: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(500);
const ANSWER: Duration = Duration::from_secs(5);

type Http = Client<HttpConnector, Full<Bytes>>;

/// Looks at the alarm list and acknowledges, until it is dropped.
pub(super) async fn work(center: SocketAddr) {
    let http: Http = Client::builder(TokioExecutor::new()).build_http();
    let mut seen: HashMap<String, Instant> = HashMap::new();
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let Some(list) = get(&http, &format!("http://{center}/api/v1/alarms")).await else {
            continue;
        };
        let waiting: Vec<String> = list["alarms"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|a| {
                a["needs_ack"] == true && a["masked"] != true && a["pending_command"].is_null()
            })
            .filter_map(|a| a["occurrence"].as_str().map(str::to_owned))
            .collect();
        seen.retain(|occurrence, _| waiting.contains(occurrence));
        for occurrence in waiting {
            let since = *seen.entry(occurrence.clone()).or_insert_with(Instant::now);
            if since.elapsed() >= READING {
                acknowledge(&http, center, &occurrence).await;
            }
        }
    }
}

async fn acknowledge(http: &Http, center: SocketAddr, occurrence: &str) {
    let body = json!({
        "actor": NAME,
        "reason": "seen",
        "idempotency_key": format!("{NAME}-{occurrence}"),
    });
    let request = post(center, occurrence, &body);
    let Some(request) = request else { return };
    // The outcome comes on the alarm list; a lost answer is asked again with the same key.
    let _ = tokio::time::timeout(ANSWER, http.request(request)).await;
}

fn post(center: SocketAddr, occurrence: &str, body: &Value) -> Option<http::Request<Full<Bytes>>> {
    http::Request::post(format!(
        "http://{center}/api/v1/occurrences/{occurrence}/ack"
    ))
    .header("content-type", "application/json")
    .body(Full::new(Bytes::from(body.to_string())))
    .ok()
}

async fn get(http: &Http, url: &str) -> Option<Value> {
    let answer = tokio::time::timeout(ANSWER, http.get(url.parse().ok()?))
        .await
        .ok()?
        .ok()?;
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}
