//! A table of a TOML file, read key by key: each wrong key or value is one fault with its place.
//!
//! Lives here: shapes (text, number, duration, list). May not live here: what a key means.

use std::path::Path;
use std::time::Duration;

use davy_points::Span;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use crate::duration;
use crate::faults::{Faults, did_you_mean};

/// A value with its place in the file.
pub(crate) type At<T> = Spanned<T>;

/// One table of a file.
pub(crate) struct Section<'t> {
    pub(crate) file: &'t Path,
    /// As a person finds it: `[[modbus]] plc-1`.
    title: String,
    pub(crate) span: Span,
    table: &'t DeTable<'t>,
    /// The file has syntax errors: what is missing may be missing because of them.
    torn: bool,
}

/// Parses a file; syntax errors are faults, and what could be read is read.
pub(crate) fn parse<'t>(
    faults: &mut Faults,
    file: &Path,
    text: &'t str,
) -> (Spanned<DeTable<'t>>, bool) {
    let (table, errors) = DeTable::parse_recoverable(text);
    for e in &errors {
        let span = e.span().unwrap_or(0..0);
        let end = text.len();
        faults.error(
            "E102",
            file,
            span.start.min(end)..span.end.min(end),
            format!("not valid TOML: {}", e.message().trim()),
            "correct the syntax; texts stand in double quotes, one `key = value` a line",
        );
    }
    (table, !errors.is_empty())
}

