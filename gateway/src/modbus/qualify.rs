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
            sentinels: def.sentinels.clone(),
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

#[cfg(test)]
mod tests {
    use davy_points::{Binding, Life, Limits, PollClass, Scaling, SourceDef};

    use super::*;

    fn def(change: impl FnOnce(&mut PointDef)) -> PointDef {
        let source = davy_points::PointTable::new().add_source(SourceDef {
            id: "plc".into(),
            gateway: "gw".into(),
            recorded: false,
        });
        let mut def = PointDef {
            tag: "LT-1".into(),
            description: "".into(),
            hazard: "".into(),
            area: "".into(),
            class: "tank_level".into(),
            unit: "%".into(),
            low: None,
            high: None,
            source,
            binding: Binding::Internal,
            scaling: Scaling::default(),
            poll: PollClass::Normal,
            expected_interval: Duration::from_secs(1),
            stale_after: Duration::from_secs(3),
            report_deadband: None,
            limits: Limits::default(),
            deadband: 0.0,
            on_delay: Duration::ZERO,
            off_delay: Duration::ZERO,
            priority: None,
            sentinels: Box::default(),
            life: Life::InService,
            calibration_due: None,
            note: "".into(),
            span: 0..0,
        };
        change(&mut def);
        def
    }

    #[allow(clippy::needless_pass_by_value)] // a reading is used up
    fn check(def: &PointDef, raw: Raw, value: &Value, quality: Quality) {
        let got = Qualifier::new(def, None).judge(
            &mut Memory::default(),
            Ok(raw.clone()),
            Status::None,
            Mono(0),
        );
        assert_eq!(got, (value.clone(), quality), "{raw:?}");
    }

    const NONE: Value = Value::none(NoData::Sentinel);

    #[test]
    fn without_scaling_a_value_stays_as_it_came() {
        let d = def(|_| {});
        check(&d, Raw::Unsigned(7, 16), &Value::F64(7.0), Quality::Good);
        check(
            &d,
            Raw::Signed(i64::MIN, 64),
            &Value::I64(i64::MIN),
            Quality::Good,
        );
        check(
            &d,
            Raw::Unsigned(u64::MAX, 64),
            &Value::U64(u64::MAX),
            Quality::Good,
        );
        check(&d, Raw::Bool(true), &Value::Bool(true), Quality::Good);
        check(
            &d,
            Raw::Text("run".into()),
            &Value::Text("run".into()),
            Quality::Good,
        );
        let (value, _) = Qualifier::new(&d, None).judge(
            &mut Memory::default(),
            Ok(Raw::F64(-0.0)),
            Status::None,
            Mono(0),
        );
        let Value::F64(v) = value else {
            panic!("a number")
        };
        assert_eq!(v.to_bits(), (-0.0f64).to_bits(), "bit for bit");
    }

    #[test]
    fn linear_and_two_point_scaling() {
        let d = def(|d| (d.scaling.scale, d.scaling.offset) = (0.1, -50.0));
        check(&d, Raw::Signed(-20, 16), &Value::F64(-52.0), Quality::Good);
        let d = def(|d| {
            (d.low, d.high) = (Some(-10.0), Some(30.0));
            d.scaling.raw = Some((0.0, 27_648.0));
        });
        check(&d, Raw::Unsigned(0, 16), &Value::F64(-10.0), Quality::Good);
        check(
            &d,
            Raw::Unsigned(13_824, 16),
            &Value::F64(10.0),
            Quality::Good,
        );
        check(
            &d,
            Raw::Unsigned(27_648, 16),
            &Value::F64(30.0),
            Quality::Good,
        );
    }

    #[test]
    fn beyond_the_range_is_uncertain_clamped_and_still_a_value() {
        let d = def(|d| (d.low, d.high) = (Some(0.0), Some(100.0)));
        for (raw, value, quality) in [
            (100.0, 100.0, Quality::Good),
            (100.1, 100.0, Quality::UncertainRange),
            (-1e300, 0.0, Quality::UncertainRange),
        ] {
            check(&d, Raw::F64(raw), &Value::F64(value), quality);
        }
        check(
            &d,
            Raw::Signed(-1, 64),
            &Value::I64(0),
            Quality::UncertainRange,
        );
        check(
            &d,
            Raw::Unsigned(101, 64),
            &Value::U64(100),
            Quality::UncertainRange,
        );
        // with no range nothing is clamped
        check(
            &def(|_| {}),
            Raw::F64(1e300),
            &Value::F64(1e300),
            Quality::Good,
        );
    }

