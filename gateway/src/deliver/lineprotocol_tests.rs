//! Lines read back by a parser of our own, and by the strict one of InfluxDB 1.6.

use std::sync::Arc;

use davy_points::{NoData, Quality, Timestamp, Value};
use proptest::prelude::*;

use super::*;

fn one(measurement: &str, tag: &str, value: &Value) -> String {
    let mut lines = Lines::new();
    let key = SeriesKey::new(measurement, &[("site", "s"), ("hazard", ""), ("tag", tag)]);
    lines.sample(
        &key,
        value,
        Quality::Good,
        Timestamp(1_600_000_000_000_000_001),
    );
    String::from_utf8(lines.take()).expect("UTF-8 stays UTF-8")
}

#[test]
fn a_line_is_written_as_the_format_says() {
    for (measurement, tag, value, line) in [
        (
            "tank_level",
            "LT-101",
            Value::F64(12.5),
            "tank_level,site=s,tag=LT-101 value=12.5,q=192i",
        ),
        (
            "tank_level",
            "LT-101",
            Value::F64(12.0),
            "tank_level,site=s,tag=LT-101 value=12.0,q=192i",
        ),
        (
            "t",
            "T",
            Value::F64(-0.0),
            "t,site=s,tag=T value=-0.0,q=192i",
        ),
        (
            "t",
            "T",
            Value::F64(1e300),
            "t,site=s,tag=T value=1e300,q=192i",
        ),
        ("t", "T", Value::F64(f64::NAN), "t,site=s,tag=T q=192i"),
        (
            "t",
            "T",
            Value::none(NoData::NoAnswer),
            "t,site=s,tag=T q=192i",
        ),
        ("t", "T", Value::I64(-7), "t,site=s,tag=T value=-7i,q=192i"),
        (
            "t",
            "T",
            Value::U64(u64::MAX),
            "t,site=s,tag=T value=1.8446744073709552e19,q=192i",
        ),
        (
            "t",
            "T",
            Value::Bool(true),
            "t,site=s,tag=T value=true,q=192i",
        ),
        (
            "t",
            "T",
            Value::Text(Arc::from("a \"b\"\\\nc")),
            "t,site=s,tag=T value=\"a \\\"b\\\"\\\\ c\",q=192i",
        ),
        ("", "T", Value::I64(1), "point,site=s,tag=T value=1i,q=192i"),
        ("#x", "T", Value::I64(1), "_#x,site=s,tag=T value=1i,q=192i"),
        (
            "a b,c=d",
            "x y,z=\u{7f}",
            Value::I64(1),
            "a\\ b\\,c=d,site=s,tag=x\\ y\\,z\\=_ value=1i,q=192i",
        ),
        (
            "m",
            "forged v=1\nother v=2",
            Value::I64(1),
            "m,site=s,tag=forged\\ v\\=1_other\\ v\\=2 value=1i,q=192i",
        ),
        (
            "m",
            "tail\\",
            Value::I64(1),
            "m,site=s,tag=tail value=1i,q=192i",
        ),
        (
            "m",
            "a\\,b",
            Value::I64(1),
            "m,site=s,tag=a/\\,b value=1i,q=192i",
        ),
        (
            "m",
            "液位",
            Value::I64(1),
            "m,site=s,tag=液位 value=1i,q=192i",
        ),
        ("m", "\\\\", Value::I64(1), "m,site=s value=1i,q=192i"),
    ] {
        assert_eq!(
            one(measurement, tag, &value),
            format!("{line} 1600000000000000001\n")
        );
    }
}

/// What a line says to a strict reader: measurement, tags, fields, time.
type Parsed = (String, Vec<(String, String)>, Vec<(String, String)>, i64);

