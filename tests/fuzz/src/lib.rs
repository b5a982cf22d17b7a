//! What stands at each border, as one function per untrusted input: any bytes in; a panic is a
//! defect, and so is a value that the border should not have let through.
//!
//! The real fuzzer calls these from `fuzz_targets/`; `tests/e2e/fuzz_corpus.rs` calls them on
//! stable with the seeds of `corpus/`. Only the public faces of the crates are used.

#![allow(clippy::expect_used, clippy::panic)] // a panic is how a target says what it found

mod book;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use davy_gateway::modbus::Words;
use davy_gateway::modbus::decode::{Raw, decode, time};
use davy_gateway::modbus::mbap::Guard;
use davy_gateway::mqtt::{Intake, Message};
use davy_plan::{Clock, Plan, SiteSource};
use davy_points::{ByteOrder, Diagnostic, ModbusType, Mono, Severity, Timestamp};
use davy_rules::language::compile;
use davy_simulator::field::pcap::{Recording, Replay};

/// A target: its name is its folder below `corpus/`.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 9] = [
    ("modbus", modbus),
    ("mqtt", mqtt),
    ("write", write),
    ("link", link),
    ("record", record),
    ("plan", plan),
    ("workbook", workbook),
    ("rules", rules),
    ("pcap", pcap),
];

const SITE: [(&str, &str); 3] = [
    ("site.toml", include_str!("../site/site.toml")),
    ("sources.toml", include_str!("../site/sources.toml")),
    ("points.csv", include_str!("../site/points.csv")),
];

/// The site that the other targets belong to.
fn site() -> &'static Plan {
    static SITE_READ: OnceLock<Plan> = OnceLock::new();
    SITE_READ.get_or_init(|| {
        let loaded = load(&SITE.map(|(name, text)| (name, text.as_bytes())));
        loaded.plan.unwrap_or_else(|| panic!("{:?}", loaded.faults))
    })
}

fn load(files: &[(&str, &[u8])]) -> davy_plan::Loaded {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).expect("written");
    }
    davy_plan::load_with_environment(dir.path(), jiff::civil::date(2026, 11, 24), &|_| None)
}

/// A device's bytes through the guard, and what it lets through into every type.
///
/// Input: unit, function, count; then pieces of what the device sends: a length, as many bytes.
/// A length of 0 sends the next request.
pub fn modbus(data: &[u8]) {
    let [unit_id, function, count, rest @ ..] = data else {
        return;
    };
    let at = Mono(0);
    let mut guard = Guard::new();
    let mut transaction = 0_u16;
    let mut in_flight = false;
    let mut rest = rest;
    while let [length, more @ ..] = rest {
        if *length == 0 {
            transaction = transaction.wrapping_add(1);
            let [t0, t1] = transaction.to_be_bytes();
            let request = [t0, t1, 0, 0, 0, 6, *unit_id, *function, 0, 0, 0, *count];
            let sent = guard.sending(&request, at).is_ok();
            assert!(
                !sent || matches!(function, 1..=4),
                "function {function} is no read"
            );
            in_flight |= sent;
            rest = more;
            continue;
        }
        let (piece, more) = more.split_at(more.len().min(usize::from(*length)));
        rest = more;
        let mut accepted = Vec::new();
        let fault = guard.received(piece, at, |frame| accepted.push(frame.to_vec()));
        assert!(accepted.len() <= usize::from(in_flight), "an answer twice");
        for frame in accepted {
            in_flight = false;
            assert_eq!(frame[..2], transaction.to_be_bytes(), "a foreign answer");
            assert_eq!(frame[6], *unit_id, "another unit's answer");
            assert_eq!(frame[7] & 0x7F, *function, "another function's answer");
            if frame[7] < 0x80 {
                let expected = match function {
                    1 | 2 => usize::from(count.div_ceil(8)),
                    _ => usize::from(*count) * 2,
                };
                assert_eq!(frame.len(), 9 + expected, "an answer of another length");
                read_all(&frame[9..], *function);
            }
        }
        if fault.is_err() {
            return; // the connection is dropped
        }
    }
    assert!(guard.left_over() <= 260, "a stream that is kept for ever");
}

