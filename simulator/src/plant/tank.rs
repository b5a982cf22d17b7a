//! A tank: what flows in and out moves its level, and every gauge on it sees the same level.

use davy_points::PointDef;

use super::instrument::{Instrument, Pace};
use super::tag::Tag;

/// A tank takes this much over the span of its gauges.
const CAPACITY_M3: f64 = 2000.0;

/// A tank and the instruments on it, by index.
#[derive(Debug)]
pub(super) struct Tank {
    /// Level gauges of one loop (LT-101A, LT-101B).
    pub(super) gauges: Vec<usize>,
    /// Flow meters of the loop, into the tank and out of it.
    meters_in: Vec<usize>,
    meters_out: Vec<usize>,
    /// Vapour pressure of the loop.
    pressures: Vec<usize>,
    /// Contacts of the feed: its pump runs, its valve is open.
    feeds: Vec<usize>,
    /// High switches, and the level at which they trip.
    switches: Vec<usize>,
    trip: f64,
    /// In the unit of the first gauge.
    pub(super) level: f64,
    /// m³/h, negative out.
    pub(super) flow: f64,
    /// The level at which the stream stops.
    pub(super) until: Option<f64>,
    span: f64,
    surge: f64,
    /// Height of its waves, in shares of the span.
    waves: f64,
}

impl Tank {
    /// A tank for every loop that has analog level points.
    pub(super) fn find(
        instruments: &[Instrument],
        tags: &[Option<Tag>],
        points: &[PointDef],
        pace: Pace,
    ) -> Vec<Tank> {
        let waves = match pace {
            Pace::Demo => 0.001,
            Pace::Life => 0.000_1,
        };
        let mut tanks: Vec<(Tag, Tank)> = Vec::new();
        for (i, (tag, def)) in tags.iter().zip(points).enumerate() {
            let Some(tag) = tag else { continue };
            let level = matches!(&*tag.letters, "LT" | "LI" | "LIA" | "LIT")
                || def.class.contains("level") && tag.letters.starts_with('L');
            if !level || instruments[i].is_discrete() {
                continue;
            }
            if let Some((_, tank)) = tanks.iter_mut().find(|(t, _)| t.same_loop(tag)) {
                tank.gauges.push(i);
                continue;
            }
            let with = |fits: &dyn Fn(&str, &PointDef, bool) -> bool| -> Vec<usize> {
                tags.iter()
                    .zip(points)
                    .enumerate()
                    .filter(|(j, (t, def))| {
                        t.as_ref().is_some_and(|t| {
                            t.same_loop(tag) && fits(&t.letters, def, instruments[*j].is_discrete())
                        })
                    })
                    .map(|(j, _)| j)
                    .collect()
            };
            // a stream that has a low limit runs all the time: it is not the tank's feed
            let meter = |letters: &str, def: &PointDef| {
                letters.starts_with('F') && def.limits.l.or(def.limits.ll).is_none()
            };
            let out = |def: &PointDef| def.class.contains("out");
            let span = instruments[i].span();
            let hh = def.limits.hh.or(def.limits.h).or(def.high);
            tanks.push((
                tag.clone(),
                Tank {
                    gauges: vec![i],
                    meters_in: with(&|l, d, discrete| !discrete && meter(l, d) && !out(d)),
                    meters_out: with(&|l, d, discrete| !discrete && meter(l, d) && out(d)),
                    pressures: with(&|l, _, discrete| !discrete && l == "PT"),
                    feeds: with(&|_, d, discrete| {
                        discrete && (d.class.contains("pump") || d.class.contains("valve"))
                    }),
                    switches: with(&|l, _, discrete| discrete && l.starts_with("LSH")),
                    // the independent switch stands a little above HH
                    trip: hh.unwrap_or(f64::MAX) + 0.015 * span,
                    level: instruments[i].middle(),
                    flow: 0.0,
                    until: None,
                    span,
                    surge: 0.0,
                    waves,
                },
            ));
        }
        tanks.into_iter().map(|(_, tank)| tank).collect()
    }

    pub(super) fn idle(&mut self) {
        self.flow = 0.0;
        self.until = None;
    }

    pub(super) fn advance(&mut self, seconds: f64, speed: f64, instruments: &mut [Instrument]) {
        let before = self.level;
        self.level += self.flow / 3600.0 * speed * seconds * self.span / CAPACITY_M3;
        if let Some(until) = self.until {
            let passed =
                self.flow > 0.0 && self.level >= until || self.flow < 0.0 && self.level <= until;
            if passed {
                self.level = if self.flow > 0.0 {
                    until.max(before)
                } else {
                    until.min(before)
                };
                self.idle();
            }
        }
        // a surface is never still: a slow seiche
        self.surge = (self.surge + seconds * 0.35) % std::f64::consts::TAU;
        let surface = self.level + self.span * self.waves * self.surge.sin();
        for &gauge in &self.gauges {
            instruments[gauge].drive(surface);
        }
        for &meter in &self.meters_in {
            instruments[meter].drive(self.flow.max(0.0));
        }
        for &meter in &self.meters_out {
            instruments[meter].drive((-self.flow).max(0.0));
        }
        for &feed in &self.feeds {
            instruments[feed].drive(f64::from(u8::from(self.flow > 0.0)));
        }
        for &switch in &self.switches {
            instruments[switch].drive(f64::from(u8::from(surface >= self.trip)));
        }
        if self.flow > 0.0 {
            // filling presses the vapour space, a little
            for &pressure in &self.pressures {
                let rest = instruments[pressure].process();
                let span = instruments[pressure].span();
                instruments[pressure].drive(rest + span * 0.02);
            }
        }
    }
}
