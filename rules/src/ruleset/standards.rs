//! The caps that standards set on gas limits: `config/packs/standards.toml`, built in, so that no
//! site can lack it. Read first: [`Standards::cap`].
//!
//! Lives here: substances, classes, units, caps. May not live here: who may go beyond one
//! (`approval`), and at which limit the caret stands (`kinds/caps`).

use std::sync::OnceLock;

use serde::Deserialize;

use crate::alarm::Level;

const TEXT: &str = include_str!("../../../config/packs/standards.toml");

/// A file of caps.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standards {
    /// Version of the file's form.
    #[cfg_attr(not(test), expect(dead_code))] // ours, and tested
    schema: u32,
    /// Which edition of the numbers.
    pub(crate) revision: String,
    class: Vec<Class>,
    substance: Vec<Substance>,
}

/// A cap on a unit, whatever the substance.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    /// Point classes; empty: all.
    #[serde(default)]
    classes: Vec<String>,
    unit: String,
    l: Option<f64>,
    h: Option<f64>,
    hh: Option<f64>,
    source: String,
    verified: bool,
}

/// A substance by name and CAS number, with its caps where it is toxic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Substance {
    pub(crate) name: String,
    pub(crate) cas: String,
    /// Chinese name.
    pub(crate) zh: String,
    mg_m3: Option<Steps>,
    ppm: Option<Steps>,
    /// mg/m³; where there is no exposure limit, 5 % and 10 % of it are the steps.
    idlh: Option<f64>,
    /// Why the plant has to say which number it means.
    pub(crate) ask: Option<String>,
    source: String,
    verified: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Steps {
    h: f64,
    hh: f64,
    hhh: Option<f64>,
}

/// What a limit is held against.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cap<'s> {
    /// In the point's unit.
    pub(crate) bound: f64,
    /// A low limit may not be below it; any other not above.
    pub(crate) low: bool,
    pub(crate) source: &'s str,
    pub(crate) verified: bool,
}

impl Cap<'_> {
    /// Whether a limit keeps to it.
    pub(crate) fn allows(&self, limit: f64) -> bool {
        if self.low {
            limit >= self.bound
        } else {
            limit <= self.bound
        }
    }
}

/// Units that caps are written in, with how a point may spell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    PercentLel,
    LelMetre,
    PercentVolume,
    MilligramPerCubicMetre,
    Ppm,
}

impl Unit {
    fn of(text: &str) -> Option<Unit> {
        let plain: String = text
            .to_lowercase()
            .chars()
            .filter(|c| !matches!(c, ' ' | '·' | '.' | '*' | '(' | ')' | '⋅' | '-'))
            .map(|c| match c {
                '％' => '%',
                '³' => '3',
                c => c,
            })
            .collect();
        Some(match plain.as_str() {
            "%lel" | "lel%" => Unit::PercentLel,
            "lelm" => Unit::LelMetre,
            "%vol" | "vol%" | "%v/v" | "%o2" => Unit::PercentVolume,
            "mg/m3" | "mgm3" => Unit::MilligramPerCubicMetre,
            "ppm" | "ppmv" | "μmol/mol" | "µmol/mol" | "umol/mol" => Unit::Ppm,
            _ => return None,
        })
    }
}

impl Standards {
    /// The caps of this version of davy.
    pub(crate) fn built_in() -> &'static Standards {
        static READ: OnceLock<Standards> = OnceLock::new();
        // A file of ours that does not read is our bug; a test reads it first.
        #[allow(clippy::expect_used)]
        READ.get_or_init(|| Standards::read(TEXT).expect("config/packs/standards.toml"))
    }

    fn read(text: &str) -> Result<Standards, toml::de::Error> {
        toml::from_str(text)
    }

    /// A substance by its name, CAS number or Chinese name; letters without case.
    pub(crate) fn substance(&self, word: &str) -> Option<&Substance> {
        let is = |name: &str| name.eq_ignore_ascii_case(word);
        self.substance
            .iter()
            .find(|s| is(&s.name) || s.cas == word || s.zh == word)
    }

    /// Names of all substances, for "did you mean".
    pub(crate) fn names(&self) -> Vec<&str> {
        self.substance.iter().map(|s| &*s.name).collect()
    }

    /// The cap on a level of a point of this class and unit.
    pub(crate) fn cap<'s>(
        &'s self,
        substance: Option<&'s Substance>,
        class: &str,
        unit: &str,
        level: Level,
    ) -> Option<Cap<'s>> {
        let unit = Unit::of(unit)?;
        let of_class = self.class.iter().find(|c| {
            Unit::of(&c.unit) == Some(unit)
                && (c.classes.is_empty() || c.classes.iter().any(|w| w == class))
        });
        if let Some(c) = of_class {
            let (bound, low) = match level {
                Level::L => (c.l?, true),
                Level::H => (c.h?, false),
                Level::Hh => (c.hh?, false),
                _ => return None,
            };
            return Some(Cap {
                bound,
                low,
                source: &c.source,
                verified: c.verified,
            });
        }
        let s = substance?;
        let steps = match unit {
            Unit::MilligramPerCubicMetre => s.mg_m3.or_else(|| s.fallback())?,
            Unit::Ppm => s.ppm?,
            _ => return None,
        };
        let bound = match level {
            Level::H => steps.h,
            Level::Hh => steps.hh,
            Level::Hhh => steps.hhh?,
            _ => return None,
        };
        Some(Cap {
            bound,
            low: false,
            source: &s.source,
            verified: s.verified,
        })
    }
}

