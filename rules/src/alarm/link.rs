//! What gateway and centre tell each other besides transitions, commands and results
//! (`formats.md` section 5), and the one way to read any record that crosses a border.
//!
//! Both sides write and read these same types, though neither sees the other's code.

use std::sync::Arc;

use davy_points::Timestamp;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::VERSION;

/// What a gateway says of its own link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It works.
    Online,
    /// It ends cleanly; that clears nothing.
    Stopping,
    /// Its last will: it went without a word.
    Offline,
}

/// `status`: retained, and the last will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Schema version.
    #[schemars(range(min = 1, max = 1))]
    pub v: u32,
    /// The gateway.
    pub owner: Arc<str>,
    /// One run of its process.
    #[serde(default)]
    pub session: Arc<str>,
    /// How it is.
    pub state: Presence,
    /// Version of its program.
    #[serde(default)]
    pub version: Arc<str>,
    /// Hash of the plan that it runs.
    #[serde(default)]
    pub plan_rev: Arc<str>,
    /// Its wall clock.
    #[serde(default)]
    pub clock: Timestamp,
    /// Newest record that its journal holds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_seq: Option<u64>,
}

/// `beat`: each second, made by the engine's tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Beat {
    /// Schema version.
    #[schemars(range(min = 1, max = 1))]
    pub v: u32,
    /// The gateway.
    pub owner: Arc<str>,
    /// One run of its process.
    #[serde(default)]
    pub session: Arc<str>,
    /// Ticks of the engine so far: it stands still where the engine hangs.
    pub tick: u64,
    /// Its wall clock.
    #[serde(default)]
    pub at: Timestamp,
    /// Its newest transition.
    #[serde(default)]
    pub last_seq: u64,
}

/// `acked`: what the centre has committed. The alarm cursor moves on nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acked {
    /// Schema version.
    #[schemars(range(min = 1, max = 1))]
    pub v: u32,
    /// The gateway.
    #[serde(default)]
    pub owner: Arc<str>,
    /// The highest `seq` that the centre holds without a gap.
    pub seq: u64,
    /// The hash of that record as the centre holds it: a gateway whose disk was replaced has
    /// another record of this `seq`, and knows by it that the centre speaks of its old journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Arc<str>>,
}

/// `resend`: the centre misses records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resend {
    /// Schema version.
    #[schemars(range(min = 1, max = 1))]
    pub v: u32,
    /// Everything after this `seq` is to be sent again.
    pub after: u64,
}

/// `snapshot/get`: the centre asks what stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotGet {
    /// Schema version.
    #[schemars(range(min = 1, max = 1))]
    pub v: u32,
}

/// Why bytes are not the record that they should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// Written by a newer version of the product.
    Newer(u64),
    /// Not such a record.
    Malformed(String),
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unreadable::Newer(v) => write!(
                f,
                "its schema version is {v}, this program knows {VERSION}: update this program"
            ),
            Unreadable::Malformed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Unreadable {}

/// Reads a record. Fields that this version does not know are ignored, a higher `v` is refused
/// (`formats.md`), whatever else such a record may hold.
///
/// # Errors
/// The bytes are not such a record, or of a newer version.
pub fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, Unreadable> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u64,
    }
    let malformed = |e: serde_json::Error| Unreadable::Malformed(one_line(&e.to_string()));
    let Versioned { v } = serde_json::from_slice(json).map_err(malformed)?;
    if v > u64::from(VERSION) {
        return Err(Unreadable::Newer(v));
    }
    serde_json::from_slice(json).map_err(malformed)
}

/// What came, as a message may quote it: a stranger's text is as long as it likes, with line feeds
/// that would forge lines of a log.
#[must_use]
pub fn one_line(message: &str) -> String {
    const LONGEST: usize = 200;
    let line = message
        .chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c });
    if message.chars().nth(LONGEST).is_none() {
        return line.collect();
    }
    line.take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_whatever_it_quotes() {
        let long = "x".repeat(100_000);
        for state in ["gone\\n2026-11-24 ERROR forged", long.as_str()] {
            let status = format!(r#"{{"v":1,"owner":"g","state":"{state}"}}"#);
            let refused = read::<Status>(status.as_bytes()).expect_err("refused");
            let line = refused.to_string();
            assert!(line.starts_with("unknown variant `"), "{line}");
            assert!(
                !line.contains('\n') && line.chars().count() <= 201,
                "{line}"
            );
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_a_higher_version_is_refused() {
        let acked = Acked {
            v: 1,
            owner: "gw-01".into(),
            seq: 7,
            hash: None,
        };
        let read = |json: &str| super::read::<Acked>(json.as_bytes());
        assert_eq!(
            read(r#"{"later":{"v":9},"v":1,"seq":7,"owner":"gw-01"}"#),
            Ok(acked)
        );
        // Even where a newer record has nothing in common with ours.
        for newer in [
            r#"{"v":2,"seq":7,"owner":"gw-01"}"#,
            r#"{"seq":"7 of 9","v":2}"#,
        ] {
            let refused = read(newer).expect_err(newer);
            assert_eq!(refused, Unreadable::Newer(2));
            assert_eq!(
                refused.to_string(),
                "its schema version is 2, this program knows 1: update this program"
            );
        }
        for malformed in ["", "{}", "[1]", r#"{"seq":7}"#, r#"{"v":-1,"seq":7}"#] {
            assert!(
                matches!(read(malformed), Err(Unreadable::Malformed(_))),
                "{malformed}"
            );
        }
    }
}
