//! Remembers: the durable transition log and the series, the hash chain, cursors, recovery.
//!
//! Lives here: SQLite files and what is in them. May not live here: what a record means (it is
//! JSON bytes here), sockets, the clock of the plant. Read first: [`Journal`] and
//! [`Journal::append`], then [`spawn`] and [`JournalEvent`], then [`Series`].
//!
//! A data directory holds `journal.db` (transitions, audit, cursors, image; every commit is
//! fsynced), `series.db` (samples), `journal.reserve` (space kept for alarms on a full disk)
//! and the lock files of the process that has it open.

mod ends;
mod error;
mod export;
mod lock;
mod reader;
mod received;
mod reserve;
mod schema;
pub mod seal;
mod series;
mod torn;
mod transitions;
mod verify;
mod writer;

pub use error::{OpenError, StoreError};
pub use export::{ExportError, ExportFormat, Store, export, quarantine};
pub use reader::JournalReader;
pub use received::{Received, ReceivedLog, ReceivedReader, ReceivedRecord, SeqGap};
pub use seal::{Chain, Hash, Sealed};
pub use series::{Compacted, Row, Series, SeriesOptions, SeriesPoint, SeriesReader, Trend};
pub use transitions::{Journal, JournalOptions, Submission};
pub use verify::{Break, BrokenLink, ChainReport, VerifyReport, verify};
pub use writer::{
    CommitGate, JournalEvent, JournalHandle, SpawnOptions, Unsaved, spawn, spawn_with,
};
