//! Rules and limits that change while the gateway runs.
//!
//! Lives here: what of a new plan can be taken without reading the field differently. May not live
//! here: what an edit means to an alarm (`davy-rules`). What says how a value is read, where and
//! how it is scaled, comes with a restart: until then such a point keeps the whole row that it was
//! started with, for a limit in one unit says nothing of a value in another. Read first: [`merge`].

use std::collections::BTreeSet;
use std::sync::Arc;

use davy_plan::{Plan, SiteSource};
use davy_points::{Diagnostic, PointDef, PointTable};
use davy_rules::engine::Reload;
use davy_rules::language::Approval;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::{Ask, Gateway};

/// What became of a reload.
#[derive(Debug)]
pub enum Reloaded {
    /// The engine judges by the new rules; these parts of the plan wait for a restart.
    Applied {
        /// In words, for whoever asked.
        waiting: Vec<String>,
    },
    /// The rules do not hold on the points that are read now; the running ones stay.
    Refused {
        /// Why.
        faults: Vec<Diagnostic>,
        /// What differs and waits for a restart.
        waiting: Vec<String>,
    },
    /// The gateway is stopping.
    Gone,
}

impl Gateway {
    /// Goes on with the rules and limits of another plan, without missing a sample.
    pub async fn reload(&mut self, plan: Arc<Plan>) -> Reloaded {
        let (table, waiting) = merge(&self.plan, &plan);
        let rev = match waiting.is_empty() {
            true => plan.rev.clone(),
            false => rev_of(&self.plan.rev, &plan.rev),
        };
        let guidance: Vec<String> = plan.guidance.iter().map(|(name, _)| name.clone()).collect();
        let approval = Approval::new(plan.approval_key.as_ref().map(|k| k.0.as_slice()));
        let table = Arc::new(table);
        let (reload, faults) = Reload::compile(&plan.rule_files, &guidance, table, rev, &approval);
        let Some(reload) = reload else {
            return Reloaded::Refused { faults, waiting };
        };
        let (done, heard) = oneshot::channel();
        let ask = Ask::Reload(Box::new(reload), done);
        if self.asks.send(ask).await.is_err() || heard.await.is_err() {
            return Reloaded::Gone;
        }
        Reloaded::Applied { waiting }
    }
}

/// The running points with what the new plan says of their limits, and what waits for a restart.
fn merge(running: &Plan, new: &Plan) -> (PointTable, Vec<String>) {
    let mut waiting = Vec::new();
    let mut table = PointTable::new();
    for (_, source) in running.points.sources() {
        table.add_source(source.clone());
    }
    let config = |plan: &Plan, id: &str| plan.sources.iter().find(|s| id_of(s) == id).cloned();
    let ids: BTreeSet<&str> = [running, new]
        .into_iter()
        .flat_map(|p| p.points.sources())
        .map(|(_, s)| &*s.id)
        .collect();
    for id in ids {
        let (was, is) = (config(running, id), config(new, id));
        if was.map(without_place) != is.map(without_place) {
            waiting.push(format!("source {id}"));
        }
    }
    for (_, was) in running.points.iter() {
        let is = new.points.find(&was.tag).map(|ix| new.points.point(ix));
        let row = match is {
            None => {
                waiting.push(format!("point {} is gone", was.tag));
                was.clone()
            }
            Some(is) if is_read_alike(&running.points, was, &new.points, is) => PointDef {
                source: was.source,
                ..is.clone()
            },
            Some(_) => {
                waiting.push(format!("point {} is read in another way", was.tag));
                was.clone()
            }
        };
        // The tags of one table go into another: none comes twice.
        let _ = table.add(row);
    }
    for (_, is) in new.points.iter() {
        if running.points.find(&is.tag).is_none() {
            waiting.push(format!("point {} is new", is.tag));
        }
    }
    (table, waiting)
}

fn id_of(source: &SiteSource) -> &str {
    match source {
        SiteSource::Modbus(m) => &m.id,
        SiteSource::Mqtt(m) => &m.id,
    }
}

/// Its place in the table says nothing of how it is read.
fn without_place(mut source: SiteSource) -> SiteSource {
    match &mut source {
        SiteSource::Modbus(m) => m.ix = first_source(),
        SiteSource::Mqtt(m) => m.ix = first_source(),
    }
    source
}

fn first_source() -> davy_points::SourceIx {
    PointTable::new().add_source(davy_points::SourceDef {
        id: "".into(),
        gateway: "".into(),
        recorded: false,
    })
}

/// Whether acquisition makes the same of a point: then the rest of its row can change at once.
fn is_read_alike(old: &PointTable, was: &PointDef, new: &PointTable, is: &PointDef) -> bool {
    old.source(was.source) == new.source(is.source)
        && was.binding == is.binding
        && was.scaling == is.scaling
        && was.poll == is.poll
        && was.expected_interval == is.expected_interval
        && was.sentinels == is.sentinels
        && was.unit == is.unit
        && (was.low, was.high) == (is.low, is.high)
        // What was planned is not read.
        && (was.life == davy_points::Life::Planned) == (is.life == davy_points::Life::Planned)
}

/// Neither plan runs whole: the mixture has a name of its own.
fn rev_of(running: &str, new: &str) -> Arc<str> {
    let digest = Sha256::digest(format!("{running}|{new}"));
    digest
        .iter()
        .take(8)
        .map(|b| format!("{b:02x}"))
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_is_neither() {
        assert_eq!(rev_of("a", "b").len(), 16);
        assert_ne!(rev_of("a", "b"), rev_of("b", "a"));
    }
}
