//! The header lines of a call to the data port, whoever has read them: hyper, or the fast path's own look at the bytes.

use hyper::HeaderMap;

/// Header lines by name, compared without regard to ASCII case.
pub trait CallHeaders {
    /// Every value of `name`, which is in lower case, in order of appearance.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &[u8]>;

    /// The first value of `name`, which is in lower case.
    fn first(&self, name: &'static str) -> Option<&[u8]> {
        self.all(name).next()
    }
}

impl CallHeaders for HeaderMap {
    fn all(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.get_all(name).into_iter().map(|value| value.as_bytes())
    }
}

impl CallHeaders for [httparse::Header<'_>] {
    fn all(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(move |line| line.name.eq_ignore_ascii_case(name))
            .map(|line| line.value)
    }
}
