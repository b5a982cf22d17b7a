//! The deadlines of what lies over an alarm, on both clocks, in an image and over a restart.
//!
//! Lives here: when a shelf, a suppression or out of service ends. May not live here: what they are
//! and who asks for them (`service`). A deadline is kept as wall time and as monotonic time, and the
//! earlier of the two ends it: a clock that is set back lengthens nothing (section 1). Read first:
//! [`Engine::expire`].

use std::sync::Arc;

use davy_points::Timestamp;
use serde::{Deserialize, Serialize};

use super::Engine;
use super::service::{Hold, Over, Shelf};
use super::state::NEVER;
use super::timers::Deadline;
use crate::alarm::{Event, Shelve, Transition};
use crate::ruleset::AlarmIx;

/// [`Over`] in an image; times are wall time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedOver {
    #[serde(default)]
    pub(super) shelf: Option<SavedShelf>,
    #[serde(default)]
    pub(super) holds: Vec<SavedHold>,
    #[serde(default)]
    pub(super) out_due: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedShelf {
    pub(super) occurrence: Arc<str>,
    pub(super) due: Timestamp,
    pub(super) whole_ns: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedHold {
    pub(super) cause: String,
    pub(super) until: Timestamp,
    pub(super) due: Timestamp,
    #[serde(default)]
    pub(super) by_hand: bool,
    #[serde(default)]
    pub(super) ended: bool,
}

impl SavedOver {
    /// What a transition after the image did; `standing` is the occurrence that stood then.
    pub(super) fn replay(&mut self, t: &Transition, standing: &Arc<str>) {
        let (before, after) = (&t.regions.before, &t.regions.after);
        match (&self.shelf, &after.shelved) {
            (_, None) => self.shelf = None,
            (None, Some(shelf)) => {
                let stood = before.is_active().then(|| standing.clone());
                self.shelf = Some(SavedShelf {
                    occurrence: stood.unwrap_or_else(|| "".into()),
                    due: shelf.until(),
                    whole_ns: shelf.until().since(t.recorded_at),
                });
            }
            (Some(_), Some(_)) => {}
        }
        if before.acked
            && !after.acked
            && after.is_active()
            && let Some(shelf) = &mut self.shelf
        {
            shelf.occurrence = "".into();
        }
        for cause in &after.suppressed {
            if let (false, Some(until)) =
                (before.suppressed.contains(cause), after.suppressed_until)
                && !self.holds.iter().any(|h| h.cause == *cause)
            {
                self.holds.push(SavedHold {
                    cause: cause.clone(),
                    until,
                    due: until,
                    by_hand: t.command_id.is_some(),
                    ended: false,
                });
            }
        }
        self.out_due = match (&after.out_of_service, self.out_due) {
            (None, _) => None,
            (Some(out), None) => Some(out.until),
            (Some(_), known) => known,
        };
    }
}

/// Something that lay over an alarm and ended.
enum Ended {
    Shelf,
    Suppression(String),
    OutOfService,
}

impl Engine {
    /// Both clocks of a deadline.
    pub(super) fn watch(&mut self, a: AlarmIx, due: i64, until: Timestamp) {
        self.timers.push(due, Deadline::Expire { alarm: a });
        self.bounded.insert(a);
        self.next_until = self.next_until.min(until);
    }

    /// Something over an alarm ends now; so may others, and then it is one release (row 12).
    pub(super) fn deadlines_over(&mut self, first: AlarmIx, due: i64) {
        let mut all = vec![first];
        while let Some(a) = self.timers.pop_expiry(due) {
            if all.last() != Some(&a) {
                all.push(a);
            }
        }
        self.expire(&all, due);
    }

    /// The wall clock may have passed a deadline that the monotonic one has not.
    pub(super) fn wall_deadlines(&mut self) {
        if self.wall_at(self.now) < self.next_until {
            return;
        }
        let all: Vec<AlarmIx> = self.bounded.iter().copied().collect();
        self.expire(&all, self.now);
        let wall = self.wall_at(self.now);
        self.next_until = self
            .bounded
            .iter()
            .filter_map(|a| self.alarms[a.index()].live.as_ref())
            .flat_map(|l| {
                let shelf = l.regions.shelved.as_ref().map(Shelve::until);
                let out = l.regions.out_of_service.as_ref().map(|o| o.until);
                let holds = l.over.holds.iter().map(|h| h.until);
                shelf.into_iter().chain(out).chain(holds)
            })
            .filter(|until| *until > wall)
            .min()
            .unwrap_or(Timestamp(NEVER));
    }

    /// Ends what is due over these alarms, whichever of its two clocks says so.
    fn expire(&mut self, alarms: &[AlarmIx], now: i64) {
        let wall = self.wall_at(now);
        let mut ended: Vec<(AlarmIx, Ended)> = Vec::new();
        let mut groups = 0;
        for a in alarms {
            let Some(live) = &self.alarms[a.index()].live else {
                continue;
            };
            let (regions, over) = (&live.regions, &live.over);
            let before = ended.len();
            if let (Some(shelf), Some(known)) = (&regions.shelved, &over.shelf)
                && (known.due <= now || shelf.until() <= wall)
            {
                ended.push((*a, Ended::Shelf));
            }
            for h in &over.holds {
                let over = h.due <= now || h.until <= wall;
                if over && regions.suppressed.contains(&h.cause) {
                    ended.push((*a, Ended::Suppression(h.cause.clone())));
                }
            }
            if let (Some(out), Some(due)) = (&regions.out_of_service, over.out_due)
                && (due <= now || out.until <= wall)
            {
                ended.push((*a, Ended::OutOfService));
            }
            groups += usize::from(ended.len() > before);
        }
        self.grouped = groups > 1;
        for (a, what) in ended {
            let sounds = self.sounds(a);
            let event = match what {
                Ended::Shelf => Event::ShelfExpired { sounds },
                Ended::Suppression(cause) => Event::SuppressionExpired {
                    until: self.until_without(a, &cause),
                    cause,
                    sounds,
                },
                Ended::OutOfService => Event::OutOfServiceExpired { sounds },
            };
            let m = self.at_deadline(a, now);
            // Refused only where something else has ended it within this instant.
            let _ = self.lay(a, event, &m, None);
        }
        self.grouped = false;
    }

    pub(super) fn saved_over(&self, over: &Over) -> SavedOver {
        SavedOver {
            shelf: over.shelf.as_ref().map(|s| SavedShelf {
                occurrence: s.occurrence.clone(),
                due: self.wall_at(s.due),
                whole_ns: s.whole_ns,
            }),
            holds: over
                .holds
                .iter()
                .map(|h| SavedHold {
                    cause: h.cause.clone(),
                    until: h.until,
                    due: self.wall_at(h.due),
                    by_hand: h.by_hand,
                    ended: h.ended,
                })
                .collect(),
            out_due: over.out_due.map(|due| self.wall_at(due)),
        }
    }

    /// Deadlines on this process's clock. What is due acts in [`Engine::settle_over`].
    pub(super) fn restore_over(
        &mut self,
        a: AlarmIx,
        saved: SavedOver,
        stopped: Timestamp,
        wall: Timestamp,
    ) {
        let instant = |t: Timestamp| self.instant(t, stopped, wall);
        let over = Over {
            shelf: saved.shelf.map(|s| Shelf {
                occurrence: s.occurrence,
                due: instant(s.due),
                whole_ns: s.whole_ns,
            }),
            holds: saved
                .holds
                .into_iter()
                .map(|h| Hold {
                    due: instant(h.due),
                    cause: h.cause,
                    until: h.until,
                    by_hand: h.by_hand,
                    ended: h.ended,
                })
                .collect(),
            out_due: saved.out_due.map(instant),
        };
        let regions = self.alarms[a.index()].regions();
        let mut deadlines: Vec<(i64, Timestamp)> =
            over.holds.iter().map(|h| (h.due, h.until)).collect();
        if let (Some(known), Some(shelf)) = (&over.shelf, &regions.shelved) {
            deadlines.push((known.due, shelf.until()));
        }
        if let (Some(due), Some(out)) = (over.out_due, &regions.out_of_service) {
            deadlines.push((due, out.until));
        }
        if !over.is_empty() || !regions.is_bare() {
            self.alarms[a.index()].live().over = over;
            self.bounded.insert(a);
        }
        for (due, until) in deadlines {
            self.watch(a, due, until);
        }
    }

    /// Section 2, restart: causes are Unknown (8.21), an expired deadline acts at once, and one
    /// that cannot be determined has passed. After the records of the overlay (8.18).
    pub(super) fn settle_over(&mut self, doubtful: bool) {
        let all: Vec<AlarmIx> = self.bounded.iter().copied().collect();
        for a in &all {
            let a = *a;
            let m = self.at_deadline(a, self.now);
            let sounds = self.sounds(a);
            let regions = self.alarms[a.index()].regions();
            let live = self.alarms[a.index()].live();
            let known = (live.over.shelf.is_some(), live.over.out_due.is_some());
            if !regions.suppressed.is_empty() {
                let _ = self.lay(a, Event::SuppressionUnknown { sounds }, &m, None);
            }
            if regions.shelved.is_some() && (doubtful || !known.0) {
                let _ = self.lay(a, Event::ShelfVoided { sounds }, &m, None);
            }
            if regions.out_of_service.is_some() && (doubtful || !known.1) {
                let _ = self.lay(a, Event::BackInService { sounds }, &m, None);
            }
            self.void_forbidden_shelf(a, &m);
        }
        self.expire(&all, self.now);
    }
}
