//! The chatter guard and floods (section 4).

use davy_points::{Limits, PointTable, Priority};

use super::{compiled, lt, ruled};
use crate::alarm::Flag;
use crate::proof::plant;
use crate::proof::script::check;
use crate::ruleset::RuleSet;

/// LT, silent for an hour before it is stale, H of priority 2.
fn patient() -> (PointTable, RuleSet) {
    let only_h = Limits {
        h: Some(80.0),
        ..Limits::default()
    };
    ruled(
        |p| {
            p.limits = only_h;
            p.stale_after = std::time::Duration::from_secs(3600);
        },
        "",
    )
}

/// Three occurrences in 60 s are one `chattering` alarm; from then on the alarm is held active
/// until 60 s of Good data beyond exit. What is uncertain or blind in between starts that again.
#[test]
fn an_alarm_that_comes_and_goes_is_held() {
    let rig = check(
        patient(),
        "0s LT=85
         10s LT=50
         20s LT=85
         30s LT=50
         40s LT=85
         50s LT=50
         60s LT=85
         70s LT=50
         100s LT=50 uncertain
         110s LT=50
         169s LT=50
         170s LT=50
         171s LT=85",
        "0s table/LT/h NORMAL>UNACK condition
         10s table/LT/h UNACK>RTN_UNACK returned
         20s table/LT/h RTN_UNACK>UNACK condition
         30s table/LT/h UNACK>RTN_UNACK returned
         40s table/LT/h RTN_UNACK>UNACK condition chattering
         40s table/LT/chattering NORMAL>UNACK condition
         100s table/LT/h UNACK>UNACK quality chattering unknown
         110s table/LT/h UNACK>UNACK quality chattering
         170s table/LT/h UNACK>RTN_UNACK returned chattering
         170s table/LT/chattering UNACK>RTN_UNACK returned
         171s table/LT/h RTN_UNACK>UNACK condition",
    );
    let told = rig
        .transitions
        .iter()
        .find(|t| t.level.name() == "chattering");
    let told = told.expect("it was told");
    assert_eq!(&*told.text, "LT 频繁报警：60 s 内 3 次，保持到平稳 60 s");
    assert_eq!(told.priority, Priority::LOW);
}

/// Three in more than 60 s are none; nor is a worse level that stands for the lesser.
#[test]
fn what_is_slow_does_not_chatter() {
    check(
        patient(),
        "0s LT=85
         10s LT=50
         30s LT=85
         40s LT=50
         61s LT=85",
        "0s table/LT/h NORMAL>UNACK condition
         10s table/LT/h UNACK>RTN_UNACK returned
         30s table/LT/h RTN_UNACK>UNACK condition
         40s table/LT/h UNACK>RTN_UNACK returned
         61s table/LT/h RTN_UNACK>UNACK condition",
    );
}

/// Never for priority 1, nor for gas; a rule may switch it off, or choose its own measure.
#[test]
fn who_is_under_no_guard() {
    let script = "0s LT=95
         1s LT=50
         2s LT=95
         3s LT=50
         4s LT=95
         5s LT=50";
    let chatter = |site: (PointTable, RuleSet)| {
        let mut rig = crate::proof::script::Rig::new(site.0, site.1);
        rig.run(script);
        let of = |t: &&crate::alarm::Transition| t.level.name() == "chattering";
        rig.transitions.iter().filter(of).count()
    };
    let only_hh = |p: &mut davy_points::PointDef| {
        p.limits = Limits {
            hh: Some(90.0),
            ..Limits::default()
        };
    };
    assert_eq!(chatter(lt(only_hh)), 0, "priority 1");
    let at_priority = |class: &'static str, more: &'static str| {
        ruled(
            move |p| {
                only_hh(p);
                p.class = class.into();
            },
            &format!(
                "[[level]]\nid = \"a\"\nselect = {{ tag = \"LT\" }}\nhh = {{ priority = 2 }}\n{more}"
            ),
        )
    };
    assert_eq!(chatter(at_priority("tank_level", "")), 1);
    assert_eq!(chatter(at_priority("gas_toxic", "")), 0, "gas");
    assert_eq!(chatter(at_priority("tank_level", "chatter = false")), 0);
    let two = "chatter = { count = 4, window = \"30s\" }";
    assert_eq!(
        chatter(at_priority("tank_level", two)),
        0,
        "three are not four"
    );
}

