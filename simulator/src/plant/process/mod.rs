//! Process models: what a tank, a sphere, a heap or a bearing does, by a few documented equations.
//!
//! Lives here: one model a file, seeded, without sockets, clocks or tags; and the table of their
//! names. May not live here: instruments (a model knows what is, not what is read), stories. Every
//! quantity carries its unit as the end of its name (`level_m`); what has none is a contact, 0 or 1.
//! Read first: [`Process`], then `tank`.

mod bearing;
mod chlorine;
mod cold_box;
mod dust_bin;
mod filter;
mod gas_holder;
mod head;
mod heap;
mod plume;
mod reactor;
mod refrigeration;
mod room;
mod saturation;
mod self_heating;
mod spark;
mod sphere;
mod tank;
mod weather;

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::random::Seeded;

/// A piece of plant. Time comes in as a step of seconds.
pub(super) trait Process: Debug + Send {
    /// Something that an operator, a fault or another model decides: a valve, a leak, the weather.
    fn input(&mut self, name: &str) -> Option<&mut f64>;
    /// Something that an instrument could measure.
    fn quantity(&self, name: &str) -> Option<f64>;
    /// Lets time pass.
    fn step(&mut self, seconds: f64, chance: &mut Seeded);
}

/// Makes a model from its name and its numbers.
type Make = fn(&mut Given) -> Box<dyn Process>;

/// Models by name.
const MODELS: [(&str, Make); 14] = [
    ("bearing", |g| Box::new(bearing::Bearing::new(g))),
    ("chlorine", |g| Box::new(chlorine::Chlorine::new(g))),
    ("cold_box", |g| Box::new(cold_box::ColdBox::new(g))),
    ("dust_bin", |g| Box::new(dust_bin::DustBin::new(g))),
    ("filter", |g| Box::new(filter::Filter::new(g))),
    ("gas_holder", |g| Box::new(gas_holder::GasHolder::new(g))),
    ("heap", |g| Box::new(heap::Heap::new(g))),
    ("plume", |g| Box::new(plume::Plume::new(g))),
    ("reactor", |g| Box::new(reactor::Reactor::new(g))),
    ("refrigeration", |g| {
        Box::new(refrigeration::Refrigeration::new(g))
    }),
    ("room", |g| Box::new(room::Room::new(g))),
    ("spark", |g| Box::new(spark::Spark::new(g))),
    ("sphere", |g| Box::new(sphere::Sphere::new(g))),
    ("tank", |g| Box::new(tank::Tank::new(g))),
];

/// A model, or why there is none: its name, a number that it does not know.
pub(super) fn build(model: &str, with: &BTreeMap<String, f64>) -> Result<Box<dyn Process>, String> {
    if model == "weather" {
        let mut given = Given::new(with);
        let weather = weather::Weather::new(&mut given);
        given.finish(model)?;
        return Ok(Box::new(weather));
    }
    let (_, make) = MODELS
        .iter()
        .find(|(name, _)| *name == model)
        .ok_or_else(|| {
            let names: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
            format!(
                "there is no model {model:?}; there are: {}, weather",
                names.join(", ")
            )
        })?;
    let mut given = Given::new(with);
    let process = make(&mut given);
    given.finish(model)?;
    Ok(process)
}

/// The numbers that a story gives to a model; each is asked for once, what is left over is a fault.
#[derive(Debug)]
pub(super) struct Given {
    left: BTreeMap<String, f64>,
}

impl Given {
    fn new(with: &BTreeMap<String, f64>) -> Given {
        Given { left: with.clone() }
    }

    /// The number of this name, or what the model takes for usual.
    pub(super) fn or(&mut self, name: &str, usual: f64) -> f64 {
        self.left.remove(name).unwrap_or(usual)
    }

    fn finish(self, model: &str) -> Result<(), String> {
        match self.left.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("the model {model} has no number {name:?}")),
        }
    }
}

/// One step of a first-order lag towards `target` with a time constant of `tau` seconds; exact for
/// a constant target, so that the size of the step changes nothing.
pub(super) fn lag(value: f64, target: f64, seconds: f64, tau: f64) -> f64 {
    if tau <= 0.0 {
        return target;
    }
    target + (value - target) * (-seconds / tau).exp()
}

