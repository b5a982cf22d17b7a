//! Raw to engineering, and how far to believe it.
//!
//! Lives here: sentinels, scaling, range, NAMUR NE43, status bits. May not live here: rules and
//! limits. Read first: [`Qualifier::judge`]. Only NaN, sentinel, NE43 failure, device, link and
//! configuration faults are Bad; beyond range is Uncertain and still a value
//! (`alarm-engine.md` 3.2).

use std::time::Duration;

use davy_points::{Mono, NoData, PointDef, Quality, Signal, StatusBits, Value};

use super::decode::{Raw, Undecodable};

/// NE43: a current beyond the failure limits is a failure once it has lasted this long.
pub const NE43_HOLD: Duration = Duration::from_secs(4);

/// How the raw values of one point are judged.
#[derive(Debug, Clone)]
pub struct Qualifier {
    scale: Scale,
    low: f64,
    high: f64,
    /// Raw value of 4 mA, and mA for one raw count.
    current: Option<(f64, f64)>,
    sentinels: Box<[f64]>,
    status: Option<(u16, u16)>,
}

#[derive(Debug, Clone, Copy)]
enum Scale {
    /// As the device sent it, bit for bit.
    Identity,
    Linear {
        scale: f64,
        offset: f64,
    },
    TwoPoint {
        raw_low: f64,
        slope: f64,
        low: f64,
    },
}

/// What a point remembers between readings: since when its current is beyond the failure limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    failing_since: Option<Mono>,
}

impl Memory {
    /// An unchanged raw value may become another quality only by time.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.failing_since.is_some()
    }
}

/// What the device says of itself beside the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The point has no status register.
    None,
    /// The status register as read.
    Word(u16),
    /// The status register could not be read: the value cannot be trusted either.
    Unread(Quality),
}

impl Qualifier {
    /// The judge of a point.
    #[must_use]
    pub fn new(def: &PointDef, status: Option<&StatusBits>) -> Qualifier {
        let s = &def.scaling;
        let raw = match (s.raw, s.signal) {
            (Some(raw), _) => Some(raw),
            (None, Signal::Ma4To20) => Some((4.0, 20.0)), // the raw number is mA already
            (None, Signal::Number) => None,
        };
        let scale = match (raw, def.low, def.high) {
            (Some((raw_low, raw_high)), Some(low), Some(high)) if raw_low != raw_high => {
                Scale::TwoPoint {
                    raw_low,
                    slope: (high - low) / (raw_high - raw_low),
                    low,
                }
            }
            _ if s.scale == 1.0 && s.offset == 0.0 => Scale::Identity,
            _ => Scale::Linear {
                scale: s.scale,
                offset: s.offset,
            },
        };
        Qualifier {
            scale,
            low: def.low.unwrap_or(f64::NEG_INFINITY),
            high: def.high.unwrap_or(f64::INFINITY),
            current: raw
                .filter(|(low, high)| s.signal == Signal::Ma4To20 && low != high)
                .map(|(low, high)| (low, 16.0 / (high - low))),
            sentinels: def.sentinels.clone().into_boxed_slice(),
            status: status.map(|s| (s.fault_mask, s.inhibit_mask)),
        }
    }

    /// The value of a reading and how far to believe it.
    pub fn judge(
        &self,
        memory: &mut Memory,
        raw: Result<Raw, Undecodable>,
        status: Status,
        now: Mono,
    ) -> (Value, Quality) {
        let Ok(raw) = raw else {
            return (Value::none(NoData::Undecodable), Quality::BadSensorFailure);
        };
        if !self.sentinels.is_empty() && self.is_sentinel(&raw) {
            return (Value::none(NoData::Sentinel), Quality::BadSensorFailure);
        }
        let (value, quality) = self.scale(memory, raw, now);
        let device = self.device(status);
        // Bad wins; among equals what the device says of itself does.
        (value, device.worst(quality))
    }

    fn device(&self, status: Status) -> Quality {
        match (status, self.status) {
            (Status::Word(word), Some((fault, _))) if word & fault != 0 => {
                Quality::BadDeviceFailure
            }
            (Status::Word(word), Some((_, inhibit))) if word & inhibit != 0 => {
                Quality::UncertainTest
            }
            (Status::Unread(quality), Some(_)) => quality,
            _ => Quality::Good,
        }
    }

