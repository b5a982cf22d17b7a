//! A configuration directory, read whole: files to text, texts to the plan.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use davy_points::{Diagnostic, PointTable};
use sha2::{Digest, Sha256};

use crate::faults::Faults;
use crate::points::{PointReader, unread_sources};
use crate::points_csv::Rows;
use crate::secrets::{Secrets, cover};
use crate::sources::{self, SourcesFile};
use crate::text::decode;
use crate::toml_site::{self, SiteFile};
use crate::{ApprovalKey, Plan, points_xlsx};

/// What reading a directory gives.
#[derive(Debug)]
pub struct Loaded {
    /// The plan; there is one exactly where no fault is an error.
    pub plan: Option<Plan>,
    /// Every fault of the directory, warnings included.
    pub faults: Vec<Diagnostic>,
    /// The files as text, relative to the directory: what the faults' places refer to.
    pub texts: Vec<(PathBuf, String)>,
}

/// Largest file that is read: a table of 100 000 points takes some 20 MB.
const LARGEST_BYTES: u64 = 128 * 1024 * 1024;

/// Reads a configuration directory. `today` is the date in the site's eyes, for calibrations.
#[must_use]
pub fn load(dir: &Path, today: jiff::civil::Date) -> Loaded {
    load_with_environment(dir, today, &|name| std::env::var(name).ok())
}

/// As [`load`], with the environment (`DAVY_*`, for secrets) given.
#[must_use]
pub fn load_with_environment(
    dir: &Path,
    today: jiff::civil::Date,
    env: &dyn Fn(&str) -> Option<String>,
) -> Loaded {
    let mut reader = Directory {
        dir,
        faults: Faults::default(),
        texts: Vec::new(),
        hash: Sha256::new(),
    };
    let plan = reader.plan(today, env);
    let Directory {
        mut faults, texts, ..
    } = reader;
    for (file, text) in &texts {
        faults.drop_echoes(file, text);
    }
    Loaded {
        plan: if faults.has_error() { None } else { plan },
        faults: faults.into_list(),
        texts,
    }
}

struct Directory<'d> {
    dir: &'d Path,
    faults: Faults,
    texts: Vec<(PathBuf, String)>,
    hash: Sha256,
}

