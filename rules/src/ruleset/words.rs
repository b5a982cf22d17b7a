//! The words of an alarm, in the site's language: one short sentence that names the tag, what it
//! measures, the value and the limit it passed. Nothing here decides anything.

use davy_points::{PointDef, Value};
use serde::{Deserialize, Serialize};

use super::{AlarmDef, Kind, Rule};
use crate::alarm::Level;

/// The part of a process that its start is: `system/startup/on`.
pub(crate) const STARTUP: &str = "startup";

/// The part of a process that its count of annunciations is: `system/flood/on`.
pub(crate) const FLOOD: &str = "flood";

/// What the sentence is about.
pub(crate) enum About<'a> {
    Point(&'a PointDef),
    /// What a rule derives on a point, in which unit.
    Derived(&'a PointDef, &'a str, &'a str),
    Source(&'a str),
    Part(&'a str),
}

/// Why a source alarm stands, or which shade a `stuck` alarm has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shade {
    #[default]
    Plain,
    /// `stuck suspected`: the witness is Unknown (section 4, `stuck`).
    Suspected,
    /// The source's clock cannot be trusted (3.10).
    Clock,
    /// Several points of a device failed at once: one alarm for all of them (section 4, `quality`).
    Storm,
    /// A `stuck` alarm that ended with its witness: the value has not been seen to move (8.16).
    WitnessGone,
}

pub(crate) fn sentence(
    rule: &Rule,
    def: &AlarmDef,
    about: &About<'_>,
    value: &Value,
    shade: Shade,
) -> String {
    if let Some(text) = &rule.text {
        return text.to_string();
    }
    match about {
        About::Source(id) => match shade {
            Shade::Clock => format!("数据源 {id} 时钟不可信"),
            Shade::Storm => format!("数据源 {id} 多个测点同时失去有效数据"),
            _ => format!("数据源 {id} 通信中断"),
        },
        About::Part(STARTUP) => "启动后仍有测点没有数据".to_owned(),
        // What came first stands in the words beside it.
        About::Part(group) if rule.kind == Kind::FirstOut => format!("联锁组 {group}"),
        About::Part(FLOOD) => "报警泛滥".to_owned(),
        About::Part(part) => match part.strip_prefix("plan/") {
            Some(owner) => format!("网关 {owner} 与中心配置不一致"),
            None => format!("{} 故障", part_name(part)),
        },
        About::Derived(point, what, unit) => {
            let head = head_of(point);
            match (def.level, def.limit) {
                (Level::LossOfView, _) => format!("{head} 报警判断期间失去数据"),
                (Level::Bad, _) => format!("{head} {what} 输入数据质量坏"),
                (_, Some(limit)) => {
                    let places = derived_decimals(limit);
                    let said = |v: f64| amount(unit, &number(v, places));
                    let limit_text = said(limit);
                    let measured = match value.number() {
                        Some(v) if v.is_finite() => said(v),
                        _ => "无数据".to_owned(),
                    };
                    compared(
                        &format!("{head} {what}"),
                        def.level,
                        value,
                        &measured,
                        limit,
                        &limit_text,
                    )
                }
                (_, None) => format!("{head} {what}"),
            }
        }
        About::Point(point) => {
            let head = head_of(point);
            match (rule.kind, def.level) {
                (_, Level::LossOfView) => format!("{head} 报警判断期间失去数据"),
                (_, Level::Chattering) => format!("{head} 频繁报警"),
                (Kind::Bypass, _) => format!("{head} 旁路测试"),
                (Kind::Stuck, _) if shade == Shade::Suspected => {
                    format!("{head} 疑似卡滞，停在 {}", measured(point, value, None))
                }
                (Kind::Stuck, _) if shade == Shade::WitnessGone => format!(
                    "{head} 卡滞见证不再成立，未见测量值变动，停在 {}",
                    measured(point, value, None)
                ),
                (Kind::Stuck, _) => format!("{head} 卡滞，停在 {}", measured(point, value, None)),
                (Kind::Stale, _) => format!("{head} 数据中断"),
                (_, Level::Bad) => format!("{head} 数据质量坏"),
                _ => {
                    let limit = def.limit.unwrap_or(f64::NAN);
                    let limit_text = with_unit(point, &number(limit, decimals(point, Some(limit))));
                    let beside = measured(point, value, Some(limit));
                    compared(&head, def.level, value, &beside, limit, &limit_text)
                }
            }
        }
    }
}

fn head_of(point: &PointDef) -> String {
    if point.description.is_empty() {
        point.tag.to_string()
    } else {
        format!("{} {}", point.tag, point.description)
    }
}

/// Only a comparison that holds is said: "53 ≥ 80", or of no data, is a lie.
fn compared(
    head: &str,
    level: Level,
    value: &Value,
    beside: &str,
    limit: f64,
    limit_text: &str,
) -> String {
    let v = value.number().unwrap_or(f64::NAN);
    let name = level_name(level);
    match level {
        Level::L | Level::Ll if v <= limit => format!("{head} {beside} ≤ {name} {limit_text}"),
        Level::H | Level::Hh | Level::Hhh if v >= limit => {
            format!("{head} {beside} ≥ {name} {limit_text}")
        }
        _ => format!("{head} {beside}（{name} {limit_text}）"),
    }
}

/// A place more than the limit was written with, and three figures at least.
fn derived_decimals(limit: f64) -> usize {
    let text = format!("{limit}");
    let written = text.split_once('.').map_or(0, |(_, f)| f.len()).min(6);
    let figures = match limit.abs() {
        l if l >= 100.0 => 0,
        l if l >= 10.0 => 1,
        _ => 2,
    };
    written.max(figures)
}

/// 高高限 and its kin.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Ll => "低低限",
        Level::L => "低限",
        Level::H => "高限",
        Level::Hh => "高高限",
        Level::Hhh => "高高高限",
        _ => "限值",
    }
}

