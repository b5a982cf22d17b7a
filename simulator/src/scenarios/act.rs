//! One thing that happens in a story.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::duration;
use crate::faults::InstrumentFault;
use crate::plant::{Plant, PlantError};

/// How long a value takes to return where the story does not say.
const RETURN: Duration = Duration::from_secs(5);

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// A stream into (or, negative, out of) the tank under a gauge, m³/h.
    Flow {
        /// The gauge.
        gauge: String,
        /// Put the level there first.
        from: Option<f64>,
        /// m³/h.
        flow: f64,
        /// The level at which it stops.
        until: Option<f64>,
    },
    /// A value jumps.
    Set {
        /// Which.
        tag: String,
        /// To where.
        to: f64,
    },
    /// A value moves steadily and stays.
    Ramp {
        /// Which.
        tag: String,
        /// To where.
        to: f64,
        /// In how long.
        over: Duration,
    },
    /// A value goes back to its normal course.
    Return {
        /// Which.
        tag: String,
        /// In how long.
        over: Duration,
    },
    /// An instrument holds its reading.
    Freeze(String),
    /// An instrument fails.
    Fail(String),
    /// An instrument reads so much more.
    Offset {
        /// Which.
        tag: String,
        /// How much.
        by: f64,
    },
    /// An instrument reads more with every hour.
    Drift {
        /// Which.
        tag: String,
        /// By how much an hour.
        per_hour: f64,
    },
    /// An instrument's readings scatter.
    Noise {
        /// Which.
        tag: String,
        /// With which deviation.
        deviation: f64,
    },
    /// An instrument reads no further than here, and from then on less with every hour.
    Saturate {
        /// Which.
        tag: String,
        /// The last true reading.
        at: f64,
        /// By how much an hour it sinks.
        sag_per_hour: f64,
    },
    /// An instrument is under test: its readings carry the test mark until it is restored.
    Test(String),
    /// An input of a process model (`t101.inflow_m3h`) is turned.
    Turn {
        /// Which.
        input: String,
        /// To where.
        to: f64,
        /// In how long.
        over: Duration,
    },
    /// A source stops answering, or an MQTT tag stops being published.
    Silence(String),
    /// A source refuses connections.
    Refuse(String),
    /// The instrument or source works again.
    Restore(String),
    /// Everything works again and goes its normal course.
    Calm,
}

impl Act {
    /// The tag or source that it touches.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        match self {
            Act::Flow { gauge: tag, .. }
            | Act::Set { tag, .. }
            | Act::Ramp { tag, .. }
            | Act::Return { tag, .. }
            | Act::Freeze(tag)
            | Act::Fail(tag)
            | Act::Offset { tag, .. }
            | Act::Drift { tag, .. }
            | Act::Noise { tag, .. }
            | Act::Saturate { tag, .. }
            | Act::Test(tag)
            | Act::Silence(tag)
            | Act::Refuse(tag)
            | Act::Restore(tag) => Some(tag),
            Act::Turn { .. } | Act::Calm => None,
        }
    }
}

impl Act {
    /// Does to the plant what can be done there; links are the field's.
    ///
    /// # Errors
    /// The plant has no such tag, tank or model.
    pub fn play(&self, plant: &mut Plant) -> Result<(), PlantError> {
        match self {
            Act::Flow {
                gauge,
                from,
                flow,
                until,
            } => {
                if let Some(from) = from {
                    plant.set(gauge, *from)?;
                }
                plant.flow(gauge, *flow, *until)
            }
            Act::Set { tag, to } => plant.set(tag, *to),
            Act::Ramp { tag, to, over } => plant.ramp(tag, *to, *over),
            Act::Return { tag, over } => {
                let over = if over.is_zero() { RETURN } else { *over };
                plant.release(tag, over)
            }
            Act::Freeze(tag) => plant.fault(tag, InstrumentFault::Frozen),
            Act::Fail(tag) => plant.fault(tag, InstrumentFault::Failed),
            Act::Offset { tag, by } => plant.fault(tag, InstrumentFault::Offset(*by)),
            Act::Drift { tag, per_hour } => {
                let per_hour = *per_hour;
                plant.fault(tag, InstrumentFault::Drift { per_hour })
            }
            Act::Noise { tag, deviation } => plant.fault(tag, InstrumentFault::Noise(*deviation)),
            Act::Saturate {
                tag,
                at,
                sag_per_hour,
            } => {
                let (at, sag_per_hour) = (*at, *sag_per_hour);
                plant.fault(tag, InstrumentFault::Saturated { at, sag_per_hour })
            }
            Act::Test(tag) => plant.test(tag, true),
            Act::Turn { input, to, over } => plant.turn(input, *to, *over),
            Act::Restore(tag) => {
                plant.test(tag, false)?;
                plant.fault(tag, InstrumentFault::None)
            }
            Act::Silence(_) | Act::Refuse(_) => Ok(()),
            Act::Calm => {
                plant.calm();
                Ok(())
            }
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Flow { gauge, flow, .. } if *flow < 0.0 => {
                write!(f, "the tank of {gauge} drains at {} m³/h", -flow)
            }
            Act::Flow { gauge, flow, .. } => write!(f, "the tank of {gauge} fills at {flow} m³/h"),
            Act::Set { tag, to } => write!(f, "{tag} goes to {to}"),
            Act::Ramp { tag, to, over } => write!(f, "{tag} moves to {to} in {over:?}"),
            Act::Return { tag, .. } => write!(f, "{tag} returns"),
            Act::Freeze(tag) => write!(f, "{tag} freezes"),
            Act::Fail(tag) => write!(f, "{tag} fails"),
            Act::Offset { tag, by } => write!(f, "{tag} reads {by} too much"),
            Act::Drift { tag, per_hour } => write!(f, "{tag} drifts by {per_hour} an hour"),
            Act::Noise { tag, deviation } => write!(f, "{tag} scatters by {deviation}"),
            Act::Saturate { tag, at, .. } => write!(f, "{tag} reads no further than {at}"),
            Act::Test(tag) => write!(f, "{tag} is under test"),
            Act::Turn { input, to, .. } => write!(f, "{input} is turned to {to}"),
            Act::Silence(what) => write!(f, "{what} goes silent"),
            Act::Refuse(what) => write!(f, "{what} refuses connections"),
            Act::Restore(what) => write!(f, "{what} works again"),
            Act::Calm => f.write_str("all is well again"),
        }
    }
}

