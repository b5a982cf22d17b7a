//! Files of the data sets to tables.

use davy_points::Timestamp;

use super::Dataset;

/// Why a file is no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}, line {line}: {what}")]
pub struct DatasetError {
    /// The set.
    pub name: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// `tep` has no times: its rows stand three minutes apart from here, 2000-01-01T00:00:00Z.
const TEP_START: i64 = 946_684_800_000_000_000;
const TEP_STEP: i64 = 180_000_000_000;
/// 41 measurements and 11 manipulated variables.
const TEP_MEASURED: usize = 41;
const TEP_COLUMNS: usize = 52;

impl Dataset {
    /// SKAB: `;` between the cells, `datetime` local and taken as UTC, labels `anomaly` and
    /// `changepoint`.
    ///
    /// # Errors
    /// Not such a table.
    pub fn skab(name: &str, text: &str) -> Result<Dataset, DatasetError> {
        separated(name, text, ';', "datetime", &["anomaly", "changepoint"])
    }

    /// Petrobras 3W: `,` between the cells, many of them empty, label `class`.
    ///
    /// # Errors
    /// Not such a table.
    pub fn three_w(name: &str, text: &str) -> Result<Dataset, DatasetError> {
        separated(name, text, ',', "timestamp", &["class"])
    }

    /// Tennessee Eastman: blanks between 52 numbers, a row every three minutes.
    ///
    /// # Errors
    /// Not such a table.
    pub fn tep(name: &str, text: &str) -> Result<Dataset, DatasetError> {
        let fault = |line: usize, what: String| DatasetError {
            name: name.to_owned(),
            line: line + 1,
            what,
        };
        let columns = (1..=TEP_COLUMNS)
            .map(|i| match i {
                1..=TEP_MEASURED => format!("XMEAS_{i}"),
                _ => format!("XMV_{}", i - TEP_MEASURED),
            })
            .collect();
        let mut rows = Vec::new();
        let mut time = TEP_START;
        for (i, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let values = line
                .split_whitespace()
                .map(|cell| number(cell).map_err(|what| fault(i, what)))
                .collect::<Result<Vec<_>, _>>()?;
            if values.len() != TEP_COLUMNS {
                let what = format!("{} numbers instead of {TEP_COLUMNS}", values.len());
                return Err(fault(i, what));
            }
            rows.push((Timestamp(time), values));
            time += TEP_STEP;
        }
        Ok(Dataset {
            name: slug(name),
            columns,
            rows,
            labels: Vec::new(),
        })
    }
}

fn separated(
    name: &str,
    text: &str,
    separator: char,
    time: &str,
    label_names: &[&str],
) -> Result<Dataset, DatasetError> {
    let fault = |line: usize, what: String| DatasetError {
        name: name.to_owned(),
        line: line + 1,
        what,
    };
    let mut lines = text.lines().enumerate();
    let (_, header) = lines
        .next()
        .ok_or_else(|| fault(0, "the file is empty".into()))?;
    let header: Vec<&str> = header.trim_end().split(separator).collect();
    if header.first() != Some(&time) {
        return Err(fault(0, format!("the first column is not `{time}`")));
    }
    let is_label: Vec<bool> = header.iter().map(|h| label_names.contains(h)).collect();
    let mut columns = Vec::new();
    let mut labels = Vec::new();
    for (name, label) in header.iter().zip(&is_label).skip(1) {
        if *label {
            labels.push(((*name).to_owned(), Vec::new()));
        } else {
            columns.push((*name).to_owned());
        }
    }
    let mut rows: Vec<(Timestamp, Vec<Option<f64>>)> = Vec::new();
    for (i, line) in lines {
        if line.trim().is_empty() {
            continue;
        }
        let cells: Vec<&str> = line.trim_end().split(separator).collect();
        if cells.len() != header.len() {
            let what = format!("{} cells instead of {}", cells.len(), header.len());
            return Err(fault(i, what));
        }
        let time = timestamp(cells[0]).ok_or_else(|| fault(i, format!("time {:?}", cells[0])))?;
        if rows.last().is_some_and(|(before, _)| *before >= time) {
            return Err(fault(i, "the time does not rise".into()));
        }
        let mut values = Vec::with_capacity(columns.len());
        let mut label = labels.iter_mut();
        for (cell, is_label) in cells.iter().zip(&is_label).skip(1) {
            let value = number(cell).map_err(|what| fault(i, what))?;
            match is_label.then(|| label.next()).flatten() {
                Some((_, said)) => said.push(value),
                None => values.push(value),
            }
        }
        rows.push((time, values));
    }
    Ok(Dataset {
        name: slug(name),
        columns,
        rows,
        labels,
    })
}

/// An empty cell is no value; so is a NaN.
fn number(cell: &str) -> Result<Option<f64>, String> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Ok(None);
    }
    let value: f64 = cell.parse().map_err(|_| format!("{cell:?} is no number"))?;
    Ok(value.is_finite().then_some(value))
}

/// `2020-02-08 13:30:47` or with a fraction, taken as UTC.
fn timestamp(text: &str) -> Option<Timestamp> {
    let civil: jiff::civil::DateTime = text.trim().parse().ok()?;
    let utc = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?;
    i64::try_from(utc.as_nanosecond()).ok().map(Timestamp)
}

fn slug(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_apart_and_empty_cells_stay_empty() {
        let set = Dataset::three_w(
            "class2_X",
            "timestamp,P-PDG,QGL,class\n2018-02-06 18:29:17.000000,3.278878e+07,,0\n2018-02-06 18:29:18.500000,,nan,\n",
        )
        .unwrap();
        assert_eq!(set.name, "class2-x");
        assert_eq!(set.columns, ["P-PDG", "QGL"]);
        assert_eq!(
            set.rows,
            [
                (
                    Timestamp(1_517_941_757_000_000_000),
                    vec![Some(32_788_780.0), None]
                ),
                (Timestamp(1_517_941_758_500_000_000), vec![None, None]),
            ]
        );
        assert_eq!(set.labels, [("class".to_owned(), vec![Some(0.0), None])]);
        assert_eq!(set.finite(), 1);
        assert_eq!(set.tag(0), "class2-x.P-PDG");
    }

    #[test]
    fn what_is_no_table_is_said_with_its_line() {
        let header = "datetime;a\n";
        for (text, said) in [
            ("", "s, line 1: the file is empty"),
            ("a;b\n", "s, line 1: the first column is not `datetime`"),
            (
                &*format!("{header}2020-02-08 13:30:47\n"),
                "s, line 2: 1 cells instead of 2",
            ),
            (&*format!("{header}soon;1\n"), "s, line 2: time \"soon\""),
            (
                &*format!("{header}2020-02-08 13:30:47;x\n"),
                "s, line 2: \"x\" is no number",
            ),
            (
                &*format!("{header}2020-02-08 13:30:47;1\n2020-02-08 13:30:47;1\n"),
                "s, line 3: the time does not rise",
            ),
        ] {
            assert_eq!(Dataset::skab("s", text).unwrap_err().to_string(), said);
        }
        assert_eq!(
            Dataset::tep("d", "1 2 3\n").unwrap_err().to_string(),
            "d, line 1: 3 numbers instead of 52"
        );
    }
}
