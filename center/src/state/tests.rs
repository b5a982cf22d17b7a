//! The live picture: what stands, what is not protecting, and what may be called normal.

use std::sync::Arc;
use std::time::Duration;

use davy_points::{Mono, Priority, Quality, Timestamp, Value};
use davy_rules::alarm::{
    Beat, Condition, Eval, Label, Level, OutOfService, Presence, Shelve, Status, Transition,
};

use super::blind::{self, Kind};
use super::commands::{CommandRecord, Commands, Progress, expires_at};
use super::gateways::LinkState;
use super::hazards::{Reads, roll_up};
use super::points::Now;
use super::*;
use crate::example;

const WALL: i64 = 1_700_000_000_000_000_000;

fn at(seconds: u64) -> Now {
    Now {
        mono: Mono(seconds * 1_000_000_000),
        wall: Timestamp(WALL + seconds as i64 * 1_000_000_000),
    }
}

/// The example site with good values everywhere and both gateways alive.
fn healthy() -> Live {
    let plan = Arc::new(example::plan());
    let mut live = Live::new(plan.clone());
    for (ix, _) in plan.points.iter() {
        live.points.admit(
            ix,
            Value::F64(50.0),
            Quality::Good,
            Timestamp(WALL),
            Timestamp(WALL),
            Some(Mono(0)),
        );
    }
    for id in ["gw-01", "gw-02"] {
        let g = live.gateways.get_mut(id).expect("a gateway");
        g.link = LinkState::Online;
    }
    live
}

fn kinds(live: &Live, now: Now) -> Vec<(Kind, String, String)> {
    blind::list(live, now)
        .into_iter()
        .map(|i| (i.kind, i.tag, i.hazard))
        .collect()
}

fn reads(live: &Live, now: Now) -> (Vec<Reads>, Vec<Reads>) {
    let (hazards, areas) = roll_up(live, &blind::list(live, now));
    let of = |l: Vec<super::hazards::RollUp<'_>>| l.iter().map(|r| r.reads).collect();
    (of(hazards), of(areas))
}

/// The alarm of a kind on a tag, active.
fn alarm(kind: &str, tag: &str, level: Level, seq: u64) -> Transition {
    let mut t = example::transition("gw-01", seq);
    t.rule = kind.into();
    t.kind = kind.into();
    t.tag = tag.into();
    t.level = level;
    t.alarm = format!("{kind}/{tag}/{level}").into();
    t
}

#[test]
fn normal_may_be_said_only_where_nothing_stands_and_everything_protects() {
    let mut live = healthy();
    assert_eq!(kinds(&live, at(1)), []);
    assert_eq!(
        reads(&live, at(1)),
        (vec![Reads::Normal; 2], vec![Reads::Normal; 2])
    );

    live.gateways.get_mut("gw-02").expect("a gateway").silent = true;
    assert_eq!(
        kinds(&live, at(1)),
        [(Kind::Gateway, String::new(), "AS".into())]
    );
    assert_eq!(
        reads(&live, at(1)),
        (
            vec![Reads::Normal, Reads::NotProtected],
            vec![Reads::Normal, Reads::NotProtected]
        )
    );
    live.alarms
        .commit(1, Arc::new(example::transition("gw-01", 1)));
    assert_eq!(reads(&live, at(1)).0, [Reads::Alarm, Reads::NotProtected]);
}

