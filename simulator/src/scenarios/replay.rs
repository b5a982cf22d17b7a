//! A story told to the plant alone, as fast as it can be: what a gateway would have heard, in order.
//!
//! Lives here: the order of polls, sources that fall silent. May not live here: sockets, rules, wall
//! clocks: times count from the beginning of the story. Read first: [`Replay`].

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use davy_points::{NoData, PointDef, PointIx, PointTable, Quality, SourceIx, Value};

use super::{Act, Story, Teller};
use crate::plant::{Plant, PlantError};

/// The models' step: no instrument here answers faster than its process.
const STEP: Duration = Duration::from_secs(1);

/// What the gateway hears next.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A point was read.
    Reading {
        /// When, from the beginning of the story.
        at: Duration,
        /// Which point of the table.
        point: PointIx,
        /// The value, clamped to the range; or why there is none.
        value: Value,
        /// How far to believe it.
        quality: Quality,
    },
    /// A source came up or went down.
    Source {
        /// When, from the beginning of the story.
        at: Duration,
        /// Which source of the table.
        source: SourceIx,
        /// It answers.
        up: bool,
    },
    /// People take a point out for a test, by the book, or give it back: its bypass begins before
    /// the first sample of the test and ends after the last.
    Bypass {
        /// When, from the beginning of the story.
        at: Duration,
        /// Which point of the table.
        point: PointIx,
        /// It is taken out.
        on: bool,
    },
}

impl Heard {
    /// When, from the beginning of the story.
    #[must_use]
    pub fn at(&self) -> Duration {
        match self {
            Heard::Reading { at, .. } | Heard::Source { at, .. } | Heard::Bypass { at, .. } => *at,
        }
    }
}

/// Why a story cannot be told to a site.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The site has no such tag or source.
    #[error("the site has no {0}")]
    Missing(String),
    /// A model cannot be wired to it.
    #[error(transparent)]
    Plant(#[from] PlantError),
}

/// Tells a story once, chapter after chapter; an iterator of what is heard, in order of time, of equal
/// times in order of the table. The same story, points and seed give the same.
#[derive(Debug)]
pub struct Replay {
    plant: Plant,
    teller: Teller,
    points: Vec<(PointIx, PointDef)>,
    sources: Vec<(SourceIx, Arc<str>)>,
    /// Next poll of a point: time, place in `points`.
    queue: BinaryHeap<Reverse<(Duration, usize)>>,
    /// Silent tags and sources.
    silent: BTreeSet<String>,
    /// Points out for a test.
    tested: BTreeSet<PointIx>,
    ready: Vec<Heard>,
    poll: Duration,
    now: Duration,
    end: Duration,
}

impl Replay {
    /// At the beginning of a story on a site.
    ///
    /// # Errors
    /// The story acts on what the site does not have, or a model cannot be wired to it.
    pub fn new(story: &Story, table: &PointTable, seed: u64) -> Result<Replay, ReplayError> {
        let points: Vec<(PointIx, PointDef)> =
            table.iter().map(|(ix, def)| (ix, def.clone())).collect();
        let sources: Vec<(SourceIx, Arc<str>)> =
            table.sources().map(|(ix, s)| (ix, s.id.clone())).collect();
        for act in story.acts() {
            if let Some(name) = act.target()
                && table.find(name).is_none()
                && !sources.iter().any(|(_, id)| **id == *name)
            {
                return Err(ReplayError::Missing(name.to_owned()));
            }
        }
        let defs: Vec<PointDef> = points.iter().map(|(_, def)| def.clone()).collect();
        let mut plant = Plant::of_units(&defs, seed, &story.units)?;
        plant.set_speed(story.speed);
        // every act once on a plant that is thrown away: a story that asks for what cannot be is told
        // at the start, not after hours
        let mut trial = Plant::of_units(&defs, seed, &story.units)?;
        for act in story.acts() {
            if !is_link(act, &sources) {
                act.play(&mut trial)?;
            }
        }
        let mut replay = Replay {
            plant,
            teller: Teller::new(story.clone(), seed),
            queue: BinaryHeap::new(),
            points,
            sources,
            silent: BTreeSet::new(),
            tested: BTreeSet::new(),
            ready: Vec::new(),
            poll: story.poll,
            now: Duration::ZERO,
            end: story.length(),
        };
        // Every instrument stands at its process before the first act takes hold of it, and gives its
        // first reading within its own period: a switch that is polled fast is overdue sooner.
        replay.plant.advance(Duration::ZERO);
        for point in 0..replay.points.len() {
            replay.plant.read(point);
            let first = replay.period(point).min(STEP);
            replay.queue.push(Reverse((first, point)));
        }
        replay.tell();
        Ok(replay)
    }

