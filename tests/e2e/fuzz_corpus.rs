//! Every untrusted input, on the stable compiler: the seeds of `tests/fuzz/corpus`, and mutations of
//! them. `DAVY_FUZZ_SECONDS` says how long each target is mutated (default: a moment),
//! `DAVY_FUZZ_TARGET` which one alone.
//!
//! An input that once broke something is kept as a seed, so that it never does again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub
)]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let mut seeds: Vec<_> = fs::read_dir(dir.join(target))
        .unwrap_or_else(|e| panic!("no corpus of {target}: {e}"))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

#[test]
fn every_target_has_its_corpus_and_its_binary_and_withstands_its_seeds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz");
    let binaries = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for (name, target) in targets::TARGETS {
        let path = format!("fuzz_targets/{name}.rs");
        assert!(fuzz.join(&path).is_file(), "{path} is missing");
        assert!(binaries.contains(&path), "{path} is not in Cargo.toml");
        let seeds = corpus(name);
        assert!(seeds.len() >= 3, "{name} has {} seeds", seeds.len());
        for (path, seed) in seeds {
            println!("{}", path.display());
            target(&seed);
        }
    }
}

#[test]
fn every_target_withstands_mutations_of_its_seeds() {
    let seconds = std::env::var("DAVY_FUZZ_SECONDS").ok();
    let long = seconds.map(|s| Duration::from_secs(s.parse().expect("DAVY_FUZZ_SECONDS: seconds")));
    let alone = std::env::var("DAVY_FUZZ_TARGET").ok();
    let all = targets::TARGETS.into_iter();
    for (name, target) in all.filter(|(name, _)| alone.as_ref().is_none_or(|a| a == name)) {
        let seeds: Vec<_> = corpus(name).into_iter().map(|(_, seed)| seed).collect();
        let mut random = Random(long.map_or(1, |_| rand_seed()));
        println!("{name}, seed {}", random.0);
        let began = Instant::now();
        let mut runs = 0_u64;
        while long.map_or(runs < 500, |long| began.elapsed() < long) {
            let input = random.mutate(&seeds);
            let keep = std::env::temp_dir().join(format!("davy-fuzz-{}", std::process::id()));
            if std::panic::catch_unwind(|| target(&input)).is_err() {
                fs::write(&keep, &input).unwrap();
                panic!(
                    "{name} fails on {}: {:?}",
                    keep.display(),
                    String::from_utf8_lossy(&input)
                );
            }
            runs += 1;
        }
        println!("{name}: {runs} inputs in {:?}", began.elapsed());
    }
}

fn rand_seed() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos() % 1_000_000_007).unwrap() + 1
}

/// xorshift64*: enough to choose places.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let r = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(r).unwrap() % n.max(1)
    }

    /// A seed with a few places changed: bits, bytes, pieces cut, doubled or taken from another.
    fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        const ODD: [&[u8]; 14] = [
            b"\0",
            b"\xff\xff",
            b"-1",
            b"9223372036854775808",
            b"1e309",
            b"\"",
            b"\\",
            b"\n",
            b"{",
            b"]",
            b"\xe2\x80\xa8",
            b"NaN",
            b"\xf0\x9f",
            b"''",
        ];
        let mut data = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(6) {
            let at = self.below(data.len() + 1);
            let to = (at + self.below(24)).min(data.len());
            match self.below(6) {
                0 if at < data.len() => data[at] ^= 1 << self.below(8),
                1 if at < data.len() => data[at] = u8::try_from(self.below(256)).unwrap(),
                2 => drop(data.drain(at..to)),
                3 => {
                    let piece = data[at..to].to_vec();
                    data.splice(at..at, piece);
                }
                4 => drop(data.splice(at..to, ODD[self.below(ODD.len())].iter().copied())),
                _ => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    let until = (from + self.below(64)).min(other.len());
                    data.splice(at..to, other[from..until].iter().copied());
                }
            }
        }
        data
    }
}
