//! Pretends to be the plant.
//!
//! Lives here: seeded process models (`plant`), the field devices that serve them or a recording on
//! real sockets (`field`), faults of instruments and links (`faults`), and stories with their ground
//! truth (`scenarios`). May not live here: anything of the gateway; a peer that shared its codec
//! would share its mistakes. Read first: [`field`].

pub mod faults;
pub mod field;
pub mod plant;
pub mod random;
pub mod scenarios;
