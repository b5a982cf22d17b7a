//! The journal as its users see it: appended, opened again, locked, full, stalled.

use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use davy_journal::{
    CommitGate, Hash, Journal, JournalEvent, JournalHandle, JournalOptions, OpenError, Sealed,
    SpawnOptions, StoreError, Submission, seal, spawn_with,
};

const PATIENCE: Duration = Duration::from_secs(60);

fn record(seq: u64) -> Vec<u8> {
    format!(r#"{{"v":1,"seq":{seq},"alarm":"table/LT-A/hh","text":"高高报 \"{seq}\""}}"#)
        .into_bytes()
}

fn submission(seqs: impl IntoIterator<Item = u64>) -> Submission {
    Submission {
        records: seqs.into_iter().map(|seq| (seq, record(seq))).collect(),
        ..Submission::default()
    }
}

fn open(dir: &Path) -> Journal {
    Journal::open_with(
        dir,
        "site/gw-01",
        &JournalOptions {
            reserve_bytes: 0,
            quota_bytes: None,
        },
    )
    .expect("the journal opens")
}

fn seqs(sealed: &[Sealed]) -> Vec<u64> {
    sealed.iter().map(|s| s.seq).collect()
}

#[test]
fn what_is_appended_is_there_after_opening_again_and_chained() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = open(dir.path());
    assert_eq!((journal.last_seq(), journal.image()), (0, None));
    let first = journal
        .append(&[&submission(1..=3)], &[("alarms".to_owned(), 2)])
        .expect("it appends");
    let full = Submission {
        image: Some(b"image".to_vec()),
        alive_at: 77,
        audit: vec![br#"{"who":"op"}"#.to_vec()],
        ..submission([4])
    };
    journal.append(&[&full], &[]).expect("it appends");
    let tip = journal.tip();
    drop(journal);

    let journal = open(dir.path());
    assert_eq!(journal.last_seq(), 4);
    assert_eq!(journal.tip(), tip);
    assert_eq!(journal.image().as_deref(), Some(&b"image"[..]));
    assert_eq!(journal.alive_at(), Some(77));
    assert_eq!((journal.cursor("alarms"), journal.cursor("other")), (2, 0));
    let reader = journal.reader().expect("a reader");
    let all = reader.read_from(0, 100).expect("it reads");
    assert_eq!(seqs(&all), [1, 2, 3, 4]);
    assert_eq!(all[..3], first[..]);
    let mut prev = Hash::of(b"site/gw-01");
    for sealed in &all {
        let (stored, hash) = seal::unwire(&sealed.wire).expect("it is sealed");
        assert_eq!(hash, Hash::of(&stored));
        let (json, found) = seal::unseal(&stored).expect("it is chained");
        assert_eq!((found, json), (prev, record(sealed.seq)));
        prev = hash;
    }
    assert_eq!(prev, tip);
    assert_eq!(reader.read_json(2, 1).expect("it reads"), [(3, record(3))]);
    assert_eq!(reader.audit_from(0, 9).expect("it reads").len(), 1);
}

#[test]
fn a_gap_and_a_rewritten_record_are_refused_and_change_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut journal = open(dir.path());
    let sealed = journal
        .append(&[&submission(1..=2)], &[])
        .expect("it appends");
    let gap = journal.append(&[&submission([3, 5])], &[]);
    assert!(
        matches!(
            gap,
            Err(StoreError::Gap {
                expected: 4,
                found: 5
            })
        ),
        "{gap:?}"
    );
    let other = Submission {
        records: vec![(2, record(9))],
        ..Submission::default()
    };
    let rewritten = journal.append(&[&other], &[]);
    assert!(
        matches!(rewritten, Err(StoreError::Rewritten(2))),
        "{rewritten:?}"
    );
    let bad = Submission {
        records: vec![(3, b"{\"seq\":3".to_vec())],
        ..Submission::default()
    };
    let bad = journal.append(&[&bad], &[]);
    assert!(
        matches!(bad, Err(StoreError::NotARecord { seq: 3, .. })),
        "{bad:?}"
    );
    assert_eq!(journal.last_seq(), 2);
    let again = journal
        .append(&[&submission(2..=3)], &[])
        .expect("the same is passed over");
    assert_eq!(again[0], sealed[1]);
    assert_eq!(seqs(&again), [2, 3]);
}

