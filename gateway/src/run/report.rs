//! Report by exception: what of an unchanged value history needs. Off unless the point sets it.
//!
//! Rules see every sample; only the store is spared. A sample is stored where it moved by more
//! than the point's deadband, where its quality changed, and after a silence in any case.

use davy_points::{PointTable, Quality, Sample, Timestamp};

/// A value that stands still is stored once in this time, so that a trend has no hole.
const SILENCE_MAX_NS: i64 = 60_000_000_000;

#[derive(Debug)]
pub(super) struct Report {
    /// Empty where no point has a deadband.
    points: Vec<Option<Reported>>,
}

#[derive(Debug, Clone)]
struct Reported {
    deadband: f64,
    last: Option<(Option<f64>, Quality, Timestamp)>,
}

impl Report {
    pub(super) fn new(table: &PointTable) -> Report {
        let any = table.iter().any(|(_, def)| def.report_deadband.is_some());
        let of = |deadband: f64| Reported {
            deadband,
            last: None,
        };
        Report {
            points: if any {
                table
                    .iter()
                    .map(|(_, def)| def.report_deadband.map(of))
                    .collect()
            } else {
                Vec::new()
            },
        }
    }

    /// True where the sample is stored.
    pub(super) fn keeps(&mut self, sample: &Sample, quality: Quality) -> bool {
        let Some(Some(point)) = self.points.get_mut(sample.point.index()) else {
            return true;
        };
        let number = sample.value.number();
        let keep = match (point.last, number) {
            (Some((Some(before), q, at)), Some(now)) => {
                q != quality
                    || (now - before).abs() > point.deadband
                    || sample.source_time.since(at) >= SILENCE_MAX_NS
                    || sample.source_time < at
            }
            (Some((None, q, at)), None) => {
                q != quality || sample.source_time.since(at) >= SILENCE_MAX_NS
            }
            _ => true,
        };
        if keep {
            point.last = Some((number, quality, sample.source_time));
        }
        keep
    }
}
