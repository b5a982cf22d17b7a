//! Putting the centre together: what is stored comes back first, then threads and sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::serve::ListenerExt;
use davy_journal::JournalHandle;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle as Task;

use crate::ingest::downlink::Downlink;
use crate::ingest::recorder::{self, Files, Recorder};
use crate::ingest::{link, uplink};
use crate::metrics::Metrics;
use crate::restore::Opened;
use crate::room::Room;
use crate::server::hub::frame;
use crate::server::{App, router};
use crate::store::Store;
use crate::watch::Watch;
use crate::watch::engine::{self, Sight};
use crate::{CenterConfig, StartError};

/// At most five frames of samples a second.
const SAMPLES: Duration = Duration::from_millis(200);
/// The beat of the event stream.
const BEAT: Duration = Duration::from_millis(500);
/// How long connections may take to close, all together.
const CLOSE: Duration = Duration::from_millis(500);
/// How long the last commits may take after that: with the gateways of a one-box plant, which stop
/// before, less than 5 s.
const LAST_COMMIT: Duration = Duration::from_millis(800);

/// A running centre. Dropped without [`Center::stop`] it ends with its process.
pub struct Center {
    local_addr: SocketAddr,
    stopping: watch::Sender<bool>,
    tasks: Vec<Task<()>>,
    watch: Watch,
    recorder: Recorder,
    journal: JournalHandle,
    watching: JoinHandle<()>,
    recording: JoinHandle<()>,
}

impl Center {
    /// Where it listens, with the port that it got.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops: connections first, then the engine, then what is still to be committed. Clears no
    /// alarm.
    pub async fn stop(self) {
        self.stopping.send_replace(true);
        let closed = tokio::time::Instant::now() + CLOSE;
        for task in self.tasks {
            let abort = task.abort_handle();
            if tokio::time::timeout_at(closed, task).await.is_err() {
                abort.abort();
            }
        }
        let (watch, recorder, journal) = (self.watch, self.recorder, self.journal);
        let (watching, recording) = (self.watching, self.recording);
        let ended = tokio::task::spawn_blocking(move || {
            // In the way of the data: each has given its last before the next one ends.
            watch.stop();
            join(watching);
            if let Err(unsaved) = journal.stop_within(LAST_COMMIT) {
                tracing::error!("{unsaved}");
            }
            recorder.stopping();
            join(recording);
        });
        match tokio::time::timeout(LAST_COMMIT, ended).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::error!("the centre's stop was cut short: {e}"),
            // Gateways send again what was not acknowledged.
            Err(_) => tracing::error!("the centre's disk does not answer: stopping without it"),
        }
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the centre had ended in a panic");
    }
}

/// Opens the store, restores the picture and the engine, then listens. Must be called inside a
/// Tokio runtime.
///
/// # Errors
/// [`StartError`], each with its remedy; nothing runs then.
pub async fn start(cfg: CenterConfig) -> Result<Center, StartError> {
    let CenterConfig {
        plan,
        data_dir,
        listen,
    } = cfg;
    if !listen.ip().is_loopback() {
        return Err(StartError::NotLoopback(listen));
    }
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| StartError::Listen {
            address: listen,
            source,
        })?;
    let local_addr = listener.local_addr().map_err(|source| StartError::Listen {
        address: listen,
        source,
    })?;
    let opened = {
        let plan = plan.clone();
        tokio::task::spawn_blocking(move || Opened::open(&plan, &data_dir))
            .await
            .map_err(|e| StartError::Internal(e.to_string()))??
    };
    let metrics = Metrics::new().map_err(|e| StartError::Internal(e.to_string()))?;
    let sight = Sight::of(&plan).map_err(StartError::Internal)?;
    let room = Arc::new(Room::new(plan, opened.live, metrics));

    let (watch, seen) = Watch::new();
    let files = Files {
        received: opened.received,
        commands: opened.commands,
        chains: opened.chains,
    };
    let (recorder, recording) = recorder::new(room.clone(), watch.clone(), files);
    let recording = recording.spawn()?;
    let journal = {
        let (room, watch, recorder) = (room.clone(), watch.clone(), recorder.clone());
        davy_journal::spawn(
            opened.journal,
            Box::new(move |event| engine::journalled(&room, &watch, &recorder, event)),
        )
    };
    let watching = engine::Thread {
        room: room.clone(),
        watch: watch.clone(),
        seen,
        sight,
        journal: journal.clone(),
        recorder: recorder.clone(),
    }
    .spawn(opened.restored)?;

    let (stop, stopping) = watch::channel(false);
    let store = Arc::new(opened.store);
    let app = Arc::new(App {
        room: room.clone(),
        store: store.clone(),
        recorder: recorder.clone(),
        watch: watch.clone(),
        stopping: stopping.clone(),
    });
    let downlink = Downlink {
        room: room.clone(),
        watch: watch.clone(),
        recorder: recorder.clone(),
        failures: 0,
        newer: std::collections::HashSet::new(),
    };
    let tasks = vec![
        tokio::spawn(serve(listener, app, stopping.clone())),
        tokio::spawn(link::hold(
            Downlink::dial(&room),
            downlink,
            stopping.clone(),
        )),
        tokio::spawn(uplink::run(
            room.clone(),
            watch.clone(),
            recorder.clone(),
            stopping.clone(),
        )),
        tokio::spawn(compaction(store, stopping.clone())),
        tokio::spawn(rounds(
            room.clone(),
            watch.clone(),
            recorder.clone(),
            stopping,
        )),
    ];
    tracing::info!("the control room is at http://{local_addr}");
    Ok(Center {
        local_addr,
        stopping: stop,
        tasks,
        watch,
        recorder,
        journal,
        watching,
        recording,
    })
}