#[test]
fn every_refusal_to_open_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let here = dir.path().display().to_string();
    let message = |e: &OpenError| e.to_string().replace(&here, "DIR");
    let held = open(dir.path());
    let locked = Journal::open(dir.path(), "site/gw-01").expect_err("it is locked");
    let pid = std::process::id().to_string();
    insta::assert_snapshot!(message(&locked).replace(&pid, "PID"), @"DIR is in use by another davy process (process PID): stop that one, or give this one another --data-dir");
    drop(held);
    let other = Journal::open(dir.path(), "site/gw-02").expect_err("it is another's");
    insta::assert_snapshot!(message(&other), @"DIR belongs to `site/gw-01`, not to `site/gw-02`: correct --data-dir or the id, or move the directory away");
    let db = rusqlite::Connection::open(dir.path().join("journal.db")).expect("sqlite");
    db.pragma_update(None, "user_version", 7).expect("a pragma");
    drop(db);
    let newer = Journal::open(dir.path(), "site/gw-01").expect_err("it is newer");
    insta::assert_snapshot!(message(&newer), @"DIR/journal.db was written by a newer davy (schema 7, this one knows 1): run the newer davy, or give another --data-dir");
    std::fs::write(dir.path().join("journal.db"), [b'x'; 8192]).expect("a file");
    let corrupt = Journal::open(dir.path(), "site/gw-01").expect_err("it is damaged");
    insta::assert_snapshot!(message(&corrupt), @"DIR/journal.db is damaged (file is not a database): copy the directory as evidence, look with `davy journal verify`, then move the file aside or restore it from a copy");
}

/// A gate that obeys the test: each attempt takes the next word; without words it lets pass.
struct Gate {
    words: Receiver<Word>,
    reached: Sender<()>,
    doubt: bool,
}

