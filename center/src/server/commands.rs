//! Commands of people: acknowledged here with 202, decided by the engine that owns the alarm.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use davy_plan::Plan;
use davy_points::{PointDef, Timestamp};
use davy_rules::alarm::{Command, Role, VERSION, Verb};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::alarms::unknown_occurrence;
use super::error::ApiError;
use super::{App, COMMAND_BODY, json};
use crate::state::commands::{CommandRecord, Progress, expires_at};
use crate::store::transition;

/// Longest reason and name that a record takes.
const TEXT_LIMIT: usize = 1_000;

/// The body of a command.
#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    reason: String,
    idempotency_key: String,
    actor: String,
    /// In which role; there is no sign-in yet, and the centre listens on loopback only.
    #[serde(default)]
    role: Option<String>,
    /// Deadline of a shelf, of out of service, of a suppression, of a bypass, UTC ns.
    #[serde(default)]
    until: Option<Timestamp>,
    /// The same, from now.
    #[serde(default)]
    minutes: Option<u32>,
    /// Shelve one occurrence alone.
    #[serde(default)]
    one_shot: bool,
    #[serde(default)]
    permit: Option<String>,
    /// Second person.
    #[serde(default)]
    second: Option<String>,
    /// Of a confirmation: `true` or `false`.
    #[serde(default)]
    verdict: Option<String>,
    /// Of a suppression.
    #[serde(default)]
    cause: Option<String>,
    /// Where an alarm of this name exists at several owners.
    #[serde(default)]
    owner: Option<String>,
}

#[derive(Serialize)]
struct Accepted<'a> {
    v: u32,
    command_id: &'a str,
}

/// What a command is about.
enum Target {
    Occurrence(String),
    Alarm(String),
    /// A tag, or a name of several.
    Points(String),
}

pub(super) async fn on_occurrence(
    State(app): State<Arc<App>>,
    Path((id, verb)): Path<(String, String)>,
    body: Body,
) -> Result<Response, ApiError> {
    let asked = read(body).await?;
    let verb = match verb.as_str() {
        "ack" => Some(Verb::Ack),
        "unack" => Some(Verb::UnAck),
        "confirm" => Some(Verb::Confirm),
        "reset" => Some(Verb::Reset),
        "silence" => Some(Verb::Silence),
        "take" => None,
        other => return Err(unknown_verb(other)),
    };
    let live = app
        .room
        .read()
        .alarms
        .of_occurrence(&id)
        .map(|(owner, _)| owner.clone());
    let owner = match live {
        Some(owner) => owner,
        None => app
            .store
            .records_of(&id)
            .await
            .map_err(|e| ApiError::unavailable(e.to_string()))?
            .iter()
            .find_map(transition)
            .map(|t| t.owner.clone())
            .ok_or_else(|| unknown_occurrence(&id))?,
    };
    give(&app, owner, Target::Occurrence(id), verb, asked).await
}

/// `alarms/RULE/TAG/LEVEL/VERB`: a tag may hold a slash, so the verb is what stands last.
pub(super) async fn on_alarm(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    body: Body,
) -> Result<Response, ApiError> {
    let (alarm, verb) = path.rsplit_once('/').unwrap_or((&path, ""));
    let asked = read(body).await?;
    let verb = match verb {
        "shelve" => Verb::Shelve,
        "unshelve" => Verb::Unshelve,
        "out-of-service" => Verb::OutOfService,
        "in-service" => Verb::InService,
        "suppress" => Verb::Suppress,
        "unsuppress" => Verb::Unsuppress,
        other => return Err(unknown_verb(other)),
    };
    let owners: Vec<Arc<str>> = app
        .room
        .read()
        .alarms
        .owners_of(alarm)
        .filter(|o| asked.owner.as_deref().is_none_or(|asked| asked == &***o))
        .cloned()
        .collect();
    match &owners[..] {
        [owner] => {
            let target = Target::Alarm(alarm.to_owned());
            give(&app, owner.clone(), target, Some(verb), asked).await
        }
        [] => Err(ApiError::not_found(
            format!("there is no alarm `{alarm}` that has a record"),
            "fetch /api/v1/alarms?all=1 for the names of alarms",
        )),
        _ => Err(ApiError::bad_request(
            format!("the alarm `{alarm}` exists at several owners"),
            "name one of them as `owner` in the body",
        )),
    }
}

