//! Which changes of the rules does no test notice? The changes are those that `cargo mutants --list`
//! names; but instead of compiling the crate once for each, all are woven in at once and switched on
//! one at a time, and of each only those tests are run that pass by it, the quick ones first.
//!
//! `davy-mutants TREE OUT [K/N] [PLACE…]`: a copy of the repository that is written into, a folder for what was
//! found (`results.jsonl`: delete it to begin anew; `rest.txt`: what only cargo-mutants can try), and
//! which share to try, evenly spread, or what stands in a change's name. Read `weave.rs` for how a change is woven in.

mod weave;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const SWITCH: &str = include_str!("switch.rs");

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, tree, out, rest @ ..] = &args[..] else {
        eprintln!("davy-mutants TREE OUT [K/N] [PLACE…]");
        std::process::exit(2);
    };
    let share = |s: &String| {
        let (k, n) = s.split_once('/')?;
        Some((k.parse::<usize>().ok()?, n.parse::<usize>().ok()?))
    };
    let (shares, places): (Vec<_>, Vec<_>) = rest.iter().partition(|s| share(s).is_some());
    let share = shares.first().and_then(|s| share(s)).unwrap_or((0, 1));
    let (tree, out) = (Path::new(tree), Path::new(out));
    std::fs::create_dir_all(out).unwrap();
    let listed = Command::new("cargo")
        .args(["mutants", "--package", "davy-rules", "--list", "--json"])
        .current_dir(tree)
        .output()
        .unwrap();
    let list: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    let (ids, rest, binary) = build(tree, &list);
    let name = |n: usize| list[n - 1]["name"].as_str().unwrap();
    let lines: Vec<&str> = rest.iter().map(|n| name(*n)).collect();
    std::fs::write(out.join("rest.txt"), lines.join("\n")).unwrap();
    let tests = tests(tree, out, &binary);
    let wanted = |n: usize| places.is_empty() || places.iter().any(|p| name(n).contains(*p));
    let ids: Vec<usize> = ids
        .into_iter()
        .filter(|n| wanted(*n) && n % share.1 == share.0)
        .collect();
    println!("{} of {} changes are tried", ids.len(), list.len());
    try_all(tree, out, &binary, &tests, &ids, &name);
    report(out, &list, &ids);
}

/// Weaves and compiles until it compiles: what the compiler refuses is unviable. Which changes are
/// in, which only cargo-mutants can try, and the binary of the unit tests.
fn build(tree: &Path, list: &[Value]) -> (BTreeSet<usize>, BTreeSet<usize>, PathBuf) {
    let (mut unviable, mut unwoven) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let clean = Command::new("git")
            .args(["checkout", "--quiet", "--", "rules"])
            .current_dir(tree)
            .status();
        assert!(clean.unwrap().success());
        let skip: BTreeSet<usize> = unviable.union(&unwoven).copied().collect();
        let woven = weave::weave(list, tree, &skip);
        // What is woven in is no style.
        let manifest = tree.join("rules/Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, text.replace("[lints]\nworkspace = true", "")).unwrap();
        let lib = tree.join("rules/src/lib.rs");
        let text = std::fs::read_to_string(&lib).unwrap();
        std::fs::write(&lib, text + SWITCH).unwrap();
        let compiled = Command::new("cargo")
            .args(["test", "--profile", "mutants", "-p", "davy-rules", "--lib"])
            .args(["--no-run", "--message-format=json"])
            .current_dir(tree)
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let mut found = 0;
        let mut binary = None;
        for line in compiled.stdout.lines() {
            let Ok(m) = serde_json::from_str::<Value>(&line.unwrap()) else {
                continue;
            };
            if let (Some(path), Some(true)) =
                (m["executable"].as_str(), m["profile"]["test"].as_bool())
            {
                binary = Some(PathBuf::from(path));
            }
            if m["message"]["level"] == "error"
                && let Some((own, whose)) = whose(tree, &m["message"])
            {
                found += 1;
                let to = if own { &mut unviable } else { &mut unwoven };
                to.extend(whose);
            }
        }
        if compiled.status.success() {
            let ids = woven.done.difference(&woven.unviable).copied().collect();
            let rest = unwoven
                .difference(&unviable)
                .copied()
                .chain(woven.not)
                .collect();
            return (ids, rest, binary.expect("a test binary"));
        }
        assert!(found > 0, "{}", String::from_utf8_lossy(&compiled.stdout));
        println!("{found} faults of the compiler belong to changes that are left out");
    }
}

