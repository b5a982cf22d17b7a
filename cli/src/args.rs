//! The command line, as its users type it. Shapes only.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// A safety lamp for major hazard sources.
#[derive(Debug, Parser)]
#[command(name = "davy", version, about, long_about = None)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a plant on this machine and watch it: simulator, broker, gateways, centre, console.
    Demo(Demo),
    /// Gateways and centre of a site in one process (a one-box plant).
    Run(Site),
    /// One gateway, at the edge.
    Gateway(Gateway),
    /// The control room only.
    Center(Site),
    /// Read a configuration directory and answer every fault at once.
    Check(Check),
    /// What the rules allow and a person would regret: alarms that come too late, deadbands within
    /// the noise, rules without a reason.
    Lint(Check),
    /// Run the tests that stand beside the rules, and say what they have shown of each rule.
    Test(Test),
    /// Why an alarm came, why it stands or is over, and who knew.
    Explain(Explain),
    /// Look after the alarm journal.
    Journal(Journal),
    /// The JSON Schemas of the records that other programs read; without a name, their list.
    Schema {
        /// Of which record.
        name: Option<String>,
    },
}

impl Command {
    /// Whether it runs until it is stopped, and so logs by default.
    pub(crate) const fn is_service(&self) -> bool {
        matches!(
            self,
            Command::Run(_) | Command::Gateway(_) | Command::Center(_)
        )
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Which story runs; an unknown name lists them.
    #[arg(long, default_value = "demo")]
    pub scenario: String,
    /// Stop after this long (`60s`, `5m`); without it, on Ctrl-C.
    #[arg(long = "for", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Where the console listens (loopback only).
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// No browser: a simulated operator acknowledges, and the last line is a summary in JSON.
    #[arg(long)]
    pub json: bool,
    /// Keep the state here; without it, in a folder that is removed at the end.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Keep every input of both gateways' engines, to be replayed to the same transitions.
    #[arg(long, requires = "data_dir")]
    pub input_log: bool,
    /// Seed of the plant and of the story's variations.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Site {
    /// Configuration directory.
    pub config: PathBuf,
    /// Where state lives; default: `[storage] path` of `site.toml`.
    #[arg(long)]
    pub data_dir: Option<PathBuf>,
    /// Keep every input of each engine, to be replayed to the same transitions.
    #[arg(long)]
    pub input_log: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Gateway {
    #[command(flatten)]
    pub site: Site,
    /// Which gateway of the site.
    #[arg(long)]
    pub id: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Configuration directory.
    pub config: PathBuf,
    /// Machine-readable.
    #[arg(long)]
    pub json: bool,
    /// Print the signature of the override that stands at RULE/LEVEL, made with the approval key.
    #[arg(long, value_name = "RULE/LEVEL", conflicts_with = "json")]
    pub sign: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Configuration directory.
    pub config: PathBuf,
    /// Only tests whose file or name holds this.
    #[arg(long)]
    pub only: Option<String>,
    /// What no test has shown of a rule is a finding.
    #[arg(long)]
    pub require_coverage: bool,
    /// Machine-readable.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// The occurrence: 26 letters and digits, as in every record.
    pub occurrence: String,
    /// The centre: `http://127.0.0.1:8080`.
    #[arg(long)]
    pub server: Option<String>,
    /// Folder that holds a gateway's `journal.db`, where there is no centre to ask.
    #[arg(long, conflicts_with = "server")]
    pub data_dir: Option<PathBuf>,
    /// Machine-readable.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Journal {
    #[command(subcommand)]
    pub verb: JournalVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalVerb {
    /// Walk the hash chain and name its first broken link.
    Verify {
        /// Folder that holds `journal.db` (of one gateway or of the centre).
        #[arg(long)]
        data_dir: PathBuf,
        /// Machine-readable.
        #[arg(long)]
        json: bool,
    },
    /// Write every record to stdout.
    Export {
        /// Folder that holds `journal.db`.
        #[arg(long)]
        data_dir: PathBuf,
        /// `jsonl` (the stored bytes, verifiable) or `csv`.
        #[arg(long, default_value = "jsonl")]
        format: String,
    },
    /// Run an input log through the engine again; prints the transitions' hash.
    Replay {
        /// Configuration directory that was in force.
        config: PathBuf,
        /// Which gateway of the site.
        #[arg(long)]
        id: String,
        /// The input log.
        #[arg(long)]
        log: PathBuf,
        /// Folder that holds the gateway's `journal.db`, to be compared with record by record.
        #[arg(long)]
        data_dir: Option<PathBuf>,
    },
}

/// `250ms`, `5s`, `10m`, `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => {
            return Err(format!(
                "`{text}` is no duration: write it as 250ms, 60s, 5m or 2h"
            ));
        }
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|n| Duration::try_from_secs_f64(n * factor).ok())
        .ok_or_else(|| format!("`{text}` is no duration: write it as 250ms, 60s, 5m or 2h"))
}
