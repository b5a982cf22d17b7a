//! Engineering units: which may be added and compared, and by what factor they differ.
//!
//! Lives here: the units that plants write, their dimensions and factors, products of units. May
//! not live here: values, points, faults. Read first: [`Unit::parse`].
//!
//! A unit that is not known here is a dimension of its own: it goes with itself and with nothing
//! else. So do `%`, `%LEL`, `%vol`, `ppm`, `°C` and `K`: none of them is a factor of another (a share
//! of what? of which gas? from which zero?), and a wrong conversion is worse than a fault at load.

use std::fmt;
use std::sync::Arc;

/// What a unit measures: exponents of metre, kilogram, second and ampere, and of units that are
/// dimensions of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Dimension {
    si: [i8; 4],
    /// Sorted by name; no exponent is zero.
    own: Vec<(Arc<str>, i8)>,
}

impl Dimension {
    fn times(&self, other: &Dimension, sign: i8) -> Dimension {
        let mut d = self.clone();
        for (a, b) in d.si.iter_mut().zip(other.si) {
            *a = a.saturating_add(b.saturating_mul(sign));
        }
        for (name, n) in &other.own {
            let n = n.saturating_mul(sign);
            match d.own.binary_search_by(|(o, _)| o.cmp(name)) {
                Ok(i) => {
                    d.own[i].1 = d.own[i].1.saturating_add(n);
                    if d.own[i].1 == 0 {
                        d.own.remove(i);
                    }
                }
                Err(i) => d.own.insert(i, (name.clone(), n)),
            }
        }
        d
    }

    fn is_none(&self) -> bool {
        *self == Dimension::default()
    }
}

/// A unit: its text, its dimension, and its size as a fraction of whole numbers in metres,
/// kilograms, seconds and amperes, so that what can be converted exactly is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unit {
    text: Arc<str>,
    num: f64,
    den: f64,
    dimension: Dimension,
}

/// How a number is brought from one unit to another: multiplied by a number of at least one, or
/// divided by one. `150 cm / 100` is 1.5 m to the last bit, `150 × 0.01` need not be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Same,
    Times(f64),
    Over(f64),
}

impl Unit {
    /// A unit as plants write it. Every text is one: what is not known is a dimension of its own.
    pub(crate) fn parse(text: &str) -> Unit {
        let plain = normal(text);
        let unit = atom(&plain).or_else(|| compound(&plain));
        let mut unit = unit.unwrap_or_else(|| own(&plain, 1.0, 1.0));
        unit.text = text.trim().into();
        unit
    }

    /// Of a number without a unit.
    pub(crate) fn none() -> Unit {
        Unit {
            text: "".into(),
            num: 1.0,
            den: 1.0,
            dimension: Dimension::default(),
        }
    }

    /// As written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What it measures.
    pub(crate) fn dimension(&self) -> &Dimension {
        &self.dimension
    }

    /// A number without a dimension, whatever its text.
    pub(crate) fn is_none(&self) -> bool {
        self.dimension.is_none()
    }

    /// What a number in this unit is multiplied by to be in the other; none where they measure
    /// different things.
    pub(crate) fn factor_to(&self, other: &Unit) -> Option<f64> {
        Some(match self.scale_to(other)? {
            Scale::Same => 1.0,
            Scale::Times(by) => by,
            Scale::Over(by) => 1.0 / by,
        })
    }

    /// How a number in this unit becomes one in the other.
    pub(crate) fn scale_to(&self, other: &Unit) -> Option<Scale> {
        if self.dimension != other.dimension {
            return None;
        }
        let (up, down) = (self.num * other.den, self.den * other.num);
        // A text like `GJ·GJ·…` has no end: what leaves the numbers converts to nothing.
        if !(up.is_normal() && down.is_normal()) {
            return None;
        }
        Some(if up > down {
            Scale::Times(up / down)
        } else if up < down {
            Scale::Over(down / up)
        } else {
            Scale::Same
        })
    }

    /// The unit of a product.
    pub(crate) fn times(&self, other: &Unit) -> Unit {
        self.product(other, 1)
    }

    /// The unit of a quotient.
    pub(crate) fn over(&self, other: &Unit) -> Unit {
        self.product(other, -1)
    }

