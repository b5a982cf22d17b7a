//! InfluxDB line protocol, read strictly: one line in, one typed [`Line`] out, or the number of
//! the line that is wrong.
//!
//! Lives here: the grammar. May not live here: what a measurement or a tag means (`write.rs`
//! beside it decides). Judged against the conformance vectors of the protocol's own project.

use std::borrow::Cow;
use std::fmt;

/// A typed field value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Field<'a> {
    F64(f64),
    I64(i64),
    U64(u64),
    Bool(bool),
    Text(Cow<'a, str>),
}

/// One parsed line. Kept by the caller and refilled, so that a batch allocates once.
#[derive(Debug, Default)]
pub(crate) struct Line<'a> {
    pub measurement: Cow<'a, str>,
    pub tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    pub fields: Vec<(Cow<'a, str>, Field<'a>)>,
    /// UTC nanoseconds; none where the line has no time.
    pub time: Option<i64>,
    /// Its number in the body, from 1.
    pub number: usize,
}

impl<'a> Line<'a> {
    pub(crate) fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(k, _)| k == key).map(|(_, v)| &**v)
    }

    pub(crate) fn field(&self, key: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }
}

/// What is wrong, and on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineError {
    pub line: usize,
    pub what: Fault,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// Faults of grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the bytes are not UTF-8")]
    NotUtf8,
    #[error("a measurement name is missing or holds a control character")]
    Measurement,
    #[error("a tag key is missing or holds a control character")]
    TagKey,
    #[error("a tag has no value")]
    TagValue,
    #[error("the same tag stands twice")]
    DuplicateTag,
    #[error("a space and a field are missing after the tags")]
    NoFields,
    #[error("a field key is missing or holds a control character")]
    FieldKey,
    #[error("a field has no value that is a number, a truth value or a quoted text")]
    FieldValue,
    #[error("a number is out of range")]
    OutOfRange,
    #[error("a quoted text has no end")]
    OpenQuote,
    #[error("unexpected text after a field")]
    AfterField,
    #[error("the time is not a whole number")]
    Time,
    #[error("unexpected text after the time")]
    AfterTime,
}

/// Unit of the times in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    Ns,
    Us,
    Ms,
    S,
}

impl Precision {
    /// The words of the v2 API; none: nanoseconds.
    pub(crate) fn parse(text: Option<&str>) -> Option<Precision> {
        match text {
            None | Some("" | "ns") => Some(Precision::Ns),
            Some("us") => Some(Precision::Us),
            Some("ms") => Some(Precision::Ms),
            Some("s") => Some(Precision::S),
            Some(_) => None,
        }
    }

    const fn ns(self) -> i64 {
        match self {
            Precision::Ns => 1,
            Precision::Us => 1_000,
            Precision::Ms => 1_000_000,
            Precision::S => 1_000_000_000,
        }
    }
}

/// Reads a body line by line.
pub(crate) struct Lines<'a> {
    text: &'a str,
    at: usize,
    number: usize,
    precision: Precision,
}

impl<'a> Lines<'a> {
    /// # Errors
    /// The body is not UTF-8.
    pub(crate) fn new(body: &'a [u8], precision: Precision) -> Result<Lines<'a>, LineError> {
        let text = std::str::from_utf8(body).map_err(|e| LineError {
            line: 1 + count_newlines(&body[..e.valid_up_to()]),
            what: Fault::NotUtf8,
        })?;
        Ok(Lines {
            text,
            at: 0,
            number: 1,
            precision,
        })
    }

    /// Fills `line` with the next one; false at the end of the body.
    ///
    /// # Errors
    /// The line is not line protocol. Reading may not go on after that.
    pub(crate) fn next_into(&mut self, line: &mut Line<'a>) -> Result<bool, LineError> {
        if !self.skip_to_line() {
            return Ok(false);
        }
        line.tags.clear();
        line.fields.clear();
        line.time = None;
        line.number = self.number;
        match self.line(line) {
            Ok(()) => Ok(true),
            Err(what) => Err(LineError {
                line: line.number,
                what,
            }),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn newline(&mut self) {
        self.at += 1;
        self.number += 1;
    }

    fn spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// Past blank lines, comments and leading spaces; false at the end.
    fn skip_to_line(&mut self) -> bool {
        loop {
            match self.peek() {
                None => return false,
                Some(b'\n') => self.newline(),
                Some(b' ' | b'\r') => self.at += 1,
                Some(b'#') => {
                    while !matches!(self.peek(), None | Some(b'\n')) {
                        self.at += 1;
                    }
                }
                Some(_) => return true,
            }
        }
    }

    fn line(&mut self, line: &mut Line<'a>) -> Result<(), Fault> {
        line.measurement = self.token(b", ", b", ");
        if line.measurement.is_empty() {
            return Err(Fault::Measurement);
        }
        loop {
            match self.peek() {
                Some(b' ') => break,
                Some(b',') => self.at += 1,
                Some(b'\n' | b'\r') | None => return Err(Fault::NoFields),
                Some(_) => return Err(Fault::TagKey),
            }
            let key = self.token(b",= ", b",= ");
            if key.is_empty() || self.peek() != Some(b'=') {
                return Err(Fault::TagKey);
            }
            self.at += 1;
            let value = self.token(b",= ", b",= ");
            if value.is_empty() {
                return Err(Fault::TagValue);
            }
            if line.tags.iter().any(|(k, _)| *k == key) {
                return Err(Fault::DuplicateTag);
            }
            line.tags.push((key, value));
        }
        self.spaces();
        loop {
            let key = self.token(b",= ", b",= ");
            if key.is_empty() || self.peek() != Some(b'=') {
                return Err(Fault::FieldKey);
            }
            self.at += 1;
            let value = self.value()?;
            line.fields.push((key, value));
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b' ' | b'\n' | b'\r') | None => break,
                Some(_) => return Err(Fault::AfterField),
            }
        }
        self.spaces();
        line.time = self.time()?;
        self.spaces();
        if self.peek() == Some(b'\r') {
            self.at += 1;
        }
        match self.peek() {
            None => Ok(()),
            Some(b'\n') => {
                self.newline();
                Ok(())
            }
            Some(_) => Err(Fault::AfterTime),
        }
    }

    /// Up to a byte of `stop` or a control character; a backslash before one of `escapes` gives
    /// that byte, before anything else it stands for itself.
    fn token(&mut self, stop: &[u8], escapes: &[u8]) -> Cow<'a, str> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut copied = start;
        while let Some(&b) = bytes.get(self.at) {
            if b == b'\\' && bytes.get(self.at + 1).is_some_and(|n| escapes.contains(n)) {
                let out = owned.get_or_insert_with(String::new);
                out.push_str(&self.text[copied..self.at]);
                copied = self.at + 1;
                self.at += 2;
            } else if stop.contains(&b) || b < 0x20 || b == 0x7f {
                break;
            } else {
                self.at += 1;
            }
        }
        match owned {
            None => Cow::Borrowed(&self.text[start..self.at]),
            Some(mut out) => {
                out.push_str(&self.text[copied..self.at]);
                Cow::Owned(out)
            }
        }
    }

