//! The journal as evidence: tampered with, cut off, exported, moved aside, received elsewhere.

use std::path::Path;

use davy_journal::{
    Break, ExportFormat, Hash, Journal, JournalOptions, OpenError, ReceivedLog, SeqGap, Store,
    Submission, export, quarantine, seal, verify,
};
use proptest::prelude::*;
use rusqlite::{Connection, params};

fn record(seq: u64) -> Vec<u8> {
    format!(
        r#"{{"v":1,"seq":{seq},"owner":"gw-01","alarm":"table/LT-{}/hh","occurrence":"o{}","to":"UNACK","source_time":1700000000500000000,"text":"=高高报, \"{seq}\"","flags":["assumed","drill"]}}"#,
        seq % 3,
        seq / 2
    )
    .into_bytes()
}

fn submission(seqs: impl IntoIterator<Item = u64>) -> Submission {
    Submission {
        records: seqs.into_iter().map(|seq| (seq, record(seq))).collect(),
        audit: vec![br#"{"who":"op","what":"ack"}"#.to_vec()],
        ..Submission::default()
    }
}

fn open(dir: &Path, identity: &str) -> Journal {
    let options = JournalOptions {
        reserve_bytes: 0,
        quota_bytes: None,
    };
    Journal::open_with(dir, identity, &options).expect("the journal opens")
}

fn journal_of(records: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = open(dir.path(), "site/gw-01");
    let all: Vec<Submission> = (1..=records).map(|seq| submission([seq])).collect();
    journal
        .append(&all.iter().collect::<Vec<_>>(), &[])
        .expect("it appends");
    dir
}

fn sql(dir: &Path) -> Connection {
    Connection::open(dir.join("journal.db")).expect("sqlite")
}

#[derive(Debug, Clone)]
enum Tamper {
    Flip { at: prop::sample::Index, by: u8 },
    FlipAndHashAgain { at: prop::sample::Index, by: u8 },
    Remove,
    RemoveAndCloseUp,
    Swap,
    Insert,
    HashColumn,
    CutTail,
}

fn any_tamper() -> impl Strategy<Value = Tamper> {
    let flip = || (any::<prop::sample::Index>(), 1..=255_u8);
    prop_oneof![
        3 => flip().prop_map(|(at, by)| Tamper::Flip { at, by }),
        3 => flip().prop_map(|(at, by)| Tamper::FlipAndHashAgain { at, by }),
        1 => Just(Tamper::Remove),
        1 => Just(Tamper::RemoveAndCloseUp),
        1 => Just(Tamper::Swap),
        1 => Just(Tamper::Insert),
        1 => Just(Tamper::HashColumn),
        1 => Just(Tamper::CutTail),
    ]
}

const RECORDS: u64 = 8;

fn tamper(db: &Connection, table: &str, key: &str, seq: i64, how: &Tamper) {
    let run = |sql: String, params: &[&dyn rusqlite::ToSql]| {
        db.execute(&sql, params).expect("the tampering works");
    };
    let flipped = |at: &prop::sample::Index, by: &u8| {
        let mut bytes: Vec<u8> = db
            .query_row(
                &format!("SELECT bytes FROM \"{table}\" WHERE {key} = ?1"),
                [seq],
                |r| r.get(0),
            )
            .expect("it reads");
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        bytes
    };
    match how {
        Tamper::Flip { at, by } => run(
            format!("UPDATE \"{table}\" SET bytes = ?1 WHERE {key} = ?2"),
            params![flipped(at, by), seq],
        ),
        Tamper::FlipAndHashAgain { at, by } => {
            let bytes = flipped(at, by);
            run(
                format!("UPDATE \"{table}\" SET bytes = ?1, hash = ?2 WHERE {key} = ?3"),
                params![bytes, &Hash::of(&bytes).0[..], seq],
            );
        }
        Tamper::Remove => run(
            format!("DELETE FROM \"{table}\" WHERE {key} = ?1"),
            params![seq],
        ),
        Tamper::RemoveAndCloseUp => {
            run(
                format!("DELETE FROM \"{table}\" WHERE {key} = ?1"),
                params![seq],
            );
            for later in seq + 1..=RECORDS as i64 {
                run(
                    format!("UPDATE \"{table}\" SET {key} = {key} - 1 WHERE {key} = ?1"),
                    params![later],
                );
            }
        }
        Tamper::Swap => {
            let other = if seq == 1 { 2 } else { seq - 1 };
            for (from, to) in [(seq, 1000), (other, seq), (1000, other)] {
                run(
                    format!("UPDATE \"{table}\" SET {key} = ?2 WHERE {key} = ?1"),
                    params![from, to],
                );
            }
        }
        Tamper::Insert => {
            let bytes = br#"{"seq":9,"prev":"0000000000000000000000000000000000000000000000000000000000000000"}"#;
            run(
                format!("INSERT INTO \"{table}\"({key}, hash, bytes) VALUES (?1, ?2, ?3)"),
                params![RECORDS as i64 + 1, &Hash::of(bytes).0[..], &bytes[..]],
            );
        }
        Tamper::HashColumn => run(
            format!("UPDATE \"{table}\" SET hash = zeroblob(32) WHERE {key} = ?1"),
            params![seq],
        ),
        Tamper::CutTail => run(
            format!("DELETE FROM \"{table}\" WHERE {key} >= ?1"),
            params![seq],
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn verify_finds_whatever_was_done_to_a_record(
        how in any_tamper(), seq in 1..=RECORDS, audit in any::<bool>()) {
        let dir = journal_of(RECORDS);
        let (table, key) = if audit { ("audit", "n") } else { ("transition", "seq") };
        tamper(&sql(dir.path()), table, key, seq as i64, &how);
        let report = verify(dir.path()).expect("it reads");
        let (chain, link) = report.first_broken().expect("it is found");
        prop_assert_eq!(chain, if audit { "audit" } else { "transitions" });
        prop_assert!(link.seq >= seq.saturating_sub(1) && link.seq <= RECORDS + 1, "{}", link);
        prop_assert_ne!(&link.expected, &link.found);
    }

    /// Any byte of the file: either nothing that anybody reads has changed, or it is found.
    #[test]
    fn no_byte_of_the_file_changes_a_record_unseen(at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let dir = journal_of(RECORDS);
        sql(dir.path()).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
        let file = dir.path().join("journal.db");
        let mut bytes = std::fs::read(&file).expect("it reads");
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        std::fs::write(&file, bytes).expect("it writes");
        if let Ok(report) = verify(dir.path()) && report.is_whole() {
            let mut out = Vec::new();
            if export(dir.path(), &mut out, ExportFormat::JsonLines).is_ok() {
                let lines: Vec<&[u8]> = out.split(|b| *b == b'\n').collect();
                for seq in 1..=RECORDS {
                    let (stored, _) = seal::unwire(lines[seq as usize - 1]).expect("sealed");
                    prop_assert_eq!(seal::unseal(&stored).expect("chained").0, record(seq));
                }
            }
        }
    }
}

#[test]
fn verify_names_the_first_broken_link() {
    let dir = journal_of(5);
    let whole = verify(dir.path()).expect("it reads");
    assert!(whole.is_whole());
    let counted: Vec<_> = whole
        .chains
        .iter()
        .map(|c| (&*c.chain, c.verified))
        .collect();
    assert_eq!(counted, [("transitions", 5), ("audit", 5)]);
    let db = sql(dir.path());
    db.execute("DELETE FROM \"transition\" WHERE seq = 3", [])
        .expect("it deletes");
    let report = verify(dir.path()).expect("it reads");
    assert_eq!(report.chains[0].verified, 2);
    let (chain, link) = report.first_broken().expect("it is found");
    assert_eq!((chain, link.what), ("transitions", Break::Gap));
    insta::assert_snapshot!(link, @"record 4: sequence number: expected 3, found 4");
    db.execute("DELETE FROM \"transition\" WHERE seq > 2", [])
        .expect("it deletes");
    drop(db);
    let report = verify(dir.path()).expect("it reads");
    assert_eq!(report.first_broken().map(|b| b.1.what), Some(Break::End));
    let refused = Journal::open(dir.path(), "site/gw-01");
    assert!(
        matches!(refused, Err(OpenError::Corrupt { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_copy_made_at_any_moment_holds_everything_that_was_appended() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = open(dir.path(), "site/gw-01");
    for seq in 1..=40 {
        journal
            .append(&[&submission([seq])], &[])
            .expect("it appends");
        let copy = tempfile::tempdir().expect("a directory");
        for name in ["journal.db", "journal.db-wal"] {
            std::fs::copy(dir.path().join(name), copy.path().join(name)).expect("a copy");
        }
        let report = verify(copy.path()).expect("it reads");
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(report.chains[0].verified, seq);
        assert_eq!(open(copy.path(), "site/gw-01").last_seq(), seq);
    }
}

#[test]
fn a_log_cut_anywhere_leaves_a_whole_beginning() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = open(dir.path(), "site/gw-01");
    journal
        .append(&[&submission([1])], &[])
        .expect("it appends");
    let db = std::fs::read(dir.path().join("journal.db")).expect("it reads");
    for seq in 2..=12 {
        journal
            .append(&[&submission([seq])], &[])
            .expect("it appends");
    }
    assert_eq!(
        db,
        std::fs::read(dir.path().join("journal.db")).expect("it reads"),
        "all of it is in the log"
    );
    let log = std::fs::read(dir.path().join("journal.db-wal")).expect("it reads");
    let mut seen = Vec::new();
    for cut in (0..=log.len()).step_by(997) {
        let copy = tempfile::tempdir().expect("a directory");
        std::fs::write(copy.path().join("journal.db"), &db).expect("it writes");
        std::fs::write(copy.path().join("journal.db-wal"), &log[..cut]).expect("it writes");
        let options = JournalOptions {
            reserve_bytes: 0,
            quota_bytes: None,
        };
        // With next to nothing of the log it is an empty file: a new journal.
        let journal = Journal::open_with(copy.path(), "site/gw-01", &options).expect("it opens");
        seen.push(journal.last_seq());
        drop(journal);
        assert!(verify(copy.path()).expect("it reads").is_whole());
    }
    assert!(seen.is_sorted(), "{seen:?}");
    assert!(
        seen.contains(&0) && seen.contains(&6) && seen.last() >= Some(&11),
        "{seen:?}"
    );
}

#[test]
fn a_second_process_is_refused_and_told_who_has_it() {
    const DIR: &str = "DAVY_TEST_LOCKED_DIR";
    if let Some(dir) = std::env::var_os(DIR) {
        // This is the second process.
        let refused = Journal::open(Path::new(&dir), "site/gw-01").expect_err("it is locked");
        println!("refused: {refused}");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let _held = open(dir.path(), "site/gw-01");
    let out = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "a_second_process_is_refused_and_told_who_has_it",
            "--nocapture",
        ])
        .env(DIR, dir.path())
        .output()
        .expect("it runs");
    let out = String::from_utf8_lossy(&out.stdout);
    let expected = format!(
        "refused: {} is in use by another davy process (process {})",
        dir.path().display(),
        std::process::id()
    );
    assert!(out.contains(&expected), "{out}");
    assert!(
        verify(dir.path())
            .expect("it reads beside the writer")
            .is_whole()
    );
}

#[test]
fn an_export_holds_every_record_as_it_went_out() {
    let dir = journal_of(3);
    let reader = davy_journal::JournalReader::open(dir.path()).expect("a reader");
    let mut lines = Vec::new();
    let count = export(dir.path(), &mut lines, ExportFormat::JsonLines).expect("it exports");
    let mut expected = Vec::new();
    for sealed in reader.read_from(0, 9).expect("it reads") {
        expected.extend_from_slice(&sealed.wire);
        expected.push(b'\n');
    }
    assert_eq!((count, lines), (3, expected));
    let mut table = Vec::new();
    export(dir.path(), &mut table, ExportFormat::Csv).expect("it exports");
    let table = String::from_utf8(table).expect("text");
    let rows: Vec<&str> = table.split("\r\n").collect();
    assert!(rows[0].starts_with("\u{feff}seq,site,owner,alarm,"));
    let commas = rows[0].matches(',').count();
    let start = rows[1].split_once("UNACK").expect("the label").0;
    assert_eq!(start, "1,,gw-01,table/LT-1/hh,,,,,,,,o0,,,");
    assert!(rows[1].contains("\"'=高高报, \"\"1\"\"\""), "{}", rows[1]);
    assert!(rows[1].contains(",2023-11-14T22:13:20.5Z,"), "{}", rows[1]);
    assert!(rows[1].contains(",assumed drill,"), "{}", rows[1]);
    assert_eq!(
        rows[1].matches(',').count(),
        commas + 1,
        "one stands in the text"
    );
}

#[test]
fn a_damaged_journal_is_moved_aside_only_when_asked_and_stays_readable() {
    let dir = journal_of(4);
    let held = open(dir.path(), "site/gw-01");
    let refused = quarantine(dir.path(), Store::Journal);
    assert!(
        matches!(refused, Err(OpenError::Locked { .. })),
        "{refused:?}"
    );
    drop(held);
    let moved = quarantine(dir.path(), Store::Journal).expect("it moves");
    assert_eq!(open(dir.path(), "site/gw-01").last_seq(), 0);
    let evidence = tempfile::tempdir().expect("a directory");
    for from in &moved {
        let name = from.file_name().and_then(|n| n.to_str()).expect("a name");
        let part = name.rsplit_once('-').map_or("", |(_, part)| part);
        let part = match part {
            "wal" | "shm" => format!("-{part}"),
            _ => String::new(),
        };
        std::fs::copy(from, evidence.path().join(format!("journal.db{part}"))).expect("a copy");
    }
    assert_eq!(
        verify(evidence.path()).expect("it reads").chains[0].verified,
        4
    );
}

fn centre(dir: &Path) -> ReceivedLog {
    let journal = open(dir, "site/center");
    let mut log = journal.received_log().expect("the log opens");
    log.expect_identity("gw-01", "site/gw-01");
    log
}

fn wires(records: u64) -> Vec<(u64, Vec<u8>)> {
    let dir = journal_of(records);
    let reader = davy_journal::JournalReader::open(dir.path()).expect("a reader");
    let all = reader.read_from(0, usize::MAX).expect("it reads");
    all.into_iter().map(|s| (s.seq, s.wire.to_vec())).collect()
}

#[test]
fn received_records_are_stored_once_in_order_and_found_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = centre(dir.path());
    let wires = wires(9);
    let got = log
        .commit_received("gw-01", &wires[..4])
        .expect("it stores");
    assert_eq!(got.stored, [(1, 1), (2, 2), (3, 3), (4, 4)]);
    assert_eq!((got.last, got.gap, &got.broken[..]), (4, None, &[][..]));
    let again = log
        .commit_received("gw-01", &wires[2..5])
        .expect("it stores");
    assert_eq!((again.stored, again.conflicts), (vec![(5, 5)], vec![]));
    let gap = log
        .commit_received("gw-01", &wires[6..])
        .expect("it answers");
    assert_eq!(
        gap.gap,
        Some(SeqGap {
            expected: 6,
            found: 7
        })
    );
    assert_eq!((gap.last, gap.stored), (5, vec![]));
    drop(log);

    let mut log = centre(dir.path());
    assert_eq!(log.received_last("gw-01").expect("it reads"), 5);
    assert_eq!(log.received_last("gw-02").expect("it reads"), 0);
    let rest = log
        .commit_received("gw-01", &wires[5..])
        .expect("it stores");
    assert_eq!((rest.last, rest.broken), (9, vec![]));
    let read = log.reader().expect("a reader");
    let seqs = |records: Vec<davy_journal::ReceivedRecord>| -> Vec<u64> {
        records.iter().map(|r| r.seq).collect()
    };
    assert_eq!(seqs(read.received_after(7, 1).expect("it reads")), [8]);
    assert_eq!(
        seqs(read.received_of("gw-01", 6, 2).expect("it reads")),
        [7, 8]
    );
    assert_eq!(
        seqs(read.received_by_occurrence("o2").expect("it reads")),
        [4, 5]
    );
    assert_eq!(
        seqs(read.received_latest_per_alarm("gw-01").expect("it reads")),
        [7, 8, 9]
    );
    assert_eq!(read.owners().expect("it reads"), [("gw-01".to_owned(), 9)]);
    assert_eq!(read.last_center_seq().expect("it reads"), 9);
    assert_eq!(
        read.received_after(0, 1).expect("it reads")[0].wire,
        wires[0].1
    );
    let report = verify(dir.path()).expect("it reads");
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.chains[2].verified, 9);
}

#[test]
fn a_received_record_that_does_not_fit_is_kept_flagged_and_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut log = centre(dir.path());
    let mut wires = wires(5);
    let text = wires[2].1.iter().position(|b| *b == b'U').expect("UNACK");
    wires[2].1[text] = b'V';
    wires[3].1 = b"not even JSON".to_vec();
    let got = log.commit_received("gw-01", &wires).expect("it stores");
    // 4 claims no hash, so the `prev` of 5 cannot fit either.
    assert_eq!((got.last, got.broken), (5, vec![3, 4, 5]));
    let flags: Vec<bool> = log
        .read()
        .received_after(0, 9)
        .expect("it reads")
        .iter()
        .map(|r| r.chain_ok)
        .collect();
    assert_eq!(flags, [true, true, false, false, false]);
    let other = vec![(1, wires[1].1.clone())];
    let conflict = log.commit_received("gw-01", &other).expect("it answers");
    assert_eq!(conflict.conflicts, [1]);
    let report = verify(dir.path()).expect("it reads");
    let (chain, link) = report.first_broken().expect("it is found");
    assert_eq!(
        (chain, link.seq, link.what),
        ("received gw-01", 3, Break::Hash)
    );
    let mut stranger = log
        .commit_received("gw-09", &wires[..1])
        .expect("it stores");
    assert_eq!(
        stranger.broken.pop(),
        None,
        "an identity that nobody told is not judged"
    );
    log.expect_identity("gw-08", "site/gw-08");
    let wrong = log
        .commit_received("gw-08", &wires[..1])
        .expect("it stores");
    assert_eq!(wrong.broken, [1], "another's chain");
}
