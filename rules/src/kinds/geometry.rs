//! From level to volume: the shape of a vessel, and the units of level, volume and flow.
//!
//! Lives here: what `strapping`, `area`, `sphere` and `horizontal` say, checked at load. May not
//! live here: time. Read first: [`Shape`].

use std::f64::consts::PI;

use davy_points::{PointDef, Span};
use serde_spanned::Spanned;
use toml::de::DeValue;

use crate::grammar::units::Unit;
use crate::grammar::{Faults, Keys, number_in, wrong_type};

/// A vessel as the file gives it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// Level in the point's unit, volume in m³, both rising; straight between two rows and beyond
    /// the ends. Strapping table (容积表).
    Strapping(Vec<(f64, f64)>),
    /// Cross-section of a vertical tank, m².
    Vertical { area: f64 },
    /// Metres.
    Sphere { diameter: f64 },
    /// A lying cylinder with flat heads, metres.
    Horizontal { diameter: f64, length: f64 },
}

/// How a point's value becomes cubic metres.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Volume {
    shape: Option<Shape>,
    /// Of a level: metres a unit (1 for a strapping table); of a volume: cubic metres a unit.
    factor: f64,
}

/// What a value in one unit is multiplied by to be in another.
fn factor(from: &str, to: &str) -> Option<f64> {
    Unit::parse(from).factor_to(&Unit::parse(to))
}

/// To m³/h; a mass flow by its density, kg/m³.
pub(super) fn flow(
    point: &PointDef,
    density: Option<f64>,
    span: &Span,
    f: &mut Faults<'_>,
) -> Option<f64> {
    if let Some(k) = factor(&point.unit, "m³/h") {
        return Some(k);
    }
    match (factor(&point.unit, "kg/h"), density) {
        (Some(k), Some(density)) => Some(k / density),
        (Some(_), None) => {
            f.add(
                "E341",
                span.clone(),
                format!("{} is a mass flow, in {}", point.tag, point.unit),
                "give `density` in kg/m³",
            );
            None
        }
        (None, _) => {
            f.add(
                "E341",
                span.clone(),
                format!("{} is no flow: its unit is \"{}\"", point.tag, point.unit),
                "name a point in m³/h, L/min or the like, or with `density` in kg/h",
            );
            None
        }
    }
}

/// Whether a point measures mass, so that `density` has a use.
pub(super) fn is_mass(point: &PointDef) -> bool {
    factor(&point.unit, "kg/h").is_some()
}

/// The shape, where one is given; the place of its key.
pub(super) fn read(keys: &mut Keys<'_, '_>, f: &mut Faults<'_>) -> Option<(Shape, Span)> {
    let mut found: Vec<(Shape, Span)> = Vec::new();
    if let Some(v) = keys.raw("strapping")
        && let Some(rows) = strapping(v, f)
    {
        found.push((Shape::Strapping(rows), v.span()));
    }
    if let Some((area, span)) = keys.number("area", f)
        && positive("area", area, &span, f)
    {
        found.push((Shape::Vertical { area }, span));
    }
    if let Some(mut k) = keys.table("sphere", "{ diameter = 12.3 }", f) {
        let span = k.span.clone();
        let diameter = metres(&mut k, "diameter", f);
        k.finish(f);
        found.extend(diameter.map(|diameter| (Shape::Sphere { diameter }, span)));
    }
    if let Some(mut k) = keys.table("horizontal", "{ diameter = 2.6, length = 10 }", f) {
        let span = k.span.clone();
        let diameter = metres(&mut k, "diameter", f);
        let length = metres(&mut k, "length", f);
        k.finish(f);
        if let (Some(diameter), Some(length)) = (diameter, length) {
            found.push((Shape::Horizontal { diameter, length }, span));
        }
    }
    if found.len() > 1 {
        let (_, span) = &found[1];
        f.add(
            "E340",
            span.clone(),
            "the vessel has two shapes",
            "give one of strapping, area, sphere, horizontal",
        );
    }
    found.into_iter().next()
}

fn metres(k: &mut Keys<'_, '_>, key: &'static str, f: &mut Faults<'_>) -> Option<f64> {
    match k.number(key, f) {
        Some((v, span)) => positive(key, v, &span, f).then_some(v),
        None => {
            super::head::missing(k, key, "it in metres", f);
            None
        }
    }
}

