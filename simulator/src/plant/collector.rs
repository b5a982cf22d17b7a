//! A dust collector: its fan makes the suction, its filter cakes and is pulsed clean.

use davy_points::PointDef;

use super::instrument::Instrument;
use super::tag::Tag;

/// Seconds between two cleanings of a filter.
const PULSE_S: f64 = 45.0;
/// Share of the span that a cake adds before it is blown off.
const CAKE: f64 = 0.05;
/// Seconds in which the suction follows the fan.
const RUN_DOWN_S: f64 = 4.0;

/// Fans and pressure drops of one hazard source, by index.
#[derive(Debug)]
pub(super) struct Collector {
    /// Contacts that say that a fan runs.
    fans: Vec<usize>,
    /// What its motor draws.
    currents: Vec<usize>,
    drops: Vec<usize>,
    since_pulse: f64,
    /// 0 the fan stands, 1 it runs.
    draught: f64,
}

impl Collector {
    /// A collector for every hazard source that has filter pressure drops.
    pub(super) fn find(tags: &[Option<Tag>], points: &[PointDef]) -> Vec<Collector> {
        let mut found: Vec<(&str, Collector)> = Vec::new();
        for (i, def) in points.iter().enumerate() {
            let letters = tags[i].as_ref().map_or("", |t| &*t.letters);
            let dust = def.class.contains("dust") || def.class.contains("filter");
            let drop = dust && letters.starts_with("PD") || def.class.ends_with("_dp");
            let fan = def.class.contains("fan");
            let current = fan && letters.starts_with('I');
            if !drop && !fan {
                continue;
            }
            let at = match found.iter().position(|(h, _)| **h == *def.hazard) {
                Some(at) => at,
                None => {
                    found.push((
                        &def.hazard,
                        Collector {
                            fans: Vec::new(),
                            currents: Vec::new(),
                            drops: Vec::new(),
                            since_pulse: 0.0,
                            draught: 1.0,
                        },
                    ));
                    found.len() - 1
                }
            };
            let collector = &mut found[at].1;
            if drop {
                collector.drops.push(i);
            } else if current {
                collector.currents.push(i);
            } else {
                collector.fans.push(i);
            }
        }
        found
            .into_iter()
            .map(|(_, c)| c)
            .filter(|c| !c.drops.is_empty())
            .collect()
    }

    pub(super) fn advance(&mut self, seconds: f64, instruments: &mut [Instrument]) {
        let runs = self.fans.iter().all(|&f| instruments[f].process() >= 0.5);
        let target = if runs { 1.0 } else { 0.0 };
        self.draught += (target - self.draught) * (seconds / RUN_DOWN_S).min(1.0);
        self.since_pulse = (self.since_pulse + seconds) % PULSE_S;
        let cake = CAKE * (self.since_pulse / PULSE_S - 0.5);
        for &current in &self.currents {
            let full = instruments[current].process();
            instruments[current].drive(full * self.draught);
        }
        for &drop in &self.drops {
            let instrument = &mut instruments[drop];
            let clean = instrument.process();
            instrument.drive((clean + cake * instrument.span()) * self.draught);
        }
    }
}
