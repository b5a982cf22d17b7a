//! Other limits while the gateway runs.

use super::*;
use crate::run::Reloaded;

/// A lowered limit alarms on the value that stands, from the register to the centre; rules that do
/// not hold change nothing; a point that is read in another way waits for a restart.
#[tokio::test]
async fn limits_change_while_it_runs() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let store = Store::start(|_, _| Reply::Status(204)).await;
    let device = Device::start().await;
    device.set(7, 60);
    device.set(8, 60);
    let site = |change: &dyn Fn(&mut PointDef)| {
        let mut site = Site::new(&broker, &store);
        let plc = site.modbus(&device);
        site.register("LT-101", plc, 7);
        site.register("LT-102", plc, 8);
        let mut table = PointTable::new();
        for (_, source) in site.table.sources() {
            table.add_source(source.clone());
        }
        for (_, p) in site.table.iter() {
            let mut p = p.clone();
            change(&mut p);
            table.add(p).expect("a new tag");
        }
        site.table = table;
        site
    };
    let mut center = Center::start(&broker.address());
    let data = data();
    let mut gateway = start(site(&|_| {}).config(data.path())).expect("started");
    until(|| gateway.stats().rows_stored > 2).await;

    // A rule for a point that is not there: refused, and nothing changed.
    let mut plan = Plan::clone(&site(&|p| p.limits.h = Some(50.0)).config(data.path()).plan);
    plan.rule_files = vec![(
        "rules/a.toml".into(),
        "schema = 1\n[[level]]\nid = \"x\"\nselect = { tag = \"NOWHERE\" }\nh = { limit = 1 }\n"
            .into(),
    )];
    let refused = gateway.reload(Arc::new(plan)).await;
    assert!(
        matches!(&refused, Reloaded::Refused { faults, .. } if !faults.is_empty()),
        "{refused:?}"
    );
    assert_eq!(gateway.stats().last_seq, 0, "nothing happened");

    // A limit and, for the other point, another register as well: that one keeps its whole row.
    let config = site(&|p| {
        p.limits.h = Some(50.0);
        if &*p.tag == "LT-102"
            && let Binding::Modbus(m) = &mut p.binding
        {
            m.address = 9;
        }
    })
    .config(data.path());
    let applied = gateway.reload(config.plan).await;
    let Reloaded::Applied { waiting } = applied else {
        panic!("{applied:?}");
    };
    assert_eq!(waiting, ["point LT-102 is read in another way"]);
    let h = center.transition("table/LT-101/h", "UNACK").await;
    assert_eq!(
        (&h["limit"], &h["cause"]),
        (&50.0.into(), &"condition".into())
    );
    assert_ne!(h["plan_rev"], "0123456789abcdef");
    // Raised again: gone with the next good value.
    gateway.reload(site(&|_| {}).config(data.path()).plan).await;
    let back = center.transition("table/LT-101/h", "RTN_UNACK").await;
    assert_eq!(back["cause"], "rule_changed");
    assert_eq!(back["plan_rev"], "0123456789abcdef");
    let stats = gateway.stop().await;
    assert_eq!(stats.last_seq, 2, "LT-102 said nothing: {stats:?}");
}
