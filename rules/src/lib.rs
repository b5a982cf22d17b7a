//! What a value means: rules, alarm states, verdicts. Pure: no clock, no I/O, no randomness.
//!
//! In the order of dependence: `alarm` (lifecycle, wire records) and `grammar` (what rule files are
//! written in), `ruleset` (checked rules), `kinds` (each kind of them), `language` (files to rules),
//! `engine` (samples to transitions), `proof` (series through all of it). Read first:
//! [`alarm::Transition`], then [`engine::Engine`].

pub mod alarm;
pub mod engine;
mod grammar;
mod kinds;
pub mod language;
pub mod proof;
mod ruleset;
