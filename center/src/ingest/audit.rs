//! Commands as the audit keeps them: each becomes an entry when it is given and when it is
//! answered, and a restart folds them back.

use davy_points::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::commands::CommandRecord;

/// What the audit keeps of a command: the whole record, and when it became so.
#[derive(Serialize, Deserialize)]
struct AuditEntry {
    kind: String,
    at: Timestamp,
    #[serde(flatten)]
    record: CommandRecord,
}

/// An entry for the chain.
pub(crate) fn entry(record: &CommandRecord, at: Timestamp) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&AuditEntry {
        kind: "command".to_owned(),
        at,
        record: record.clone(),
    })
}

/// The command that an audit entry is about; none for entries of another kind.
pub(crate) fn command(entry: &[u8]) -> Option<CommandRecord> {
    let entry: AuditEntry = serde_json::from_slice(entry).ok()?;
    (entry.kind == "command").then_some(entry.record)
}
