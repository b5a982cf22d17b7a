//! The input log: how the engine was started, then every envelope that it saw, a JSON object a
//! line. The same log gives the same transitions, for an investigator as for a test
//! (`alarm-engine.md` section 1).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use davy_rules::engine::Envelope;
use davy_rules::proof::LogStart;
use serde::Serialize;

/// An open input log.
#[derive(Debug)]
pub(crate) struct InputLog {
    file: BufWriter<File>,
    failed: bool,
}

impl InputLog {
    /// A new, empty log.
    pub(crate) fn create(path: &Path) -> io::Result<InputLog> {
        Ok(InputLog {
            file: BufWriter::with_capacity(256 * 1024, File::create(path)?),
            failed: false,
        })
    }

    /// Writes the first line.
    pub(crate) fn start(&mut self, start: &LogStart) {
        self.line(start);
    }

    /// Writes an envelope. After the first failure the log ends: a log with a gap proves nothing.
    pub(crate) fn put(&mut self, envelope: &Envelope) {
        self.line(envelope);
    }

    fn line(&mut self, record: &impl Serialize) {
        if self.failed {
            return;
        }
        let written = serde_json::to_writer(&mut self.file, record)
            .map_err(io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"));
        self.check(written);
    }

    /// To the operating system.
    pub(crate) fn flush(&mut self) {
        let flushed = self.file.flush();
        self.check(flushed);
    }

    fn check(&mut self, result: io::Result<()>) {
        if let Err(e) = result
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::error!("the input log ends here: {e}");
        }
    }
}
