//! `davy`: arguments and wiring. No logic lives here: what a command does stands in the crate
//! that owns it. Read first: [`args`], then [`demo`].

mod args;
mod check;
mod demo;
mod explain;
mod journal;
mod lint;
mod logging;
mod replay;
mod run;
mod schema;
mod site;
mod test;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// How a command ended: the exit codes of the fixed contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// 0: good.
    Good,
    /// 1: findings (a fault in a checked directory, a lint error, a failed test, an
    /// occurrence that nobody knows, a broken chain).
    Findings,
    /// 2: unusable input; the reason stands on stderr with its remedy.
    Unusable,
}

impl From<End> for ExitCode {
    fn from(end: End) -> ExitCode {
        match end {
            End::Good => ExitCode::SUCCESS,
            End::Findings => ExitCode::from(1),
            End::Unusable => ExitCode::from(2),
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    logging::start(args.command.is_service());
    match args.command {
        Command::Demo(demo) => demo::main(&demo),
        Command::Run(run) => run::main(&run, run::Part::Both),
        Command::Gateway(gateway) => run::main(&gateway.site, run::Part::Gateway(gateway.id)),
        Command::Center(center) => run::main(&center, run::Part::Center),
        Command::Check(check) => site::check(&check),
        Command::Lint(lint) => lint::main(&lint),
        Command::Test(test) => test::main(&test),
        Command::Explain(explain) => explain::main(&explain),
        Command::Journal(journal) => journal::main(&journal),
        Command::Schema { name } => schema::main(name.as_deref()),
    }
    .into()
}