/// A reader that knows only the protocol's text: a name ends at an unescaped delimiter, `\`
/// before a delimiter escapes it, a string stands in quotes. One line, or none.
fn parse(line: &str) -> Option<Parsed> {
    let line = line.strip_suffix('\n')?;
    if line.contains('\n') {
        return None;
    }
    let mut rest = line.chars().peekable();
    let measurement = name(&mut rest, ", ");
    let mut tags = Vec::new();
    while rest.next_if_eq(&',').is_some() {
        let key = name(&mut rest, "=,  ");
        rest.next_if_eq(&'=')?;
        let value = name(&mut rest, ",= ");
        if key.is_empty() || value.is_empty() {
            return None;
        }
        tags.push((key, value));
    }
    let mut fields = Vec::new();
    rest.next_if_eq(&' ')?;
    loop {
        let key = name(&mut rest, "=");
        rest.next_if_eq(&'=')?;
        fields.push((key, field(&mut rest)?));
        if rest.next_if_eq(&',').is_none() {
            break;
        }
    }
    rest.next_if_eq(&' ')?;
    let time = rest.collect::<String>().parse().ok()?;
    Some((measurement, tags, fields, time))
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn name(rest: &mut Rest<'_>, ends: &str) -> String {
    let mut text = String::new();
    while let Some(c) = rest.next_if(|c| !ends.contains(*c)) {
        match c {
            '\\' => match rest.next_if(|n| ",= ".contains(*n)) {
                Some(escaped) => text.push(escaped),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    text
}

fn field(rest: &mut Rest<'_>) -> Option<String> {
    if rest.next_if_eq(&'"').is_none() {
        let mut text = String::new();
        while let Some(c) = rest.next_if(|c| *c != ',' && *c != ' ') {
            text.push(c);
        }
        return Some(text);
    }
    let mut text = String::from("\"");
    loop {
        match rest.next()? {
            '"' => return Some(text),
            '\\' => text.push(rest.next_if(|n| "\"\\".contains(*n)).unwrap_or('\\')),
            c => text.push(c),
        }
    }
}

/// The text that must come back: what a name may hold of it.
fn told(text: &str) -> String {
    let mut out = String::new();
    let trimmed = text.trim_end_matches('\\');
    let mut chars = trimmed.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(match c {
            c if c.is_ascii_control() => '_',
            '\\' if chars.peek().is_some_and(|n| "\\,= \"".contains(*n)) => '/',
            c => c,
        });
    }
    out
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        any::<bool>().prop_map(Value::Bool),
        any_text().prop_map(|t| Value::Text(Arc::from(t.as_str()))),
        Just(Value::none(NoData::Sentinel)),
    ]
}

/// Texts in which what breaks a line is frequent.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,12}", "[\\\\,= \"\n\r\ta-c液#]{0,12}"]
}

proptest! {
    #[test]
    fn whatever_the_names_a_line_is_one_line_and_says_the_value(
        measurement in any_text(),
        tag in any_text(),
        value in any_value(),
        time in any::<i64>(),
    ) {
        let mut lines = Lines::new();
        let key = SeriesKey::new(&measurement, &[("site", "s 1"), ("tag", &tag)]);
        lines.sample(&key, &value, Quality::UncertainRange, Timestamp(time));
        prop_assert_eq!(lines.count(), 1);
        let line = String::from_utf8(lines.take()).expect("UTF-8");
        let Some((m, tags, fields, at)) = parse(&line) else {
            panic!("unreadable: {line:?}");
        };
        let mut expected = told(&measurement);
        if expected.is_empty() {
            expected = "point".into();
        }
        if expected.starts_with('#') {
            expected.insert(0, '_');
        }
        prop_assert_eq!(m, expected);
        let mut named = vec![("site".to_owned(), "s 1".to_owned())];
        if !told(&tag).is_empty() {
            named.push(("tag".to_owned(), told(&tag)));
        }
        prop_assert_eq!(tags, named);
        prop_assert_eq!(at, time);
        prop_assert_eq!(fields.last().map(|f| (f.0.as_str(), f.1.as_str())), Some(("q", "84i")));
        let said = (fields.len() == 2).then(|| fields[0].1.clone());
        match &value {
            Value::F64(f) if f.is_finite() => {
                let back: f64 = said.expect("a value").parse().expect("a double");
                prop_assert_eq!(back.to_bits(), f.to_bits());
            }
            Value::F64(_) | Value::NoData(_) => prop_assert_eq!(said, None),
            Value::I64(i) => prop_assert_eq!(said, Some(format!("{i}i"))),
            Value::U64(u) if i64::try_from(*u).is_ok() => {
                prop_assert_eq!(said, Some(format!("{u}i")));
            }
            #[allow(clippy::cast_precision_loss)]
            Value::U64(u) => {
                prop_assert_eq!(said.expect("a value").parse::<f64>().expect("a double"), *u as f64);
            }
            Value::Bool(b) => prop_assert_eq!(said, Some(b.to_string())),
            Value::Text(t) => {
                let held: String = t.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect();
                prop_assert_eq!(said, Some(format!("\"{held}")));
            }
        }
    }
}
