//! Finding the lines that a store will never take, so that they never stop the others.
//!
//! Lives here: bisecting and the dead-letter file. A line that is refused alone is written to
//! the file, synced, counted, and passed over (`acquisition.md` section 3, influxdb2).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::writer::Answer;

/// Lines that a sink refused: `<data dir>/dead-letter/<sink>.lp`.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
}

impl DeadLetters {
    /// The file of a sink; made when the first line comes.
    #[must_use]
    pub fn new(data_dir: &Path, sink: &str) -> DeadLetters {
        let name: String = sink
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "-_".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        DeadLetters {
            path: data_dir.join("dead-letter").join(format!("{name}.lp")),
        }
    }

    /// Appends a refused line with the store's reason above it as a comment, durable when it
    /// returns.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn put(&self, line: &[u8], why: &str) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let mut file: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        let why: String = why
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let mut entry = format!("# {why}\n").into_bytes();
        entry.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            entry.push(b'\n');
        }
        file.write_all(&entry)?;
        file.sync_data()
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Which part of a body to send next, until every line is taken or found to be poison.
/// Sans-IO: ask [`Bisect::next`], send, tell it the answer.
#[derive(Debug)]
pub struct Bisect<'a> {
    body: &'a [u8],
    /// Ranges of bytes, whole lines, the next one last.
    due: Vec<Range<usize>>,
}

/// What became of the part that was sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// So many lines are with the store now.
    Taken(usize),
    /// It was halved; go on.
    Halved,
    /// This one line is poison; put it away.
    Poison(&'a [u8]),
    /// Nothing is settled; send the same part again.
    Again,
}

impl<'a> Bisect<'a> {
    /// Begins with the whole body.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Bisect<'a> {
        let mut due = Vec::new();
        if !body.is_empty() {
            due.push(0..body.len());
        }
        Bisect { body, due }
    }

    /// The part to send; none: all is settled.
    #[must_use]
    pub fn next(&self) -> Option<&'a [u8]> {
        self.due.last().map(|r| &self.body[r.clone()])
    }

    /// Takes the answer to the part that [`Bisect::next`] gave.
    pub fn answer(&mut self, answer: &Answer) -> Verdict<'a> {
        let Some(part) = self.due.last().cloned() else {
            return Verdict::Again;
        };
        match answer {
            Answer::Later { .. } => Verdict::Again,
            Answer::Taken => {
                self.due.pop();
                Verdict::Taken(lines_in(&self.body[part]))
            }
            Answer::Poison(_) => {
                self.due.pop();
                match middle(&self.body[part.clone()]) {
                    None => Verdict::Poison(&self.body[part]),
                    Some(at) => {
                        let at = part.start + at;
                        self.due.push(at..part.end);
                        self.due.push(part.start..at);
                        Verdict::Halved
                    }
                }
            }
        }
    }
}

fn lines_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| **b == b'\n').count()
}

/// Where the second half of the lines begins; none for a single line.
fn middle(bytes: &[u8]) -> Option<usize> {
    let half = lines_in(bytes) / 2;
    let mut seen = 0;
    for (i, b) in bytes.iter().enumerate() {
        if *b == b'\n' {
            seen += 1;
            if seen == half {
                return Some(i + 1);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dead_letter_is_appended_with_its_reason() {
        let dir = tempfile::tempdir().expect("a directory");
        let dead = DeadLetters::new(dir.path(), "mirror/../x");
        assert!(dead.path().ends_with("dead-letter/mirror____x.lp"));
        dead.put(b"a value=1 1\n", "400 bad\nline")
            .expect("written");
        dead.put(b"b value=1 1", "422").expect("written");
        assert_eq!(
            std::fs::read_to_string(dead.path()).expect("read"),
            "# 400 bad line\na value=1 1\n# 422\nb value=1 1\n"
        );
    }

    proptest! {
        /// Whatever lines are poison and whenever the store is away: every good line is taken
        /// once, in order, and every poison line is found.
        #[test]
        fn poison_is_isolated_and_nothing_else(
            poison in proptest::collection::vec(any::<bool>(), 0..60),
            away in proptest::collection::vec(any::<bool>(), 0..20),
        ) {
            let body: String = poison
                .iter()
                .enumerate()
                .map(|(i, bad)| format!("{}{i}\n", if *bad { "bad" } else { "good" }))
                .collect();
            let mut away = away.into_iter();
            let mut bisect = Bisect::new(body.as_bytes());
            let (mut taken, mut dead) = (String::new(), String::new());
            while let Some(part) = bisect.next() {
                let text = std::str::from_utf8(part).expect("UTF-8");
                let answer = if away.next() == Some(true) {
                    Answer::Later { why: String::new(), pause: None, away: true }
                } else if text.contains("bad") {
                    Answer::Poison(String::new())
                } else {
                    taken.push_str(text);
                    Answer::Taken
                };
                if let Verdict::Poison(line) = bisect.answer(&answer) {
                    dead.push_str(std::str::from_utf8(line).expect("UTF-8"));
                }
            }
            let expect = |bad: bool| -> String {
                body.lines().filter(|l| l.starts_with("bad") == bad).map(|l| format!("{l}\n")).collect()
            };
            prop_assert_eq!(taken, expect(false));
            prop_assert_eq!(dead, expect(true));
        }
    }
}
