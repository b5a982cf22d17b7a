//! One instrument and the quantity behind it: where it rests, how it wanders, what it reads.

use std::collections::HashSet;

use davy_points::{Binding, ModbusTable, ModbusType, PointDef, Quality};

use crate::faults::InstrumentFault;
use crate::random::Seeded;

/// An instrument with its process.
#[derive(Debug)]
pub(super) struct Instrument {
    /// The course it takes when nothing is asked of it.
    rest: Rest,
    grip: Grip,
    process: f64,
    reading: f64,
    /// Deviation of one reading.
    noise: f64,
    /// Smallest step that it shows; 0 for a switch.
    resolution: f64,
    low: f64,
    high: f64,
    /// A model of a tank or a collector has set `process` in this step.
    driven: Option<f64>,
    chance: Seeded,
    fault: InstrumentFault,
    /// Since the fault began; for a saturated one, since it had to read further than it can.
    fault_s: f64,
    /// A calibration or a bump test: what it reads is not the process's.
    pub(super) test: bool,
    /// The last reading would have been beyond the range.
    beyond: bool,
}

/// How the plant lives: at the pace of a demo, or of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Waves of minutes, so that a visitor sees curves.
    Demo,
    /// Waves of about a day, small: rates of change and alarms by trend see a plant at rest.
    Life,
}

/// Normal course: a slow wave around a middle, with a period of its own.
#[derive(Debug)]
struct Rest {
    middle: f64,
    swing: f64,
    phase: f64,
    /// Radians in a second.
    pace: f64,
    discrete: bool,
}

/// Who moves the value.
#[derive(Debug, Clone, Copy)]
enum Grip {
    Free,
    Held(f64),
    Ramp {
        from: f64,
        to: f64,
        done: f64,
        over: f64,
    },
    Returning {
        from: f64,
        done: f64,
        over: f64,
    },
}

impl Instrument {
    pub(super) fn new(def: &PointDef, seed: u64, pace: Pace) -> Instrument {
        let mut chance = Seeded::for_name(seed, &def.tag);
        let discrete = is_discrete(def);
        let (low, high) = range(def, discrete);
        let span = high - low;
        let (middle, swing) = if discrete {
            (if rests_at_one(def) { 1.0 } else { 0.0 }, 0.0)
        } else {
            normal_band(def, low, high, &mut chance)
        };
        // instruments of one quantity (TT-901A, B, C) rest and wave together in life
        let mut of_loop = Seeded::for_name(seed, loop_of(&def.tag));
        let (middle, swing) = match pace {
            Pace::Demo => (middle, swing),
            Pace::Life if discrete => (middle, 0.0),
            Pace::Life => (even(def, low, high, middle), swing * 0.05),
        };
        let resolution = if discrete || span <= 0.0 {
            0.0
        } else {
            // a thousandth of the span, as a round number
            10_f64.powf((span / 1000.0).log10().floor())
        };
        let (phase, period, noise) = match pace {
            Pace::Demo => (
                chance.between(0.0, std::f64::consts::TAU),
                chance.between(90.0, 400.0),
                (resolution * 0.8).min(swing * 0.25),
            ),
            Pace::Life => (
                of_loop.between(0.0, std::f64::consts::TAU),
                of_loop.between(64_800.0, 108_000.0),
                resolution * 0.3,
            ),
        };
        let mut instrument = Instrument {
            rest: Rest {
                middle,
                swing,
                phase,
                pace: std::f64::consts::TAU / period,
                discrete,
            },
            grip: Grip::Free,
            process: middle,
            reading: middle,
            noise,
            resolution,
            low,
            high,
            driven: None,
            chance,
            fault: InstrumentFault::None,
            fault_s: 0.0,
            test: false,
            beyond: false,
        };
        instrument.advance(0.0);
        instrument.settle();
        instrument.read();
        instrument
    }

    pub(super) fn fault(&mut self, fault: InstrumentFault) {
        self.fault = fault;
        self.fault_s = 0.0;
    }

