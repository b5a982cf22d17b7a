//! The point table: rows to points, and what two rows may not both say.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use davy_points::{Binding, Life, PointDef, PointTable, Priority, Span};

use crate::binding::{self, Once};
use crate::cell;
use crate::faults::{Faults, did_you_mean, one_of};
use crate::headers::{self, Column as C, Header};
use crate::ids::Ids;
use crate::limits;
use crate::overlap::Places;
use crate::points_csv::Row;
use crate::row::RowReader;
use crate::scaling;
use crate::site::SiteSource;
use crate::sources::{SourceEntry, SourceKind, SourcesFile};
use crate::timing;
use crate::toml_site::SiteFile;

/// Longest tag; it stands in every record.
const LONGEST_TAG: usize = 128;

/// Where each tag was first said.
type Tags = HashMap<Arc<str>, Span>;

/// Hazard sources, areas, classes and units: a site has few, and every point names some.
#[derive(Default)]
struct Shared(HashSet<Arc<str>>);

impl Shared {
    fn out_of(&mut self, mut point: PointDef) -> PointDef {
        for text in [
            &mut point.hazard,
            &mut point.area,
            &mut point.class,
            &mut point.unit,
        ] {
            match self.0.get(text) {
                Some(one) => *text = Arc::clone(one),
                None => {
                    self.0.insert(Arc::clone(text));
                }
            }
        }
        point
    }
}

/// What points may name, and the table that they fill.
pub(crate) struct PointReader<'a> {
    pub(crate) file: &'a Path,
    pub(crate) site: &'a SiteFile,
    pub(crate) sources: &'a SourcesFile,
    pub(crate) today: jiff::civil::Date,
    pub(crate) table: &'a mut PointTable,
}

