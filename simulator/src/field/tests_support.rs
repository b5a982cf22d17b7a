//! Points for the tests of this crate.

use std::time::Duration;

use davy_points::{
    Binding, ByteOrder, Life, Limits, ModbusBinding, ModbusTable, ModbusType, PointDef, PointTable,
    PollClass, Scaling, SourceDef,
};

/// A point with nothing said about it.
pub(crate) fn point(tag: &str, class: &str, binding: Binding) -> PointDef {
    let source = PointTable::new().add_source(SourceDef {
        id: "test".into(),
        gateway: "gw".into(),
        recorded: false,
    });
    PointDef {
        tag: tag.into(),
        description: "".into(),
        hazard: "".into(),
        area: "".into(),
        class: class.into(),
        unit: "".into(),
        low: None,
        high: None,
        source,
        binding,
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

/// A Modbus point.
pub(crate) fn modbus(
    tag: &str,
    unit_id: u8,
    table: ModbusTable,
    address: u16,
    kind: ModbusType,
) -> PointDef {
    point(
        tag,
        "",
        Binding::Modbus(ModbusBinding {
            unit_id,
            table,
            address,
            kind,
            order: ByteOrder::Abcd,
            status: None,
        }),
    )
}

/// A point in the holding registers of unit 1.
pub(crate) fn holding(tag: &str, address: u16, kind: ModbusType) -> PointDef {
    modbus(tag, 1, ModbusTable::Holding, address, kind)
}
