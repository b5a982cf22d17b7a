//! `davy test DIR`: the tests beside the rules; a failure is a time line of both lists.
//!
//! Lives here: rendering. May not live here: running (`davy_rules::proof`).

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use davy_rules::proof::{Coverage, Mark, Report, Suite, Verdict};
use serde_json::{Value, json};

use crate::{End, args, check, site};

/// The texts that places refer to.
type Texts = [(PathBuf, String)];

/// `davy test DIR`.
pub(crate) fn main(args: &args::Test) -> End {
    let (site, texts) = match site::load_quietly(&args.config) {
        Ok(loaded) => loaded,
        Err(end) => return end,
    };
    let mut report = run(&site);
    if let Some(only) = &args.only {
        report
            .verdicts
            .retain(|v| v.name.contains(only) || v.file.to_string_lossy().contains(only));
    }
    if args.json {
        println!("{}", to_json(&report, &texts));
    } else {
        let (out, err) = (std::io::stdout(), std::io::stderr());
        eprint!(
            "{}",
            check::render(&report.faults, &texts, err.is_terminal())
        );
        print!("{}", render(&report, &texts, out.is_terminal()));
    }
    end(&report, args.require_coverage)
}

/// Runs every test of a site.
pub(crate) fn run(site: &site::Site) -> Report {
    let guidance: Vec<String> = site.plan.guidance.iter().map(|(n, _)| n.clone()).collect();
    Suite {
        rules: &site.plan.rule_files,
        tests: &site.plan.test_files,
        points: &site.plan.points,
        guidance: &guidance,
        approval: &site::approval(&site.plan),
    }
    .run()
}

/// A fault in a test file is unusable input; nothing tested is a finding.
fn end(report: &Report, require_coverage: bool) -> End {
    let gaps = report.coverage.iter().any(|c| c.missing().count() > 0);
    if !report.faults.is_empty() {
        End::Unusable
    } else if report.verdicts.is_empty()
        || report.verdicts.iter().any(|v| !v.passed)
        || (require_coverage && gaps)
    {
        End::Findings
    } else {
        End::Good
    }
}

/// As a person reads it.
pub(crate) fn render(report: &Report, texts: &Texts, color: bool) -> String {
    let mut out = String::new();
    let paint = Paint(color);
    let mut file = None;
    for v in &report.verdicts {
        if file != Some(&v.file) {
            file = Some(&v.file);
            let _ = writeln!(out, "{}", v.file.display());
        }
        if v.passed {
            let _ = writeln!(out, "  {}    {}", paint.green("ok"), v.name);
        } else {
            let at = place(&v.file, &v.span, texts);
            let _ = writeln!(out, "  {}  {}  ({at})", paint.red("FAIL"), v.name);
            time_line(&mut out, v, texts, &paint);
        }
    }
    if !report.coverage.is_empty() {
        coverage(&mut out, &report.coverage, &paint);
    }
    let failed = report.verdicts.iter().filter(|v| !v.passed).count();
    let _ = match report.verdicts.len() {
        0 => writeln!(
            out,
            "nothing was tested: write rules/NAME.test.toml beside rules/NAME.toml"
        ),
        n => writeln!(out, "{n} tests, {failed} failed"),
    };
    out
}

fn place(file: &std::path::Path, span: &davy_points::Span, texts: &Texts) -> String {
    match check::line_column(file, span, texts) {
        Some((line, _)) => format!("{}:{line}", file.display()),
        None => file.display().to_string(),
    }
}

