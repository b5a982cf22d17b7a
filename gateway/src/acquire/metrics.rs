//! What acquisition counts. Per source, never per tag (`acquisition.md` section 3: at most 40
//! series a device). Handles are looked up once.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::modbus::Exception;

/// All metrics of acquisition.
#[derive(Debug, Clone)]
pub struct AcquireMetrics {
    polls: IntCounterVec,
    timeouts: IntCounterVec,
    exceptions: IntCounterVec,
    protocol_errors: IntCounterVec,
    garbage: IntCounterVec,
    swallowed: IntCounterVec,
    dials: IntCounterVec,
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    missed_ticks: IntCounterVec,
    torn: IntCounterVec,
    queue_full: IntCounterVec,
    up: IntGaugeVec,
    lateness: HistogramVec,
    round_trip: HistogramVec,
}

impl AcquireMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// The registry holds one of the names already.
    pub fn new(registry: &Registry) -> prometheus::Result<AcquireMetrics> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let c = IntCounterVec::new(Opts::new(format!("davy_modbus_{name}"), help), labels)?;
            registry.register(Box::new(c.clone()))?;
            prometheus::Result::Ok(c)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let h = HistogramVec::new(
                HistogramOpts::new(format!("davy_modbus_{name}"), help).buckets(buckets.to_vec()),
                &["source"],
            )?;
            registry.register(Box::new(h.clone()))?;
            prometheus::Result::Ok(h)
        };
        let up = IntGaugeVec::new(
            Opts::new("davy_modbus_up", "1: the source gives data"),
            &["source"],
        )?;
        registry.register(Box::new(up.clone()))?;
        let s = &["source"];
        Ok(AcquireMetrics {
            polls: counter("polls_total", "Requests sent", s)?,
            timeouts: counter("timeouts_total", "Requests without an answer in time", s)?,
            exceptions: counter(
                "exceptions_total",
                "Exceptions by code",
                &["source", "code"],
            )?,
            protocol_errors: counter("protocol_errors_total", "Answers that broke the link", s)?,
            garbage: counter("garbage_bytes_total", "Bytes that were no frame", s)?,
            swallowed: counter("swallowed_frames_total", "Late or duplicate frames", s)?,
            dials: counter("dials_total", "Attempts to connect", s)?,
            bytes_in: counter("received_bytes_total", "Bytes received", s)?,
            bytes_out: counter("sent_bytes_total", "Bytes sent", s)?,
            missed_ticks: counter("missed_ticks_total", "Scans skipped for lack of time", s)?,
            torn: counter(
                "torn_scans_total",
                "Scans whose row changed while it was read",
                s,
            )?,
            queue_full: counter("queue_full_total", "Waits for the engine's queue", s)?,
            up,
            lateness: histogram(
                "lateness_seconds",
                "Start of a scan after its grid time",
                &[0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1.0],
            )?,
            round_trip: histogram(
                "round_trip_seconds",
                "From request to answer",
                &[0.0002, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0],
            )?,
        })
    }

    /// The handles of one source.
    pub(crate) fn source(&self, id: &str) -> SourceMetrics {
        let l = &[id];
        SourceMetrics {
            id: id.into(),
            polls: self.polls.with_label_values(l),
            timeouts: self.timeouts.with_label_values(l),
            exceptions: self.exceptions.clone(),
            protocol_errors: self.protocol_errors.with_label_values(l),
            garbage: self.garbage.with_label_values(l),
            swallowed: self.swallowed.with_label_values(l),
            dials: self.dials.with_label_values(l),
            bytes_in: self.bytes_in.with_label_values(l),
            bytes_out: self.bytes_out.with_label_values(l),
            missed_ticks: self.missed_ticks.with_label_values(l),
            torn: self.torn.with_label_values(l),
            queue_full: self.queue_full.with_label_values(l),
            up: self.up.with_label_values(l),
            lateness: self.lateness.with_label_values(l),
            round_trip: self.round_trip.with_label_values(l),
        }
    }
}

/// The handles of one source.
#[derive(Debug)]
pub(crate) struct SourceMetrics {
    id: Box<str>,
    pub(crate) polls: IntCounter,
    pub(crate) timeouts: IntCounter,
    exceptions: IntCounterVec,
    pub(crate) protocol_errors: IntCounter,
    pub(crate) garbage: IntCounter,
    pub(crate) swallowed: IntCounter,
    pub(crate) dials: IntCounter,
    pub(crate) bytes_in: IntCounter,
    pub(crate) bytes_out: IntCounter,
    pub(crate) missed_ticks: IntCounter,
    pub(crate) torn: IntCounter,
    pub(crate) queue_full: IntCounter,
    pub(crate) up: IntGauge,
    pub(crate) lateness: Histogram,
    pub(crate) round_trip: Histogram,
}

impl SourceMetrics {
    /// Rare, so it is looked up.
    pub(crate) fn exception(&self, exception: Exception) {
        self.exceptions
            .with_label_values(&[&self.id, exception.name()])
            .inc();
    }
}