fn part_name(part: &str) -> &str {
    match part {
        "journal" => "报警日志",
        "history" | "series" => "历史存储",
        "disk" => "磁盘空间",
        "received" => "中心报警记录",
        "delivery" => "上传",
        other => other,
    }
}

fn measured(point: &PointDef, value: &Value, limit: Option<f64>) -> String {
    match value.number() {
        Some(v) if v.is_finite() => with_unit(point, &number(v, decimals(point, limit))),
        _ => "无数据".to_owned(),
    }
}

fn with_unit(point: &PointDef, number: &str) -> String {
    amount(&point.unit, number)
}

fn amount(unit: &str, number: &str) -> String {
    if unit.is_empty() {
        number.to_owned()
    } else {
        format!("{number} {unit}")
    }
}

fn number(v: f64, decimals: usize) -> String {
    format!("{v:.decimals$}")
}

/// About a thousandth of the range, and never fewer than the limit was written with.
fn decimals(point: &PointDef, limit: Option<f64>) -> usize {
    let span = match (point.low, point.high) {
        (Some(low), Some(high)) => high - low,
        _ => limit.map_or(1.0, f64::abs),
    };
    let by_span = match span {
        s if s >= 1000.0 => 0,
        s if s >= 100.0 => 1,
        s if s >= 1.0 => 2,
        _ => 4,
    };
    let written = limit.map_or(0, |l| {
        let text = format!("{l}");
        text.split_once('.').map_or(0, |(_, f)| f.len()).min(6)
    });
    by_span.max(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_compared_where_there_is_no_value() {
        let mut point = crate::proof::plant::point("LT-101B");
        point.unit = "m".into();
        let table = crate::proof::plant::table_of(&["LT-101B"]);
        let (ix, _) = table.iter().next().expect("a point");
        let plain = crate::ruleset::plain;
        let def = AlarmDef {
            limit: Some(12.2),
            ..plain(crate::ruleset::RuleIx(0), ix, Level::Hh, 0, 0)
        };
        let rule = Rule::implicit("table", Kind::Level);
        let say = |value: &Value| sentence(&rule, &def, &About::Point(&point), value, Shade::Plain);
        let gone = say(&Value::none(davy_points::NoData::LinkDown));
        assert!(gone.ends_with("无数据（高高限 12.2 m）"), "{gone}");
        assert!(say(&Value::F64(12.5)).ends_with("12.5 m ≥ 高高限 12.2 m"));
    }

    #[test]
    fn decimals_follow_the_range_and_the_limit() {
        let mut point = crate::proof::plant::point("LT-101B");
        point.low = Some(0.0);
        point.high = Some(14.0);
        assert_eq!(decimals(&point, Some(12.2)), 2);
        assert_eq!(decimals(&point, Some(12.125)), 3);
        point.high = Some(1000.0);
        assert_eq!(decimals(&point, Some(28.0)), 0);
    }
}
