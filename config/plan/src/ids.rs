//! Ids of one kind, each with the place where it was declared.

use std::collections::{HashMap, HashSet};

use davy_points::Span;

use crate::faults::Faults;
use crate::toml_section::{At, Section};

/// Longest id; it stands in topics, folder names and every record.
const LONGEST_ID: usize = 64;

/// Ids of one kind. The default is the ids of a file that could not be read.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    declared: HashMap<String, Span>,
    /// Declared, but not in a form that an id may have: one fault there, none where it is named.
    refused: HashSet<String>,
    /// Every declaration could be read.
    complete: bool,
}

impl Ids {
    /// `torn`: the file has syntax errors, so a declaration may be missing because of them.
    pub(crate) fn new(torn: bool) -> Ids {
        Ids {
            complete: !torn,
            ..Ids::default()
        }
    }

    /// Whether whoever names this one is not to blame.
    pub(crate) fn may_be(&self, id: &str) -> bool {
        !self.complete || self.declared.contains_key(id) || self.refused.contains(id)
    }

    /// Every declared id, sorted, for a remedy.
    pub(crate) fn known(&self) -> Vec<&str> {
        let mut known: Vec<&str> = self.declared.keys().map(String::as_str).collect();
        known.sort_unstable();
        known
    }

    /// An id that stands in topics and folder names: `[a-z0-9-]+`.
    pub(crate) fn slug(
        &mut self,
        faults: &mut Faults,
        s: &Section<'_>,
        what: &str,
    ) -> Option<String> {
        let id = self.written(faults, s, "gw-1")?;
        let text = id.get_ref();
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let hint = if !text.chars().all(fine) || text.len() > LONGEST_ID {
            "use small letters a–z, digits and `-` only, at most 64: it stands in topics and \
             folder names; words for people go into `name`"
        } else if text == "center" {
            "the control room itself is the owner `center`; choose another id"
        } else {
            return self.declare(faults, s, id, what);
        };
        self.refuse(faults, s, &id, what, hint)
    }

    /// An id that only points and pages name: letters of any script, no spaces.
    pub(crate) fn word(
        &mut self,
        faults: &mut Faults,
        s: &Section<'_>,
        what: &str,
    ) -> Option<String> {
        let id = self.written(faults, s, "TF1")?;
        let text = id.get_ref();
        let fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.chars().all(fine) && text.len() <= LONGEST_ID {
            return self.declare(faults, s, id, what);
        }
        self.refuse(
            faults,
            s,
            &id,
            what,
            "use letters, digits, `-`, `_` and `.` only, at most 64 bytes; words for people go \
             into `name`",
        )
    }

    fn written(
        &mut self,
        faults: &mut Faults,
        s: &Section<'_>,
        example: &str,
    ) -> Option<At<String>> {
        let id = s.required_text(faults, "id", example);
        self.complete &= id.is_some();
        id
    }

    fn refuse(
        &mut self,
        faults: &mut Faults,
        s: &Section<'_>,
        id: &At<String>,
        what: &str,
        hint: &str,
    ) -> Option<String> {
        faults.error(
            "E110",
            s.file,
            id.span(),
            format!("`{}` cannot be the id of {what}", id.get_ref()),
            hint,
        );
        self.refused.insert(id.get_ref().clone());
        None
    }

    fn declare(
        &mut self,
        faults: &mut Faults,
        s: &Section<'_>,
        id: At<String>,
        what: &str,
    ) -> Option<String> {
        let span = id.span();
        let id = id.into_inner();
        if let Some(first) = self.declared.get(&id) {
            let d = faults.error(
                "E108",
                s.file,
                span,
                format!("`{id}` is already the id of {what}"),
                "give each its own id",
            );
            d.label = "declared again here".to_owned();
            d.related.push((
                s.file.to_owned(),
                first.clone(),
                "first declared here".to_owned(),
            ));
            return None;
        }
        self.declared.insert(id.clone(), span);
        Some(id)
    }
}
