//! Between the pollers and the engine: small batches that come together go together.
//!
//! A hundred devices may answer within one turn of the runtime. One wake of the engine for each
//! of them costs more than reading them; so whatever the pollers put down in one turn is sent as
//! one batch, as soon as they have all had theirs. Nothing waits for a clock. May not live here:
//! what a batch means.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use davy_points::{Sample, SourceEvent};
use tokio::sync::{Notify, mpsc};

use super::Batch;
use super::metrics::SourceMetrics;

/// Samples that may wait here while the engine's queue is full. Then the pollers wait.
const ROOM: usize = 16_384;

/// Where pollers put what they have.
#[derive(Debug)]
pub(crate) struct Outbox {
    tx: mpsc::Sender<Batch>,
    waiting: Mutex<Batch>,
    /// Something is waiting.
    filled: Notify,
    /// What was waiting has been taken.
    emptied: Notify,
}

/// The engine is gone.
#[derive(Debug)]
pub(crate) struct Gone;

impl Outbox {
    pub(crate) fn new(tx: mpsc::Sender<Batch>) -> Arc<Outbox> {
        Arc::new(Outbox {
            tx,
            waiting: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Batch> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts down events and samples, emptying both. Waits while there is no room, which is
    /// counted.
    pub(crate) async fn put(
        &self,
        events: &mut Vec<SourceEvent>,
        samples: &mut Vec<Sample>,
        metrics: &SourceMetrics,
    ) -> Result<(), Gone> {
        let mut counted = false;
        loop {
            if self.tx.is_closed() {
                return Err(Gone);
            }
            let emptied = self.emptied.notified();
            {
                let mut waiting = self.lock();
                // Events stand before the samples of their batch: they cannot be put behind
                // samples that were there first.
                let fits = waiting.samples.len() < ROOM
                    && (events.is_empty() || waiting.samples.is_empty());
                if fits {
                    if waiting.samples.is_empty() && waiting.events.is_empty() {
                        self.filled.notify_one();
                    }
                    waiting.events.append(events);
                    waiting.samples.append(samples);
                    return Ok(());
                }
                if !counted && waiting.samples.len() >= ROOM {
                    counted = true;
                    metrics.queue_full.inc();
                }
            }
            emptied.await;
        }
    }

    /// Sends one batch that must stay by itself: a row of a recording.
    pub(crate) async fn send_alone(
        &self,
        events: &mut Vec<SourceEvent>,
        samples: &mut Vec<Sample>,
        metrics: &SourceMetrics,
    ) -> Result<(), Gone> {
        let batch = Batch {
            events: std::mem::take(events),
            samples: std::mem::take(samples),
            done: None,
        };
        match self.tx.try_send(batch) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(batch)) => {
                metrics.queue_full.inc();
                self.tx.send(batch).await.map_err(|_| Gone)
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Gone),
        }
    }

    /// Takes what is waiting to the engine, until the engine is gone.
    pub(crate) async fn carry(&self) {
        loop {
            self.filled.notified().await;
            if !self.flush().await {
                return;
            }
        }
    }

    /// Takes what is waiting now. False: the engine is gone.
    pub(crate) async fn flush(&self) -> bool {
        let Ok(place) = self.tx.reserve().await else {
            self.emptied.notify_waiters();
            return false;
        };
        let batch = std::mem::take(&mut *self.lock());
        if !(batch.samples.is_empty() && batch.events.is_empty()) {
            place.send(batch);
        }
        self.emptied.notify_waiters();
        true
    }
}

#[cfg(test)]
mod tests {
    use davy_points::{PointTable, Quality, SourceDef, SourceIx};

    use super::super::AcquireMetrics;
    use super::*;

    fn source() -> SourceIx {
        PointTable::new().add_source(SourceDef {
            id: "plc".into(),
            gateway: "gw".into(),
            recorded: false,
        })
    }

    #[tokio::test]
    async fn what_is_put_down_in_one_turn_is_one_batch() {
        let (tx, mut rx) = mpsc::channel(4);
        let outbox = Outbox::new(tx);
        let metrics = AcquireMetrics::new(&prometheus::Registry::new())
            .expect("empty")
            .source("plc");
        let event = |up| SourceEvent {
            source: source(),
            up,
            quality: Quality::Good,
        };
        for up in [true, false, true] {
            outbox
                .put(&mut vec![event(up)], &mut Vec::new(), &metrics)
                .await
                .expect("an engine");
        }
        assert!(outbox.flush().await);
        let batch = rx.recv().await.expect("a batch");
        assert_eq!(batch.events, [event(true), event(false), event(true)]);
        assert!(outbox.flush().await);
        assert!(rx.try_recv().is_err(), "nothing is sent for nothing");
        drop(rx);
        let gone = outbox
            .put(&mut vec![event(true)], &mut Vec::new(), &metrics)
            .await;
        assert!(gone.is_err());
        assert!(!outbox.flush().await);
    }
}
