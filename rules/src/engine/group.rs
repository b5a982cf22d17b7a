//! One alarm for what one cause did to many points: a lost source, a storm on one device.
//!
//! Lives here: who stands for whom and until when, and when a child is exposed after all. What an
//! alarm stands for is recorded, masked, and asks for no acknowledgement of its own unless it was
//! annunciated. An alarm of priority 1 is grouped under nothing but a lost source, which takes its
//! priority; one that was annunciated before stays as it is. Read first: [`Engine::stood_until`].

use davy_points::{Life, PointIx, Priority, Quality, SourceIx};

use super::state::NEVER;
use super::timers::Deadline;
use super::{Engine, Moment};
use crate::alarm::Event;
use crate::grammar::ns;
use crate::ruleset::{AlarmIx, Kind, Shade, Subject};

/// A storm is at least so many points of one source at once; two where it has no more.
const STORM_POINTS: usize = 3;

/// The chance that a point has, after its source came back, before its own alarm speaks.
const CHANCE_MIN_NS: i64 = 2_000_000_000;
const CHANCE_MAX_NS: i64 = 60_000_000_000;

impl Engine {
    /// Until when something stands for an alarm of a point's own signal: [`NEVER`] is as long as
    /// that other alarm stands. None: it speaks for itself.
    pub(super) fn stood_until(&self, a: AlarmIx, p: PointIx) -> Option<i64> {
        if !self.points[p.index()].flags.unheard {
            return None;
        }
        let source = self.table.point(p).source;
        let lost = self.rules.of_source(source);
        let state = &self.alarms[lost.index()];
        let shade = state.live.as_ref().map(|l| l.shade);
        if self.def(a).priority == Priority::CRITICAL {
            let lost = state.stands() && !state.is_masked() && shade == Some(Shade::Plain);
            return lost.then_some(NEVER);
        }
        let stands = self.stands_for_points(source);
        if stands || self.startup.is_some() {
            return Some(NEVER);
        }
        let until = self.sources[source.index()].returned_at? + self.chance(p);
        (self.now <= until).then_some(until)
    }

    /// A source's alarm stands, for more than its clock: a suspect clock is no blindness.
    fn stands_for_points(&self, source: SourceIx) -> bool {
        let state = &self.alarms[self.rules.of_source(source).index()];
        let clock = state.live.as_ref().is_some_and(|l| l.shade == Shade::Clock);
        state.stands() && !clock
    }

    /// Three polls, within reason.
    fn chance(&self, p: PointIx) -> i64 {
        ns(self.table.point(p).expected_interval)
            .saturating_mul(3)
            .clamp(CHANCE_MIN_NS, CHANCE_MAX_NS)
    }

    /// Whether an alarm of a point's signal that becomes active now is masked.
    pub(super) fn signal_is_stood_for(&mut self, a: AlarmIx, p: PointIx) -> bool {
        match self.stood_until(a, p) {
            Some(NEVER) => true,
            Some(until) => {
                self.timers.push(until, Deadline::Expose { alarm: a });
                true
            }
            None => self.collapse(a, p),
        }
    }

    /// A source's points have another chance, each its own, before their alarms speak.
    pub(super) fn source_returned(&mut self, source: SourceIx) {
        self.sources[source.index()].returned_at = Some(self.now);
        if self.sources[source.index()].masked == 0 {
            return;
        }
        for p in self.sources[source.index()].points.clone() {
            for a in self.others(p).map(AlarmIx) {
                if self.is_signal(a) && self.alarms[a.index()].is_masked() {
                    let until = self.now.saturating_add(self.chance(p));
                    self.timers.push(until, Deadline::Expose { alarm: a });
                }
            }
        }
    }

    pub(super) fn is_signal(&self, a: AlarmIx) -> bool {
        matches!(self.kind(a), Kind::Stale | Kind::Quality)
    }

    /// The chance of a masked alarm is over: it speaks, or others fell silent with it.
    pub(super) fn expose(&mut self, a: AlarmIx, now: i64) {
        let Subject::Point(p) = self.def(a).subject else {
            return;
        };
        if !self.alarms[a.index()].is_masked() || !self.alarms[a.index()].is_active() {
            return;
        }
        match self.stood_until(a, p) {
            // As long as that stands; its return gives a new chance.
            Some(NEVER) => {}
            Some(until) if until > now => self.timers.push(until, Deadline::Expose { alarm: a }),
            _ => {
                if !self.collapse(a, p) {
                    let m = self.at_point(p, now, self.points[p.index()].quality);
                    let sounds = self.sounds(a);
                    self.transit(a, Event::Unmasked { sounds }, &m, None);
                }
            }
        }
    }