fn positive(key: &str, v: f64, span: &Span, f: &mut Faults<'_>) -> bool {
    if v <= 0.0 {
        f.add(
            "E340",
            span.clone(),
            format!("`{key}` is {v}: such a vessel holds nothing"),
            "give more than zero, in metres; an area in m²",
        );
    }
    v > 0.0
}

/// `[[level, volume], …]`, two rows or more, both columns rising.
fn strapping(v: &Spanned<DeValue<'_>>, f: &mut Faults<'_>) -> Option<Vec<(f64, f64)>> {
    let like = "a table of [level, volume] rows: [[0, 0], [12, 3000]]";
    let DeValue::Array(items) = v.get_ref() else {
        wrong_type(f, "strapping", v, like);
        return None;
    };
    let mut rows: Vec<(f64, f64)> = Vec::new();
    for item in items {
        let row = match item.get_ref() {
            DeValue::Array(pair) if pair.len() == 2 => {
                number_in(pair[0].get_ref()).zip(number_in(pair[1].get_ref()))
            }
            _ => None,
        };
        let Some(row) = row else {
            f.add(
                "E340",
                item.span(),
                "this row is not two finite numbers",
                format!("give {like}"),
            );
            return None;
        };
        if let Some(before) = rows.last()
            && !(row.0 > before.0 && row.1 > before.1)
        {
            f.add(
                "E340",
                item.span(),
                format!(
                    "[{}, {}] does not lie above [{}, {}]",
                    row.0, row.1, before.0, before.1
                ),
                "level and volume must both rise from row to row",
            );
            return None;
        }
        rows.push(row);
    }
    if rows.len() < 2 {
        f.add(
            "E340",
            v.span(),
            "a strapping table needs two rows or more",
            format!("give {like}"),
        );
        return None;
    }
    Some(rows)
}

impl Volume {
    /// The shape on one point: its unit and range must fit. Without a shape the point is a volume.
    pub(super) fn of(
        shape: Option<&(Shape, Span)>,
        point: &PointDef,
        rule: &Span,
        f: &mut Faults<'_>,
    ) -> Option<Volume> {
        let unit = &*point.unit;
        let Some((shape, span)) = shape else {
            let k = factor(unit, "m³");
            if k.is_none() {
                f.add(
                    "E340",
                    rule.clone(),
                    format!("{} is a level and its vessel has no shape", point.tag),
                    "give one of strapping, area, sphere, horizontal, or select volumes in m³",
                );
            }
            return k.map(|factor| Volume {
                shape: None,
                factor,
            });
        };
        let factor = match shape {
            Shape::Strapping(rows) => {
                let (first, last) = (rows.first()?.0, rows.last()?.0);
                let short = point.low.is_some_and(|low| low < first)
                    || point.high.is_some_and(|high| high > last);
                if short {
                    f.add(
                        "E340",
                        span.clone(),
                        format!(
                            "the strapping table goes from {first} to {last}, {} reads {} to {} {unit}",
                            point.tag,
                            point.low.unwrap_or(first),
                            point.high.unwrap_or(last),
                        ),
                        "add rows until the table covers the point's range",
                    );
                    return None;
                }
                1.0
            }
            _ => match factor(unit, "m") {
                Some(k) => k,
                None => {
                    f.add(
                        "E341",
                        span.clone(),
                        format!("{} is no height: its unit is \"{unit}\"", point.tag),
                        "select points in m, cm or mm, or give a strapping table in the point's unit",
                    );
                    return None;
                }
            },
        };
        Some(Volume {
            shape: Some(shape.clone()),
            factor,
        })
    }

    /// Cubic metres at a value of the point.
    pub(super) fn at(&self, value: f64) -> f64 {
        let x = value * self.factor;
        match &self.shape {
            None => x,
            Some(Shape::Strapping(rows)) => between(rows, x, |r| *r),
            Some(Shape::Vertical { area }) => x * area,
            Some(Shape::Sphere { diameter }) => {
                let h = x.clamp(0.0, *diameter);
                PI * h * h * (1.5 * diameter - h) / 3.0
            }
            Some(Shape::Horizontal { diameter, length }) => {
                let (r, h) = (diameter / 2.0, x.clamp(0.0, *diameter));
                let segment = r * r * ((r - h) / r).clamp(-1.0, 1.0).acos()
                    - (r - h) * (h * (diameter - h)).max(0.0).sqrt();
                segment * length
            }
        }
    }

