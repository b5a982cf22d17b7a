//! `davy journal replay`: an input log through the engine again, held against the journal.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use davy_journal::JournalReader;
use davy_points::Timestamp;
use davy_rules::alarm::{self, Transition};
use davy_rules::engine::{Engine, Envelope, Identity};
use davy_rules::proof::{LogStart, replay};

use crate::run::unusable;
use crate::{End, site};

/// Records read from the journal at a time.
const PAGE: usize = 1000;

/// Replays `log` on the site at `config` and prints the transitions' hash; with a data directory,
/// compares each transition with what that journal holds.
pub(crate) fn main(config: &Path, id: &str, log: &Path, data_dir: Option<&Path>) -> End {
    let site = match site::load(config) {
        Ok(site) => site,
        Err(end) => return end,
    };
    let (start, envelopes) = match read(log) {
        Ok(read) => read,
        Err(why) => return unusable(&why),
    };
    if start.plan_rev != *site.plan.rev {
        return unusable(&format!(
            "{} was recorded under plan {}, {} holds plan {}: name the directory that was in force then",
            log.display(),
            start.plan_rev,
            config.display(),
            site.plan.rev
        ));
    }
    let identity = Identity {
        site: Arc::clone(&site.plan.site),
        owner: id.into(),
        plan_rev: Arc::clone(&site.plan.rev),
    };
    let first = 1 + start
        .restored
        .transitions
        .last()
        .map(|t| t.seq)
        .or(start.restored.image.as_ref().map(|image| image.seq))
        .unwrap_or(0);
    let engine = Engine::start(
        identity,
        Arc::clone(&site.rules),
        Arc::clone(&site.plan.points),
        start.restored,
        start.mono,
        start.wall,
    );
    let replayed = replay(engine, &envelopes);
    println!(
        "{} inputs, {} transitions, sha256 {}",
        envelopes.len(),
        replayed.transitions.len(),
        replayed.hash
    );
    let Some(dir) = data_dir else {
        return End::Good;
    };
    let made: Vec<Vec<u8>> = match replayed
        .transitions
        .iter()
        .map(serde_json::to_vec)
        .collect()
    {
        Ok(made) => made,
        Err(error) => return unusable(&error.to_string()),
    };
    let kept = match kept(dir, first) {
        Ok(kept) => kept,
        Err(error) => return unusable(&error),
    };
    let same = made
        .iter()
        .zip(&kept)
        .take_while(|(made, (_, kept))| *made == kept)
        .count();
    // Later starts have logs of their own: what they made is no difference.
    let end = envelopes.last().map_or(start.wall, |e| e.wall);
    let goes_on = kept.get(same).is_some_and(|(_, r)| is_after(r, end));
    if same == made.len() && (same == kept.len() || goes_on) {
        println!("the journal holds the same {same} records, byte for byte");
        if goes_on {
            let more = kept.len() - same;
            println!("{more} more were made after this log ended: other starts have other logs");
        }
        return End::Good;
    }
    println!(
        "the journal differs from record {} on ({} replayed, {} journalled)",
        first + same as u64,
        made.len(),
        kept.len()
    );
    End::Findings
}

/// Whether a record was made after this time.
fn is_after(record: &[u8], end: Timestamp) -> bool {
    serde_json::from_slice::<Transition>(record).is_ok_and(|t| t.recorded_at > end)
}

fn kept(dir: &Path, first: u64) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let reader = JournalReader::open(dir).map_err(|e| e.to_string())?;
    let mut kept = Vec::new();
    let mut after = first.saturating_sub(1);
    loop {
        let page = reader.read_json(after, PAGE).map_err(|e| e.to_string())?;
        let Some((last, _)) = page.last() else {
            return Ok(kept);
        };
        after = *last;
        kept.extend(page);
    }
}

/// The log, whole lines only: the last one is torn where the process was killed.
fn read(log: &Path) -> Result<(LogStart, Vec<Envelope>), String> {
    let file = File::open(log).map_err(|e| format!("cannot read {}: {e}", log.display()))?;
    let mut lines = BufReader::new(file).lines();
    let at = |n: usize, e: &dyn std::fmt::Display| {
        format!(
            "{} line {n}: {e}; it must be an input log as `--input-log` writes it",
            log.display()
        )
    };
    let first = lines
        .next()
        .ok_or_else(|| at(1, &"the log is empty"))?
        .map_err(|e| at(1, &e))?;
    let start = alarm::read(first.as_bytes()).map_err(|e| at(1, &e))?;
    let mut envelopes = Vec::new();
    let mut torn = None;
    for (n, line) in lines.enumerate() {
        let line = line.map_err(|e| at(n + 2, &e))?;
        if let Some(error) = torn.take() {
            return Err(error);
        }
        match serde_json::from_str(&line) {
            Ok(envelope) => envelopes.push(envelope),
            Err(error) => torn = Some(at(n + 2, &error)),
        }
    }
    Ok((start, envelopes))
}

#[cfg(test)]
mod tests {
    fn read(log: &str) -> Result<usize, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        std::fs::write(&path, log).expect("written");
        super::read(&path)
            .map(|(_, envelopes)| envelopes.len())
            .map_err(|e| e.replace(&path.display().to_string(), "LOG"))
    }

    #[test]
    fn a_log_is_read_past_what_is_not_known_and_refused_where_it_cannot_be_trusted() {
        let start = r#"{"v":1,"later":{},"plan_rev":"p","mono":0,"wall":0,"restored":{"image":null,"transitions":[],"stopped_at":null}}"#;
        let tick = r#"{"seq":1,"later":0,"mono":0,"wall":0,"input":"tick"}"#;
        assert_eq!(read(&format!("{start}\n{tick}\n{tick}\n")), Ok(2));
        assert_eq!(
            read(&format!("{start}\n{tick}\n{{\"seq\":2,\"mo")),
            Ok(1),
            "a last line that was torn by a kill"
        );
        assert_eq!(
            read(&start.replace("\"v\":1", "\"v\":2")).expect_err("refused"),
            "LOG line 1: its schema version is 2, this program knows 1: update this program; it must be an input log as `--input-log` writes it"
        );
        let torn = read(&format!("{start}\n{{}}\n{tick}\n")).expect_err("refused");
        assert!(torn.starts_with("LOG line 2: missing field"), "{torn}");
        assert!(read("").is_err());
    }
}
