//! The columns of a point table: their names in English, and the Chinese ones that tables have.

use std::path::Path;

use davy_points::Span;

use crate::cell::halfwidth;
use crate::duration::Unit;
use crate::faults::{Faults, nearest};
use crate::points_csv::{Cell, Place};

/// A column that means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Column {
    Tag,
    Description,
    Hazard,
    Area,
    Class,
    Unit,
    Low,
    High,
    Source,
    UnitId,
    Table,
    Address,
    Type,
    Order,
    Scale,
    Offset,
    RawLow,
    RawHigh,
    Signal,
    Status,
    Poll,
    ReportDeadband,
    LL,
    L,
    H,
    HH,
    Deadband,
    OnDelay,
    OffDelay,
    Priority,
    StaleAfter,
    Sentinel,
    Life,
    CalibrationDue,
    Note,
}

use Column as C;

/// Every column, its name in `formats.md` section 2, and its aliases.
pub(crate) const COLUMNS: [(Column, &str, &[&str]); 35] = [
    (C::Tag, "tag", &["位号", "仪表位号", "点位号"]),
    (C::Description, "description", &["描述", "点描述", "名称"]),
    (
        C::Hazard,
        "hazard",
        &["重大危险源", "重大危险源编码", "危险源"],
    ),
    (C::Area, "area", &["区域", "装置", "装置/区域", "责任区"]),
    (C::Class, "class", &["仪表类型", "点类型"]),
    (C::Unit, "unit", &["单位", "工程单位"]),
    (C::Low, "low", &["量程下限"]),
    (C::High, "high", &["量程上限"]),
    (C::Source, "source", &["数据源", "来源", "采集源"]),
    (
        C::UnitId,
        "unit_id",
        &["站号", "从站号", "从站地址", "单元号"],
    ),
    (C::Table, "table", &["功能码", "寄存器类型", "寄存器区"]),
    (C::Address, "address", &["寄存器地址", "地址", "主题"]),
    (C::Type, "type", &["数据类型"]),
    (C::Order, "order", &["字节序"]),
    (C::Scale, "scale", &["倍率", "系数"]),
    (C::Offset, "offset", &["偏移", "偏移量"]),
    (C::RawLow, "raw_low", &["原始下限", "码值下限"]),
    (C::RawHigh, "raw_high", &["原始上限", "码值上限"]),
    (C::Signal, "signal", &["信号类型", "信号"]),
    (C::Status, "status", &["状态字", "状态寄存器"]),
    (C::Poll, "poll", &["采集周期", "采集级别"]),
    (
        C::ReportDeadband,
        "report_deadband",
        &["上报死区", "变化上报"],
    ),
    (C::LL, "LL", &["低低报", "低低限"]),
    (C::L, "L", &["低报", "低限"]),
    (C::H, "H", &["高报", "高限"]),
    (C::HH, "HH", &["高高报", "高高限"]),
    (C::Deadband, "deadband", &["死区", "报警死区", "回差"]),
    (C::OnDelay, "on_delay", &["延时", "报警延时"]),
    (C::OffDelay, "off_delay", &["恢复延时", "返回延时"]),
    (C::Priority, "priority", &["报警级别", "报警优先级"]),
    (C::StaleAfter, "stale_after", &["失效时间", "超时时间"]),
    (C::Sentinel, "sentinel", &["无效值", "无效码"]),
    (C::Life, "life", &["投用状态", "生命周期"]),
    (
        C::CalibrationDue,
        "calibration_due",
        &["检定有效期", "检定有效期至"],
    ),
    (C::Note, "note", &["备注"]),
];

/// Columns that integrators' tables carry and this version does not use.
pub(crate) const UNUSED: &[&str] = &[
    "序号",
    "设备编码",
    "介质",
    "联锁值",
    "上传周期",
    "上传平台",
    "平台指标编码",
];

/// Columns without which no point can be made.
const REQUIRED: [Column; 4] = [C::Tag, C::Class, C::Source, C::Address];

impl Column {
    /// Its name in `formats.md`.
    pub(crate) const fn name(self) -> &'static str {
        COLUMNS[self as usize].1
    }
}

/// Which cell of a row holds which column.
#[derive(Debug)]
pub(crate) struct Header {
    index: [Option<usize>; COLUMNS.len()],
    units: [Option<Unit>; COLUMNS.len()],
    /// How many cells a row may have.
    pub(crate) width: usize,
    /// Where the header row stands; 0..0 in a sheet.
    pub(crate) span: Span,
    /// A column was not known: it may well be one that seems missing, misspelt.
    unknown: bool,
}

impl Header {
    /// Says that a column is missing, unless an unknown one was named already that may be it.
    pub(crate) fn missing(&self, faults: &mut Faults, file: &Path, column: Column, why: &str) {
        if self.unknown {
            return;
        }
        let (_, name, aliases) = COLUMNS[column as usize];
        faults.error(
            "E202",
            file,
            self.span.clone(),
            format!("the point table has no column `{name}`{why}"),
            format!("add the column `{name}` ({})", aliases[0]),
        );
    }

