//! A chart of alarms over time against the label: one panel a recording.
//!
//! May not live here: figures of the table; anything that a viewer without scripts cannot draw.

use std::fmt::Write as _;

use crate::Run;
use crate::play::Log;
use crate::recording::MINUTE;

const LEFT: f64 = 300.0;
const WIDTH: f64 = 820.0;
const RIGHT: f64 = 40.0;
/// Of an alarm's line.
const LINE: f64 = 15.0;
/// Of the counts beneath.
const COUNTS: f64 = 56.0;
/// Alarms that have a line of their own.
const SHOWN: usize = 12;

/// The whole picture.
pub(crate) fn draw(name: &str, runs: &[Run]) -> String {
    let mut body = String::new();
    let mut y = 78.0;
    for run in runs {
        y = panel(&mut body, run, unit(name), y);
    }
    let total = LEFT + WIDTH + RIGHT;
    let title = match name {
        "tep" => "Tennessee Eastman: alarms of config/examples/tep against the label",
        _ => "Petrobras 3W: alarms of config/examples/3w against the label",
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total}\" height=\"{y}\" viewBox=\"0 0 {total} {y}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"{total}\" height=\"{y}\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\">{title}</text>\n{}{body}</svg>\n",
        legend()
    )
}

/// Of the time axis, in ns, and its name.
fn unit(name: &str) -> (i64, &'static str) {
    match name {
        "tep" => (60 * MINUTE, "h"),
        _ => (MINUTE, "min"),
    }
}

fn legend() -> String {
    let mut text = String::new();
    let mut x = 16.0;
    for (colour, what, width) in [
        (PROCESS, "process alarm stands", 165.0),
        (INSTRUMENT, "instrument alarm stands", 180.0),
        (FAULT, "labelled fault", 125.0),
        (TUNED, "normal rows that limits are tuned on", 250.0),
        (FLOOR, "floor: 3 σ on every variable", 200.0),
    ] {
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"42\" width=\"14\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"51\">{what}</text>",
            x + 20.0
        );
        x += width;
    }
    text
}

const PROCESS: &str = "#b8402a";
const INSTRUMENT: &str = "#7a7a7a";
const FAULT: &str = "#f7ecc4";
const TUNED: &str = "#dcebdc";
const FLOOR: &str = "#2f6db5";

struct Axis {
    from: i64,
    to: i64,
    zero: i64,
    unit: i64,
}

impl Axis {
    #[allow(clippy::cast_precision_loss)]
    fn x(&self, t: i64) -> f64 {
        LEFT + WIDTH * (t - self.from) as f64 / (self.to - self.from) as f64
    }
}

fn panel(out: &mut String, run: &Run, (unit, word): (i64, &str), top: f64) -> f64 {
    let r = &run.recording;
    let axis = Axis {
        from: r.start(),
        to: r.end(),
        zero: r.onset.unwrap_or(r.start()),
        unit,
    };
    let _ = writeln!(
        out,
        "<text x=\"16\" y=\"{}\" font-size=\"13\" font-weight=\"bold\">{}: {}</text>",
        top + 12.0,
        r.name,
        r.title
    );
    let alarms = order(&run.engine);
    let lines = alarms.len().clamp(1, SHOWN + 1);
    let first = top + 22.0;
    #[allow(clippy::cast_precision_loss)]
    let counts = first + lines as f64 * LINE + 6.0;
    let bottom = counts + COUNTS;
    let mut shade = |from: i64, to: i64, colour: &str| {
        let (x, width) = (axis.x(from), axis.x(to) - axis.x(from));
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{first}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/>",
            bottom - first
        );
    };
    if let Some(onset) = r.onset {
        shade(onset, axis.to, FAULT);
    }
    if !r.tuned.is_empty() {
        shade(axis.from, r.data.rows[r.tuned.end - 1].0.ns(), TUNED);
    }
    let mut y = first;
    for (n, name) in alarms.iter().enumerate() {
        if n == SHOWN {
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#666\">and {} more alarms</text>",
                LEFT - 8.0,
                y + 11.0,
                alarms.len() - SHOWN
            );
            break;
        }
        bar(out, &run.engine, name, &axis, y);
        y += LINE;
    }
    if alarms.is_empty() {
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#666\">no alarm</text>",
            LEFT - 8.0,
            y + 11.0
        );
    }
    histogram(out, run, &axis, counts);
    let since = match (r.onset, r.held) {
        (None, _) => "time",
        (_, None) => "time since the first row: the onset lies before it",
        _ => "time since the last normal row",
    };
    ticks(out, &axis, &format!("{since}, {word}"), bottom);
    if r.held.is_some() {
        let x = axis.x(axis.zero);
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {first}V{bottom}\" stroke=\"#222\" stroke-dasharray=\"4 3\"/>"
        );
    }
    bottom + 48.0
}

