//! `davy lint DIR`: what is allowed, and yet wrong.
//!
//! Lives here: rendering. May not live here: findings (`davy_rules::proof::lint`).

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use davy_points::{Diagnostic, Severity};
use davy_rules::proof::{Lint, lint};

use crate::site::{self, Site};
use crate::{End, args, check};

/// `davy lint DIR`.
pub(crate) fn main(args: &args::Check) -> End {
    let (site, texts) = match site::load_quietly(&args.config) {
        Ok(loaded) => loaded,
        Err(end) => return end,
    };
    let found = findings(&site);
    if args.json {
        println!("{}", check::to_json(&found, &texts));
    } else {
        let color = std::io::stdout().is_terminal();
        print!("{}", render(&found, &texts, color, &args.config));
    }
    match found.iter().any(|d| d.severity == Severity::Error) {
        true => End::Findings,
        false => End::Good,
    }
}

fn findings(site: &Site) -> Vec<Diagnostic> {
    let csv = Path::new("points.csv");
    let sheet = Path::new("points.xlsx");
    lint(&Lint {
        rules: &site.rules,
        points: &site.plan.points,
        points_file: match site.plan.dir.join(csv).exists() {
            true => csv,
            false => sheet,
        },
        files: &site.plan.rule_files,
        pages: &site.pages,
    })
}

fn render(found: &[Diagnostic], texts: &[(PathBuf, String)], color: bool, dir: &Path) -> String {
    match found.is_empty() {
        true => format!("{}: nothing to find\n", dir.display()),
        false => check::render(found, texts, color),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every directory that we ship: no error of `lint`, every test of `test` passes.
    #[test]
    fn our_own_directories_pass_lint_and_their_tests() {
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
        let mut seen = 0;
        for folder in ["examples", "packs"] {
            let Ok(entries) = std::fs::read_dir(config.join(folder)) else {
                continue;
            };
            let mut dirs: Vec<PathBuf> = entries
                .map(|e| e.expect("an entry").path())
                .filter(|p| p.join("site.toml").exists())
                .collect();
            dirs.sort();
            for dir in dirs {
                let (site, faults) = site::read(&dir);
                let texts = &faults.texts;
                let told = || check::render(&faults.faults, texts, false);
                let site = site.unwrap_or_else(|| panic!("{}\n{}", dir.display(), told()));
                let mut found = findings(&site);
                found.retain(|d| d.severity == Severity::Error);
                let told = render(&found, texts, false, &dir);
                assert!(found.is_empty(), "{}\n{told}", dir.display());
                let report = crate::test::run(&site);
                let told = crate::test::render(&report, texts, false);
                let faults = check::render(&report.faults, texts, false);
                assert!(report.faults.is_empty(), "{}\n{faults}", dir.display());
                let passed = report.verdicts.iter().all(|v| v.passed);
                assert!(passed, "{}\n{told}", dir.display());
                // An example shows how rules are tested.
                let tested = folder != "examples" || !report.verdicts.is_empty();
                assert!(tested, "{} has no tests", dir.display());
                seen += 1;
            }
        }
        assert!(seen >= 3, "{seen}");
    }
}
