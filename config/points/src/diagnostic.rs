//! A fault in something that a person wrote: where, what, and the remedy.

use std::ops::Range;
use std::path::PathBuf;

/// How bad a [`Diagnostic`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth a look; the configuration runs.
    Warning,
    /// The configuration is refused.
    Error,
}

/// A place in a file: byte offsets from its beginning, end exclusive.
pub type Span = Range<usize>;

/// A fault in a file that a person wrote. `davy check` renders it with its caret; nothing
/// else prints one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code: `E1xx` site and sources, `E2xx` points, `E3xx` rules, `E4xx` guidance and
    /// roster; `W…` for warnings.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// The file, relative to the configuration directory.
    pub file: PathBuf,
    /// Where in the file's text (bytes). Empty at 0 where the fault is the file itself.
    pub span: Span,
    /// One sentence: what is wrong, with the offending value.
    pub message: String,
    /// What the caret says; empty: nothing.
    pub label: String,
    /// What to do about it.
    pub hint: String,
    /// Other places that belong to the fault, each with its label.
    pub related: Vec<(PathBuf, Span, String)>,
}

impl Diagnostic {
    /// An error at one place.
    pub fn error(
        code: &'static str,
        file: impl Into<PathBuf>,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            file: file.into(),
            span,
            message: message.into(),
            label: String::new(),
            hint: hint.into(),
            related: Vec::new(),
        }
    }

    /// A warning at one place.
    pub fn warning(
        code: &'static str,
        file: impl Into<PathBuf>,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(code, file, span, message, hint)
        }
    }

    /// The same, with words at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// The same, with another place that belongs to it.
    #[must_use]
    pub fn also(
        mut self,
        file: impl Into<PathBuf>,
        span: Span,
        label: impl Into<String>,
    ) -> Diagnostic {
        self.related.push((file.into(), span, label.into()));
        self
    }
}