/// `points/TAG/VERB`; in the place of the tag also `area:ID`, `device:SOURCE/UNIT`.
pub(super) async fn on_points(
    State(app): State<Arc<App>>,
    Path((name, verb)): Path<(String, String)>,
    body: Body,
) -> Result<Response, ApiError> {
    let asked = read(body).await?;
    let verb = match verb.as_str() {
        "bypass" => Verb::Bypass,
        "restore" => Verb::Restore,
        other => return Err(unknown_verb(other)),
    };
    let mut owners = owners_of_points(&app.room.plan, &name);
    if let Some(owner) = &asked.owner {
        owners.retain(|o| **o == **owner);
    }
    let mut owners = owners.into_iter();
    match (owners.next(), owners.next()) {
        (Some(owner), None) => {
            let target = Target::Points(name);
            give(&app, owner, target, Some(verb), asked).await
        }
        (None, _) => Err(ApiError::not_found(
            format!("there is no point, area or device `{name}`"),
            "a tag of /api/v1/points, `area:ID` or `device:SOURCE/UNIT`, percent-encoded",
        )),
        _ => Err(ApiError::bad_request(
            format!("`{name}` lies at several gateways"),
            "name one of them as `owner` in the body",
        )),
    }
}

/// The gateways whose engines hold the alarms of these points; which of them there are, and whether
/// they may be bypassed, is theirs to say.
fn owners_of_points(plan: &Plan, name: &str) -> BTreeSet<Arc<str>> {
    let meant = |p: &PointDef| {
        let source = &*plan.points.source(p.source).id;
        *p.tag == *name
            || name
                .strip_prefix("area:")
                .is_some_and(|area| !area.is_empty() && *p.area == *area)
            || name
                .strip_prefix("device:")
                .and_then(|device| device.strip_prefix(source))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let points = plan.points.iter().filter(|(_, p)| meant(p));
    points
        .map(|(_, p)| plan.points.source(p.source).gateway.clone())
        .collect()
}

#[derive(Serialize)]
struct Answer<'a> {
    v: u32,
    id: &'a str,
    state: Progress,
    why: Option<&'a str>,
    seq: Option<u64>,
}

pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let live = app.room.read();
    let Some(c) = live.commands.get(&id) else {
        return Err(ApiError::not_found(
            format!("there is no command `{id}`"),
            "use the `command_id` that the POST answered",
        ));
    };
    Ok(json(&Answer {
        v: 1,
        id: &c.command.id,
        state: c.state,
        why: c.why.as_deref(),
        seq: c.seq,
    }))
}

