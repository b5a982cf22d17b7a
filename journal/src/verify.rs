//! Walking the chains of a journal, or of a copy of one, and naming the first link that broke.
//!
//! Lives here: [`verify`]. May not live here: repair; a journal is evidence. Read first:
//! [`Break`], which lists what can be wrong with a link.

use std::fmt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use crate::OpenError;
use crate::schema::JOURNAL;
use crate::seal::{self, Chain, Hash};

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Break {
    /// A sequence number is missing, or one stands where none was due.
    Gap,
    /// The stored bytes do not make the stored hash: the record was changed.
    Hash,
    /// `prev` is not the hash of the record before: that one was changed, taken out or put in.
    Prev,
    /// The bytes do not end as a sealed record does.
    Unsealed,
    /// The record says another sequence number than the one it is stored under.
    Sequence,
    /// The chain does not end where the journal noted that it ends: its last records are gone.
    End,
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Break::Gap => "sequence number",
            Break::Hash => "hash of the stored bytes",
            Break::Prev => "prev",
            Break::Unsealed => "end of the record",
            Break::Sequence => "sequence number inside the record",
            Break::End => "end of the chain",
        })
    }
}

/// The first link that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenLink {
    /// Sequence number of the record.
    pub seq: u64,
    /// What is wrong.
    pub what: Break,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl fmt::Display for BrokenLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BrokenLink {
            seq,
            what,
            expected,
            found,
        } = self;
        write!(
            f,
            "record {seq}: {what}: expected {expected}, found {found}"
        )
    }
}

/// One chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// `transitions`, `audit`, or `received OWNER`.
    pub chain: String,
    /// Links that hold, from the first.
    pub verified: u64,
    /// The hash of the last of them (of the owner's identity where there is none), to be held
    /// against what the other side of the wire has.
    pub tip: String,
    /// The first that does not; the walk ends there.
    pub broken: Option<BrokenLink>,
}

/// Every chain of a data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Whose journal it is.
    pub identity: String,
    /// Transitions, audit, then one for each owner from whom a centre received.
    pub chains: Vec<ChainReport>,
}

impl VerifyReport {
    /// Every link holds.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.first_broken().is_none()
    }

    /// The first link that does not hold, with its chain.
    #[must_use]
    pub fn first_broken(&self) -> Option<(&str, &BrokenLink)> {
        self.chains
            .iter()
            .find_map(|c| Some((c.chain.as_str(), c.broken.as_ref()?)))
    }
}

/// Walks every chain of the journal in `dir`, which may be in use or a copy, and changes
/// nothing.
///
/// # Errors
/// [`OpenError`] where the file cannot be read at all.
pub fn verify(dir: &Path) -> Result<VerifyReport, OpenError> {
    let db = JOURNAL.open_read(dir)?;
    let file = dir.join(JOURNAL.file);
    walk_all(&db).map_err(|e| OpenError::database(&file, &e))
}

fn walk_all(db: &Connection) -> rusqlite::Result<VerifyReport> {
    // One view of records and noted ends: the writer may be at work.
    let view = db.unchecked_transaction()?;
    let identity: String =
        view.query_row("SELECT value FROM meta WHERE key = 'identity'", [], |row| {
            row.get(0)
        })?;
    let mut chains = vec![
        own_chain(
            &view,
            "transitions",
            "transition",
            "seq",
            Chain::start(&identity),
        )?,
        own_chain(&view, "audit", "audit", "n", Chain::start_audit(&identity))?,
    ];
    let owners: Vec<String> = view
        .prepare("SELECT DISTINCT owner FROM received ORDER BY owner")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for owner in owners {
        chains.push(received_chain(&view, &owner)?);
    }
    Ok(VerifyReport { identity, chains })
}