/// An act as a person writes it: a time, one verb, and what belongs to the verb.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActFile {
    pub(super) at: String,
    fill: Option<String>,
    drain: Option<String>,
    set: Option<String>,
    ramp: Option<String>,
    r#return: Option<String>,
    freeze: Option<String>,
    fail: Option<String>,
    offset: Option<String>,
    drift: Option<String>,
    noise: Option<String>,
    saturate: Option<String>,
    test: Option<String>,
    turn: Option<String>,
    silence: Option<String>,
    refuse: Option<String>,
    restore: Option<String>,
    calm: Option<bool>,
    from: Option<f64>,
    flow: Option<f64>,
    until: Option<f64>,
    to: Option<f64>,
    by: Option<f64>,
    over: Option<String>,
}

impl ActFile {
    pub(super) fn check(self) -> Result<Act, String> {
        let at = self.at;
        let need = |value: Option<f64>, key: &str| {
            value.ok_or_else(|| format!("the act at {at} needs `{key}`"))
        };
        let over = match &self.over {
            None => Duration::ZERO,
            Some(text) => duration(text).ok_or_else(|| format!("over {text:?} is no time"))?,
        };
        let (from, until) = (self.from, self.until);
        let mut found = Vec::new();
        if let Some(gauge) = self.fill {
            let flow = need(self.flow, "flow")?;
            found.push(Act::Flow {
                gauge,
                from,
                flow,
                until,
            });
        }
        if let Some(gauge) = self.drain {
            let flow = -need(self.flow, "flow")?;
            found.push(Act::Flow {
                gauge,
                from,
                flow,
                until,
            });
        }
        if let Some(tag) = self.set {
            let to = need(self.to, "to")?;
            found.push(Act::Set { tag, to });
        }
        if let Some(tag) = self.ramp {
            let to = need(self.to, "to")?;
            found.push(Act::Ramp { tag, to, over });
        }
        if let Some(tag) = self.offset {
            let by = need(self.by, "by")?;
            found.push(Act::Offset { tag, by });
        }
        if let Some(tag) = self.drift {
            let per_hour = need(self.by, "by")?;
            found.push(Act::Drift { tag, per_hour });
        }
        if let Some(tag) = self.noise {
            let deviation = need(self.by, "by")?;
            found.push(Act::Noise { tag, deviation });
        }
        if let Some(tag) = self.saturate {
            let at = need(self.to, "to")?;
            let sag_per_hour = self.by.unwrap_or(0.0);
            found.push(Act::Saturate {
                tag,
                at,
                sag_per_hour,
            });
        }
        if let Some(input) = self.turn {
            let to = need(self.to, "to")?;
            found.push(Act::Turn { input, to, over });
        }
        found.extend(self.test.map(Act::Test));
        found.extend(self.r#return.map(|tag| Act::Return { tag, over }));
        found.extend(self.freeze.map(Act::Freeze));
        found.extend(self.fail.map(Act::Fail));
        found.extend(self.silence.map(Act::Silence));
        found.extend(self.refuse.map(Act::Refuse));
        found.extend(self.restore.map(Act::Restore));
        found.extend(self.calm.map(|_| Act::Calm));
        match (found.pop(), found.is_empty()) {
            (Some(act), true) => Ok(act),
            (None, _) => Err(format!("the act at {at} has no verb")),
            (Some(_), false) => Err(format!("the act at {at} has more than one verb")),
        }
    }
}
