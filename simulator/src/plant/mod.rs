//! The plant: what its processes do and what its instruments read, a step at a time.
//!
//! Lives here: seeded models of tanks, vessels and dust collectors, and of the instruments on them.
//! No socket, no clock, no task: time comes in as a step. Any site's points get a model by class,
//! tag and limits; a scenario takes hold of single tags. Read first: [`Plant`], then `instrument`.

mod collector;
mod instrument;
mod process;
mod tag;
mod tank;
mod unit;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use davy_points::{PointDef, Quality};

use self::collector::Collector;
use self::instrument::{Instrument, Pace};
use self::tag::Tag;
use self::tank::Tank;
use self::unit::Units;
pub use self::unit::{Shown, UnitSpec};
use crate::faults::InstrumentFault;

/// A whole site.
#[derive(Debug)]
pub struct Plant {
    instruments: Vec<Instrument>,
    by_tag: HashMap<Arc<str>, usize>,
    tanks: Vec<Tank>,
    collectors: Vec<Collector>,
    units: Units,
    /// Plant seconds for each second of the step, where contents move (levels): a tank takes a night
    /// to fill, and nobody watches a demo for a night.
    speed: f64,
}

/// The plant has no such instrument, or it is not of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlantError {
    /// No point of the site has this tag.
    #[error("no point has the tag {0}")]
    NoSuchTag(String),
    /// Only a level gauge has a tank to fill.
    #[error("{0} is no level gauge: there is no tank to fill or drain")]
    NoTank(String),
    /// The story has no such model, or the model has nothing of that name to turn.
    #[error("{0}")]
    NoUnit(String),
}

impl Plant {
    /// A plant for these points, at rest within its normal bands. The same points and seed give the
    /// same readings, step for step.
    #[must_use]
    pub fn new(points: &[PointDef], seed: u64) -> Plant {
        Plant::at(points, seed, Pace::Demo, Units::default())
    }

    /// A plant whose values move as in life, with the process models of a story. What no model and no
    /// tank moves, rests: small waves of about a day and an instrument's noise.
    ///
    /// # Errors
    /// A model or a number that does not exist, or an instrument in another unit.
    pub fn of_units(
        points: &[PointDef],
        seed: u64,
        units: &[UnitSpec],
    ) -> Result<Plant, PlantError> {
        let units = Units::new(units, points, seed).map_err(PlantError::NoUnit)?;
        Ok(Plant::at(points, seed, Pace::Life, units))
    }

    fn at(points: &[PointDef], seed: u64, pace: Pace, units: Units) -> Plant {
        let instruments: Vec<Instrument> = points
            .iter()
            .map(|def| Instrument::new(def, seed, pace))
            .collect();
        let by_tag = points
            .iter()
            .enumerate()
            .map(|(i, def)| (def.tag.clone(), i))
            .collect();
        let tags: Vec<Option<Tag>> = points.iter().map(|def| Tag::parse(&def.tag)).collect();
        let tanks = Tank::find(&instruments, &tags, points, pace);
        let collectors = Collector::find(&tags, points);
        Plant {
            instruments,
            by_tag,
            tanks,
            collectors,
            units,
            speed: 1.0,
        }
    }

    /// Sets how many times faster than life contents move.
    pub fn set_speed(&mut self, speed: f64) {
        self.speed = speed;
    }

    /// Lets time pass and every instrument read.
    pub fn step(&mut self, dt: Duration) {
        self.advance(dt);
        for instrument in &mut self.instruments {
            instrument.read();
        }
    }

    /// Lets time pass and no instrument read: see [`Plant::read`].
    pub fn advance(&mut self, dt: Duration) {
        let seconds = dt.as_secs_f64();
        for instrument in &mut self.instruments {
            instrument.advance(seconds);
        }
        for tank in &mut self.tanks {
            tank.advance(seconds, self.speed, &mut self.instruments);
        }
        for collector in &mut self.collectors {
            collector.advance(seconds, &mut self.instruments);
        }
        self.units.advance(seconds, &mut self.instruments);
        for instrument in &mut self.instruments {
            instrument.settle();
        }
    }