/// The guard outlives a restart, and its alarm goes with the rule's last that chatters.
#[test]
fn a_restart_keeps_the_guard() {
    check(
        patient(),
        "0s LT=85
         1s LT=50
         2s LT=85
         3s LT=50
         4s LT=85
         5s restart
         6s LT=50
         65s LT=50
         66s LT=50",
        "0s table/LT/h NORMAL>UNACK condition
         1s table/LT/h UNACK>RTN_UNACK returned
         2s table/LT/h RTN_UNACK>UNACK condition
         3s table/LT/h UNACK>RTN_UNACK returned
         4s table/LT/h RTN_UNACK>UNACK condition chattering
         4s table/LT/chattering NORMAL>UNACK condition
         5s table/LT/h UNACK>UNACK restart chattering unknown
         6s table/LT/h UNACK>UNACK quality chattering
         66s table/LT/h UNACK>RTN_UNACK returned chattering
         66s table/LT/chattering UNACK>RTN_UNACK returned",
    );
}

/// Twelve points with H 80 of priority 2 and HH 90, one hazard source.
fn many() -> (PointTable, RuleSet) {
    let points = (0..12).map(|n| {
        let mut p = plant::point(&format!("LT-{n}"));
        p.limits.h = Some(80.0);
        p.limits.hh = Some(90.0);
        p.stale_after = std::time::Duration::from_secs(36_000);
        p
    });
    compiled(plant::table(points), "")
}

/// More than ten in ten minutes are a flood; everything is recorded, what is below priority 1 is
/// grouped under the alarm that came first, and the flood ends when fewer than five are counted.
#[test]
fn a_flood_groups_and_drops_nothing() {
    let (table, rules) = many();
    let mut rig = crate::proof::script::Rig::new(table, rules);
    let all: Vec<String> = (0..12).map(|n| format!("LT-{n}=50")).collect();
    rig.run(&format!("0s {}", all.join(";")));
    for n in 0..11 {
        rig.run(&format!("{}s LT-{n}=85", n + 1));
    }
    rig.run("12s LT-11=95");
    let raised: Vec<_> = rig
        .transitions
        .iter()
        .filter(|t| t.cause == crate::alarm::Cause::Condition && &*t.rule == "table")
        .collect();
    assert_eq!(raised.len(), 13, "eleven H, one HH with its H");
    let flood = rig.transitions.iter().find(|t| &*t.tag == "flood");
    let flood = flood.expect("a flood was told");
    assert_eq!(&*flood.text, "报警泛滥：10 分钟内 11 条");
    assert_eq!(
        flood.source_time.0 - crate::proof::script::BASE,
        11_000_000_000
    );
    // Priority 1 stands alone, with its sound.
    let hh = raised.iter().find(|t| t.level.name() == "hh").expect("HH");
    assert!(hh.group.is_none() && !hh.flags.contains(&Flag::Grouped));
    assert!(hh.regions.after.audible);
    let h = raised.last().expect("its H");
    assert!(h.flags.contains(&Flag::Grouped));
    assert_eq!(h.group.as_deref(), Some("table/LT-0/h"));
    // Five counts are left at 607 s, four at 608.
    rig.run("607s tick");
    assert!(
        !rig.transitions
            .iter()
            .any(|t| &*t.tag == "flood" && t.cause == crate::alarm::Cause::Returned)
    );
    rig.run("608s tick");
    let ended = rig
        .transitions
        .iter()
        .rfind(|t| &*t.tag == "flood")
        .expect("told");
    assert_eq!(ended.cause, crate::alarm::Cause::Returned);
}

/// Ten are no flood.
#[test]
fn ten_alarms_are_no_flood() {
    let (table, rules) = many();
    let mut rig = crate::proof::script::Rig::new(table, rules);
    let all: Vec<String> = (0..12).map(|n| format!("LT-{n}=50")).collect();
    rig.run(&format!("0s {}", all.join(";")));
    for n in 0..10 {
        rig.run(&format!("{}s LT-{n}=85", n + 1));
    }
    assert!(!rig.transitions.iter().any(|t| &*t.tag == "flood"));
}
