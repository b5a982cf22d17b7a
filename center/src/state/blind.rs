//! Everything that is not protecting now, in one list (`alarm-engine.md` 7.7). An area or hazard
//! source with an entry here never reads as plain normal.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use davy_plan::Plan;
use davy_points::{Life, PointDef, Quality, Timestamp};
use davy_rules::alarm::{Eval, Flag, Label, Level, Shelve, Transition};
use serde::Serialize;

use super::Live;
use super::alarms::active;
use super::points::Now;
use crate::OWNER;

/// Why something does not protect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Gateway,
    LossOfView,
    Stuck,
    Stale,
    Bad,
    VoteDegraded,
    Unknown,
    Journal,
    PlanDiffers,
    Bypass,
    OutOfService,
    Suppressed,
    Shelved,
    Commissioning,
    Planned,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    pub kind: Kind,
    pub tag: String,
    pub alarm: String,
    pub hazard: String,
    pub area: String,
    pub gateway: String,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub text: String,
    pub owner: String,
}

/// The list, worst hazard source first, then by deadline.
pub(crate) fn list(live: &Live, now: Now) -> Vec<Item> {
    let mut build = Build {
        live,
        plan: &live.plan,
        items: Vec::new(),
        covered: HashSet::new(),
    };
    build.gateways();
    build.alarms();
    build.points(now);
    let mut items = build.items;
    let grade = |hazard: &str| {
        live.plan
            .hazards
            .iter()
            .find(|h| h.id == hazard)
            .and_then(|h| h.grade)
            .unwrap_or(u8::MAX)
    };
    items.sort_by_cached_key(|i| {
        (
            grade(&i.hazard),
            i.until.unwrap_or(Timestamp(i64::MAX)),
            i.kind,
            i.hazard.clone(),
            i.area.clone(),
            i.tag.clone(),
            i.alarm.clone(),
            i.gateway.clone(),
        )
    });
    items
}

struct Build<'a> {
    live: &'a Live,
    plan: &'a Plan,
    items: Vec<Item>,
    /// Tags that an entry explains already.
    covered: HashSet<Arc<str>>,
}

impl<'a> Build<'a> {
    fn gateways(&mut self) {
        for g in self.live.gateways.iter() {
            if g.lost() {
                let blank = Item {
                    kind: Kind::Gateway,
                    gateway: g.id.to_string(),
                    since: g.silent_since,
                    text: format!("网关 {} 无信号：其测点在此不可见", g.id),
                    owner: OWNER.into(),
                    ..blank()
                };
                self.over(blank, |p, plan| {
                    *plan.points.source(p.source).gateway == *g.id
                });
            }
            if let Some(broken) = &g.broken {
                self.items.push(Item {
                    kind: Kind::Journal,
                    gateway: g.id.to_string(),
                    since: Some(broken.since),
                    text: broken.text.clone(),
                    owner: g.id.to_string(),
                    ..blank()
                });
            }
        }
    }

    fn alarms(&mut self) {
        let live = self.live;
        let mut unjournalled = BTreeSet::new();
        let mut unknown: Vec<&Transition> = Vec::new();
        for (_, t, provisional) in live.alarms.iter() {
            if provisional && t.flags.contains(&Flag::Unjournalled) {
                unjournalled.insert(t.owner.clone());
            }
            self.withheld(t);
            if active(t) && !t.regions.after.masked {
                self.blindness(t);
            }
            if t.regions.after.eval == Eval::Unknown && &*t.kind == "level" {
                unknown.push(t);
            }
        }
        for owner in unjournalled {
            self.items.push(Item {
                kind: Kind::Journal,
                gateway: owner.to_string(),
                text: format!("{owner} 有未落盘的报警记录"),
                owner: owner.to_string(),
                ..blank()
            });
        }
        unknown.sort_by(|a, b| a.tag.cmp(&b.tag));
        for t in unknown {
            if self.watched(&t.tag) && self.covered.insert(t.tag.clone()) {
                self.push_alarm(Kind::Unknown, t, None);
            }
        }
    }

    /// Shelved, suppressed, out of service: seen, but not annunciated.
    fn withheld(&mut self, t: &Transition) {
        let after = &t.regions.after;
        match t.to {
            Label::OutOfService => {
                let until = after.out_of_service.as_ref().map(|o| o.until);
                let kind = match &*t.kind {
                    // No test value comes up: that nothing is heard of the point is explained.
                    "bypass" => {
                        self.covered.insert(t.tag.clone());
                        Kind::Bypass
                    }
                    _ => Kind::OutOfService,
                };
                self.push_alarm(kind, t, until);
            }
            Label::Suppressed => self.push_alarm(Kind::Suppressed, t, None),
            Label::Shelved => {
                let until = after.shelved.as_ref().map(|s| match s {
                    Shelve::OneShot { until } | Shelve::Timed { until } => *until,
                });
                self.push_alarm(Kind::Shelved, t, until);
            }
            _ => {}
        }
    }