/// The unit that the end of a quantity's name says; empty for a contact.
pub(super) fn unit_of(quantity: &str) -> &'static str {
    const UNITS: [(&str, &str); 18] = [
        ("_percent", "%"),
        ("_m3h", "m³/h"),
        ("_mgm3", "mg/m³"),
        ("_kgs", "kg/s"),
        ("_kpa", "kPa"),
        ("_mpa", "MPa"),
        ("_pa", "Pa"),
        ("_lel", "%LEL"),
        ("_vol", "%vol"),
        ("_ppm", "ppm"),
        ("_rh", "%RH"),
        ("_mms", "mm/s"),
        ("_ms", "m/s"),
        ("_mm", "mm"),
        ("_m3", "m³"),
        ("_c", "°C"),
        ("_a", "A"),
        ("_m", "m"),
    ];
    UNITS
        .iter()
        .find(|(end, _)| quantity.ends_with(end))
        .map_or("", |(_, unit)| unit)
}

/// By what a quantity in one unit is multiplied to be in another; none where that is no matter of a
/// factor. Units are written in many ways, so they are compared without case and spaces.
pub(super) fn factor(from: &str, to: &str) -> Option<f64> {
    let plain = |unit: &str| {
        unit.chars()
            .filter(|c| !c.is_whitespace() && *c != '(' && *c != ')')
            .map(|c| match c {
                '³' => '3',
                '℃' => 'c',
                '％' => '%',
                other => other.to_ascii_lowercase(),
            })
            .filter(|c| *c != '°')
            .collect::<String>()
    };
    let (from, to) = (plain(from), plain(to));
    let to = to
        .strip_suffix('g')
        .filter(|t| t.ends_with("pa"))
        .unwrap_or(&to);
    if from == to {
        return Some(1.0);
    }
    match (&*from, to) {
        ("kpa", "mpa") => Some(0.001),
        ("mpa" | "m", "kpa" | "mm") | ("kpa", "pa") => Some(1000.0),
        ("mpa", "pa") => Some(1e6),
        ("pa", "kpa") | ("mm", "m") => Some(0.001),
        ("kg/s", "kg/h") => Some(3600.0),
        ("%vol" | "%", "%" | "%vol" | "%o2" | "vol%") => Some(1.0),
        ("%rh", "%") => Some(1.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_does_not_depend_on_the_size_of_the_step() {
        let once = lag(10.0, 50.0, 60.0, 30.0);
        let mut often = 10.0;
        for _ in 0..600 {
            often = lag(often, 50.0, 0.1, 30.0);
        }
        assert!((once - often).abs() < 1e-9);
        assert_eq!(lag(1.0, 2.0, 1.0, 0.0), 2.0);
    }

    #[test]
    fn a_model_or_a_number_that_is_not_there_is_said() {
        let none = BTreeMap::new();
        let said = build("tnak", &none).unwrap_err();
        assert!(said.contains("tnak") && said.contains("tank"), "{said}");
        let odd = BTreeMap::from([("levle_m".to_owned(), 1.0)]);
        let said = build("tank", &odd).unwrap_err();
        assert!(said.contains("levle_m"), "{said}");
    }

    #[test]
    fn every_model_starts_and_stays_finite_for_a_day_at_rest() {
        for model in MODELS.iter().map(|(name, _)| *name).chain(["weather"]) {
            let mut process = build(model, &BTreeMap::new()).unwrap();
            let mut chance = Seeded::new(1);
            for _ in 0..86_400 {
                process.step(1.0, &mut chance);
            }
            let text = format!("{process:?}");
            assert!(
                !text.contains("NaN") && !text.contains(": inf") && !text.contains(": -inf"),
                "{text}"
            );
        }
    }

    #[test]
    fn units_are_compared_as_people_write_them() {
        for (quantity, unit, expected) in [
            ("level_m", "m", Some(1.0)),
            ("pressure_kpa", "MPa", Some(0.001)),
            ("pressure_mpa", "MPa(G)", Some(1.0)),
            ("pressure_mpa", "kPa", Some(1000.0)),
            ("temperature_c", "℃", Some(1.0)),
            ("gas_lel", "%LEL", Some(1.0)),
            ("inflow_m3h", "m³/h", Some(1.0)),
            ("leak_kgs", "kg/h", Some(3600.0)),
            ("level_m", "%", None),
            ("gas_ppm", "mg/m³", None),
        ] {
            assert_eq!(
                factor(unit_of(quantity), unit),
                expected,
                "{quantity} {unit}"
            );
        }
    }
}
