//! What a value means: rules, alarm states, verdicts. Pure: no clock, no I/O, no randomness.
//!
//! `language` turns text into checked rules, `kinds` holds each kind of them, `alarm` the lifecycle
//! and the wire records, `engine` judges samples, `proof` runs series through all of it. Read first:
//! [`alarm::Transition`], then [`engine::Engine`].

pub mod alarm;
pub mod engine;
mod kinds;
pub mod language;
pub mod proof;
