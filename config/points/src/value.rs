//! A value, or the reason why there is none. Missing data is never zero.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// What a point read. Untagged on the wire: a number, `true`, a text, or `{"no_data": "…"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    /// Truth of a discrete point.
    Bool(bool),
    /// Signed integer.
    I64(i64),
    /// Unsigned integer beyond the signed range.
    U64(u64),
    /// Engineering value. May be non-finite only under a Bad quality; on the wire it is none then.
    #[serde(serialize_with = "finite_or_none")]
    F64(#[schemars(with = "f64")] f64),
    /// A text register or payload.
    Text(Arc<str>),
    /// No value, and why.
    NoData(NoDataWire),
}

/// Wire shape of [`NoData`]: `{"no_data": "null"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoDataWire {
    /// Why there is no value.
    pub no_data: NoData,
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// Nothing has come since the start.
    NeverRead,
    /// The payload said null, or the field was missing.
    Null,
    /// The device or its path did not answer.
    NoAnswer,
    /// The device refused: a Modbus exception.
    Refused,
    /// The bytes could not be read as the point's type.
    Undecodable,
    /// A configured sentinel or NaN stood in the place of a value.
    Sentinel,
    /// The link to the source is down.
    LinkDown,
}

/// JSON has no NaN and no infinity, and a `null` would read back as nothing that we know.
#[allow(clippy::trivially_copy_pass_by_ref)] // serde calls it so
fn finite_or_none<S: Serializer>(v: &f64, s: S) -> Result<S::Ok, S::Error> {
    if v.is_finite() {
        s.serialize_f64(*v)
    } else {
        NoDataWire {
            no_data: NoData::Sentinel,
        }
        .serialize(s)
    }
}

impl Value {
    /// No value, for this reason.
    #[must_use]
    pub const fn none(why: NoData) -> Value {
        Value::NoData(NoDataWire { no_data: why })
    }

    /// The number that rules judge, if there is one: `Bool` is 0 or 1, `Text` has none.
    /// May be non-finite.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a 64-bit counter above 2^53 is judged to 1 part in 2^53
    pub fn number(&self) -> Option<f64> {
        match *self {
            Value::F64(v) => Some(v),
            Value::I64(v) => Some(v as f64),
            Value::U64(v) => Some(v as f64),
            Value::Bool(v) => Some(if v { 1.0 } else { 0.0 }),
            Value::Text(_) | Value::NoData(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(v) => write!(f, "{v}"),
            Value::I64(v) => write!(f, "{v}"),
            Value::U64(v) => write!(f, "{v}"),
            Value::F64(v) => write!(f, "{v}"),
            Value::Text(v) => f.write_str(v),
            Value::NoData(_) => f.write_str("—"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::I64),
            (i64::MAX as u64 + 1..).prop_map(Value::U64),
            any::<f64>().prop_map(Value::F64),
            ".*".prop_map(|t| Value::Text(t.into())),
            Just(Value::none(NoData::Null)),
        ]
    }

    proptest! {
        #[test]
        fn every_value_reads_back_as_itself_and_a_number_that_is_none_as_no_data(v in any_value()) {
            let json = serde_json::to_string(&v).expect("JSON");
            let back: Value = serde_json::from_str(&json).expect("a value");
            let expected = match &v {
                Value::F64(f) if !f.is_finite() => Value::none(NoData::Sentinel),
                other => other.clone(),
            };
            prop_assert_eq!(back, expected, "{}", json);
        }
    }

    #[test]
    fn nan_in_an_input_log_does_not_make_it_unreadable() {
        for f in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(
                serde_json::to_string(&Value::F64(f)).expect("JSON"),
                r#"{"no_data":"sentinel"}"#
            );
        }
    }
}