/// Alarms by the time of their first annunciation.
fn order(log: &Log) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for a in &log.alarms {
        if !names.contains(&a.name) {
            names.push(a.name.clone());
        }
    }
    names
}

fn bar(out: &mut String, log: &Log, name: &str, axis: &Axis, y: f64) {
    let process = log.alarms.iter().any(|a| a.name == name && a.process);
    let colour = if process { PROCESS } else { INSTRUMENT };
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"11\">{name}</text>",
        LEFT - 8.0,
        y + 11.0
    );
    for (from, to) in log.stood.get(name).into_iter().flatten() {
        let (x, end) = (axis.x(*from), axis.x(*to));
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{}\" width=\"{:.1}\" height=\"9\" fill=\"{colour}\"/>",
            y + 3.0,
            (end - x).max(1.5)
        );
    }
}

/// Annunciations in each 10 minutes: bars for the engine, a line for the floor.
#[allow(clippy::cast_precision_loss)]
fn histogram(out: &mut String, run: &Run, axis: &Axis, top: f64) {
    // As the table counts them: tens of minutes from the onset, either way.
    let width = 10 * MINUTE;
    let begin = axis.zero + (axis.from - axis.zero).div_euclid(width) * width;
    let counts = |log: &Log| log.bins(begin, axis.to);
    let engine = counts(&run.engine);
    let floor = run.floor.as_ref().map(counts);
    let most = engine.iter().chain(floor.iter().flatten()).max();
    let most = most.copied().unwrap_or(0).max(1);
    let base = top + COUNTS;
    let tall = |n: usize| (COUNTS - 8.0) * n as f64 / most as f64;
    let at = |bin: usize| axis.x((begin + bin as i64 * width).clamp(axis.from, axis.to));
    for (bin, n) in engine.iter().enumerate().filter(|(_, n)| **n > 0) {
        let (x, width) = (at(bin), at(bin + 1) - at(bin));
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{PROCESS}\"/>",
            base - tall(*n),
            width.max(1.0),
            tall(*n)
        );
    }
    if let Some(floor) = &floor {
        let mut path = format!("M{:.1} {base}", at(0));
        for (bin, n) in floor.iter().enumerate() {
            let y = base - tall(*n);
            let _ = write!(path, "L{:.1} {y:.1}L{:.1} {y:.1}", at(bin), at(bin + 1));
        }
        let _ = writeln!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{FLOOR}\" stroke-width=\"1\"/>"
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{most}</text>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"end\">process alarms per 10 min: 0</text>",
        LEFT - 8.0,
        top + 12.0,
        LEFT - 8.0,
        base
    );
}

#[allow(clippy::cast_precision_loss)]
fn ticks(out: &mut String, axis: &Axis, title: &str, bottom: f64) {
    let span = (axis.to - axis.from) / axis.unit;
    let steps = [1, 2, 5, 10, 20, 30, 60];
    let step = steps.into_iter().find(|s| span / s <= 14).unwrap_or(60);
    let _ = writeln!(
        out,
        "<path d=\"M{LEFT} {bottom}H{}\" stroke=\"#222\"/>",
        LEFT + WIDTH
    );
    let first = (axis.from - axis.zero).div_euclid(axis.unit * step) + 1;
    let last = (axis.to - axis.zero).div_euclid(axis.unit * step);
    for n in first..=last {
        let x = axis.x(axis.zero + n * step * axis.unit);
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {bottom}v4\" stroke=\"#222\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" font-size=\"11\">{}</text>",
            bottom + 16.0,
            n * step
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"11\">{title}</text>",
        LEFT + WIDTH,
        bottom + 30.0
    );
}
