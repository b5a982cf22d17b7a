//! What restart reads back: the engine's image and the transitions after it.

use davy_journal::Journal;
use davy_points::Timestamp;
use davy_rules::alarm::Transition;
use davy_rules::engine::{EngineImage, Restored};

use super::StartError;

/// Transitions read at once.
const PAGE: usize = 10_000;

/// Reads what a restart needs.
pub(super) fn read(journal: &Journal) -> Result<Restored, StartError> {
    let image: Option<EngineImage> = match journal.image() {
        Some(bytes) => match serde_json::from_slice(&bytes) {
            Ok(image) => Some(image),
            Err(e) => {
                // Without an image every transition is read: slower, and pendings are lost, which
                // the engine answers with a zero on-delay for the safety class.
                tracing::error!(
                    "the engine's image cannot be read, going by the journal alone: {e}"
                );
                None
            }
        },
        None => None,
    };
    let reader = journal.reader()?;
    let mut transitions: Vec<Transition> = Vec::new();
    let mut after = image.as_ref().map_or(0, |image| image.seq);
    loop {
        let page = reader.read_json(after, PAGE)?;
        let Some((last, _)) = page.last() else {
            break;
        };
        after = *last;
        for (seq, record) in &page {
            let transition = serde_json::from_slice(record).map_err(|e| {
                StartError::Restore(format!(
                    "record {seq} of the journal is no transition ({e}); check it with `davy journal verify`"
                ))
            })?;
            transitions.push(transition);
        }
    }
    Ok(Restored {
        image,
        transitions,
        stopped_at: journal.alive_at().map(Timestamp),
    })
}