    fn product(&self, other: &Unit, sign: i8) -> Unit {
        let (num, den) = match sign {
            1 => (other.num, other.den),
            _ => (other.den, other.num),
        };
        let text = match (&*self.text, &*other.text, sign) {
            (a, "", _) => a.into(),
            ("", b, 1) => b.into(),
            ("", b, _) => format!("1/({b})"),
            (a, b, 1) => format!("{a}·{b}"),
            (a, b, _) => format!("{a}/({b})"),
        };
        Unit {
            text: text.into(),
            num: self.num * num,
            den: self.den * den,
            dimension: self.dimension.times(&other.dimension, sign),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.text {
            "" => f.write_str("no unit"),
            text => f.write_str(text),
        }
    }
}

/// One way of writing: no blanks, `m³` for `m3`, `°C` for `℃`.
fn normal(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    text.replace('℃', "°C")
        .replace('℉', "°F")
        .replace('％', "%")
        .replace('／', "/")
        .replace('㎥', "m³")
        .replace('㎡', "m²")
        .replace('μ', "µ")
        .replace("^2", "²")
        .replace("^3", "³")
}

const METRE: [i8; 4] = [1, 0, 0, 0];
const AREA: [i8; 4] = [2, 0, 0, 0];
const VOLUME: [i8; 4] = [3, 0, 0, 0];
const MASS: [i8; 4] = [0, 1, 0, 0];
const TIME: [i8; 4] = [0, 0, 1, 0];
const PER_TIME: [i8; 4] = [0, 0, -1, 0];
const CURRENT: [i8; 4] = [0, 0, 0, 1];
const PRESSURE: [i8; 4] = [-1, 1, -2, 0];
const FORCE: [i8; 4] = [1, 1, -2, 0];
const ENERGY: [i8; 4] = [2, 1, -2, 0];
const POWER: [i8; 4] = [2, 1, -3, 0];
const VOLTAGE: [i8; 4] = [2, 1, -3, -1];

/// All spellings, size as a fraction, dimension.
type Known = (&'static [&'static str], f64, f64, [i8; 4]);

const KNOWN: [Known; 48] = [
    (&["m", "米"], 1.0, 1.0, METRE),
    (&["dm"], 1.0, 10.0, METRE),
    (&["cm"], 1.0, 100.0, METRE),
    (&["mm", "毫米"], 1.0, 1e3, METRE),
    (&["µm", "um"], 1.0, 1e6, METRE),
    (&["km"], 1e3, 1.0, METRE),
    (&["ha"], 1e4, 1.0, AREA),
    (&["L", "l", "升"], 1.0, 1e3, VOLUME),
    (&["mL", "ml"], 1.0, 1e6, VOLUME),
    (&["kL", "kl"], 1.0, 1.0, VOLUME),
    (&["kg", "Kg", "KG", "千克", "公斤"], 1.0, 1.0, MASS),
    (&["g"], 1.0, 1e3, MASS),
    (&["mg"], 1.0, 1e6, MASS),
    (&["µg", "ug"], 1.0, 1e9, MASS),
    (&["t", "吨"], 1e3, 1.0, MASS),
    (&["s", "sec", "秒"], 1.0, 1.0, TIME),
    (&["ms"], 1.0, 1e3, TIME),
    (&["min", "分"], 60.0, 1.0, TIME),
    (&["h", "hr", "时", "小时"], 3600.0, 1.0, TIME),
    (&["d", "day", "天"], 86_400.0, 1.0, TIME),
    (&["Hz"], 1.0, 1.0, PER_TIME),
    (&["kHz"], 1e3, 1.0, PER_TIME),
    (&["A"], 1.0, 1.0, CURRENT),
    (&["mA"], 1.0, 1e3, CURRENT),
    (&["kA"], 1e3, 1.0, CURRENT),
    (&["Pa"], 1.0, 1.0, PRESSURE),
    (&["hPa", "mbar"], 100.0, 1.0, PRESSURE),
    (&["kPa", "KPa", "Kpa", "kpa"], 1e3, 1.0, PRESSURE),
    (&["MPa", "Mpa"], 1e6, 1.0, PRESSURE),
    (&["bar"], 1e5, 1.0, PRESSURE),
    (&["mmH2O", "mmH₂O"], 980_665.0, 1e5, PRESSURE),
    (&["kgf/cm²", "kgf/cm2"], 980_665.0, 10.0, PRESSURE),
    (&["psi"], 6_894_757_293_168.0, 1e9, PRESSURE),
    (&["atm"], 101_325.0, 1.0, PRESSURE),
    (&["N"], 1.0, 1.0, FORCE),
    (&["kN"], 1e3, 1.0, FORCE),
    (&["J"], 1.0, 1.0, ENERGY),
    (&["kJ"], 1e3, 1.0, ENERGY),
    (&["MJ"], 1e6, 1.0, ENERGY),
    (&["GJ"], 1e9, 1.0, ENERGY),
    (&["kWh", "kW·h"], 3.6e6, 1.0, ENERGY),
    (&["W"], 1.0, 1.0, POWER),
    (&["kW", "KW", "kw"], 1e3, 1.0, POWER),
    (&["MW"], 1e6, 1.0, POWER),
    (&["V"], 1.0, 1.0, VOLTAGE),
    (&["mV"], 1.0, 1e3, VOLTAGE),
    (&["kV"], 1e3, 1.0, VOLTAGE),
    (&["1"], 1.0, 1.0, [0; 4]),
];

