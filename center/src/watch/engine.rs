//! The thread whose tick the beats carry.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Seen, Watch};
use crate::room::Room;

const TICK: Duration = Duration::from_millis(100);

pub(crate) struct Thread {
    pub room: Arc<Room>,
    pub watch: Watch,
    pub seen: Receiver<Seen>,
}

impl Thread {
    pub(crate) fn spawn(self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name("davy-watch".into())
            .spawn(move || self.run())
    }

    fn run(self) {
        loop {
            let now = self.room.clock.mono();
            self.watch.ticked.store(now.ns(), Ordering::Release);
            match self.seen.recv_timeout(TICK) {
                Ok(Seen::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(seen) => tracing::debug!("{seen:?}"),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