/// To which changes a fault belongs: true where it lies in what one puts in.
fn whose(tree: &Path, message: &Value) -> Option<(bool, Vec<usize>)> {
    let spans = message["spans"].as_array()?;
    let primary = |s: &&Value| s["is_primary"] == true;
    let rest = spans.iter().filter(|s| !primary(s));
    for s in spans.iter().filter(primary).chain(rest) {
        let Ok(text) = std::fs::read(tree.join(s["file_name"].as_str()?)) else {
            continue;
        };
        let before =
            String::from_utf8_lossy(&text[..s["byte_start"].as_u64()? as usize]).into_owned();
        // The innermost mark that is still open.
        let mut open: Vec<(bool, &str)> = Vec::new();
        for comment in before
            .split("/*")
            .skip(1)
            .filter_map(|c| c.split_once("*/"))
            .map(|c| c.0)
        {
            let closes = match (comment.strip_suffix('>'), comment.strip_suffix('}')) {
                (Some(ids), _) => Some((true, ids)),
                (_, Some(ids)) => Some((false, ids)),
                _ => None,
            };
            let opens = match (comment.strip_prefix('<'), comment.strip_prefix('{')) {
                (Some(ids), _) => Some((true, ids)),
                (_, Some(ids)) => Some((false, ids)),
                _ => None,
            };
            if let Some(at) = closes.and_then(|c| open.iter().rposition(|o| *o == c)) {
                open.truncate(at);
            }
            open.extend(opens);
        }
        if let Some((own, ids)) = open.last() {
            return Some((
                *own,
                ids.split(',').filter_map(|n| n.parse().ok()).collect(),
            ));
        }
    }
    None
}

fn run(tree: &Path, binary: &Path) -> Command {
    let mut c = Command::new("sh");
    // A change may make a loop that takes all memory.
    c.args(["-c", "ulimit -v 4194304 && exec \"$0\" \"$@\""])
        .arg(binary)
        .current_dir(tree.join("rules"))
        .env("PROPTEST_CASES", "24")
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        // One change's failure may not help to find another.
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
        .env("RUST_BACKTRACE", "0")
        .stderr(Stdio::null());
    c
}

/// The tests that pass by each change, the quickest first, with their seconds.
fn tests(tree: &Path, out: &Path, binary: &Path) -> HashMap<usize, Vec<(f64, String)>> {
    let timed = run(tree, binary)
        // Only so does a stable compiler's test binary tell the time.
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["-Z", "unstable-options", "--report-time"])
        .output()
        .unwrap();
    assert!(
        timed.status.success(),
        "{}",
        String::from_utf8_lossy(&timed.stdout)
    );
    let mut seconds: BTreeMap<String, f64> = BTreeMap::new();
    for line in timed.stdout.lines().map(Result::unwrap) {
        if let Some((name, time)) = line
            .strip_prefix("test ")
            .and_then(|l| l.split_once(" ... ok <"))
        {
            let name = name.trim_end_matches(" - should panic");
            seconds.insert(
                name.to_owned(),
                time.trim_end_matches("s>").parse().unwrap(),
            );
        }
    }
    let seen = out.join("seen");
    let _ = std::fs::remove_dir_all(&seen);
    std::fs::create_dir_all(&seen).unwrap();
    // Tests that count allocations fail here; they have passed above.
    run(tree, binary)
        .env("DAVY_MUTANT_SEEN", std::fs::canonicalize(&seen).unwrap())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let mut by: HashMap<usize, Vec<(f64, String)>> = HashMap::new();
    for (test, seconds) in &seconds {
        let passed = std::fs::read_to_string(seen.join(test)).unwrap_or_default();
        for n in passed.split_whitespace() {
            by.entry(n.parse().unwrap())
                .or_default()
                .push((*seconds, test.clone()));
        }
    }
    for tests in by.values_mut() {
        tests.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    by
}