    #[test]
    fn what_is_no_number_is_a_failed_sensor() {
        let d = def(|d| (d.low, d.high) = (Some(0.0), Some(100.0)));
        for raw in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            check(&d, Raw::F64(raw), &NONE, Quality::BadSensorFailure);
            check(&d, Raw::F32(raw as f32), &NONE, Quality::BadSensorFailure);
        }
        let overflow = def(|d| d.scaling.scale = 1e300);
        check(&overflow, Raw::F64(1e300), &NONE, Quality::BadSensorFailure);
        let got = Qualifier::new(&d, None).judge(
            &mut Memory::default(),
            Err(Undecodable),
            Status::None,
            Mono(0),
        );
        assert_eq!(
            got,
            (Value::none(NoData::Undecodable), Quality::BadSensorFailure)
        );
    }

    #[test]
    fn a_sentinel_is_a_number_or_the_bits_of_the_register() {
        let d = def(|d| {
            d.sentinels = [32_768.0, -999.0, f64::from(0x7F7F_FFFFu32)].into();
            d.scaling.scale = 0.1;
        });
        for raw in [
            Raw::Unsigned(0x8000, 16),
            Raw::Signed(-32_768, 16),
            Raw::Signed(-999, 16),
            Raw::F64(-999.0),
            Raw::F32(f32::MAX),
        ] {
            check(&d, raw, &NONE, Quality::BadSensorFailure);
        }
        check(
            &d,
            Raw::Signed(-32_768, 32),
            &Value::F64(-32_768.0 * 0.1),
            Quality::Good,
        );
    }

    /// NAMUR NE43 by a 4000..20000 transmitter of 0..200: raw, seconds, value, quality.
    #[test]
    fn ne43_tells_saturation_from_failure_and_waits_four_seconds() {
        let d = def(|d| {
            (d.low, d.high) = (Some(0.0), Some(200.0));
            d.scaling.raw = Some((4000.0, 20_000.0));
            d.scaling.signal = Signal::Ma4To20;
        });
        let judge = Qualifier::new(&d, None);
        let mut memory = Memory::default();
        for (raw, second, value, quality) in [
            (12_000, 0, Some(100.0), Quality::Good),
            (3800, 1, Some(-2.5), Quality::Good),
            (20_500, 2, Some(206.25), Quality::Good),
            (3799, 3, Some(0.0), Quality::UncertainRange),
            (3600, 4, Some(0.0), Quality::UncertainRange),
            (20_501, 5, Some(200.0), Quality::UncertainRange),
            (21_000, 6, Some(200.0), Quality::UncertainRange),
            // a broken wire: four seconds of doubt, then Bad
            (0, 10, Some(0.0), Quality::UncertainRange),
            (3599, 13, Some(0.0), Quality::UncertainRange),
            (0, 14, None, Quality::BadSensorFailure),
            (21_001, 15, None, Quality::BadSensorFailure),
            // mended: at once; and a new failure holds anew
            (4000, 16, Some(0.0), Quality::Good),
            (22_000, 17, Some(200.0), Quality::UncertainRange),
            (22_000, 20, Some(200.0), Quality::UncertainRange),
            (22_000, 21, None, Quality::BadSensorFailure),
        ] {
            let now = Mono(second * 1_000_000_000);
            let got = judge.judge(&mut memory, Ok(Raw::Unsigned(raw, 16)), Status::None, now);
            let expected = value.map_or(NONE, Value::F64);
            assert_eq!(got, (expected, quality), "{raw} at {second} s");
            let beyond = !(3600..=21_000).contains(&raw);
            assert_eq!(memory.waits(), beyond);
        }
    }

    #[test]
    fn what_the_device_says_of_itself_counts() {
        let d = def(|d| d.high = Some(100.0));
        let bits = StatusBits {
            address: 0,
            fault_mask: 0b01,
            inhibit_mask: 0b10,
        };
        let judge = Qualifier::new(&d, Some(&bits));
        for (status, raw, quality) in [
            (Status::Word(0b100), 5.0, Quality::Good),
            (Status::Word(0b10), 5.0, Quality::UncertainTest),
            (Status::Word(0b11), 5.0, Quality::BadDeviceFailure),
            (Status::Word(0), 500.0, Quality::UncertainRange),
            (Status::Word(0b10), 500.0, Quality::UncertainTest),
            (Status::Word(0b01), f64::NAN, Quality::BadDeviceFailure),
            (Status::Word(0b10), f64::NAN, Quality::BadSensorFailure),
            (
                Status::Unread(Quality::BadCommunication),
                5.0,
                Quality::BadCommunication,
            ),
        ] {
            let got = judge.judge(&mut Memory::default(), Ok(Raw::F64(raw)), status, Mono(0));
            assert_eq!(got.1, quality, "{status:?} {raw}");
        }
    }
}
