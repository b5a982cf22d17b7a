//! A value, or the reason why there is none. Missing data is never zero.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a point read. Untagged on the wire: a number, `true`, a text, or `{"no_data": "…"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Truth of a discrete point.
    Bool(bool),
    /// Signed integer.
    I64(i64),
    /// Unsigned integer beyond the signed range.
    U64(u64),
    /// Engineering value. May be non-finite only under a Bad quality.
    F64(f64),
    /// A text register or payload.
    Text(Arc<str>),
    /// No value, and why.
    NoData(NoDataWire),
}

/// Wire shape of [`NoData`]: `{"no_data": "null"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoDataWire {
    /// Why there is no value.
    pub no_data: NoData,
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
