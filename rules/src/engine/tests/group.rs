//! One alarm, one acknowledgement for one cause (section 4, `stale` and `quality`; section 2,
//! restart).

use davy_points::{Life, PointTable, Priority};

use super::{compiled, lt, ruled};
use crate::proof::plant;
use crate::proof::script::{Rig, check};

/// Lines that an operator hears or has to acknowledge.
fn heard(rig: &Rig) -> Vec<String> {
    rig.transitions
        .iter()
        .filter(|t| t.regions.after.audible && !t.regions.before.audible)
        .map(crate::proof::script::line)
        .collect()
}

fn unacked(rig: &Rig) -> Vec<String> {
    rig.engine
        .standing()
        .into_iter()
        .map(|s| s.last)
        .filter(|t| t.regions.after.open && !t.regions.after.acked && !t.regions.after.masked)
        .map(|t| t.alarm.to_string())
        .collect()
}

fn two_sources(tags: &[(&str, &str)]) -> PointTable {
    let mut table = PointTable::new();
    let sources: Vec<_> = ["one", "two"]
        .map(|id| (id, table.add_source(plant::source(id, false))))
        .into();
    for (tag, of) in tags {
        let mut p = plant::point(tag);
        p.source = sources.iter().find(|(id, _)| id == of).unwrap().1;
        table.add(p).unwrap();
    }
    table
}

/// A device that does not answer: its points are Bad before its loss is known, and none of them
/// says so; none wants an acknowledgement when it is back, in whatever order they come.
#[test]
fn a_lost_device_is_one_alarm_and_one_acknowledgement() {
    let mut fast = plant::point("XS");
    fast.expected_interval = std::time::Duration::from_millis(250);
    fast.stale_after = std::time::Duration::from_secs(2);
    let rig = check(
        compiled(
            plant::table([fast, plant::point("A"), plant::point("B")]),
            "",
        ),
        "0s XS=0; A=1; B=1
         0.3s XS=0 lost
         0.6s XS=0 lost
         1s XS=0 lost; A=0 lost; B=0 lost
         1.6s XS=0 lost
         2s XS=0 lost; A=0 lost; B=0 lost
         2.6s XS=0 lost
         3s XS=0 lost; A=0 lost; B=0 lost; down
         3.5s XS=0 lost
         4s XS=0 lost; A=0 lost; B=0 lost
         5s XS=0 lost; A=0 lost; B=0 lost
         6s up; XS=0
         6.2s A=0 lost
         6.5s XS=0
         7s A=1; B=0 lost; XS=0
         7.5s XS=0
         8s B=1; XS=0
         8.5s XS=0
         8.9s ack source/plc/loss_of_view",
        "3s source/plc/loss_of_view NORMAL>UNACK condition
         3.8s quality/XS/bad NORMAL>UNACK condition masked
         4.5s quality/A/bad NORMAL>UNACK condition masked
         4.5s quality/B/bad NORMAL>UNACK condition masked
         6s quality/XS/bad UNACK>NORMAL returned
         6s source/plc/loss_of_view UNACK>RTN_UNACK returned
         7s quality/A/bad UNACK>NORMAL returned
         8s quality/B/bad UNACK>NORMAL returned
         8.9s source/plc/loss_of_view RTN_UNACK>NORMAL ack",
    );
    assert!(rig.engine.standing().is_empty());
}

/// One point without an answer on a device that lives has its own alarm, after the time in which
/// the device would have been known to be lost.
#[test]
fn one_silent_point_speaks_for_itself() {
    check(
        compiled(plant::table_of(&["A", "B", "C"]), ""),
        "0s A=1; B=1; C=1
         1s A=0 lost; B=1; C=1
         2s A=0 lost; B=1; C=1
         3s A=0 lost; B=1; C=1
         4s A=0 lost; B=1; C=1
         5s A=0 lost; B=1; C=1",
        "4.5s quality/A/bad NORMAL>UNACK condition",
    );
}

