//! What people and plans lay over an alarm: a shelf, suppression, out of service (section 2, rows
//! 11 to 15), and the deadlines that end them.
//!
//! Lives here: the bounds of each, and their release. May not live here: which role may
//! (`alarm::Role`), what an event does to the regions (`alarm::step`), when they end by themselves
//! (`deadlines`). Read first: [`Engine::shelve`], then [`Engine::set_suppressed`].

use std::sync::Arc;

use davy_points::{Priority, Timestamp};

use super::{Engine, Moment};
use crate::alarm::{Command, Event, Level, OutOfService, Regions, Rejection, Shelve};
use crate::ruleset::{AlarmDef, AlarmIx, Subject};

const MINUTE_NS: i64 = 60_000_000_000;

/// The longest that an alarm may be out of service under one permit.
const OUT_OF_SERVICE_MAX_NS: i64 = 7 * 24 * 60 * MINUTE_NS;

/// The longest suppression that a person may ask for.
const SUPPRESS_MAX_NS: i64 = 24 * 60 * MINUTE_NS;

/// Row 11: the longest shelf of a priority; none where it cannot be shelved at all.
fn longest_shelf(def: &AlarmDef) -> Option<i64> {
    if def.level == Level::LossOfView {
        return None;
    }
    let minutes = match def.priority.get() {
        1 => return None,
        2 => 60,
        3 => 240,
        _ => 720,
    };
    Some(minutes * MINUTE_NS)
}

/// A shelf, beside what the regions tell of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shelf {
    /// The occurrence that stood when it was shelved; empty where none did, or where it has been
    /// asked for again since (row 12).
    pub(super) occurrence: Arc<str>,
    /// Its end on the monotonic clock.
    pub(super) due: i64,
    /// Its whole length (8.24).
    pub(super) whole_ns: i64,
}

/// A cause of suppression. It is kept after its end until its cause is no longer true, so that one
/// that stays true has one maximum, not one after another (8.14).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hold {
    pub(super) cause: String,
    pub(super) until: Timestamp,
    pub(super) due: i64,
    /// A person said so; nothing evaluates it.
    pub(super) by_hand: bool,
    /// A person ended it.
    pub(super) ended: bool,
}

/// What lies over an alarm and cannot be told from its regions.
#[derive(Debug, Default)]
pub(super) struct Over {
    pub(super) shelf: Option<Shelf>,
    pub(super) holds: Vec<Hold>,
    /// End of out of service on the monotonic clock.
    pub(super) out_due: Option<i64>,
}

impl Over {
    pub(super) fn is_empty(&self) -> bool {
        self.shelf.is_none() && self.holds.is_empty() && self.out_due.is_none()
    }

    /// Drops what the regions no longer hold. A rule's cause is kept until it is no longer true.
    pub(super) fn trim(&mut self, regions: &Regions) {
        if regions.shelved.is_none() {
            self.shelf = None;
        }
        if regions.out_of_service.is_none() {
            self.out_due = None;
        }
        self.holds
            .retain(|h| !h.by_hand || regions.suppressed.contains(&h.cause));
    }

    /// When the last of the causes ends that suppress now, without one of them.
    fn until_without(&self, regions: &Regions, cause: &str) -> Option<Timestamp> {
        self.holds
            .iter()
            .filter(|h| h.cause != cause && regions.suppressed.contains(&h.cause))
            .map(|h| h.until)
            .max()
    }
}

impl Engine {
    /// Row 11, 8.12.
    pub(super) fn shelve(&mut self, a: AlarmIx, c: &Command, m: &Moment) -> Result<(), Rejection> {
        let longest = longest_shelf(self.def(a)).ok_or(Rejection::NotShelvable)?;
        if self.alarms[a.index()].regions().shelved.is_some() {
            return Err(Rejection::AlreadyShelved);
        }
        needs_reason(c)?;
        let (until, whole_ns) = deadline(c, m, longest)?;
        let shelf = match c.one_shot {
            true => Shelve::OneShot { until },
            false => Shelve::Timed { until },
        };
        let state = &self.alarms[a.index()];
        let standing = match &state.live {
            Some(live) if state.is_active() => live.occurrence.clone(),
            _ => "".into(),
        };
        self.lay(a, Event::Shelved(shelf), m, Some(c))?;
        let due = m.now.saturating_add(whole_ns);
        self.alarms[a.index()].live().over.shelf = Some(Shelf {
            occurrence: standing,
            due,
            whole_ns,
        });
        self.watch(a, due, until);
        Ok(())
    }

    /// Row 12.
    pub(super) fn unshelve(
        &mut self,
        a: AlarmIx,
        c: &Command,
        m: &Moment,
    ) -> Result<(), Rejection> {
        let seen = self.alarms[a.index()].live.as_ref().is_some_and(|l| {
            let shelved = l.over.shelf.as_ref().map(|s| &s.occurrence);
            l.regions.is_active() && shelved == Some(&l.occurrence)
        });
        let sounds = self.sounds(a);
        self.lay(a, Event::Unshelved { seen, sounds }, m, Some(c))
    }

