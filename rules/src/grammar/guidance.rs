//! A guidance page: what stands between its two `---` lines, for programs; the rest is for people.
//!
//! ```text
//! ---
//! cause: the feed is not stopped in time
//! consequence: the tank runs over
//! time_to_respond: 10m
//! action: stop the feed pump, close the valve
//! ---
//! # 储罐液位超限
//! ```
//! Lives here: reading it. May not live here: whether it is enough (`proof::lint`).

use std::path::{Path, PathBuf};

use davy_points::{Diagnostic, Span};

use super::nearest::nearest;
use super::text::{Faults, duration};

/// Why an alarm is there (ISA-18.2, rationalization): one of the pages that rules name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// As rules name it.
    pub name: String,
    /// `guidance/NAME.md`.
    pub file: PathBuf,
    /// What brings the alarm about.
    pub cause: Option<String>,
    /// What follows where nobody acts.
    pub consequence: Option<String>,
    /// How long a person has from the limit to the consequence, ns: a fact of the process.
    pub time_to_respond_ns: Option<i64>,
    /// What to do.
    pub action: Option<String>,
    /// Where the time to respond stands.
    pub time_span: Span,
}

const KEYS: [&str; 4] = ["cause", "consequence", "time_to_respond", "action"];

/// Reads the pages of a site: name without `.md`, and text.
#[must_use]
pub fn pages(guidance: &[(String, String)]) -> (Vec<Page>, Vec<Diagnostic>) {
    let mut all = Vec::new();
    let pages = guidance
        .iter()
        .map(|(name, text)| {
            let file = Path::new("guidance").join(format!("{name}.md"));
            let mut f = Faults {
                file: &file,
                source: text,
                all: &mut all,
            };
            let mut page = read(text, &mut f);
            page.name.clone_from(name);
            page.file.clone_from(&file);
            page
        })
        .collect();
    (pages, all)
}

/// What a person reads of a page.
#[must_use]
pub fn body(text: &str) -> &str {
    match head(text) {
        Some((_, Some(after))) => text[after..].trim_start_matches(['\r', '\n']),
        _ => text,
    }
}

/// Where the head of a page begins, and where the page goes on; none where it is never closed.
fn head(text: &str) -> Option<(usize, Option<usize>)> {
    let mark = text.chars().next().filter(|c| *c == '\u{feff}');
    let skip = mark.map_or(0, char::len_utf8);
    let mut lines = text[skip..].split_inclusive('\n');
    let first = lines.next().filter(|l| l.trim_end() == "---")?;
    let start = skip + first.len();
    let mut at = start;
    for line in lines {
        at += line.len();
        if line.trim_end() == "---" {
            return Some((start, Some(at)));
        }
    }
    Some((start, None))
}

fn read(text: &str, f: &mut Faults<'_>) -> Page {
    let mut page = Page {
        name: String::new(),
        file: PathBuf::new(),
        cause: None,
        consequence: None,
        time_to_respond_ns: None,
        action: None,
        time_span: 0..0,
    };
    let Some((start, end)) = head(text) else {
        return page;
    };
    let Some(end) = end else {
        f.add(
            "E400",
            0..3,
            "the head of the page is never closed",
            "write `---` on a line of its own after `action: …`",
        );
        return page;
    };
    let mut at = start;
    let mut given: Vec<&str> = Vec::new();
    for line in text[start..end].split_inclusive('\n') {
        let from = at;
        at += line.len();
        let written = line.trim();
        if written.is_empty() || written.starts_with('#') || written == "---" {
            continue;
        }
        let place = from..from + line.trim_end().len();
        let Some((key, value)) = written.split_once(':') else {
            f.add(
                "E400",
                place,
                format!("`{written}` is no `key: value`"),
                "one line for each of cause, consequence, time_to_respond, action",
            );
            continue;
        };
        let (key, value) = (key.trim_end(), value.trim());
        if !KEYS.contains(&key) {
            let hint = match nearest(key, &KEYS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", KEYS.join(", ")),
            };
            f.add("E400", place, format!("unknown key `{key}`"), hint);
            continue;
        }
        if given.contains(&key) {
            f.add(
                "E400",
                place,
                format!("`{key}` stands there twice"),
                "keep one of them",
            );
            continue;
        }
        given.push(key);
        let words = (!value.is_empty()).then(|| value.to_owned());
        match key {
            "cause" => page.cause = words,
            "consequence" => page.consequence = words,
            "action" => page.action = words,
            _ if value.is_empty() => {}
            _ => match duration(value).map(super::ns) {
                Ok(ns) if ns > 0 => {
                    page.time_to_respond_ns = Some(ns);
                    page.time_span = place;
                }
                Ok(_) => time_fault(f, place, value, "is no time at all"),
                Err(why) => time_fault(f, place, value, why),
            },
        }
    }
    page
}