async fn serve(listener: TcpListener, app: Arc<App>, mut stopping: watch::Receiver<bool>) {
    // An event must not wait for the next one to fill a segment.
    let listener = listener.tap_io(|stream| {
        if let Err(e) = stream.set_nodelay(true) {
            tracing::debug!("a connection keeps its delay: {e}");
        }
    });
    let served = axum::serve(listener, router(app)).with_graceful_shutdown(async move {
        // The sender is gone only together with the centre.
        let _ = stopping.wait_for(|s| *s).await;
    });
    if let Err(e) = served.await {
        tracing::error!("the server ended: {e}");
    }
}

/// Compaction, in the pauses of the writers.
async fn compaction(store: Arc<Store>, mut stopping: watch::Receiver<bool>) {
    let mut failing = false;
    loop {
        let piece = store.clone();
        let outcome = tokio::task::spawn_blocking(move || piece.compact()).await;
        let pause = match outcome {
            Ok(Ok(true)) => Duration::from_millis(20),
            Ok(Ok(false)) => {
                failing = false;
                Duration::from_secs(1)
            }
            Ok(Err(e)) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!("samples cannot be compacted: {e}");
                }
                Duration::from_secs(10)
            }
            Err(e) => {
                tracing::error!("compaction ended: {e}");
                return;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopping.wait_for(|s| *s) => return,
        }
    }
}

/// Samples, beats and the passing of time, for the pages.
async fn rounds(
    room: Arc<Room>,
    watch: Watch,
    recorder: Recorder,
    mut stopping: watch::Receiver<bool>,
) {
    #[derive(Serialize)]
    struct Beat<'a> {
        v: u32,
        at: i64,
        center_tick_age_ms: u64,
        gateways: std::collections::BTreeMap<&'a str, u64>,
    }
    let mut samples = interval(SAMPLES);
    let mut beat = interval(BEAT);
    loop {
        tokio::select! {
            _ = samples.tick() => {
                recorder.show_late(&room);
                if let Some(frame) = room.samples_frame() {
                    room.hub.tell(frame);
                }
            }
            _ = beat.tick() => {
                let now = room.now();
                room.write().sweep(now);
                let live = room.read();
                let beat = Beat {
                    v: 1,
                    at: now.wall.ns(),
                    center_tick_age_ms: crate::clock::millis(watch.tick_age(now.mono)),
                    gateways: live
                        .gateways
                        .iter()
                        .filter_map(|g| Some((&*g.id, g.tick_age_ms(now.mono)?)))
                        .collect(),
                };
                room.hub.tell(frame("beat", None, &beat));
            }
            _ = stopping.wait_for(|s| *s) => return,
        }
    }
}

fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    interval
}
