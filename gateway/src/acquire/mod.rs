//! Bytes in, samples out: sockets, poll timers, and the only clocks of acquisition.
//!
//! Lives here: the lines to field devices and the tasks that read them. May not live here:
//! rules, storage, what registers or payloads mean (`modbus`, `mqtt`). Read first: [`Batch`].
use davy_points::{Sample, SourceEvent};

/// What a source hands to the engine at once: the samples of one scan or message, and what
/// the source says of itself.
#[derive(Debug, Default)]
pub struct Batch {
    /// Readings, in the order in which they count.
    pub samples: Vec<Sample>,
    /// Ups and downs of the source; they stand after the samples of the same batch.
    pub events: Vec<SourceEvent>,
    /// Fires once the samples are durable in the series.
    pub done: Option<tokio::sync::oneshot::Sender<()>>,
}