    /// Row 14.
    pub(super) fn take_out(
        &mut self,
        a: AlarmIx,
        c: &Command,
        m: &Moment,
    ) -> Result<(), Rejection> {
        needs_reason(c)?;
        let permit = given(c.permit.as_ref()).ok_or(Rejection::NeedsPermit)?;
        if self.def(a).priority == Priority::CRITICAL {
            needs_second(c)?;
        }
        let (until, whole_ns) = deadline(c, m, OUT_OF_SERVICE_MAX_NS)?;
        let out = OutOfService {
            permit: permit.to_owned(),
            until,
        };
        self.put_out(a, out, m.now.saturating_add(whole_ns), m, c)
    }

    /// Out of service, with the end on both clocks.
    pub(super) fn put_out(
        &mut self,
        a: AlarmIx,
        out: OutOfService,
        due: i64,
        m: &Moment,
        c: &Command,
    ) -> Result<(), Rejection> {
        let until = out.until;
        self.lay(a, Event::TakenOut(out), m, Some(c))?;
        self.alarms[a.index()].live().over.out_due = Some(due);
        self.watch(a, due, until);
        Ok(())
    }

    /// Row 15.
    pub(super) fn put_in(&mut self, a: AlarmIx, c: &Command, m: &Moment) -> Result<(), Rejection> {
        let sounds = self.sounds(a);
        self.lay(a, Event::BackInService { sounds }, m, Some(c))
    }

    /// Row 13, by a person.
    pub(super) fn suppress(
        &mut self,
        a: AlarmIx,
        c: &Command,
        m: &Moment,
    ) -> Result<(), Rejection> {
        needs_reason(c)?;
        let cause = given(c.cause.as_ref()).ok_or(Rejection::Malformed)?;
        if self.needs_override(a) {
            given(c.permit.as_ref()).ok_or(Rejection::NeedsPermit)?;
            needs_second(c)?;
        }
        let (until, whole_ns) = deadline(c, m, SUPPRESS_MAX_NS)?;
        let known = |h: &Hold| h.cause == cause;
        let live = self.alarms[a.index()].live.as_ref();
        if live.is_some_and(|l| l.over.holds.iter().any(known)) {
            return Err(Rejection::NotApplicable);
        }
        self.hold(a, cause, until, m.now.saturating_add(whole_ns), m, Some(c))
    }

    /// Ends a suppression by its cause, whoever began it; a rule's begins again only when its cause
    /// was false in between.
    pub(super) fn unsuppress(
        &mut self,
        a: AlarmIx,
        c: &Command,
        m: &Moment,
    ) -> Result<(), Rejection> {
        let cause = given(c.cause.as_ref()).ok_or(Rejection::Malformed)?;
        let live = self.alarms[a.index()].live.as_mut();
        for h in live.into_iter().flat_map(|l| l.over.holds.iter_mut()) {
            h.ended |= h.cause == cause;
        }
        self.release_cause(a, cause, m, Some(c))
    }

    /// Row 13, by a rule: `until` while the cause is true, none when it is false or Unknown. The
    /// maximum of a cause that stays true counts from when it became true. The caller has seen to
    /// the named override that priority 1 and the second level of a gas alarm need.
    #[allow(dead_code)] // rules that suppress call it
    pub(super) fn set_suppressed(
        &mut self,
        a: AlarmIx,
        cause: &str,
        until: Option<Timestamp>,
        m: &Moment,
    ) {
        let over = self.alarms[a.index()].live.as_ref().map(|l| &l.over);
        let known = over.and_then(|o| o.holds.iter().find(|h| h.cause == cause));
        match (until, known) {
            (Some(until), None) => {
                let due = m.now.saturating_add(until.since(m.wall));
                // Refused only where it suppresses already.
                let _ = self.hold(a, cause, until, due, m, None);
            }
            (Some(_), Some(hold)) => {
                let (until, due) = (hold.until, hold.due);
                let past = hold.ended || due <= m.now || until <= m.wall;
                if !past && !self.suppresses(a, cause) {
                    let _ = self.hold(a, cause, until, due, m, None);
                }
            }
            (None, Some(_)) => {
                let _ = self.release_cause(a, cause, m, None);
                let over = &mut self.alarms[a.index()].live().over;
                over.holds.retain(|h| h.cause != cause);
                self.at_rest(a);
            }
            (None, None) => {}
        }
    }

    fn suppresses(&self, a: AlarmIx, cause: &str) -> bool {
        let live = self.alarms[a.index()].live.as_ref();
        live.is_some_and(|l| l.regions.suppressed.iter().any(|c| c == cause))
    }

    fn hold(
        &mut self,
        a: AlarmIx,
        cause: &str,
        until: Timestamp,
        due: i64,
        m: &Moment,
        asked: Option<&Command>,
    ) -> Result<(), Rejection> {
        let regions = self.alarms[a.index()].regions();
        let over = &mut self.alarms[a.index()].live().over;
        let last = over
            .until_without(&regions, cause)
            .map_or(until, |o| o.max(until));
        over.holds.retain(|h| h.cause != cause);
        over.holds.push(Hold {
            cause: cause.to_owned(),
            until,
            due,
            by_hand: asked.is_some(),
            ended: false,
        });
        if due > m.now && until > m.wall {
            let event = Event::Suppressed {
                cause: cause.to_owned(),
                until: last,
            };
            self.lay(a, event, m, asked)?;
        }
        self.watch(a, due, until);
        Ok(())
    }

