//! Kinds on trial: rules compiled or refused as an engineer sees it, readings for judges.

use davy_points::{PointTable, QualityClass};

use super::{Finding, Judge, Now, Reading};
use crate::language::compile;
use crate::ruleset::RuleSet;

/// One file of rules against a table; a fault fails the test.
pub(crate) fn compiled(table: PointTable, rules: &str) -> (PointTable, RuleSet) {
    let text = format!("schema = 1\n{rules}");
    let (set, faults) = compile(&[("rules/a.toml".into(), text)], &table, &[]);
    assert_eq!(faults, []);
    let set = set.expect("no fault");
    (table, set)
}

/// Each fault as `CODE LINE:COLUMN [what the caret spans] message | hint`; line 1 is the schema.
pub(crate) fn refused(table: &PointTable, rules: &str, expected: &[&str]) {
    let text = format!("schema = 1\n{rules}");
    let (set, faults) = compile(&[("rules/a.toml".into(), text.clone())], table, &[]);
    assert!(set.is_none() || faults.is_empty());
    let got: Vec<String> = faults
        .iter()
        .map(|d| {
            let before = &text[..d.span.start];
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |n| n + 1) + 1;
            let marked = text[d.span.clone()].lines().next().unwrap_or("");
            format!(
                "{} {line}:{column} [{marked}] {} | {}",
                d.code, d.message, d.hint
            )
        })
        .collect();
    assert!(
        got == expected,
        "\n{text}\nexpected:\n  {}\ngot:\n  {}",
        expected.join("\n  "),
        got.join("\n  ")
    );
}

/// A reading at this many ns on both clocks; none is Bad.
pub(crate) fn reading(at: i64, value: Option<f64>, class: QualityClass) -> Reading {
    Reading {
        time: at,
        at,
        value,
        class: match value {
            Some(_) => class,
            None => QualityClass::Bad,
        },
    }
}

/// Gives a judge a reading as the engine does, and asks it.
pub(crate) fn ask(judge: &mut dyn Judge, slot: usize, r: &Reading) -> Finding {
    judge.take(slot, r);
    judge.say(Now {
        time: r.time,
        at: r.at,
    })
}
