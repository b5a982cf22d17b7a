//! What a gateway has done since it started, for the demo's summary (`formats.md` section 7).

use std::collections::HashMap;
use std::sync::Arc;

use davy_rules::alarm::{Cause, Label, StandingAlarm, Transition};

use crate::metrics::Metrics;

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Samples judged.
    pub samples: u64,
    /// Of them, stored as Bad.
    pub samples_bad: u64,
    /// Times that a source went away.
    pub gaps: u64,
    /// Transitions made.
    pub transitions: u64,
    /// Alarms that stand UNACK now.
    pub unack: u64,
    /// Alarms that stand ACKED now.
    pub acked: u64,
    /// Alarms that stand RTN_UNACK now.
    pub returned: u64,
    /// Annunciations: entries to UNACK.
    pub annunciated: u64,
    /// Acknowledgements applied.
    pub acks: u64,
    /// Returns to normal, acknowledged or not.
    pub returns: u64,
    /// Lines that sinks have taken, all sinks together.
    pub history_delivered: u64,
    /// Lines that the centre has taken.
    pub history_delivered_center: u64,
    /// Transitions that the centre has committed, by its own word.
    pub transitions_delivered: u64,
    /// Rows durable in the series.
    pub rows_stored: u64,
    /// Rows given up and lines refused for good: anything lost shows here.
    pub lost: u64,
    /// Failed attempts to deliver.
    pub retries: u64,
    /// Newest sequence that the journal has made.
    pub last_seq: u64,
    /// Newest sequence that the centre has committed.
    pub acked_seq: u64,
}

/// What the engine thread counts by alarm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) unack: u64,
    pub(crate) acked: u64,
    pub(crate) returned: u64,
    pub(crate) annunciated: u64,
    pub(crate) acks: u64,
    pub(crate) returns: u64,
    pub(crate) last_seq: u64,
}

/// Keeps the tally by what transitions say.
#[derive(Debug, Default)]
pub(crate) struct Tallying {
    labels: HashMap<Arc<str>, Label>,
    pub(crate) tally: Tally,
}

impl Tallying {
    pub(crate) fn begin(&mut self, standing: &[StandingAlarm], last_seq: u64) {
        self.tally.last_seq = last_seq;
        for alarm in standing {
            self.stand(&alarm.last);
        }
    }

    pub(crate) fn count(&mut self, t: &Transition) {
        self.stand(t);
        self.tally.last_seq = t.seq;
        self.tally.annunciated += u64::from(t.to == Label::Unack && t.from != Label::Unack);
        self.tally.acks += u64::from(t.cause == Cause::Ack);
        self.tally.returns += u64::from(t.cause == Cause::Returned);
    }

    fn stand(&mut self, t: &Transition) {
        let before = if t.to == Label::Normal {
            self.labels.remove(&t.alarm)
        } else {
            self.labels.insert(t.alarm.clone(), t.to)
        };
        if let Some(n) = before.and_then(|label| self.number(label)) {
            *n = n.saturating_sub(1);
        }
        if let Some(n) = self.number(t.to) {
            *n += 1;
        }
    }

    fn number(&mut self, label: Label) -> Option<&mut u64> {
        match label {
            Label::Unack => Some(&mut self.tally.unack),
            Label::Acked => Some(&mut self.tally.acked),
            Label::RtnUnack => Some(&mut self.tally.returned),
            _ => None,
        }
    }
}

impl Stats {
    pub(super) fn of(metrics: &Metrics, tally: &Tally, acked_at_start: u64) -> Stats {
        let sum = |counters: &prometheus::IntCounterVec| -> u64 {
            use prometheus::core::Collector;
            let value = |m: &prometheus::proto::Metric| m.get_counter().get_value();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts
            let whole = |v: f64| v as u64;
            counters
                .collect()
                .iter()
                .flat_map(|family| family.get_metric().iter().map(value))
                .map(whole)
                .sum()
        };
        let acked_seq = metrics.acked_seq.get().max(0).unsigned_abs();
        Stats {
            samples: metrics.samples.get(),
            samples_bad: metrics.samples_bad.get(),
            gaps: metrics.gaps.get(),
            transitions: metrics.transitions.get(),
            unack: tally.unack,
            acked: tally.acked,
            returned: tally.returned,
            annunciated: tally.annunciated,
            acks: tally.acks,
            returns: tally.returns,
            history_delivered: sum(&metrics.lines_delivered),
            history_delivered_center: metrics
                .lines_delivered
                .with_label_values(&[super::CENTER_SINK])
                .get(),
            transitions_delivered: acked_seq.saturating_sub(acked_at_start),
            rows_stored: metrics.rows_stored.get(),
            lost: metrics.rows_shed.get() + sum(&metrics.dead_letters),
            retries: sum(&metrics.retries),
            last_seq: tally.last_seq,
            acked_seq,
        }
    }
}