    /// What history would store with the last reading.
    pub(super) fn quality(&self) -> Quality {
        if self.reading.is_nan() {
            Quality::BadSensorFailure
        } else if self.test {
            Quality::UncertainTest
        } else if self.beyond {
            Quality::UncertainRange
        } else {
            Quality::Good
        }
    }

    pub(super) fn reading(&self) -> f64 {
        self.reading
    }

    pub(super) fn process(&self) -> f64 {
        self.process
    }

    pub(super) fn span(&self) -> f64 {
        self.high - self.low
    }

    pub(super) fn is_discrete(&self) -> bool {
        self.rest.discrete
    }

    pub(super) fn middle(&self) -> f64 {
        self.rest.middle
    }

    pub(super) fn is_free(&self) -> bool {
        matches!(self.grip, Grip::Free)
    }

    pub(super) fn hold(&mut self, at: f64) {
        self.grip = Grip::Held(at);
    }

    pub(super) fn ramp(&mut self, to: f64, over: f64) {
        self.grip = Grip::Ramp {
            from: self.process,
            to,
            done: 0.0,
            over,
        };
    }

    pub(super) fn release(&mut self, over: f64) {
        if !self.is_free() {
            self.grip = Grip::Returning {
                from: self.process,
                done: 0.0,
                over,
            };
        }
    }

    /// A model says what the quantity is in this step; a grip of the scenario wins over it.
    pub(super) fn drive(&mut self, value: f64) {
        if self.is_free() {
            self.driven = Some(value);
        }
    }

    pub(super) fn advance(&mut self, seconds: f64) {
        let counts = match self.fault {
            InstrumentFault::Saturated { at, .. } => self.process > at,
            _ => true,
        };
        if counts {
            self.fault_s += seconds;
        }
        self.rest.phase = (self.rest.phase + seconds * self.rest.pace) % std::f64::consts::TAU;
        let rest = self.rest.middle + self.rest.swing * self.rest.phase.sin();
        self.process = match &mut self.grip {
            Grip::Free => rest,
            Grip::Held(at) => *at,
            Grip::Ramp {
                from,
                to,
                done,
                over,
            } => {
                *done += seconds;
                let (from, to, share) = (*from, *to, share(*done, *over));
                if share >= 1.0 {
                    self.grip = Grip::Held(to);
                }
                from + (to - from) * share
            }
            Grip::Returning { from, done, over } => {
                *done += seconds;
                let (from, share) = (*from, share(*done, *over));
                if share >= 1.0 {
                    self.grip = Grip::Free;
                }
                from + (rest - from) * share
            }
        };
    }

    /// After the models of a step: what one of them said is the process now.
    pub(super) fn settle(&mut self) {
        if let Some(driven) = self.driven.take() {
            self.process = driven;
        }
    }

    pub(super) fn read(&mut self) {
        // drawn in every step, so that a fault does not shift the noise that follows it
        let noise = self.chance.normal() * self.noise;
        let strike = self.chance.bits();
        let believed = match self.fault {
            InstrumentFault::Drift { per_hour } => self.process + per_hour * self.hours(),
            InstrumentFault::Noise(deviation) => {
                self.process + noise / self.noise.max(f64::MIN_POSITIVE) * deviation
            }
            InstrumentFault::Saturated { at, sag_per_hour } => {
                if self.process > at {
                    at - sag_per_hour * self.hours()
                } else {
                    self.process
                }
            }
            _ => self.process,
        };
        let honest = self.shown(believed + noise);
        let was_beyond = self.beyond;
        // below the range is a dead zero until 3.8 mA, above it is a value that we do not know
        self.beyond = !self.rest.discrete
            && (believed + noise > self.high
                || believed + noise < self.low - self.span() * NE43_BELOW);
        if self.fault == InstrumentFault::Frozen {
            self.beyond = was_beyond;
        }
        self.reading = match self.fault {
            InstrumentFault::Frozen => self.reading,
            InstrumentFault::Failed => f64::NAN,
            InstrumentFault::Offset(by) => honest + by,
            InstrumentFault::Spike { by, every } => {
                if strike.is_multiple_of(u64::from(every.max(1))) {
                    honest + by
                } else {
                    honest
                }
            }
            _ => honest,
        };
    }

