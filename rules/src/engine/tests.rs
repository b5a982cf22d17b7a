//! Behaviours of the engine, each named by the clause that asks for it.

mod level;