/// Both lists side by side: `-` did not come, `+` came unexpected, `·` is a step of the test.
fn time_line(out: &mut String, v: &Verdict, texts: &Texts, paint: &Paint) {
    let mut heads = vec!["time".to_owned()];
    heads.extend(v.tags.iter().cloned());
    let mut widths: Vec<usize> = heads.iter().map(|h| width(h)).collect();
    for row in &v.rows {
        widths[0] = widths[0].max(width(&row.time));
        for (w, value) in widths[1..].iter_mut().zip(&row.values) {
            *w = (*w).max(width(value));
        }
    }
    let expected = v.rows.iter().filter(|r| r.mark != Mark::Extra);
    let widest = expected.map(|r| width(&r.text)).max().unwrap_or(0).max(8);
    let cells = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, w) in cells.zip(&widths) {
            let _ = write!(
                line,
                "{}{cell}  ",
                " ".repeat(w.saturating_sub(width(cell)))
            );
        }
        line
    };
    let head = cells(&mut heads.iter().map(String::as_str));
    let gap = " ".repeat(widest - 8);
    let _ = writeln!(out, "        {head}expected{gap}  actual");
    for row in &v.rows {
        let values = row.values.iter().map(String::as_str);
        let left = cells(&mut std::iter::once(row.time.as_str()).chain(values));
        let fill = " ".repeat(widest.saturating_sub(width(&row.text)));
        let line = match row.mark {
            Mark::Both => format!("        {left}{}{fill}  =", row.text),
            Mark::Missing => paint.red(&format!("      - {left}{}", row.text)),
            Mark::Extra => paint.green(&format!(
                "      + {left}{}  {}",
                " ".repeat(widest),
                row.text
            )),
            Mark::Step => paint.dim(&format!("      · {left}{}", row.text)),
        };
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for (rule, file, span) in &v.rules {
        let _ = writeln!(out, "        rule {rule}: {}", place(file, span, texts));
    }
}

/// Cells that a text takes on a terminal: Han characters take two.
fn width(text: &str) -> usize {
    text.chars()
        .map(|c| 1 + usize::from(matches!(u32::from(c), 0x1100..=0x115F | 0x2E80..=0xFF60)))
        .sum()
}

/// `✓` was shown, `-` was not, empty: the level has no such thing.
fn coverage(out: &mut String, rows: &[Coverage], paint: &Paint) {
    let name = |c: &Coverage| format!("{} {}", c.rule, c.level);
    let widest = rows.iter().map(|c| width(&name(c))).max().unwrap_or(0);
    let widest = widest.max("coverage".len());
    let _ = writeln!(out, "{:widest$}           on-delay           off-delay", "");
    let _ = writeln!(
        out,
        "{:<widest$}  in  out  expired cancelled  expired restarted  unknown",
        "coverage"
    );
    let (mut shown, mut all) = (0, 0);
    for c in rows {
        let mut line = format!("{:<widest$}", name(c));
        for ((_, seen), w) in c.items().into_iter().zip([4, 5, 9, 10, 9, 10, 9]) {
            let cell = match seen {
                Some(true) => "✓",
                Some(false) => "-",
                None => "",
            };
            all += usize::from(seen.is_some());
            shown += usize::from(seen == Some(true));
            let _ = write!(line, "{cell:>w$}");
        }
        let line = line.trim_end();
        let missing = c.missing().count() > 0;
        let line = if missing {
            paint.dim(line)
        } else {
            line.to_owned()
        };
        let _ = writeln!(out, "{line}");
    }
    let _ = writeln!(out, "{shown} of {all} shown");
}

