//! HTTP headers as bytes, in order, duplicates kept.

use std::borrow::Cow;

/// One header line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// As received; compared without regard to ASCII case.
    pub name: Cow<'a, [u8]>,
    /// Any bytes.
    pub value: Cow<'a, [u8]>,
}

/// All headers of one message, in order of appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a>(Vec<Header<'a>>);

/// Room that is made at once for the headers of a request; more is made when needed.
pub(crate) const USUAL_HEADERS: usize = 16;

impl<'a> Headers<'a> {
    /// None yet, with room for as many as a request usually has.
    #[must_use]
    pub fn with_room() -> Self {
        Self(Vec::with_capacity(USUAL_HEADERS))
    }

    /// Makes room for so many more at once.
    pub fn reserve(&mut self, more: usize) {
        self.0.reserve_exact(more);
    }

    /// Appends a header.
    pub fn push(&mut self, name: impl Into<Cow<'a, [u8]>>, value: impl Into<Cow<'a, [u8]>>) {
        self.0.push(Header {
            name: name.into(),
            value: value.into(),
        });
    }

    /// Every header in order.
    pub fn iter(&self) -> impl Iterator<Item = &Header<'a>> {
        self.0.iter()
    }

    /// Every value of `name`, in order of appearance.
    pub fn values_of<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'s Cow<'a, [u8]>> {
        self.0
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .map(|header| &header.value)
    }

    /// The first value of `name`.
    #[must_use]
    pub fn first<'s>(&'s self, name: &'s [u8]) -> Option<&'s Cow<'a, [u8]>> {
        self.values_of(name).next()
    }

    /// How many header lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> FromIterator<Header<'a>> for Headers<'a> {
    fn from_iter<I: IntoIterator<Item = Header<'a>>>(lines: I) -> Self {
        Self(lines.into_iter().collect())
    }
}
