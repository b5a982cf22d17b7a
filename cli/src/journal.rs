//! `davy journal verify|export|replay`: the record of what was told, and whether it is intact.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use davy_journal::ExportFormat;

use crate::args::{Journal, JournalVerb};
use crate::run::unusable;
use crate::{End, replay};

/// Runs a verb of `davy journal`.
pub(crate) fn main(args: &Journal) -> End {
    match &args.verb {
        JournalVerb::Verify { data_dir, json } => verify(data_dir, *json),
        JournalVerb::Export { data_dir, format } => export(data_dir, format),
        JournalVerb::Replay {
            config,
            id,
            log,
            data_dir,
        } => replay::main(config, id, log, data_dir.as_deref()),
    }
}

fn verify(dir: &Path, json: bool) -> End {
    let report = match davy_journal::verify(dir) {
        Ok(report) => report,
        Err(error) => return unusable(&error.to_string()),
    };
    if json {
        println!("{}", serde_json::json!(report));
    } else {
        for chain in &report.chains {
            match &chain.broken {
                None => println!(
                    "{} / {}: {} records, every link holds; tip {}",
                    report.identity, chain.chain, chain.verified, chain.tip
                ),
                Some(link) => println!(
                    "{} / {}: BROKEN after {} good records: {link}",
                    report.identity, chain.chain, chain.verified
                ),
            }
        }
        if !report.is_whole() {
            println!(
                "This copy is no evidence from that record on. Hold it against the centre's or the \
                 gateway's own journal, and keep both."
            );
        }
    }
    if report.is_whole() {
        End::Good
    } else {
        End::Findings
    }
}

fn export(dir: &Path, format: &str) -> End {
    let format = match format {
        "jsonl" => ExportFormat::JsonLines,
        "csv" => ExportFormat::Csv,
        other => {
            return unusable(&format!(
                "`{other}` is no export format: write jsonl or csv"
            ));
        }
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    match davy_journal::export(dir, &mut out, format) {
        Ok(_) if out.flush().is_ok() => End::Good,
        Ok(_) => unusable("cannot write the export: stdout is closed"),
        Err(error) => unusable(&error.to_string()),
    }
}
