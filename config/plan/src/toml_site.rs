//! `site.toml`: the site, its hazard sources, areas, gateways, centre, sinks and storage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::address::{self, BadAddress};
use crate::faults::Faults;
use crate::ids::Ids;
use crate::secrets::{Secrets, variable};
use crate::site::{CenterPlan, GatewayPlan, HazardPlan, InfluxSink, MqttAddress};
use crate::toml_section::{At, Section, parse};

/// What `site.toml` says, as far as it could be read.
#[derive(Debug, Default)]
pub(crate) struct SiteFile {
    pub(crate) id: Option<Arc<str>>,
    pub(crate) name: String,
    pub(crate) zone: String,
    pub(crate) hazards: Vec<HazardPlan>,
    pub(crate) areas: Vec<(String, String)>,
    pub(crate) gateways: Vec<GatewayPlan>,
    pub(crate) center: Option<CenterPlan>,
    pub(crate) sinks: Vec<InfluxSink>,
    pub(crate) storage: PathBuf,
    pub(crate) approval_key: Option<Vec<u8>>,
    pub(crate) hazard_ids: Ids,
    pub(crate) area_ids: Ids,
    pub(crate) gateway_ids: Ids,
}

/// The keys of each table of the file.
pub(crate) const SITE: &[&str] = &["id", "name", "zone"];
pub(crate) const HAZARD: &[&str] = &["id", "name", "grade", "substance"];
pub(crate) const AREA: &[&str] = &["id", "name"];
pub(crate) const GATEWAY: &[&str] = &["id", "name"];
pub(crate) const CENTER: &[&str] = &[
    "listen",
    "url",
    "broker",
    "broker_password_file",
    "token_file",
    "command_key_file",
];
pub(crate) const SINK: &[&str] = &["id", "url", "org", "bucket", "token_file"];
pub(crate) const STORAGE: &[&str] = &["path"];
pub(crate) const APPROVAL: &[&str] = &["key_file"];

pub(crate) fn read(
    faults: &mut Faults,
    file: &Path,
    text: &str,
    secrets: &Secrets<'_>,
) -> SiteFile {
    let (document, torn) = parse(faults, file, text);
    let known = [
        "schema", "site", "hazard", "area", "gateway", "center", "sink", "storage", "approval",
    ];
    let Some(root) = Section::root(faults, file, &document, torn, &known) else {
        return SiteFile::default();
    };
    let mut site = SiteFile {
        storage: PathBuf::from("data"),
        ..SiteFile::default()
    };
    head(faults, &root, &mut site);

    let mut ids = Ids::new(torn);
    for s in root.sections(faults, "hazard", HAZARD) {
        hazard(faults, &s, &mut ids, &mut site);
    }
    site.hazard_ids = ids;
    let mut ids = Ids::new(torn);
    for s in root.sections(faults, "area", AREA) {
        if let Some(id) = ids.word(faults, &s, "an area") {
            let name = name_or(faults, &s, &id);
            site.areas.push((id, name));
        }
    }
    site.area_ids = ids;
    let mut ids = Ids::new(torn);
    for s in root.sections(faults, "gateway", GATEWAY) {
        if let Some(id) = ids.slug(faults, &s, "a gateway") {
            let name = name_or(faults, &s, &id);
            site.gateways.push(GatewayPlan {
                id: id.into(),
                name,
            });
        }
    }
    site.gateway_ids = ids;
    if site.gateways.is_empty() && !root.has("gateway") && !torn {
        faults.error(
            "E104",
            file,
            0..0,
            "the site has no gateway",
            "add `[[gateway]]` with `id = \"gw-1\"` and a `name`",
        );
    }
    site.center = center(faults, &root, secrets);
    let mut ids = Ids::new(torn);
    for s in root.sections(faults, "sink", SINK) {
        site.sinks.extend(sink(faults, &s, &mut ids, secrets));
    }
    if let Some(s) = root.section(faults, "storage", STORAGE)
        && let Some(path) = s.required_text(faults, "path", "data")
    {
        site.storage = PathBuf::from(path.into_inner());
    }
    site.approval_key = approval(faults, &root, secrets);
    site
}

fn head(faults: &mut Faults, root: &Section<'_>, site: &mut SiteFile) {
    let Some(s) = root.section(faults, "site", SITE) else {
        if !root.has("site") {
            root.missing(
                faults,
                "site",
                "{ id = \"…\", name = \"…\", zone = \"Asia/Shanghai\" }",
            );
        }
        return;
    };
    site.id = Ids::new(false).slug(faults, &s, "a site").map(Into::into);
    if let Some(id) = &site.id {
        site.name = name_or(faults, &s, id);
    }
    if let Some(zone) = s.required_text(faults, "zone", "Asia/Shanghai") {
        // The bundled database answers where the machine has none.
        match jiff::tz::TimeZone::get(zone.get_ref()) {
            Ok(_) => site.zone = zone.into_inner(),
            Err(_) => {
                faults.error(
                    "E118",
                    s.file,
                    zone.span(),
                    format!("`{}` is not a time zone", zone.get_ref()),
                    "write an IANA name, for example `Asia/Shanghai`",
                );
            }
        }
    }
}

