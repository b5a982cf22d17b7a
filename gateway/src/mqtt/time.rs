//! Times in payloads: RFC 3339 text, or a number whose size tells its unit.

use davy_points::Timestamp;
use serde_json::Number;

/// A number of seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by
/// size: below 10¹¹ seconds (until the year 5138), then each unit a factor of a thousand.
#[must_use]
pub fn time_of_number(n: &Number) -> Option<Timestamp> {
    if let Some(i) = n.as_i64() {
        let per_unit = ns_per_unit(i.unsigned_abs() as f64);
        return i.checked_mul(per_unit).map(Timestamp);
    }
    let f = n.as_f64()?;
    if !f.is_finite() {
        return None;
    }
    let per_unit = ns_per_unit(f.abs());
    // Whole units exactly, the rest rounded: a double of seconds resolves 0.2 µs today.
    let whole = f.trunc();
    #[allow(clippy::cast_possible_truncation)] // below 10^20: checked by the multiplication
    let ns = (whole as i64).checked_mul(per_unit)?;
    if whole.abs() >= 9.3e18 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    let rest = ((f - whole) * per_unit as f64).round() as i64;
    ns.checked_add(rest).map(Timestamp)
}

fn ns_per_unit(size: f64) -> i64 {
    if size < 1e11 {
        1_000_000_000
    } else if size < 1e14 {
        1_000_000
    } else if size < 1e17 {
        1_000
    } else {
        1
    }
}

/// RFC 3339 with offset: `2026-11-24T10:00:00.5+08:00`. A blank in the place of `T` is taken.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let b = text.as_bytes();
    if b.len() < 20 || b.len() > 64 || !text.is_ascii() {
        return None;
    }
    if b[4] != b'-' || b[7] != b'-' || b[13] != b':' || b[16] != b':' {
        return None;
    }
    if !matches!(b[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (digits(b, 0, 4)?, digits(b, 5, 2)?, digits(b, 8, 2)?);
    let (hour, minute, second) = (digits(b, 11, 2)?, digits(b, 14, 2)?, digits(b, 17, 2)?);
    // RFC 3339 5.6 allows second 60 for a leap second.
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut frac_ns = 0;
    if b.get(at) == Some(&b'.') {
        let start = at + 1;
        at = start;
        let mut unit = 100_000_000;
        while let Some(d) = b.get(at).filter(|c| c.is_ascii_digit()) {
            frac_ns += i64::from(d - b'0') * unit; // beyond nanoseconds the unit is zero
            unit /= 10;
            at += 1;
        }
        if at == start {
            return None;
        }
    }
    let offset_s = match b.get(at)? {
        b'Z' | b'z' if at + 1 == b.len() => 0,
        sign @ (b'+' | b'-') if at + 6 == b.len() && b[at + 3] == b':' => {
            let (h, m) = (digits(b, at + 1, 2)?, digits(b, at + 4, 2)?);
            if h > 23 || m > 59 {
                return None;
            }
            let s = h * 3600 + m * 60;
            if *sign == b'+' { s } else { -s }
        }
        _ => return None,
    };
    let secs =
        days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_s;
    secs.checked_mul(1_000_000_000)?
        .checked_add(frac_ns)
        .map(Timestamp)
}

fn digits(b: &[u8], from: usize, n: usize) -> Option<i64> {
    let mut v = 0;
    for c in b.get(from..from + n)? {
        if !c.is_ascii_digit() {
            return None;
        }
        v = v * 10 + i64::from(c - b'0');
    }
    Some(v)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since the epoch (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_become_times_or_nothing() {
        for (text, ns) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2020-03-01T15:44:06Z", Some(1_583_077_446_000_000_000)),
            (
                "2020-03-01T23:44:06.25+08:00",
                Some(1_583_077_446_250_000_000),
            ),
            ("2020-03-01 15:44:06z", Some(1_583_077_446_000_000_000)),
            (
                "2000-02-29T00:00:00.123456789999Z",
                Some(951_782_400_123_456_789),
            ),
            ("1969-12-31T23:59:59.999999999Z", Some(-1)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000_000_000)),
            ("2021-02-29T00:00:00Z", None),
            ("2020-13-01T00:00:00Z", None),
            ("2020-03-01T24:00:00Z", None),
            ("2020-03-01T15:44:06", None),
            ("2020-03-01T15:44:06.Z", None),
            ("2020-03-01T15:44:06+0800", None),
            ("2020-03-01T15:44:06Zx", None),
            ("9999-12-31T23:59:59Z", None), // beyond what 64 bits of nanoseconds hold
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text).map(Timestamp::ns), ns, "{text}");
        }
    }

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        for (json, ns) in [
            ("1583077446", Some(1_583_077_446_000_000_000)),
            ("1583077446123", Some(1_583_077_446_123_000_000)),
            ("1583077446123456", Some(1_583_077_446_123_456_000)),
            ("1583077446123456789", Some(1_583_077_446_123_456_789)),
            ("1583077446.5", Some(1_583_077_446_500_000_000)),
            ("1583077446123.25", Some(1_583_077_446_123_250_000)),
            ("-1", Some(-1_000_000_000)),
            ("1e300", None),
            ("18446744073709551615", None),
        ] {
            let n: Number = serde_json::from_str(json).expect("a number");
            assert_eq!(time_of_number(&n).map(Timestamp::ns), ns, "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_a_timestamp_prints_comes_back(ns in any::<i64>()) {
            // Four-digit years only, as RFC 3339 has.
            let t = Timestamp(ns);
            prop_assert_eq!(parse_rfc3339(&t.to_string()), Some(t));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,80}") {
            let _ = parse_rfc3339(&text);
        }
    }
}