fn read_all(bytes: &[u8], function: u8) {
    let words = if function <= 2 {
        let bits = bytes
            .iter()
            .flat_map(|b| (0..8).map(move |n| b >> n & 1 == 1));
        Words::Bits(bits.collect())
    } else {
        let registers = bytes
            .chunks_exact(2)
            .map(|b| u16::from_be_bytes([b[0], b[1]]));
        Words::Registers(registers.collect())
    };
    let kinds = [
        ModbusType::Bool,
        ModbusType::U16,
        ModbusType::I16,
        ModbusType::U32,
        ModbusType::I32,
        ModbusType::U64,
        ModbusType::I64,
        ModbusType::F32,
        ModbusType::F64,
        ModbusType::Bcd16,
        ModbusType::Bcd32,
        ModbusType::Bit(15),
        ModbusType::Bit(16),
        ModbusType::Text(3),
        ModbusType::Text(255),
    ];
    for order in [
        ByteOrder::Abcd,
        ByteOrder::Cdab,
        ByteOrder::Badc,
        ByteOrder::Dcba,
    ] {
        if let Words::Registers(registers) = &words {
            let _ = time(order, registers);
        }
        for kind in kinds {
            for at in 0..=words.len() {
                let fits = at + usize::from(kind.width()) <= words.len();
                match decode(kind, order, &words, at) {
                    Ok(_) if !fits => panic!("{kind:?} at {at} of {} words", words.len()),
                    Ok(Raw::Unsigned(v, bits)) => assert!(bits == 64 || v < 1 << bits),
                    Ok(_) | Err(_) => {}
                }
            }
        }
    }
}

/// A field publisher's message.
///
/// Input: a byte that chooses topic and clock, then the payload.
pub fn mqtt(data: &[u8]) {
    let [choice, payload @ ..] = data else {
        return;
    };
    let plan = site();
    let topics = ["plant/gt201", "plant/tt202", "hall/1", "plant/other"];
    let topic = topics[usize::from(choice & 3)];
    let retained = choice & 4 != 0;
    let clock = [Clock::Device, Clock::Arrival, Clock::Recorded][usize::from(choice >> 3) % 3];
    for source in &plan.sources {
        let SiteSource::Mqtt(source) = source else {
            continue;
        };
        let mut source = source.clone();
        source.clock = clock;
        let mut intake = Intake::new(&source, &plan.points);
        let (mut samples, mut refused) = (Vec::new(), 0);
        let message = Message {
            topic,
            payload,
            retained,
            arrival: Timestamp(1_795_000_000_000_000_000),
        };
        intake.read(message, &mut samples, |_| refused += 1);
        assert!(
            samples.len() + refused == 1,
            "one point reads the topic: a value or a refusal"
        );
        for sample in samples {
            let binding = format!("{:?}", plan.points.point(sample.point).binding);
            assert!(binding.contains(topic), "{topic} became {binding}");
            // The age of a retained value is unknown, unless the payload has its time.
            assert!(
                !retained || clock != Clock::Arrival || !sample.quality.is_good(),
                "a retained value is good without a time of its own"
            );
            let json = serde_json::to_string(&sample.value).expect("a value is JSON");
            serde_json::from_str::<davy_points::Value>(&json).expect("and is read back");
        }
    }
}

/// A body of line protocol at the centre's write endpoint.
///
/// Input: a byte that chooses the precision, then the body.
pub fn write(data: &[u8]) {
    let [choice, body @ ..] = data else {
        return;
    };
    let precision = ["ns", "us", "ms", "s"][usize::from(choice & 3)];
    if let Ok(samples) = davy_center::border::write(body, precision, site()) {
        for sample in samples {
            assert!(
                body.windows(sample.tag.len())
                    .any(|w| w == sample.tag.as_bytes())
                    || body.contains(&b'\\'),
                "a value under a tag that the body does not hold: {}",
                sample.tag
            );
            if let Some(number) = sample.value.number() {
                assert!(number.is_finite(), "{sample:?}");
            }
        }
    }
}

/// A message on a gateway's topic at the centre.
///
/// Input: the last part of the topic, a line feed, the payload.
pub fn link(data: &[u8]) {
    let Some(end) = data.iter().position(|b| *b == b'\n') else {
        return;
    };
    let (kind, payload) = (String::from_utf8_lossy(&data[..end]), &data[end + 1..]);
    let taken = davy_center::border::hear(site(), &format!("davy/v1/s1/gw-01/{kind}"), payload);
    if let Err(why) = &taken {
        assert!(!why.is_empty() && !why.contains('\n'), "one line: {why}");
    }
    // Whoever a record says it is from, it is taken on that gateway's topic alone. An answer names
    // a command, not a gateway.
    let other = davy_center::border::hear(site(), &format!("davy/v1/s1/gw-02/{kind}"), payload);
    assert!(
        taken.is_err() || other.is_err() || kind == "result",
        "one record of two gateways"
    );
}

