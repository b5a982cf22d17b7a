//! One row of a point table, read column by column: each wrong cell is one fault at that cell.
//!
//! Lives here: shapes (number, duration, word). May not live here: what a column means.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use davy_points::{Diagnostic, Span};

use crate::cell::{self, halfwidth};
use crate::duration;
use crate::faults::{Faults, did_you_mean};
use crate::headers::{Column, Header};
use crate::points_csv::{Place, Row};

/// A row with its header.
pub(crate) struct RowReader<'r> {
    pub(crate) file: &'r Path,
    pub(crate) header: &'r Header,
    pub(crate) row: &'r Row<'r>,
}

impl<'r> RowReader<'r> {
    fn raw(&self, column: Column) -> Option<(&'r str, &'r Place)> {
        let cell = self.row.cells.get(self.header.index(column)?)?;
        Some((&cell.text, &cell.place))
    }

    /// The text as written, trimmed; none where the cell says none.
    pub(crate) fn words(&self, column: Column) -> Option<&'r str> {
        let (text, _) = self.raw(column)?;
        (!cell::is_none(text)).then(|| text.trim())
    }

    /// The text with full-width signs made plain; none where the cell says none.
    pub(crate) fn plain(&self, column: Column) -> Option<Cow<'r, str>> {
        Some(match halfwidth(self.words(column)?) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        })
    }

    pub(crate) fn has(&self, column: Column) -> bool {
        self.words(column).is_some()
    }

    /// The row's bytes; 0..0 in a sheet.
    pub(crate) fn span(&self) -> Span {
        match (self.row.cells.first(), self.row.cells.last()) {
            (Some(a), Some(b)) => match (&a.place, &b.place) {
                (Place::Text(a), Place::Text(b)) => a.start..b.end,
                _ => 0..0,
            },
            _ => 0..0,
        }
    }

    /// The cell's bytes; 0..0 in a sheet or where there is none.
    pub(crate) fn cell_span(&self, column: Column) -> Span {
        match self.raw(column) {
            Some((_, Place::Text(span))) => span.clone(),
            _ => 0..0,
        }
    }

    /// Where a column's cell stands, and words that say so where no caret can. An absent or
    /// blank cell is shown by its row.
    fn place(&self, column: Column) -> (Span, String) {
        let name = column.name();
        match self.raw(column) {
            Some((_, Place::Sheet(cell))) => (0..0, format!("cell {cell}, column `{name}`")),
            Some((_, Place::Text(span))) if !span.is_empty() => (
                span.clone(),
                format!("row {}, column `{name}`", self.row.number),
            ),
            _ => (
                self.span(),
                format!("row {}, column `{name}`", self.row.number),
            ),
        }
    }

    pub(crate) fn error<'f>(
        &self,
        faults: &'f mut Faults,
        code: &'static str,
        column: Column,
        message: &str,
        hint: impl Into<String>,
    ) -> &'f mut Diagnostic {
        let (span, at) = self.place(column);
        faults.error(code, self.file, span, format!("{at}: {message}"), hint)
    }

    pub(crate) fn warning<'f>(
        &self,
        faults: &'f mut Faults,
        code: &'static str,
        column: Column,
        message: &str,
        hint: impl Into<String>,
    ) -> &'f mut Diagnostic {
        let (span, at) = self.place(column);
        faults.warning(code, self.file, span, format!("{at}: {message}"), hint)
    }

    /// A text that must be there.
    pub(crate) fn required(
        &self,
        faults: &mut Faults,
        column: Column,
        why: &str,
    ) -> Option<Cow<'r, str>> {
        let text = self.plain(column);
        // A column that is missing altogether is one fault of the header, not one of each row.
        if text.is_none() && self.header.index(column).is_some() {
            self.error(
                faults,
                "E205",
                column,
                "nothing is written here",
                format!("write {why}"),
            );
        }
        text
    }

    pub(crate) fn number(&self, faults: &mut Faults, column: Column) -> Option<f64> {
        let text = self.plain(column)?;
        match cell::number(&text) {
            Ok(v) => Some(v),
            Err(why) => {
                self.error(
                    faults,
                    "E206",
                    column,
                    &why,
                    "write a plain number with `.` as its decimal sign and no unit, or leave the cell empty",
                );
                None
            }
        }
    }

    /// A number that may not be negative.
    pub(crate) fn magnitude(&self, faults: &mut Faults, column: Column) -> Option<f64> {
        let v = self.number(faults, column)?;
        if v < 0.0 {
            self.error(
                faults,
                "E225",
                column,
                &format!("`{v}` is negative"),
                "write zero or more",
            );
            return None;
        }
        Some(v)
    }

    pub(crate) fn duration(&self, faults: &mut Faults, column: Column) -> Option<Duration> {
        let text = self.plain(column)?;
        match duration::parse(&text, self.header.unit(column)) {
            Ok(d) => Some(d),
            Err(why) => {
                self.error(faults, "E220", column, &why, duration::HINT);
                None
            }
        }
    }

    /// One of a few words; none where the cell is blank, `Some(None)` where it is none of them.
    pub(crate) fn word<T>(
        &self,
        faults: &mut Faults,
        column: Column,
        read: fn(&str) -> Option<T>,
        known: &[&str],
    ) -> Option<Option<T>> {
        let text = self.plain(column)?;
        let value = read(&text);
        if value.is_none() {
            self.error(
                faults,
                "E207",
                column,
                &format!("`{text}` is not known here"),
                match did_you_mean(&text, known) {
                    h if h.starts_with("did") => format!("{h} ({})", known.join(" ")),
                    h => h,
                },
            );
        }
        Some(value)
    }
}
