//! `sources.toml`: where values come from, and which gateway reads them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use davy_points::{ByteOrder, PointTable, SourceIx, Span};

use crate::duration::show;
use crate::faults::{Faults, did_you_mean};
use crate::ids::Ids;
use crate::secrets::Secrets;
use crate::site::{Clock, SiteSource};
use crate::toml_section::{Section, parse};
use crate::toml_site::SiteFile;
use crate::{source_modbus, source_mqtt};

/// A source as far as it could be read, so that points that name it are not blamed for it.
#[derive(Debug)]
pub(crate) struct SourceEntry {
    pub(crate) id: Arc<str>,
    pub(crate) ix: SourceIx,
    pub(crate) kind: SourceKind,
    /// Where its section begins.
    pub(crate) span: Span,
    /// None: it has faults.
    pub(crate) source: Option<SiteSource>,
}

/// What the points of a source must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceKind {
    Modbus,
    Mqtt,
}

/// What `sources.toml` says, as far as it could be read.
#[derive(Debug, Default)]
pub(crate) struct SourcesFile {
    pub(crate) entries: Vec<SourceEntry>,
    by_id: HashMap<Arc<str>, usize>,
    pub(crate) ids: Ids,
}

impl SourcesFile {
    pub(crate) fn find(&self, id: &str) -> Option<&SourceEntry> {
        self.entries.get(*self.by_id.get(id)?)
    }
}

/// Order in which bytes come, as `order` names it.
pub(crate) const ORDERS: &[(&str, ByteOrder)] = &[
    ("ABCD", ByteOrder::Abcd),
    ("CDAB", ByteOrder::Cdab),
    ("BADC", ByteOrder::Badc),
    ("DCBA", ByteOrder::Dcba),
];

/// Unit ids that may be asked. 0 is broadcast and never answers; 248 to 254 are reserved; 255 is
/// what "MODBUS Messaging on TCP/IP" 4.4.2.1 recommends for a device without a bus behind it.
pub(crate) const fn unit_id_fault(n: i64) -> Option<&'static str> {
    match n {
        1..=247 | 255 => None,
        0 => Some("unit id 0 is broadcast: no device answers it"),
        248..=254 => Some("unit ids 248 to 254 are reserved"),
        _ => Some("a unit id lies between 1 and 247 (255: the Modbus TCP device itself)"),
    }
}

pub(crate) fn read(
    faults: &mut Faults,
    file: &Path,
    text: &str,
    secrets: &Secrets<'_>,
    site: &SiteFile,
    table: &mut PointTable,
) -> SourcesFile {
    let (document, torn) = parse(faults, file, text);
    let Some(root) = Section::root(faults, file, &document, torn, &["schema", "modbus", "mqtt"])
    else {
        return SourcesFile::default();
    };
    let mut ids = Ids::new(torn);
    let mut entries = Vec::new();
    for s in root.sections(faults, "modbus", source_modbus::KEYS) {
        entries.extend(source_modbus::read(faults, &s, &mut ids, site, table));
    }
    for s in root.sections(faults, "mqtt", source_mqtt::KEYS) {
        entries.extend(source_mqtt::read(
            faults, &s, &mut ids, site, secrets, table,
        ));
    }
    if entries.is_empty() && !torn && !root.has("modbus") && !root.has("mqtt") {
        faults.error(
            "E104",
            file,
            0..0,
            "the site has no source",
            "add `[[modbus]]` or `[[mqtt]]` with an `id`, a `gateway` and an `address`",
        );
    }
    recorded_gateways(faults, file, &entries);
    SourcesFile {
        by_id: entries
            .iter()
            .enumerate()
            .map(|(i, e)| (e.id.clone(), i))
            .collect(),
        entries,
        ids,
    }
}

pub(crate) fn clock(faults: &mut Faults, s: &Section<'_>) -> Option<Clock> {
    s.word(
        faults,
        "clock",
        &[
            ("device", Clock::Device),
            ("arrival", Clock::Arrival),
            ("recorded", Clock::Recorded),
        ],
    )
}

pub(crate) fn positive(
    faults: &mut Faults,
    s: &Section<'_>,
    key: &str,
    default: Duration,
) -> Duration {
    match s.duration(faults, key) {
        None => default,
        Some(d) if d.get_ref().is_zero() => {
            faults.error(
                "E106",
                s.file,
                d.span(),
                format!("`{key}` is zero"),
                format!("write for example `{key} = \"{}\"`", show(default)),
            );
            default
        }
        Some(d) => d.into_inner(),
    }
}

/// The gateway, where the site has it.
pub(crate) fn gateway(faults: &mut Faults, s: &Section<'_>, site: &SiteFile) -> Option<Arc<str>> {
    let name = s.required_text(faults, "gateway", "gw-1")?;
    if let Some(g) = site.gateways.iter().find(|g| &*g.id == name.get_ref()) {
        return Some(g.id.clone());
    }
    if !site.gateway_ids.may_be(name.get_ref()) {
        let known: Vec<&str> = site.gateways.iter().map(|g| &*g.id).collect();
        faults.error(
            "E109",
            s.file,
            name.span(),
            format!("`{}` is not a gateway of this site", name.get_ref()),
            format!(
                "{}; gateways stand in site.toml",
                did_you_mean(name.get_ref(), &known)
            ),
        );
    }
    None
}

/// A recording drives its gateway's clock: beside it no live source could be judged.
fn recorded_gateways(faults: &mut Faults, file: &Path, entries: &[SourceEntry]) {
    let parts = |e: &SourceEntry| match &e.source {
        Some(SiteSource::Modbus(m)) => Some((m.gateway.clone(), m.clock == Clock::Recorded)),
        Some(SiteSource::Mqtt(m)) => Some((m.gateway.clone(), m.clock == Clock::Recorded)),
        None => None,
    };
    for live in entries {
        let Some((gateway, false)) = parts(live) else {
            continue;
        };
        let recorded = entries
            .iter()
            .find(|e| parts(e) == Some((gateway.clone(), true)));
        if let Some(recorded) = recorded {
            let d = faults.error(
                "E117",
                file,
                live.span.clone(),
                format!(
                    "`{}` is live, but its gateway `{gateway}` replays the recording `{}`",
                    live.id, recorded.id
                ),
                "give the recording a gateway of its own: its clock is that gateway's clock",
            );
            d.label = "live".to_owned();
            d.related.push((
                file.to_owned(),
                recorded.span.clone(),
                "recorded".to_owned(),
            ));
        }
    }
}
