//! `[[mqtt]]`: a broker with field devices.

use std::sync::Arc;
use std::time::Duration;

use davy_points::{PointTable, SourceDef};

use crate::address;
use crate::faults::{Faults, did_you_mean};
use crate::ids::Ids;
use crate::secrets::{Secrets, variable};
use crate::site::{Clock, MqttSource, Payload, SiteSource};
use crate::sources::{SourceEntry, SourceKind, clock, gateway, positive};
use crate::toml_section::{At, Section};
use crate::toml_site::{SiteFile, checked};
use crate::topic;

pub(crate) const KEYS: &[&str] = &[
    "id",
    "gateway",
    "address",
    "user",
    "password_file",
    "topics",
    "payload",
    "stale_after",
    "clock",
];

pub(crate) const PAYLOAD: &[&str] = &["kind", "value", "time"];

pub(crate) fn read(
    faults: &mut Faults,
    s: &Section<'_>,
    ids: &mut Ids,
    site: &SiteFile,
    secrets: &Secrets<'_>,
    table: &mut PointTable,
) -> Option<SourceEntry> {
    let id: Option<Arc<str>> = ids.slug(faults, s, "a source").map(Into::into);
    let gateway = gateway(faults, s, site);
    let address = s
        .required_text(faults, "address", "mqtt://10.0.3.20:1883")
        .and_then(|t| checked(faults, s.file, &t, address::mqtt));
    let user = s.text(faults, "user").map(At::into_inner);
    let password_file = s.text(faults, "password_file");
    let topics = topics(faults, s);
    let payload = payload(faults, s);
    let stale_after = positive(faults, s, "stale_after", Duration::from_secs(30));
    let timed = matches!(&payload, Some(Payload::Json { time: Some(_), .. }));
    // A payload that carries its time is stamped with it, unless the file says otherwise.
    let clock = match clock(faults, s) {
        Some(clock) => clock,
        None if timed => Clock::Device,
        None => Clock::Arrival,
    };
    if clock != Clock::Arrival && !timed && payload.is_some() {
        faults.error(
            "E117",
            s.file,
            s.place("clock"),
            "this clock needs the time in the payload",
            "name it: `payload = { kind = \"json\", value = \"value\", time = \"ts\" }`",
        );
    }
    let id = id?;
    let password = secrets.read(
        faults,
        s.file,
        password_file
            .as_ref()
            .map(|t| (t.get_ref().as_str(), t.span())),
        &variable("DAVY_SOURCE_", &id, "_PASSWORD"),
    );
    let nobody = address.as_ref().is_some_and(|a| a.user.is_none()) && user.is_none();
    if nobody && password.is_some() {
        faults.error(
            "E114",
            s.file,
            s.place("password_file"),
            "the password belongs to nobody: no user is named",
            "add `user = \"davy\"`",
        );
    }
    let ix = table.add_source(SourceDef {
        id: id.clone(),
        gateway: gateway.clone().unwrap_or_else(|| "".into()),
        recorded: clock == Clock::Recorded,
    });
    let source = gateway
        .zip(address)
        .zip(payload)
        .map(|((gateway, mut address), payload)| {
            address.user = user.or(address.user);
            address.password = password;
            SiteSource::Mqtt(MqttSource {
                ix,
                id: id.clone(),
                gateway,
                address,
                topics,
                payload,
                stale_after,
                clock,
            })
        });
    Some(SourceEntry {
        id,
        ix,
        kind: SourceKind::Mqtt,
        span: s.span.clone(),
        source,
    })
}

fn topics(faults: &mut Faults, s: &Section<'_>) -> Vec<String> {
    if !s.has("topics") {
        s.missing(faults, "topics", "[\"plant/#\"]");
    }
    let mut topics = Vec::new();
    let written = s.texts(faults, "topics");
    if s.is_empty_list("topics") {
        faults.error(
            "E119",
            s.file,
            s.place("topics"),
            "the source subscribes to no topic",
            "write at least one filter, for example `topics = [\"plant/#\"]`",
        );
    }
    for t in written {
        match topic::filter_fault(t.get_ref()) {
            None => topics.push(t.into_inner()),
            Some(why) => {
                faults.error(
                    "E119",
                    s.file,
                    t.span(),
                    format!("`{}` is not a topic filter: {why}", t.get_ref()),
                    "`+` stands for one whole level, `#` for all that follow and comes last",
                );
            }
        }
    }
    topics
}

fn payload(faults: &mut Faults, s: &Section<'_>) -> Option<Payload> {
    if !s.has("payload") {
        s.missing(
            faults,
            "payload",
            "{ kind = \"json\", value = \"value\", time = \"ts\" }",
        );
        return None;
    }
    let p = s.section(faults, "payload", PAYLOAD)?;
    let kind = p.required_text(faults, "kind", "json")?;
    let value = p.text(faults, "value");
    let time = p.text(faults, "time").map(At::into_inner);
    match kind.get_ref().as_str() {
        "json" => Some(Payload::Json {
            value: value.map_or_else(|| "value".to_owned(), At::into_inner),
            time,
        }),
        "number" => {
            for key in ["value", "time"] {
                if p.has(key) {
                    faults.error(
                        "E103",
                        p.file,
                        p.place(key),
                        format!("a payload that is one number has no `{key}`"),
                        format!("remove `{key}`, or write `kind = \"json\"`"),
                    );
                }
            }
            Some(Payload::Number)
        }
        "sparkplug" => {
            faults.error(
                "E113",
                p.file,
                kind.span(),
                "this version reads JSON and plain numbers, not Sparkplug B",
                "let the edge node publish JSON beside it, and write `kind = \"json\"`",
            );
            None
        }
        other => {
            faults.error(
                "E105",
                p.file,
                kind.span(),
                format!("`{other}` is not a kind of payload"),
                did_you_mean(other, &["json", "number", "sparkplug"]),
            );
            None
        }
    }
}