/// Dimensions of their own that are written in more than one way or size.
const OWN: [(&[&str], &str, f64, f64); 8] = [
    (&["%"], "%", 1.0, 1.0),
    (&["%LEL", "%lel", "LEL%", "LEL"], "%LEL", 1.0, 1.0),
    (
        &["%vol", "%VOL", "%Vol", "vol%", "VOL%", "%v/v", "%(V/V)"],
        "%vol",
        1.0,
        1.0,
    ),
    (&["ppm", "PPM"], "ppm", 1.0, 1.0),
    (&["ppb", "PPB"], "ppm", 1.0, 1e3),
    (&["°C"], "°C", 1.0, 1.0),
    (&["K"], "K", 1.0, 1.0),
    (&["r", "rev", "转"], "rev", 1.0, 1.0),
];

fn atom(text: &str) -> Option<Unit> {
    if text.is_empty() || text == "-" {
        return Some(Unit::none());
    }
    if text == "rpm" || text == "RPM" {
        return Some(own("rev", 1.0, 60.0).over_time());
    }
    if let Some((_, num, den, si)) = KNOWN.iter().find(|k| k.0.contains(&text)) {
        return Some(Unit {
            text: text.into(),
            num: *num,
            den: *den,
            dimension: Dimension {
                si: *si,
                own: Vec::new(),
            },
        });
    }
    let (_, name, num, den) = OWN.iter().find(|k| k.0.contains(&text))?;
    Some(own(name, *num, *den))
}

fn own(name: &str, num: f64, den: f64) -> Unit {
    Unit {
        text: name.into(),
        num,
        den,
        dimension: Dimension {
            si: [0; 4],
            own: vec![(name.into(), 1)],
        },
    }
}

impl Unit {
    fn over_time(mut self) -> Unit {
        self.dimension.si = PER_TIME;
        self
    }
}

/// `a/b`, `a·b/c`, with powers. None where it is one word that is not known.
fn compound(text: &str) -> Option<Unit> {
    let mut unit = Unit::none();
    let mut rest = text;
    let mut sign = 1;
    loop {
        let end = rest.find(['/', '·', '*']).unwrap_or(rest.len());
        let part = &rest[..end];
        // An empty part, as in `/h` or `m//s`, makes the whole a text of its own.
        if part.is_empty() || (end == text.len() && powered(part).is_none()) {
            return None;
        }
        let factor = powered(part).unwrap_or_else(|| own(part, 1.0, 1.0));
        unit = unit.product(&factor, sign);
        let Some(sep) = rest[end..].chars().next() else {
            return Some(unit);
        };
        sign = if sep == '/' { -1 } else { 1 };
        rest = &rest[end + sep.len_utf8()..];
    }
}