    fn value(&mut self) -> Result<Field<'a>, Fault> {
        if self.peek() == Some(b'"') {
            return self.quoted().map(Field::Text);
        }
        let bytes = self.text.as_bytes();
        let start = self.at;
        while let Some(&b) = bytes.get(self.at) {
            if b == b',' || b <= b' ' || b == 0x7f || b == b'"' {
                break;
            }
            self.at += 1;
        }
        scalar(&self.text[start..self.at])
    }

    fn quoted(&mut self) -> Result<Cow<'a, str>, Fault> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut copied = start;
        loop {
            match bytes.get(self.at) {
                None => return Err(Fault::OpenQuote),
                Some(b'"') => break,
                Some(b'\n') => self.newline(),
                Some(b'\\') => {
                    let plain = match bytes.get(self.at + 1) {
                        Some(b'"') => '"',
                        Some(b'\\') => '\\',
                        Some(b'n') => '\n',
                        Some(b'r') => '\r',
                        Some(b't') => '\t',
                        _ => {
                            self.at += 1;
                            continue;
                        }
                    };
                    let out = owned.get_or_insert_with(String::new);
                    out.push_str(&self.text[copied..self.at]);
                    out.push(plain);
                    self.at += 2;
                    copied = self.at;
                }
                Some(_) => self.at += 1,
            }
        }
        let end = self.at;
        self.at += 1;
        Ok(match owned {
            None => Cow::Borrowed(&self.text[start..end]),
            Some(mut out) => {
                out.push_str(&self.text[copied..end]);
                Cow::Owned(out)
            }
        })
    }

    fn time(&mut self) -> Result<Option<i64>, Fault> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        while bytes.get(self.at).is_some_and(|&b| b > b' ') {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        if text.is_empty() {
            return Ok(None);
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Fault::Time);
        }
        let n: i64 = text.parse().map_err(|_| Fault::OutOfRange)?;
        n.checked_mul(self.precision.ns())
            .map(Some)
            .ok_or(Fault::OutOfRange)
    }
}

/// A number or a truth value. NaN and infinities are no line protocol.
fn scalar(text: &str) -> Result<Field<'static>, Fault> {
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Ok(Field::Bool(true)),
        "f" | "F" | "false" | "False" | "FALSE" => return Ok(Field::Bool(false)),
        _ => {}
    }
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if let Some(n) = text.strip_suffix('i') {
        if !digits(n.strip_prefix('-').unwrap_or(n)) {
            return Err(Fault::FieldValue);
        }
        return n.parse().map(Field::I64).map_err(|_| Fault::OutOfRange);
    }
    if let Some(n) = text.strip_suffix('u') {
        if !digits(n) {
            return Err(Fault::FieldValue);
        }
        return n.parse().map(Field::U64).map_err(|_| Fault::OutOfRange);
    }
    // `f64::from_str` also takes `inf`, `nan` and a leading plus; the protocol does not.
    let float_bytes = |b: u8| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E');
    if text.starts_with('+') || !text.bytes().all(float_bytes) {
        return Err(Fault::FieldValue);
    }
    let v: f64 = text.parse().map_err(|_| Fault::FieldValue)?;
    if v.is_finite() {
        Ok(Field::F64(v))
    } else {
        Err(Fault::OutOfRange)
    }
}

fn count_newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}

#[cfg(test)]
mod tests;
