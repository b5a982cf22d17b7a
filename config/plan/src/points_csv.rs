//! A scanner for RFC 4180 text that knows each cell's place in the file, because a caret needs it.
//! The `csv` crate is its referee in the tests.

use std::borrow::Cow;

use davy_points::Span;

/// Where a cell stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Bytes of the text.
    Text(Span),
    /// A cell of a sheet, by its name: `F12`.
    Sheet(String),
}

/// One cell as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell<'t> {
    pub(crate) text: Cow<'t, str>,
    pub(crate) place: Place,
}

/// One row as written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row<'t> {
    /// As a spreadsheet counts it: the header is row 1.
    pub(crate) number: usize,
    pub(crate) cells: Vec<Cell<'t>>,
    /// A quote was opened and never closed.
    pub(crate) unclosed: bool,
}

/// The rows of a text, one after another.
pub(crate) struct Rows<'t> {
    text: &'t str,
    at: usize,
    separator: u8,
    number: usize,
}

impl<'t> Rows<'t> {
    pub(crate) fn new(text: &'t str) -> Rows<'t> {
        let first = text.lines().next().unwrap_or("");
        // Excel's "Unicode text" is separated by tabs; European Excel by semicolons.
        let count = |c: char| first.matches(c).count();
        let separator = [(',', b','), ('\t', b'\t'), (';', b';')]
            .into_iter()
            .rev()
            .max_by_key(|&(c, _)| count(c))
            .map_or(b',', |(_, b)| b);
        Rows {
            text,
            at: 0,
            separator,
            number: 0,
        }
    }

    /// One cell, and whether the row ends behind it.
    fn cell(&mut self) -> (Cell<'t>, bool, bool) {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut unclosed = false;
        let (text, span) = if bytes.get(start) == Some(&b'"') {
            let mut text = Cow::Borrowed("");
            let mut from = start + 1;
            let mut end;
            loop {
                match self.text[from..].find('"') {
                    None => {
                        push(&mut text, &self.text[from..]);
                        end = bytes.len();
                        unclosed = true;
                        break;
                    }
                    Some(i) => {
                        end = from + i;
                        push(&mut text, &self.text[from..end]);
                        end += 1;
                        if bytes.get(end) == Some(&b'"') {
                            push(&mut text, "\"");
                            from = end + 1;
                        } else {
                            break;
                        }
                    }
                }
            }
            // What stands between the closing quote and the separator belongs to the cell.
            let rest = self.plain_end(end);
            push(&mut text, &self.text[end..rest]);
            self.at = rest;
            (text, start..rest)
        } else {
            let end = self.plain_end(start);
            self.at = end;
            (Cow::Borrowed(&self.text[start..end]), start..end)
        };
        let last = match bytes.get(self.at) {
            Some(&b) if b == self.separator => {
                self.at += 1;
                false
            }
            Some(b'\r') => {
                self.at += 1 + usize::from(bytes.get(self.at + 1) == Some(&b'\n'));
                true
            }
            Some(_) => {
                self.at += 1;
                true
            }
            None => true,
        };
        let place = Place::Text(span);
        (Cell { text, place }, last, unclosed)
    }

    fn plain_end(&self, from: usize) -> usize {
        self.text.as_bytes()[from..]
            .iter()
            .position(|&b| b == self.separator || b == b'\n' || b == b'\r')
            .map_or(self.text.len(), |i| from + i)
    }
}

fn push<'t>(to: &mut Cow<'t, str>, more: &'t str) {
    if to.is_empty() {
        *to = Cow::Borrowed(more);
    } else if !more.is_empty() {
        to.to_mut().push_str(more);
    }
}

impl<'t> Iterator for Rows<'t> {
    type Item = Row<'t>;

    fn next(&mut self) -> Option<Row<'t>> {
        if self.at >= self.text.len() {
            return None;
        }
        self.number += 1;
        let mut row = Row {
            number: self.number,
            cells: Vec::new(),
            unclosed: false,
        };
        loop {
            let (cell, last, unclosed) = self.cell();
            row.cells.push(cell);
            row.unclosed |= unclosed;
            if last {
                return Some(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(text: &str) -> Vec<Vec<String>> {
        Rows::new(text)
            .map(|r| r.cells.into_iter().map(|c| c.text.into_owned()).collect())
            .filter(|r: &Vec<String>| *r != [""])
            .collect()
    }

    #[test]
    fn quotes_line_ends_and_separators() {
        for (text, expected) in [
            ("a,b\nc,d", vec![vec!["a", "b"], vec!["c", "d"]]),
            ("a,b\r\n\r\nc,d\r\n", vec![vec!["a", "b"], vec!["c", "d"]]),
            (
                "a,\"b,\"\"c\"\"\nd\"\ne,",
                vec![vec!["a", "b,\"c\"\nd"], vec!["e", ""]],
            ),
            (
                "a\tb,c\td\n1\t2\t3",
                vec![vec!["a", "b,c", "d"], vec!["1", "2", "3"]],
            ),
            ("a;b\n1;2", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a,\"b\" c\n", vec![vec!["a", "b c"]]),
        ] {
            assert_eq!(cells(text), expected, "{text:?}");
        }
        assert!(Rows::new("a,b\n\"x,1\n2").nth(1).unwrap().unclosed);
    }

    proptest! {
        /// The referee reads what we read, cell by cell, and each place holds its cell.
        #[test]
        fn agrees_with_the_csv_crate(text in "([ab\"位,\n]|\r\n){0,40}") {
            // A quote inside a bare cell, or text behind a closing one, is read leniently by
            // both, not alike: left out.
            let text = format!("h,{text}");
            let tidy = text.split([',', '\n']).all(|c| {
                let c = c.trim_end_matches('\r');
                !c.contains('"') || (c.len() >= 2 && c.starts_with('"') && c.ends_with('"')
                    && !c[1..c.len() - 1].contains('"'))
            });
            prop_assume!(tidy);
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(text.as_bytes());
            let theirs: Vec<Vec<String>> = reader
                .records()
                .map(|r| r.unwrap().iter().map(str::to_owned).collect())
                .collect();
            prop_assert_eq!(cells(&text), theirs.into_iter().filter(|r| *r != [""]).collect::<Vec<_>>());
        }

        #[test]
        fn every_byte_is_in_a_cell_or_between_two(text in "\\PC*([,\"\r\n]|\\PC){0,60}") {
            let mut end = 0;
            for cell in Rows::new(&text).flat_map(|r| r.cells) {
                let Place::Text(span) = cell.place else { unreachable!() };
                prop_assert!(span.start >= end && span.start - end <= 2);
                prop_assert!(text.get(span.clone()).is_some());
                end = span.end;
            }
        }
    }
}
