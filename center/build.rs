//! Builds the console with npm, so that no bundle and no third-party code is committed.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::SystemTime;

fn main() -> ExitCode {
    for input in [
        "build.rs",
        "console/src",
        "console/package.json",
        "console/package-lock.json",
        "console/build.mjs",
        "console/tsconfig.json",
    ] {
        println!("cargo::rerun-if-changed={input}");
    }
    match build(Path::new("console")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error={why}");
            ExitCode::FAILURE
        }
    }
}

fn build(console: &Path) -> Result<(), String> {
    let out = std::env::var("OUT_DIR").map_err(|e| format!("OUT_DIR: {e}"))?;
    let out = Path::new(&out).join("console");
    // Files that are no longer built must not be embedded.
    if out.exists() {
        std::fs::remove_dir_all(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    }
    std::fs::create_dir_all(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    if Command::new(NPM).arg("--version").output().is_err() {
        return Err(
            "the console is built with npm, which is not on the PATH: install Node.js 18 or newer (Debian: apt install nodejs npm)".into(),
        );
    }
    if modules_are_old(console) {
        npm(
            console,
            &["ci", "--no-audit", "--no-fund"],
            "npm could not install the console's packages: is the npm registry reachable?",
        )?;
        // npm keeps the packages' own times; ours says when they were installed.
        touch(&console.join("node_modules/.davy-installed"))?;
    }
    let folder = out.to_str().ok_or("the build folder's path is not UTF-8")?;
    npm(
        console,
        &["run", "build", "--", "--outdir", folder],
        "the console does not build",
    )?;
    embed(&out)
}

/// The type that holds the files. Written here because the folder is known only now, and the
/// crate's own way to name it brings five more crates.
fn embed(out: &Path) -> Result<(), String> {
    let code = format!(
        "#[derive(rust_embed::RustEmbed)]\n#[folder = {:?}]\nstruct Console;\n",
        out.display().to_string()
    );
    let file = out.with_extension("rs");
    std::fs::write(&file, code).map_err(|e| format!("{}: {e}", file.display()))
}

const NPM: &str = if cfg!(windows) { "npm.cmd" } else { "npm" };

fn npm(console: &Path, args: &[&str], failed: &str) -> Result<(), String> {
    let output = Command::new(NPM)
        .args(args)
        .current_dir(console)
        .output()
        .map_err(|e| format!("{failed} ({e})"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let tail: Vec<&str> = said
        .lines()
        .rev()
        .filter(|l| !l.trim().is_empty())
        .take(12)
        .collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(format!(
        "{failed} (`npm {}` in center/console: {})",
        args.join(" "),
        tail.join(" | ")
    ))
}

fn modules_are_old(console: &Path) -> bool {
    let time = |path: &str| -> Option<SystemTime> {
        std::fs::metadata(console.join(path)).ok()?.modified().ok()
    };
    let installed =
        time("node_modules/.davy-installed").or_else(|| time("node_modules/.package-lock.json"));
    match (installed, time("package-lock.json")) {
        (Some(installed), Some(lock)) => installed < lock,
        _ => true,
    }
}

fn touch(path: &Path) -> Result<(), String> {
    std::fs::write(path, b"").map_err(|e| format!("{}: {e}", path.display()))
}