fn own_chain(
    db: &Connection,
    name: &str,
    table: &str,
    key: &str,
    start: Chain,
) -> rusqlite::Result<ChainReport> {
    let mut walk = Walk::new(name, Some(start.tip()));
    let mut statement = db.prepare(&format!(
        "SELECT {key}, hash, bytes FROM \"{table}\" ORDER BY {key}"
    ))?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let seq = row.get::<_, i64>(0)?.unsigned_abs();
        let (hash, stored) = (row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?);
        let says = (table == "transition").then(|| says_seq(stored));
        if !walk.link(seq, hash, stored, says) {
            return Ok(walk.report);
        }
    }
    let noted: Option<(i64, Vec<u8>)> = db
        .query_row("SELECT n, hash FROM tip WHERE chain = ?1", [table], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (n, hash) = match noted {
        Some((n, hash)) => (n.unsigned_abs(), Hash::from_slice(&hash)),
        None => (0, Some(start.tip())),
    };
    if (walk.report.verified, walk.tip) != (n, hash) {
        let shown = |hash: Option<Hash>| hash.map_or_else(String::new, |h| h.to_string());
        let expected = format!("record {n} with hash {}", shown(hash));
        let last = walk.report.verified;
        let found = format!("record {last} with hash {}", shown(walk.tip));
        walk.broken(last, Break::End, expected, found);
    }
    Ok(walk.report)
}

fn received_chain(db: &Connection, owner: &str) -> rusqlite::Result<ChainReport> {
    let mut walk = Walk::new(&format!("received {owner}"), None);
    let mut statement =
        db.prepare("SELECT seq, hash, wire FROM received WHERE owner = ?1 ORDER BY seq")?;
    let mut found = statement.query([owner])?;
    while let Some(row) = found.next()? {
        let seq = row.get::<_, i64>(0)?.unsigned_abs();
        let wire = row.get_ref(2)?.as_blob()?;
        let held = match seal::unwire(wire) {
            Some((stored, claimed)) if row.get_ref(1)?.as_blob()? == claimed.0 => {
                walk.link(seq, &claimed.0, &stored, Some(says_seq(&stored)))
            }
            _ => walk.broken(
                seq,
                Break::Unsealed,
                "the hash that it was stored under at its end".to_owned(),
                ending(wire),
            ),
        };
        if !held {
            break;
        }
    }
    Ok(walk.report)
}

/// Where a walk stands.
struct Walk {
    report: ChainReport,
    /// None: any `prev` will do for the first record.
    tip: Option<Hash>,
}

impl Walk {
    fn new(chain: &str, tip: Option<Hash>) -> Walk {
        Walk {
            report: ChainReport {
                chain: chain.to_owned(),
                verified: 0,
                tip: tip.map_or_else(String::new, |t| t.to_string()),
                broken: None,
            },
            tip,
        }
    }

    /// One more link. `says`: the sequence number inside, where it must be there. False: broken.
    fn link(&mut self, seq: u64, hash: &[u8], stored: &[u8], says: Option<Option<u64>>) -> bool {
        let due = self.report.verified + 1;
        if seq != due {
            return self.broken(seq, Break::Gap, due.to_string(), seq.to_string());
        }
        let computed = Hash::of(stored);
        if hash != computed.0 {
            let noted = Hash::from_slice(hash)
                .map_or_else(|| format!("{} bytes", hash.len()), |h| h.to_string());
            return self.broken(seq, Break::Hash, noted, computed.to_string());
        }
        let Some((_, prev)) = seal::unseal(stored) else {
            return self.broken(
                seq,
                Break::Unsealed,
                "`prev` as the last field".to_owned(),
                ending(stored),
            );
        };
        if let Some(tip) = self.tip
            && prev != tip
        {
            return self.broken(seq, Break::Prev, tip.to_string(), prev.to_string());
        }
        if let Some(says) = says
            && says != Some(seq)
        {
            let found = says.map_or_else(|| "none".to_owned(), |n| n.to_string());
            return self.broken(seq, Break::Sequence, seq.to_string(), found);
        }
        self.tip = Some(computed);
        self.report.tip = computed.to_string();
        self.report.verified = seq;
        true
    }

    fn broken(&mut self, seq: u64, what: Break, expected: String, found: String) -> bool {
        self.report.broken = Some(BrokenLink {
            seq,
            what,
            expected,
            found,
        });
        false
    }
}

fn says_seq(record: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    serde_json::from_slice::<Numbered>(record)
        .ok()
        .map(|n| n.seq)
}

fn ending(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(24);
    format!(
        "…{}",
        String::from_utf8_lossy(&bytes[from..]).escape_debug()
    )
}
