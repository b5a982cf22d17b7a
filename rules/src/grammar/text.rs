//! TOML with places: typed reads that note every fault and go on.

use std::path::Path;
use std::time::Duration;

use davy_points::{Diagnostic, Priority, Span};
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::nearest;

/// Where faults go, for one file.
pub(crate) struct Faults<'a> {
    pub(crate) file: &'a Path,
    pub(crate) source: &'a str,
    pub(crate) all: &'a mut Vec<Diagnostic>,
}

impl Faults<'_> {
    pub(crate) fn add(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> &mut Diagnostic {
        let n = self.all.len();
        self.all
            .push(Diagnostic::error(code, self.file, span, message, hint));
        &mut self.all[n]
    }
}

/// A table of the file: what was read of it, and what was not.
pub(crate) struct Keys<'t, 'i> {
    table: &'t DeTable<'i>,
    /// The whole table, for keys that are missing.
    pub(crate) span: Span,
    known: Vec<&'static str>,
}

/// A value and its place.
pub(crate) type At<T> = (T, Span);

impl<'t, 'i> Keys<'t, 'i> {
    pub(crate) fn new(table: &'t DeTable<'i>, span: Span) -> Keys<'t, 'i> {
        Keys {
            table,
            span,
            known: Vec::new(),
        }
    }

    pub(crate) fn raw(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.known.push(key);
        self.table.get(key)
    }

    pub(crate) fn text(&mut self, key: &'static str, f: &mut Faults<'_>) -> Option<At<&'t str>> {
        let v = self.raw(key)?;
        if let Some(s) = v.get_ref().as_str() {
            return Some((s, v.span()));
        }
        wrong_type(f, key, v, "a text in quotes");
        None
    }

    /// A list of texts, each with its place.
    pub(crate) fn texts(&mut self, key: &'static str, f: &mut Faults<'_>) -> Vec<At<&'t str>> {
        let Some(v) = self.raw(key) else {
            return Vec::new();
        };
        let like = "a list of texts: [\"FT-101\"]";
        let DeValue::Array(items) = v.get_ref() else {
            wrong_type(f, key, v, like);
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items {
            match item.get_ref().as_str() {
                Some(text) => out.push((text, item.span())),
                None => wrong_type(f, key, item, like),
            }
        }
        out
    }

    pub(crate) fn truth(&mut self, key: &'static str, f: &mut Faults<'_>) -> Option<bool> {
        let v = self.raw(key)?;
        if let Some(b) = v.get_ref().as_bool() {
            return Some(b);
        }
        wrong_type(f, key, v, "true or false");
        None
    }

    pub(crate) fn number(&mut self, key: &'static str, f: &mut Faults<'_>) -> Option<At<f64>> {
        let v = self.raw(key)?;
        if !matches!(v.get_ref(), DeValue::Integer(_) | DeValue::Float(_)) {
            wrong_type(f, key, v, "a number");
            return None;
        }
        match number_in(v.get_ref()) {
            Some(n) => Some((n, v.span())),
            None => {
                f.add(
                    "E311",
                    v.span(),
                    format!("`{key}` is not a finite number"),
                    "give a number that a value can be compared with",
                );
                None
            }
        }
    }

    /// A number that may not be negative.
    pub(crate) fn amount(&mut self, key: &'static str, f: &mut Faults<'_>) -> Option<At<f64>> {
        let (n, span) = self.number(key, f)?;
        if n < 0.0 {
            f.add(
                "E311",
                span,
                format!("`{key}` is negative: {n}"),
                "give zero or more, in the point's unit",
            );
            return None;
        }
        Some((n, span))
    }

    pub(crate) fn duration_ns(&mut self, key: &'static str, f: &mut Faults<'_>) -> Option<At<i64>> {
        let v = self.raw(key)?;
        let Some(text) = v.get_ref().as_str() else {
            wrong_type(f, key, v, "a duration in quotes, like \"5s\"");
            return None;
        };
        match duration(text) {
            Ok(d) => Some((super::ns(d), v.span())),
            Err(why) => {
                f.add(
                    "E310",
                    v.span(),
                    format!("`{key}` is no duration: \"{text}\" {why}"),
                    "write a number and its unit: \"250ms\", \"5s\", \"10m\", \"2h\"",
                );
                None
            }
        }
    }

    pub(crate) fn priority(&mut self, key: &'static str, f: &mut Faults<'_>) -> Option<Priority> {
        let v = self.raw(key)?;
        let number = match v.get_ref() {
            DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok(),
            _ => {
                wrong_type(f, key, v, "a whole number from 1 to 4");
                return None;
            }
        };
        let priority = number
            .and_then(|n| u8::try_from(n).ok())
            .and_then(Priority::new);
        if priority.is_none() {
            f.add(
                "E309",
                v.span(),
                format!("priority {} is not 1 to 4", &f.source[v.span()]),
                "1 critical, 2 high, 3 medium, 4 low",
            );
        }
        priority
    }

    pub(crate) fn table(
        &mut self,
        key: &'static str,
        like: &str,
        f: &mut Faults<'_>,
    ) -> Option<Keys<'t, 'i>> {
        let v = self.raw(key)?;
        if let Some(t) = v.get_ref().as_table() {
            return Some(Keys::new(t, v.span()));
        }
        wrong_type(f, key, v, &format!("a table, like `{key} = {like}`"));
        None
    }

    /// A list of tables.
    pub(crate) fn tables(
        &mut self,
        key: &'static str,
        like: &str,
        f: &mut Faults<'_>,
    ) -> Vec<Keys<'t, 'i>> {
        let Some(v) = self.raw(key) else {
            return Vec::new();
        };
        let wanted = format!("a list of tables, like `{key} = [{like}]`");
        let DeValue::Array(items) = v.get_ref() else {
            wrong_type(f, key, v, &wanted);
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items {
            match item.get_ref().as_table() {
                Some(t) => out.push(Keys::new(t, item.span())),
                None => wrong_type(f, key, item, &wanted),
            }
        }
        out
    }

    /// One of these words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
        f: &mut Faults<'_>,
    ) -> Option<T> {
        let (text, span) = self.text(key, f)?;
        let found = words.iter().find(|(w, _)| *w == text).map(|(_, t)| *t);
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
            f.add(
                "E316",
                span,
                format!("`{key}` cannot be \"{text}\""),
                match nearest(text, &all) {
                    Some(near) => {
                        format!("did you mean \"{near}\"? It is one of: {}", all.join(", "))
                    }
                    None => format!("one of: {}", all.join(", ")),
                },
            );
        }
        found
    }

    /// Whatever was not asked for is a mistake (`formats.md`: an error with the nearest known key).
    pub(crate) fn finish(self, f: &mut Faults<'_>) {
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if self.known.contains(&name) {
                continue;
            }
            let hint = match nearest(name, &self.known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            f.add("E301", key.span(), format!("unknown key `{name}`"), hint);
        }
    }
}

