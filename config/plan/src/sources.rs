//! `sources.toml`: where values come from, and which gateway reads them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use davy_points::{ByteOrder, ModbusTable, PointTable, SourceDef, SourceIx, Span};

use crate::address;
use crate::duration::show;
use crate::faults::{Faults, did_you_mean};
use crate::ids::Ids;
use crate::secrets::{Secrets, variable};
use crate::site::{
    Clock, ModbusSource, MqttSource, Payload, PollPeriods, SiteSource, TimeRegister,
};
use crate::toml_section::{At, Section, parse};
use crate::toml_site::{SiteFile, checked};
use crate::topic;

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
    for s in root.sections(faults, "modbus", MODBUS_KEYS) {
        entries.extend(modbus(faults, &s, &mut ids, site, table));
    }
    for s in root.sections(faults, "mqtt", MQTT_KEYS) {
        entries.extend(mqtt(faults, &s, &mut ids, site, secrets, table));
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

const MODBUS_KEYS: &[&str] = &[
    "id",
    "gateway",
    "address",
    "timeout",
    "poll",
    "gap",
    "max_registers",
    "in_flight",
    "clock",
    "time",
];

fn modbus(
    faults: &mut Faults,
    s: &Section<'_>,
    ids: &mut Ids,
    site: &SiteFile,
    table: &mut PointTable,
) -> Option<SourceEntry> {
    let id: Option<Arc<str>> = ids.slug(faults, s, "a source").map(Into::into);
    let gateway = gateway(faults, s, site);
    let address = s
        .required_text(faults, "address", "tcp://10.0.3.11:502")
        .and_then(|t| checked(faults, s.file, &t, address::modbus));
    let timeout = positive(faults, s, "timeout", Duration::from_secs(1));
    let poll = poll_periods(faults, s);
    let number = |faults: &mut Faults, key: &str, range, default: u16| -> u16 {
        let n = s.integer(faults, key, range);
        n.and_then(|n| u16::try_from(n).ok()).unwrap_or(default)
    };
    let gap = number(faults, "gap", 0..=124, 8);
    let max_registers = number(faults, "max_registers", 1..=125, 125);
    let in_flight = number(faults, "in_flight", 1..=64, 1);
    let time = s.section(faults, "time", &["unit_id", "table", "address", "order"]);
    let has_time = time.is_some();
    let time = time.and_then(|t| time_register(faults, &t));
    let read = clock(faults, s);
    let clock = read.unwrap_or_default();
    match clock {
        // An unreadable word is one fault, not two.
        _ if read.is_none() && s.has("clock") => {}
        Clock::Recorded | Clock::Device if !has_time => {
            faults.error(
                "E117",
                s.file,
                s.place("clock"),
                "this clock needs the register that holds the time",
                "add `time = { unit_id = 1, table = \"holding\", address = 0, order = \"ABCD\" }`: \
                 UTC nanoseconds as i64",
            );
        }
        Clock::Arrival if has_time => {
            faults.error(
                "E117",
                s.file,
                s.place("time"),
                "`time` is given, but the samples are stamped with the gateway's clock",
                "add `clock = \"device\"` or `clock = \"recorded\"`, or remove `time`",
            );
        }
        _ => {}
    }
    let id = id?;
    // Points that name a source with faults must not be blamed as well.
    let ix = table.add_source(SourceDef {
        id: id.clone(),
        gateway: gateway.clone().unwrap_or_else(|| "".into()),
        recorded: clock == Clock::Recorded,
    });
    let source = gateway.zip(address).map(|(gateway, address)| {
        SiteSource::Modbus(ModbusSource {
            ix,
            id: id.clone(),
            gateway,
            address,
            timeout,
            poll,
            gap,
            max_registers,
            in_flight,
            clock,
            time,
        })
    });
    Some(SourceEntry {
        id,
        ix,
        kind: SourceKind::Modbus,
        span: s.span.clone(),
        source,
    })
}

fn poll_periods(faults: &mut Faults, s: &Section<'_>) -> PollPeriods {
    let mut periods = PollPeriods {
        fast: Duration::from_millis(250),
        normal: Duration::from_secs(1),
        slow: Duration::from_secs(5),
    };
    if let Some(p) = s.section(faults, "poll", &["fast", "normal", "slow"]) {
        let mut set = |key: &str, to: &mut Duration| {
            if let Some(d) = p.duration(faults, key) {
                *to = d.into_inner();
            }
        };
        set("fast", &mut periods.fast);
        set("normal", &mut periods.normal);
        set("slow", &mut periods.slow);
        let known = |a: Duration, b: Duration| a <= b || b.is_zero();
        if !known(periods.fast, periods.normal) || !known(periods.normal, periods.slow) {
            faults.error(
                "E116",
                s.file,
                s.place("poll"),
                format!(
                    "fast is {}, normal {}, slow {}",
                    show(periods.fast),
                    show(periods.normal),
                    show(periods.slow)
                ),
                "fast ≤ normal ≤ slow; what is not given is 250ms, 1s and 5s",
            );
        }
    }
    periods
}

fn time_register(faults: &mut Faults, s: &Section<'_>) -> Option<TimeRegister> {
    let tables = [
        ("holding", ModbusTable::Holding),
        ("input", ModbusTable::Input),
    ];
    for key in ["unit_id", "address"] {
        if !s.has(key) {
            s.missing(faults, key, "1");
        }
    }
    let unit = s.integer(faults, "unit_id", 0..=255);
    if let Some(why) = unit.and_then(unit_id_fault) {
        faults.error(
            "E116",
            s.file,
            s.place("unit_id"),
            why,
            "write the device's unit id (站号)",
        );
        return None;
    }
    let table = match s.has("table") {
        true => s.word(faults, "table", &tables),
        false => Some(ModbusTable::Holding),
    };
    let order = match s.has("order") {
        true => s.word(faults, "order", ORDERS),
        false => Some(ByteOrder::Abcd),
    };
    // The last of its four registers must exist.
    let address = s.integer(faults, "address", 0..=65_532);
    Some(TimeRegister {
        unit_id: u8::try_from(unit?).ok()?,
        table: table?,
        address: u16::try_from(address?).ok()?,
        order: order?,
    })
}

const MQTT_KEYS: &[&str] = &[
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

fn mqtt(
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
    for t in s.texts(faults, "topics") {
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
    let p = s.section(faults, "payload", &["kind", "value", "time"])?;
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

fn clock(faults: &mut Faults, s: &Section<'_>) -> Option<Clock> {
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

fn positive(faults: &mut Faults, s: &Section<'_>, key: &str, default: Duration) -> Duration {
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
fn gateway(faults: &mut Faults, s: &Section<'_>, site: &SiteFile) -> Option<Arc<str>> {
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
