//! Messages in, samples or counted refusals out.

use std::sync::Arc;
use std::time::Duration;

use davy_plan::{Clock, MqttAddress, MqttSource, Payload};
use davy_points::{
    Binding, Life, Limits, MqttBinding, NoData, PointDef, PointTable, PollClass, Quality, Sample,
    Scaling, SourceDef, SourceIx, Timestamp, Value,
};
use proptest::prelude::*;

use super::{Intake, Message, Reject};

const NOW: Timestamp = Timestamp(1_600_000_000_000_000_000);

fn point(tag: &str, source: SourceIx, topic: &str, path: Option<&str>) -> PointDef {
    PointDef {
        tag: Arc::from(tag),
        description: "".into(),
        hazard: "".into(),
        area: "".into(),
        class: "gas".into(),
        unit: "".into(),
        low: None,
        high: None,
        source,
        binding: Binding::Mqtt(MqttBinding {
            topic: topic.into(),
            json_path: path.map(Into::into),
        }),
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

fn intake(payload: Payload, clock: Clock) -> (Intake, PointTable) {
    let mut table = PointTable::new();
    let ix = table.add_source(SourceDef {
        id: Arc::from("broker-a"),
        gateway: Arc::from("gw-1"),
        recorded: clock == Clock::Recorded,
    });
    for (tag, topic, path) in [
        ("GT-1", "plant/gas/1", None),
        ("GT-2", "plant/gas/2", Some("v.0")),
        ("GT-3", "plant/gas/2", Some("v.1")),
        ("GT-4", "elsewhere/4", None),
    ] {
        table.add(point(tag, ix, topic, path)).expect("a new tag");
    }
    let source = MqttSource {
        ix,
        id: Arc::from("broker-a"),
        gateway: Arc::from("gw-1"),
        address: MqttAddress {
            host: "127.0.0.1".into(),
            port: 1883,
            user: None,
            password: None,
        },
        topics: vec!["plant/#".into()],
        payload,
        stale_after: Duration::from_secs(3),
        clock,
    };
    (Intake::new(&source, &table), table)
}

fn json(clock: Clock) -> (Intake, PointTable) {
    intake(
        Payload::Json {
            value: "value".into(),
            time: Some("ts".into()),
        },
        clock,
    )
}

fn read(
    intake: &mut Intake,
    topic: &str,
    payload: &[u8],
    retained: bool,
) -> (Vec<Sample>, Vec<Reject>) {
    let (mut samples, mut refused) = (Vec::new(), Vec::new());
    intake.read(
        Message {
            topic,
            payload,
            retained,
            arrival: NOW,
        },
        &mut samples,
        |why| refused.push(why),
    );
    (samples, refused)
}

#[test]
fn a_topic_that_no_filter_takes_is_asked_for_by_name() {
    let (intake, _) = json(Clock::Device);
    assert_eq!(intake.filters(), ["plant/#", "elsewhere/4"]);
}

#[test]
fn each_message_says_what_it_says_and_no_more() {
    let (mut intake, table) = json(Clock::Device);
    let ts = |s: i64| Timestamp(NOW.ns() + s * 1_000_000_000);
    // topic, payload, retained → (tag, value, quality, source time), refusals
    type Expect<'a> = (Vec<(&'a str, Value, Quality, Timestamp)>, Vec<Reject>);
    let null = Value::none(NoData::Null);
    let cases: Vec<(&str, &str, bool, Expect)> = vec![
        (
            "plant/gas/1",
            r#"{"value":12.5,"ts":1599999999}"#,
            false,
            (
                vec![("GT-1", Value::F64(12.5), Quality::Good, ts(-1))],
                vec![],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"value":12.5,"ts":"2020-09-13T20:26:39+08:00"}"#,
            false,
            (
                vec![("GT-1", Value::F64(12.5), Quality::Good, ts(-1))],
                vec![],
            ),
        ),
        // A payload that carries its time tells its age itself.
        (
            "plant/gas/1",
            r#"{"value":1,"ts":1599999000}"#,
            true,
            (
                vec![("GT-1", Value::F64(1.0), Quality::Good, ts(-1000))],
                vec![],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"value":1}"#,
            true,
            (
                vec![("GT-1", Value::F64(1.0), Quality::UncertainLastUsable, ts(0))],
                vec![],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"value":1}"#,
            false,
            (
                vec![("GT-1", Value::F64(1.0), Quality::Good, ts(0))],
                vec![],
            ),
        ),
        // −72 h and +5 s are the bounds, both taken.
        (
            "plant/gas/1",
            r#"{"value":1,"ts":1599740800}"#,
            false,
            (
                vec![("GT-1", Value::F64(1.0), Quality::Good, ts(-259_200))],
                vec![],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"value":1,"ts":1599740799}"#,
            false,
            (
                vec![("GT-1", Value::F64(1.0), Quality::UncertainClock, ts(0))],
                vec![],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"value":1,"ts":1600000005}"#,
            false,
            (
                vec![("GT-1", Value::F64(1.0), Quality::Good, ts(5))],
                vec![],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"value":1,"ts":1600000006}"#,
            false,
            (
                vec![("GT-1", Value::F64(1.0), Quality::UncertainClock, ts(0))],
                vec![],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"value":1,"ts":"yesterday"}"#,
            false,
            (
                vec![("GT-1", Value::F64(1.0), Quality::UncertainClock, ts(0))],
                vec![],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"value":null}"#,
            false,
            (
                vec![("GT-1", null.clone(), Quality::BadSensorFailure, ts(0))],
                vec![],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"value":true}"#,
            false,
            (
                vec![("GT-1", Value::Bool(true), Quality::Good, ts(0))],
                vec![],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"value":"开"}"#,
            false,
            (
                vec![("GT-1", Value::Text(Arc::from("开")), Quality::Good, ts(0))],
                vec![],
            ),
        ),
        // One message, two points: one good, one not.
        (
            "plant/gas/2",
            r#"{"v":[1.5,null]}"#,
            false,
            (
                vec![
                    ("GT-2", Value::F64(1.5), Quality::Good, ts(0)),
                    ("GT-3", null, Quality::BadSensorFailure, ts(0)),
                ],
                vec![],
            ),
        ),
        (
            "plant/gas/2",
            r#"{"v":[1.5]}"#,
            false,
            (
                vec![("GT-2", Value::F64(1.5), Quality::Good, ts(0))],
                vec![Reject::NoField],
            ),
        ),
        (
            "plant/gas/1",
            r#"{"valve":1}"#,
            false,
            (vec![], vec![Reject::NoField]),
        ),
        (
            "plant/gas/1",
            r#"{"value":{"x":1}}"#,
            false,
            (vec![], vec![Reject::NotAValue]),
        ),
        (
            "plant/gas/1",
            r#"{"value":NaN}"#,
            false,
            (vec![], vec![Reject::NotJson]),
        ),
        (
            "plant/gas/1",
            r#"{"value":1e999}"#,
            false,
            (vec![], vec![Reject::NotJson]),
        ),
        (
            "plant/gas/1",
            "12.5",
            false,
            (vec![], vec![Reject::NoField]),
        ),
        ("plant/gas/1", "", false, (vec![], vec![Reject::Empty])),
        (
            "plant/gas/9",
            r#"{"value":1}"#,
            false,
            (vec![], vec![Reject::UnknownTopic]),
        ),
    ];
    for (topic, payload, retained, (samples, refused)) in cases {
        let got = read(&mut intake, topic, payload.as_bytes(), retained);
        let brief: Vec<_> = got
            .0
            .iter()
            .map(|s| {
                (
                    &*table.point(s.point).tag,
                    s.value.clone(),
                    s.quality,
                    s.source_time,
                )
            })
            .collect();
        assert_eq!((brief, got.1), (samples, refused), "{payload}");
    }
    assert_eq!(
        read(&mut intake, "plant/gas/1", b"\xff{", false).1,
        [Reject::NotUtf8]
    );
    let deep = "[".repeat(100_000);
    assert_eq!(
        read(&mut intake, "plant/gas/1", deep.as_bytes(), false).1,
        [Reject::NotJson]
    );
    let long = vec![b' '; 1024 * 1024 + 1];
    assert_eq!(
        read(&mut intake, "plant/gas/1", &long, false).1,
        [Reject::TooLong]
    );
    let text = format!(r#"{{"value":"{}"}}"#, "x".repeat(5000));
    assert_eq!(
        read(&mut intake, "plant/gas/1", text.as_bytes(), false).1,
        [Reject::TextTooLong]
    );
}

#[test]
fn a_recording_brings_its_own_clock_or_nothing() {
    let (mut intake, _) = json(Clock::Recorded);
    let (samples, refused) = read(
        &mut intake,
        "plant/gas/1",
        br#"{"value":1,"ts":946684800}"#,
        true,
    );
    assert!(refused.is_empty());
    assert_eq!(samples[0].source_time, Timestamp(946_684_800_000_000_000));
    assert_eq!(samples[0].arrival_time, samples[0].source_time);
    assert_eq!(samples[0].quality, Quality::Good);
    for payload in [r#"{"value":1}"#, r#"{"value":1,"ts":"x"}"#] {
        let (samples, refused) = read(&mut intake, "plant/gas/1", payload.as_bytes(), false);
        assert!(samples.is_empty());
        assert_eq!(refused, [Reject::NoTime]);
    }
}

#[test]
fn a_source_on_arrival_time_does_not_look_at_the_payloads_clock() {
    let (mut intake, _) = json(Clock::Arrival);
    let (samples, _) = read(&mut intake, "plant/gas/1", br#"{"value":1,"ts":5}"#, false);
    assert_eq!(
        (samples[0].source_time, samples[0].quality),
        (NOW, Quality::Good)
    );
}

#[test]
fn sequence_rises_by_one_for_each_message_that_was_read() {
    let (mut intake, _) = json(Clock::Arrival);
    for seq in 1..4 {
        let (samples, _) = read(&mut intake, "plant/gas/2", br#"{"v":[1,2]}"#, false);
        assert!(samples.iter().all(|s| s.seq == seq));
        read(&mut intake, "plant/gas/2", b"garbage", false);
    }
}

#[test]
fn a_plain_number_is_its_own_value() {
    let (mut intake, _) = intake(Payload::Number, Clock::Arrival);
    let (samples, _) = read(&mut intake, "plant/gas/1", b"20.25", false);
    assert_eq!(samples[0].value, Value::F64(20.25));
    assert_eq!(
        read(&mut intake, "plant/gas/1", b"{}", false).1,
        [Reject::NotANumber]
    );
}

proptest! {
    #[test]
    fn any_bytes_are_samples_or_counted_refusals(
        bytes in proptest::collection::vec(any::<u8>(), 1..300),
        retained in any::<bool>(),
        clock in prop_oneof![Just(Clock::Device), Just(Clock::Arrival), Just(Clock::Recorded)],
    ) {
        let (mut intake, _) = json(clock);
        let (samples, refused) = read(&mut intake, "plant/gas/1", &bytes, retained);
        prop_assert_eq!(samples.len() + refused.len(), 1);
    }

    #[test]
    fn any_value_and_time_are_samples_or_counted_refusals(
        value in "[-0-9eE.+\"a-z\\[\\]{}:,]{0,12}",
        time in "[-0-9eE.+:TZ\"]{0,24}",
    ) {
        let (mut intake, _) = json(Clock::Device);
        let payload = format!(r#"{{"value":{value},"ts":{time}}}"#);
        let (samples, refused) = read(&mut intake, "plant/gas/1", payload.as_bytes(), false);
        prop_assert_eq!(samples.len() + refused.len(), 1);
        for s in samples {
            prop_assert!(s.value.number().is_none_or(f64::is_finite));
        }
    }
}