    /// Alarms that say that something cannot be seen.
    fn blindness(&mut self, t: &Transition) {
        let kind = match (&*t.kind, t.level) {
            // A gateway's silence stands in the list already, point group by point group.
            ("stale", _) if *t.owner == *OWNER => return,
            (_, Level::LossOfView) => Kind::LossOfView,
            ("stale", _) | (_, Level::Stale) => Kind::Stale,
            ("stuck", _) => Kind::Stuck,
            ("vote", Level::Bad) => Kind::VoteDegraded,
            ("quality", _) | (_, Level::Bad) => Kind::Bad,
            ("system", _) if t.alarm.starts_with("system/plan/") => Kind::PlanDiffers,
            ("system", _)
                if t.alarm.starts_with("system/journal/")
                    || t.alarm.starts_with("system/received/") =>
            {
                Kind::Journal
            }
            ("system", _) => Kind::LossOfView,
            _ => return,
        };
        let source = self
            .plan
            .points
            .sources()
            .find(|(_, s)| *s.gateway == *t.owner && *s.id == *t.tag)
            .map(|(ix, _)| ix);
        if kind == Kind::LossOfView
            && let Some(source) = source
        {
            let item = self.item(kind, t, None);
            self.over(item, |p, _| p.source == source);
            return;
        }
        // What a rule over several points lacks need not be the point that it is about.
        if matches!(&*t.kind, "level" | "stale" | "stuck" | "quality" | "source") {
            self.covered.insert(t.tag.clone());
        }
        self.push_alarm(kind, t, None);
    }

    fn points(&mut self, now: Now) {
        let live = self.live;
        for (ix, p) in self.plan.points.iter() {
            let kind = match p.life {
                Life::Planned => Kind::Planned,
                Life::Commissioning => Kind::Commissioning,
                Life::InService if self.covered.contains(&p.tag) => continue,
                Life::InService => {
                    let row = live.row(ix, now);
                    match row.quality {
                        Quality::BadWaiting => Kind::Unknown,
                        Quality::BadStale => Kind::Stale,
                        q if q.is_bad() => Kind::Bad,
                        _ => continue,
                    }
                }
            };
            self.items.push(Item {
                kind,
                tag: p.tag.to_string(),
                hazard: p.hazard.to_string(),
                area: p.area.to_string(),
                gateway: self.plan.points.source(p.source).gateway.to_string(),
                text: p.description.to_string(),
                owner: OWNER.into(),
                ..blank()
            });
        }
    }

    fn watched(&self, tag: &str) -> bool {
        self.plan
            .points
            .find(tag)
            .is_none_or(|ix| self.plan.points.point(ix).life == Life::InService)
    }

    /// One entry for each hazard source and area whose points are meant, so that none of them
    /// reads as normal; a blank one where there is no such point.
    fn over(&mut self, item: Item, meant: impl Fn(&PointDef, &Plan) -> bool) {
        let mut groups: BTreeSet<(&'a str, &'a str)> = BTreeSet::new();
        for (_, p) in self.plan.points.iter() {
            if p.life == Life::InService && meant(p, self.plan) {
                groups.insert((&p.hazard, &p.area));
                self.covered.insert(p.tag.clone());
            }
        }
        if groups.is_empty() {
            self.items.push(item);
            return;
        }
        for (hazard, area) in groups {
            self.items.push(Item {
                hazard: hazard.to_owned(),
                area: area.to_owned(),
                ..item.clone()
            });
        }
    }

    fn push_alarm(&mut self, kind: Kind, t: &Transition, until: Option<Timestamp>) {
        let item = self.item(kind, t, until);
        self.items.push(item);
    }

    fn item(&self, kind: Kind, t: &Transition, until: Option<Timestamp>) -> Item {
        Item {
            kind,
            tag: t.tag.to_string(),
            alarm: t.alarm.to_string(),
            hazard: t.hazard.to_string(),
            area: t.area.to_string(),
            gateway: if *t.owner == *OWNER {
                String::new()
            } else {
                t.owner.to_string()
            },
            since: Some(t.annunciated_at.unwrap_or(t.source_time)),
            until,
            text: t.text.to_string(),
            owner: t.owner.to_string(),
        }
    }
}

fn blank() -> Item {
    Item {
        kind: Kind::Unknown,
        tag: String::new(),
        alarm: String::new(),
        hazard: String::new(),
        area: String::new(),
        gateway: String::new(),
        since: None,
        until: None,
        text: String::new(),
        owner: String::new(),
    }
}
