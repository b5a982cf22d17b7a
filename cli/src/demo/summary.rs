//! What a demo ends with (`formats.md` section 7). What was lost is not what somebody counted: the
//! gateways' own stores and the centre's are read back from disk and held against each other.

use std::ops::ControlFlow;
use std::path::Path;

use davy_gateway::Stats;
use davy_journal::{JournalReader, ReceivedReader, SeriesReader};
use davy_points::{Quality, Timestamp, Value};
use schemars::JsonSchema;
use serde::Serialize;

use crate::run::Parts;

/// The last line of `davy demo --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Summary {
    #[schemars(range(min = 1, max = 1))]
    v: u32,
    pub(super) seconds: f64,
    pub(super) samples: u64,
    pub(super) samples_bad: u64,
    gaps: u64,
    pub(super) transitions: u64,
    alarms: Alarms,
    delivered: Delivered,
    pub(super) lost: u64,
    pub(super) journal_verified: bool,
}

/// Entries to UNACK, acknowledgements and returns since the start.
#[derive(Debug, Serialize, JsonSchema)]
struct Alarms {
    unack: u64,
    acked: u64,
    returned: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Delivered {
    history: u64,
    transitions: u64,
}

/// What the stopped parts told.
pub(super) struct Told {
    gateways: Vec<(String, Stats)>,
}

/// Stops everything, the gateways first, and keeps what they counted.
pub(super) async fn stop(parts: Parts) -> Told {
    let stopping = parts.gateways.into_iter().map(|gateway| {
        tokio::spawn(async move { (gateway.id().to_owned(), gateway.stop().await) })
    });
    let mut gateways = Vec::new();
    for stopped in stopping.collect::<Vec<_>>() {
        // A gateway that panicked while it stopped shows as lost below.
        if let Ok(told) = stopped.await {
            gateways.push(told);
        }
    }
    if let Some(center) = parts.center {
        center.stop().await;
    }
    Told { gateways }
}

impl Told {
    /// The summary, with the disks read back.
    pub(super) fn finish(&self, seconds: f64, data: &Path) -> Summary {
        let sum = |of: fn(&Stats) -> u64| self.gateways.iter().map(|(_, s)| of(s)).sum();
        let center = data.join("center");
        let lost = self.gateways.iter().map(|(id, stats)| {
            let dir = data.join(id);
            lost_rows(&dir, &center).unwrap_or(stats.rows_stored)
                + lost_transitions(id, &dir, &center).unwrap_or(stats.last_seq)
                + stats.lost
        });
        let verified = self
            .gateways
            .iter()
            .map(|(id, _)| data.join(id))
            .chain([center.clone()])
            .all(|dir| davy_journal::verify(&dir).is_ok_and(|report| report.is_whole()));
        Summary {
            v: 1,
            seconds: (seconds * 10.0).round() / 10.0,
            samples: sum(|s| s.samples),
            samples_bad: sum(|s| s.samples_bad),
            gaps: sum(|s| s.gaps),
            transitions: sum(|s| s.transitions),
            alarms: Alarms {
                unack: sum(|s| s.annunciated),
                acked: sum(|s| s.acks),
                returned: sum(|s| s.returns),
            },
            delivered: Delivered {
                history: sum(|s| s.history_delivered_center),
                transitions: sum(|s| s.transitions_delivered),
            },
            lost: lost.sum(),
            journal_verified: verified,
        }
    }
}

/// Transitions in the gateway's journal that the centre's does not hold.
fn lost_transitions(id: &str, gateway: &Path, center: &Path) -> Option<u64> {
    let made = JournalReader::open(gateway).ok()?.last_seq().ok()?;
    let owners = ReceivedReader::open(center).ok()?.owners().ok()?;
    let had = owners
        .iter()
        .find(|(owner, _)| owner == id)
        .map_or(0, |(_, last)| *last);
    Some(made.saturating_sub(had))
}

/// Rows in the gateway's series that the centre's does not hold with the same value and quality.
fn lost_rows(gateway: &Path, center: &Path) -> Option<u64> {
    let (ours, theirs) = (
        SeriesReader::open(gateway).ok()?,
        SeriesReader::open(center).ok()?,
    );
    let mut lost = 0;
    for (tag, _) in ours.points().ok()? {
        let there = rows(&theirs, &tag)?;
        let here = rows(&ours, &tag)?;
        lost += here.iter().filter(|row| !there.contains(row)).count() as u64;
    }
    Some(lost)
}

/// A point's rows with all that the wire carries of them: time, bits of the value, quality.
fn rows(
    series: &SeriesReader,
    tag: &str,
) -> Option<std::collections::HashSet<(Timestamp, Option<u64>, Quality)>> {
    let mut rows = std::collections::HashSet::new();
    let all = (Timestamp(i64::MIN), Timestamp(i64::MAX));
    series
        .scan(tag, all.0, all.1, &mut |row| {
            let bits = match &row.value {
                Value::NoData(_) | Value::Text(_) => None,
                number => number.number().filter(|n| n.is_finite()).map(f64::to_bits),
            };
            rows.insert((row.time, bits, row.quality));
            ControlFlow::Continue(())
        })
        .ok()?;
    Some(rows)
}