#[test]
fn every_way_of_not_protecting_is_in_the_list_with_its_deadline() {
    let until = Timestamp(WALL + 5);
    let active = |level| alarm("level", "LT-101", level, 1);
    let shelved = {
        let mut t = active(Level::H);
        t.to = Label::Shelved;
        t.regions.after.shelved = Some(Shelve::Timed { until });
        t
    };
    let out = {
        let mut t = active(Level::H);
        t.to = Label::OutOfService;
        t.regions.after.out_of_service = Some(OutOfService {
            permit: "W-1".into(),
            until,
        });
        t
    };
    let bypassed = {
        let mut t = out.clone();
        t.kind = "bypass".into();
        t.alarm = "bypass/LT-101/on".into();
        t
    };
    let suppressed = {
        let mut t = active(Level::H);
        t.to = Label::Suppressed;
        t
    };
    let unknown = {
        let mut t = active(Level::H);
        (t.to, t.regions.after.condition) = (Label::Normal, Condition::Normal);
        t.regions.after.eval = Eval::Unknown;
        t
    };
    let system = |part: &str| {
        let mut t = alarm("system", part, Level::On, 1);
        t.alarm = format!("system/{part}/on").into();
        (t.hazard, t.area) = ("".into(), "".into());
        t
    };
    for (t, kind, deadline) in [
        (alarm("stale", "LT-101", Level::Stale, 1), Kind::Stale, None),
        (alarm("stuck", "LT-101", Level::On, 1), Kind::Stuck, None),
        (alarm("quality", "LT-101", Level::Bad, 1), Kind::Bad, None),
        (
            alarm("vote", "LT-101", Level::Bad, 1),
            Kind::VoteDegraded,
            None,
        ),
        (
            alarm("level", "LT-101", Level::LossOfView, 1),
            Kind::LossOfView,
            None,
        ),
        (shelved, Kind::Shelved, Some(until)),
        (out, Kind::OutOfService, Some(until)),
        (bypassed, Kind::Bypass, Some(until)),
        (suppressed, Kind::Suppressed, None),
        (unknown, Kind::Unknown, None),
        (system("journal"), Kind::Journal, None),
        (system("plan/gw-01"), Kind::PlanDiffers, None),
        (system("series"), Kind::LossOfView, None),
    ] {
        let mut live = healthy();
        live.alarms.commit(1, Arc::new(t.clone()));
        let items = blind::list(&live, at(1));
        assert_eq!(items.len(), 1, "{kind:?}: {items:?}");
        assert_eq!((items[0].kind, items[0].until), (kind, deadline));
        assert_eq!(items[0].alarm, &*t.alarm);
        assert_eq!(items[0].owner, "gw-01");
    }
    // A plain process alarm protects, and a masked one is said by what masks it.
    let mut live = healthy();
    live.alarms.commit(1, Arc::new(active(Level::Hh)));
    let mut masked = alarm("stale", "LT-102", Level::Stale, 2);
    masked.regions.after.masked = true;
    live.alarms.commit(2, Arc::new(masked));
    assert_eq!(kinds(&live, at(1)), []);
}

#[test]
fn a_lost_source_stands_once_for_each_hazard_and_area_of_its_points() {
    let mut live = healthy();
    let mut t = alarm("source", "broker-a", Level::LossOfView, 1);
    (t.hazard, t.area) = ("".into(), "".into());
    live.alarms.commit(1, Arc::new(t));
    let items = blind::list(&live, at(1));
    assert_eq!(items.len(), 1);
    assert_eq!(
        (items[0].kind, &*items[0].hazard, &*items[0].area),
        (Kind::LossOfView, "TF", "north")
    );
}

#[test]
fn the_list_begins_with_the_worst_hazard_source_then_the_nearest_deadline() {
    let mut live = healthy();
    let shelf = |tag: &str, hazard: &str, until: i64, seq| {
        let mut t = alarm("level", tag, Level::H, seq);
        t.hazard = hazard.into();
        t.to = Label::Shelved;
        t.regions.after.shelved = Some(Shelve::Timed {
            until: Timestamp(until),
        });
        t
    };
    for (i, t) in [
        shelf("LT-101", "TF", 9, 1),
        shelf("LT-102", "TF", 5, 2),
        shelf("GT/201", "AS", 99, 3),
        shelf("X", "", 1, 4),
    ]
    .into_iter()
    .enumerate()
    {
        live.alarms.commit(i as u64 + 1, Arc::new(t));
    }
    let tags: Vec<String> = kinds(&live, at(1)).into_iter().map(|k| k.1).collect();
    assert_eq!(tags, ["GT/201", "LT-102", "LT-101", "X"]);
}

#[test]
fn a_value_that_no_longer_arrives_is_not_shown_as_good() {
    let live = healthy();
    let lt = live.plan.points.find("LT-101").expect("a point");
    assert_eq!(
        live.row(lt, at(40)).quality,
        Quality::Good,
        "stale_after and the slack"
    );
    assert_eq!(live.row(lt, at(41)).quality, Quality::BadStale);
    let mut live = healthy();
    live.sweep(at(1));
    assert_eq!(live.points.take_changed().len(), 3, "the first samples");
    live.sweep(at(41));
    assert_eq!(
        live.points.take_changed().len(),
        3,
        "told when they went stale"
    );
    live.sweep(at(42));
    assert_eq!(live.points.take_changed().len(), 0, "and once");
    // An older sample is history, not news.
    live.points.admit(
        lt,
        Value::F64(1.0),
        Quality::Good,
        Timestamp(WALL - 1),
        Timestamp(WALL),
        Some(Mono(0)),
    );
    assert_eq!(
        live.points.get(lt).map(|p| &p.value),
        Some(&Value::F64(50.0))
    );
}

