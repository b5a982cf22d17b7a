//! What a payload says: a number as text, or JSON with a path to the value.

use std::fmt;
use std::sync::Arc;

use davy_points::{NoData, Timestamp, Value};
use serde_json::Number;

use super::{Reject, parse_rfc3339, time_of_number};

/// A text field longer than this is no value of a point.
const TEXT_MAX_BYTES: usize = 4096;

/// A path into JSON: `a.b.0`. Digits index an array, and are a key in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Vec<String>);

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFault {
    /// Nothing between two dots, or nothing at all.
    EmptyStep,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON path is keys and indexes with dots between them, `a.b.0`")
    }
}

impl std::error::Error for PathFault {}

impl std::str::FromStr for JsonPath {
    type Err = PathFault;

    fn from_str(text: &str) -> Result<JsonPath, PathFault> {
        let steps: Vec<String> = text.split('.').map(str::to_owned).collect();
        if steps.iter().any(String::is_empty) {
            return Err(PathFault::EmptyStep);
        }
        Ok(JsonPath(steps))
    }
}

impl JsonPath {
    /// What stands at the path.
    #[must_use]
    pub fn find<'a>(&self, root: &'a serde_json::Value) -> Option<&'a serde_json::Value> {
        self.0.iter().try_fold(root, |at, step| match at {
            serde_json::Value::Object(map) => map.get(step),
            serde_json::Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }
}

/// The value that a JSON value says. Null is a value too: the device says that it has none.
pub(super) fn value_of_json(json: &serde_json::Value) -> Result<Value, Reject> {
    match json {
        serde_json::Value::Null => Ok(Value::none(NoData::Null)),
        serde_json::Value::Bool(b) => Ok(Value::Bool(*b)),
        serde_json::Value::Number(n) => value_of_number(n),
        serde_json::Value::String(s) if s.len() <= TEXT_MAX_BYTES => {
            Ok(Value::Text(Arc::from(s.as_str())))
        }
        serde_json::Value::String(_) => Err(Reject::TextTooLong),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => Err(Reject::NotAValue),
    }
}

/// JSON knows one kind of number, and devices write `12` as well as `12.5` for one quantity. So a
/// number is a double wherever a double holds it exactly (one kind of value per series), and an
/// integer where it does not: no counter loses a digit.
fn value_of_number(n: &Number) -> Result<Value, Reject> {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // compared back
    if let Some(i) = n.as_i64() {
        let f = i as f64;
        // i64::MAX as f64 is 2^63, which casts back saturated: exclude it by size.
        return Ok(
            if i.unsigned_abs() <= 1 << 53 || (f as i64 == i && f < 9.2e18) {
                Value::F64(f)
            } else {
                Value::I64(i)
            },
        );
    }
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    if let Some(u) = n.as_u64() {
        let f = u as f64;
        return Ok(if f as u64 == u && f < 1.8e19 {
            Value::F64(f)
        } else {
            Value::U64(u)
        });
    }
    match n.as_f64() {
        Some(f) if f.is_finite() => Ok(Value::F64(f)),
        _ => Err(Reject::NotAValue),
    }
}

/// The value of a payload that is one number as text; `true` and `false` are taken, and `nan`
/// is what a sensor says that has none.
pub(super) fn value_of_text(payload: &[u8]) -> Result<Value, Reject> {
    let text = std::str::from_utf8(payload)
        .map_err(|_| Reject::NotUtf8)?
        .trim();
    match text {
        "" => return Err(Reject::Empty),
        "null" => return Ok(Value::none(NoData::Null)),
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        _ => {}
    }
    // JSON first, for its exact integers; then what else Rust reads as a double (`+5`, `.5`, `nan`).
    if let Ok(n) = serde_json::from_str::<Number>(text) {
        return value_of_number(&n);
    }
    match text.parse::<f64>() {
        Ok(f) => Ok(Value::F64(f)),
        Err(_) => Err(Reject::NotANumber),
    }
}

