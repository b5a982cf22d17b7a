//! Bytes in, samples out: sockets, poll timers, and the only clocks of acquisition.
//!
//! Lives here: the lines to field devices and the tasks that read them. May not live here:
//! rules, storage, what registers or payloads mean (`modbus`, `mqtt`). Read first: [`Batch`],
//! then [`spawn`], then [`poller`].

mod clock;
mod grid;
mod guarded;
mod line;
mod metrics;
pub mod mqtt;
mod outbox;
pub mod poller;
mod tcp_line;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use davy_plan::SiteSource;
use davy_points::{PointTable, Sample, SourceEvent};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use clock::{Clock, Moment, StepWatch};
pub use line::{Line, LineError};
pub use metrics::AcquireMetrics;
pub use tcp_line::TokioModbusLine;

use outbox::Outbox;

/// What acquisition hands to the engine at once: samples, and what their sources say of
/// themselves. A scan is never split; scans that end together may share a batch, except the rows
/// of a recording, which come one by one.
#[derive(Debug, Default)]
pub struct Batch {
    /// Ups and downs of the source. They come before the samples of the same batch: a source is
    /// up before its first value counts, and down before its points are Bad one by one.
    pub events: Vec<SourceEvent>,
    /// Readings, in the order in which they count.
    pub samples: Vec<Sample>,
    /// Fires once the samples are durable in the series.
    pub done: Option<tokio::sync::oneshot::Sender<()>>,
}

/// How long a task may take to finish what it has begun once it is told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// A running acquisition: the Modbus sources, or the MQTT sources. Dropping it stops it.
#[derive(Debug)]
pub struct AcquireHandle {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl AcquireHandle {
    /// A thread of this name with a runtime of its own, for what `work` makes: it ends when the
    /// receiver that it is given says so.
    fn spawn<F: Future<Output = ()>>(
        name: &str,
        work: impl FnOnce(watch::Receiver<bool>) -> F + Send + 'static,
    ) -> io::Result<AcquireHandle> {
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || runtime.block_on(work(stopped)))?;
        Ok(AcquireHandle {
            stop,
            thread: Some(thread),
        })
    }

    /// Reads and hears no more, and waits for the thread, at most a little over a second. What
    /// came before has been handed over; MQTT messages whose samples become durable within that
    /// second are still acknowledged, the rest comes again after the next start.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("an acquisition thread panicked");
        }
    }
}

impl Drop for AcquireHandle {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Starts one task for each Modbus source, all on one thread with a runtime of its own. MQTT
/// sources are passed over. When the queue is full the pollers wait, which is counted; nothing is
/// dropped.
///
/// # Errors
/// The thread or its runtime could not be made.
pub fn spawn(
    sources: &[SiteSource],
    table: &Arc<PointTable>,
    tx: &mpsc::Sender<Batch>,
    clock: Clock,
    metrics: &AcquireMetrics,
) -> io::Result<AcquireHandle> {
    let modbus = sources.iter().filter_map(|s| match s {
        SiteSource::Modbus(m) => Some(m),
        SiteSource::Mqtt(_) => None,
    });
    let outbox = Outbox::new(tx.clone());
    let pollers: Vec<_> = modbus
        .enumerate()
        .map(|(nth, source)| {
            let metrics = Arc::new(metrics.source(&source.id));
            let line = TokioModbusLine::new(source, clock, Arc::clone(&metrics));
            let outbox = Arc::clone(&outbox);
            poller::Poller::new(line, source, nth, table, outbox, clock, metrics)
        })
        .collect();
    AcquireHandle::spawn("acquire", |stopped| run(pollers, outbox, stopped))
}

async fn run(
    pollers: Vec<poller::Poller<TokioModbusLine>>,
    outbox: Arc<Outbox>,
    stopped: watch::Receiver<bool>,
) {
    let carrier = Arc::clone(&outbox);
    let carrier = tokio::spawn(async move { carrier.carry().await });
    let mut tasks = JoinSet::new();
    for poller in pollers {
        tasks.spawn(poller.run(stopped.clone()));
    }
    finish(tasks, stopped, outbox.flush()).await;
    carrier.abort();
}

/// Waits for the wish to stop, then for the tasks and what is to be done after them.
async fn finish<T: 'static>(
    mut tasks: JoinSet<T>,
    mut stopped: watch::Receiver<bool>,
    last: impl Future,
) {
    // An error means that the handle is gone, which is the same wish.
    let _ = stopped.wait_for(|stop| *stop).await;
    let finish = async {
        while let Some(task) = tasks.join_next().await {
            if let Err(error) = task {
                tracing::error!(%error, "a source's task ended badly");
            }
        }
        last.await;
    };
    let _ = tokio::time::timeout(STOP_WITHIN, finish).await;
}