/// Any record that the product reads from the wire or from its own files.
pub fn record(data: &[u8]) {
    use davy_rules::alarm::{
        Acked, Beat, Command, CommandResult, Resend, Snapshot, Status, Transition, read,
    };
    macro_rules! again {
        ($($record:ty),*) => {$(
            if let Ok(record) = read::<$record>(data) {
                let json = serde_json::to_vec(&record).expect("a record is JSON");
                assert_eq!(read::<$record>(&json).as_ref(), Ok(&record));
            }
        )*};
    }
    again!(
        Acked,
        Beat,
        Command,
        CommandResult,
        Resend,
        Snapshot,
        Status,
        Transition,
        davy_rules::engine::EngineImage,
        davy_rules::proof::LogStart
    );
    let _ = serde_json::from_slice::<davy_rules::engine::Envelope>(data);
}

/// A configuration directory.
///
/// Input: `site.toml`, `sources.toml` and `points.csv`, a line `===` between them; one that is
/// empty is the sound one of `site/`.
pub fn plan(data: &[u8]) {
    let mut parts = Vec::new();
    let mut rest = data;
    while parts.len() < 2
        && let Some(at) = rest.windows(5).position(|w| w == b"\n===\n")
    {
        parts.push(&rest[..at]);
        rest = &rest[at + 5..];
    }
    parts.push(rest);
    let files = SITE.iter().enumerate().map(|(i, (name, sound))| {
        let given = parts.get(i).copied().unwrap_or_default();
        let empty = given.iter().all(u8::is_ascii_whitespace);
        (*name, if empty { sound.as_bytes() } else { given })
    });
    told(&load(&files.collect::<Vec<_>>()));
}

/// A point table as a workbook.
///
/// Input: the XML of its sheet, or the whole file where it begins as one (`PK`).
pub fn workbook(data: &[u8]) {
    let book = if data.starts_with(b"PK") {
        data.to_vec()
    } else {
        book::book_of(&String::from_utf8_lossy(data))
    };
    told(&load(&[
        (SITE[0].0, SITE[0].1.as_bytes()),
        (SITE[1].0, SITE[1].1.as_bytes()),
        ("points.xlsx", &book),
    ]));
}

/// There is a plan, or an error that says why not; every place can be drawn.
fn told(loaded: &davy_plan::Loaded) {
    let errors = loaded
        .faults
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .count();
    assert_eq!(loaded.plan.is_none(), errors > 0, "{:?}", loaded.faults);
    places(&loaded.faults, &loaded.texts);
}

fn places(faults: &[Diagnostic], texts: &[(PathBuf, String)]) {
    for fault in faults {
        let own = (&fault.file, &fault.span);
        let related = fault.related.iter().map(|(file, span, _)| (file, span));
        for (file, span) in related.chain([own]) {
            if let Some((_, text)) = texts.iter().find(|(name, _)| name == file) {
                assert!(
                    text.get(span.clone()).is_some(),
                    "{span:?} of {} bytes: {fault:?}",
                    text.len()
                );
            }
        }
        assert!(!fault.message.is_empty(), "{fault:?}");
    }
}

/// A rule file, against the table of the site.
pub fn rules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let files = [(Path::new("rules/a.toml").to_owned(), text.to_owned())];
    let (set, faults) = compile(&files, &site().points, &["tank".to_owned()]);
    let errors = faults
        .iter()
        .filter(|f| f.severity == Severity::Error)
        .count();
    assert_eq!(set.is_none(), errors > 0, "{faults:?}");
    places(&faults, &files);
}

/// A capture, and the devices that replay it.
pub fn pcap(data: &[u8]) {
    let Ok(recording) = Recording::read(data) else {
        return;
    };
    for server in recording.servers() {
        let _ = Replay::of(&recording, server);
    }
    let _ = Replay::of(&recording, Ipv4Addr::LOCALHOST);
    for (block, replies) in recording.blocks() {
        assert_eq!(replies.len(), recording.replies(&block).len());
    }
}