/// Makes the command durable, then lets the uplink send it; the same key gives the same command.
async fn give(
    app: &App,
    owner: Arc<str>,
    target: Target,
    verb: Option<Verb>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let now = app.room.clock.wall();
    let (occurrence, alarm, points) = match target {
        Target::Occurrence(id) => (Some(id), None, Vec::new()),
        Target::Alarm(name) => (None, Some(name), Vec::new()),
        Target::Points(name) => (None, None, vec![name]),
    };
    let named = occurrence.as_deref().or(alarm.as_deref());
    let about = named.unwrap_or_else(|| points.first().map_or("", String::as_str));
    let id = command_id(&app.room.plan.site, &owner, about, verb, &asked);
    if app.room.read().commands.get(&id).is_some() {
        return Ok(accepted(&id));
    }
    let from_now = |m: u32| now + Duration::from_secs(u64::from(m) * 60);
    let until = asked.until.or_else(|| asked.minutes.map(from_now));
    let record = CommandRecord {
        v: VERSION,
        owner,
        command: Command {
            v: VERSION,
            id: id.clone(),
            alarm,
            occurrence,
            verb: verb.unwrap_or(Verb::Confirm),
            actor: asked.actor,
            role: asked.role.unwrap_or_else(|| "operator".to_owned()),
            reason: asked.reason,
            until,
            one_shot: asked.one_shot,
            permit: asked.permit,
            second: asked.second,
            verdict: asked.verdict,
            cause: asked.cause,
            points,
            issued_at: now,
            expires_at: verb.and_then(|v| expires_at(v, now)),
        },
        // `take` belongs to escalation, which this version does not have.
        state: match verb {
            Some(_) => Progress::Pending,
            None => Progress::Rejected,
        },
        why: verb.is_none().then(|| "unsupported".to_owned()),
        seq: None,
    };
    app.recorder
        .command(record)
        .await
        .map_err(ApiError::unavailable)?;
    Ok(accepted(&id))
}

fn accepted(id: &str) -> Response {
    (
        StatusCode::ACCEPTED,
        json(&Accepted {
            v: 1,
            command_id: id,
        }),
    )
        .into_response()
}

/// The same request by the same person under the same key is the same command, also after a
/// restart.
fn command_id(site: &str, owner: &str, about: &str, verb: Option<Verb>, asked: &Asked) -> String {
    let mut hash = Sha256::new();
    let verb = verb.map_or_else(|| "take".to_owned(), crate::room::snake);
    for part in [
        site,
        owner,
        about,
        &verb,
        &asked.actor,
        &asked.idempotency_key,
    ] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    super::hex(&digest[..16])
}

async fn read(body: Body) -> Result<Asked, ApiError> {
    let bytes = to_bytes(body, COMMAND_BODY).await.map_err(|_| {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than {COMMAND_BODY} bytes"),
            "shorten the reason",
        )
    })?;
    let asked: Asked = serde_json::from_slice(&bytes).map_err(|e| {
        ApiError::bad_request(
            format!("the body is not a command: {e}"),
            r#"send {"reason":"…","idempotency_key":"…","actor":"…"}"#,
        )
    })?;
    let none = String::new();
    for (name, text, limit) in [
        ("idempotency_key", &asked.idempotency_key, 200),
        ("actor", &asked.actor, 200),
        ("reason", &asked.reason, TEXT_LIMIT),
        ("role", asked.role.as_ref().unwrap_or(&none), 200),
        ("permit", asked.permit.as_ref().unwrap_or(&none), 200),
        ("second", asked.second.as_ref().unwrap_or(&none), 200),
        ("verdict", asked.verdict.as_ref().unwrap_or(&none), 200),
        ("cause", asked.cause.as_ref().unwrap_or(&none), 200),
    ] {
        if text.chars().count() > limit || text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(ApiError::bad_request(
                format!("`{name}` is longer than {limit} characters or holds control characters"),
                "shorten it",
            ));
        }
    }
    if let Some(role) = &asked.role
        && Role::named(role).is_none()
    {
        return Err(ApiError::bad_request(
            format!("there is no role `{role}`"),
            "viewer, operator, engineer, supervisor or administrator",
        ));
    }
    if asked.until.is_some() && asked.minutes.is_some() {
        return Err(ApiError::bad_request(
            "both `until` and `minutes` are given",
            "give one of them: a time in UTC ns, or minutes from now",
        ));
    }
    if asked.actor.trim().is_empty() || asked.idempotency_key.is_empty() {
        return Err(ApiError::bad_request(
            "`actor` or `idempotency_key` is empty",
            "say who gives the command, and give each press of the button its own key",
        ));
    }
    Ok(asked)
}

fn unknown_verb(verb: &str) -> ApiError {
    ApiError::not_found(
        format!("there is no command `{verb}`"),
        "see /api/v1/openapi.json for the commands",
    )
}
