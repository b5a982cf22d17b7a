//! What `/metrics` tells. No label holds a tag: gateways' names are the finest grain.

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

/// The centre's counters.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    pub transitions: IntCounterVec,
    pub duplicates: IntCounterVec,
    pub gaps: IntCounterVec,
    pub broken: IntCounterVec,
    /// Messages that could not be read, by lane.
    pub malformed: IntCounterVec,
    pub beats: IntCounterVec,
    pub samples: IntCounter,
    pub writes_refused: IntCounterVec,
    pub commit_seconds: Histogram,
    pub append_seconds: Histogram,
    pub commit_failures: IntCounter,
    pub links_lost: IntCounterVec,
    pub commands: IntCounterVec,
    pub slow_pages: IntCounter,
    pub pages: IntGauge,
    pub queue: IntGauge,
}

impl Metrics {
    pub(crate) fn new() -> Result<Metrics, prometheus::Error> {
        let registry = Registry::new_custom(Some("davy_center".into()), None)?;
        let make = Maker(&registry);
        Ok(Metrics {
            transitions: make.by("transitions_total", "Transitions committed.", "owner")?,
            duplicates: make.by("duplicates_total", "Transitions that came again.", "owner")?,
            gaps: make.by("gaps_total", "Gaps seen in a sequence.", "owner")?,
            broken: make.by(
                "broken_total",
                "Transitions that do not fit their chain.",
                "owner",
            )?,
            malformed: make.by(
                "malformed_total",
                "Messages that could not be read.",
                "lane",
            )?,
            beats: make.by("beats_total", "Beats of gateways.", "owner")?,
            samples: make.one("samples_total", "Samples made durable.")?,
            writes_refused: make.by("writes_refused_total", "Write requests refused.", "why")?,
            commit_seconds: make.seconds("commit_seconds", "Commit of received transitions.")?,
            append_seconds: make.seconds("append_seconds", "Append of samples.")?,
            commit_failures: make.one("commit_failures_total", "Commits that failed.")?,
            links_lost: make.by("links_lost_total", "Broker connections lost.", "client")?,
            commands: make.by("commands_total", "Commands by outcome.", "state")?,
            slow_pages: make.one("slow_pages_total", "Pages told to fetch all again.")?,
            pages: make.gauge("pages", "Open event streams.")?,
            queue: make.gauge("recorder_queue", "Messages that wait for the recorder.")?,
            registry,
        })
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(out)
    }
}

struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn by(&self, name: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
        let made = IntCounterVec::new(Opts::new(name, help), &[label])?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn one(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let made = IntCounter::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let made = IntGauge::new(name, help)?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn seconds(&self, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
        let buckets = vec![
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0,
        ];
        let made = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
        self.0.register(Box::new(made.clone()))?;
        Ok(made)
    }
}
