//! Quality is a class and a reason, sent as the OPC code that plants know.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How far a value may be believed, with the reason (`formats.md` section 1).
/// On the wire it is its OPC code, a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Quality {
    /// Bad: the configuration names something that does not exist on the device.
    BadConfiguration = 4,
    /// Bad: not connected.
    BadNotConnected = 8,
    /// Bad: the device reports a failure.
    BadDeviceFailure = 12,
    /// Bad: NaN, sentinel, NE43 failure.
    BadSensorFailure = 16,
    /// Bad: no answer, or an answer that cannot be trusted.
    BadCommunication = 24,
    /// Bad: taken out of service.
    BadOutOfService = 28,
    /// Bad: nothing has come yet.
    BadWaiting = 32,
    /// Bad: too old.
    BadStale = 36,
    /// Uncertain: last usable value (retained, held, frozen).
    UncertainLastUsable = 68,
    /// Uncertain: calibration or test.
    UncertainTest = 80,
    /// Uncertain: beyond the range; clamped or saturated, and still judged.
    UncertainRange = 84,
    /// Uncertain: substituted by hand.
    UncertainSubstituted = 88,
    /// Uncertain: the source's clock cannot be trusted.
    UncertainClock = 92,
    /// Good.
    Good = 192,
}

/// The class of a [`Quality`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityClass {
    /// Not to be used.
    Bad,
    /// May raise an alarm, may never return one.
    Uncertain,
    /// As measured.
    Good,
}

impl Quality {
    /// Every quality there is, by code.
    pub const ALL: [Quality; 14] = [
        Quality::BadConfiguration,
        Quality::BadNotConnected,
        Quality::BadDeviceFailure,
        Quality::BadSensorFailure,
        Quality::BadCommunication,
        Quality::BadOutOfService,
        Quality::BadWaiting,
        Quality::BadStale,
        Quality::UncertainLastUsable,
        Quality::UncertainTest,
        Quality::UncertainRange,
        Quality::UncertainSubstituted,
        Quality::UncertainClock,
        Quality::Good,
    ];

    /// The OPC code: 192 good, 64–127 uncertain, below 64 bad.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The quality with this OPC code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Quality> {
        Quality::ALL.into_iter().find(|q| q.code() == code)
    }

    /// The class that rules look at.
    #[must_use]
    pub const fn class(self) -> QualityClass {
        match self.code() {
            192.. => QualityClass::Good,
            64.. => QualityClass::Uncertain,
            _ => QualityClass::Bad,
        }
    }

    /// True for Good alone.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Quality::Good)
    }

    /// True for every Bad.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        self.code() < 64
    }

    /// The worse of two: Bad before Uncertain before Good; among equals of a class the first.
    #[must_use]
    pub fn worst(self, other: Quality) -> Quality {
        if other.class() < self.class() {
            other
        } else {
            self
        }
    }

    /// Stable machine name, as in reasons, metrics and the console's word table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Quality::Good => "good",
            Quality::BadConfiguration => "bad_configuration",
            Quality::BadNotConnected => "bad_not_connected",
            Quality::BadDeviceFailure => "bad_device_failure",
            Quality::BadSensorFailure => "bad_sensor_failure",
            Quality::BadCommunication => "bad_communication",
            Quality::BadOutOfService => "bad_out_of_service",
            Quality::BadWaiting => "bad_waiting",
            Quality::BadStale => "bad_stale",
            Quality::UncertainLastUsable => "uncertain_last_usable",
            Quality::UncertainTest => "uncertain_test",
            Quality::UncertainRange => "uncertain_range",
            Quality::UncertainSubstituted => "uncertain_substituted",
            Quality::UncertainClock => "uncertain_clock",
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Quality {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u8(self.code())
    }
}

impl<'de> Deserialize<'de> for Quality {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Quality, D::Error> {
        let code = u8::deserialize(d)?;
        Quality::from_code(code)
            .ok_or_else(|| serde::de::Error::custom(format!("{code} is no quality code")))
    }
}

impl JsonSchema for Quality {
    fn schema_name() -> Cow<'static, str> {
        "Quality".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes = Quality::ALL.map(|q| json_schema!({ "const": q.code(), "title": q.name() }));
        json_schema!({
            "description": "OPC quality code: a class and a reason.",
            "type": "integer",
            "oneOf": codes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_and_has_its_class() {
        for q in Quality::ALL {
            assert_eq!(Quality::from_code(q.code()), Some(q));
            let class = match q.name().split('_').next() {
                Some("good") => QualityClass::Good,
                Some("uncertain") => QualityClass::Uncertain,
                _ => QualityClass::Bad,
            };
            assert_eq!(q.class(), class, "{q}");
        }
        assert_eq!(Quality::from_code(0), None, "0 is never a valid code");
    }
}