/// What stays away when its source is back gets its chance, then speaks for itself.
#[test]
fn what_stays_away_is_exposed() {
    let rig = check(
        compiled(plant::table_of(&["A", "B"]), ""),
        "0s A=1; B=1
         1s down
         4.5s A=0 lost
         5s up; A=1
         6s A=1
         7s A=1
         8s A=1
         8.1s A=1
         9s A=1; B=1
         10s A=1; B=1",
        "1s source/plc/loss_of_view NORMAL>UNACK condition
         3s stale/A/stale NORMAL>UNACK condition masked
         3s stale/B/stale NORMAL>UNACK condition masked
         4.5s stale/A/stale UNACK>NORMAL returned
         5s source/plc/loss_of_view UNACK>RTN_UNACK returned
         8s stale/B/stale UNACK>UNACK unmasked
         9s stale/B/stale UNACK>RTN_UNACK returned",
    );
    assert_eq!(
        unacked(&rig),
        ["stale/B/stale", "source/plc/loss_of_view"],
        "it was annunciated: it wants its acknowledgement"
    );
}

/// A child that becomes due in its chance waits with the others.
#[test]
fn nobody_speaks_in_the_chance() {
    let mut slow = plant::point("S");
    slow.stale_after = std::time::Duration::from_millis(5500);
    let rig = check(
        compiled(plant::table([slow, plant::point("A")]), ""),
        "0s S=1; A=1
         1s down
         5s up; A=1
         6s A=1
         7s A=1; S=1",
        "1s source/plc/loss_of_view NORMAL>UNACK condition
         3s stale/A/stale NORMAL>UNACK condition masked
         5s stale/A/stale UNACK>NORMAL returned
         5s source/plc/loss_of_view UNACK>RTN_UNACK returned
         5.5s stale/S/stale NORMAL>UNACK condition masked
         7s stale/S/stale UNACK>NORMAL returned",
    );
    assert_eq!(heard(&rig).len(), 1);
}

/// A child that was annunciated before the loss stays as it was; its loss is not heard twice.
#[test]
fn what_spoke_before_stays() {
    check(
        compiled(plant::table_of(&["A", "B", "C"]), ""),
        "0s A=1 bad; B=1; C=1
         2s A=1 bad; B=1; C=1
         4s A=1 bad; B=1; C=1
         5s down
         5.5s up; B=1; C=1
         6s A=1 bad; B=1; C=1",
        "2s quality/A/bad NORMAL>UNACK condition masked
         3s quality/A/bad UNACK>UNACK unmasked
         5s source/plc/loss_of_view NORMAL>UNACK condition
         5.5s source/plc/loss_of_view UNACK>RTN_UNACK returned",
    );
}

/// A source that flaps is one line with one acknowledgement; its children never speak.
#[test]
fn a_source_that_flaps_is_one_line() {
    let mut rig = check(
        compiled(plant::table_of(&["A", "B", "C"]), ""),
        "0s A=1; B=1; C=1",
        "",
    );
    for n in 0..5 {
        let t = 1 + 10 * n;
        rig.run(&format!(
            "{}s down
             {}s tick
             {}s up; A=1
             {}s A=1",
            t,
            t + 6,
            t + 7,
            t + 8
        ));
    }
    rig.run("51s down; up; A=1; B=1; C=1");
    assert!(
        heard(&rig).iter().all(|l| l.contains("source/plc")),
        "{:#?}",
        rig.lines()
    );
    assert_eq!(unacked(&rig), ["source/plc/loss_of_view"]);
    rig.run("52s ack source/plc/loss_of_view");
    assert!(rig.engine.standing().is_empty(), "{:#?}", rig.lines());
}