    /// The value of the point at which it holds so many cubic metres; clamped to the vessel.
    pub(super) fn value_at(&self, volume: f64) -> f64 {
        let x = match &self.shape {
            None => volume,
            Some(Shape::Strapping(rows)) => between(rows, volume, |(a, b)| (*b, *a)),
            Some(Shape::Vertical { area }) => volume / area,
            Some(Shape::Sphere { diameter } | Shape::Horizontal { diameter, .. }) => {
                // Rises with the height: halved until a double cannot tell.
                let (mut low, mut high) = (0.0, diameter / self.factor);
                for _ in 0..60 {
                    let middle = f64::midpoint(low, high);
                    if self.at(middle) < volume {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                return f64::midpoint(low, high);
            }
        };
        x / self.factor
    }
}

/// Straight through the two rows around `x`, or the first or last two.
fn between(rows: &[(f64, f64)], x: f64, of: impl Fn(&(f64, f64)) -> (f64, f64)) -> f64 {
    let after = rows.partition_point(|r| of(r).0 <= x);
    let at = after.clamp(1, rows.len() - 1);
    let ((x0, y0), (x1, y1)) = (of(&rows[at - 1]), of(&rows[at]));
    y0 + (x - x0) * (y1 - y0) / (x1 - x0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn volume(shape: Shape, factor: f64) -> Volume {
        Volume {
            shape: Some(shape),
            factor,
        }
    }

    fn near(got: f64, expected: f64) {
        assert!(
            (got - expected).abs() < 1e-9 * expected.abs().max(1.0),
            "{got} {expected}"
        );
    }

    /// Full, half and empty vessels are known from school.
    #[test]
    fn vessels_hold_what_they_hold() {
        let sphere = volume(Shape::Sphere { diameter: 12.0 }, 1.0);
        near(sphere.at(12.0), 4.0 / 3.0 * PI * 216.0);
        near(sphere.at(6.0), 2.0 / 3.0 * PI * 216.0);
        near(sphere.at(13.0), sphere.at(12.0));
        near(sphere.at(-1.0), 0.0);
        let lying = Shape::Horizontal {
            diameter: 2.0,
            length: 10.0,
        };
        let lying = volume(lying, 0.001);
        near(lying.at(2000.0), PI * 10.0);
        near(lying.at(1000.0), PI * 5.0);
        // h = R/2: R²(π/3 − √3/4).
        near(lying.at(500.0), (PI / 3.0 - 3.0_f64.sqrt() / 4.0) * 10.0);
        near(volume(Shape::Vertical { area: 50.0 }, 0.01).at(150.0), 75.0);
        let table = volume(
            Shape::Strapping(vec![(0.0, 5.0), (1.0, 10.0), (3.0, 40.0)]),
            1.0,
        );
        near(table.at(2.0), 25.0);
        near(table.at(0.5), 7.5);
        near(table.at(4.0), 55.0);
        near(table.at(-1.0), 0.0);
    }

    proptest! {
        /// More is never less, and back is where it was.
        #[test]
        fn volume_rises_and_turns_back(a in 0.01_f64..1.0, b in 0.01_f64..1.0, which in 0..4) {
            let v = match which {
                0 => volume(Shape::Sphere { diameter: 10.0 }, 1.0),
                1 => volume(Shape::Horizontal { diameter: 10.0, length: 7.0 }, 1.0),
                2 => volume(Shape::Vertical { area: 3.0 }, 1.0),
                _ => volume(Shape::Strapping(vec![(0.0, 1.0), (4.0, 2.0), (9.0, 30.0)]), 1.0),
            };
            let (low, high) = (a.min(b) * 10.0, a.max(b) * 10.0);
            prop_assert!(v.at(low) <= v.at(high));
            prop_assert!((v.value_at(v.at(low)) - low).abs() < 1e-6);
        }
    }
}