#[test]
fn a_committed_record_replaces_its_provisional_copy_and_never_a_newer_one() {
    let mut live = healthy();
    let first = Arc::new(example::transition("gw-01", 1));
    let third = Arc::new(example::transition("gw-01", 3));
    let key = (first.owner.clone(), first.alarm.clone());
    let shown = |live: &Live| {
        live.alarms
            .get(&key)
            .and_then(|a| a.latest())
            .map(|(t, provisional)| (t.seq, provisional))
    };
    assert!(live.alarms.provisional(third.clone()));
    assert!(
        !live.alarms.provisional(first.clone()),
        "older than what is shown"
    );
    live.alarms.commit(1, first);
    assert_eq!(
        shown(&live),
        Some((3, true)),
        "still the newest that was told"
    );
    live.alarms.commit(3, third.clone());
    assert_eq!(shown(&live), Some((3, false)));
    assert!(!live.alarms.provisional(third), "committed already");
    // A journal that begins anew counts from 1: its first word is newer all the same.
    live.alarms.begin_anew("gw-01");
    assert_eq!(
        shown(&live),
        Some((3, false)),
        "what was told stays until it speaks"
    );
    let anew = Arc::new(example::transition("gw-01", 1));
    assert!(live.alarms.provisional(anew.clone()));
    assert_eq!(shown(&live), Some((1, true)));
    live.alarms.commit(4, anew);
    assert_eq!(shown(&live), Some((1, false)));
}

/// Found by stopping a gateway whose journal was busy: the return that it had told, and never
/// journalled, hid the alarm that went on standing.
#[test]
fn what_a_journal_never_took_ends_with_the_process_that_told_it() {
    let mut live = healthy();
    let key = ("gw-01".into(), example::transition("gw-01", 1).alarm);
    live.alarms
        .commit(1, Arc::new(example::transition("gw-01", 1)));
    let told = Arc::new(example::transition("gw-01", 3));
    assert!(live.alarms.provisional(told));
    let seq = |live: &Live| {
        let alarm = live.alarms.get(&key).expect("an alarm");
        alarm.latest().map(|(t, provisional)| (t.seq, provisional))
    };
    let mut say = |session: &str, state, last_seq| {
        live.gateways
            .get_mut("gw-01")
            .expect("a gateway")
            .status(Status {
                v: 1,
                owner: "gw-01".into(),
                session: session.into(),
                state,
                version: "".into(),
                plan_rev: "".into(),
                clock: Timestamp(0),
                last_seq,
            })
    };
    assert_eq!(say("a", Presence::Online, Some(1)), Some(1));
    assert_eq!(
        say("a", Presence::Online, Some(1)),
        None,
        "the same process on a new connection"
    );
    assert_eq!(say("a", Presence::Stopping, Some(1)), None);
    assert_eq!(say("b", Presence::Online, Some(2)), Some(2));
    assert!(!live.alarms.forget_beyond("gw-02", 2), "another's");
    assert!(!live.alarms.forget_beyond("gw-01", 3), "it is journalled");
    assert_eq!(seq(&live), Some((3, true)));
    assert!(live.alarms.forget_beyond("gw-01", 2));
    assert_eq!(seq(&live), Some((1, false)));
}

#[test]
fn beats_tell_of_missing_records_and_of_a_journal_that_lost_some() {
    let mut live = healthy();
    let g = live.gateways.get_mut("gw-01").expect("a gateway");
    g.acked_seq = 5;
    let mut beat = |last_seq: u64, tick: u64| {
        let g = live.gateways.get_mut("gw-01").expect("a gateway");
        g.beat(
            &Beat {
                v: 1,
                owner: "gw-01".into(),
                session: "a".into(),
                tick,
                at: Timestamp(0),
                last_seq,
            },
            at(tick),
        );
        (g.resend_after.take(), g.broken.is_some())
    };
    // One beat may have passed its transitions on the way; three may not.
    assert_eq!(beat(7, 1), (None, false));
    assert_eq!(beat(7, 2), (None, false));
    assert_eq!(beat(7, 3), (Some(5), false));
    assert_eq!(beat(5, 4), (None, false));
    assert_eq!(beat(2, 5), (None, false));
    assert_eq!(beat(2, 6), (None, false));
    assert_eq!(beat(2, 7), (Some(0), true));
}

