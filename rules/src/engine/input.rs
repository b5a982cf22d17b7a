//! What goes into the engine and what comes out. An [`Envelope`] survives the input log bit for
//! bit, whatever the floating-point value.

use std::sync::Arc;

use davy_points::{Mono, NoData, PointIx, Quality, Sample, SourceEvent, Timestamp, Value};
use serde::{Deserialize, Serialize};

use super::Reload;
use crate::alarm::{Command, CommandResult, Transition};

/// Whose engine this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Site id.
    pub site: Arc<str>,
    /// Gateway id, or `center`.
    pub owner: Arc<str>,
    /// Hash of the plan as it runs.
    pub plan_rev: Arc<str>,
}

/// One input with both its times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// Rising by one; a log without gaps can be replayed.
    pub seq: u64,
    /// Runs every delay.
    pub mono: Mono,
    /// Labels records.
    pub wall: Timestamp,
    /// What came in.
    pub input: Input,
}

/// What can come in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A reading.
    Sample(#[serde(with = "exact")] Sample),
    /// Time has passed.
    Tick,
    /// A person wants something.
    Command(Box<Command>),
    /// A source came up or went down.
    SourceStatus(SourceEvent),
    /// A part of the process itself works or does not.
    Health {
        /// `journal`, `series`, …: alarm `system/<part>/on`.
        part: String,
        /// It works.
        ok: bool,
        /// What it says.
        detail: String,
    },
    /// The wall clock was stepped; the envelope's `wall` is the time after the step.
    ClockStep {
        /// Forward positive.
        by_ns: i64,
    },
    /// Other rules and points from now on.
    Reload(Box<Reload>),
}

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// An alarm changed.
    Transition(Box<Transition>),
    /// What became of a command.
    Result(CommandResult),
    /// Nothing will happen by itself before this time.
    WakeAt(Mono),
}

/// A sample in the log: floating-point values as their bits, so that NaN and every last bit survive.
mod exact {
    use super::*;
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Wire {
        point: PointIx,
        value: WireValue,
        quality: Quality,
        source_time: Timestamp,
        offset_ns: i64,
        uncertainty_ns: i64,
        arrival_time: Timestamp,
        seq: u64,
    }

    #[derive(Serialize, Deserialize)]
    enum WireValue {
        #[serde(rename = "b")]
        Bool(bool),
        #[serde(rename = "i")]
        I64(i64),
        #[serde(rename = "u")]
        U64(u64),
        #[serde(rename = "f")]
        F64Bits(u64),
        #[serde(rename = "t")]
        Text(Arc<str>),
        #[serde(rename = "n")]
        NoData(NoData),
    }

    pub(super) fn serialize<S: Serializer>(s: &Sample, out: S) -> Result<S::Ok, S::Error> {
        Wire {
            point: s.point,
            value: match &s.value {
                Value::Bool(v) => WireValue::Bool(*v),
                Value::I64(v) => WireValue::I64(*v),
                Value::U64(v) => WireValue::U64(*v),
                Value::F64(v) => WireValue::F64Bits(v.to_bits()),
                Value::Text(v) => WireValue::Text(v.clone()),
                Value::NoData(v) => WireValue::NoData(v.no_data),
            },
            quality: s.quality,
            source_time: s.source_time,
            offset_ns: s.offset_ns,
            uncertainty_ns: s.uncertainty_ns,
            arrival_time: s.arrival_time,
            seq: s.seq,
        }
        .serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Sample, D::Error> {
        let w = Wire::deserialize(from)?;
        Ok(Sample {
            point: w.point,
            value: match w.value {
                WireValue::Bool(v) => Value::Bool(v),
                WireValue::I64(v) => Value::I64(v),
                WireValue::U64(v) => Value::U64(v),
                WireValue::F64Bits(bits) => Value::F64(f64::from_bits(bits)),
                WireValue::Text(v) => Value::Text(v),
                WireValue::NoData(why) => Value::none(why),
            },
            quality: w.quality,
            source_time: w.source_time,
            offset_ns: w.offset_ns,
            uncertainty_ns: w.uncertainty_ns,
            arrival_time: w.arrival_time,
            seq: w.seq,
        })
    }
}
