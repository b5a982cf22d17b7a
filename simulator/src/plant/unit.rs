//! The process models of a story in the plant: what feeds which, and which instrument shows what.
//!
//! Lives here: wiring. May not live here: equations (`process`), instruments. Read first:
//! [`UnitSpec`].

use std::collections::{BTreeMap, HashMap};

use davy_points::PointDef;

use super::instrument::Instrument;
use super::process::{self, Process};
use crate::random::Seeded;

/// A process model of a story, by the names of `plant/process`.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitSpec {
    /// Its name in the story.
    pub name: String,
    /// Which model.
    pub model: String,
    /// Its numbers, where they are not the usual ones.
    pub with: BTreeMap<String, f64>,
    /// Inputs that another model moves: input to `unit.quantity`.
    pub from: BTreeMap<String, String>,
    /// What the instruments measure, by tag. Tags that a site does not have are passed over.
    pub shows: BTreeMap<String, Shown>,
}

/// A quantity as an instrument shows it: `of × times + plus`.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The quantity.
    pub of: String,
    /// Factor; without it the units must be of a kind.
    pub times: Option<f64>,
    /// Added after the factor.
    pub plus: f64,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Units {
    specs: Vec<UnitSpec>,
    seed: u64,
    units: Vec<Unit>,
    turning: Vec<Turn>,
}

#[derive(Debug)]
struct Unit {
    process: Box<dyn Process>,
    chance: Seeded,
    /// Input, and whose quantity.
    from: Vec<(String, usize, String)>,
    /// Instrument, quantity, factor, addition.
    shows: Vec<(usize, String, f64, f64)>,
}

/// An input on its way.
#[derive(Debug)]
struct Turn {
    unit: usize,
    input: String,
    to: f64,
    left_s: f64,
}

impl Units {
    pub(super) fn new(specs: &[UnitSpec], points: &[PointDef], seed: u64) -> Result<Units, String> {
        let at: HashMap<&str, usize> = specs
            .iter()
            .enumerate()
            .map(|(i, spec)| (&*spec.name, i))
            .collect();
        if at.len() < specs.len() {
            return Err("two units have one name".to_owned());
        }
        let tags: HashMap<&str, usize> = points
            .iter()
            .enumerate()
            .map(|(i, def)| (&*def.tag, i))
            .collect();
        let mut units = Vec::new();
        for spec in specs {
            let name = &spec.name;
            let mut process =
                process::build(&spec.model, &spec.with).map_err(|e| format!("{name}: {e}"))?;
            let mut shows = Vec::new();
            for (tag, shown) in &spec.shows {
                let of = &shown.of;
                if process.quantity(of).is_none() {
                    return Err(format!("{name}: the model {} has no {of:?}", spec.model));
                }
                let Some(&instrument) = tags.get(&**tag) else {
                    continue;
                };
                let unit = &*points[instrument].unit;
                let factor = shown
                    .times
                    .or_else(|| process::factor(process::unit_of(of), unit))
                    .ok_or_else(|| {
                        format!("{name}: {tag} is in {unit:?}, and {of} needs `times` for that")
                    })?;
                shows.push((instrument, of.clone(), factor, shown.plus));
            }
            let mut from = Vec::new();
            for (input, source) in &spec.from {
                let (unit, quantity) = source
                    .split_once('.')
                    .ok_or_else(|| format!("{name}: {source:?} is not unit.quantity"))?;
                if process.input(input).is_none() {
                    return Err(format!(
                        "{name}: the model {} has no input {input:?}",
                        spec.model
                    ));
                }
                let there = at
                    .get(unit)
                    .ok_or_else(|| format!("{name}: there is no unit {unit:?}"))?;
                from.push((input.clone(), *there, quantity.to_owned()));
            }
            units.push(Unit {
                process,
                chance: Seeded::for_name(seed, name),
                from,
                shows,
            });
        }
        for (spec, unit) in specs.iter().zip(&units) {
            for (_, there, quantity) in &unit.from {
                if units[*there].process.quantity(quantity).is_none() {
                    let name = &spec.name;
                    return Err(format!(
                        "{name}: {} has no {quantity:?}",
                        specs[*there].name
                    ));
                }
            }
        }
        Ok(Units {
            specs: specs.to_vec(),
            seed,
            units,
            turning: Vec::new(),
        })
    }

    /// Every model as it was at the start.
    pub(super) fn begin_again(&mut self) {
        self.turning.clear();
        for (spec, unit) in self.specs.iter().zip(&mut self.units) {
            // it was built once from the same numbers
            if let Ok(process) = process::build(&spec.model, &spec.with) {
                unit.process = process;
                unit.chance = Seeded::for_name(self.seed, &spec.name);
            }
        }
    }

    pub(super) fn quantity(&self, name: &str) -> Option<f64> {
        let (unit, quantity) = name.split_once('.')?;
        let at = self.specs.iter().position(|spec| spec.name == unit)?;
        self.units[at].process.quantity(quantity)
    }

    pub(super) fn turn(&mut self, name: &str, to: f64, over: f64) -> Result<(), String> {
        let (unit, input) = name
            .split_once('.')
            .and_then(|(unit, input)| {
                let at = self.specs.iter().position(|spec| spec.name == unit)?;
                Some((at, input))
            })
            .ok_or_else(|| format!("there is no unit for {name:?}"))?;
        let Some(value) = self.units[unit].process.input(input) else {
            return Err(format!(
                "the unit of {name:?} has nothing of that name to turn"
            ));
        };
        self.turning.retain(|t| t.unit != unit || t.input != input);
        if over <= 0.0 {
            *value = to;
        } else {
            self.turning.push(Turn {
                unit,
                input: input.to_owned(),
                to,
                left_s: over,
            });
        }
        Ok(())
    }

    pub(super) fn advance(&mut self, seconds: f64, instruments: &mut [Instrument]) {
        for turn in &mut self.turning {
            if let Some(value) = self.units[turn.unit].process.input(&turn.input) {
                let share = if turn.left_s > seconds {
                    seconds / turn.left_s
                } else {
                    1.0
                };
                *value += (turn.to - *value) * share;
            }
            turn.left_s -= seconds;
        }
        self.turning.retain(|turn| turn.left_s > 0.0);
        for at in 0..self.units.len() {
            for i in 0..self.units[at].from.len() {
                let (_, there, quantity) = &self.units[at].from[i];
                let Some(now) = self.units[*there].process.quantity(quantity) else {
                    continue;
                };
                let unit = &mut self.units[at];
                if let Some(value) = unit.process.input(&unit.from[i].0) {
                    *value = now;
                }
            }
            let unit = &mut self.units[at];
            unit.process.step(seconds, &mut unit.chance);
            for (instrument, quantity, times, plus) in &unit.shows {
                if let Some(value) = unit.process.quantity(quantity) {
                    instruments[*instrument].drive(value * times + plus);
                }
            }
        }
    }
}