pub(crate) fn wrong_type(f: &mut Faults<'_>, key: &str, v: &Spanned<DeValue<'_>>, wanted: &str) {
    f.add(
        "E302",
        v.span(),
        format!("`{key}` is of type {}", v.get_ref().type_str()),
        format!("give {wanted}"),
    );
}

/// A finite number.
pub(crate) fn number_in(v: &DeValue<'_>) -> Option<f64> {
    let number = match v {
        DeValue::Integer(i) => i64::from_str_radix(i.as_str(), i.radix()).ok().map(to_f64),
        DeValue::Float(x) => x.as_str().parse::<f64>().ok(),
        _ => None,
    };
    number.filter(|n| n.is_finite())
}

#[allow(clippy::cast_precision_loss)] // a limit above 2^53 has no use for its last bit
fn to_f64(i: i64) -> f64 {
    i as f64
}

/// `250ms`, `5s`, `1.5m`, `2h`, `1d`.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic() || c == 'µ')
        .ok_or("has no unit")?;
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.trim().parse().map_err(|_| "has no number")?;
    if number < 0.0 {
        return Err("is negative");
    }
    let unit_ns = match unit {
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        "d" => 86_400e9,
        _ => return Err("has an unknown unit"),
    };
    let ns = (number * unit_ns).round();
    // 292 years fit the engine's clock; ten are more than any delay needs.
    if !(ns.is_finite() && ns <= 3650.0 * 86_400e9) {
        return Err("is too long");
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above
    Ok(Duration::from_nanos(ns as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, ns) in [
            ("250ms", Some(250_000_000)),
            ("5s", Some(5_000_000_000)),
            ("10m", Some(600_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            ("0s", Some(0)),
            ("-1s", None),
            ("5", None),
            ("s", None),
            ("5 parsecs", None),
            ("1e300d", None),
            ("nans", None),
        ] {
            let got = duration(text).ok().map(super::super::ns);
            assert_eq!(got, ns, "{text}");
        }
    }
}
