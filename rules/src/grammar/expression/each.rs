//! One text for every subject of a rule: what its `*` stands for differs from one to the next.

use std::sync::Arc;

use super::parse::read;
use super::token::Context;
use super::{Expression, Fault, Names};

/// What is wanted of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// True or false: `when`, `while`.
    Truth,
    /// A number: `value`.
    Number,
}

/// Reads a text once for each subject, by what `*` stands for there; subjects for which it reads
/// the same share it. The faults are those of the first subject that has some, with how many more
/// subjects have any.
pub(crate) fn each<'a>(
    text: &str,
    wanted: Wanted,
    names: &Names,
    captures: impl Iterator<Item = Option<&'a str>>,
) -> Result<Vec<Arc<Expression>>, Vec<Fault>> {
    let mut all: Vec<Arc<Expression>> = Vec::new();
    let mut faults: Option<Vec<Fault>> = None;
    let mut more = 0;
    for capture in captures {
        if !text.contains('*')
            && let Some(last) = all.last()
        {
            all.push(last.clone());
            continue;
        }
        let context = Context {
            names,
            capture,
            hints: faults.is_none(),
        };
        match read(text, context, wanted == Wanted::Truth) {
            Ok(e) => {
                let same = all.last().filter(|last| ***last == e).cloned();
                all.push(same.unwrap_or_else(|| Arc::new(e)));
            }
            Err(those) if faults.is_none() => {
                faults = Some(those);
                if !text.contains('*') {
                    break;
                }
            }
            Err(_) => more += 1,
        }
    }
    match faults {
        None => Ok(all),
        Some(mut faults) => {
            if let Some(first) = faults.first_mut().filter(|_| more > 0) {
                first
                    .message
                    .push_str(&format!(" (and {more} more points)"));
            }
            Err(faults)
        }
    }
}
