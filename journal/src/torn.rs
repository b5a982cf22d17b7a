//! A database file that was cut short: SQLite opens it, and finds the hole only when it reads there.
//!
//! Lives here: pure looks at the bytes of a database and its write-ahead log, before SQLite has
//! touched either. May not live here: SQL. (`https://www.sqlite.org/fileformat.html`, sections 1.3
//! and 4.1.)

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

const WAL_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// What is missing of the database, in words; none where its pages are all there, in it or in its
/// log. Whether they are right is not asked.
pub(crate) fn missing(database: &Path, log: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(database) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let length = file.metadata()?.len();
    let mut head = [0; 100];
    if length < head.len() as u64 {
        // Nothing at all is another question: a first start may have been killed there.
        return Ok((length > 0).then(|| format!("it ends after {length} bytes")));
    }
    file.read_exact(&mut head)?;
    let page = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        size => u64::from(size),
    };
    let pages = u64::from(word(&head, 28));
    let known = head.starts_with(b"SQLite format 3\0") && word(&head, 24) == word(&head, 92);
    if !known || page < 512 || length >= pages * page {
        return Ok(None); // whole, or not for us to say
    }
    let here = length / page;
    let logged = logged_pages(log, page)?;
    if (here + 1..=pages).all(|n| logged.contains(&n)) {
        return Ok(None);
    }
    Ok(Some(format!(
        "it was cut: {length} bytes of {} are left",
        pages * page
    )))
}

/// The pages that the log holds.
fn logged_pages(log: &Path, page: u64) -> io::Result<HashSet<u64>> {
    let mut pages = HashSet::new();
    let mut log = match File::open(log) {
        Ok(log) => log,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(pages),
        Err(e) => return Err(e),
    };
    let length = log.metadata()?.len();
    let mut head = [0; WAL_HEADER as usize];
    if length < WAL_HEADER {
        return Ok(pages);
    }
    log.read_exact(&mut head)?;
    let salt = &head[16..24];
    let mut at = WAL_HEADER;
    while at + FRAME_HEADER + page <= length {
        let mut frame = [0; FRAME_HEADER as usize];
        log.seek(SeekFrom::Start(at))?;
        log.read_exact(&mut frame)?;
        if &frame[8..16] != salt {
            break; // of an earlier round
        }
        pages.insert(u64::from(word(&frame, 0)));
        at += FRAME_HEADER + page;
    }
    Ok(pages)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn a_cut_is_seen_unless_the_log_has_the_pages() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, log) = (dir.path().join("a.db"), dir.path().join("a.db-wal"));
        assert_eq!(missing(&file, &log).expect("read"), None, "no file");
        let db = Connection::open(&file).expect("opens");
        db.execute_batch(
            "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE t(b BLOB); INSERT INTO t VALUES (zeroblob(100000));",
        )
        .expect("written");
        assert_eq!(missing(&file, &log).expect("read"), None, "all in the log");
        db.execute_batch("PRAGMA wal_checkpoint(FULL)")
            .expect("checkpointed");
        let length = std::fs::metadata(&file).expect("a file").len();
        let cut = |to: u64| {
            let file = std::fs::OpenOptions::new().write(true).open(&file);
            file.and_then(|f| f.set_len(to)).expect("cut");
        };
        // A checkpoint that was killed: the log still has what the file lacks.
        cut(length - 4096);
        assert_eq!(missing(&file, &log).expect("read"), None, "in the log too");
        std::fs::remove_file(&log).expect("removed");
        let said = missing(&file, &log).expect("read").expect("cut");
        assert_eq!(
            said,
            format!("it was cut: {} bytes of {length} are left", length - 4096)
        );
        cut(length + 5000);
        assert_eq!(missing(&file, &log).expect("read"), None, "longer is whole");
        cut(50);
        assert!(missing(&file, &log).expect("read").is_some());
        cut(0);
        assert_eq!(missing(&file, &log).expect("read"), None);
        drop(db);
    }
}
