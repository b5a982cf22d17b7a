//! The first sheet of a workbook as rows of cells, each known by its name (`F12`).

use std::borrow::Cow;
use std::io::Cursor;

use calamine::{Data, Reader, Xlsx, XlsxError, open_workbook_from_rs};

use crate::points_csv::{Cell, Place, Row};

/// Widest row that is taken for one: the table has 35 columns.
const MOST_COLUMNS: u32 = 256;

/// The rows of the first sheet. The reading crate panics on some damaged files (a cell reference of
/// ten letters, for one): a file that a person sends is no reason to end.
pub(crate) fn rows(bytes: &[u8]) -> Result<Vec<Row<'static>>, String> {
    std::panic::catch_unwind(|| read(bytes))
        .unwrap_or_else(|_| Err("it is damaged, or no program has written it".to_owned()))
}

/// Cell by cell: the crate's own range is dense, and one stray mark in the last corner of a sheet
/// would take all the memory there is.
fn read(bytes: &[u8]) -> Result<Vec<Row<'static>>, String> {
    let mut book: Xlsx<_> =
        open_workbook_from_rs(Cursor::new(bytes)).map_err(|e: XlsxError| e.to_string())?;
    let name = book
        .sheet_names()
        .first()
        .cloned()
        .ok_or("it has no sheet")?;
    let mut cells = book
        .worksheet_cells_reader(&name)
        .map_err(|e| e.to_string())?;
    let mut rows: Vec<Row<'static>> = Vec::new();
    while let Some(cell) = cells.next_cell().map_err(|e| e.to_string())? {
        let (line, column) = cell.get_position();
        let value = text(&Data::from(cell.get_value().clone()));
        if value.trim().is_empty() {
            continue;
        }
        if column >= MOST_COLUMNS {
            return Err(format!(
                "cell {} stands to the right of any point table",
                cell_name(line, column)
            ));
        }
        let number = line as usize + 1;
        if rows.last().is_none_or(|r| r.number != number) {
            rows.push(Row {
                number,
                cells: Vec::new(),
                unclosed: false,
            });
        }
        let Some(row) = rows.last_mut() else { continue };
        // Blank cells are not stored; each column keeps its place all the same.
        while row.cells.len() <= column as usize {
            let place = Place::Sheet(cell_name(line, row.cells.len() as u32));
            row.cells.push(Cell {
                text: Cow::Borrowed(""),
                place,
            });
        }
        row.cells[column as usize].text = Cow::Owned(value);
    }
    Ok(rows)
}

/// A cell as a person sees it.
fn text(data: &Data) -> String {
    match data {
        Data::Empty => String::new(),
        Data::String(s) => s.clone(),
        Data::Float(v) => v.to_string(),
        Data::Int(v) => v.to_string(),
        Data::Bool(v) => v.to_string(),
        Data::DateTime(d) => {
            day(d.as_f64()).map_or_else(|| d.as_f64().to_string(), |d| d.to_string())
        }
        Data::DateTimeIso(s) | Data::DurationIso(s) => {
            s.split('T').next().unwrap_or_default().to_owned()
        }
        other => other.to_string(),
    }
}

/// Excel counts days from 1899-12-30.
#[allow(clippy::cast_possible_truncation)] // checked to be a date of this era
fn day(serial: f64) -> Option<jiff::civil::Date> {
    if !(1.0..200_000.0).contains(&serial) {
        return None;
    }
    jiff::civil::date(1899, 12, 30)
        .checked_add(jiff::Span::new().try_days(serial as i64).ok()?)
        .ok()
}

/// Row and column from 0 to `A1`, `AA27`.
fn cell_name(line: u32, mut column: u32) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'A' + u8::try_from(column % 26).unwrap_or(0));
        if column < 26 {
            break;
        }
        column = column / 26 - 1;
    }
    let letters: String = letters.iter().rev().map(|b| char::from(*b)).collect();
    format!("{letters}{}", line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_the_names_that_excel_shows() {
        for (column, name) in [
            (0, "A1"),
            (25, "Z1"),
            (26, "AA1"),
            (52, "BA1"),
            (702, "AAA1"),
        ] {
            assert_eq!(cell_name(0, column), name);
        }
        assert_eq!(day(45_000.0), Some(jiff::civil::date(2023, 3, 15)));
        assert_eq!(day(0.2), None);
    }

    #[test]
    fn a_file_that_is_no_workbook_is_refused() {
        assert!(rows(b"PK\x03\x04 not a workbook").is_err());
        assert!(rows(b"").is_err());
    }
}
