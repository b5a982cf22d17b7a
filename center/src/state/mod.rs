//! What the control room knows now: the newest sample of each point, the newest record of each
//! alarm, its gateways, its pending commands, and what follows from them.
//!
//! Lives here: the live picture, rebuilt at start from the store. May not live here: sockets,
//! files, clocks; nothing here decides an alarm's state. Read first: [`Live`], then `alarms`,
//! then `blind`.

pub(crate) mod alarms;
pub(crate) mod blind;
pub(crate) mod commands;
pub(crate) mod gateways;
pub(crate) mod hazards;
pub(crate) mod points;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use davy_plan::Plan;
use davy_points::PointIx;
use davy_rules::alarm::Transition;

use alarms::{AlarmKey, AlarmView, Alarms};
use commands::Commands;
use gateways::Gateways;
use points::{Now, Points, Row};

/// The live picture. One lock around it, held for moments.
#[derive(Debug)]
pub(crate) struct Live {
    pub plan: Arc<Plan>,
    pub points: Points,
    pub alarms: Alarms,
    pub gateways: Gateways,
    pub commands: Commands,
    /// Newest committed transition, over all owners.
    pub center_seq: u64,
}

impl Live {
    pub(crate) fn new(plan: Arc<Plan>) -> Live {
        Live {
            points: Points::new(plan.points.len()),
            alarms: Alarms::default(),
            gateways: Gateways::new(&plan),
            commands: Commands::default(),
            center_seq: 0,
            plan,
        }
    }

    pub(crate) fn row(&self, point: PointIx, now: Now) -> Row {
        self.points
            .row(&self.plan, point, |g| self.gateways.seen(g), now)
    }

    pub(crate) fn sweep(&mut self, now: Now) {
        let (plan, gateways) = (&self.plan, &self.gateways);
        self.points.sweep(plan, |g| gateways.seen(g), now);
    }

    /// The alarm as it stands.
    pub(crate) fn alarm_view(&self, key: &AlarmKey) -> Option<AlarmView<'_>> {
        let (last, center_seq) = self.alarms.get(key)?.shown()?;
        Some(self.view_of(last, center_seq))
    }

    /// An alarm as a transition left it.
    pub(crate) fn view_of<'a>(
        &'a self,
        t: &'a Transition,
        center_seq: Option<u64>,
    ) -> AlarmView<'a> {
        let pending = self.commands.pending_for(&t.occurrence, &t.alarm);
        alarms::view(t, center_seq, &self.plan, pending)
    }
}