    fn hours(&self) -> f64 {
        self.fault_s / 3600.0
    }

    fn shown(&self, value: f64) -> f64 {
        if self.rest.discrete {
            return if value >= 0.5 { 1.0 } else { 0.0 };
        }
        let value = value.clamp(self.low, self.high);
        if self.resolution == 0.0 {
            return value;
        }
        // by the inverse where that is whole: 115 / 10 is 11.5, 115 × 0.1 is not
        let steps = (value / self.resolution).round();
        if self.resolution < 1.0 {
            steps / (1.0 / self.resolution).round()
        } else {
            steps * self.resolution
        }
    }
}

/// 3.8 mA: so much of the span below its low end (NAMUR NE43).
const NE43_BELOW: f64 = 0.0125;

/// The tag without its last letters: one loop.
fn loop_of(tag: &str) -> &str {
    tag.trim_end_matches(|c: char| c.is_ascii_alphabetic())
}

/// The middle of the band without its chance.
fn even(def: &PointDef, low: f64, high: f64, chosen: f64) -> f64 {
    let floor = def.limits.l.or(def.limits.ll);
    let ceiling = def.limits.h.or(def.limits.hh);
    let middle = (floor.unwrap_or(low) + ceiling.unwrap_or(high)) / 2.0;
    // a class that rests at its low end was not put by chance
    if floor.is_none() && chosen < low + (middle - low) * 0.5 {
        chosen
    } else {
        middle
    }
}

fn share(done: f64, over: f64) -> f64 {
    if over <= 0.0 {
        1.0
    } else {
        (done / over).min(1.0)
    }
}

fn is_discrete(def: &PointDef) -> bool {
    match &def.binding {
        Binding::Modbus(at) => {
            matches!(at.kind, ModbusType::Bool | ModbusType::Bit(_))
                || matches!(at.table, ModbusTable::Coil | ModbusTable::Discrete)
        }
        _ => {
            words(def).contains("run") || words(def).contains("switch") || words(def).contains("di")
        }
    }
}

fn words(def: &PointDef) -> HashSet<&str> {
    def.class.split('_').collect()
}

/// A machine that runs rests at 1, a switch or alarm contact at 0, unless a limit says that 1 (or 0)
/// is the alarm.
fn rests_at_one(def: &PointDef) -> bool {
    let limits = &def.limits;
    if limits.h.or(limits.hh).is_some() {
        return false;
    }
    if limits.l.or(limits.ll).is_some() {
        return true;
    }
    ["run", "running", "power", "healthy", "pump", "panel"]
        .iter()
        .any(|w| words(def).contains(w))
}

fn range(def: &PointDef, discrete: bool) -> (f64, f64) {
    if discrete {
        return (0.0, 1.0);
    }
    let low = def.low.unwrap_or(0.0);
    let high = def.high.filter(|h| *h > low).unwrap_or(low + 100.0);
    (low, high)
}

/// The middle and the swing of the normal course. Between a low and a high limit: the middle of them
/// and a share of what is left. With high limits alone and a class of gas or flow: near the low end,
/// as a detector in clean air or a closed valve reads.
fn normal_band(def: &PointDef, low: f64, high: f64, chance: &mut Seeded) -> (f64, f64) {
    let span = high - low;
    let l = def.limits.l.or(def.limits.ll);
    let h = def.limits.h.or(def.limits.hh);
    let words = words(def);
    let rests_low = [
        "gas",
        "flow",
        "h2",
        "leak",
        "spark",
        "toxic",
        "flammable",
        "co",
    ]
    .iter()
    .any(|w| words.contains(w));
    if l.is_none() && rests_low {
        let room = h.unwrap_or(high) - low;
        return (low + room * 0.06, room * 0.03);
    }
    let floor = l.unwrap_or(low);
    let ceiling = h.unwrap_or(high);
    let room = (ceiling - floor).max(0.0);
    let middle = floor + room * chance.between(0.42, 0.58);
    (middle, (room * 0.12).min(span * 0.05))
}
