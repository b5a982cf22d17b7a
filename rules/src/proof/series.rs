//! The series notation of a test file: one word a reading, left to right on a grid.
//!
//! ```text
//! 80            a Good value                 _          nothing comes
//! 80x3          the same, 3 values           _x3        three times
//! 80+1x6        6 values: 80 81 … 85         bad        a reading without a value
//! 80-0.5x10     10 values, falling           bad:80     a Bad one that has a value
//! uncertain:80  quality Uncertain            nan        not a number
//! stale         silence, until the point is stale
//! 85@12s        measured at 12 s. Where the row has not got so far, it comes then, whatever the
//!               grid, and the row goes on from there; where it has, it comes late, in its place
//! 84@-4s        comes in its place, measured 4 s before; 84@+7s: its clock is 7 s ahead
//! ```
//! Lives here: text to readings. May not live here: points, engines.

use davy_points::Span;

use crate::grammar::{duration, ns};

/// Readings that one series may have: a test of a day at a second is a tenth of it.
const MOST: usize = 1_000_000;

/// What comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Given {
    Good(f64),
    Uncertain(f64),
    BadValue(f64),
    Bad,
    NotANumber,
}

/// One reading, in nanoseconds from the start of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Reading {
    /// When it comes.
    pub(crate) at: i64,
    /// When it was measured.
    pub(crate) measured: i64,
    pub(crate) given: Given,
}

/// A row of readings.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Series {
    pub(crate) readings: Vec<Reading>,
    /// The last place of the row, gaps included.
    pub(crate) end: i64,
}

/// What is wrong with a word of a series: its place in the text, and the remedy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

/// Reads a series whose grid is `interval_ns`, of a point that is stale after `stale_ns`.
pub(crate) fn parse(text: &str, interval_ns: i64, stale_ns: i64) -> Result<Series, Vec<Fault>> {
    let mut row = Row {
        series: Series::default(),
        place: 0,
        last: 0,
        interval: interval_ns,
        stale: stale_ns,
    };
    let mut faults = Vec::new();
    for word in text.split_whitespace() {
        if let Err((message, hint)) = row.word(word) {
            let start = word.as_ptr() as usize - text.as_ptr() as usize;
            faults.push(Fault {
                span: start..start + word.len(),
                message,
                hint,
            });
        }
    }
    if text.trim().is_empty() {
        faults.push(Fault {
            span: 0..text.len(),
            message: "the series is empty".to_owned(),
            hint: "give values: \"80+1x6\", or gaps: \"_x6\"",
        });
    }
    if faults.is_empty() {
        Ok(row.series)
    } else {
        Err(faults)
    }
}

struct Row {
    series: Series,
    /// Where the next reading stands.
    place: i64,
    /// When something last came.
    last: i64,
    interval: i64,
    stale: i64,
}

