//! The list of faults of one run, and words that every fault uses.
//!
//! Lives here: collecting, suggesting the nearest known word. May not live here: rendering.

use std::path::Path;

use davy_points::{Diagnostic, Severity, Span};

/// All faults found so far. Reading never stops at the first one.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Diagnostic>);

impl Faults {
    pub(crate) fn error(
        &mut self,
        code: &'static str,
        file: &Path,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Diagnostic::error(code, file, span, message, hint))
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        file: &Path,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Diagnostic::warning(code, file, span, message, hint))
    }

    pub(crate) fn push(&mut self, d: Diagnostic) -> &mut Diagnostic {
        self.0.push(d);
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has_error(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// Takes out what only echoes a syntax error: faults of values on the same line of the file.
    pub(crate) fn drop_echoes(&mut self, file: &Path, text: &str) {
        let line = |span: &Span| text.get(..span.start).map(|t| t.matches('\n').count());
        let torn: Vec<_> = self
            .0
            .iter()
            .filter(|d| d.code == "E102" && d.file == file)
            .map(|d| line(&d.span))
            .collect();
        if !torn.is_empty() {
            self.0.retain(|d| {
                d.code == "E102"
                    || d.file != file
                    || d.span == (0..0)
                    || !torn.contains(&line(&d.span))
            });
        }
    }

    pub(crate) fn into_list(self) -> Vec<Diagnostic> {
        self.0
    }
}

/// "`a`, `b` or `c`".
pub(crate) fn one_of<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{}`", w.as_ref())).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// A remedy for an unknown word: the nearest known one, or all of them.
pub(crate) fn did_you_mean<S: AsRef<str>>(word: &str, known: &[S]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "none is declared".to_owned(),
        None if known.len() <= 16 => format!("known: {}", one_of(known)),
        None => format!(
            "known: {}, … ({} in all)",
            known[..8]
                .iter()
                .map(|k| format!("`{}`", k.as_ref()))
                .collect::<Vec<_>>()
                .join(", "),
            known.len()
        ),
    }
}

/// The known word with the smallest edit distance, if it is near enough to be a slip.
pub(crate) fn nearest<'k, S: AsRef<str>>(word: &str, known: &'k [S]) -> Option<&'k str> {
    let word = word.to_lowercase();
    if word.chars().count() > 64 {
        return None;
    }
    known
        .iter()
        .map(|k| (distance(&word, &k.as_ref().to_lowercase()), k.as_ref()))
        .min_by_key(|&(d, _)| d)
        .filter(|&(d, k)| d <= 1 + k.chars().count() / 3 && d < word.chars().count().max(2))
        .map(|(_, k)| k)
}

/// Edits (insert, delete, replace, swap of neighbours) from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let width = b.len() + 1;
    let mut d = vec![0usize; (a.len() + 1) * width];
    for (j, cell) in d.iter_mut().take(width).enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        d[i * width] = i;
        for j in 1..=b.len() {
            let replace = d[(i - 1) * width + j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace
                .min(d[(i - 1) * width + j] + 1)
                .min(d[i * width + j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(d[(i - 2) * width + j - 2] + 1);
            }
            d[i * width + j] = best;
        }
    }
    d[a.len() * width + b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let known = ["timeout", "topics", "max_registers", "gap"];
        for (word, expected) in [
            ("timout", Some("timeout")),
            ("time_out", Some("timeout")),
            ("topisc", Some("topics")),
            ("max_regs", Some("max_registers")),
            ("Gap", Some("gap")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }
}