    /// Lets one instrument, by its place among the points, read: the value (NaN: it has failed) and
    /// its quality.
    pub fn read(&mut self, point: usize) -> (f64, Quality) {
        let instrument = &mut self.instruments[point];
        instrument.read();
        (instrument.reading(), instrument.quality())
    }

    /// What a model of the story holds: `t101.level_m`.
    #[must_use]
    pub fn quantity(&self, name: &str) -> Option<f64> {
        self.units.quantity(name)
    }

    /// Turns an input of a model (`t101.inflow_m3h`) to a value in so much time.
    ///
    /// # Errors
    /// No such model or input.
    pub fn turn(&mut self, input: &str, to: f64, over: Duration) -> Result<(), PlantError> {
        self.units
            .turn(input, to, over.as_secs_f64())
            .map_err(PlantError::NoUnit)
    }

    /// Marks an instrument as under test, or not.
    ///
    /// # Errors
    /// No such tag.
    pub fn test(&mut self, tag: &str, test: bool) -> Result<(), PlantError> {
        let i = self.find(tag)?;
        self.instruments[i].test = test;
        Ok(())
    }

    /// What the instrument of this tag reads: noise, resolution and its fault included. NaN: it has
    /// failed.
    #[must_use]
    pub fn value(&self, tag: &str) -> Option<f64> {
        Some(self.instruments[*self.by_tag.get(tag)?].reading())
    }