type Refused = (String, &'static str);

impl Row {
    fn word(&mut self, word: &str) -> Result<(), Refused> {
        if word == "stale" {
            return self.silence();
        }
        let (what, at) = match word.split_once('@') {
            Some((what, at)) => (what, Some(at)),
            None => (word, None),
        };
        let (what, count) = counted(what)?;
        if self.series.readings.len().saturating_add(count) > MOST {
            return Err((
                format!("`{word}` makes the series longer than {MOST} readings"),
                "a shorter series, or a longer `interval`",
            ));
        }
        if what == "_" {
            if at.is_some() {
                return Err((
                    format!("`{word}`: nothing has no time"),
                    "`_x5` leaves five places out; `until` lets a test run on",
                ));
            }
            let places = i64::try_from(count).unwrap_or(i64::MAX);
            self.place = self
                .place
                .saturating_add(self.interval.saturating_mul(places));
            self.series.end = self.place.saturating_sub(self.interval);
            return Ok(());
        }
        let (make, start, step) = reading(what, count)?;
        let when = at.map(|at| When::parse(at, word)).transpose()?;
        if let Some(When::At(t)) = when {
            if t >= self.place {
                self.place = t;
            } else if count > 1 {
                return Err((
                    format!("`{word}`: {count} values cannot have been measured at one instant"),
                    "give each late value its own `@`",
                ));
            }
        }
        for i in 0..count {
            #[allow(clippy::cast_precision_loss)] // fewer than a million
            let value = start + step * i as f64;
            let measured = match when {
                None => self.place,
                Some(When::At(t)) if count == 1 => t,
                Some(When::At(_)) => self.place,
                Some(When::Off(by)) => self.place.saturating_add(by),
            };
            self.series.readings.push(Reading {
                at: self.place,
                measured,
                given: make(value),
            });
            self.last = self.place;
            self.series.end = self.place;
            self.place = self.place.saturating_add(self.interval);
        }
        Ok(())
    }

    /// To the first place of the grid at which the point is stale: strictly later than the last
    /// arrival and `stale_after` (8.7).
    fn silence(&mut self) -> Result<(), Refused> {
        if self.stale == 0 {
            return Err((
                "this point is never stale".to_owned(),
                "give it `stale_after`, or leave places out with `_x10`",
            ));
        }
        let over = self.last.saturating_add(self.stale);
        if self.place <= over {
            let short = over - self.place;
            let places = short / self.interval + 1;
            self.place = self
                .place
                .saturating_add(places.saturating_mul(self.interval));
        }
        self.series.end = self.place;
        Ok(())
    }
}

/// `80+1x6` → `80+1`, 6.
fn counted(word: &str) -> Result<(&str, usize), Refused> {
    let Some((what, count)) = word.rsplit_once('x') else {
        return Ok((word, 1));
    };
    match count.parse::<usize>() {
        Ok(n) if n > 0 => Ok((what, n)),
        Ok(_) => Err((
            format!("`{word}` has no values"),
            "`x1` or more: the count is how many values there are",
        )),
        Err(_) => Err((
            format!("`{count}` in `{word}` is no count"),
            "write how many values: `80+1x6`, `_x3`",
        )),
    }
}

const WORDS: &str =
    "write a number, `80+1x6`, `_`, `bad`, `bad:80`, `uncertain:80`, `nan` or `stale`";

type Make = fn(f64) -> Given;

fn reading(what: &str, count: usize) -> Result<(Make, f64, f64), Refused> {
    let (make, number): (Make, &str) = match what {
        "bad" => return Ok((|_| Given::Bad, 0.0, 0.0)),
        "nan" => return Ok((|_| Given::NotANumber, 0.0, 0.0)),
        _ => match what.split_once(':') {
            Some(("bad", v)) => (Given::BadValue, v),
            Some(("uncertain", v)) => (Given::Uncertain, v),
            Some((other, _)) => {
                return Err((format!("`{other}` is no quality"), WORDS));
            }
            None => (Given::Good, what),
        },
    };
    let (start, step) = ramp(number).ok_or_else(|| (format!("`{what}` is no reading"), WORDS))?;
    if step.is_some() && count == 1 {
        return Err((
            format!("`{what}` rises or falls, but how often?"),
            "say how many values: `80+1x6` is 80 81 82 83 84 85",
        ));
    }
    Ok((make, start, step.unwrap_or(0.0)))
}

/// `80`, `-3`, `80+1`, `1e3-0.5`.
fn ramp(text: &str) -> Option<(f64, Option<f64>)> {
    let number = |t: &str| t.parse::<f64>().ok().filter(|n| n.is_finite());
    // A word like `inf` is no measurement of anything.
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    if let Some(n) = number(text) {
        return Some((n, None));
    }
    text.char_indices()
        .skip(1)
        .filter(|(_, c)| matches!(c, '+' | '-'))
        .find_map(|(at, _)| {
            let (start, step) = text.split_at(at);
            Some((number(start)?, Some(number(step)?)))
        })
}

/// When a reading was measured.
#[derive(Debug, Clone, Copy)]
enum When {
    /// From the start of the test.
    At(i64),
    /// From its arrival.
    Off(i64),
}

impl When {
    fn parse(text: &str, word: &str) -> Result<When, Refused> {
        let read = |t: &str| duration(t).map(ns);
        let time = match (text.strip_prefix('-'), text.strip_prefix('+')) {
            (Some(t), _) => read(t).map(|t| When::Off(-t)),
            (_, Some(t)) => read(t).map(When::Off),
            _ => read(text).map(When::At),
        };
        time.map_err(|why| {
            (
                format!("the time of `{word}` {why}"),
                "`85@12s` was measured at 12 s, `84@-4s` 4 s before it comes",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ARRIVAL[@MEASURED]=VALUE`, in seconds.
    fn said(text: &str) -> String {
        let series = match parse(text, 1_000_000_000, 3_000_000_000) {
            Ok(s) => s,
            Err(faults) => {
                let words: Vec<String> = faults
                    .iter()
                    .map(|f| format!("{}: {}", &text[f.span.clone()], f.message))
                    .collect();
                return words.join("; ");
            }
        };
        let mut words: Vec<String> = Vec::new();
        let s = |ns: i64| ns as f64 / 1e9;
        for r in &series.readings {
            let mut word = s(r.at).to_string();
            if r.measured != r.at {
                word.push_str(&format!("@{}", s(r.measured)));
            }
            word.push_str(&match r.given {
                Given::Good(v) => format!("={v}"),
                Given::Uncertain(v) => format!("?{v}"),
                Given::BadValue(v) => format!("!{v}"),
                Given::Bad => "!".to_owned(),
                Given::NotANumber => "=nan".to_owned(),
            });
            words.push(word);
        }
        words.push(format!("end {}", s(series.end)));
        words.join(" ")
    }

    #[test]
    fn the_notation() {
        for (text, readings) in [
            ("80", "0=80 end 0"),
            ("80x3 1", "0=80 1=80 2=80 3=1 end 3"),
            ("80+1x3", "0=80 1=81 2=82 end 2"),
            ("-2-0.5x3", "0=-2 1=-2.5 2=-3 end 2"),
            ("1e3-1e2x2", "0=1000 1=900 end 1"),
            ("0x2", "0=0 1=0 end 1"),
            ("1 _ 2 _x2 3 _x2", "0=1 2=2 5=3 end 7"),
            ("bad bad:7 nan uncertain:8", "0! 1!7 2=nan 3?8 end 3"),
            ("badx2 uncertain:1+1x2", "0! 1! 2?1 3?2 end 3"),
            // Stale is strictly later than 3 s after the last arrival: at 4 s, of which 1 s were due.
            ("1 stale 2", "0=1 4=2 end 4"),
            ("1 _x9 stale 2", "0=1 10=2 end 10"),
            ("stale", "end 4"),
            // Forward: it comes then, and the row goes on from there.
            ("1 2@12s 3", "0=1 12=2 13=3 end 13"),
            ("1x2@2.5s 3", "2.5=1 3.5=1 4.5=3 end 4.5"),
            // Back: late, in its place.
            ("1x3 2@1s 3", "0=1 1=1 2=1 3@1=2 4=3 end 4"),
            ("1x3 2@-2s 3@+7s", "0=1 1=1 2=1 3@1=2 4@11=3 end 4"),
        ] {
            assert_eq!(said(text), readings, "{text}");
        }
    }

    #[test]
    fn what_is_no_series_is_told_word_by_word() {
        for (text, faults) in [
            ("", ": the series is empty"),
            (
                "1 two inf",
                "two: `two` is no reading; inf: `inf` is no reading",
            ),
            ("80+1", "80+1: `80+1` rises or falls, but how often?"),
            ("80+1xy", "80+1xy: `y` in `80+1xy` is no count"),
            ("80x0", "80x0: `80x0` has no values"),
            ("good:8", "good:8: `good` is no quality"),
            ("8@9", "8@9: the time of `8@9` has no unit"),
            ("_@9s", "_@9s: `_@9s`: nothing has no time"),
            (
                "1x9 1x2@1s",
                "1x2@1s: `1x2@1s`: 2 values cannot have been measured at one instant",
            ),
            (
                "1x99999999",
                "1x99999999: `1x99999999` makes the series longer than 1000000 readings",
            ),
            (
                "_x18446744073709551616",
                "_x18446744073709551616: `18446744073709551616` in `_x18446744073709551616` is no count",
            ),
        ] {
            assert_eq!(said(text), faults, "{text}");
        }
        assert!(parse("1 stale", 1_000_000_000, 0).is_err());
    }
}
