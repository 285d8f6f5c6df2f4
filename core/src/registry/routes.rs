//! The routes of an API as its definition declares them: which segments of a path name things, whatever they look like.
//!
//! Compiled once; a look-up visits each node of the tree at most once, so it is bounded by the definition and not by requests.

use std::collections::BTreeMap;

use crate::path::NormalPath;

/// Most routes of one API.
pub const MAX_ROUTES: usize = 256;
/// Most segments of a route below the API's base path.
pub const MAX_ROUTE_SEGMENTS: usize = 20;

/// The declared routes of an API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(Node);

/// The segments of one path that name things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters(u64);

/// One declared route, such as `/orders/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Template(pub(super) Vec<Piece>);

/// A segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    /// Itself.
    Word(Vec<u8>),
    /// Anything.
    Parameter,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    ends: bool,
    words: BTreeMap<Vec<u8>, Self>,
    parameter: Option<Box<Self>>,
}

impl Routes {
    /// Compiles templates that count from `base`. One that repeats `base` counts from the root too, since that is what is meant then.
    pub(super) fn compile(base: &NormalPath, templates: &[Template]) -> Self {
        let base: Vec<Piece> = base
            .segments()
            .map(|segment| Piece::Word(segment.to_vec()))
            .collect();
        let mut root = Node::default();
        for Template(pieces) in templates {
            root.insert(base.iter().chain(pieces));
            if !base.is_empty() && pieces.starts_with(&base) {
                root.insert(pieces.iter());
            }
        }
        Self(root)
    }

    /// Whether none is declared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == Node::default()
    }

    /// The parameters of the route that `path` is of; `None` when no route has such a path. Words win over parameters.
    #[must_use]
    pub fn parameters(&self, path: &NormalPath) -> Option<Parameters> {
        let mut segments = Vec::with_capacity(8);
        segments.extend(path.segments());
        self.0.find(&segments, 0).map(Parameters)
    }
}

impl Parameters {
    /// Whether the segment at `place`, counted from 0 at the root, names a thing.
    #[must_use]
    pub fn include(self, place: usize) -> bool {
        place < 64 && self.0 >> place & 1 == 1
    }
}

impl Node {
    fn insert<'p>(&mut self, pieces: impl Iterator<Item = &'p Piece>) {
        let mut node = self;
        for piece in pieces {
            node = match piece {
                Piece::Word(word) => node.words.entry(word.clone()).or_default(),
                Piece::Parameter => node.parameter.get_or_insert_default(),
            };
        }
        node.ends = true;
    }

    fn find(&self, segments: &[&[u8]], place: u32) -> Option<u64> {
        let Some((first, rest)) = segments.split_first() else {
            return self.ends.then_some(0);
        };
        let word = self.words.get(*first);
        if let Some(found) = word.and_then(|node| node.find(rest, place + 1)) {
            return Some(found);
        }
        let node = self.parameter.as_deref()?;
        let found = node.find(rest, place + 1)?;
        // Definitions are far shorter than this has bits.
        Some(found | 1_u64.checked_shl(place).unwrap_or(0))
    }
}