    fn release_cause(
        &mut self,
        a: AlarmIx,
        cause: &str,
        m: &Moment,
        asked: Option<&Command>,
    ) -> Result<(), Rejection> {
        let event = Event::Unsuppressed {
            cause: cause.to_owned(),
            until: self.until_without(a, cause),
            sounds: self.sounds(a),
        };
        self.lay(a, event, m, asked)
    }

    pub(super) fn until_without(&self, a: AlarmIx, cause: &str) -> Option<Timestamp> {
        let live = self.alarms[a.index()].live.as_ref()?;
        live.over.until_without(&live.regions, cause)
    }

    /// Row 13: priority 1, and the second level of a gas alarm.
    fn needs_override(&self, a: AlarmIx) -> bool {
        let def = self.def(a);
        let gas = match def.subject {
            Subject::Point(p) => self.table.point(p).class.contains("gas"),
            Subject::Source(_) | Subject::Part(_) => false,
        };
        def.priority == Priority::CRITICAL || (gas && matches!(def.level, Level::Hh | Level::Hhh))
    }

    /// Applies an event of this file, and what follows from it.
    pub(super) fn lay(
        &mut self,
        a: AlarmIx,
        event: Event,
        m: &Moment,
        asked: Option<&Command>,
    ) -> Result<(), Rejection> {
        if let Some(why) = self.transit(a, event, m, asked) {
            self.at_rest(a);
            return Err(why);
        }
        self.at_rest(a);
        match self.def(a).subject {
            // 3.8: what is shelved, suppressed or out of service masks nothing.
            Subject::Point(p) => self.settle(self.siblings(a, p), m),
            Subject::Source(s) => {
                let state = &self.alarms[a.index()];
                if state.is_active() && !state.regions().is_bare() {
                    self.source_returned(s);
                }
            }
            Subject::Part(_) => {}
        }
        Ok(())
    }

    /// Gives the box back where nothing is left.
    fn at_rest(&mut self, a: AlarmIx) {
        let state = &mut self.alarms[a.index()];
        if state.live.as_ref().is_none_or(|l| l.over.is_empty()) {
            self.bounded.remove(&a);
        }
        state.rest();
    }

    /// 8.12: a one-shot shelf ends at the return, keeping the label underneath.
    pub(super) fn end_one_shot(&mut self, a: AlarmIx, m: &Moment) {
        let sounds = self.sounds(a);
        self.transit(a, Event::ShelfExpired { sounds }, m, None);
        self.at_rest(a);
    }

    /// The occurrence that was shelved is asked for again: who shelved it has not seen that.
    pub(super) fn no_longer_seen(&mut self, a: AlarmIx) {
        if let Some(live) = &mut self.alarms[a.index()].live
            && let Some(shelf) = &mut live.over.shelf
        {
            shelf.occurrence = "".into();
        }
    }

    /// 8.24: a raised priority voids a shelf that it forbids.
    pub(super) fn void_forbidden_shelf(&mut self, a: AlarmIx, m: &Moment) {
        let longest = longest_shelf(self.def(a)).unwrap_or(0);
        let live = self.alarms[a.index()].live.as_ref();
        let shelf = live.and_then(|l| l.over.shelf.as_ref());
        if shelf.is_some_and(|s| s.whole_ns > longest) {
            let sounds = self.sounds(a);
            let _ = self.lay(a, Event::ShelfVoided { sounds }, m, None);
        }
    }
}

/// A field that is there and says something.
pub(super) fn given(field: Option<&String>) -> Option<&str> {
    field.map(|f| f.trim()).filter(|f| !f.is_empty())
}

pub(super) fn needs_reason(c: &Command) -> Result<(), Rejection> {
    given(Some(&c.reason))
        .map(|_| ())
        .ok_or(Rejection::NeedsReason)
}

pub(super) fn needs_second(c: &Command) -> Result<(), Rejection> {
    given(c.second.as_ref())
        .filter(|second| *second != c.actor.trim())
        .map(|_| ())
        .ok_or(Rejection::NeedsSecondPerson)
}

/// The end that a command asks for, and how long that is: in (0, longest] by the clock of whoever
/// asked, and never longer on ours.
pub(super) fn deadline(
    c: &Command,
    m: &Moment,
    longest: i64,
) -> Result<(Timestamp, i64), Rejection> {
    let until = c.until.ok_or(Rejection::NeedsDeadline)?;
    let asked = until.0.saturating_sub(c.issued_at.0);
    let ahead = until.0.saturating_sub(m.wall.0);
    if asked <= 0 || ahead <= 0 {
        return Err(Rejection::NeedsDeadline);
    }
    if asked > longest {
        return Err(Rejection::TooLong);
    }
    let length = asked.min(ahead);
    Ok((Timestamp(m.wall.0.saturating_add(length)), length))
}