impl<'t> Section<'t> {
    /// The whole file, with its `schema` checked. None: a schema that this version cannot read.
    pub(crate) fn root(
        faults: &mut Faults,
        file: &'t Path,
        document: &'t Spanned<DeTable<'t>>,
        torn: bool,
        known: &[&str],
    ) -> Option<Section<'t>> {
        let section = Section {
            file,
            title: file.display().to_string(),
            span: 0..0,
            table: document.get_ref(),
            torn,
        };
        match section.table.get("schema") {
            None => {
                if !torn {
                    faults.error(
                        "E111",
                        file,
                        0..0,
                        "the file does not say its schema",
                        "write `schema = 1` as its first line",
                    );
                }
            }
            Some(v) => {
                match integer(v.get_ref()) {
                    Some(1) => {}
                    Some(n) if n > 1 => {
                        // One clear line: nothing else in the file is judged by rules that it may not follow.
                        faults.error(
                        "E111",
                        file,
                        v.span(),
                        format!("schema {n} is newer than this version of davy, which reads schema 1"),
                        "install the davy that wrote this directory, or a newer one",
                    );
                        return None;
                    }
                    _ => {
                        faults.error(
                            "E111",
                            file,
                            v.span(),
                            "`schema` must be 1",
                            "write `schema = 1`",
                        );
                    }
                }
            }
        }
        section.unknown_keys(faults, known);
        Some(section)
    }

    fn unknown_keys(&self, faults: &mut Faults, known: &[&str]) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let file_key = format!("{name}_file");
                let hint = match known.contains(&file_key.as_str()) {
                    true => format!("secrets stand in files of their own: use `{file_key}`"),
                    false => did_you_mean(name, known),
                };
                faults
                    .error(
                        "E103",
                        self.file,
                        key.span(),
                        format!("unknown key `{name}` in {}", self.title),
                        hint,
                    )
                    .label = "not a key here".to_owned();
            }
        }
    }

    /// The sub-table under `key`.
    pub(crate) fn section(
        &self,
        faults: &mut Faults,
        key: &'static str,
        known: &[&str],
    ) -> Option<Section<'t>> {
        let value = self.table.get(key)?;
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong_type(faults, key, value, "a table");
            return None;
        };
        let section = Section {
            file: self.file,
            title: format!("[{key}]"),
            span: self.header_span(key, value.span()),
            table,
            torn: self.torn,
        };
        section.unknown_keys(faults, known);
        Some(section)
    }

    /// The array of tables under `key`; none where it is absent.
    pub(crate) fn sections(
        &self,
        faults: &mut Faults,
        key: &'static str,
        known: &[&str],
    ) -> Vec<Section<'t>> {
        let Some(value) = self.table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(
                faults,
                key,
                value,
                &format!("a list of tables, `[[{key}]]`"),
            );
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items {
            let DeValue::Table(table) = item.get_ref() else {
                self.wrong_type(faults, key, item, &format!("a table, `[[{key}]]`"));
                continue;
            };
            let title = match table.get("id").and_then(|v| v.get_ref().as_str()) {
                Some(id) => format!("[[{key}]] {id}"),
                None => format!("[[{key}]]"),
            };
            let section = Section {
                file: self.file,
                title,
                span: item.span(),
                table,
                torn: self.torn,
            };
            section.unknown_keys(faults, known);
            out.push(section);
        }
        out
    }

    fn header_span(&self, key: &str, value: Span) -> Span {
        match self.table.get_key_value(key) {
            Some((k, _)) if !k.span().is_empty() => k.span(),
            _ => value,
        }
    }

    fn wrong_type(
        &self,
        faults: &mut Faults,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        wanted: &str,
    ) {
        faults
            .error(
                "E105",
                self.file,
                value.span(),
                format!("`{key}` in {} must be {wanted}", self.title),
                format!("this is {}; write {wanted}", a(value.get_ref().type_str())),
            )
            .label = a(value.get_ref().type_str());
    }

    /// Says that a key is missing.
    pub(crate) fn missing(&self, faults: &mut Faults, key: &str, example: &str) {
        if self.torn {
            return;
        }
        faults.error(
            "E104",
            self.file,
            self.span.clone(),
            format!("{} has no `{key}`", self.title),
            format!("add `{key} = {example}`"),
        );
    }

    /// Whether the key stands there at all, right or wrong.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Where the key's value stands; the section itself where it has none.
    pub(crate) fn place(&self, key: &str) -> Span {
        self.table
            .get(key)
            .map_or_else(|| self.span.clone(), Spanned::span)
    }

    pub(crate) fn text(&self, faults: &mut Faults, key: &str) -> Option<At<String>> {
        let value = self.table.get(key)?;
        match value.get_ref() {
            DeValue::String(s) => Some(At::new(value.span(), s.to_string())),
            _ => {
                self.wrong_type(faults, key, value, "a text in quotes");
                None
            }
        }
    }

    pub(crate) fn required_text(
        &self,
        faults: &mut Faults,
        key: &str,
        example: &str,
    ) -> Option<At<String>> {
        if !self.has(key) {
            self.missing(faults, key, &format!("\"{example}\""));
            return None;
        }
        let text = self.text(faults, key)?;
        if text.get_ref().trim().is_empty() {
            faults.error(
                "E104",
                self.file,
                text.span(),
                format!("`{key}` in {} is empty", self.title),
                format!("write for example `{key} = \"{example}\"`"),
            );
            return None;
        }
        Some(text)
    }

    /// A whole number within `range`.
    pub(crate) fn integer(
        &self,
        faults: &mut Faults,
        key: &str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let value = self.table.get(key)?;
        let Some(n) = integer(value.get_ref()) else {
            self.wrong_type(faults, key, value, "a whole number");
            return None;
        };
        if !range.contains(&n) {
            faults.error(
                "E116",
                self.file,
                value.span(),
                format!("`{key}` in {} is {n}", self.title),
                format!("it must lie between {} and {}", range.start(), range.end()),
            );
            return None;
        }
        Some(n)
    }

    pub(crate) fn duration(&self, faults: &mut Faults, key: &str) -> Option<At<Duration>> {
        let text = self.text(faults, key)?;
        match duration::parse(text.get_ref(), None) {
            Ok(d) => Some(At::new(text.span(), d)),
            Err(why) => {
                faults.error(
                    "E106",
                    self.file,
                    text.span(),
                    format!("`{key}` in {}: {why}", self.title),
                    duration::HINT,
                );
                None
            }
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, faults: &mut Faults, key: &str) -> Vec<At<String>> {
        let Some(value) = self.table.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(faults, key, value, "a list of texts, `[\"…\"]`");
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(s) => out.push(At::new(item.span(), s.to_string())),
                _ => self.wrong_type(faults, key, item, "a list of texts, `[\"…\"]`"),
            }
        }
        out
    }

    /// Whether the key is a list with nothing in it.
    pub(crate) fn is_empty_list(&self, key: &str) -> bool {
        let list = self.table.get(key).and_then(|v| v.get_ref().as_array());
        list.is_some_and(|items| items.is_empty())
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &self,
        faults: &mut Faults,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(faults, key)?;
        if let Some((_, t)) = words.iter().find(|(w, _)| *w == text.get_ref()) {
            return Some(*t);
        }
        let names: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
        faults.error(
            "E105",
            self.file,
            text.span(),
            format!("`{key}` in {} cannot be `{}`", self.title, text.get_ref()),
            did_you_mean(text.get_ref(), &names),
        );
        None
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let n = value.as_integer()?;
    i64::from_str_radix(n.as_str(), n.radix()).ok()
}

fn a(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {kind}")
}