    /// The plant behind it.
    #[must_use]
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// How often a point is read.
    fn period(&self, point: usize) -> Duration {
        let period = self.points[point].1.expected_interval.max(self.poll);
        period.max(Duration::from_millis(10))
    }

    /// The acts that are due now.
    fn tell(&mut self) {
        if self.now >= self.end {
            return; // the calm after the last chapter is not part of it
        }
        for told in self.teller.due(self.now) {
            match &told.act {
                Act::Silence(name) | Act::Refuse(name) => {
                    self.silent.insert(name.clone());
                    self.source(name, false);
                }
                Act::Test(name) => self.bypass(name, true),
                Act::Restore(name) => {
                    self.silent.remove(name);
                    self.source(name, true);
                    self.bypass(name, false);
                }
                Act::Calm => {
                    for name in std::mem::take(&mut self.silent) {
                        self.source(&name, true);
                    }
                }
                _ => {}
            }
            if !is_link(&told.act, &self.sources) {
                // it was tried at the start
                let _ = told.act.play(&mut self.plant);
            }
        }
    }

    fn source(&mut self, name: &str, up: bool) {
        if let Some((source, _)) = self.sources.iter().find(|(_, id)| **id == *name) {
            self.ready.push(Heard::Source {
                at: self.now,
                source: *source,
                up,
            });
        }
    }

    fn bypass(&mut self, tag: &str, on: bool) {
        let found = self.points.iter().find(|(_, def)| *def.tag == *tag);
        let Some((point, _)) = found else { return };
        // only what was taken out is given back
        if self.tested.contains(point) != on {
            if on {
                self.tested.insert(*point);
            } else {
                self.tested.remove(point);
            }
            self.ready.push(Heard::Bypass {
                at: self.now,
                point: *point,
                on,
            });
        }
    }

    fn is_silent(&self, point: usize) -> bool {
        if self.silent.is_empty() {
            return false;
        }
        let def = &self.points[point].1;
        let source = self.sources.iter().find(|(ix, _)| *ix == def.source);
        self.silent.contains(&*def.tag) || source.is_some_and(|(_, id)| self.silent.contains(&**id))
    }
}

/// An act on a source touches no instrument.
fn is_link(act: &Act, sources: &[(SourceIx, Arc<str>)]) -> bool {
    act.target()
        .is_some_and(|name| sources.iter().any(|(_, id)| **id == *name))
}

impl Iterator for Replay {
    type Item = Heard;

    fn next(&mut self) -> Option<Heard> {
        loop {
            if !self.ready.is_empty() {
                return Some(self.ready.remove(0));
            }
            let Reverse((at, point)) = *self.queue.peek()?;
            if at > self.end {
                return None;
            }
            // the plant stands where it stood at the last whole step
            if self.now + STEP <= at {
                self.now += STEP;
                self.plant.advance(STEP);
                self.tell();
                continue;
            }
            self.queue.pop();
            let period = self.period(point);
            self.queue.push(Reverse((at + period, point)));
            if self.is_silent(point) {
                continue;
            }
            let (value, quality) = self.plant.read(point);
            let value = if value.is_nan() {
                Value::none(NoData::Sentinel)
            } else {
                Value::F64(value)
            };
            return Some(Heard::Reading {
                at,
                point: self.points[point].0,
                value,
                quality,
            });
        }
    }
}
