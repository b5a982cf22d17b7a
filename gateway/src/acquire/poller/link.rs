//! The life of a link: when to dial, and what the source says of itself.
//!
//! May not live here: what is read over it (`read`).

use davy_points::{Mono, Quality, SourceEvent};
use tokio::sync::watch;

use super::{Poller, RETRY};
use crate::acquire::Line;

impl<L: Line> Poller<L> {
    /// Dials, and meanwhile says that the source is down if that takes too long.
    pub(super) async fn dial(&mut self, stop: &mut watch::Receiver<bool>) {
        let patience = self.clock.mono() + RETRY;
        let down_at = self.health.check_at().map(|at| at.max(patience));
        let outcome = {
            let dial = self.line.connect();
            tokio::pin!(dial);
            let down = async {
                match down_at {
                    Some(at) => tokio::time::sleep_until(self.clock.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                outcome = &mut dial => Some(outcome),
                () = down => None,
                _ = stop.changed() => return,
            }
        };
        let now = self.clock.mono();
        match outcome {
            Some(Ok(())) => {
                tracing::debug!(source = %self.id, "connected");
                let was_away = std::mem::replace(&mut self.dial_failed, false);
                if was_away || self.all_units_missing() {
                    for (_, breaker) in &mut self.units {
                        breaker.link_is_new(now);
                    }
                }
                for scan in &mut self.scans {
                    if scan.blocks.iter().any(|b| b.strikes > 0) {
                        scan.retry_at = Some(now);
                    }
                    if was_away {
                        scan.recheck_at = now; // it may be another device, or the same one mended
                    }
                }
                // Until an answer comes, the next dial waits longer.
                self.redial_at = now + self.redial.next_delay();
            }
            Some(Err(error)) => {
                if !self.dial_failed {
                    tracing::warn!(source = %self.id, %error, "cannot connect");
                }
                self.dial_failed = true;
                self.health.missed(now);
                self.redial_at = now + self.redial.next_delay();
            }
            // Given up before its time: the next one begins at once.
            None => {
                self.dial_failed = true;
                self.health.missed(now);
            }
        }
    }

    pub(super) fn all_units_missing(&self) -> bool {
        self.units.iter().all(|(_, b)| b.missing())
    }

    pub(super) fn check_health(&mut self, now: Mono) {
        let all_missing = self.dial_failed || self.all_units_missing();
        if self.health.check(now, all_missing) {
            let quality = self.away_quality();
            tracing::warn!(source = %self.id, %quality, "source is down");
            self.metrics.up.set(0);
            self.events.push(SourceEvent {
                source: self.source,
                up: false,
                quality,
            });
        }
    }

    /// Data have come.
    pub(super) fn answered(&mut self) {
        self.redial.reset();
        self.redial_at = Mono(0);
        if self.health.answered() {
            tracing::info!(source = %self.id, "source is up");
            self.metrics.up.set(1);
            self.events.push(SourceEvent {
                source: self.source,
                up: true,
                quality: Quality::Good,
            });
        }
    }

    /// What a point is while its source is away.
    pub(super) fn away_quality(&self) -> Quality {
        if self.dial_failed {
            Quality::BadNotConnected
        } else {
            Quality::BadCommunication
        }
    }
}