#[test]
fn a_hung_engine_is_seen_by_the_age_of_its_tick() {
    let mut live = healthy();
    let g = live.gateways.get_mut("gw-01").expect("a gateway");
    for (tick, seconds) in [(1, 1), (2, 2), (2, 3), (2, 4)] {
        g.beat(
            &Beat {
                v: 1,
                owner: "gw-01".into(),
                session: "a".into(),
                tick,
                at: Timestamp(0),
                last_seq: 0,
            },
            at(seconds),
        );
    }
    let view = g.view(&live.plan, at(5).mono);
    assert_eq!(
        (view.beat_age_ms, view.tick_age_ms),
        (Some(1_000), Some(3_000))
    );
}

#[test]
fn an_ack_waits_and_everything_else_expires() {
    let issued = Timestamp(WALL);
    let record = |id: &str, verb| CommandRecord {
        v: 1,
        owner: "gw-01".into(),
        command: davy_rules::alarm::Command {
            v: 1,
            id: id.into(),
            alarm: None,
            occurrence: Some("o".into()),
            verb,
            actor: "a".into(),
            role: "operator".into(),
            reason: String::new(),
            until: None,
            one_shot: false,
            permit: None,
            second: None,
            verdict: None,
            cause: None,
            points: Vec::new(),
            issued_at: issued,
            expires_at: expires_at(verb, issued),
        },
        state: Progress::Pending,
        why: None,
        seq: None,
    };
    use davy_rules::alarm::Verb;
    let mut commands = Commands::default();
    commands.put(record("ack", Verb::Ack));
    commands.put(record("shelve", Verb::Shelve));
    assert_eq!(
        commands.overdue(issued + Duration::from_secs(30)),
        Vec::<String>::new()
    );
    assert_eq!(
        commands.overdue(issued + Duration::from_secs(31)),
        ["shelve"]
    );
    // Nobody hears: nothing is sent. Sent once, it is not sent again at once.
    assert_eq!(commands.due(at(1).mono, |_| false).len(), 0);
    assert_eq!(commands.due(at(1).mono, |_| true).len(), 2);
    assert_eq!(commands.due(at(2).mono, |_| true).len(), 0);
    assert_eq!(commands.due(at(6).mono, |_| true).len(), 2);
    commands.forget_sent();
    assert_eq!(commands.due(at(6).mono, |_| true).len(), 2);
    assert!(commands.pending_for("o", "").is_some());
    for id in ["ack", "shelve"] {
        let mut done = commands.get(id).expect("a command").clone();
        done.state = Progress::Applied;
        commands.put(done);
    }
    assert_eq!(commands.pending_for("o", ""), None);
    assert_eq!(commands.pending().count(), 0);
}

#[test]
fn the_worst_priority_leaves_out_what_is_masked_or_shelved() {
    let mut live = healthy();
    let mut h = alarm("table", "LT-101", Level::H, 1);
    h.priority = Priority::HIGH;
    let mut hh = alarm("table", "LT-101", Level::Hh, 2);
    hh.to = Label::Shelved;
    hh.regions.after.shelved = Some(Shelve::OneShot {
        until: Timestamp(WALL),
    });
    live.alarms.commit(1, Arc::new(h));
    live.alarms.commit(2, Arc::new(hh));
    let blind = blind::list(&live, at(1));
    let (hazards, _) = roll_up(&live, &blind);
    let tf = &hazards[0];
    assert_eq!(
        (
            tf.worst_priority,
            tf.standing,
            tf.unacked,
            tf.not_protecting
        ),
        (Some(Priority::HIGH), 1, 1, 1)
    );
}

#[test]
fn a_gateway_whose_clock_is_behind_is_not_called_late() {
    let mut plan = example::plan();
    let davy_plan::SiteSource::Mqtt(source) = &mut plan.sources[0] else {
        panic!("an MQTT source");
    };
    source.clock = davy_plan::Clock::Arrival;
    let plan = Arc::new(plan);
    let mut live = Live::new(plan.clone());
    let lt = plan.points.find("LT-101").expect("a point");
    let behind = Duration::from_secs(600);
    let sample = |live: &mut Live, time| {
        live.points.admit(
            lt,
            Value::F64(1.0),
            Quality::Good,
            time,
            time,
            Some(at(700).mono),
        );
    };
    // A backlog: old by the gateway's own clock.
    sample(&mut live, at(100).wall);
    assert_eq!(live.row(lt, at(700)).quality, Quality::BadStale);
    // Its clock is ten minutes behind: the same time is now.
    let g = live.gateways.get_mut("gw-01").expect("a gateway");
    g.beat(
        &Beat {
            v: 1,
            owner: "gw-01".into(),
            session: "a".into(),
            tick: 1,
            at: at(700).wall - behind,
            last_seq: 0,
        },
        at(700),
    );
    assert_eq!(live.row(lt, at(700)).quality, Quality::Good);
}
