//! Faults of a configuration, as a person or a machine reads them: file, line, caret, remedy.
//!
//! Lives here: rendering. May not live here: finding faults (`davy-plan`, `davy-rules`).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ariadne::{Config, IndexType, Label, Report, ReportKind};
use davy_points::{Diagnostic, Severity, Span};
use serde_json::{Value, json};

/// All faults, by file and place, and the count in the last line. Nothing where there is none.
pub(crate) fn render(faults: &[Diagnostic], texts: &[(PathBuf, String)], color: bool) -> String {
    let texts = Texts::new(texts);
    let mut cache = ariadne::sources(
        texts
            .0
            .iter()
            .filter(|(path, _)| {
                faults
                    .iter()
                    .any(|d| d.file == **path || is_related(d, path))
            })
            .map(|(path, text)| (path.display().to_string(), *text)),
    );
    let mut out = String::new();
    for fault in sorted(faults) {
        let Some(span) = texts.place(&fault.file, &fault.span) else {
            one_line(&mut out, fault);
            continue;
        };
        let mut bytes = Vec::new();
        // A report that cannot be drawn must not hide its fault.
        match report(fault, span, &texts, color).write(&mut cache, &mut bytes) {
            Ok(()) => out.push_str(&String::from_utf8_lossy(&bytes)),
            Err(_) => one_line(&mut out, fault),
        }
    }
    if !faults.is_empty() {
        let (errors, warnings) = count(faults);
        let _ = writeln!(
            out,
            "{}, {}",
            number(errors, "error"),
            number(warnings, "warning")
        );
    }
    // ariadne pads its lines; a terminal does not mind, a diff does.
    let mut tidy = String::with_capacity(out.len());
    for line in out.lines() {
        tidy.push_str(line.trim_end());
        tidy.push('\n');
    }
    tidy
}

/// The same for a machine; lines and columns count from 1, in characters, and are null where the
/// fault is the file itself.
pub(crate) fn to_json(faults: &[Diagnostic], texts: &[(PathBuf, String)]) -> Value {
    let texts = Texts::new(texts);
    let place = |file: &Path, span: &Span| match texts.place(file, span) {
        Some(span) => {
            let (line, column) = texts.line_column(file, span.start);
            (json!(line), json!(column))
        }
        None => (Value::Null, Value::Null),
    };
    let (errors, warnings) = count(faults);
    let list: Vec<Value> = sorted(faults)
        .into_iter()
        .map(|d| {
            let (line, column) = place(&d.file, &d.span);
            let related: Vec<Value> = d
                .related
                .iter()
                .map(|(file, span, label)| {
                    let (line, column) = place(file, span);
                    json!({ "file": file.display().to_string(), "line": line, "column": column,
                            "label": label })
                })
                .collect();
            json!({
                "file": d.file.display().to_string(),
                "line": line,
                "column": column,
                "code": d.code,
                "severity": match d.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                "message": d.message,
                "hint": d.hint,
                "related": related,
            })
        })
        .collect();
    json!({ "v": 1, "errors": errors, "warnings": warnings, "faults": list })
}

/// Line and column of a place, from 1, in characters; none where it is a file itself.
pub(crate) fn line_column(
    file: &Path,
    span: &Span,
    texts: &[(PathBuf, String)],
) -> Option<(usize, usize)> {
    let texts = Texts::new(texts);
    let span = texts.place(file, span)?;
    Some(texts.line_column(file, span.start))
}

type At = (String, Range<usize>);

fn report<'a>(d: &Diagnostic, span: Span, texts: &Texts<'_>, color: bool) -> Report<'a, At> {
    let kind = match d.severity {
        Severity::Error => ReportKind::Error,
        Severity::Warning => ReportKind::Warning,
    };
    let file = d.file.display().to_string();
    let config = Config::default()
        .with_color(color)
        .with_compact(false)
        .with_index_type(IndexType::Byte);
    let mut report = Report::build(kind, (file.clone(), span.clone()))
        .with_config(config)
        .with_code(d.code)
        .with_message(&d.message);
    let tint = match d.severity {
        Severity::Error => ariadne::Color::Red,
        Severity::Warning => ariadne::Color::Yellow,
    };
    let label_start = span.start;
    let mut label = Label::new((file, span)).with_color(tint);
    if !d.label.is_empty() {
        label = label.with_message(&d.label);
    } else {
        // A caret without words points nowhere: the eye needs a line to follow.
        label = label.with_message("here");
    }
    let mut labels = vec![(false, label_start, label)];
    for (file, span, words) in &d.related {
        if let Some(span) = texts.place(file, span) {
            let label = Label::new((file.display().to_string(), span.clone()))
                .with_message(words)
                .with_color(ariadne::Color::Cyan);
            labels.push((*file != d.file, span.start, label));
        }
    }
    // Labels of one file stay together only in the order of its lines.
    labels.sort_by_key(|&(other, start, _)| (other, start));
    report = report.with_labels(labels.into_iter().map(|(_, _, label)| label));
    if !d.hint.is_empty() {
        report = report.with_help(&d.hint);
    }
    report.finish()
}

/// A fault without a place in a text: a missing file, a workbook.
fn one_line(out: &mut String, d: &Diagnostic) {
    let kind = match d.severity {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
    };
    let _ = write!(out, "[{}] {kind}: ", d.code);
    if !d.file.as_os_str().is_empty() {
        let _ = write!(out, "{}: ", d.file.display());
    }
    let _ = write!(out, "{}", d.message);
    if !d.hint.is_empty() {
        let _ = write!(out, " — {}", d.hint);
    }
    out.push('\n');
}

fn is_related(d: &Diagnostic, path: &Path) -> bool {
    d.related.iter().any(|(file, _, _)| file == path)
}

fn sorted(faults: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut list: Vec<&Diagnostic> = faults.iter().collect();
    list.sort_by_key(|d| (&d.file, d.span.start, d.span.end, d.code));
    list
}

fn count(faults: &[Diagnostic]) -> (usize, usize) {
    let errors = faults
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    (errors, faults.len() - errors)
}

fn number(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// The texts that places refer to.
struct Texts<'t>(HashMap<&'t Path, &'t str>);

impl<'t> Texts<'t> {
    fn new(texts: &'t [(PathBuf, String)]) -> Texts<'t> {
        Texts(
            texts
                .iter()
                .map(|(path, text)| (path.as_path(), text.as_str()))
                .collect(),
        )
    }

    /// A span that lies within its text, on whole characters of its first line; none
    /// where the fault is the file itself.
    fn place(&self, file: &Path, span: &Span) -> Option<Span> {
        let text = self.0.get(file)?;
        if *span == (0..0) {
            return None;
        }
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = span.end.clamp(start, text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        // The first line says where; a whole section underlined says less.
        let first = text[start..end].lines().next().unwrap_or("");
        Some(start..start + first.trim_end().len())
    }

    /// Line and column of a byte, from 1, in characters.
    fn line_column(&self, file: &Path, at: usize) -> (usize, usize) {
        let Some(before) = self.0.get(file).and_then(|t| t.get(..at)) else {
            return (1, 1);
        };
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

#[cfg(test)]
mod tests;