fn hazard(faults: &mut Faults, s: &Section<'_>, ids: &mut Ids, site: &mut SiteFile) {
    let id = ids.word(faults, s, "a hazard source");
    let grade = s.integer(faults, "grade", 1..=4);
    let substance = s.text(faults, "substance");
    let Some(id) = id else {
        return;
    };
    let name = name_or(faults, s, &id);
    site.hazards.push(HazardPlan {
        id,
        name,
        grade: grade.and_then(|g| u8::try_from(g).ok()),
        substance: substance.map(At::into_inner).unwrap_or_default(),
    });
}

fn center(faults: &mut Faults, root: &Section<'_>, secrets: &Secrets<'_>) -> Option<CenterPlan> {
    let s = root.section(faults, "center", CENTER);
    let mut read = |key: &str| s.as_ref().and_then(|s| s.text(faults, key));
    let listen = read("listen");
    let url = read("url");
    let broker = read("broker");
    let file_of = |faults: &mut Faults, key: &str| s.as_ref().and_then(|s| s.text(faults, key));

    let listen = match &listen {
        Some(t) => checked(faults, root.file, t, address::listen),
        None => Some("127.0.0.1:8080".to_owned()),
    };
    let url = match (&url, &listen) {
        (Some(t), _) => checked(faults, root.file, t, address::http),
        (None, Some(listen)) => Some(format!("http://{listen}")),
        (None, None) => None,
    };
    let broker = match &broker {
        Some(t) => checked(faults, root.file, t, address::mqtt),
        None => Some(MqttAddress {
            host: "127.0.0.1".to_owned(),
            port: 1883,
            user: None,
            password: None,
        }),
    };
    let secret = |faults: &mut Faults, key: &str, variable: &str| {
        let named = file_of(faults, key);
        let named = named.as_ref().map(|t| (t.get_ref().as_str(), t.span()));
        secrets.read(faults, root.file, named, variable)
    };
    let password = secret(faults, "broker_password_file", "DAVY_BROKER_PASSWORD");
    let token = secret(faults, "token_file", "DAVY_CENTER_TOKEN");
    let command_key = secret(faults, "command_key_file", "DAVY_COMMAND_KEY");
    if let Some(key) = &command_key
        && key.len() < 16
    {
        faults.error(
            "E114",
            root.file,
            s.as_ref().map_or(0..0, |s| s.place("command_key_file")),
            "the key that signs commands is shorter than 16 characters",
            "make one with `openssl rand -hex 32`",
        );
    }
    // Every process reads the same directory, and a broker lets each gateway write its own topics
    // alone: so each process may be somebody else.
    let user = secrets.read(faults, root.file, None, "DAVY_BROKER_USER");
    let mut broker = broker?;
    broker.user = user.or(broker.user);
    broker.password = password;
    if broker.user.is_none() && broker.password.is_some() {
        faults.error(
            "E114",
            root.file,
            s.as_ref().map_or(0..0, |s| s.place("broker_password_file")),
            "the broker's password belongs to nobody: no user is named",
            "write `broker = \"mqtt://USER@HOST:PORT\"`, or set `DAVY_BROKER_USER`",
        );
    }
    Some(CenterPlan {
        listen: listen?,
        url: url?,
        broker,
        token,
        command_key: command_key.map(String::into_bytes),
    })
}

/// The key that signs limits beyond a standard's cap.
fn approval(faults: &mut Faults, root: &Section<'_>, secrets: &Secrets<'_>) -> Option<Vec<u8>> {
    let s = root.section(faults, "approval", APPROVAL);
    let named = s.as_ref().and_then(|s| s.text(faults, "key_file"));
    let named = named.as_ref().map(|t| (t.get_ref().as_str(), t.span()));
    let key = secrets.read(faults, root.file, named, "DAVY_APPROVAL_KEY")?;
    if key.len() < 16 {
        faults.error(
            "E114",
            root.file,
            s.as_ref().map_or(0..0, |s| s.place("key_file")),
            "the approval key is shorter than 16 characters",
            "make one with `openssl rand -hex 32`",
        );
        return None;
    }
    Some(key.into_bytes())
}

fn sink(
    faults: &mut Faults,
    s: &Section<'_>,
    ids: &mut Ids,
    secrets: &Secrets<'_>,
) -> Option<InfluxSink> {
    let id = ids.slug(faults, s, "a sink");
    let url = s
        .required_text(faults, "url", "http://127.0.0.1:8428")
        .and_then(|t| checked(faults, s.file, &t, address::http));
    let org = s.text(faults, "org").map(At::into_inner);
    let bucket = s.required_text(faults, "bucket", "davy");
    let named = s.text(faults, "token_file");
    let id = id?;
    let token = secrets.read(
        faults,
        s.file,
        named.as_ref().map(|t| (t.get_ref().as_str(), t.span())),
        &variable("DAVY_SINK_", &id, "_TOKEN"),
    );
    Some(InfluxSink {
        id,
        url: url?,
        org: org.unwrap_or_default(),
        bucket: bucket?.into_inner(),
        token,
    })
}

/// An address, or the fault that says why it is none.
pub(crate) fn checked<T>(
    faults: &mut Faults,
    file: &Path,
    text: &At<String>,
    parse: fn(&str) -> Result<T, BadAddress>,
) -> Option<T> {
    match parse(text.get_ref().trim()) {
        Ok(t) => Some(t),
        Err(e) => {
            faults.error(e.code, file, text.span(), e.message, e.hint);
            None
        }
    }
}

fn name_or(faults: &mut Faults, s: &Section<'_>, id: &str) -> String {
    match s.text(faults, "name") {
        Some(name) if !name.get_ref().trim().is_empty() => name.into_inner(),
        _ => id.to_owned(),
    }
}
