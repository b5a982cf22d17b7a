//! Points for tests.

use std::time::Duration;

use davy_points::{Binding, Life, Limits, PointDef, PointTable, PollClass, Scaling, SourceDef};

/// A point with range 0–100, polled every second, stale after three.
pub(crate) fn point(tag: &str) -> PointDef {
    let mut sources = PointTable::new();
    let source = sources.add_source(source("plc", false));
    PointDef {
        tag: tag.into(),
        description: "".into(),
        hazard: "TF3".into(),
        area: "north".into(),
        class: "tank_level".into(),
        unit: "m".into(),
        low: Some(0.0),
        high: Some(100.0),
        source,
        binding: Binding::Internal,
        scaling: Scaling::default(),
        poll: PollClass::Normal,
        expected_interval: Duration::from_secs(1),
        stale_after: Duration::from_secs(3),
        report_deadband: None,
        limits: Limits::default(),
        deadband: 0.0,
        on_delay: Duration::ZERO,
        off_delay: Duration::ZERO,
        priority: None,
        sentinels: Box::default(),
        life: Life::InService,
        calibration_due: None,
        note: "".into(),
        span: 0..0,
    }
}

pub(crate) fn source(id: &str, recorded: bool) -> SourceDef {
    SourceDef {
        id: id.into(),
        gateway: "gw-03".into(),
        recorded,
    }
}

/// Points with these tags on one source `plc` of gateway `gw-03`.
pub(crate) fn table_of(tags: &[&str]) -> PointTable {
    table(tags.iter().map(|t| point(t)))
}

/// The same, silent for an hour before they are stale: for rules whose scripts have gaps.
pub(crate) fn patient(tags: &[&str]) -> PointTable {
    table(tags.iter().map(|t| PointDef {
        stale_after: Duration::from_secs(3600),
        ..point(t)
    }))
}

pub(crate) fn table(points: impl IntoIterator<Item = PointDef>) -> PointTable {
    let mut table = PointTable::new();
    let source = table.add_source(source("plc", false));
    for mut p in points {
        p.source = source;
        table.add(p).expect("tags differ");
    }
    table
}
