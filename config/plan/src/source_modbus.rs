//! `[[modbus]]`: one link, several units behind it.

use std::sync::Arc;
use std::time::Duration;

use davy_points::{ByteOrder, ModbusTable, PointTable, SourceDef};

use crate::address;
use crate::duration::show;
use crate::faults::Faults;
use crate::ids::Ids;
use crate::site::{Clock, ModbusSource, PollPeriods, SiteSource, TimeRegister};
use crate::sources::{ORDERS, SourceEntry, SourceKind, clock, gateway, positive, unit_id_fault};
use crate::toml_section::Section;
use crate::toml_site::{SiteFile, checked};

pub(crate) const KEYS: &[&str] = &[
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

pub(crate) const POLL: &[&str] = &["fast", "normal", "slow"];
pub(crate) const TIME: &[&str] = &["unit_id", "table", "address", "order"];

pub(crate) fn read(
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
    let time = s.section(faults, "time", TIME);
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
    if let Some(p) = s.section(faults, "poll", POLL) {
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