    #[allow(clippy::cast_precision_loss)] // scaled 64-bit counters are good to 1 part in 2^53
    fn scale(&self, memory: &mut Memory, raw: Raw, now: Mono) -> (Value, Quality) {
        let number = match raw {
            Raw::Bool(b) => return (Value::Bool(b), Quality::Good),
            Raw::Text(t) => return (Value::Text(t), Quality::Good),
            Raw::Signed(v, 64) if matches!(self.scale, Scale::Identity) => {
                return self.integer(i128::from(v), |v| {
                    Value::I64(i64::try_from(v).unwrap_or(i64::MAX))
                });
            }
            Raw::Unsigned(v, 64) if matches!(self.scale, Scale::Identity) => {
                return self.integer(i128::from(v), |v| {
                    Value::U64(u64::try_from(v).unwrap_or(u64::MIN))
                });
            }
            Raw::Signed(v, _) => v as f64,
            Raw::Unsigned(v, _) => v as f64,
            Raw::F32(v) => f64::from(v),
            Raw::F64(v) => v,
        };
        if !number.is_finite() {
            return (Value::none(NoData::Sentinel), Quality::BadSensorFailure);
        }
        let engineering = match self.scale {
            Scale::Identity => number,
            Scale::Linear { scale, offset } => number * scale + offset,
            Scale::TwoPoint {
                raw_low,
                slope,
                low,
            } => low + (number - raw_low) * slope,
        };
        if !engineering.is_finite() {
            return (Value::none(NoData::Sentinel), Quality::BadSensorFailure);
        }
        if let Some((raw_4, ma_per_count)) = self.current {
            return self.ne43(
                memory,
                4.0 + (number - raw_4) * ma_per_count,
                engineering,
                now,
            );
        }
        if engineering >= self.low && engineering <= self.high {
            (Value::F64(engineering), Quality::Good)
        } else {
            (Value::F64(self.clamp(engineering)), Quality::UncertainRange)
        }
    }

    /// NAMUR NE43: 3.8 to 20.5 mA measures; to 3.6 and 21.0 the transmitter is saturated; beyond
    /// that it has failed, once that has lasted four seconds.
    fn ne43(&self, memory: &mut Memory, ma: f64, engineering: f64, now: Mono) -> (Value, Quality) {
        // Counts are whole numbers: 3.8 mA of 4000..20000 is 3800, but not to the last bit of a float.
        const SLACK: f64 = 1e-9;
        if !(3.6 - SLACK..=21.0 + SLACK).contains(&ma) {
            let since = *memory.failing_since.get_or_insert(now);
            if now.since(since) >= NE43_HOLD {
                return (Value::none(NoData::Sentinel), Quality::BadSensorFailure);
            }
            return (Value::F64(self.clamp(engineering)), Quality::UncertainRange);
        }
        memory.failing_since = None;
        if (3.8 - SLACK..=20.5 + SLACK).contains(&ma) {
            (Value::F64(engineering), Quality::Good)
        } else {
            (Value::F64(self.clamp(engineering)), Quality::UncertainRange)
        }
    }

    fn clamp(&self, v: f64) -> f64 {
        if v < self.low {
            self.low
        } else if v > self.high {
            self.high
        } else {
            v
        }
    }

    /// A 64-bit integer keeps every digit; clamped it lies within the range.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // `as` saturates
    fn integer(&self, v: i128, wrap: impl Fn(i128) -> Value) -> (Value, Quality) {
        if (v as f64) < self.low {
            (wrap(self.low.ceil() as i128), Quality::UncertainRange)
        } else if (v as f64) > self.high {
            (wrap(self.high.floor() as i128), Quality::UncertainRange)
        } else {
            (wrap(v), Quality::Good)
        }
    }

    /// A sentinel is written as the number or as the bits of the register: 0x8000 is −32768 too.
    #[allow(clippy::cast_precision_loss, clippy::float_cmp)] // a sentinel is an exact pattern
    fn is_sentinel(&self, raw: &Raw) -> bool {
        let (number, bits) = match *raw {
            Raw::Bool(_) | Raw::Text(_) => return false,
            Raw::Signed(v, width) if width < 64 => {
                (v as f64, (v.cast_unsigned() & ((1 << width) - 1)) as f64)
            }
            Raw::Signed(v, _) => (v as f64, v.cast_unsigned() as f64),
            Raw::Unsigned(v, _) => (v as f64, v as f64),
            Raw::F32(v) => (f64::from(v), f64::from(v.to_bits())),
            Raw::F64(v) => (v, v),
        };
        self.sentinels.iter().any(|s| *s == number || *s == bits)
    }
}
