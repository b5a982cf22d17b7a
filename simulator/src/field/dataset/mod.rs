//! Recorded plant data, row by row, served so that nothing is read twice or missed.
//!
//! Lives here: readers of the public data sets (`skab`, `3w`, `tep`), the step-locked devices that
//! serve them over Modbus and MQTT, and the site that reads them. May not live here: judgement of the
//! data; an empty cell stays empty, a frozen one frozen. Read first: [`Dataset`], [`StepLock`].

mod publisher;
mod site;
mod step_lock;
mod text;

pub use publisher::{Layout, MqttReplay, MqttReplayConfig, Rewind};
pub use site::{DatasetSite, StuckRule, Transport};
pub use step_lock::StepLock;
pub use text::DatasetError;

use davy_points::Timestamp;

/// A table of numbers over time. Times rise strictly.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Short name, in small letters, digits and `-`.
    pub name: String,
    /// Names of the measurements as the file has them.
    pub columns: Vec<String>,
    /// A time, and a value for each column or none.
    pub rows: Vec<(Timestamp, Vec<Option<f64>>)>,
    /// What people said of the rows (`anomaly`, `class`): not measured, so not served.
    pub labels: Vec<(String, Vec<Option<f64>>)>,
}

impl Dataset {
    /// How many cells hold a number.
    #[must_use]
    pub fn finite(&self) -> usize {
        self.rows
            .iter()
            .map(|(_, values)| values.iter().flatten().count())
            .sum()
    }

    /// The series of one column.
    pub fn series(&self, column: usize) -> impl Iterator<Item = (Timestamp, Option<f64>)> + '_ {
        self.rows
            .iter()
            .map(move |(time, values)| (*time, values.get(column).copied().flatten()))
    }

    /// The first rows alone, for a short test.
    #[must_use]
    pub fn head(mut self, rows: usize) -> Dataset {
        self.rows.truncate(rows);
        for (_, labels) in &mut self.labels {
            labels.truncate(rows);
        }
        self
    }

    /// The commonest distance between two rows, in ns.
    #[must_use]
    pub fn step_ns(&self) -> i64 {
        let mut steps: Vec<i64> = self
            .rows
            .windows(2)
            .map(|pair| pair[1].0.since(pair[0].0))
            .collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied().unwrap_or(1_000_000_000)
    }

    /// The tag of a column in the sites made from this set.
    #[must_use]
    pub fn tag(&self, column: usize) -> String {
        let plain = |c: char| {
            if c.is_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '_'
            }
        };
        let name: String = self.columns[column].chars().map(plain).collect();
        format!("{}.{name}", self.name)
    }
}