    /// Readings in the order of the points.
    pub fn readings(&self) -> impl Iterator<Item = f64> + '_ {
        self.instruments.iter().map(Instrument::reading)
    }

    /// What really is in the process behind the instrument.
    #[must_use]
    pub fn process(&self, tag: &str) -> Option<f64> {
        Some(self.instruments[*self.by_tag.get(tag)?].process())
    }

    /// Moves a value at once: a level is put into the whole tank, everything else is held there.
    ///
    /// # Errors
    /// No such tag.
    pub fn set(&mut self, tag: &str, to: f64) -> Result<(), PlantError> {
        let i = self.find(tag)?;
        match self.tank_of(i) {
            Some(tank) => tank.level = to,
            None => self.instruments[i].hold(to),
        }
        Ok(())
    }

    /// Moves a value steadily to a target and holds it there.
    ///
    /// # Errors
    /// No such tag.
    pub fn ramp(&mut self, tag: &str, to: f64, over: Duration) -> Result<(), PlantError> {
        let i = self.find(tag)?;
        self.instruments[i].ramp(to, over.as_secs_f64());
        Ok(())
    }

    /// Lets a value go back to its normal course.
    ///
    /// # Errors
    /// No such tag.
    pub fn release(&mut self, tag: &str, over: Duration) -> Result<(), PlantError> {
        let i = self.find(tag)?;
        match self.tank_of(i) {
            Some(tank) => tank.idle(),
            None => self.instruments[i].release(over.as_secs_f64()),
        }
        Ok(())
    }

    /// Lets a stream into (or, negative, out of) the tank under a gauge, in m³/h, until the level
    /// comes to `until` if that is given.
    ///
    /// # Errors
    /// No such tag, or no gauge.
    pub fn flow(&mut self, gauge: &str, flow: f64, until: Option<f64>) -> Result<(), PlantError> {
        let i = self.find(gauge)?;
        let tank = self
            .tank_of(i)
            .ok_or_else(|| PlantError::NoTank(gauge.to_owned()))?;
        tank.flow = flow;
        tank.until = until;
        Ok(())
    }

    /// Breaks or mends an instrument.
    ///
    /// # Errors
    /// No such tag.
    pub fn fault(&mut self, tag: &str, fault: InstrumentFault) -> Result<(), PlantError> {
        let i = self.find(tag)?;
        self.instruments[i].fault(fault);
        Ok(())
    }

    /// Mends every instrument, stills every stream and lets every value go its normal course.
    pub fn calm(&mut self) {
        for instrument in &mut self.instruments {
            instrument.fault(InstrumentFault::None);
            instrument.test = false;
            instrument.release(5.0);
        }
        self.units.begin_again();
        for tank in &mut self.tanks {
            tank.idle();
        }
    }

    fn find(&self, tag: &str) -> Result<usize, PlantError> {
        self.by_tag
            .get(tag)
            .copied()
            .ok_or_else(|| PlantError::NoSuchTag(tag.to_owned()))
    }

    fn tank_of(&mut self, instrument: usize) -> Option<&mut Tank> {
        self.tanks
            .iter_mut()
            .find(|tank| tank.gauges.contains(&instrument))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests_support::{holding, modbus};
    use davy_points::{Limits, ModbusTable, ModbusType};

    const TENTH: Duration = Duration::from_millis(100);

    fn analog(
        tag: &str,
        class: &str,
        (low, high): (f64, f64),
        [ll, l, h, hh]: [Option<f64>; 4],
    ) -> PointDef {
        let mut def = holding(tag, 0, ModbusType::F32);
        def.class = class.into();
        def.low = Some(low);
        def.high = Some(high);
        def.limits = Limits { ll, l, h, hh };
        def
    }

    fn farm() -> Vec<PointDef> {
        let level = [Some(1.9), Some(2.0), Some(11.5), Some(12.2)];
        let high = |h, hh| [None, None, Some(h), Some(hh)];
        vec![
            analog("LT-101A", "tank_level", (0.0, 14.0), level),
            analog("LT-101B", "tank_level", (0.0, 14.0), level),
            analog("LT-102A", "tank_level", (0.0, 14.0), level),
            analog("FT-101", "flow", (0.0, 200.0), high(150.0, 180.0)),
            analog(
                "PT-101",
                "tank_pressure",
                (-1.0, 3.0),
                [Some(-0.3), Some(0.2), Some(1.2), Some(1.7)],
            ),
            analog("AT-101F", "gas_flammable", (0.0, 100.0), high(25.0, 50.0)),
            analog("AT-201T", "gas_toxic", (0.0, 1000.0), high(28.0, 57.0)),
            analog(
                "PDT-301",
                "dust_dp",
                (0.0, 3.0),
                [Some(0.1), Some(0.2), Some(1.5), Some(2.0)],
            ),
            analog(
                "TT-301",
                "hopper_temperature",
                (0.0, 150.0),
                high(55.0, 70.0),
            ),
            analog("NOTHING", "unheard_of", (0.0, 1.0), [None; 4]),
            modbus("XS-301", 1, ModbusTable::Discrete, 0, ModbusType::Bool),
        ]
    }

    #[test]
    fn at_rest_every_point_stays_within_its_limits_and_none_looks_stuck() {
        for seed in 0..5 {
            let points = farm();
            let mut plant = Plant::new(&points, seed);
            let mut seen = vec![(f64::MAX, f64::MIN); points.len()];
            for _ in 0..6000 {
                plant.step(TENTH);
                for (reading, seen) in plant.readings().zip(&mut seen) {
                    *seen = (seen.0.min(reading), seen.1.max(reading));
                }
            }
            for (def, (low, high)) in points.iter().zip(seen) {
                let tag = &def.tag;
                assert!(low >= def.low.unwrap_or(0.0), "{tag} {low}");
                assert!(high <= def.high.unwrap_or(1.0), "{tag} {high}");
                assert!(
                    def.limits.l.is_none_or(|l| low > l),
                    "{tag} {low} seed {seed}"
                );
                assert!(
                    def.limits.h.is_none_or(|h| high < h),
                    "{tag} {high} seed {seed}"
                );
                if &*def.class == "tank_level" {
                    assert!(high - low >= 0.02, "{tag} looks stuck: {low} to {high}");
                }
            }
        }
    }

    #[test]
    fn the_same_seed_reads_the_same() {
        let run = |seed| {
            let mut plant = Plant::new(&farm(), seed);
            for _ in 0..50 {
                plant.step(TENTH);
            }
            plant.readings().map(f64::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));
    }

    #[test]
    fn a_filling_tank_raises_both_gauges_but_not_the_frozen_one() {
        let mut plant = Plant::new(&farm(), 1);
        plant.set_speed(120.0);
        plant.set("LT-101A", 10.8).unwrap();
        plant.flow("LT-101B", 140.0, Some(12.5)).unwrap();
        plant.step(TENTH);
        assert!((plant.value("FT-101").unwrap() - 140.0).abs() < 5.0);
        assert!((plant.value("LT-101A").unwrap() - 10.8).abs() < 0.2);
        plant.fault("LT-101A", InstrumentFault::Frozen).unwrap();
        let frozen = plant.value("LT-101A");
        let neighbour = plant.process("LT-102A").unwrap();
        let mut crossed = None;
        for step in 0..900 {
            plant.step(TENTH);
            if crossed.is_none() && plant.value("LT-101B").unwrap() > 12.2 {
                crossed = Some(step);
            }
        }
        assert_eq!(plant.value("LT-101A"), frozen);
        // 140 m³/h × 120 in 2000 m³ of 14 m: 0.0327 m/s, so 1.4 m in 43 s
        let crossed = crossed.expect("HH is crossed");
        assert!((350..500).contains(&crossed), "{crossed}");
        assert!(
            (plant.process("LT-101A").unwrap() - 12.5).abs() < 0.05,
            "it stops there"
        );
        assert!(
            plant.value("FT-101").unwrap() < 5.0,
            "and so does the stream"
        );
        assert!((plant.process("LT-102A").unwrap() - neighbour).abs() < 0.1);
        plant.flow("LT-101A", -150.0, Some(6.0)).unwrap();
        plant.fault("LT-101A", InstrumentFault::None).unwrap();
        for _ in 0..3000 {
            plant.step(TENTH);
        }
        assert!((plant.value("LT-101A").unwrap() - 6.0).abs() < 0.2);
    }

    #[test]
    fn a_ramp_arrives_holds_and_returns() {
        let mut plant = Plant::new(&farm(), 1);
        plant.ramp("AT-201T", 60.0, Duration::from_secs(5)).unwrap();
        for _ in 0..100 {
            plant.step(TENTH);
        }
        assert!((plant.value("AT-201T").unwrap() - 60.0).abs() <= 5.0);
        plant.release("AT-201T", Duration::from_secs(2)).unwrap();
        for _ in 0..50 {
            plant.step(TENTH);
        }
        assert!(plant.value("AT-201T").unwrap() < 28.0);
        assert_eq!(
            plant.flow("AT-201T", 1.0, None),
            Err(PlantError::NoTank("AT-201T".into()))
        );
        assert_eq!(
            plant.set("LT-999", 1.0),
            Err(PlantError::NoSuchTag("LT-999".into()))
        );
    }

    #[test]
    fn instrument_faults_show_in_the_reading_alone() {
        let mut plant = Plant::new(&farm(), 1);
        plant.fault("TT-301", InstrumentFault::Failed).unwrap();
        plant
            .fault("AT-101F", InstrumentFault::Offset(10.0))
            .unwrap();
        plant
            .fault(
                "PT-101",
                InstrumentFault::Spike {
                    by: 50.0,
                    every: 10,
                },
            )
            .unwrap();
        let mut spikes = 0;
        for _ in 0..500 {
            plant.step(TENTH);
            spikes += u32::from(plant.value("PT-101").unwrap() > 40.0);
        }
        assert!(plant.value("TT-301").unwrap().is_nan());
        assert!(plant.process("TT-301").unwrap() < 55.0);
        assert!(plant.value("AT-101F").unwrap() > plant.process("AT-101F").unwrap() + 5.0);
        assert!((20..90).contains(&spikes), "{spikes}");
        plant.calm();
        plant.step(TENTH);
        assert!(plant.value("TT-301").unwrap() < 55.0);
    }

    #[test]
    fn a_collector_without_its_fan_has_no_suction() {
        let mut points = farm();
        let mut fan = modbus("XS-300", 1, ModbusTable::Coil, 0, ModbusType::Bool);
        fan.class = "fan_run".into();
        fan.hazard = "DUST".into();
        points.push(fan);
        for def in &mut points {
            if &*def.class == "dust_dp" {
                def.hazard = "DUST".into();
            }
        }
        let mut plant = Plant::new(&points, 1);
        plant.step(TENTH);
        assert_eq!(plant.value("XS-300"), Some(1.0));
        plant.set("XS-300", 0.0).unwrap();
        for _ in 0..200 {
            plant.step(TENTH);
        }
        assert!(plant.value("PDT-301").unwrap() < 0.1);
    }
}