/// A publisher dies while its broker lives: no source-down comes, its points are stale one by
/// one. One alarm says so; the other publisher's points keep their own.
#[test]
fn a_dead_publisher_is_one_alarm() {
    let mut rig = check(
        compiled(plant::table_of(&["A", "B", "C", "D", "X", "Y"]), ""),
        "0s A=1; X=1; Y=1
         0.1s B=1
         0.3s C=1
         0.6s D=1
         1s X=1; Y=1
         2s X=1; Y=1
         3s X=1; Y=1
         4s X=1; Y=1
         5s X=1; Y=1
         5.5s ack source/plc/loss_of_view
         6s Y=1
         7s Y=1
         8s Y=1
         9s Y=1",
        "3s source/plc/loss_of_view NORMAL>UNACK condition grouped
         3s stale/A/stale NORMAL>UNACK condition masked
         3.1s stale/B/stale NORMAL>UNACK condition masked
         3.3s stale/C/stale NORMAL>UNACK condition masked
         3.6s stale/D/stale NORMAL>UNACK condition masked
         5.5s source/plc/loss_of_view UNACK>ACKED ack grouped
         8s stale/X/stale NORMAL>UNACK condition",
    );
    assert_eq!(
        &*rig.transitions[0].text,
        "数据源 plc 多个测点同时失去有效数据：A 等 4 点"
    );
    // It stands until the last of its points is back, and none of them asks for itself.
    rig.run(
        "10s A=1; B=1; C=1; X=1; Y=1
         11s A=1; B=1; C=1; X=1; Y=1
         12s A=1; B=1; C=1; D=1; X=1; Y=1",
    );
    assert_eq!(
        rig.lines()[7..],
        [
            "10s stale/A/stale UNACK>NORMAL returned",
            "10s stale/B/stale UNACK>NORMAL returned",
            "10s stale/C/stale UNACK>NORMAL returned",
            "10s stale/X/stale UNACK>RTN_UNACK returned",
            "12s stale/D/stale UNACK>NORMAL returned",
            "12s source/plc/loss_of_view ACKED>NORMAL returned grouped",
        ]
    );
}

/// A second hall falls silent while the first one's storm is acknowledged: it is heard again, once.
#[test]
fn a_second_storm_is_heard() {
    let rig = check(
        compiled(plant::table_of(&["A", "B", "C", "X", "Y", "Z"]), ""),
        "0s A=1; B=1; C=1; X=1; Y=1; Z=1
         1s X=1; Y=1; Z=1
         2s X=1; Y=1; Z=1
         3s X=1; Y=1; Z=1
         4s X=1; Y=1; Z=1
         5s ack source/plc/loss_of_view
         8s tick",
        "3s source/plc/loss_of_view NORMAL>UNACK condition grouped
         3s stale/A/stale NORMAL>UNACK condition masked
         3s stale/B/stale NORMAL>UNACK condition masked
         3s stale/C/stale NORMAL>UNACK condition masked
         5s source/plc/loss_of_view UNACK>ACKED ack grouped
         7s source/plc/loss_of_view ACKED>UNACK realarm grouped
         7s stale/X/stale NORMAL>UNACK condition masked
         7s stale/Y/stale NORMAL>UNACK condition masked
         7s stale/Z/stale NORMAL>UNACK condition masked",
    );
    assert_eq!(
        &*rig.transitions[5].text,
        "数据源 plc 多个测点同时失去有效数据：X 等 3 点"
    );
}

/// A loss that is more than what was acknowledged (a storm, a suspect clock) is heard again.
#[test]
fn a_worse_loss_is_heard_again() {
    let rig = check(
        compiled(plant::table_of(&["A", "B", "C", "X"]), ""),
        "0s A=1; B=1; C=1; X=1
         1s X=1
         2s X=1
         3s X=1
         4s X=1
         5s X=1; ack source/plc/loss_of_view
         6s down",
        "3s source/plc/loss_of_view NORMAL>UNACK condition grouped
         3s stale/A/stale NORMAL>UNACK condition masked
         3s stale/B/stale NORMAL>UNACK condition masked
         3s stale/C/stale NORMAL>UNACK condition masked
         5s source/plc/loss_of_view UNACK>ACKED ack grouped
         6s source/plc/loss_of_view ACKED>UNACK realarm",
    );
    assert_eq!(&*rig.transitions[5].text, "数据源 plc 通信中断");
}

