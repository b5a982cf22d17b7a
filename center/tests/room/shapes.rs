//! The shapes of the API, so that no field is lost or changes its type unseen; and its own
//! description agrees with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_rules::alarm::schemas;
use serde_json::{Value as Json, json};

use crate::broker::Mosquitto;
use crate::client::{Stream, get, post, send};
use crate::gateway::Gateway;
use crate::{center, example, site};

/// Fields that are null at times: which time the test meets is chance.
const NULLABLE: [&str; 10] = [
    "since",
    "until",
    "worst_priority",
    "pending_command",
    "beat_age_ms",
    "tick_age_ms",
    "history_behind",
    "grade",
    "value",
    "why",
];

/// Types in place of values; of lists the first element.
fn shape(v: &Json) -> Json {
    match v {
        Json::Null => json!("null"),
        Json::Bool(_) => json!("bool"),
        Json::Number(_) => json!("number"),
        Json::String(_) => json!("string"),
        Json::Array(list) => json!(list.iter().take(1).map(shape).collect::<Vec<_>>()),
        Json::Object(map) => json!(
            map.iter()
                .map(|(k, v)| match NULLABLE.contains(&k.as_str()) {
                    true => (k, json!("nullable")),
                    false => (k, shape(v)),
                })
                .collect::<BTreeMap<_, _>>()
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_shape_and_its_description() {
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
    gateway.beat(1).await;
    let told = example::transition("gw-01", 1);
    let wire = gateway.seal(&told);
    gateway.publish("transition", wire).await;
    let line = b"tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=1,q=192i 5";
    assert_eq!(
        send(at, "POST", "/api/v2/write", &[], line).await.status,
        204
    );
    let mut events = BTreeMap::new();
    for name in ["transition", "samples", "beat", "gateway"] {
        let mut page = Stream::open(at, (name == "transition").then_some("0")).await;
        match name {
            "gateway" => gateway.online(&plan.rev).await,
            "samples" => {
                let later =
                    b"tank_level,site=s1,gateway=gw-01,hazard=TF,tag=LT-101 value=1,q=192i 6";
                let answer = send(at, "POST", "/api/v2/write", &[], later).await;
                assert_eq!(answer.status, 204);
            }
            _ => {}
        }
        let event = page
            .until(name, |e| {
                e.name == name
                    && (name != "transition" || e.data["owner"] == "gw-01")
                    && (name != "gateway" || e.data["id"] == "gw-01")
            })
            .await;
        if name == "beat" {
            assert!(event.data["gateways"].is_object());
        }
        events.insert(name, shape(&event.data));
    }
    let order = json!({"reason": "", "idempotency_key": "k", "actor": "a"});
    let path = format!("/api/v1/occurrences/{}/take", told.occurrence);
    let taken = post(at, &path, &order).await;
    let command = taken.json()["command_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let outcome = stream.until("the outcome", |e| e.name == "command").await;
    assert_eq!(outcome.data["why"], "unsupported");
    events.insert("command", shape(&outcome.data));

    let mut answers = BTreeMap::new();
    let description = get(at, "/api/v1/openapi.json").await.json();
    for path in description["paths"].as_object().expect("paths").keys() {
        if description["paths"][path].get("get").is_none()
            || ["/api/v1/stream", "/api/v1/openapi.json", "/metrics"].contains(&path.as_str())
            || path.starts_with("/api/v1/schemas")
        {
            continue;
        }
        let real = path
            .replace("{tag}", "LT-101")
            .replace("{name}", "tank-overfill")
            .replace("/commands/{id}", &format!("/commands/{command}"))
            .replace("{id}", &told.occurrence);
        let answer = get(at, &real).await;
        assert_eq!(answer.status, 200, "{real}");
        let json = answer.json();
        if let Some(name) = description["paths"][path]["get"]["responses"]["200"]["content"]
            ["application/json"]["schema"]["$ref"]
            .as_str()
        {
            required(&description, name, &json, path);
        }
        let of_first = match path.as_str() {
            // The centre's own alarms come and go; the gateway's is the first of its kind.
            "/api/v1/alarms" => {
                let mut json = json.clone();
                json["alarms"] = json!([json["alarms"]
                    .as_array()
                    .and_then(|l| l.iter().find(|a| a["owner"] == "gw-01"))]);
                json
            }
            "/api/v1/journal" => get(at, "/api/v1/journal?owner=gw-01").await.json(),
            _ => json,
        };
        answers.insert(path.clone(), shape(&of_first));
    }
    insta::assert_json_snapshot!("answers", answers);
    insta::assert_json_snapshot!("events", events);
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schemas_of_the_records_are_published() {
    let dir = tempfile::tempdir().expect("a folder");
    let room = center(&Arc::new(site(9)), dir.path()).await;
    let at = room.local_addr();
    let names = get(at, "/api/v1/schemas").await.json()["schemas"].clone();
    let expected: Vec<_> = schemas().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, json!(expected));
    for (name, schema) in schemas() {
        let answer = get(at, &format!("/api/v1/schemas/{name}.json")).await;
        assert_eq!((answer.status, answer.json()), (200, schema), "{name}");
    }
    let none = get(at, "/api/v1/schemas/nothing.json").await;
    assert_eq!(none.status, 404);
    assert!(none.json()["remedy"].is_string());
    room.stop().await;
}

/// Every field that the description requires is there.
fn required(description: &Json, name: &str, json: &Json, path: &str) {
    let schema = &description["components"]["schemas"][name.rsplit('/').next().expect("a name")];
    let parts = schema["allOf"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![schema.clone()]);
    for part in parts {
        if let Some(name) = part["$ref"].as_str() {
            required(description, name, json, path);
            continue;
        }
        for field in part["required"].as_array().into_iter().flatten() {
            let field = field.as_str().expect("a name");
            let Some(value) = json.get(field) else {
                panic!("{path}: `{field}` of {name} is missing");
            };
            let inner = &part["properties"][field]["items"]["$ref"];
            if let (Some(inner), Some(list)) = (inner.as_str(), value.as_array()) {
                for one in list {
                    required(description, inner, one, path);
                }
            }
        }
    }
}