    /// Section 4, `quality`: a storm on one device collapses into one alarm. True: it stands for
    /// this alarm from now on. What was annunciated before is no part of it.
    fn collapse(&mut self, a: AlarmIx, p: PointIx) -> bool {
        if self.def(a).priority == Priority::CRITICAL || self.table.point(p).life != Life::InService
        {
            return false;
        }
        let source = self.table.point(p).source;
        let points = self.sources[source.index()].points.clone();
        let struck: Vec<PointIx> = points
            .iter()
            .copied()
            .filter(|x| *x == p || self.is_struck(*x))
            .collect();
        let in_service = self.sources[source.index()].in_service;
        if struck.len() < STORM_POINTS && (struck.len() < 2 || struck.len() < in_service) {
            return false;
        }
        for x in points {
            self.points[x.index()].flags.unheard = true;
        }
        self.sources[source.index()].storm = true;
        self.count_unheard();
        let first = struck.first().map_or(p, |x| *x);
        let words = format!("{} 等 {} 点", self.table.point(first).tag, struck.len());
        let m = self.at_source(Quality::BadCommunication);
        self.raise_source(source, Shade::Storm, Some(words), &m);
        true
    }

    /// Silent for most of what is allowed, or with an alarm that waits, is beneath nothing, or spoke
    /// within the last interval.
    fn is_struck(&self, p: PointIx) -> bool {
        let (def, point) = (self.table.point(p), &self.points[p.index()]);
        if def.life != Life::InService
            || (point.flags.unheard && self.stands_for_points(def.source))
        {
            return false;
        }
        let interval = ns(def.expected_interval);
        let (mut waits, mut spoke) = (false, false);
        for a in self.others(p).map(AlarmIx).filter(|a| self.is_signal(*a)) {
            let state = &self.alarms[a.index()];
            let Some(live) = &state.live else { continue };
            if live.is_pending_on() {
                waits |= self.now.saturating_sub(live.pending) >= interval;
            } else if state.is_active() && state.is_masked() {
                waits = true;
            } else if state.is_active() {
                let at = live.annunciated_at.unwrap_or_default();
                let long_ago = self.wall_at(self.now).since(at) > interval;
                waits |= !long_ago;
                spoke |= long_ago;
            }
        }
        // Two polls of three: what changes seldom is sent again before it is stale.
        let allowed = ns(def.stale_after);
        let silent = allowed > 0 && self.now.saturating_sub(point.last_arrival) >= allowed / 3 * 2;
        (waits || silent) && !spoke
    }

    /// An alarm of the point's own signal is annunciated.
    pub(super) fn has_spoken(&self, p: PointIx) -> bool {
        self.others(p).map(AlarmIx).any(|a| {
            let state = &self.alarms[a.index()];
            self.is_signal(a) && state.is_active() && !state.is_masked()
        })
    }

    /// A source is lost, has a storm, or its clock is not to be trusted. Where its alarm stands
    /// already and says less than that, it says it again to whoever has acknowledged it.
    pub(super) fn raise_source(
        &mut self,
        source: SourceIx,
        shade: Shade,
        words: Option<String>,
        m: &Moment,
    ) {
        for p in self.sources[source.index()].points.clone() {
            self.points[p.index()].quick = false;
        }
        let a = self.rules.of_source(source);
        let sounds = self.sounds(a);
        let state = &mut self.alarms[a.index()];
        let stands = state.is_active();
        let live = state.live();
        let more = !stands
            || weight(shade) > weight(live.shade)
            || (shade == Shade::Storm && live.shade == shade);
        if !more {
            return;
        }
        live.shade = shade;
        live.detail = words;
        if !stands {
            self.apply(a, super::judge::Verdict::Enter, m);
        } else if live.regions.acked {
            self.transit(a, Event::Reannounced { sounds }, m, None);
        }
    }

    /// Who stood for whom when the process ended. A point whose source came back just then has its
    /// chance again.
    pub(super) fn restore_groups(&mut self) {
        for i in 0..self.sources.len() {
            let lost = &self.alarms[self.rules.sources[i].index()];
            let storm = lost.live.as_ref().is_some_and(|l| l.shade == Shade::Storm);
            self.sources[i].storm = lost.is_active() && storm;
            for p in self.sources[i].points.clone() {
                for a in self.others(p).map(AlarmIx) {
                    if self.is_signal(a) && self.alarms[a.index()].is_masked() {
                        self.sources[i].masked += 1;
                        let until = self.now.saturating_add(self.chance(p));
                        self.timers.push(until, Deadline::Expose { alarm: a });
                    }
                }
            }
        }
    }
}

/// Which of two says more.
fn weight(shade: Shade) -> u8 {
    match shade {
        Shade::Clock => 0,
        Shade::Storm => 1,
        _ => 2,
    }
}
