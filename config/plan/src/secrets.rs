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

/// The text with every secret that stands in it by mistake covered, byte for byte, so that places
/// stay true: a caret must not show what a log may not hold.
pub(crate) fn cover(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in passwords_in_addresses(text).chain(values_of_secret_keys(text)) {
        bytes[range].fill(b'*');
    }
    // Whole characters were covered, so this is still UTF-8.
    String::from_utf8(bytes).unwrap_or_default()
}

/// `hunter2` in `mqtt://gw:hunter2@host`, with or without its scheme.
fn passwords_in_addresses(text: &str) -> impl Iterator<Item = Span> + '_ {
    text.match_indices('@').filter_map(|(at, _)| {
        let before = &text[..at];
        let start = before
            .rfind(['"', '\'', '\n', ' ', '\t', '='])
            .map_or(0, |i| i + 1);
        let user = before[start..].find("://").map_or(start, |i| start + i + 3);
        let colon = before[user..].find(':')?;
        Some(user + colon + 1..at)
    })
}

/// The value behind `password = `, `token = ` and their kin, which belong into files.
fn values_of_secret_keys(text: &str) -> impl Iterator<Item = Span> + '_ {
    let mut line_start = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = line_start;
        line_start += line.len();
        let (key, value) = line.split_once('=')?;
        let key = key.trim().trim_matches('"').to_ascii_lowercase();
        let secret = ["password", "passwd", "token", "secret", "_key"]
            .iter()
            .any(|w| key.contains(w))
            || key == "key";
        if !secret || key.ends_with("_file") {
            return None;
        }
        let from = start + line.len() - value.len();
        Some(from..from + value.trim_end().len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_covered_and_places_stay() {
        for (text, expected) in [
            (
                "a = \"mqtt://gw:hunter2@h:1\"",
                "a = \"mqtt://gw:*******@h:1\"",
            ),
            ("a = \"gw:密@h\"", "a = \"gw:***@h\""),
            ("a = \"mqtt://gw@h:1\"", "a = \"mqtt://gw@h:1\""),
            ("token = \"t\"\nb = 1\n", "token =****\nb = 1\n"),
            ("token_file = \"t\"", "token_file = \"t\""),
            ("[approval]\nkey = \"t\"", "[approval]\nkey =****"),
            ("key_file = \"t\"", "key_file = \"t\""),
            ("a = \"mqtt://gw:hunter2@h", "a = \"mqtt://gw:*******@h"),
            ("@", "@"),
        ] {
            assert_eq!(cover(text), expected);
        }
    }
}
