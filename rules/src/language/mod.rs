//! Rule text → checked rules. Every fault at once, each with its place and its remedy.
//!
//! Lives here: reading the rule files of a site, one table after the other, and what is known only
//! when all are read. May not live here: what all kinds are written in (`grammar`), what one kind
//! alone has (`kinds`), what comes out (`ruleset`). Read first: [`compile`], then [`RuleSet`].

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use davy_points::{Diagnostic, PointTable, Severity, Span};
use toml::de::DeTable;

use crate::grammar::{Faults, Keys, Names, wrong_type};
use crate::kinds::{self, Site};
use crate::ruleset::Builder;

pub use crate::grammar::{Expression, Page, body, pages};
pub use crate::ruleset::{
    AlarmDef, AlarmIx, Approval, Chatter, Kind, OnBad, Provenance, Rule, RuleIx, RuleSet,
    StuckSettings, Subject, sign_override,
};

/// Compiles the rule files of a site against its point table. What no file covers gets the
/// implicit rules `table`, `stale` and `quality`. `Some` exactly where nothing is an error.
///
/// `guidance` names the pages that exist, without `.md`. There is no approval key: see
/// [`compile_signed`].
#[must_use]
pub fn compile(
    files: &[(PathBuf, String)],
    table: &PointTable,
    guidance: &[String],
) -> (Option<RuleSet>, Vec<Diagnostic>) {
    compile_signed(files, table, guidance, &Approval::default())
}

/// As [`compile`], with the key that signs limits beyond a standard's cap.
#[must_use]
pub fn compile_signed(
    files: &[(PathBuf, String)],
    table: &PointTable,
    guidance: &[String],
    approval: &Approval,
) -> (Option<RuleSet>, Vec<Diagnostic>) {
    let mut all = Vec::new();
    let mut builder = Builder::new(table);
    let names = Names::of(table);
    let site = Site {
        table,
        guidance,
        names: &names,
        approval,
    };
    let mut ids = Ids::new();
    for (path, source) in files {
        let mut f = Faults {
            file: path,
            source,
            all: &mut all,
        };
        let (document, errors) = DeTable::parse_recoverable(source);
        if !errors.is_empty() {
            for e in errors {
                let span = e.span().unwrap_or(0..0);
                f.add(
                    "E300",
                    span,
                    format!("not TOML: {}", e.message()),
                    "one `[[level]]`, `[[stale]]`, `[[stuck]]` or `[[quality]]` before each rule, \
                     then `key = value`",
                );
            }
            continue;
        }
        read_file(document.get_ref(), &site, &mut f, &mut builder, &mut ids);
    }
    kinds::hold_the_table(table, |p| builder.covered(p, Kind::Level), &mut all);
    let refused = all.iter().any(|d| d.severity == Severity::Error);
    if refused {
        return (None, all);
    }
    let suppress = std::mem::take(&mut builder.suppress);
    let groups = std::mem::take(&mut builder.first_out);
    let mut set = builder.finish();
    set.suppressions = kinds::suppress::resolve(&suppress, &set, table, &mut all);
    set.groups = kinds::first_out::resolve(&groups, &set, table, &mut all);
    let refused = all.iter().any(|d| d.severity == Severity::Error);
    ((!refused).then_some(set), all)
}

fn read_file(
    document: &DeTable<'_>,
    site: &Site<'_>,
    f: &mut Faults<'_>,
    builder: &mut Builder<'_>,
    ids: &mut Ids,
) {
    let mut keys = Keys::new(document, 0..0);
    let schema = keys.number("schema", f);
    match schema {
        Some((1.0, _)) => {}
        Some((n, span)) => {
            f.add(
                "E303",
                span,
                format!("schema {n} is not one that this version reads"),
                "schema = 1",
            );
        }
        None if keys.raw("schema").is_none() => {
            f.add(
                "E303",
                0..f.source.lines().next().map_or(0, str::len),
                "`schema` is missing",
                "begin the file with schema = 1",
            );
        }
        None => {}
    }
    for kind in kinds::all() {
        let name = kind.name();
        let Some(v) = keys.raw(name) else { continue };
        let Some(rules) = v.get_ref().as_array() else {
            wrong_type(f, name, v, &format!("an array of tables: [[{name}]]"));
            continue;
        };
        for rule in rules {
            let Some(t) = rule.get_ref().as_table() else {
                wrong_type(f, name, rule, &format!("a table: [[{name}]]"));
                continue;
            };
            let id = kinds::read(kind, Keys::new(t, rule.span()), site, f, builder);
            if let Some((id, span)) = id {
                note_id(id, span, f, ids);
            }
        }
    }
    keys.finish(f);
}

/// Where each rule stands.
type Ids = std::collections::BTreeMap<String, (PathBuf, Span)>;

fn note_id(id: String, span: Span, f: &mut Faults<'_>, ids: &mut Ids) {
    if let Some((file, there)) = ids.get(&id) {
        let d = f.add(
            "E304",
            span,
            format!("a rule \"{id}\" exists already"),
            "give this one another id: state, acknowledgements and shelves hang on it",
        );
        d.related
            .push((file.clone(), there.clone(), "the first one".to_owned()));
    } else {
        ids.insert(id, (f.file.to_owned(), span));
    }
}
