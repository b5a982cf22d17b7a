//! The point table: dense indexes that are valid by construction.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::PointDef;

/// Dense index of a point in its [`PointTable`]. Never on the wire between processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PointIx(u32);

impl PointIx {
    /// For arrays kept beside the table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Dense index of a source in its [`PointTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceIx(u32);

impl SourceIx {
    /// For arrays kept beside the table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A source as the engine and the console know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDef {
    /// Id from `sources.toml`.
    pub id: Arc<str>,
    /// Gateway that reads it: the owner of its points' alarms.
    pub gateway: Arc<str>,
    /// A recording: its clock is the pipeline's.
    pub recorded: bool,
}

/// All points and sources of a site.
#[derive(Debug, Clone, Default)]
pub struct PointTable {
    points: Vec<PointDef>,
    sources: Vec<SourceDef>,
    by_tag: HashMap<Arc<str>, PointIx>,
}

/// Why a point could not be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointTableError {
    /// The tag stands in the table already, here.
    DuplicateTag(PointIx),
    /// More than 2³² points.
    Full,
}

impl fmt::Display for PointTableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PointTableError::DuplicateTag(_) => f.write_str("the tag is in the table already"),
            PointTableError::Full => f.write_str("the table is full"),
        }
    }
}

impl std::error::Error for PointTableError {}

impl PointTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> PointTable {
        PointTable::default()
    }

    /// Adds a source; ids are the caller's to keep unique.
    #[allow(clippy::cast_possible_truncation)] // a site has few sources; a test would need 2^32 of them
    pub fn add_source(&mut self, source: SourceDef) -> SourceIx {
        self.sources.push(source);
        SourceIx((self.sources.len() - 1) as u32)
    }

    /// Adds a point.
    ///
    /// # Errors
    /// The tag is taken, or the table is full; the table is unchanged.
    pub fn add(&mut self, def: PointDef) -> Result<PointIx, PointTableError> {
        if let Some(&there) = self.by_tag.get(&def.tag) {
            return Err(PointTableError::DuplicateTag(there));
        }
        let ix = PointIx(u32::try_from(self.points.len()).map_err(|_| PointTableError::Full)?);
        self.by_tag.insert(def.tag.clone(), ix);
        self.points.push(def);
        Ok(ix)
    }

    /// How many points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// No points at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The definition of a point.
    #[must_use]
    pub fn point(&self, ix: PointIx) -> &PointDef {
        &self.points[ix.index()]
    }

    /// The source with this index.
    #[must_use]
    pub fn source(&self, ix: SourceIx) -> &SourceDef {
        &self.sources[ix.index()]
    }

    /// The source that reads a point.
    #[must_use]
    pub fn source_of(&self, ix: PointIx) -> &SourceDef {
        self.source(self.point(ix).source)
    }

    /// The point with this tag.
    #[must_use]
    pub fn find(&self, tag: &str) -> Option<PointIx> {
        self.by_tag.get(tag).copied()
    }

    /// All points, in the order of the table.
    #[allow(clippy::cast_possible_truncation)] // `add` refuses what does not fit
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (PointIx, &PointDef)> {
        self.points
            .iter()
            .enumerate()
            .map(|(i, p)| (PointIx(i as u32), p))
    }

    /// All sources, in order.
    #[allow(clippy::cast_possible_truncation)] // see `add_source`
    pub fn sources(&self) -> impl ExactSizeIterator<Item = (SourceIx, &SourceDef)> {
        self.sources
            .iter()
            .enumerate()
            .map(|(i, s)| (SourceIx(i as u32), s))
    }

    /// The points that a gateway owns, in order.
    pub fn owned_by<'a>(
        &'a self,
        gateway: &'a str,
    ) -> impl Iterator<Item = (PointIx, &'a PointDef)> {
        self.iter()
            .filter(move |(_, p)| &*self.source(p.source).gateway == gateway)
    }
}
