//! Limits from normal data alone.
//!
//! For each point with normal rows that moves in them:
//! - limits: the 0.1 % and 99.9 % quantiles, one σ further out; three where the point's own
//!   correlation time is over a tenth of the normal rows, which then have not shown its whole range;
//! - deadband: three σ of the noise (of the differences of neighbours, over √2), at least a hundredth
//!   and at most half of the distance between the limits;
//! - on- and off-delay: the time in which the autocorrelation falls below 1/e, at most three rows or
//!   15 s, and half a row more: an excursion of the noise is shorter.
//!
//! For each class with normal rows in more than one well, over all wells: `rate` over 2 min and
//! `aggregate` σ over 5 min, at 1.5 times the largest that normal rows of any well show. These need
//! no normal rows of the well that they watch.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use davy_points::{PointIx, PointTable};

use crate::recording::Recording;

/// Normal rows below which nothing is said of a point.
const ENOUGH: usize = 100;

/// The rule file of an example.
pub(crate) fn rules(name: &str, recordings: &[Recording], table: &PointTable) -> String {
    let mut text = format!(
        "# Written by `cargo bench -p davy --bench detection -- --tune` from normal rows of `{name}` \
         alone.\n# The method stands in tests/bench/detection/tune.rs; edit that, not this.\nschema = 1\n"
    );
    for r in recordings {
        for (n, (point, column)) in r.points.iter().enumerate() {
            let values = r.values(*column);
            if let Some(limits) = Limits::of(&values, r.data.step_ns()) {
                limits.write(&mut text, &r.tags[n], &table.point(*point).class);
            }
        }
    }
    pooled(&mut text, recordings, table);
    text
}

struct Limits {
    low: f64,
    high: f64,
    deadband: f64,
    delay_ns: i64,
}

impl Limits {
    fn of(values: &[f64], step_ns: i64) -> Option<Limits> {
        let (_, sigma) = moments(values);
        if values.len() < ENOUGH || sigma == 0.0 {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let lag = correlation(values);
        let margin = if lag * 10 > values.len() { 3.0 } else { 1.0 } * sigma;
        let low = quantile(&sorted, 0.001) - margin;
        let high = quantile(&sorted, 0.999) + margin;
        let differences: Vec<f64> = values.windows(2).map(|w| w[1] - w[0]).collect();
        let noise = moments(&differences).1 / std::f64::consts::SQRT_2;
        let rows = i64::try_from(lag).unwrap_or(i64::MAX);
        let most = 3.max(15_000_000_000 / step_ns);
        Some(Limits {
            low,
            high,
            deadband: (3.0 * noise).clamp((high - low) / 100.0, (high - low) / 2.0),
            delay_ns: rows.min(most) * step_ns + step_ns / 2,
        })
    }

    fn write(&self, text: &mut String, tag: &str, class: &str) {
        let delay = match self.delay_ns / 1_000_000 {
            ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
            ms => format!("{ms}ms"),
        };
        let tail = format!(
            "deadband = {}, on_delay = \"{delay}\", off_delay = \"{delay}\" }}",
            figures(self.deadband, 3)
        );
        let _ = write!(
            text,
            "\n[[level]]\nid = \"{}\"\nselect = {{ tag = \"{tag}\" }}\nguidance = \"{class}\"\n\
             priority = {}\nl = {{ limit = {}, {tail}\nh = {{ limit = {}, {tail}\n",
            id(tag),
            priority(class),
            figures(self.low, 6),
            figures(self.high, 6),
        );
    }
}

const RATE_NS: i64 = 120_000_000_000;
const SIGMA_NS: i64 = 300_000_000_000;

/// What moves over all wells of a class.
fn pooled(text: &mut String, recordings: &[Recording], table: &PointTable) {
    let mut classes: BTreeMap<String, Vec<(&Recording, PointIx, usize)>> = BTreeMap::new();
    for r in recordings.iter().filter(|r| r.tuned.len() >= ENOUGH) {
        for (point, column) in &r.points {
            let class = table.point(*point).class.to_string();
            classes.entry(class).or_default().push((r, *point, *column));
        }
    }
    for (class, members) in classes {
        let wells = members.iter().map(|(r, ..)| &*r.name);
        if wells.collect::<std::collections::BTreeSet<_>>().len() < 2 {
            continue;
        }
        let most = |width_ns: i64, of: fn(&[f64]) -> f64| {
            let each = members.iter().map(|(r, _, column)| {
                let rows = usize::try_from(width_ns / r.data.step_ns()).unwrap();
                let values = r.values(*column);
                values.windows(rows + 1).map(of).fold(0.0, f64::max)
            });
            1.5 * each.fold(0.0, f64::max)
        };
        let rate = most(RATE_NS, |w| slope(w).abs()) * 60.0;
        let sigma = most(SIGMA_NS, |w| moments(w).1);
        let band = figures(rate / 3.0, 3);
        let rate = figures(rate, 4);
        let name = id(&class);
        let _ = write!(
            text,
            "\n[[rate]]\nid = \"{name}-moves\"\nselect = {{ class = \"{class}\" }}\n\
             guidance = \"moves\"\npriority = 3\nwindow = \"2m\"\nper = \"min\"\n\
             l = {{ limit = -{rate}, deadband = {band} }}\nh = {{ limit = {rate}, deadband = {band} }}\n\
             \n[[aggregate]]\nid = \"{name}-swings\"\nselect = {{ class = \"{class}\" }}\n\
             guidance = \"moves\"\npriority = 4\nfunction = \"stddev\"\nwindow = \"5m\"\n\
             h = {{ limit = {}, deadband = {} }}\n",
            figures(sigma, 4),
            figures(sigma / 3.0, 3),
        );
    }
}

/// What hurts first if it is let go is 2, what the product is made of 3, what merely follows 4.
fn priority(class: &str) -> u8 {
    match class {
        "pressure" | "temperature" | "well_pressure" | "choke_pressure" | "pdg_pressure" => 2,
        "analyser" | "valve" | "choke_temperature" => 4,
        _ => 3,
    }
}

fn id(tag: &str) -> String {
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        _ => '-',
    };
    tag.chars().map(plain).collect()
}

/// Mean and σ.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    (mean, square.sqrt())
}

/// Rows until the autocorrelation is below 1/e; at least one.
#[allow(clippy::cast_precision_loss)]
fn correlation(values: &[f64]) -> usize {
    let (mean, sigma) = moments(values);
    let whole = sigma * sigma * values.len() as f64;
    let at = |lag: usize| {
        let pairs = values.iter().zip(&values[lag..]);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / whole
    };
    (1..values.len())
        .find(|lag| at(*lag) < (-1.0_f64).exp())
        .unwrap_or(values.len())
}

/// Of the least-squares line, per row.
#[allow(clippy::cast_precision_loss)]
fn slope(values: &[f64]) -> f64 {
    let (mean, _) = moments(values);
    let middle = (values.len() - 1) as f64 / 2.0;
    let (mut above, mut below) = (0.0, 0.0);
    for (n, v) in values.iter().enumerate() {
        let x = n as f64 - middle;
        above += x * (v - mean);
        below += x * x;
    }
    above / below
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// A number with so many figures.
fn figures(v: f64, digits: usize) -> f64 {
    format!("{v:.*e}", digits - 1).parse().unwrap()
}
