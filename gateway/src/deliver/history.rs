//! A history lane: the series to one sink, in the order of storing, from its own cursor.
//!
//! Lives here: when to send, retrying, the cursors of history and of the alarm mirror. May not
//! live here: HTTP (`writer`), encoding (`spool`), the search for poison (`isolate`). The cursor
//! counts batches, never time: late samples would land behind a time cursor (`formats.md`
//! section 3). Read first: [`HistoryLane::run`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use davy_journal::{JournalHandle, StoreError};
use prometheus::{IntCounter, IntGauge};
use tokio::sync::watch;

use super::held::Held;
use super::isolate::{Bisect, DeadLetters, Verdict};
use super::spool::{Load, Spool};
use super::writer::{Answer, BadSink, SinkAddress, Writer};
use crate::backoff::{Backoff, any_seed};
use crate::metrics::Metrics;

const CURSOR_EVERY: Duration = Duration::from_secs(1);
/// A spool or dead-letter file that cannot be used is tried again after this.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// What a lane is connected to.
pub(crate) struct HistoryPorts {
    /// Lent to a blocking thread while it reads.
    pub(crate) spool: Option<Spool>,
    pub(crate) journal: JournalHandle,
    pub(crate) cursor: u64,
    pub(crate) mirror_cursor: u64,
    /// Newest batch of the series.
    pub(crate) stored: watch::Receiver<u64>,
    /// Newest durable transition; changes wake the mirror.
    pub(crate) journalled: watch::Receiver<(u64, u64)>,
    /// Where the lane says what it will not ask for again.
    pub(crate) delivered: Arc<AtomicU64>,
    /// Set once: deliver what can be until then.
    pub(crate) stop: watch::Receiver<Option<Instant>>,
}

pub(crate) struct HistoryLane {
    sink: Sink,
    ports: HistoryPorts,
    stored_cursors: (u64, u64, Instant),
    held: Held,
    behind: IntGauge,
}

/// The sink and how to get bytes into it.
struct Sink {
    id: String,
    writer: Writer,
    dead: DeadLetters,
    backoff: Backoff,
    retries: IntCounter,
    dead_letters: IntCounter,
    delivered: IntCounter,
    /// It did not answer since this was last asked.
    was_away: bool,
}

/// The deadline of a stop has passed; the rest stays where it is.
struct OutOfTime;

/// Names of a sink's cursors: history by batch, mirror by sequence.
pub(crate) fn cursors(sink: &str) -> (String, String) {
    (format!("history/{sink}"), format!("mirror/{sink}"))
}

impl HistoryLane {
    /// A lane to `address`.
    pub(crate) fn new(
        address: &SinkAddress,
        data_dir: &Path,
        metrics: &Metrics,
        ports: HistoryPorts,
    ) -> Result<HistoryLane, BadSink> {
        let label = [address.id.as_str()];
        ports.delivered.store(ports.cursor, Ordering::Relaxed);
        Ok(HistoryLane {
            sink: Sink {
                id: address.id.clone(),
                writer: Writer::new(address)?,
                dead: DeadLetters::new(data_dir, &address.id),
                backoff: Backoff::of_a_peer(any_seed()),
                retries: metrics
                    .retries
                    .with_label_values(&[&format!("history/{}", address.id)]),
                dead_letters: metrics.dead_letters.with_label_values(&label),
                delivered: metrics.lines_delivered.with_label_values(&label),
                was_away: false,
            },
            held: Held::new(address.durable),
            behind: metrics.history_behind.with_label_values(&label),
            stored_cursors: (ports.cursor, ports.mirror_cursor, Instant::now()),
            ports,
        })
    }

    /// Delivers until told to stop, then what it can until the deadline.
    pub(crate) async fn run(mut self) {
        let mut stop = self.ports.stop.clone();
        loop {
            self.ports.stored.mark_unchanged();
            self.ports.journalled.mark_unchanged();
            let sent = match self.pass(&mut stop).await {
                Ok(sent) => sent,
                Err(OutOfTime) => break,
            };
            let stopping = stop.borrow().is_some();
            self.store_cursors(stopping);
            if sent {
                continue;
            }
            if stopping {
                break;
            }
            tokio::select! {
                Ok(()) = self.ports.stored.changed() => {}
                Ok(()) = self.ports.journalled.changed() => {}
                changed = stop.changed() => if changed.is_err() {
                    break; // the gateway was dropped
                },
                // The cursors of what was sent last are not stored yet.
                () = tokio::time::sleep(CURSOR_EVERY) => {}
            }
        }
        self.store_cursors(true);
    }

    /// One load of history and one of alarms. True: there was something.
    async fn pass(
        &mut self,
        stop: &mut watch::Receiver<Option<Instant>>,
    ) -> Result<bool, OutOfTime> {
        let before = (self.ports.cursor, self.ports.mirror_cursor);
        let after = self.ports.cursor;
        let history = self.read(stop, move |spool| spool.history(after)).await?;
        let mut sent = false;
        if let Some(load) = history {
            self.sink.send(&load, stop).await?;
            self.ports.cursor = load.upto;
            sent = true;
        }
        let behind = self.ports.stored.borrow().saturating_sub(self.ports.cursor);
        self.behind.set(i64::try_from(behind).unwrap_or(i64::MAX));
        let after = self.ports.mirror_cursor;
        if let Some(load) = self.read(stop, move |spool| spool.alarms(after)).await? {
            self.sink.send(&load, stop).await?;
            self.ports.mirror_cursor = load.upto;
            sent = true;
        }
        if sent {
            self.held.acknowledged(before, Instant::now());
        }
        // What it acknowledged just before it was away may be gone with it.
        if std::mem::take(&mut self.sink.was_away) {
            let cursors = (self.ports.cursor, self.ports.mirror_cursor);
            let from = self.held.after_absence(cursors, Instant::now());
            (self.ports.cursor, self.ports.mirror_cursor) = from;
            sent |= from != cursors;
        }
        Ok(sent)
    }