fn try_all<'n>(
    tree: &Path,
    out: &Path,
    binary: &Path,
    tests: &HashMap<usize, Vec<(f64, String)>>,
    ids: &[usize],
    name: &(dyn Fn(usize) -> &'n str + Sync),
) {
    let path = out.join("results.jsonl");
    let known: BTreeSet<usize> = results(&path).into_keys().collect();
    let left = Mutex::new(ids.iter().copied().filter(|n| !known.contains(n)));
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path);
    let file = Mutex::new(file.unwrap());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|s| {
        for _ in 0..workers {
            s.spawn(|| {
                loop {
                    let Some(n) = left.lock().unwrap().next() else { return };
                    let of = tests.get(&n).map_or(&[][..], Vec::as_slice);
                    let (what, by) = try_one(tree, binary, n, of);
                    let line = json!({"id": n, "name": name(n), "result": what, "by": by, "tests": of.len()});
                    writeln!(file.lock().unwrap(), "{line}").unwrap();
                }
            });
        }
    });
}

fn try_one(
    tree: &Path,
    binary: &Path,
    n: usize,
    tests: &[(f64, String)],
) -> (&'static str, String) {
    if tests.is_empty() {
        return ("unreached", String::new());
    }
    let quick = tests.partition_point(|t| t.0 < 0.03);
    let middling = tests.partition_point(|t| t.0 < 0.3);
    for part in [&tests[..quick], &tests[quick..middling], &tests[middling..]] {
        if part.is_empty() {
            continue;
        }
        let sum: f64 = part.iter().map(|t| t.0).sum();
        let limit = Duration::from_secs_f64(8.0 + 8.0 * sum);
        let started = Instant::now();
        let mut child = run(tree, binary)
            .args(["--exact", "--test-threads=1"])
            .args(part.iter().map(|t| &t.1))
            .env("DAVY_MUTANT", n.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let child = Mutex::new(child);
        let done = Mutex::new(false);
        let (mut failed, mut last) = (false, String::new());
        std::thread::scope(|s| {
            s.spawn(|| {
                while !*done.lock().unwrap() {
                    if started.elapsed() > limit {
                        let _ = child.lock().unwrap().kill();
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(rest) = line.strip_prefix("test ") {
                    last = rest.split(' ').next().unwrap_or_default().to_owned();
                    if rest.ends_with("FAILED") {
                        failed = true;
                        let _ = child.lock().unwrap().kill();
                        break;
                    }
                }
            }
            *done.lock().unwrap() = true;
        });
        let status = child.into_inner().unwrap().wait().unwrap();
        if failed || (!status.success() && started.elapsed() <= limit) {
            return ("caught", last);
        }
        if !status.success() {
            return ("timeout", last);
        }
    }
    ("missed", String::new())
}

fn results(path: &Path) -> BTreeMap<usize, Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok());
    lines
        .filter_map(|v| Some((v["id"].as_u64()? as usize, v)))
        .collect()
}

/// What nobody noticed, and the share of the rest.
fn report(out: &Path, list: &[Value], ids: &[usize]) {
    let all = results(&out.join("results.jsonl"));
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for r in ids.iter().filter_map(|n| all.get(n)) {
        let what = r["result"].as_str().unwrap_or_default();
        *count.entry(what.to_owned()).or_default() += 1;
        if what == "missed" || what == "unreached" {
            println!("{what} {}", r["name"].as_str().unwrap_or_default());
        }
    }
    let of = |what: &str| count.get(what).copied().unwrap_or(0) as f64;
    let tried: usize = count.values().sum();
    // Wilson's interval, 95 %.
    let (n, z) = (tried.max(1) as f64, 1.96);
    let p = (of("caught") + of("timeout")) / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    println!(
        "{tried} tried of {}: {count:?}; {:.1} % noticed (95 %: {:.1}–{:.1})",
        list.len(),
        100.0 * p,
        100.0 * (middle - half),
        100.0 * (middle + half)
    );
}
