//! A small site for tests, made by hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use davy_plan::{
    CenterPlan, Clock, GatewayPlan, HazardPlan, MqttAddress, MqttSource, Payload, Plan, SiteSource,
};
use davy_points::{
    Binding, Life, Limits, MqttBinding, PointDef, PointTable, PollClass, Priority, Quality,
    Scaling, SourceDef, SourceIx, Timestamp, Value,
};
use davy_rules::alarm::{
    Cause, Condition, Eval, Label, Level, Regions, RegionsChange, Transition, VERSION,
};

/// Two gateways, three points, two hazard sources. The broker is at a port where nobody listens.
pub(crate) fn plan() -> Plan {
    let mut points = PointTable::new();
    let mut sources = Vec::new();
    for (id, gateway) in [("broker-a", "gw-01"), ("broker-b", "gw-02")] {
        let ix = points.add_source(SourceDef {
            id: id.into(),
            gateway: gateway.into(),
            recorded: false,
        });
        sources.push(SiteSource::Mqtt(MqttSource {
            ix,
            id: id.into(),
            gateway: gateway.into(),
            address: nobody(),
            topics: vec!["plant/#".into()],
            payload: Payload::Number,
            stale_after: Duration::from_secs(30),
            clock: Clock::Device,
        }));
        for (tag, owner, hazard, area, class) in [
            ("LT-101", "gw-01", "TF", "north", "tank_level"),
            ("LT-102", "gw-01", "TF", "north", "tank_level"),
            ("GT/201", "gw-02", "AS", "south", "gas_toxic"),
        ] {
            if owner == gateway {
                points
                    .add(point(tag, hazard, area, class, ix))
                    .expect("tags differ");
            }
        }
    }
    Plan {
        dir: PathBuf::new(),
        site: "s1".into(),
        name: "示例罐区".into(),
        zone: "Asia/Shanghai".into(),
        approval_key: None,
        hazards: vec![
            HazardPlan {
                id: "TF".into(),
                name: "苯罐区".into(),
                grade: Some(2),
                substance: "苯".into(),
            },
            HazardPlan {
                id: "AS".into(),
                name: "液氨站".into(),
                grade: Some(1),
                substance: "氨".into(),
            },
        ],
        areas: vec![
            ("north".into(), "北区".into()),
            ("south".into(), "南区".into()),
        ],
        gateways: vec![
            GatewayPlan {
                id: "gw-01".into(),
                name: "一号网关".into(),
            },
            GatewayPlan {
                id: "gw-02".into(),
                name: "二号网关".into(),
            },
        ],
        center: CenterPlan {
            listen: "127.0.0.1:0".into(),
            url: "http://127.0.0.1:0".into(),
            broker: nobody(),
            token: None,
            command_key: None,
        },
        sinks: Vec::new(),
        storage: PathBuf::new(),
        points: Arc::new(points),
        sources,
        rule_files: Vec::new(),
        test_files: Vec::new(),
        guidance: vec![(
            "tank-overfill".into(),
            "# Tank overfill\n\n**Cause** the feed was not shut.\n\n1. Shut the feed.\n".into(),
        )],
        rev: "0123456789abcdef".into(),
    }
}

fn nobody() -> MqttAddress {
    MqttAddress {
        host: "127.0.0.1".into(),
        port: 9,
        user: None,
        password: None,
    }
}

fn point(tag: &str, hazard: &str, area: &str, class: &str, source: SourceIx) -> PointDef {
    PointDef {
        tag: tag.into(),
        description: format!("{tag} 描述").into(),
        hazard: hazard.into(),
        area: area.into(),
        class: class.into(),
        unit: "%".into(),
        low: Some(0.0),
        high: Some(100.0),
        source,
        binding: Binding::Mqtt(MqttBinding {
            topic: format!("plant/{tag}"),
            json_path: None,
        }),
        scaling: Scaling::default(),
        poll: PollClass::Normal,
        expected_interval: Duration::from_secs(10),
        stale_after: Duration::from_secs(30),
        report_deadband: None,
        limits: Limits {
            ll: None,
            l: None,
            h: Some(85.0),
            hh: Some(90.0),
        },
        deadband: 1.0,
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

/// The annunciation of `table/LT-101/hh` at an owner, with a made-up seal.
pub(crate) fn transition(owner: &str, seq: u64) -> Transition {
    let at = Timestamp(1_700_000_000_000_000_000 + seq as i64);
    let after = Regions {
        condition: Condition::Active,
        eval: Eval::Known,
        open: true,
        audible: true,
        ..Regions::default()
    };
    Transition {
        v: VERSION,
        seq,
        site: "s1".into(),
        owner: owner.into(),
        alarm: "table/LT-101/hh".into(),
        rule: "table".into(),
        kind: "level".into(),
        tag: "LT-101".into(),
        hazard: "TF".into(),
        area: "north".into(),
        level: Level::Hh,
        priority: Priority::CRITICAL,
        occurrence: format!("occ{seq:023}").into(),
        episode: format!("occ{seq:023}").into(),
        from: Label::Normal,
        to: Label::Unack,
        cause: Cause::Condition,
        value: Value::F64(91.5),
        quality: Quality::Good,
        limit: Some(90.0),
        unit: "%".into(),
        text: "LT-101 高高报 91.5 ≥ 90 %".into(),
        guidance: "".into(),
        source_time: at,
        condition_start: Some(at),
        annunciated_at: Some(at),
        recorded_at: at,
        rule_rev: "r1".into(),
        plan_rev: "0123456789abcdef".into(),
        command_id: None,
        actor: None,
        reason: None,
        flags: Vec::new(),
        group: None,
        regions: RegionsChange {
            before: Regions {
                eval: Eval::Known,
                ..Regions::default()
            },
            after,
        },
        prev: Some("0".repeat(64)),
        hash: Some("0".repeat(64)),
    }
}