/// A storm that became a loss ends as one: with the first Good sample (8.19).
#[test]
fn a_storm_that_became_a_loss_ends_with_the_first_good_sample() {
    check(
        compiled(plant::table_of(&["A", "B", "C", "X"]), ""),
        "0s A=1; B=1; C=1; X=1
         1s X=1
         2s X=1
         3s X=1
         4s down
         5s up; X=1
         6s X=1; A=1; B=1; C=1",
        "3s source/plc/loss_of_view NORMAL>UNACK condition grouped
         3s stale/A/stale NORMAL>UNACK condition masked
         3s stale/B/stale NORMAL>UNACK condition masked
         3s stale/C/stale NORMAL>UNACK condition masked
         5s source/plc/loss_of_view UNACK>RTN_UNACK returned
         6s stale/A/stale UNACK>NORMAL returned
         6s stale/B/stale UNACK>NORMAL returned
         6s stale/C/stale UNACK>NORMAL returned",
    );
}

/// Section 4, flood: priority 1 is always individual; a lost source alone takes it along.
#[test]
fn priority_1_is_never_grouped_in_a_storm() {
    check(
        compiled(
            plant::table_of(&["A", "B", "C"]),
            "[[stale]]
             id = \"vital\"
             select = { tag = \"A\" }
             priority = 1",
        ),
        "0s A=1; B=1; C=1
         3.5s tick",
        "3s vital/A/stale NORMAL>UNACK condition
         3s source/plc/loss_of_view NORMAL>UNACK condition grouped
         3s stale/B/stale NORMAL>UNACK condition masked
         3s stale/C/stale NORMAL>UNACK condition masked",
    );
}

/// Points in commissioning are listed, and make neither a storm nor a sound.
#[test]
fn commissioning_makes_no_storm() {
    let points = ["A", "B", "C"].map(|tag| {
        let mut p = plant::point(tag);
        p.life = Life::Commissioning;
        p
    });
    let rig = check(
        compiled(
            plant::table(points),
            "[[stale]]
             id = \"silence\"
             select = { class = \"tank_level\" }",
        ),
        "0s A=1; B=1; C=1
         4s down",
        "3s silence/A/stale NORMAL>UNACK condition silent
         3s silence/B/stale NORMAL>UNACK condition silent
         3s silence/C/stale NORMAL>UNACK condition silent
         4s source/plc/loss_of_view NORMAL>UNACK condition silent",
    );
    assert!(heard(&rig).is_empty());
}

/// What a lost source stands for, it stands for after a restart, too.
#[test]
fn a_restart_keeps_children_beneath() {
    for how in ["restart", "kill"] {
        let rig = check(
            compiled(plant::table_of(&["A", "B", "C"]), ""),
            &format!(
                "0s A=1; B=1; C=1
                 0.5s image
                 1s down
                 4s tick
                 10s {how}
                 11s up; A=1
                 12s A=1; B=1; C=1"
            ),
            "1s source/plc/loss_of_view NORMAL>UNACK condition
             3s stale/A/stale NORMAL>UNACK condition masked
             3s stale/B/stale NORMAL>UNACK condition masked
             3s stale/C/stale NORMAL>UNACK condition masked
             11s stale/A/stale UNACK>NORMAL returned
             11s source/plc/loss_of_view UNACK>RTN_UNACK returned
             12s stale/B/stale UNACK>NORMAL returned
             12s stale/C/stale UNACK>NORMAL returned",
        );
        assert_eq!(unacked(&rig), ["source/plc/loss_of_view"]);
    }
}

/// A kill between the return of a source and that of its points: they have their chance again,
/// and are not silent for ever.
#[test]
fn a_restart_in_the_chance_exposes_what_stays_away() {
    let rig = check(
        compiled(plant::table_of(&["A", "B"]), ""),
        "0s A=1; B=1
         1s down
         4s tick
         5s up; A=1
         6s restart
         6.5s A=1
         8s A=1
         9s A=1
         10s A=1",
        "1s source/plc/loss_of_view NORMAL>UNACK condition
         3s stale/A/stale NORMAL>UNACK condition masked
         3s stale/B/stale NORMAL>UNACK condition masked
         5s stale/A/stale UNACK>NORMAL returned
         5s source/plc/loss_of_view UNACK>RTN_UNACK returned
         9s stale/B/stale UNACK>UNACK unmasked",
    );
    assert_eq!(heard(&rig).len(), 2);
}

/// Section 2, restart: start-up Unknown is one grouped alarm until three polls have passed.
#[test]
fn a_start_without_data_is_one_alarm() {
    let table = two_sources(&[("A", "one"), ("B", "one"), ("X", "two"), ("Y", "two")]);
    let rig = check(
        compiled(table, ""),
        "1s down one
         1.5s down two
         6s tick",
        "1s source/one/loss_of_view NORMAL>UNACK condition masked
         1.5s source/two/loss_of_view NORMAL>UNACK condition masked
         3s stale/A/stale NORMAL>UNACK condition masked
         3s stale/B/stale NORMAL>UNACK condition masked
         3s stale/X/stale NORMAL>UNACK condition masked
         3s stale/Y/stale NORMAL>UNACK condition masked
         3s system/startup/on NORMAL>UNACK condition grouped
         5s system/startup/on UNACK>RTN_UNACK superseded grouped
         5s source/one/loss_of_view UNACK>UNACK unmasked
         5s source/two/loss_of_view UNACK>UNACK unmasked",
    );
    let t = &rig.transitions[6];
    assert_eq!(t.priority, Priority::MEDIUM);
    assert_eq!(&*t.text, "启动后仍有测点没有数据：4 点");
    assert_eq!(heard(&rig).len(), 3);
}

/// It returns when all are heard; a healthy start raises nothing.
#[test]
fn a_start_that_comes_late_is_one_alarm_that_returns() {
    let table = two_sources(&[("A", "one"), ("B", "one"), ("X", "two"), ("Y", "two")]);
    let rig = check(
        compiled(table, ""),
        "3.5s A=1; B=1
         4s X=1; A=1
         4.5s Y=1
         5.5s A=1; B=1; X=1; Y=1
         8s A=1; B=1; X=1; Y=1",
        "3s stale/A/stale NORMAL>UNACK condition masked
         3s stale/B/stale NORMAL>UNACK condition masked
         3s stale/X/stale NORMAL>UNACK condition masked
         3s stale/Y/stale NORMAL>UNACK condition masked
         3s system/startup/on NORMAL>UNACK condition grouped
         3.5s stale/A/stale UNACK>NORMAL returned
         3.5s stale/B/stale UNACK>NORMAL returned
         4s stale/X/stale UNACK>NORMAL returned
         4.5s stale/Y/stale UNACK>NORMAL returned
         4.5s system/startup/on UNACK>RTN_UNACK returned grouped",
    );
    assert_eq!(unacked(&rig), ["system/startup/on"]);
    let table = two_sources(&[("A", "one"), ("B", "one"), ("X", "two"), ("Y", "two")]);
    check(
        compiled(table, ""),
        "0.5s A=1; B=1
         3s X=1; Y=1; A=1; B=1
         5.5s X=1; Y=1; A=1; B=1
         8s X=1; Y=1; A=1; B=1",
        "",
    );
}

/// One thing that is missing at a start is its own alarm: no group of one.
#[test]
fn one_missing_device_at_a_start_is_its_own_alarm() {
    let table = two_sources(&[("A", "one"), ("B", "one"), ("X", "two"), ("Y", "two")]);
    let rig = check(
        compiled(table, ""),
        "0s A=1; B=1
         1s down two
         2s A=1; B=1
         4s A=1; B=1
         6s A=1; B=1; up two; X=1; Y=1",
        "1s source/two/loss_of_view NORMAL>UNACK condition masked
         3s stale/X/stale NORMAL>UNACK condition masked
         3s stale/Y/stale NORMAL>UNACK condition masked
         3s source/two/loss_of_view UNACK>UNACK unmasked
         6s stale/X/stale UNACK>NORMAL returned
         6s source/two/loss_of_view UNACK>RTN_UNACK returned
         6s stale/Y/stale UNACK>NORMAL returned",
    );
    assert_eq!(unacked(&rig), ["source/two/loss_of_view"]);
}

/// A start stands for what has given nothing, not for what was there and is lost again.
#[test]
fn a_start_does_not_stand_for_what_was_heard() {
    let table = two_sources(&[("A", "one"), ("B", "one"), ("X", "two"), ("Y", "two")]);
    check(
        compiled(table, ""),
        "0.2s A=1; B=1
         1s down one",
        "1s source/one/loss_of_view NORMAL>UNACK condition",
    );
}

/// Points that are polled hourly are not missed at a start: beside them a dead device is one
/// thing, and is told of within twenty seconds.
#[test]
fn seldom_polled_points_make_no_group_of_a_start() {
    let mut table = two_sources(&[("A", "one"), ("B", "one"), ("X", "two")]);
    let two = table.find("X").map(|p| table.point(p).source).unwrap();
    for tag in ["S1", "S2"] {
        let mut p = plant::point(tag);
        p.source = two;
        p.expected_interval = std::time::Duration::from_secs(3600);
        p.stale_after = std::time::Duration::from_secs(3 * 3600);
        table.add(p).unwrap();
    }
    let rig = check(
        compiled(table, ""),
        "1s down one; X=1
         3s X=1
         6s X=1
         9s X=1
         12s X=1
         15s X=1
         18s X=1
         20.5s X=1",
        "1s source/one/loss_of_view NORMAL>UNACK condition masked
         3s stale/A/stale NORMAL>UNACK condition masked
         3s stale/B/stale NORMAL>UNACK condition masked
         20s source/one/loss_of_view UNACK>UNACK unmasked",
    );
    assert_eq!(unacked(&rig), ["source/one/loss_of_view"]);
}

/// What was annunciated in its episode still wants its acknowledgement, though it came again
/// beneath a lost source.
#[test]
fn an_episode_that_was_heard_is_not_closed_beneath() {
    let rig = check(
        compiled(plant::table_of(&["A"]), ""),
        "0s A=1 bad
         2s A=1 bad
         3s A=1
         4s down
         4.1s A=1 lost
         6s A=1 lost
         7.6s A=1 lost
         8s A=1",
        "2s quality/A/bad NORMAL>UNACK condition
         3s quality/A/bad UNACK>RTN_UNACK returned
         4s source/plc/loss_of_view NORMAL>UNACK condition
         7.6s quality/A/bad RTN_UNACK>UNACK condition masked
         8s quality/A/bad UNACK>RTN_UNACK returned silent
         8s source/plc/loss_of_view UNACK>RTN_UNACK returned",
    );
    assert_eq!(unacked(&rig), ["quality/A/bad", "source/plc/loss_of_view"]);
}

/// What is polled seldom is not missed at a start, and holds up nothing.
#[test]
fn a_slow_point_holds_up_no_start() {
    let mut slow = plant::point("S");
    slow.expected_interval = std::time::Duration::from_secs(3600);
    slow.stale_after = std::time::Duration::from_secs(3 * 3600);
    check(
        compiled(
            plant::table([slow, plant::point("A"), plant::point("B")]),
            "",
        ),
        "0s A=1; B=1
         19s A=1; B=1
         21s A=1
         22.5s tick",
        "3s stale/A/stale NORMAL>UNACK condition
         3s stale/B/stale NORMAL>UNACK condition
         19s stale/A/stale UNACK>RTN_UNACK returned
         19s stale/B/stale UNACK>RTN_UNACK returned
         22s stale/B/stale RTN_UNACK>UNACK condition",
    );
}

/// A restart whose devices are known to be lost says nothing new.
#[test]
fn a_restart_in_a_loss_says_nothing_new() {
    let table = two_sources(&[("A", "one"), ("B", "one"), ("X", "two"), ("Y", "two")]);
    let rig = check(
        compiled(table, ""),
        "0s A=1; B=1; X=1; Y=1
         1s down one; down two
         2s ack source/one/loss_of_view; ack source/two/loss_of_view
         5s restart
         6s down one; down two
         60s tick",
        "1s source/one/loss_of_view NORMAL>UNACK condition
         1s source/two/loss_of_view NORMAL>UNACK condition
         2s source/one/loss_of_view UNACK>ACKED ack
         2s source/two/loss_of_view UNACK>ACKED ack
         8s stale/A/stale NORMAL>UNACK condition masked
         8s stale/B/stale NORMAL>UNACK condition masked
         8s stale/X/stale NORMAL>UNACK condition masked
         8s stale/Y/stale NORMAL>UNACK condition masked",
    );
    assert_eq!(heard(&rig).len(), 2);
}

/// 8.4, 8.17: what was measured before an interruption is no part of the off-delay after it.
#[test]
fn an_off_delay_does_not_begin_before_the_interruption() {
    for broken in ["2s down", "2s restart"] {
        let mut rig = check(
            lt(|p| {
                p.off_delay = std::time::Duration::from_secs(3);
                p.limits.hh = None;
                p.limits.l = None;
                p.limits.ll = None;
            }),
            "0s LT=85",
            "0s table/LT/h NORMAL>UNACK condition",
        );
        rig.run(&format!(
            "{broken}
             2.5s LT=50 at=0.5s
             4.9s LT=50"
        ));
        assert!(
            rig.lines().iter().all(|l| !l.contains("h UNACK>RTN_UNACK")),
            "{:#?}",
            rig.lines()
        );
        rig.run("5s LT=50");
        assert_eq!(
            rig.lines().last().unwrap(),
            "5s table/LT/h UNACK>RTN_UNACK returned"
        );
    }
    // With no off-delay the sample itself must still be of after the interruption.
    check(
        ruled(
            |p| {
                p.limits.hh = None;
                p.limits.l = None;
                p.limits.ll = None;
            },
            "",
        ),
        "0s LT=85
         2s restart
         2.2s LT=50 at=1s
         2.3s LT=50 at=2.1s",
        "0s table/LT/h NORMAL>UNACK condition
         2s table/LT/h UNACK>UNACK restart unknown
         2.2s table/LT/h UNACK>UNACK quality
         2.3s table/LT/h UNACK>RTN_UNACK returned",
    );
}

/// A rule without a delay leaves no time to see a storm: the first two speak, then one for all.
#[test]
fn a_storm_without_a_delay_is_three_alarms_at_most() {
    let tags = ["A", "B", "C", "D", "E", "F"];
    let rig = check(
        compiled(
            plant::table_of(&tags),
            "[[quality]]
             id = \"poor\"
             select = { class = \"tank_level\" }
             classes = [\"bad\", \"uncertain\"]
             on_delay = \"0s\"",
        ),
        "0s A=1; B=1; C=1; D=1; E=1; F=1
         1s A=1 uncertain; B=1 uncertain; C=1 uncertain; D=1 bad; E=1 uncertain; F=1",
        "1s poor/A/bad NORMAL>UNACK condition
         1s poor/B/bad NORMAL>UNACK condition
         1s source/plc/loss_of_view NORMAL>UNACK condition grouped
         1s poor/C/bad NORMAL>UNACK condition masked
         1s poor/D/bad NORMAL>UNACK condition masked
         1s poor/E/bad NORMAL>UNACK condition masked",
    );
    assert_eq!(heard(&rig).len(), 3);
}
