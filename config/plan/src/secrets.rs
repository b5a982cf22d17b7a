//! Secrets: from the environment, or from a file that a `*_file` key names. Never in the plan's
//! text, never in a fault, never in the plan's hash.

use std::path::Path;

use davy_points::Span;

use crate::faults::Faults;

/// Where secrets may come from.
pub(crate) struct Secrets<'a> {
    pub(crate) dir: &'a Path,
    /// Reads an environment variable.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
}

/// A secret file is a line or so; anything longer is another file by mistake.
const LARGEST_BYTES: u64 = 64 * 1024;

impl Secrets<'_> {
    /// The secret, trimmed: the variable wins over the file. None where neither is given, or is
    /// unusable (then it is a fault).
    pub(crate) fn read(
        &self,
        faults: &mut Faults,
        file: &Path,
        named: Option<(&str, Span)>,
        variable: &str,
    ) -> Option<String> {
        if let Some(value) = (self.env)(variable) {
            return match usable(&value) {
                Ok(s) => Some(s),
                Err(why) => {
                    faults.error(
                        "E114",
                        file,
                        named.map_or(0..0, |(_, span)| span),
                        format!("the environment variable `{variable}` {why}"),
                        "set it to one line of printable ASCII, or unset it",
                    );
                    None
                }
            };
        }
        let (name, span) = named?;
        let path = self.dir.join(name);
        let read = std::fs::metadata(&path).and_then(|m| {
            if m.len() > LARGEST_BYTES || !m.is_file() {
                Err(std::io::Error::other("is not a small file"))
            } else {
                std::fs::read_to_string(&path)
            }
        });
        let problem = match read {
            Ok(text) => match usable(&text) {
                Ok(s) => return Some(s),
                Err(why) => format!("the secret file `{name}` {why}"),
            },
            Err(e) => format!("the secret file `{name}` cannot be read: {e}"),
        };
        faults.error(
            "E114",
            file,
            span,
            problem,
            format!(
                "put one line of printable ASCII into it (the path is relative to this directory), \
                 or set `{variable}`"
            ),
        );
        None
    }
}

fn usable(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        Err("is empty")
    } else if !text.chars().all(|c| c.is_ascii_graphic()) {
        // It travels in an HTTP header: a line break would forge another one.
        Err("holds characters other than printable ASCII")
    } else {
        Ok(text.to_owned())
    }
}

/// `DAVY_SINK_` + `vm-1` + `_TOKEN` → `DAVY_SINK_VM_1_TOKEN`.
pub(crate) fn variable(prefix: &str, id: &str, suffix: &str) -> String {
    format!(
        "{prefix}{}{suffix}",
        id.to_ascii_uppercase().replace('-', "_")
    )
}
