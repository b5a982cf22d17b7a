//! The recordings, their points in the example site, and what their labels say.
//!
//! May not live here: judgement. Nothing is copied: files are read where they lie.

use std::fs;
use std::ops::Range;
use std::path::Path;

use davy_points::{PointIx, PointTable};
use davy_simulator::field::dataset::Dataset;

pub(crate) const MINUTE: i64 = 60_000_000_000;

/// Rows of a TEP test run before its fault.
const TEP_NORMAL: usize = 160;

/// A file, mapped to points.
pub(crate) struct Recording {
    pub name: String,
    /// What happened, in a word.
    pub title: String,
    /// A point, and the column that it has.
    pub points: Vec<(PointIx, usize)>,
    pub tags: Vec<String>,
    pub data: Dataset,
    /// Normal rows that limits are tuned on.
    pub tuned: Range<usize>,
    /// From and to of the normal rows that nothing is tuned on.
    pub held: Option<(i64, i64)>,
    /// Time of the last normal row, or of the first row where none is normal.
    pub onset: Option<i64>,
    /// Normal values of every point: for the floor. Empty where there are none.
    pub normal: Vec<Vec<f64>>,
}

impl Recording {
    pub(crate) fn start(&self) -> i64 {
        self.data.rows.first().unwrap().0.ns()
    }

    pub(crate) fn end(&self) -> i64 {
        self.data.rows.last().unwrap().0.ns()
    }

    fn time(&self, row: usize) -> i64 {
        self.data.rows[row].0.ns()
    }

    /// Finite values of a column in the tuned rows.
    pub(crate) fn values(&self, column: usize) -> Vec<f64> {
        let rows = &self.data.rows[self.tuned.clone()];
        rows.iter().filter_map(|(_, v)| v[column]).collect()
    }
}

/// Every recording of a data set.
pub(crate) fn read(name: &str, folder: &Path, table: &PointTable) -> Vec<Recording> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let mut all: Vec<Recording> = files
        .iter()
        .map(|file| {
            let stem = file.file_stem().unwrap().to_str().unwrap();
            let text = fs::read_to_string(file).unwrap();
            match name {
                "tep" => tep(stem, Dataset::tep(stem, &text).unwrap(), table),
                _ => well(stem, Dataset::three_w(stem, &text).unwrap(), table),
            }
        })
        .collect();
    // The normal run of TEP is that of all its runs; a well's own normal rows are its own.
    let all_normal: Vec<(String, Vec<f64>)> = all
        .iter()
        .flat_map(|r| {
            r.tags
                .iter()
                .zip(&r.points)
                .map(|(t, p)| (t.clone(), r.values(p.1)))
        })
        .filter(|(_, values)| !values.is_empty())
        .collect();
    for r in &mut all {
        let of = |tag: &String| all_normal.iter().find(|(t, _)| t == tag);
        r.normal = r
            .tags
            .iter()
            .map(|tag| of(tag).map(|(_, v)| v.clone()).unwrap_or_default())
            .collect();
    }
    all
}

fn tep(stem: &str, data: Dataset, table: &PointTable) -> Recording {
    let number = stem[1..3].trim_start_matches('0');
    let (title, tuned, fault) = match number {
        "" => ("normal", 0..data.rows.len(), false),
        "1" => ("A/C feed ratio, step", 0..0, true),
        "4" => ("reactor cooling water inlet, step", 0..0, true),
        "6" => ("loss of A feed", 0..0, true),
        _ => panic!("{stem}: no label for this fault"),
    };
    let mut r = mapped(data, "", table);
    (r.name, r.title, r.tuned) = (stem.into(), title.into(), tuned);
    if fault {
        let onset = r.time(TEP_NORMAL - 1);
        (r.held, r.onset) = (Some((r.start(), onset)), Some(onset));
    }
    r
}

fn well(stem: &str, data: Dataset, table: &PointTable) -> Recording {
    // class2_WELL-00003_20180206182917
    let (class, rest) = stem.split_once("_WELL-").unwrap();
    let (well, date) = rest.split_once('_').unwrap();
    let prefix = format!("W{:02}-{}.", well.parse::<u32>().unwrap(), &date[..4]);
    let title = match class {
        "class2" => "spurious closure of the downhole safety valve",
        "class3" => "severe slugging",
        "class4" => "flow instability",
        "class6" => "quick restriction in the choke",
        _ => panic!("{stem}: no name for this class"),
    };
    let labels = &data.labels[0].1;
    let normal = labels.iter().take_while(|c| **c == Some(0.0)).count();
    let mut r = mapped(data, &prefix, table);
    r.name = format!("{class} {}", prefix.trim_end_matches('.'));
    r.title = title.into();
    r.tuned = 0..normal * 2 / 3;
    r.onset = Some(r.time(normal.saturating_sub(1)));
    r.held = (normal > 0).then(|| (r.time(r.tuned.end), r.time(normal - 1)));
    r
}

/// The columns that the site has a point for.
fn mapped(data: Dataset, prefix: &str, table: &PointTable) -> Recording {
    let (mut points, mut tags) = (Vec::new(), Vec::new());
    for (column, name) in data.columns.iter().enumerate() {
        let tag = format!("{prefix}{name}");
        if let Some(point) = table.find(&tag) {
            points.push((point, column));
            tags.push(tag);
        }
    }
    assert!(!points.is_empty(), "{prefix}: no column has a point");
    Recording {
        name: String::new(),
        title: String::new(),
        points,
        tags,
        data,
        tuned: 0..0,
        held: None,
        onset: None,
        normal: Vec::new(),
    }
}
