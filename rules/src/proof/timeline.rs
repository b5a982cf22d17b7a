//! Expected and actual transitions side by side on one time line, with what happened between.
//!
//! Lives here: pure alignment. May not live here: widths, colours, terminals (see `cli`).

use std::collections::VecDeque;

/// Which side has a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Both have it.
    Both,
    /// Expected, and it did not happen.
    Missing,
    /// It happened, and was not expected.
    Extra,
    /// A step of the test.
    Step,
}

/// One line of the time line.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// As written: `5s`.
    pub time: String,
    /// What each series gave then; in parentheses what it gave last.
    pub values: Vec<String>,
    /// Which side has it.
    pub mark: Mark,
    /// What was expected, or the step, without its time.
    pub text: String,
}

/// Aligns two lists of lines that each begin with their time; `steps` come between as they stand.
pub(crate) fn align(
    expected: &[String],
    actual: &[String],
    steps: &[(i64, String)],
    values: impl Fn(i64) -> Vec<String>,
) -> Vec<Row> {
    let mut steps: VecDeque<&(i64, String)> = steps.iter().collect();
    let mut rows = Vec::new();
    let mut tell = |mark: Mark, line: &str| {
        let (time, text) = line.split_once(' ').unwrap_or((line, ""));
        let at = instant(time);
        while let Some((t, step)) = steps.front().copied() {
            // What an instant brings comes after its step.
            if *t > at {
                break;
            }
            rows.push(row(*t, Mark::Step, step.clone(), &values));
            steps.pop_front();
        }
        rows.push(row(at, mark, text.to_owned(), &values));
    };
    let (mut e, mut a) = (expected.iter().peekable(), actual.iter().peekable());
    for common in common(expected, actual) {
        // What neither shares comes in the order of time.
        loop {
            let before_e = e.peek().filter(|l| **l != common);
            let before_a = a.peek().filter(|l| **l != common);
            match (before_e, before_a) {
                (Some(x), Some(y)) if instant(time(y)) < instant(time(x)) => {
                    tell(Mark::Extra, y);
                    a.next();
                }
                (Some(x), _) => {
                    tell(Mark::Missing, x);
                    e.next();
                }
                (None, Some(y)) => {
                    tell(Mark::Extra, y);
                    a.next();
                }
                (None, None) => break,
            }
        }
        tell(Mark::Both, common);
        e.next();
        a.next();
    }
    loop {
        match (e.peek(), a.peek()) {
            (Some(x), Some(y)) if instant(time(y)) < instant(time(x)) => {
                tell(Mark::Extra, y);
                a.next();
            }
            (Some(x), _) => {
                tell(Mark::Missing, x);
                e.next();
            }
            (None, Some(y)) => {
                tell(Mark::Extra, y);
                a.next();
            }
            (None, None) => break,
        }
    }
    let rest: Vec<Row> = steps
        .iter()
        .map(|(t, step)| row(*t, Mark::Step, step.clone(), &values))
        .collect();
    rows.extend(rest);
    rows
}

fn row(at: i64, mark: Mark, text: String, values: &impl Fn(i64) -> Vec<String>) -> Row {
    Row {
        time: super::line::seconds(at),
        values: values(at),
        mark,
        text,
    }
}

fn time(line: &str) -> &str {
    line.split(' ').next().unwrap_or("")
}

/// `5s` in nanoseconds.
#[allow(clippy::cast_possible_truncation)] // saturates
fn instant(time: &str) -> i64 {
    let seconds: f64 = time
        .strip_suffix('s')
        .and_then(|t| t.parse().ok())
        .unwrap_or(0.0);
    (seconds * 1e9).round() as i64
}

/// Lists longer than this are not aligned beyond what they begin and end with.
const LONGEST: usize = 2000;

