//! A configuration directory to a plan and its rules; every fault at once.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use davy_plan::Plan;
use davy_points::{Diagnostic, Severity};
use davy_rules::language::{Approval, Page, RuleSet, compile_signed, sign_override};

use crate::{End, args, check};

/// What a directory says, checked.
pub(crate) struct Site {
    pub plan: Arc<Plan>,
    pub rules: Arc<RuleSet>,
    pub pages: Vec<Page>,
}

/// Everything wrong with a directory, with the texts that the carets point into.
pub(crate) struct Faults {
    pub faults: Vec<Diagnostic>,
    pub texts: Vec<(PathBuf, String)>,
}

impl Faults {
    pub(crate) fn errors(&self) -> usize {
        self.faults
            .iter()
            .filter(|f| f.severity == Severity::Error)
            .count()
    }
}

/// Reads a directory: the plan, then the rules against its points.
pub(crate) fn read(dir: &Path) -> (Option<Site>, Faults) {
    let loaded = davy_plan::load(dir, today());
    let mut faults = loaded.faults;
    let mut site = None;
    if let Some(plan) = loaded.plan {
        let guidance: Vec<String> = plan.guidance.iter().map(|(name, _)| name.clone()).collect();
        let (rules, found) =
            compile_signed(&plan.rule_files, &plan.points, &guidance, &approval(&plan));
        faults.extend(found);
        let (pages, found) = davy_rules::language::pages(&plan.guidance);
        let refused = found.iter().any(|d| d.severity == Severity::Error);
        faults.extend(found);
        let rules = rules.filter(|_| !refused);
        site = rules.map(|rules| Site {
            plan: Arc::new(plan),
            rules: Arc::new(rules),
            pages,
        });
    }
    (
        site,
        Faults {
            faults,
            texts: loaded.texts,
        },
    )
}

/// Reads a directory for a verb that works on its rules: an error ends the command, and warnings
/// are `davy check`'s to tell.
pub(crate) fn load_quietly(dir: &Path) -> Result<(Site, Vec<(PathBuf, String)>), End> {
    let (site, faults) = read(dir);
    let Some(site) = site else {
        eprint!(
            "{}",
            check::render(
                &faults.faults,
                &faults.texts,
                std::io::stderr().is_terminal()
            )
        );
        eprintln!(
            "{}: {} error(s). Mend them first; `davy check {}` tells them again.",
            dir.display(),
            faults.errors(),
            dir.display()
        );
        return Err(End::Unusable);
    };
    Ok((site, faults.texts))
}

/// The key that overrides of caps are signed with.
pub(crate) fn approval(plan: &Plan) -> Approval {
    Approval::new(plan.approval_key.as_ref().map(|k| k.0.as_slice()))
}

/// `davy check DIR --sign RULE/LEVEL`: the line that the approver puts into the override.
fn sign(dir: &Path, which: &str) -> End {
    let loaded = davy_plan::load(dir, today());
    let Some(plan) = loaded.plan else {
        let color = std::io::stderr().is_terminal();
        eprint!("{}", check::render(&loaded.faults, &loaded.texts, color));
        eprintln!(
            "{}: nothing was signed. Mend the faults above first.",
            dir.display()
        );
        return End::Unusable;
    };
    match sign_override(&plan.rule_files, &approval(&plan), which) {
        Ok(signature) => {
            println!("signature = \"{signature}\"");
            End::Good
        }
        Err(why) => {
            eprintln!("{}: nothing was signed: {why}", dir.display());
            End::Unusable
        }
    }
}

/// Faults, to stderr.
pub(crate) fn tell(faults: &Faults) {
    if !faults.faults.is_empty() {
        eprint!(
            "{}",
            check::render(
                &faults.faults,
                &faults.texts,
                std::io::stderr().is_terminal()
            )
        );
    }
}

/// Reads a directory to run it: faults go to stderr, and an error ends the command.
pub(crate) fn load(dir: &Path) -> Result<Site, End> {
    let (site, faults) = read(dir);
    tell(&faults);
    site.ok_or_else(|| {
        eprintln!(
            "{}: {} error(s); nothing was started. Mend them, then ask `davy check {}` again.",
            dir.display(),
            faults.errors(),
            dir.display()
        );
        End::Unusable
    })
}

/// `davy check DIR`.
pub(crate) fn check(args: &args::Check) -> End {
    if !args.config.is_dir() {
        eprintln!(
            "{}: no such directory. Name a configuration directory, the one that holds site.toml.",
            args.config.display()
        );
        return End::Unusable;
    }
    if let Some(which) = &args.sign {
        return sign(&args.config, which);
    }
    let (site, faults) = read(&args.config);
    if args.json {
        println!("{}", check::to_json(&faults.faults, &faults.texts));
    } else {
        print!(
            "{}",
            check::render(
                &faults.faults,
                &faults.texts,
                std::io::stdout().is_terminal()
            )
        );
        let warnings = faults.faults.len() - faults.errors();
        match site {
            Some(site) => println!(
                "{}: good. {} points, {} sources, {} gateways, {} alarms; {warnings} warning(s). plan {}",
                args.config.display(),
                site.plan.points.len(),
                site.plan.sources.len(),
                site.plan.gateways.len(),
                site.rules.alarms().len(),
                site.plan.rev,
            ),
            None => println!(
                "{}: {} error(s), {warnings} warning(s).",
                args.config.display(),
                faults.errors()
            ),
        }
    }
    if faults.errors() == 0 {
        End::Good
    } else {
        End::Findings
    }
}

fn today() -> jiff::civil::Date {
    jiff::ZonedDateTime::now().date()
}
