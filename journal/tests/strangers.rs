//! Another program looks into the databases of a running davy: an auditor with the `sqlite3`
//! shell, a backup. Who leaves last cleans up, the write-ahead log included; and who has lost his
//! locks does not count as present.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;

use davy_journal::{Journal, Series, verify};
use rustix::fs::{FlockOperation, fcntl_lock};

/// Set in the process that plays the stranger: the directory to look into.
const STRANGER: &str = "DAVY_TEST_STRANGER";
const NAME: &str = "no_stranger_may_think_that_he_is_the_last_to_leave";

/// What an older SQLite (3.40 of Debian 12) does when it closes: with the whole file to itself it deletes the log.
fn leave(dir: &Path) {
    for file in ["journal.db", "series.db"] {
        let db = OpenOptions::new()
            .read(true)
            .write(true)
            .open(dir.join(file))
            .expect("the stranger opens it");
        let alone = fcntl_lock(&db, FlockOperation::NonBlockingLockExclusive);
        assert!(alone.is_err(), "{file}: nobody seems to be here");
    }
}

#[test]
fn no_stranger_may_think_that_he_is_the_last_to_leave() {
    if let Some(dir) = std::env::var_os(STRANGER) {
        return leave(Path::new(&dir));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let journal = Journal::open(dir.path(), "site/gw-01").expect("it opens");
    let series = Series::open(dir.path()).expect("it opens");
    // Closing any descriptor of a file gives up every lock that the process has on it: whoever
    // opens a reader, or reports, must not touch the file beside SQLite.
    let readers = (journal.reader(), series.reader());
    assert!(readers.0.is_ok() && readers.1.is_ok());
    assert!(verify(dir.path()).expect("a report").is_whole());

    let this = std::env::current_exe().expect("this test");
    let stranger = Command::new(this)
        .args(["--exact", NAME])
        .env(STRANGER, dir.path())
        .output()
        .expect("the stranger runs");
    let said = String::from_utf8_lossy(&stranger.stdout);
    assert!(stranger.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}