impl Substance {
    /// 5 % and 10 % of IDLH, where no exposure limit is known (GB/T 50493-2019).
    fn fallback(&self) -> Option<Steps> {
        let idlh = self.idlh.filter(|_| self.ppm.is_none())?;
        Some(Steps {
            h: idlh * 0.05,
            hh: idlh * 0.10,
            hhh: None,
        })
    }

    /// Whether it has caps of its own, beside those of its class.
    pub(crate) const fn is_toxic(&self) -> bool {
        self.mg_m3.is_some() || self.ppm.is_some() || self.idlh.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(substance: &str, class: &str, unit: &str, level: Level) -> Option<f64> {
        let s = Standards::built_in();
        let of = s.substance(substance);
        assert_eq!(of.is_some(), !substance.is_empty(), "{substance}");
        s.cap(of, class, unit, level).map(|c| c.bound)
    }

    #[test]
    fn caps_by_substance_and_unit() {
        let t = "gas_toxic";
        for (substance, class, unit, level, expected) in [
            ("NH3", t, "ppm", Level::H, Some(28.7)),
            ("7664-41-7", t, "mg/m³", Level::Hh, Some(40.0)),
            ("氨", t, "mg/m3", Level::H, Some(20.0)),
            ("nh3", t, "PPM", Level::Hhh, Some(150.0)),
            ("Cl2", t, "ppm", Level::Hh, Some(0.69)),
            ("Cl2", t, "ppm", Level::Hhh, None),
            ("benzene", t, "%LEL", Level::H, Some(25.0)),
            ("", "anything", "％LEL", Level::Hh, Some(50.0)),
            ("", "gas_flammable", "LEL·m", Level::H, Some(1.0)),
            ("", "gas_oxygen", "%vol", Level::L, Some(19.5)),
            ("", "gas_oxygen", "%VOL", Level::H, Some(23.5)),
            ("", "process_oxygen", "%vol", Level::H, None),
            ("", t, "ppm", Level::H, None),
            ("CH4", "gas_flammable", "ppm", Level::H, None),
            ("NH3", t, "°C", Level::H, None),
            ("NH3", t, "ppm", Level::L, None),
        ] {
            assert_eq!(
                bound(substance, class, unit, level),
                expected,
                "{substance} {class} {unit} {level}"
            );
        }
    }

    /// Low limits are held from below: an oxygen alarm at 18 % comes too late.
    #[test]
    fn a_low_cap_is_a_floor() {
        let s = Standards::built_in();
        let cap = s.cap(None, "gas_oxygen", "%vol", Level::L).unwrap();
        assert!(cap.allows(19.5) && cap.allows(20.0) && !cap.allows(19.4));
        let cap = s.cap(None, "gas_oxygen", "%vol", Level::H).unwrap();
        assert!(cap.allows(23.5) && cap.allows(23.0) && !cap.allows(23.6));
    }

    /// 5 % and 10 % of IDLH, only where there is no exposure limit.
    #[test]
    fn idlh_is_the_last_resort() {
        let text = "schema = 1\nrevision = \"t\"\nclass = []\n[[substance]]\nname = \"X\"\n\
                    cas = \"1-1-1\"\nzh = \"某\"\nidlh = 100\nsource = \"t\"\nverified = false\n";
        let s = Standards::read(text).unwrap();
        let x = s.substance("X");
        let cap = |unit, level| s.cap(x, "gas_toxic", unit, level).map(|c| c.bound);
        assert_eq!(cap("mg/m³", Level::H), Some(5.0));
        assert_eq!(cap("mg/m³", Level::Hh), Some(10.0));
        assert_eq!(cap("ppm", Level::H), None);
    }

    /// Every number has a source; a second step is above the first and at most twice it, as the
    /// standard says; mg/m³ and ppm are the same gas (one molar mass, within what rounding hides).
    #[test]
    fn the_file_agrees_with_itself() {
        let s = Standards::built_in();
        assert_eq!(s.schema, 1);
        assert!(!s.revision.is_empty());
        for x in &s.substance {
            assert!(!x.source.is_empty() && !x.zh.is_empty(), "{}", x.name);
            assert!(cas_is_right(&x.cas), "{} {}", x.name, x.cas);
            for steps in [x.mg_m3, x.ppm].into_iter().flatten() {
                let ratio = steps.hh / steps.h;
                assert!((1.9..=2.2).contains(&ratio), "{} {ratio}", x.name);
            }
            if let (Some(mg), Some(ppm)) = (x.mg_m3, x.ppm) {
                let (a, b) = (mg.h / ppm.h, mg.hh / ppm.hh);
                assert!((a / b - 1.0).abs() < 0.06, "{} {a} {b}", x.name);
            }
        }
        for c in &s.class {
            assert!(
                Unit::of(&c.unit).is_some() && !c.source.is_empty(),
                "{}",
                c.unit
            );
        }
    }

    /// The last digit of a CAS number is a checksum of the others.
    fn cas_is_right(cas: &str) -> bool {
        let digits: Vec<u32> = cas.chars().filter_map(|c| c.to_digit(10)).collect();
        let Some((check, rest)) = digits.split_last() else {
            return false;
        };
        let sum: u32 = rest.iter().rev().zip(1..).map(|(d, n)| d * n).sum();
        sum % 10 == *check
    }
}
