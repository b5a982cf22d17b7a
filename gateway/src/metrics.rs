//! What a gateway counts of itself, for `/metrics` and for the demo's summary.
//!
//! Lives here: one registry per gateway, every queue's depth by its name. May not live here:
//! labels per tag (`acquisition.md` section 3: at most 40 series a device).

use prometheus::{
    Encoder, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::mqtt::Reject;

/// Counters and gauges of one gateway.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// Samples judged.
    pub samples: IntCounter,
    /// Samples whose stored quality is Bad.
    pub samples_bad: IntCounter,
    /// Times that a source went away.
    pub gaps: IntCounter,
    /// Transitions made.
    pub transitions: IntCounter,
    /// Rows that the series has, durable.
    pub rows_stored: IntCounter,
    /// Rows given up because the series' disk stood still: alarms come first. An alarm says so.
    pub rows_shed: IntCounter,
    /// Times that the engine waited for the series.
    pub series_waits: IntCounter,
    /// Newest sequence that the centre has acknowledged.
    pub acked_seq: IntGauge,
    /// Newest sequence that the journal has committed.
    pub last_seq: IntGauge,
    /// Things waiting in each queue, by name.
    pub queue_depth: IntGaugeVec,
    /// Failed attempts to deliver, by lane.
    pub retries: IntCounterVec,
    /// Lines that a sink refused, by sink; they stand in its dead-letter file.
    pub dead_letters: IntCounterVec,
    /// Lines that a sink has taken, by sink.
    pub lines_delivered: IntCounterVec,
    /// Batches of the series that a sink has not taken yet, by sink.
    pub history_behind: IntGaugeVec,
    /// MQTT messages refused, by source and reason.
    pub mqtt_refused: IntCounterVec,
    /// Waits of an MQTT source for the engine's queue, by source.
    pub mqtt_queue_full: IntCounterVec,
    /// Commands refused before the engine, by reason.
    pub commands_refused: IntCounterVec,
}

impl Metrics {
    /// A registry with everything at zero.
    ///
    /// # Errors
    /// Never in practice: the names are fixed and distinct.
    pub fn new() -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let c = IntCounter::new(name, help)?;
            registry.register(Box::new(c.clone()))?;
            Ok::<_, prometheus::Error>(c)
        };
        let gauge = |name: &str, help: &str| {
            let g = IntGauge::new(name, help)?;
            registry.register(Box::new(g.clone()))?;
            Ok::<_, prometheus::Error>(g)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let c = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(c.clone()))?;
            Ok::<_, prometheus::Error>(c)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let g = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(g.clone()))?;
            Ok::<_, prometheus::Error>(g)
        };
        Ok(Metrics {
            samples: counter("davy_samples_total", "Samples judged.")?,
            samples_bad: counter("davy_samples_bad_total", "Samples stored as Bad.")?,
            gaps: counter("davy_source_gaps_total", "Times that a source went away.")?,
            transitions: counter("davy_transitions_total", "Transitions made.")?,
            rows_stored: counter("davy_series_rows_total", "Rows durable in the series.")?,
            rows_shed: counter(
                "davy_series_rows_shed_total",
                "Rows given up while the series' disk stood still.",
            )?,
            series_waits: counter(
                "davy_engine_series_waits_total",
                "Times that the engine waited for the series.",
            )?,
            acked_seq: gauge(
                "davy_acked_seq",
                "Newest sequence the centre has committed.",
            )?,
            last_seq: gauge(
                "davy_last_seq",
                "Newest sequence the journal has committed.",
            )?,
            queue_depth: gauges("davy_queue_depth", "Things waiting, by queue.", &["queue"])?,
            retries: counters(
                "davy_delivery_retries_total",
                "Failed deliveries.",
                &["lane"],
            )?,
            dead_letters: counters(
                "davy_dead_letters_total",
                "Lines that a sink refused.",
                &["sink"],
            )?,
            lines_delivered: counters(
                "davy_lines_delivered_total",
                "Lines that a sink has taken.",
                &["sink"],
            )?,
            history_behind: gauges(
                "davy_history_behind_batches",
                "Series batches that a sink has not taken yet.",
                &["sink"],
            )?,
            mqtt_refused: counters(
                "davy_mqtt_refused_total",
                "MQTT messages refused.",
                &["source", "reason"],
            )?,
            mqtt_queue_full: counters(
                "davy_mqtt_queue_full_total",
                "Waits for the engine's queue.",
                &["source"],
            )?,
            commands_refused: counters(
                "davy_commands_refused_total",
                "Commands refused before the engine saw them.",
                &["reason"],
            )?,
            registry,
        })
    }

    /// The registry, for a server that also has metrics of its own.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Text format of Prometheus.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        if let Err(e) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            tracing::warn!("metrics cannot be written: {e}");
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The counter of one reason of one source, held by whoever counts often.
    pub(crate) fn refused(&self, source: &str) -> [IntCounter; Reject::ALL.len()] {
        Reject::ALL.map(|why| self.mqtt_refused.with_label_values(&[source, why.name()]))
    }
}
