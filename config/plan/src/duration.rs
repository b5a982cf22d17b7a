//! Durations as people write them: `250ms`, `1s`, `1.5s`, `10m`, `2h`, `1d`.
//!
//! May not live here: clocks.

use std::time::Duration;

/// What a number without a unit means, where a header says it (`延时(s)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Seconds,
    Minutes,
}

impl Unit {
    const fn seconds(self) -> f64 {
        match self {
            Unit::Milliseconds => 0.001,
            Unit::Seconds => 1.0,
            Unit::Minutes => 60.0,
        }
    }

    /// `s`, `ms`, `min`, `秒`, …
    pub(crate) fn named(name: &str) -> Option<Unit> {
        match name.trim() {
            "ms" | "毫秒" => Some(Unit::Milliseconds),
            "s" | "S" | "sec" | "秒" => Some(Unit::Seconds),
            "min" | "m" | "分" | "分钟" => Some(Unit::Minutes),
            _ => None,
        }
    }
}

/// The remedy that goes with every bad duration.
pub(crate) const HINT: &str = "write a number and a unit: `250ms`, `5s`, `10m`, `2h`";

/// Longest duration that anything here may have; more is a slip of the unit.
const LONGEST_S: f64 = 400.0 * 86_400.0;

/// A duration, or in few words why it is none.
pub(crate) fn parse(text: &str, bare: Option<Unit>) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number
        .parse()
        .map_err(|_| format!("`{text}` is not a duration"))?;
    let seconds = match unit.trim() {
        "ms" | "毫秒" => 0.001,
        "s" | "秒" => 1.0,
        "m" | "min" | "分" | "分钟" => 60.0,
        "h" | "小时" => 3_600.0,
        "d" | "天" => 86_400.0,
        "" if number == 0.0 => 1.0,
        "" => match bare {
            Some(unit) => unit.seconds(),
            None => return Err(format!("`{text}` has no unit")),
        },
        other => return Err(format!("`{text}` has the unknown unit `{other}`")),
    } * number;
    if seconds > LONGEST_S {
        return Err(format!("`{text}` is longer than 400 days"));
    }
    // Whole nanoseconds; a factor of 0.001 must not leave 249 999 999 ns of 250 ms.
    Ok(Duration::from_nanos((seconds * 1e9).round() as u64))
}

/// As [`parse`] reads it again.
pub(crate) fn show(d: Duration) -> String {
    let ms = d.as_millis();
    if !ms.is_multiple_of(1_000) || ms == 0 {
        format!("{ms}ms")
    } else {
        format!("{}s", ms / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_unless_the_header_has_one() {
        for (text, bare, expected) in [
            ("250ms", None, Ok(250)),
            ("1s", None, Ok(1_000)),
            (" 1.5 s ", None, Ok(1_500)),
            ("10m", None, Ok(600_000)),
            ("2h", None, Ok(7_200_000)),
            ("1d", None, Ok(86_400_000)),
            ("0", None, Ok(0)),
            ("5", Some(Unit::Seconds), Ok(5_000)),
            ("1000", Some(Unit::Milliseconds), Ok(1_000)),
            ("5", None, Err("`5` has no unit")),
            (
                "5 weeks",
                None,
                Err("`5 weeks` has the unknown unit `weeks`"),
            ),
            ("-5s", None, Err("`-5s` is not a duration")),
            ("", None, Err("`` is not a duration")),
            ("1.2.3s", None, Err("`1.2.3s` is not a duration")),
            ("500d", None, Err("`500d` is longer than 400 days")),
        ] {
            let got = parse(text, bare).map(|d| d.as_millis());
            assert_eq!(got, expected.map_err(str::to_owned), "{text}");
        }
    }
}
