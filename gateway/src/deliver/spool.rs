//! From the spool to bodies of lines: reading and encoding, on a blocking thread.
//!
//! Lives here: rows and alarms to line protocol. May not live here: sockets, cursors.

use std::collections::HashMap;
use std::sync::Arc;

use davy_journal::{JournalReader, SeriesPoint, SeriesReader, StoreError};
use davy_points::{PointTable, Quality, Timestamp};
use davy_rules::alarm::{Label, Transition};

use super::lineprotocol::{Field, Lines, SeriesKey};

/// A body holds at most so many lines …
const BODY_LINES: usize = 5_000;
/// … and about so many bytes.
const BODY_BYTES: usize = 1024 * 1024 - 8 * 1024;
/// Rows asked of the spool at once.
const READ_ROWS: usize = 20_000;
/// Transitions asked of the journal at once.
const READ_ALARMS: usize = 2_000;

/// Bodies to send, and where the cursor stands once they all are.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) upto: u64,
}

/// Reads what a lane sends.
pub(crate) struct Spool {
    pub(crate) site: Arc<str>,
    pub(crate) gateway: Arc<str>,
    pub(crate) table: Arc<PointTable>,
    pub(crate) series: SeriesReader,
    pub(crate) alarms: Option<JournalReader>,
    keys: HashMap<SeriesPoint, SeriesKey>,
}

impl Spool {
    pub(crate) fn new(
        site: Arc<str>,
        gateway: Arc<str>,
        table: Arc<PointTable>,
        series: SeriesReader,
        alarms: Option<JournalReader>,
    ) -> Spool {
        Spool {
            site,
            gateway,
            table,
            series,
            alarms,
            keys: HashMap::new(),
        }
    }

    /// Lines of the batches after this one; none: there are none.
    pub(crate) fn history(&mut self, after: u64) -> Result<Option<Load>, StoreError> {
        let batches = self.series.batches(after, READ_ROWS)?;
        let Some(upto) = batches.last().map(|(id, _)| *id) else {
            return Ok(None);
        };
        let mut bodies = Bodies::default();
        for (_, rows) in batches {
            for row in rows {
                // A test, ours or the device's own: it stays here, and the cursor moves on.
                if row.quality == Quality::UncertainTest {
                    continue;
                }
                if !self.keys.contains_key(&row.point) {
                    self.read_keys()?;
                }
                match self.keys.get(&row.point) {
                    Some(key) => bodies.add(|lines| {
                        lines.sample(key, &row.value, row.quality, row.time);
                    }),
                    // The tag is stored with the first rows that need it: it cannot be missing.
                    None => tracing::error!(point = ?row.point, "a stored row has no tag"),
                }
            }
        }
        Ok(Some(bodies.load(upto)))
    }

    /// Lines of the transitions after this sequence; none: there are none, or no mirror.
    pub(crate) fn alarms(&mut self, after: u64) -> Result<Option<Load>, StoreError> {
        let Some(reader) = &self.alarms else {
            return Ok(None);
        };
        let records = reader.read_json(after, READ_ALARMS)?;
        let Some(upto) = records.last().map(|(seq, _)| *seq) else {
            return Ok(None);
        };
        let mut bodies = Bodies::default();
        for (seq, record) in records {
            match davy_rules::alarm::read::<Transition>(&record) {
                Ok(t) => bodies.add(|lines| mirror(&t, lines)),
                Err(e) => tracing::error!(seq, "a record of the journal is no transition: {e}"),
            }
        }
        Ok(Some(bodies.load(upto)))
    }

    fn read_keys(&mut self) -> Result<(), StoreError> {
        for (tag, point) in self.series.points()? {
            // A tag that the plan no longer has is still history.
            let def = self.table.find(&tag).map(|ix| self.table.point(ix));
            let (class, hazard) = def.map_or(("", ""), |d| (&*d.class, &*d.hazard));
            self.keys.entry(point).or_insert_with(|| {
                SeriesKey::new(
                    class,
                    &[
                        ("site", &self.site),
                        ("gateway", &self.gateway),
                        ("hazard", hazard),
                        ("tag", &tag),
                    ],
                )
            });
        }
        Ok(())
    }
}

#[derive(Default)]
struct Bodies {
    full: Vec<Vec<u8>>,
    lines: Lines,
}

impl Bodies {
    fn add(&mut self, write: impl FnOnce(&mut Lines)) {
        write(&mut self.lines);
        if self.lines.count() >= BODY_LINES || self.lines.len() >= BODY_BYTES {
            self.full.push(self.lines.take());
        }
    }

    fn load(mut self, upto: u64) -> Load {
        if !self.lines.is_empty() {
            self.full.push(self.lines.take());
        }
        Load {
            bodies: self.full,
            upto,
        }
    }
}

/// An alarm as a line (`formats.md` section 5): the state as a number, because some engines store
/// a text as 0, and 0 is never a valid code.
fn mirror(t: &Transition, lines: &mut Lines) {
    let key = SeriesKey::new(
        "alarm",
        &[
            ("site", &t.site),
            ("gateway", &t.owner),
            ("hazard", &t.hazard),
            ("tag", &t.tag),
            ("rule", &t.rule),
            ("level", t.level.name()),
        ],
    );
    let state = match t.to {
        Label::Normal => 1,
        Label::Unack => 2,
        Label::Acked => 3,
        Label::RtnUnack => 4,
        Label::LatchUnack => 5,
        Label::LatchAck => 6,
        Label::Shelved => 7,
        Label::Suppressed => 8,
        Label::OutOfService => 9,
    };
    let value = t
        .value
        .number()
        .map_or(Field::Float(f64::NAN), Field::Float);
    // Two transitions of one alarm in one instant have one series key: without these few
    // nanoseconds the store would keep only the second. The same record gives the same time.
    #[allow(clippy::cast_possible_wrap)] // below 1000
    let time = Timestamp(t.recorded_at.ns() + (t.seq % 1000) as i64);
    lines.line(
        &key,
        &[
            ("state", Field::Int(state)),
            ("priority", Field::Int(i64::from(t.priority.get()))),
            ("value", value),
            ("q", Field::Int(i64::from(t.quality.code()))),
            ("occurrence", Field::Text(&t.occurrence)),
        ],
        time,
    );
}
