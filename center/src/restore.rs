//! What a restart brings back: records, the newest of each alarm and point, pending commands, the
//! engine.

use std::path::Path;
use std::sync::Arc;

use davy_journal::{Journal, JournalOptions, ReceivedLog, ReceivedReader, Series, SeriesReader};
use davy_plan::Plan;

use crate::ingest::audit;
use crate::ingest::chains::{Chains, split};
use crate::state::Live;
use crate::state::gateways::Broken;
use crate::store::{Store, transition};
use crate::watch::engine;
use crate::{OWNER, StartError};

/// Everything that was stored, read back.
pub(crate) struct Opened {
    pub journal: Journal,
    pub received: ReceivedLog,
    pub commands: Journal,
    pub chains: Chains,
    pub store: Store,
    pub live: Live,
    pub restored: davy_rules::engine::Restored,
}

impl Opened {
    pub(crate) fn open(plan: &Arc<Plan>, dir: &Path) -> Result<Opened, StartError> {
        std::fs::create_dir_all(dir)?;
        let journal = Journal::open(dir, &format!("{}/{OWNER}", plan.site))?;
        let mut received = journal.received_log()?;
        let commands = Journal::open_with(
            &dir.join("commands"),
            &format!("{}/{OWNER}/commands", plan.site),
            &JournalOptions {
                reserve_bytes: 0,
                ..JournalOptions::default()
            },
        )?;
        for g in &plan.gateways {
            // What a gateway's journal is opened with: the first `prev` of its chain.
            received.expect_identity(&g.id, &format!("{}/{}", plan.site, g.id));
        }
        catch_up(&journal, &mut received)?;
        let mut series = Series::open(dir)?;
        let points = plan
            .points
            .iter()
            .map(|(_, p)| series.intern(&p.tag))
            .collect();

        let mut live = Live::new(plan.clone());
        let chains = Chains::of(received.read().owners()?.into_iter().map(|(name, _)| name));
        restore_alarms(&mut live, &mut received, &chains)?;
        restore_commands(&mut live, &commands)?;
        restore_points(&mut live, &series)?;
        let restored = engine::restored(&journal)?;
        let store = Store::new(
            ReceivedReader::open(dir)?,
            SeriesReader::open(dir)?,
            series,
            points,
        );
        Ok(Opened {
            journal,
            received,
            commands,
            chains,
            store,
            live,
            restored,
        })
    }
}

/// Our own transitions that were journalled, but not yet in the common order when we ended.
fn catch_up(journal: &Journal, received: &mut ReceivedLog) -> Result<(), StartError> {
    const PAGE: usize = 1_000;
    let reader = journal.reader()?;
    loop {
        let after = received.received_last(OWNER)?;
        let page: Vec<(u64, Vec<u8>)> = reader
            .read_from(after, PAGE)?
            .into_iter()
            .map(|s| (s.seq, s.wire.to_vec()))
            .collect();
        if page.is_empty() {
            return Ok(());
        }
        if received.commit_received(OWNER, &page)?.last == after {
            return Err(StartError::Internal(
                "the centre's own journal does not follow what was received of it".into(),
            ));
        }
    }
}

fn restore_alarms(
    live: &mut Live,
    received: &mut ReceivedLog,
    chains: &Chains,
) -> Result<(), StartError> {
    live.center_seq = received.read().last_center_seq()?;
    let mut names: Vec<String> = received
        .read()
        .owners()?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.sort_by_key(|name| split(name).1);
    for name in &names {
        let mut unreadable = 0;
        for record in received.read().received_latest_per_alarm(name)? {
            match transition(&record) {
                Some(t) => live.alarms.commit(record.center_seq, t),
                None => unreadable += 1,
            }
        }
        if unreadable > 0 {
            tracing::error!(
                owner = name,
                "{unreadable} alarms have a newest record that this program cannot read, and are not shown until their owner tells more: was it stored by a newer version?"
            );
        }
    }
    let gateways: Vec<Arc<str>> = live.gateways.iter().map(|g| g.id.clone()).collect();
    for id in gateways {
        let last = received.received_last(&chains.name(&id))?;
        let tip = received.received_tip(&chains.name(&id))?;
        let generation = chains.generation(&id);
        let Some(g) = live.gateways.get_mut(&id) else {
            continue;
        };
        (g.acked_seq, g.acked_hash) = (last, tip);
        if generation > 1 {
            g.broken = Some(Broken {
                since: davy_points::Timestamp(0),
                text: format!("{id} 的记录曾被替换，此为第 {generation} 条链"),
            });
        }
    }
    Ok(())
}

fn restore_commands(live: &mut Live, commands: &Journal) -> Result<(), StartError> {
    const PAGE: usize = 1_000;
    let reader = commands.reader()?;
    let mut after = 0;
    loop {
        let page = reader.audit_from(after, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.seq;
        for entry in &page {
            if let Some(record) = audit::command(&entry.wire) {
                live.commands.put(record);
            }
        }
    }
}

fn restore_points(live: &mut Live, series: &Series) -> Result<(), StartError> {
    let plan = live.plan.clone();
    for (ix, p) in plan.points.iter() {
        if let Some(row) = series.latest(&p.tag)? {
            // Of before: shown as stale until the gateway is heard again.
            live.points
                .admit(ix, row.value, row.quality, row.time, row.arrival, None);
        }
    }
    Ok(())
}