/// The longest list of lines that both have in this order.
fn common<'l>(a: &'l [String], b: &[String]) -> Vec<&'l String> {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (mid_a, mid_b) = (&a[head..], &b[head..]);
    let tail = mid_a
        .iter()
        .rev()
        .zip(mid_b.iter().rev())
        .take_while(|(x, y)| x == y)
        .count();
    let (mid_a, mid_b) = (&mid_a[..mid_a.len() - tail], &mid_b[..mid_b.len() - tail]);
    let mut out: Vec<&String> = a[..head].iter().collect();
    if mid_a.len() <= LONGEST && mid_b.len() <= LONGEST {
        let width = mid_b.len() + 1;
        // The longest list of what comes after each pair of places.
        let mut best = vec![0_u32; (mid_a.len() + 1) * width];
        for i in (0..mid_a.len()).rev() {
            for j in (0..mid_b.len()).rev() {
                best[i * width + j] = if mid_a[i] == mid_b[j] {
                    best[(i + 1) * width + j + 1] + 1
                } else {
                    best[(i + 1) * width + j].max(best[i * width + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < mid_a.len() && j < mid_b.len() {
            if mid_a[i] == mid_b[j] {
                out.push(&mid_a[i]);
                i += 1;
                j += 1;
            } else if best[(i + 1) * width + j] >= best[i * width + j + 1] {
                i += 1;
            } else {
                j += 1;
            }
        }
    }
    out.extend(&a[a.len() - tail..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(expected: &[&str], actual: &[&str], steps: &[(i64, &str)]) -> String {
        let own = |l: &[&str]| l.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let steps: Vec<(i64, String)> = steps
            .iter()
            .map(|(t, s)| (t * 1_000_000_000, (*s).to_owned()))
            .collect();
        align(&own(expected), &own(actual), &steps, |_| Vec::new())
            .iter()
            .map(|r| {
                let mark = match r.mark {
                    Mark::Both => '=',
                    Mark::Missing => '-',
                    Mark::Extra => '+',
                    Mark::Step => '.',
                };
                format!("{mark}{} {}", r.time, r.text)
            })
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn what_both_have_stands_once_and_the_rest_in_order_of_time() {
        for (expected, actual, steps, rows) in [
            (&["1s a"][..], &["1s a"][..], &[][..], "=1s a"),
            (
                &["1s a", "3s c"],
                &["1s a", "2s b", "3s c"],
                &[],
                "=1s a, +2s b, =3s c",
            ),
            (
                &["1s a", "4s b"],
                &["1s a", "2s b"],
                &[],
                "=1s a, +2s b, -4s b",
            ),
            (&["2s b"], &["2s x"], &[], "-2s b, +2s x"),
            (&[], &["2s x"], &[], "+2s x"),
            (&["2s x"], &[], &[], "-2s x"),
            // The same line twice is two lines.
            (&["1s a", "1s a"], &["1s a"], &[], "=1s a, -1s a"),
            // Another order is no match.
            (
                &["1s a", "1s b"],
                &["1s b", "1s a"],
                &[],
                "-1s a, =1s b, +1s a",
            ),
            (
                &["1s a", "3s b"],
                &["1s a", "5s b"],
                &[(1, "ack"), (4, "restart"), (9, "up")],
                ".1s ack, =1s a, -3s b, .4s restart, +5s b, .9s up",
            ),
        ] {
            assert_eq!(
                said(expected, actual, steps),
                rows,
                "{expected:?} {actual:?}"
            );
        }
    }

    #[test]
    fn long_lists_are_not_quadratic() {
        let expected: Vec<String> = (0..5000).map(|n| format!("{n}s a")).collect();
        let actual: Vec<String> = (0..5000).map(|n| format!("{n}s b")).collect();
        let rows = align(&expected, &actual, &[], |_| Vec::new());
        assert_eq!(rows.len(), 10_000);
        assert_eq!((rows[0].mark, rows[1].mark), (Mark::Missing, Mark::Extra));
    }
}
