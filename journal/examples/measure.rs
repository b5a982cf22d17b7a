//! How fast the journal and the series are on this disk, each beside its floor:
//! `cargo run --release -p davy-journal --example measure`.

use std::error::Error;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use davy_journal::{Journal, JournalEvent, Row, Series, SeriesPoint, Submission, spawn};
use davy_points::{Quality, Timestamp, Value};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_700_000_000 * SECOND;

fn main() -> Result<(), Box<dyn Error>> {
    floor()?;
    transitions()?;
    for (points, seconds, batch) in [(1_000, 3_600, 20_000), (20_000, 100, 20_000)] {
        samples(points, seconds, batch)?;
    }
    day()?;
    Ok(())
}

/// The disk itself: one small write and one fsync.
fn floor() -> Result<(), Box<dyn Error>> {
    use std::io::Write;
    let dir = tempfile::tempdir()?;
    let mut file = std::fs::File::create(dir.path().join("floor"))?;
    let n = 200;
    let at = Instant::now();
    for _ in 0..n {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
    }
    println!(
        "floor: 4 KiB + fsync          {:>10.2?} each",
        at.elapsed() / n
    );
    Ok(())
}

fn transitions() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let text = "x".repeat(800);
    let of = |seq: u64| Submission {
        records: vec![(
            seq,
            format!(r#"{{"v":1,"seq":{seq},"text":"{text}"}}"#).into_bytes(),
        )],
        ..Submission::default()
    };
    let mut journal = Journal::open(dir.path(), "site/gw")?;
    let n = 500;
    let at = Instant::now();
    for seq in 1..=n {
        journal.append(&[&of(seq)], &[])?;
    }
    println!(
        "journal: one at a time        {:>10.2?} each",
        at.elapsed() / n as u32
    );
    let (tell, events) = channel();
    let handle = spawn(journal, Box::new(move |event| drop(tell.send(event))));
    let many = 200_000;
    let at = Instant::now();
    for seq in n + 1..=n + many {
        handle.submit(of(seq));
    }
    let (mut done, mut late) = (0, 0);
    while done < many {
        match events.recv()? {
            JournalEvent::Committed(sealed) => done += sealed.len() as u64,
            JournalEvent::Late(records) => late += records.len(),
            other => println!("{other:?}"),
        }
    }
    let rate = many as f64 / at.elapsed().as_secs_f64();
    println!("journal: flood, group commit  {rate:>10.0} records/s ({late} told late)");
    drop(handle);
    Ok(())
}

/// A tank level, 12 bits, that wanders.
fn level(point: i64, second: i64) -> f64 {
    let raw = 2_000 + (second * 7 + point * 131) % 61 + (second / 40 + point) % 500;
    raw as f64 * 0.025
}

fn scans(points: &[SeriesPoint], seconds: i64, batch: usize) -> Vec<Vec<Row>> {
    let mut batches = vec![Vec::with_capacity(batch)];
    for second in 0..seconds {
        for (i, point) in points.iter().enumerate() {
            if batches.last().is_some_and(|b| b.len() >= batch) {
                batches.push(Vec::with_capacity(batch));
            }
            let time = START + second * SECOND;
            if let Some(rows) = batches.last_mut() {
                rows.push(Row {
                    point: *point,
                    value: Value::F64(level(i as i64, second)),
                    quality: Quality::Good,
                    time: Timestamp(time),
                    offset_ns: 0,
                    arrival: Timestamp(time),
                });
            }
        }
    }
    batches
}

fn samples(points: usize, seconds: i64, batch: usize) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let mut series = Series::open(dir.path())?;
    let interned: Vec<SeriesPoint> = (0..points)
        .map(|i| series.intern(&format!("T-{i}")))
        .collect();
    let batches = scans(&interned, seconds, batch);
    let rows: usize = batches.iter().map(Vec::len).sum();
    let rate = |at: Instant| rows as f64 / at.elapsed().as_secs_f64() / 1e6;
    let at = Instant::now();
    for rows in &batches {
        series.append(rows)?;
    }
    let append = rate(at);
    series.release(u64::MAX);
    let at = Instant::now();
    let mut worst = Duration::ZERO;
    loop {
        let one = Instant::now();
        let done = series.compact(Duration::from_millis(20))?;
        worst = worst.max(one.elapsed());
        if !done.more {
            break;
        }
    }
    series.compact_all()?;
    let compact = rate(at);
    let db = rusqlite::Connection::open(dir.path().join("series.db"))?;
    let bytes: i64 = db.query_row("SELECT sum(length(blob)) FROM chunk", [], |r| r.get(0))?;
    let each = bytes as f64 / rows as f64;
    println!(
        "series: {points:>6} points, {rows} rows in batches of {batch}: append {append:.2} M rows/s durable, \
         compact {compact:.2} M rows/s (20 ms calls took up to {worst:.0?}), {each:.2} B/sample"
    );
    drop(series);
    let at = Instant::now();
    let series = Series::open(dir.path())?;
    println!("series: open                  {:>10.2?}", at.elapsed());
    drop(series);
    Ok(())
}

fn day() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let mut series = Series::open(dir.path())?;
    let points: Vec<SeriesPoint> = (0..20).map(|i| series.intern(&format!("T-{i}"))).collect();
    for rows in scans(&points, 86_400, 60 * 20) {
        series.append(&rows)?;
        series.compact(Duration::ZERO)?;
    }
    let read = series.reader()?;
    let (from, to) = (Timestamp(START), Timestamp(START + 86_400 * SECOND));
    for _ in 0..2 {
        let at = Instant::now();
        let rows = read.history("T-7", from, to, usize::MAX)?;
        println!(
            "series: a day's history       {:>10.2?} ({} rows)",
            at.elapsed(),
            rows.len()
        );
    }
    let at = Instant::now();
    let trend = read.history_decimated("T-7", from, to, 2_000, Duration::from_secs(5))?;
    println!(
        "series: a day's trend         {:>10.2?} ({} rows)",
        at.elapsed(),
        trend.rows.len()
    );
    let at = Instant::now();
    let latest = read.latest("T-7")?;
    println!(
        "series: latest                {:>10.2?} ({})",
        at.elapsed(),
        latest.is_some()
    );
    Ok(())
}
