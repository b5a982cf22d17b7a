//! What a value means: rules, alarm states, verdicts. Pure: no clock, no I/O, no randomness.
//!
//! `language` turns text into checked rules, `alarm` holds the lifecycle and the wire records,
//! `engine` judges samples. Read first: [`alarm::Transition`], then the engine.

pub mod alarm;
