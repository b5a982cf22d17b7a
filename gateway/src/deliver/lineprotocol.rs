//! Line protocol, written by ourselves: `CLASS,site=S,gateway=G,hazard=H,tag=T value=12.5,q=192i TIME`
//! (`formats.md` section 5).
//!
//! The crate that sends it lets a newline in a name forge a series and prints NaN
//! (`dependencies.md` 1.1); here no name can break out of its place, and a value that the
//! protocol cannot say is left out with its quality kept.

use davy_points::{Quality, Timestamp, Value};

/// Writes lines into a buffer.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    count: usize,
}

/// What names a series: the measurement, and tags in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesKey(Vec<u8>);

impl SeriesKey {
    /// Escapes once what every line of the series repeats. Empty tag values are left out; an
    /// empty measurement is `point`.
    #[must_use]
    pub fn new(measurement: &str, tags: &[(&str, &str)]) -> SeriesKey {
        let mut key = Vec::with_capacity(64);
        let start = key.len();
        escape(measurement, b", ", &mut key);
        if key.len() == start {
            key.extend_from_slice(b"point");
        }
        // `#` at the start of a line is a comment.
        if key[start] == b'#' {
            key.insert(start, b'_');
        }
        for (name, value) in tags {
            let before = key.len();
            key.push(b',');
            key.extend_from_slice(name.as_bytes());
            key.push(b'=');
            let value_at = key.len();
            escape(value, b",= ", &mut key);
            if key.len() == value_at {
                key.truncate(before);
            }
        }
        SeriesKey(key)
    }
}

/// A field of a line.
#[derive(Debug, Clone, Copy)]
pub enum Field<'a> {
    /// A double; a non-finite one is left out.
    Float(f64),
    /// A signed integer.
    Int(i64),
    /// A truth.
    Bool(bool),
    /// A text.
    Text(&'a str),
}

impl Lines {
    /// No lines yet.
    #[must_use]
    pub fn new() -> Lines {
        Lines::default()
    }

    /// How many lines.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How many bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// No lines.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The lines, each with its end.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The buffer, and an empty one in its place.
    pub fn take(&mut self) -> Vec<u8> {
        self.count = 0;
        std::mem::take(&mut self.bytes)
    }

    /// A sample: the value where it has one that can be said, and always the quality.
    pub fn sample(&mut self, key: &SeriesKey, value: &Value, quality: Quality, time: Timestamp) {
        let q = Field::Int(i64::from(quality.code()));
        match field_of(value) {
            Some(field) => self.line(key, &[("value", field), ("q", q)], time),
            None => self.line(key, &[("q", q)], time),
        }
    }

    /// A line of any fields. Without a field that can be said there is no line.
    pub fn line(&mut self, key: &SeriesKey, fields: &[(&str, Field<'_>)], time: Timestamp) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&key.0);
        let mut first = true;
        for (name, field) in fields {
            if matches!(field, Field::Float(f) if !f.is_finite()) {
                continue;
            }
            self.bytes.push(if first { b' ' } else { b',' });
            first = false;
            self.bytes.extend_from_slice(name.as_bytes());
            self.bytes.push(b'=');
            self.field(*field);
        }
        if first {
            self.bytes.truncate(start);
            return;
        }
        self.bytes.push(b' ');
        self.display(time.ns());
        self.bytes.push(b'\n');
        self.count += 1;
    }

    fn field(&mut self, field: Field<'_>) {
        match field {
            // The shortest text that reads back to the same bits, exponents included.
            Field::Float(f) => self.display(format_args!("{f:?}")),
            Field::Int(i) => {
                self.display(i);
                self.bytes.push(b'i');
            }
            Field::Bool(b) => self.display(b),
            Field::Text(text) => {
                self.bytes.push(b'"');
                for &b in text.as_bytes() {
                    match b {
                        b'"' | b'\\' => self.bytes.extend_from_slice(&[b'\\', b]),
                        0..=0x1f | 0x7f => self.bytes.push(b' '),
                        _ => self.bytes.push(b),
                    }
                }
                self.bytes.push(b'"');
            }
        }
    }

    fn display(&mut self, what: impl std::fmt::Display) {
        use std::io::Write;
        // Writing to a Vec cannot fail.
        let _ = write!(self.bytes, "{what}");
    }
}

fn field_of(value: &Value) -> Option<Field<'_>> {
    match value {
        Value::F64(f) if f.is_finite() => Some(Field::Float(*f)),
        Value::F64(_) | Value::NoData(_) => None,
        Value::I64(i) => Some(Field::Int(*i)),
        #[allow(clippy::cast_precision_loss)] // the protocol has no unsigned beyond i64
        Value::U64(u) => Some(match i64::try_from(*u) {
            Ok(i) => Field::Int(i),
            Err(_) => Field::Float(*u as f64),
        }),
        Value::Bool(b) => Some(Field::Bool(*b)),
        Value::Text(t) => Some(Field::Text(t)),
    }
}

/// Escapes a name. Control characters become blanks-that-are-not: `_`. A backslash is literal to
/// the protocol unless something to be escaped follows it, so none may stand at the end, and one
/// before an escaped character would swallow the escape: it becomes `/`.
fn escape(text: &str, special: &[u8], out: &mut Vec<u8>) {
    let bytes = text.trim_end_matches('\\').as_bytes();
    for (i, &b) in bytes.iter().enumerate() {
        match b {
            0..=0x1f | 0x7f => out.push(b'_'),
            b'\\' if bytes.get(i + 1).is_some_and(|n| b"\\,= \"".contains(n)) => out.push(b'/'),
            b if special.contains(&b) => out.extend_from_slice(&[b'\\', b]),
            b => out.push(b),
        }
    }
}

#[cfg(test)]
#[path = "lineprotocol_tests.rs"]
mod tests;