impl Directory<'_> {
    fn plan(
        &mut self,
        today: jiff::civil::Date,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Option<Plan> {
        if !self.dir.is_dir() {
            self.faults.error(
                "E100",
                Path::new(""),
                0..0,
                format!("`{}` is not a directory", self.dir.display()),
                "name a configuration directory: one that holds site.toml, sources.toml and points.csv",
            );
            return None;
        }
        let secrets = Secrets { dir: self.dir, env };
        let mut table = PointTable::new();

        let file = Path::new("site.toml");
        let site = match self.required_text(file) {
            Some(text) => toml_site::read(&mut self.faults, file, &text, &secrets),
            None => SiteFile::default(),
        };
        let file = Path::new("sources.toml");
        let sources = match self.required_text(file) {
            Some(text) => sources::read(&mut self.faults, file, &text, &secrets, &site, &mut table),
            None => SourcesFile::default(),
        };
        self.points(&site, &sources, &mut table, today);
        if !self.faults.has_error() {
            unread_sources(&mut self.faults, file, &sources, &table);
        }
        let rules = self.folder("rules", "toml");
        let (test_files, rule_files) = rules
            .into_iter()
            .partition(|(path, _)| path.to_string_lossy().ends_with(".test.toml"));
        let guidance = self
            .folder("guidance", "md")
            .into_iter()
            .filter_map(|(path, text)| Some((path.file_stem()?.to_str()?.to_owned(), text)))
            .collect();
        let rev: String = self
            .hash
            .clone()
            .finalize()
            .iter()
            .take(8)
            .map(|b| format!("{b:02x}"))
            .collect();
        Some(Plan {
            dir: self.dir.to_owned(),
            site: site.id?,
            name: site.name,
            zone: site.zone,
            hazards: site.hazards,
            areas: site.areas,
            gateways: site.gateways,
            center: site.center?,
            sinks: site.sinks,
            storage: self.dir.join(site.storage),
            approval_key: site.approval_key.map(ApprovalKey),
            points: Arc::new(table),
            sources: sources
                .entries
                .into_iter()
                .map(|e| e.source)
                .collect::<Option<Vec<_>>>()?,
            rule_files,
            test_files,
            guidance,
            rev: rev.into(),
        })
    }

    fn points(
        &mut self,
        site: &SiteFile,
        sources: &SourcesFile,
        table: &mut PointTable,
        today: jiff::civil::Date,
    ) {
        let csv = Path::new("points.csv");
        let xlsx = Path::new("points.xlsx");
        match (self.dir.join(csv).exists(), self.dir.join(xlsx).exists()) {
            (true, true) => {
                self.faults.error(
                    "E224",
                    xlsx,
                    0..0,
                    "both points.csv and points.xlsx are here",
                    "keep one of them: two tables would disagree sooner or later",
                );
            }
            (false, true) => {
                let Some(bytes) = self.bytes(xlsx) else {
                    return;
                };
                let rows = match points_xlsx::rows(&bytes) {
                    Ok(rows) => rows,
                    Err(why) => {
                        self.faults.error(
                            "E101",
                            xlsx,
                            0..0,
                            format!("the workbook cannot be read: {why}"),
                            "save it again as .xlsx with one sheet, or as points.csv",
                        );
                        return;
                    }
                };
                let mut reader = PointReader {
                    file: xlsx,
                    site,
                    sources,
                    today,
                    table,
                };
                reader.read(&mut self.faults, rows.into_iter());
            }
            _ => {
                let Some(text) = self.required_text(csv) else {
                    return;
                };
                let mut reader = PointReader {
                    file: csv,
                    site,
                    sources,
                    today,
                    table,
                };
                reader.read(&mut self.faults, Rows::new(&text));
            }
        }
    }

    /// A file that every directory has. Its text is kept for whoever shows the faults.
    fn required_text(&mut self, file: &Path) -> Option<String> {
        if !self.dir.join(file).exists() {
            let hint = match file.to_str() {
                Some("points.csv") => "write the point table as points.csv or points.xlsx",
                Some("sources.toml") => "write where values come from: `[[modbus]]` and `[[mqtt]]`",
                _ => "write the site: `[site]`, `[[gateway]]`, `[center]`",
            };
            self.faults
                .error("E100", file, 0..0, "the file is missing", hint);
            return None;
        }
        self.text(file)
    }

    fn text(&mut self, file: &Path) -> Option<String> {
        let bytes = self.bytes(file)?;
        match decode(&bytes) {
            Some(text) => {
                let shown = match file.to_str() {
                    Some("site.toml" | "sources.toml") => cover(&text),
                    _ => text.clone(),
                };
                self.texts.push((file.to_owned(), shown));
                Some(text)
            }
            None => {
                self.faults.error(
                    "E101",
                    file,
                    0..0,
                    "the file is neither UTF-8 nor GB18030 text",
                    "save it as UTF-8",
                );
                None
            }
        }
    }

    /// A file's bytes, which become part of the plan's hash.
    fn bytes(&mut self, file: &Path) -> Option<Vec<u8>> {
        let path = self.dir.join(file);
        let read = std::fs::metadata(&path).and_then(|m| {
            if !m.is_file() {
                Err(std::io::Error::other("not a file"))
            } else if m.len() > LARGEST_BYTES {
                Err(std::io::Error::other("larger than 128 MiB"))
            } else {
                std::fs::read(&path)
            }
        });
        match read {
            Ok(bytes) => {
                // Lengths stand before contents, so that no two directories share a hash input.
                let name = file.to_string_lossy();
                self.hash.update((name.len() as u64).to_le_bytes());
                self.hash.update(name.as_bytes());
                self.hash.update((bytes.len() as u64).to_le_bytes());
                self.hash.update(&bytes);
                Some(bytes)
            }
            Err(e) => {
                self.faults.error(
                    "E101",
                    file,
                    0..0,
                    format!("the file cannot be read: {e}"),
                    "make it a readable file",
                );
                None
            }
        }
    }

    /// The files of a folder with this extension, relative path and text, sorted by path.
    fn folder(&mut self, folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
        let path = self.dir.join(folder);
        if !path.exists() {
            return Vec::new();
        }
        let mut names = Vec::new();
        let entries = std::fs::read_dir(&path)
            .and_then(|entries| entries.collect::<Result<Vec<_>, std::io::Error>>());
        match entries {
            Ok(entries) => names.extend(entries.into_iter().map(|e| e.file_name())),
            Err(e) => {
                self.faults.error(
                    "E101",
                    Path::new(folder),
                    0..0,
                    format!("the folder cannot be read: {e}"),
                    "make it a readable folder",
                );
            }
        }
        names.sort();
        let mut files = Vec::new();
        for name in names {
            let file = Path::new(folder).join(&name);
            if file.extension() != Some(OsStr::new(extension)) {
                continue;
            }
            if name.to_str().is_none() {
                self.faults.error(
                    "E101",
                    &file,
                    0..0,
                    "the file's name is not UTF-8",
                    "rename the file",
                );
                continue;
            }
            if let Some(text) = self.text(&file) {
                files.push((file, text));
            }
        }
        files
    }
}