impl PointReader<'_> {
    pub(crate) fn read<'t>(&mut self, faults: &mut Faults, rows: impl Iterator<Item = Row<'t>>) {
        let mut header: Option<Header> = None;
        let mut tags = Tags::new();
        let mut places = Places::default();
        let mut once = Once::default();
        let mut shared = Shared::default();
        let mut points = 0usize;
        for row in rows {
            if row.cells.iter().all(|c| c.text.trim().is_empty()) {
                continue;
            }
            let Some(header) = &header else {
                header = Some(headers::read(faults, self.file, &row.cells));
                continue;
            };
            points += 1;
            if let Some(point) = self.row(faults, &mut tags, &mut once, header, &row) {
                let r = RowReader {
                    file: self.file,
                    header,
                    row: &row,
                };
                places.add(faults, &r, &point);
                let point = shared.out_of(point);
                // A duplicate tag was said already; nothing else can refuse a point.
                let _ = self.table.add(point);
            }
        }
        once.say(faults);
        if header.is_none() || points == 0 {
            faults.error(
                "E200",
                self.file,
                0..0,
                "the point table has no points",
                "write a header row and one row for each point",
            );
        }
    }

    fn row(
        &self,
        faults: &mut Faults,
        tags: &mut Tags,
        once: &mut Once,
        header: &Header,
        row: &Row<'_>,
    ) -> Option<PointDef> {
        let r = RowReader {
            file: self.file,
            header,
            row,
        };
        if row.unclosed {
            faults.error(
                "E204",
                self.file,
                r.span(),
                format!(
                    "row {}: a quote `\"` is opened and never closed",
                    row.number
                ),
                "close it; a quote inside a text is written twice",
            );
            return None;
        }
        if let Some(extra) = row
            .cells
            .iter()
            .skip(header.width)
            .find(|c| !c.text.trim().is_empty())
        {
            let (span, at) = headers::at_cell(&extra.place);
            faults.error(
                "E204",
                self.file,
                span,
                format!(
                    "{at}row {} has {} cells, the header has {}",
                    row.number,
                    row.cells.len(),
                    header.width
                ),
                "a text that holds a comma stands in double quotes",
            );
        }
        let tag = self.tag(faults, tags, &r);
        let point = self.point(faults, once, &r);
        Some(PointDef {
            tag: tag?,
            ..point?
        })
    }

    fn tag(&self, faults: &mut Faults, tags: &mut Tags, r: &RowReader<'_>) -> Option<Arc<str>> {
        let tag: Arc<str> = r.required(faults, C::Tag, "the point's tag (位号)")?.into();
        let strange = |c: char| {
            c.is_control() || c.is_whitespace() || matches!(c, '/' | '\\' | '"' | '*' | '?' | ',')
        };
        if tag.chars().any(strange) || tag.len() > LONGEST_TAG {
            r.error(
                faults,
                "E210",
                C::Tag,
                &format!("`{tag}` cannot be a tag"),
                "use letters, digits, `-`, `_`, `.`, `#` and the like, without spaces, `/`, `*`, `?` \
                 or quotes, at most 128 bytes: an alarm is named rule/tag/level",
            );
            return None;
        }
        if let Some(first) = tags.get(&tag) {
            let first = first.clone();
            let d = r.error(
                faults,
                "E209",
                C::Tag,
                &format!("the tag `{tag}` is in the table already"),
                "give each point its own tag",
            );
            d.label = "again here".to_owned();
            if !first.is_empty() {
                d.related
                    .push((self.file.to_owned(), first, "first here".to_owned()));
            }
            return None;
        }
        tags.insert(tag.clone(), r.cell_span(C::Tag));
        Some(tag)
    }

    fn point(&self, faults: &mut Faults, once: &mut Once, r: &RowReader<'_>) -> Option<PointDef> {
        let class = r.required(
            faults,
            C::Class,
            "the kind of instrument that rules select by, for example `tank_level`",
        );
        let hazard = named(faults, r, C::Hazard, &self.site.hazard_ids);
        let area = named(faults, r, C::Area, &self.site.area_ids);
        let source = self.source(faults, r);
        let binding = match source.map(|s| (s.kind, &s.source)) {
            Some((SourceKind::Modbus, _)) => binding::modbus(faults, once, r).map(Binding::Modbus),
            Some((SourceKind::Mqtt, Some(SiteSource::Mqtt(m)))) => {
                binding::mqtt(faults, r, Some(m)).map(Binding::Mqtt)
            }
            Some((SourceKind::Mqtt, _)) => binding::mqtt(faults, r, None).map(Binding::Mqtt),
            None => None,
        };
        let kind = match &binding {
            Some(Binding::Modbus(m)) => Some(m.kind),
            _ => None,
        };
        let range = scaling::range(faults, r);
        let scaling = scaling::scaling(faults, r, kind, range);
        let sentinels = scaling::sentinels(faults, r, kind);
        let limits = limits::limits(faults, r, kind, range);
        let deadband = r.magnitude(faults, C::Deadband).unwrap_or(0.0);
        let report_deadband = r.magnitude(faults, C::ReportDeadband);
        let on_delay = r.duration(faults, C::OnDelay).unwrap_or_default();
        let off_delay = r.duration(faults, C::OffDelay).unwrap_or_default();
        let priority = r
            .word(faults, C::Priority, priority, &["1", "2", "3", "4"])
            .flatten();
        let life = r.word(
            faults,
            C::Life,
            cell::life,
            &["planned", "commissioning", "in_service"],
        );
        let calibration_due = self.calibration(faults, r);
        let timing = timing::timing(faults, r, source);
        let (poll, expected_interval, stale_after) = timing?;
        Some(PointDef {
            tag: "".into(),
            description: r.words(C::Description).unwrap_or_default().into(),
            hazard: hazard?.into(),
            area: area?.into(),
            class: class?.into(),
            unit: r.words(C::Unit).map(cell::unit).unwrap_or_default().into(),
            low: range.0,
            high: range.1,
            source: source?.ix,
            binding: binding?,
            scaling,
            poll,
            expected_interval,
            stale_after,
            report_deadband,
            limits,
            deadband,
            on_delay,
            off_delay,
            priority,
            sentinels: sentinels.into(),
            life: life.flatten().unwrap_or(Life::InService),
            calibration_due: calibration_due.map(Into::into),
            note: r.words(C::Note).unwrap_or_default().into(),
            span: r.span(),
        })
    }

    fn source(&self, faults: &mut Faults, r: &RowReader<'_>) -> Option<&SourceEntry> {
        let name = r.required(faults, C::Source, "the id of a source in sources.toml")?;
        let found = self.sources.find(&name);
        if found.is_none() && !self.sources.ids.may_be(&name) {
            let known: Vec<&str> = self.sources.entries.iter().map(|s| &*s.id).collect();
            r.error(
                faults,
                "E208",
                C::Source,
                &format!("sources.toml declares no source `{name}`"),
                did_you_mean(&name, &known),
            );
        }
        found
    }

    fn calibration(&self, faults: &mut Faults, r: &RowReader<'_>) -> Option<String> {
        let text = r.plain(C::CalibrationDue)?;
        let Some(due) = cell::date(&text) else {
            r.error(
                faults,
                "E223",
                C::CalibrationDue,
                &format!("`{text}` is not a date"),
                "write it as `2027-03-01`",
            );
            return None;
        };
        if due < self.today {
            r.warning(
                faults,
                "W203",
                C::CalibrationDue,
                &format!("the calibration ran out on {due}"),
                "have the instrument calibrated, then write the new date; its alarms stay on",
            );
        }
        Some(due.to_string())
    }
}

/// A hazard source or area that the site declares; empty where the cell is.
fn named(faults: &mut Faults, r: &RowReader<'_>, column: C, ids: &Ids) -> Option<String> {
    let Some(name) = r.plain(column) else {
        return Some(String::new());
    };
    if ids.may_be(&name) {
        return Some(name.into_owned());
    }
    r.error(
        faults,
        "E208",
        column,
        &format!("site.toml declares no {} `{name}`", column.name()),
        format!(
            "{}; {}s stand in site.toml as `[[{}]]`",
            did_you_mean(&name, &ids.known()),
            column.name(),
            column.name()
        ),
    );
    None
}

fn priority(text: &str) -> Option<Priority> {
    text.parse().ok().and_then(Priority::new)
}

/// Sources that no point reads: polled for nothing, or a name misspelt.
pub(crate) fn unread_sources(
    faults: &mut Faults,
    file: &Path,
    sources: &SourcesFile,
    table: &PointTable,
) {
    let mut read = vec![false; sources.entries.len()];
    for (_, p) in table.iter() {
        if let Some(r) = read.get_mut(p.source.index()) {
            *r = true;
        }
    }
    for e in &sources.entries {
        if !read.get(e.ix.index()).copied().unwrap_or(true) {
            faults.warning(
                "W101",
                file,
                e.span.clone(),
                format!("no point reads the source `{}`", e.id),
                format!(
                    "name it in the column {}, or remove it",
                    one_of(&["source"])
                ),
            );
        }
    }
}