fn time_fault(f: &mut Faults<'_>, place: Span, value: &str, why: &str) {
    f.add(
        "E401",
        place,
        format!("`time_to_respond` is no duration: \"{value}\" {why}"),
        "how long a person has from the limit to the consequence: `90s`, `10m`, `2h`",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Page, Vec<String>) {
        let (mut pages, faults) = pages(&[("tank".to_owned(), text.to_owned())]);
        let told = faults
            .iter()
            .map(|d| format!("{} [{}] {}", d.code, &text[d.span.clone()], d.message))
            .collect();
        (pages.pop().expect("one page"), told)
    }

    #[test]
    fn a_page_says_why_its_alarm_is_there() {
        let text = "---\ncause: feed: not stopped\nconsequence: runs over\n\
                    # an engineering default\ntime_to_respond: 10m\naction: stop the feed\n---\n\n# Title\nbody\n";
        let (page, faults) = read(text);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(page.cause.as_deref(), Some("feed: not stopped"));
        assert_eq!(page.consequence.as_deref(), Some("runs over"));
        assert_eq!(page.action.as_deref(), Some("stop the feed"));
        assert_eq!(page.time_to_respond_ns, Some(600_000_000_000));
        assert_eq!(&text[page.time_span], "time_to_respond: 10m");
        assert_eq!(page.file, Path::new("guidance/tank.md"));
        assert_eq!(body(text), "# Title\nbody\n");
    }

    #[test]
    fn a_page_without_a_head_is_all_body() {
        for text in ["# Title\n---\ncause: x\n---\n", "", "--- x\n"] {
            let (page, faults) = read(text);
            assert_eq!((page.cause, faults.len()), (None, 0));
            assert_eq!(body(text), text);
        }
        // Lines as Windows ends them, after its mark.
        let (page, _) = read("\u{feff}---\r\ncause: x\r\n---\r\nbody");
        assert_eq!(page.cause.as_deref(), Some("x"));
        assert_eq!(body("\u{feff}---\r\ncause: x\r\n---\r\nbody"), "body");
    }

    #[test]
    fn what_is_wrong_with_a_head_is_told_at_once() {
        let (page, faults) = read(
            "---\ncuase: x\nnonsense\ncause: a\ncause: b\ntime_to_respond: soon\naction:\n---\n",
        );
        assert_eq!(
            faults,
            [
                "E400 [cuase: x] unknown key `cuase`",
                "E400 [nonsense] `nonsense` is no `key: value`",
                "E400 [cause: b] `cause` stands there twice",
                "E401 [time_to_respond: soon] `time_to_respond` is no duration: \"soon\" has no number",
            ]
        );
        assert_eq!(page.cause.as_deref(), Some("a"));
        assert_eq!(page.action, None);
        let (_, zero) = read("---\ntime_to_respond: 0s\n---\n");
        assert_eq!(zero.len(), 1);
        let open = "---\ncause: x\n# Title\n";
        let (page, faults) = read(open);
        assert_eq!(faults, ["E400 [---] the head of the page is never closed"]);
        assert_eq!(page.cause, None);
        assert_eq!(body(open), open);
    }
}
