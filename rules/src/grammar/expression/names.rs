//! The names that points go by in expressions, and what each is: its unit, and whether it can be
//! true.

use std::collections::HashMap;
use std::sync::Arc;

use davy_points::{Binding, ModbusType, PointDef, PointIx, PointTable};

use crate::grammar::nearest;

/// Names that tags go by in expressions.
pub(crate) struct Names {
    /// None: more than one tag is written so.
    by_name: HashMap<String, Option<PointIx>>,
    points: Vec<Known>,
}

struct Known {
    unit: Arc<str>,
    truth: bool,
}

impl Names {
    pub(crate) fn of(table: &PointTable) -> Names {
        let mut by_name = HashMap::new();
        let mut points = Vec::new();
        for (ix, point) in table.iter() {
            by_name
                .entry(name_of(&point.tag))
                .and_modify(|there| *there = None)
                .or_insert(Some(ix));
            points.push(Known {
                unit: point.unit.clone(),
                truth: can_be_true(point),
            });
        }
        Names { by_name, points }
    }

    /// None: no such name. Some(None): more than one tag is written so.
    pub(super) fn get(&self, name: &str) -> Option<Option<PointIx>> {
        self.by_name.get(name).copied()
    }

    pub(super) fn unit(&self, point: PointIx) -> &str {
        &self.points[point.index()].unit
    }

    /// Whether the point by itself may stand where true or false is needed.
    pub(super) fn is_truth(&self, point: PointIx) -> bool {
        self.points[point.index()].truth
    }

    /// The name that was probably meant; none for what nobody types.
    pub(super) fn nearest(&self, name: &str) -> Option<&str> {
        if name.len() > 100 {
            return None;
        }
        let mut all: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
        all.sort_unstable();
        nearest(name, &all)
    }
}

/// A contact, or what may be one: a level in metres is not.
fn can_be_true(point: &PointDef) -> bool {
    match &point.binding {
        Binding::Modbus(m) if matches!(m.kind, ModbusType::Bool | ModbusType::Bit(_)) => true,
        Binding::Internal => true,
        _ => point.unit.is_empty(),
    }
}

/// How a tag is written in an expression: FT-101 is `FT_101`.
pub(crate) fn name_of(tag: &str) -> String {
    let mut name: String = tag
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}