    /// Reads on a blocking thread, until the disk answers.
    async fn read(
        &mut self,
        stop: &mut watch::Receiver<Option<Instant>>,
        read: impl Fn(&mut Spool) -> Result<Option<Load>, StoreError> + Copy + Send + 'static,
    ) -> Result<Option<Load>, OutOfTime> {
        loop {
            let Some(mut spool) = self.ports.spool.take() else {
                return Err(OutOfTime); // the runtime is going down
            };
            let task = tokio::task::spawn_blocking(move || {
                let load = read(&mut spool);
                (spool, load)
            });
            let Ok((spool, load)) = task.await else {
                return Err(OutOfTime);
            };
            self.ports.spool = Some(spool);
            match load {
                Ok(load) => return Ok(load),
                Err(e) => {
                    tracing::error!(sink = self.sink.id, "cannot read what is to be sent: {e}");
                    pause(DISK_PAUSE, stop).await?;
                }
            }
        }
    }

    fn store_cursors(&mut self, now: bool) {
        let sent = (self.ports.cursor, self.ports.mirror_cursor);
        let (cursor, mirror) = self.held.sure(sent, Instant::now());
        let (stored, stored_mirror, at) = self.stored_cursors;
        if !now && at.elapsed() < CURSOR_EVERY {
            return;
        }
        let (history_name, mirror_name) = cursors(&self.sink.id);
        if cursor != stored {
            self.ports.journal.set_cursor(&history_name, cursor);
        }
        if mirror != stored_mirror {
            self.ports.journal.set_cursor(&mirror_name, mirror);
        }
        self.ports.delivered.store(cursor, Ordering::Relaxed);
        self.stored_cursors = (cursor, mirror, Instant::now());
    }
}

impl Sink {
    async fn send(
        &mut self,
        load: &Load,
        stop: &mut watch::Receiver<Option<Instant>>,
    ) -> Result<(), OutOfTime> {
        for body in &load.bodies {
            self.send_body(body, stop).await?;
        }
        Ok(())
    }

    async fn send_body(
        &mut self,
        body: &[u8],
        stop: &mut watch::Receiver<Option<Instant>>,
    ) -> Result<(), OutOfTime> {
        let mut bisect = Bisect::new(body);
        while let Some(part) = bisect.next() {
            let answer = tokio::select! {
                answer = self.writer.write(part.to_vec()) => answer,
                () = out_of_time(stop.clone()) => return Err(OutOfTime),
            };
            match (bisect.answer(&answer), &answer) {
                (Verdict::Taken(lines), _) => {
                    self.backoff.reset();
                    self.delivered.inc_by(lines as u64);
                }
                (Verdict::Halved, _) => {}
                (Verdict::Poison(line), Answer::Poison(why)) => {
                    self.bury(line, why, stop).await?;
                }
                (
                    _,
                    Answer::Later {
                        why,
                        pause: least,
                        away,
                    },
                ) => {
                    self.retries.inc();
                    self.was_away |= away;
                    let wait = self.backoff.next_delay().max(least.unwrap_or_default());
                    tracing::warn!(sink = self.id, ?wait, "not delivered yet: {why}");
                    pause(wait, stop).await?;
                }
                (Verdict::Poison(_) | Verdict::Again, _) => {}
            }
        }
        Ok(())
    }

    /// Into the dead-letter file, and only then past it.
    async fn bury(
        &mut self,
        line: &[u8],
        why: &str,
        stop: &mut watch::Receiver<Option<Instant>>,
    ) -> Result<(), OutOfTime> {
        tracing::error!(sink = self.id, line = %String::from_utf8_lossy(line).trim_end(), "refused for good: {why}");
        while let Err(e) = self.dead.put(line, why) {
            tracing::error!(sink = self.id, "cannot write the dead-letter file: {e}");
            pause(DISK_PAUSE, stop).await?;
        }
        self.dead_letters.inc();
        Ok(())
    }
}

/// Sleeps, but not beyond the deadline of a stop.
async fn pause(
    wait: Duration,
    stop: &mut watch::Receiver<Option<Instant>>,
) -> Result<(), OutOfTime> {
    tokio::select! {
        () = tokio::time::sleep(wait) => Ok(()),
        () = out_of_time(stop.clone()) => Err(OutOfTime),
    }
}

/// Pending until a stop has been asked for and its deadline is over.
async fn out_of_time(mut stop: watch::Receiver<Option<Instant>>) {
    let deadline = match stop.wait_for(Option::is_some).await {
        Ok(deadline) => *deadline,
        Err(_) => return, // whoever could stop us is gone
    };
    if let Some(at) = deadline {
        tokio::time::sleep_until(at.into()).await;
    }
}