enum Word {
    Fail(&'static str),
    /// Blocks until this is dropped.
    Hold(Receiver<()>),
    /// Commits, then says that it failed.
    Doubt,
}

impl CommitGate for Gate {
    fn before_commit(&mut self) -> Result<(), String> {
        let _ = self.reached.send(());
        match self.words.try_recv() {
            Ok(Word::Fail(why)) => Err(why.to_owned()),
            Ok(Word::Hold(until)) => {
                let _ = until.recv();
                Ok(())
            }
            Ok(Word::Doubt) => {
                self.doubt = true;
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    fn after_commit(&mut self) -> Result<(), String> {
        match std::mem::take(&mut self.doubt) {
            true => Err("no answer".to_owned()),
            false => Ok(()),
        }
    }
}

struct Run {
    handle: JournalHandle,
    events: Receiver<JournalEvent>,
    words: Sender<Word>,
    reached: Receiver<()>,
}

fn run(journal: Journal, tune: impl FnOnce(&mut SpawnOptions)) -> Run {
    let (words, gate_words) = channel();
    let (gate_reached, reached) = channel();
    let (tell, events) = channel();
    let mut options = SpawnOptions {
        gate: Some(Box::new(Gate {
            words: gate_words,
            reached: gate_reached,
            doubt: false,
        })),
        ..SpawnOptions::default()
    };
    tune(&mut options);
    let on = Box::new(move |event| tell.send(event).expect("the test listens"));
    Run {
        handle: spawn_with(journal, on, options),
        events,
        words,
        reached,
    }
}

impl Run {
    fn event(&self) -> JournalEvent {
        self.events.recv_timeout(PATIENCE).expect("an event comes")
    }

    /// Sealed records until this one; fails on any other event.
    fn committed_until(&self, seq: u64) -> Vec<Sealed> {
        let mut all = Vec::new();
        while all.last().is_none_or(|s: &Sealed| s.seq < seq) {
            match self.event() {
                JournalEvent::Committed(sealed) => all.extend(sealed),
                other => panic!("{other:?} where commits were due"),
            }
        }
        all
    }
}

#[test]
fn what_is_submitted_is_committed_in_order_and_a_stop_keeps_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let (tell, events) = channel();
    let on = Box::new(move |event| tell.send(event).expect("the test listens"));
    let options = SpawnOptions {
        late_after: PATIENCE,
        ..SpawnOptions::default()
    };
    let handle = spawn_with(open(dir.path()), on, options);
    for seq in 1..=500 {
        handle.submit(submission([seq]));
    }
    handle.set_cursor("alarms", 41);
    handle.set_cursor("alarms", 42);
    handle.stop().expect("everything is saved");
    let told: Vec<u64> = events
        .try_iter()
        .flat_map(|event| match event {
            JournalEvent::Committed(sealed) => seqs(&sealed),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, (1..=500).collect::<Vec<_>>());
    drop(handle);
    let journal = open(dir.path());
    assert_eq!((journal.last_seq(), journal.cursor("alarms")), (500, 42));
}

#[test]
fn a_disk_that_does_not_answer_makes_each_record_late_once_and_committed_after() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = run(open(dir.path()), |_| ());
    let (release, hold) = channel();
    run.words.send(Word::Hold(hold)).expect("the gate listens");
    run.handle.submit(submission([1]));
    run.reached
        .recv_timeout(PATIENCE)
        .expect("the commit is tried");
    run.handle.submit(submission([2, 3]));
    let mut late = Vec::new();
    while late.len() < 3 {
        match run.event() {
            JournalEvent::Late(records) => late.extend(records),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(late, [record(1), record(2), record(3)]);
    run.handle.submit(submission([4]));
    match run.event() {
        JournalEvent::Late(records) => assert_eq!(records, [record(4)]),
        other => panic!("{other:?}"),
    }
    drop(release);
    assert_eq!(seqs(&run.committed_until(4)), [1, 2, 3, 4]);
    run.handle.stop().expect("everything is saved");
    assert_eq!(run.events.try_iter().count(), 0, "nothing is told twice");
}

#[test]
fn commits_that_fail_are_told_at_once_and_nothing_is_lost_or_reordered() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = run(open(dir.path()), |o| o.late_after = PATIENCE * 10);
    run.handle.submit(submission([1]));
    assert_eq!(seqs(&run.committed_until(1)), [1]);
    for _ in 0..3 {
        run.words
            .send(Word::Fail("I/O error"))
            .expect("the gate listens");
    }
    run.handle.submit(submission([2, 3]));
    assert_eq!(run.event(), JournalEvent::Failed("I/O error".to_owned()));
    assert_eq!(run.event(), JournalEvent::Late(vec![record(2), record(3)]));
    assert_eq!(seqs(&run.committed_until(3)), [2, 3]);
    assert_eq!(run.event(), JournalEvent::Recovered);
    run.handle.submit(submission([4]));
    assert_eq!(seqs(&run.committed_until(4)), [4]);
    run.handle.stop().expect("everything is saved");
    drop(run);
    assert_eq!(open(dir.path()).last_seq(), 4);
}

#[test]
fn a_stop_that_cannot_commit_says_what_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = run(open(dir.path()), |o| {
        o.stop_patience = Duration::from_millis(50);
    });
    for _ in 0..1000 {
        run.words
            .send(Word::Fail("I/O error"))
            .expect("the gate listens");
    }
    run.handle.submit(submission([1, 2]));
    let unsaved = run.handle.stop().expect_err("it cannot be saved");
    assert_eq!(unsaved.records, [(1, record(1)), (2, record(2))]);
    insta::assert_snapshot!(unsaved, @"2 transitions and 0 audit entries could not be journalled before the stop: I/O error");
}

#[test]
fn a_commit_that_failed_but_had_gone_through_is_not_doubled() {
    let dir = tempfile::tempdir().expect("a directory");
    let run = run(open(dir.path()), |o| o.late_after = PATIENCE * 10);
    run.words.send(Word::Doubt).expect("the gate listens");
    run.handle.submit(Submission {
        audit: vec![b"{\"n\":1}".to_vec(), b"{\"n\":2}".to_vec()],
        ..submission([1, 2])
    });
    assert_eq!(run.event(), JournalEvent::Failed("no answer".to_owned()));
    assert_eq!(run.event(), JournalEvent::Late(vec![record(1), record(2)]));
    assert_eq!(seqs(&run.committed_until(2)), [1, 2]);
    run.handle.submit(Submission {
        audit: vec![b"{\"n\":3}".to_vec()],
        ..submission([3])
    });
    run.handle.stop().expect("everything is saved");
    drop(run);
    let reader = open(dir.path()).reader().expect("a reader");
    assert_eq!(reader.last_seq().expect("it reads"), 3);
    let audit = reader.audit_from(0, 10).expect("it reads");
    assert_eq!(seqs(&audit), [1, 2, 3]);
}

/// A record of some size, so that a disk fills.
fn big(seq: u64) -> Submission {
    let text = "x".repeat(3_000);
    Submission {
        records: vec![(
            seq,
            format!(r#"{{"seq":{seq},"text":"{text}"}}"#).into_bytes(),
        )],
        ..Submission::default()
    }
}

const RESERVE: u64 = 256 << 10;

/// A journal whose disk is full at 1 MiB, with 256 KiB of it in reserve and 512 KiB taken by
/// something else.
fn on_a_small_disk(dir: &Path) -> (Run, rusqlite::Connection) {
    let options = JournalOptions {
        reserve_bytes: RESERVE,
        quota_bytes: Some(1 << 20),
    };
    let journal = Journal::open_with(dir, "site/gw-01", &options).expect("the journal opens");
    let db = rusqlite::Connection::open(dir.join("journal.db")).expect("sqlite");
    db.execute_batch("CREATE TABLE junk(b); INSERT INTO junk VALUES (zeroblob(524288))")
        .expect("it takes space");
    let run = run(journal, |o| {
        o.late_after = PATIENCE * 10;
        o.reserve_retry = Duration::ZERO;
        o.stop_patience = Duration::from_secs(1);
    });
    (run, db)
}

#[test]
fn a_full_disk_costs_the_reserve_first_and_loses_nothing_after_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let reserve = dir.path().join("journal.reserve");
    let (run, _db) = on_a_small_disk(dir.path());
    assert_eq!(reserve.metadata().expect("it is kept").len(), RESERVE);
    let (mut submitted, mut committed, mut used, mut failed) = (0, 0, false, false);
    while !failed {
        submitted += 1;
        run.handle.submit(big(submitted));
        while committed < submitted && !failed {
            match run.event() {
                JournalEvent::Committed(sealed) => committed += sealed.len() as u64,
                JournalEvent::ReserveUsed => {
                    assert!(!used, "once");
                    used = true;
                    assert!(!reserve.exists());
                    assert!(committed > 10);
                }
                JournalEvent::Failed(why) => {
                    assert_eq!(why, "the disk is full");
                    failed = true;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(used, "the reserve goes before anything fails");
    assert_eq!(
        run.event(),
        JournalEvent::Late(vec![big(submitted).records[0].1.clone()])
    );
    let unsaved = run.handle.stop().expect_err("there is no space");
    assert_eq!(unsaved.records, big(submitted).records);
    drop(run);
    assert_eq!(open(dir.path()).last_seq(), committed);
    assert_eq!(committed, submitted - 1);
    assert!(
        davy_journal::verify(dir.path())
            .expect("it reads")
            .is_whole()
    );
}

#[test]
fn the_reserve_is_kept_again_when_there_is_space() {
    let dir = tempfile::tempdir().expect("a directory");
    let (run, db) = on_a_small_disk(dir.path());
    let mut seq = 0;
    loop {
        seq += 1;
        run.handle.submit(big(seq));
        if run.event() == JournalEvent::ReserveUsed {
            break;
        }
    }
    db.execute_batch("DROP TABLE junk")
        .expect("somebody frees space");
    loop {
        match run.event() {
            JournalEvent::Committed(_) => {
                seq += 1;
                run.handle.submit(big(seq));
            }
            JournalEvent::ReserveHeld => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(dir.path().join("journal.reserve").exists());
    run.handle.stop().expect("everything is saved");
    drop(run);
    assert_eq!(open(dir.path()).last_seq(), seq);
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Fail,
    Doubt,
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]
    #[test]
    fn whatever_the_disk_does_every_record_is_committed_once_in_order(
        plan in proptest::collection::vec(
            (1..4_u64, proptest::sample::select(vec![Fault::None, Fault::Fail, Fault::Doubt])), 1..7)
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let run = run(open(dir.path()), |o| {
            o.late_after = PATIENCE * 10;
            o.stop_patience = PATIENCE;
        });
        let mut seq = 0;
        for (n, fault) in &plan {
            match fault {
                Fault::None => {}
                Fault::Fail => run.words.send(Word::Fail("I/O error")).expect("the gate listens"),
                Fault::Doubt => run.words.send(Word::Doubt).expect("the gate listens"),
            }
            run.handle.submit(Submission {
                audit: vec![b"{\"a\":1}".to_vec()],
                ..submission(seq + 1..=seq + n)
            });
            seq += n;
        }
        run.handle.stop().expect("everything is saved");
        let (mut committed, mut late, mut failing) = (Vec::new(), Vec::new(), false);
        for event in run.events.try_iter() {
            match event {
                JournalEvent::Committed(sealed) => committed.extend(seqs(&sealed)),
                JournalEvent::Late(records) => {
                    proptest::prop_assert!(failing);
                    late.extend(records);
                }
                JournalEvent::Failed(_) => {
                    proptest::prop_assert!(!failing);
                    failing = true;
                }
                JournalEvent::Recovered => {
                    proptest::prop_assert!(failing);
                    failing = false;
                }
                other => panic!("{other:?}"),
            }
        }
        proptest::prop_assert!(!failing);
        proptest::prop_assert_eq!(committed, (1..=seq).collect::<Vec<_>>());
        let all = late.len();
        late.sort();
        late.dedup();
        proptest::prop_assert_eq!(late.len(), all, "each is told late once");
        drop(run);
        let report = davy_journal::verify(dir.path()).expect("it reads");
        proptest::prop_assert!(report.is_whole());
        let counts: Vec<u64> = report.chains.iter().map(|c| c.verified).collect();
        proptest::prop_assert_eq!(counts, [seq, plan.len() as u64]);
    }
}
