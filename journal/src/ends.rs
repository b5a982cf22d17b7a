//! Where the chains of a journal end, and the row that makes each one longer.
//!
//! Lives here: the rows of `transition` and `audit`, and `tip` as it is read. May not live
//! here: transactions (`transitions`), the walk over a whole chain (`verify`). Read first: [`read_ends`].

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::seal::{self, Chain, Hash, Sealed};
use crate::{OpenError, StoreError};

/// Where both chains end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) last_seq: u64,
    pub(crate) transitions: Chain,
    pub(crate) audit_len: u64,
    pub(crate) audit: Chain,
}

/// Reads where both chains end, and holds it against what was written of it beside them.
pub(crate) fn read_ends(db: &Connection, identity: &str) -> Result<Ends, EndFault> {
    let (last_seq, tip) = read_end(db, "transition", "seq")?;
    let (audit_len, audit_tip) = read_end(db, "audit", "n")?;
    Ok(Ends {
        last_seq,
        transitions: tip.map_or_else(|| Chain::start(identity), Chain::after),
        audit_len,
        audit: audit_tip.map_or_else(|| Chain::start_audit(identity), Chain::after),
    })
}

fn read_end(db: &Connection, chain: &str, key: &str) -> Result<(u64, Option<Hash>), EndFault> {
    let last: Option<(i64, Vec<u8>, Vec<u8>)> = db
        .query_row(
            &format!("SELECT {key}, hash, bytes FROM \"{chain}\" ORDER BY {key} DESC LIMIT 1"),
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let noted: Option<(i64, Vec<u8>)> = db
        .query_row("SELECT n, hash FROM tip WHERE chain = ?1", [chain], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (n, hash) = match (last, noted) {
        (None, None) => return Ok((0, None)),
        (Some((n, hash, bytes)), Some(noted)) if (n, &hash) == (noted.0, &noted.1) => {
            let hash = Hash::from_slice(&hash).filter(|h| *h == Hash::of(&bytes));
            (n, hash)
        }
        (_, Some((n, _))) => (n, None),
        (Some((n, ..)), None) => (n, None),
    };
    match hash {
        Some(hash) => Ok((n.unsigned_abs(), Some(hash))),
        None => Err(EndFault::Damage(format!(
            "the {chain} chain does not end in record {n} as it was written"
        ))),
    }
}

pub(crate) fn append_record(
    tx: &Transaction<'_>,
    file: &Path,
    ends: &mut Ends,
    seq: u64,
    record: &[u8],
) -> Result<Sealed, StoreError> {
    let fault = |e: rusqlite::Error| StoreError::database(file, &e);
    if seq == 0 || seq > ends.last_seq + 1 {
        return Err(StoreError::Gap {
            expected: ends.last_seq + 1,
            found: seq,
        });
    }
    if seq <= ends.last_seq {
        let (hash, stored): (Vec<u8>, Vec<u8>) = tx
            .prepare_cached("SELECT hash, bytes FROM \"transition\" WHERE seq = ?1")
            .and_then(|mut s| s.query_row([seq as i64], |r| Ok((r.get(0)?, r.get(1)?))))
            .map_err(fault)?;
        return match (seal::unseal(&stored), Hash::from_slice(&hash)) {
            (Some((same, _)), Some(hash)) if same == record => Ok(Sealed {
                seq,
                wire: seal::wire(&stored, hash),
            }),
            _ => Err(StoreError::Rewritten(seq)),
        };
    }
    let link = ends
        .transitions
        .seal(record)
        .map_err(|why| StoreError::NotARecord { seq, why })?;
    tx.prepare_cached("INSERT INTO \"transition\"(seq, hash, bytes) VALUES (?1, ?2, ?3)")
        .and_then(|mut s| s.execute(params![seq as i64, &link.hash.0[..], link.stored]))
        .map_err(fault)?;
    ends.last_seq = seq;
    Ok(Sealed {
        seq,
        wire: seal::wire(&link.stored, link.hash),
    })
}

pub(crate) fn append_audit(
    tx: &Transaction<'_>,
    file: &Path,
    ends: &mut Ends,
    entry: &[u8],
) -> Result<(), StoreError> {
    let link = ends
        .audit
        .seal(entry)
        .map_err(|why| StoreError::NotARecord { seq: 0, why })?;
    ends.audit_len += 1;
    tx.prepare_cached("INSERT INTO audit(n, hash, bytes) VALUES (?1, ?2, ?3)")
        .and_then(|mut s| {
            s.execute(params![
                ends.audit_len as i64,
                &link.hash.0[..],
                link.stored
            ])
        })
        .map_err(|e| StoreError::database(file, &e))?;
    Ok(())
}

/// A database error or a contradiction in the file.
pub(crate) enum EndFault {
    Sql(rusqlite::Error),
    Damage(String),
}

impl From<rusqlite::Error> for EndFault {
    fn from(e: rusqlite::Error) -> EndFault {
        EndFault::Sql(e)
    }
}

impl EndFault {
    pub(crate) fn open(self, file: &Path) -> OpenError {
        match self {
            EndFault::Sql(e) => OpenError::database(file, &e),
            EndFault::Damage(detail) => OpenError::Corrupt {
                file: file.to_path_buf(),
                detail,
            },
        }
    }

    pub(crate) fn store(self, file: &Path) -> StoreError {
        match self {
            EndFault::Sql(e) => StoreError::database(file, &e),
            EndFault::Damage(detail) => StoreError::Corrupt {
                file: file.to_path_buf(),
                detail,
            },
        }
    }
}