/// The same for a machine.
fn to_json(report: &Report, texts: &Texts) -> Value {
    let failed = report.verdicts.iter().filter(|v| !v.passed).count();
    let tests: Vec<Value> = report
        .verdicts
        .iter()
        .map(|v| {
            let line = check::line_column(&v.file, &v.span, texts).map(|(line, _)| line);
            let of = |mark: Mark| -> Vec<String> {
                let rows = v.rows.iter().filter(|r| r.mark == mark);
                rows.map(|r| format!("{} {}", r.time, r.text)).collect()
            };
            json!({
                "file": v.file.display().to_string(),
                "line": line,
                "name": v.name,
                "passed": v.passed,
                "missing": of(Mark::Missing),
                "extra": of(Mark::Extra),
                "actual": v.actual,
            })
        })
        .collect();
    let coverage: Vec<Value> = report
        .coverage
        .iter()
        .map(|c| {
            let mut row = json!({
                "rule": c.rule,
                "level": c.level,
                "file": c.place.0.display().to_string(),
                "line": check::line_column(&c.place.0, &c.place.1, texts).map(|(line, _)| line),
                "missing": c.missing().collect::<Vec<_>>(),
            });
            for (item, seen) in c.items() {
                row[item] = json!(seen);
            }
            row
        })
        .collect();
    let faults = check::to_json(&report.faults, texts);
    json!({
        "v": 1,
        "tests": tests.len(),
        "failed": failed,
        "results": tests,
        "coverage": coverage,
        "faults": faults["faults"],
    })
}

/// Colour on a terminal only.
struct Paint(bool);

impl Paint {
    fn red(&self, text: &str) -> String {
        self.paint("31", text)
    }

    fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"schema = 1
[[level]]
id = "tank-level"
select = { tag = "LT-*" }
h = { limit = 85, priority = 3, deadband = 1, on_delay = "2s", off_delay = "2s" }
hh = { limit = 90, priority = 1 }
"#;

    const TESTS: &str = r#"schema = 1
points = { "LT-101" = { class = "tank_level", unit = "%", low = 0, high = 100 } }

[[test]]
name = "a full tank returns"
series = { "LT-101" = "86x3 80x3" }
expect = [
    "2s tank-level/LT-101/h NORMAL>UNACK condition",
    "5s tank-level/LT-101/h UNACK>RTN_UNACK returned",
]

[[test]]
name = "液位升高"
series = { "LT-101" = "84+1x4 _ 91" }
steps = [{ at = "4s", ack = "tank-level/LT-101/h", reason = "seen" }]
expect = """
    2s tank-level/LT-101/h NORMAL>UNACK condition
    4s tank-level/LT-101/h UNACK>ACKED ack
    5s tank-level/LT-101/hh NORMAL>UNACK condition
"""
"#;

    fn report(tests: &str) -> (Report, Vec<(PathBuf, String)>) {
        let rules = vec![(PathBuf::from("rules/tank.toml"), RULES.to_owned())];
        let tests = vec![(PathBuf::from("rules/tank.test.toml"), tests.to_owned())];
        let report = Suite {
            rules: &rules,
            tests: &tests,
            points: &davy_points::PointTable::new(),
            guidance: &[],
            approval: &davy_rules::language::Approval::default(),
        }
        .run();
        (report, [rules, tests].concat())
    }

    #[test]
    fn a_failure_is_told_on_a_time_line() {
        let (report, texts) = report(TESTS);
        assert_eq!(report.faults, []);
        insta::assert_snapshot!(render(&report, &texts, false));
        assert_eq!(end(&report, false), End::Findings);
        assert!(render(&report, &texts, true).contains("\x1b[31m"));
    }

    #[test]
    fn a_machine_reads_the_same() {
        let (report, texts) = report(TESTS);
        insta::assert_json_snapshot!(to_json(&report, &texts));
    }

    #[test]
    fn how_it_ends() {
        let passing = &TESTS[..TESTS.find("[[test]]\nname = \"液位升高\"").expect("there")];
        let (good, _) = report(passing);
        assert_eq!(end(&good, false), End::Good);
        assert_eq!(end(&good, true), End::Findings, "HH was never passed");
        let (nothing, texts) = report("schema = 1\n");
        assert_eq!(end(&nothing, false), End::Findings);
        assert!(render(&nothing, &texts, false).contains("nothing was tested"));
        let (faulty, texts) = report(&TESTS.replace("86x3", "86y3"));
        assert_eq!(end(&faulty, false), End::Unusable);
        insta::assert_snapshot!(check::render(&faulty.faults, &texts, false));
        assert_eq!(faulty.verdicts.len(), 1, "the other test ran");
    }
}
