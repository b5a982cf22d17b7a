//! A journal for other programs and for people, and a damaged one moved aside.
//!
//! Lives here: [`export`] and [`quarantine`]. May not live here: reports. Read first:
//! [`ExportFormat`].

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use davy_points::Timestamp;
use serde_json::{Map, Value};

use crate::lock::DirLock;
use crate::schema::{JOURNAL, SERIES};
use crate::seal::{self, Hash};
use crate::{OpenError, StoreError};

/// How to write a journal out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// One record a line, byte for byte as it went out: the chain can be checked from it.
    JsonLines,
    /// One record a row, for a spreadsheet: UTF-8 with a byte order mark, times as RFC 3339;
    /// a text that a spreadsheet would take for a formula has `'` before it.
    Csv,
}

/// Why an export ended.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A record cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The output cannot be written.
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
}

/// Writes every transition of the journal in `dir`, its own and then those that a centre has
/// received, and says how many.
///
/// # Errors
/// [`ExportError`]: the output may hold some records.
pub fn export(dir: &Path, out: &mut dyn Write, format: ExportFormat) -> Result<u64, ExportError> {
    let db = JOURNAL.open_read(dir)?;
    let file = dir.join(JOURNAL.file);
    let fault = |e: rusqlite::Error| StoreError::database(&file, &e);
    if format == ExportFormat::Csv {
        write_header(out)?;
    }
    let mut count = 0;
    // A centre gives its own transitions into what it received, too: they are written once.
    let mut statement = db
        .prepare(
            "SELECT bytes, hash FROM (
                 SELECT 0 AS part, seq AS place, bytes, hash FROM \"transition\"
                 UNION ALL
                 SELECT 1, center_seq, wire, NULL FROM received r WHERE NOT EXISTS (
                     SELECT 1 FROM \"transition\" t WHERE t.seq = r.seq AND t.hash = r.hash))
             ORDER BY part, place",
        )
        .map_err(fault)?;
    let mut rows = statement.query([]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let bytes: Vec<u8> = row.get(0).map_err(fault)?;
        let hash: Option<Vec<u8>> = row.get(1).map_err(fault)?;
        let wire = match hash.as_deref().and_then(Hash::from_slice) {
            Some(hash) => seal::wire(&bytes, hash),
            None => bytes.into(),
        };
        match format {
            ExportFormat::JsonLines => {
                out.write_all(&wire)?;
                out.write_all(b"\n")?;
            }
            ExportFormat::Csv => write_row(out, &wire)?,
        }
        count += 1;
    }
    out.flush()?;
    Ok(count)
}

/// Columns of the CSV, in the order of `formats.md` section 4.
const COLUMNS: [&str; 32] = [
    "seq",
    "site",
    "owner",
    "alarm",
    "rule",
    "kind",
    "tag",
    "hazard",
    "area",
    "level",
    "priority",
    "occurrence",
    "episode",
    "from",
    "to",
    "cause",
    "value",
    "quality",
    "limit",
    "unit",
    "text",
    "guidance",
    "source_time",
    "condition_start",
    "annunciated_at",
    "recorded_at",
    "rule_rev",
    "plan_rev",
    "command_id",
    "actor",
    "reason",
    "flags",
];
const CHAIN_COLUMNS: [&str; 2] = ["prev", "hash"];
const TIMES: [&str; 4] = [
    "source_time",
    "condition_start",
    "annunciated_at",
    "recorded_at",
];

fn write_header(out: &mut dyn Write) -> io::Result<()> {
    let names: Vec<&str> = COLUMNS.iter().chain(&CHAIN_COLUMNS).copied().collect();
    write!(out, "\u{feff}{}\r\n", names.join(","))
}

fn write_row(out: &mut dyn Write, wire: &[u8]) -> io::Result<()> {
    let fields: Map<String, Value> = serde_json::from_slice(wire).unwrap_or_default();
    let cells: Vec<String> = COLUMNS
        .iter()
        .chain(&CHAIN_COLUMNS)
        .map(|name| cell(name, fields.get(*name)))
        .collect();
    write!(out, "{}\r\n", cells.join(","))
}

fn cell(name: &str, value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::Number(n)) => match n.as_i64() {
            Some(ns) if TIMES.contains(&name) => Timestamp(ns).to_string(),
            _ => n.to_string(),
        },
        Some(Value::String(text)) => quoted(text),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect();
            quoted(&items.join(" "))
        }
        Some(other) => quoted(&other.to_string()),
    }
}

fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// One of the two databases of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// `journal.db`.
    Journal,
    /// `series.db`.
    Series,
}

/// Moves a database with its log aside to `NAME.corrupt-SECONDS`, where it stays as evidence,
/// so that the next start makes a new one. Only ever done because somebody asked for it: the
/// new journal begins at sequence 1, and knows no standing alarm.
///
/// # Errors
/// [`OpenError::Locked`] where a process has the directory open; `Io` where a file cannot be
/// moved.
pub fn quarantine(dir: &Path, store: Store) -> Result<Vec<PathBuf>, OpenError> {
    let (schema, lock) = match store {
        Store::Journal => (&JOURNAL, "journal.lock"),
        Store::Series => (&SERIES, "series.lock"),
    };
    let _lock = DirLock::take(dir, lock)?;
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    let mut moved = Vec::new();
    for part in ["-wal", "-shm", ""] {
        let from = dir.join(format!("{}{part}", schema.file));
        let to = dir.join(format!("{}.corrupt-{seconds}{part}", schema.file));
        match std::fs::rename(&from, &to) {
            Ok(()) => moved.push(to),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(OpenError::io(&from, e)),
        }
    }
    Ok(moved)
}
