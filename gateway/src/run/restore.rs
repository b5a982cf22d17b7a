//! What restart reads back: the engine's image and the transitions after it.

use davy_journal::Journal;
use davy_points::Timestamp;
use davy_rules::alarm::{self, Transition, Unreadable};
use davy_rules::engine::{EngineImage, Restored};

use super::StartError;

/// Transitions read at once.
const PAGE: usize = 10_000;

/// Reads what a restart needs.
pub(super) fn read(journal: &Journal) -> Result<Restored, StartError> {
    let image: Option<EngineImage> = match journal.image() {
        Some(bytes) => match alarm::read(&bytes) {
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
            let transition = alarm::read(record).map_err(|why| {
                StartError::Restore(match why {
                    Unreadable::Newer(_) => format!("record {seq} of the journal: {why}"),
                    Unreadable::Malformed(e) => format!(
                        "record {seq} of the journal is no transition ({e}); check it with `davy journal verify`"
                    ),
                })
            })?;
            transitions.push(transition);
        }
    }
    Ok(Restored {
        image,
        transitions,
        stopped_at: journal.alive_at().map(Timestamp),
        // Only whoever reads the clock can tell.
        wall_doubtful: false,
    })
}

#[cfg(test)]
mod tests {
    use davy_journal::Submission;
    use serde_json::json;

    use super::*;

    /// What a restart says of a journal with this image and this one record.
    fn restart(image: &str, record: &str) -> Result<Restored, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(dir.path(), "s1/gw-01").expect("opened");
        let handle = davy_journal::spawn(journal, Box::new(|_| {}));
        handle.submit(Submission {
            records: vec![(1, record.into())],
            image: Some(image.into()),
            alive_at: 0,
            audit: Vec::new(),
        });
        handle.stop().expect("stopped");
        let journal = Journal::open(dir.path(), "s1/gw-01").expect("opened");
        read(&journal).map_err(|e| e.to_string())
    }

    fn image(v: u32) -> String {
        json!({
            "v": v, "seq": 0, "taken_at": 0, "alarms": [], "counters": [], "orphans": [],
            "closed": [], "commands": [], "table_rev": 0, "newest": [], "gaps": [],
            "a_field_of_later": {"v": 9},
        })
        .to_string()
    }

    fn record(v: u32) -> String {
        let regions = json!({
            "condition": "normal", "eval": "known", "acked": false, "confirmed": false,
            "latched": false, "open": false, "masked": false, "audible": false,
        });
        json!({
            "v": v, "seq": 1, "site": "s1", "owner": "gw-01", "alarm": "table/LT/h",
            "rule": "table", "kind": "level", "tag": "LT", "hazard": "", "area": "", "level": "h",
            "priority": 2, "occurrence": "", "episode": "", "from": "NORMAL", "to": "NORMAL",
            "cause": "quality", "value": 1.0, "quality": 192, "limit": 2.0, "unit": "", "text": "",
            "guidance": "", "source_time": 0, "condition_start": null, "annunciated_at": null,
            "recorded_at": 0, "rule_rev": "", "plan_rev": "", "flags": [],
            "a_field_of_later": true, "regions": {"before": regions, "after": regions},
        })
        .to_string()
    }

    #[test]
    fn what_a_later_version_added_is_ignored_and_what_it_changed_is_refused() {
        let restored = restart(&image(1), &record(1)).expect("read");
        assert!(restored.image.is_some());
        assert_eq!(restored.transitions.len(), 1);
        // Without the image the journal alone must do.
        let restored = restart(&image(2), &record(1)).expect("read");
        assert!(restored.image.is_none());
        assert_eq!(restored.transitions.len(), 1);
        let refused = restart(&image(1), &record(2)).expect_err("refused");
        assert!(
            refused.contains(
                "record 1 of the journal: its schema version is 2, this program knows 1: update this program"
            ),
            "{refused}"
        );
    }
}
