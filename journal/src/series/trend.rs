//! A history thinned for drawing, that hides nothing an operator must see.
//!
//! Lives here: the choice of rows. May not live here: SQL. Read first: [`Thinner`].

use std::ops::ControlFlow;
use std::time::Duration;

use davy_points::Timestamp;

use super::{Row, SeriesReader};
use crate::StoreError;

/// A history for drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trend {
    /// Ascending in time.
    pub rows: Vec<Row>,
    /// Some rows were left out.
    pub thinned: bool,
}

impl SeriesReader {
    /// A point's rows with `from <= time <= to`: all of them where they are at most `max`, else
    /// about `max`, which are in each of `max / 4` equal spans the first, the last, the lowest
    /// and the highest, and beyond that number both sides of every change of quality, of every
    /// value that comes or goes, and of every gap longer than `gap`.
    ///
    /// # Errors
    /// [`StoreError`] where the file cannot be read.
    pub fn history_decimated(
        &self,
        tag: &str,
        from: Timestamp,
        to: Timestamp,
        max: usize,
        gap: Duration,
    ) -> Result<Trend, StoreError> {
        let mut raw = Vec::new();
        let mut thinner: Option<Thinner> = None;
        self.scan(tag, from, to, &mut |row| {
            match &mut thinner {
                Some(thinner) => thinner.take(row),
                None if raw.len() < max => raw.push(row),
                None => {
                    let mut new = Thinner::new(&raw, &row, to, max, gap);
                    raw.drain(..).for_each(|row| new.take(row));
                    new.take(row);
                    thinner = Some(new);
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(match thinner {
            None => Trend {
                rows: raw,
                thinned: false,
            },
            Some(thinner) => Trend {
                rows: thinner.finish(),
                thinned: true,
            },
        })
    }
}

/// Takes rows in ascending time, one span after another.
struct Thinner {
    from: i128,
    span: i128,
    gap: i64,
    at: i128,
    /// Rows of the span that are kept, in the order of time, doubles among them.
    kept: Vec<Row>,
    low: Option<(f64, Row)>,
    high: Option<(f64, Row)>,
    before: Option<Row>,
    out: Vec<Row>,
}

impl Thinner {
    fn new(raw: &[Row], next: &Row, to: Timestamp, max: usize, gap: Duration) -> Thinner {
        let from = i128::from(raw.first().unwrap_or(next).time.0);
        let spans = (max / 4).max(1) as i128;
        Thinner {
            from,
            // The last row may stand exactly at `to`.
            span: ((i128::from(to.0) - from) / spans + 1).max(1),
            gap: i64::try_from(gap.as_nanos()).unwrap_or(i64::MAX),
            at: 0,
            kept: Vec::new(),
            low: None,
            high: None,
            before: None,
            out: Vec::new(),
        }
    }

    fn take(&mut self, row: Row) {
        let at = (i128::from(row.time.0) - self.from) / self.span;
        if at != self.at || self.before.is_none() {
            self.close();
            self.at = at;
            self.kept.push(row.clone());
        }
        if let Some(before) = &self.before {
            let breaks = before.quality != row.quality
                || before.value.number().is_some() != row.value.number().is_some()
                || row.time.since(before.time) > self.gap;
            if breaks {
                // Where the row opens its span, the one before has closed the last.
                if self.kept.last().is_some_and(|k| k.time < before.time) {
                    self.kept.push(before.clone());
                }
                self.kept.push(row.clone());
            }
        }
        if let Some(v) = row.value.number().filter(|v| v.is_finite()) {
            if self.low.as_ref().is_none_or(|(low, _)| v < *low) {
                self.low = Some((v, row.clone()));
            }
            if self.high.as_ref().is_none_or(|(high, _)| v > *high) {
                self.high = Some((v, row.clone()));
            }
        }
        self.before = Some(row);
    }

    fn close(&mut self) {
        self.kept.extend(self.before.clone());
        self.kept.extend(self.low.take().map(|(_, row)| row));
        self.kept.extend(self.high.take().map(|(_, row)| row));
        self.kept.sort_by_key(|row| row.time);
        self.kept.dedup_by_key(|row| row.time);
        self.out.append(&mut self.kept);
    }

    fn finish(mut self) -> Vec<Row> {
        self.close();
        self.out
    }
}