    pub(crate) fn index(&self, column: Column) -> Option<usize> {
        self.index[column as usize]
    }

    /// The unit that the header itself names: `延时(s)`.
    pub(crate) fn unit(&self, column: Column) -> Option<Unit> {
        self.units[column as usize]
    }
}

/// Says a fault at a cell, wherever the table came from.
pub(crate) fn at_cell(place: &Place) -> (Span, String) {
    match place {
        Place::Text(span) => (span.clone(), String::new()),
        Place::Sheet(name) => (0..0, format!("cell {name}: ")),
    }
}

/// Reads the header row.
pub(crate) fn read(faults: &mut Faults, file: &Path, cells: &[Cell<'_>]) -> Header {
    let mut header = Header {
        index: [None; COLUMNS.len()],
        units: [None; COLUMNS.len()],
        width: cells.len(),
        span: match (
            cells.first().map(|c| &c.place),
            cells.last().map(|c| &c.place),
        ) {
            (Some(Place::Text(a)), Some(Place::Text(b))) => a.start..b.end,
            _ => 0..0,
        },
        unknown: false,
    };
    for (i, cell) in cells.iter().enumerate() {
        let written = halfwidth(&cell.text);
        let written = written.trim();
        if written.is_empty() {
            continue;
        }
        let (span, at) = at_cell(&cell.place);
        let Some((column, unit)) = find(written) else {
            let bare = split_unit(written).0;
            if UNUSED.contains(&written) || UNUSED.contains(&bare) {
                faults.warning(
                    "W206",
                    file,
                    span,
                    format!("{at}column `{written}` is not used by this version"),
                    "it is read over; nothing depends on it",
                );
                continue;
            }
            header.unknown = true;
            let all: Vec<&str> = COLUMNS
                .iter()
                .flat_map(|(_, name, aliases)| std::iter::once(name).chain(*aliases))
                .copied()
                .collect();
            let hint = match nearest(written, &all) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "the columns are {}",
                    COLUMNS.map(|(_, name, _)| name).join(", ")
                ),
            };
            faults
                .error(
                    "E201",
                    file,
                    span,
                    format!("{at}unknown column `{written}`"),
                    hint,
                )
                .label = "not a column of a point table".to_owned();
            continue;
        };
        if let Some(first) = header.index[column as usize] {
            let d = faults.error(
                "E203",
                file,
                span,
                format!("{at}column `{}` stands here twice", column.name()),
                "remove one of the two; a name and its alias are one column",
            );
            if let Place::Text(span) = &cells[first].place {
                d.related
                    .push((file.to_owned(), span.clone(), "first here".to_owned()));
            }
            continue;
        }
        header.index[column as usize] = Some(i);
        header.units[column as usize] = unit;
    }
    for column in REQUIRED {
        if header.index(column).is_none() {
            header.missing(faults, file, column, "");
        }
    }
    header
}

fn find(written: &str) -> Option<(Column, Option<Unit>)> {
    let exact = |name: &str| {
        COLUMNS
            .iter()
            .find(|(_, n, aliases)| n.eq_ignore_ascii_case(name) || aliases.contains(&name))
            .map(|(c, _, _)| *c)
    };
    if let Some(column) = exact(written) {
        return Some((column, None));
    }
    let (bare, unit) = split_unit(written);
    exact(bare).map(|column| (column, unit.and_then(Unit::named)))
}

/// `延时(s)` → `延时`, `s`.
fn split_unit(written: &str) -> (&str, Option<&str>) {
    match written.split_once('(') {
        Some((bare, unit)) => (bare.trim_end(), unit.strip_suffix(')')),
        None => (written, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_its_enum() {
        for (i, (column, _, _)) in COLUMNS.iter().enumerate() {
            assert_eq!(*column as usize, i);
        }
    }

    #[test]
    fn no_name_means_two_columns() {
        let mut all: Vec<&str> = COLUMNS
            .iter()
            .flat_map(|(_, name, aliases)| std::iter::once(name).chain(*aliases))
            .copied()
            .collect();
        all.sort_unstable();
        let n = all.len();
        all.dedup();
        assert_eq!(all.len(), n);
    }

    #[test]
    fn headers_are_found_by_alias_and_with_their_unit() {
        for (written, expected) in [
            ("tag", Some((C::Tag, None))),
            ("位号", Some((C::Tag, None))),
            ("hh", Some((C::HH, None))),
            ("延时(s)", Some((C::OnDelay, Some(Unit::Seconds)))),
            ("采集周期(ms)", Some((C::Poll, Some(Unit::Milliseconds)))),
            ("字节序(ABCD/CDAB)", Some((C::Order, None))),
            ("装置/区域", Some((C::Area, None))),
            ("nonsense", None),
        ] {
            assert_eq!(find(written), expected, "{written}");
        }
    }
}