/// A known word, perhaps squared or cubed: `m³`, `m3`, `cm2`.
fn powered(part: &str) -> Option<Unit> {
    if let Some(unit) = atom(part) {
        return Some(unit);
    }
    let (base, power) = [('²', 2), ('2', 2), ('³', 3), ('3', 3)]
        .iter()
        .find_map(|(sign, n)| part.strip_suffix(*sign).map(|base| (base, *n)))?;
    let base = atom(base).filter(|b| !b.is_none())?;
    Some((1..power).fold(base.clone(), |unit, _| unit.times(&base)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factor(from: &str, to: &str) -> Option<f64> {
        Unit::parse(from).factor_to(&Unit::parse(to))
    }

    #[test]
    fn units_of_one_dimension_differ_by_a_factor() {
        for (from, to, expected) in [
            ("m", "mm", 1000.0),
            ("cm", "m", 0.01),
            ("MPa", "kPa", 1000.0),
            ("bar", "kPa", 100.0),
            ("MPa", "bar", 10.0),
            ("m³/h", "m3/h", 1.0),
            ("m3/h", "㎥/h", 1.0),
            ("m³/h", "L/min", 1000.0 / 60.0),
            ("m³/h", "m³/s", 1.0 / 3600.0),
            ("t/h", "kg/h", 1000.0),
            ("m³", "L", 1000.0),
            ("kW", "W", 1000.0),
            ("A", "mA", 1000.0),
            ("h", "s", 3600.0),
            ("h", "min", 60.0),
            ("rpm", "r/min", 1.0),
            ("mg/m³", "g/m3", 0.001),
            ("m/s", "mm/s", 1000.0),
            ("°C", "℃", 1.0),
            ("%LEL", "% lel", 1.0),
            ("ppm", "ppb", 1000.0),
            ("Nm³/h", "Nm³/min", 1.0 / 60.0),
            ("V·A", "W", 1.0),
            ("N/m²", "Pa", 1.0),
            ("pH", "pH", 1.0),
            ("", "1", 1.0),
            ("%/min", "%/h", 60.0),
        ] {
            let got = factor(from, to).unwrap_or_else(|| panic!("{from} is no {to}"));
            assert!(
                (got - expected).abs() <= expected * f64::EPSILON,
                "{from} {to}: {got}"
            );
            assert!(factor(to, from).is_some(), "{to} {from}");
        }
    }

    #[test]
    fn what_measures_something_else_has_no_factor() {
        for (a, b) in [
            ("m", "m²"),
            ("m³/h", "kg/h"),
            ("m³", "m³/h"),
            ("°C", "K"),
            ("%", "%LEL"),
            ("%", ""),
            ("%vol", "ppm"),
            ("%LEL", "%vol"),
            ("ppm", "mg/m³"),
            ("rpm", "Hz"),
            ("kPa", "kPa(G)"),
            ("Nm³/h", "m³/h"),
            ("mV", "mA"),
            ("s", "min/min"),
            ("/h", "1/h"),
            ("pH", "NTU"),
            ("pH", ""),
        ] {
            assert_eq!(factor(a, b), None, "{a} {b}");
            assert_ne!(
                Unit::parse(a).dimension(),
                Unit::parse(b).dimension(),
                "{a} {b}"
            );
        }
    }

    #[test]
    fn products_and_quotients_keep_count() {
        let unit = Unit::parse;
        let volume = unit("m³/h").times(&unit("h"));
        assert_eq!(volume.scale_to(&unit("L")), Some(Scale::Times(1000.0)));
        assert!(unit("m").over(&unit("cm")).is_none());
        assert_eq!(
            unit("m").over(&unit("cm")).scale_to(&Unit::none()),
            Some(Scale::Times(100.0))
        );
        assert_eq!(
            unit("pH").over(&unit("pH")).dimension(),
            Unit::none().dimension()
        );
        assert_eq!(unit("m").over(&unit("s")).text(), "m/(s)");
        assert_eq!(unit("").to_string(), "no unit");
    }

    /// No spelling stands twice, where the second would never be found.
    #[test]
    fn every_spelling_is_one_unit() {
        let mut all: Vec<&str> = KNOWN.iter().flat_map(|k| k.0.iter().copied()).collect();
        all.extend(OWN.iter().flat_map(|k| k.0.iter().copied()));
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n);
    }

    #[test]
    fn a_conversion_that_can_be_exact_is() {
        assert_eq!(unit_scale("cm", "m"), Scale::Over(100.0));
        assert_eq!(unit_scale("kPa", "MPa"), Scale::Over(1000.0));
        assert_eq!(unit_scale("t/h", "kg/h"), Scale::Times(1000.0));
        assert_eq!(unit_scale("m3", "m³"), Scale::Same);
    }

    fn unit_scale(a: &str, b: &str) -> Scale {
        Unit::parse(a)
            .scale_to(&Unit::parse(b))
            .expect("one dimension")
    }
}