/// The time that a JSON value says.
pub(super) fn time_of_json(json: &serde_json::Value) -> Option<Timestamp> {
    match json {
        serde_json::Value::String(s) => parse_rfc3339(s),
        serde_json::Value::Number(n) => time_of_number(n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_keeps_every_digit() {
        for (text, value) in [
            ("12", Value::F64(12.0)),
            ("12.5", Value::F64(12.5)),
            ("-0", Value::F64(-0.0)),
            ("-0.0", Value::F64(-0.0)),
            ("9007199254740993", Value::I64(9_007_199_254_740_993)),
            ("9223372036854775807", Value::I64(i64::MAX)),
            (
                "-9223372036854775808",
                Value::F64(-9_223_372_036_854_775_808.0),
            ),
            ("18446744073709551615", Value::U64(u64::MAX)),
            (
                "9223372036854775808",
                Value::F64(9_223_372_036_854_775_808.0),
            ),
            ("0.1", Value::F64(0.1)),
            ("5e-324", Value::F64(5e-324)),
            ("true", Value::Bool(true)),
            ("null", Value::none(NoData::Null)),
            (" 7 \n", Value::F64(7.0)),
        ] {
            let got = value_of_text(text.as_bytes()).expect(text);
            assert_eq!(got, value, "{text}");
            if let (Value::F64(a), Value::F64(b)) = (&got, &value) {
                assert_eq!(a.to_bits(), b.to_bits(), "{text}");
            }
            let json: serde_json::Value = serde_json::from_str(text).expect(text);
            assert_eq!(value_of_json(&json), Ok(value), "{text} as JSON");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_with_its_reason() {
        for (payload, reject) in [
            (&b""[..], Reject::Empty),
            (b"  ", Reject::Empty),
            (b"\xff\xfe", Reject::NotUtf8),
            (b"open", Reject::NotANumber),
            (b"1,5", Reject::NotANumber),
        ] {
            assert_eq!(value_of_text(payload), Err(reject));
        }
        assert!(matches!(value_of_text(b"NaN"), Ok(Value::F64(f)) if f.is_nan()));
        assert!(matches!(value_of_text(b"1e999"), Ok(Value::F64(f)) if f.is_infinite()));
    }

    #[test]
    fn a_path_finds_keys_and_indexes() {
        let json: serde_json::Value =
            serde_json::from_str(r#"{"a":{"b":[1,{"c":"x"}]},"0":"zero"}"#).expect("JSON");
        for (path, found) in [
            ("a.b.0", Some("1")),
            ("a.b.1.c", Some("\"x\"")),
            ("0", Some("\"zero\"")),
            ("a.b.9", None),
            ("a.b.-1", None),
            ("a.x", None),
            ("a.b.0.c", None),
        ] {
            let path: JsonPath = path.parse().expect(path);
            assert_eq!(
                path.find(&json).map(ToString::to_string).as_deref(),
                found,
                "{path:?}"
            );
        }
        for bad in ["", ".", "a..b", "a."] {
            assert_eq!(bad.parse::<JsonPath>(), Err(PathFault::EmptyStep));
        }
    }

    proptest! {
        #[test]
        fn every_finite_double_comes_back_bit_for_bit(bits in any::<u64>()) {
            let f = f64::from_bits(bits);
            prop_assume!(f.is_finite());
            let json = serde_json::to_string(&f).expect("finite");
            let parsed: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            let Ok(Value::F64(back)) = value_of_json(&parsed) else {
                panic!("{json} is no double");
            };
            prop_assert_eq!(back.to_bits(), bits);
        }

        #[test]
        fn every_integer_comes_back(i in any::<i64>(), u in any::<u64>()) {
            for (text, wide) in [(i.to_string(), i128::from(i)), (u.to_string(), i128::from(u))] {
                let back = match value_of_text(text.as_bytes()) {
                    #[allow(clippy::cast_possible_truncation)]
                    Ok(Value::F64(f)) => f as i128,
                    Ok(Value::I64(v)) => i128::from(v),
                    Ok(Value::U64(v)) => i128::from(v),
                    other => panic!("{text}: {other:?}"),
                };
                prop_assert_eq!(back, wide);
            }
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = value_of_text(&bytes);
        }
    }
}
