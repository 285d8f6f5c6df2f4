//! A header map as the guest sees it: an ordered list of byte pairs, and its serialised form.
//!
//! Names are assumed to be lower case already; a name's repetitions keep their order. Values are bytes and never judged.
//! Must never fail on what a guest sends: a malformed map is an empty map, as in Envoy.

/// Envoy refuses maps with more pairs than this (`limits.h`).
const MAX_PAIRS: usize = 1024;
/// Envoy refuses serialised maps longer than this (`limits.h`).
const MAX_BYTES: usize = 1024 * 1024;

/// An ordered list of header names and values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pairs(Vec<(Vec<u8>, Vec<u8>)>);

impl Pairs {
    /// The pairs in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// How many pairs there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Names and values together, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }

    /// The first value of a name.
    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter()
            .find(|(candidate, _)| *candidate == name)
            .map(|(_, value)| value)
    }

    /// The first value of a name as text; bytes that are not UTF-8 are replaced.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name.as_bytes())
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Appends a pair.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), value.to_vec()));
    }

    /// Appends a pair, or joins the value to the first one of the name with a comma.
    pub(super) fn join(&mut self, name: &[u8], value: &[u8]) {
        match self.0.iter_mut().find(|(candidate, _)| candidate == name) {
            Some((_, first)) => {
                first.push(b',');
                first.extend_from_slice(value);
            }
            None => self.add(name, value),
        }
    }

    /// Makes `value` the only value of a name, at the place of its first one.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        let name = name.to_ascii_lowercase();
        let mut kept = false;
        self.0.retain_mut(|(candidate, current)| {
            if *candidate != name {
                return true;
            }
            let first = !kept;
            if first {
                *current = value.to_vec();
            }
            kept = true;
            first
        });
        if !kept {
            self.0.push((name, value.to_vec()));
        }
    }

    /// Removes every value of a name.
    pub(super) fn remove(&mut self, name: &[u8]) {
        let name = name.to_ascii_lowercase();
        self.0.retain(|(candidate, _)| *candidate != name);
    }

    /// The ABI's form: count, all lengths, then NUL-terminated names and values. An empty map is no bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut out = length(self.0.len()).to_vec();
        for (name, value) in self.iter() {
            out.extend_from_slice(&length(name.len()));
            out.extend_from_slice(&length(value.len()));
        }
        for (name, value) in self.iter() {
            out.extend_from_slice(name);
            out.push(0);
            out.extend_from_slice(value);
            out.push(0);
        }
        out
    }

    /// Reads the ABI's form; anything else is an empty map.
    pub(super) fn decode(bytes: &[u8]) -> Self {
        if bytes.len() > MAX_BYTES {
            return Self::default();
        }
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (count, mut rest) = take_length(bytes)?;
        if count > MAX_PAIRS {
            return None;
        }
        let mut lengths = Vec::with_capacity(count);
        for _ in 0..count {
            let (name, after_name) = take_length(rest)?;
            let (value, after_value) = take_length(after_name)?;
            lengths.push((name, value));
            rest = after_value;
        }
        let mut pairs = Self::default();
        for (name_length, value_length) in lengths {
            let (name, after_name) = take_terminated(rest, name_length)?;
            let (value, after_value) = take_terminated(after_name, value_length)?;
            pairs.add(name, value);
            rest = after_value;
        }
        Some(pairs)
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut map = Self::default();
        for (name, value) in pairs {
            map.add(name.as_ref(), value.as_ref());
        }
        map
    }
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*head)).ok()?, rest))
}

fn take_terminated(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    rest.split_first().map(|(_, rest)| (text, rest))
}

#[cfg(test)]
mod tests {
    use super::Pairs;

    #[test]
    fn a_map_survives_its_serialised_form_with_duplicates_and_odd_bytes() {
        let map: Pairs = [
            (&b":path"[..], &b"/"[..]),
            (b"x-dup", b"a"),
            (b"x-dup", b""),
            (b"x-raw", b"\xff\0\x80"),
        ]
        .into_iter()
        .collect();
        assert_eq!(Pairs::decode(&map.encode()), map);
    }

    #[test]
    fn a_map_cut_short_anywhere_is_an_empty_map() {
        let map: Pairs = [("a", "1"), ("b", "22")].into_iter().collect();
        let bytes = map.encode();
        for cut in 0..bytes.len() {
            assert_eq!(
                Pairs::decode(&bytes[..cut]),
                Pairs::default(),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn setting_a_name_leaves_one_value_at_the_first_ones_place() {
        let mut map: Pairs = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        map.set(b"A", b"4");
        assert_eq!(map, [("a", "4"), ("b", "2")].into_iter().collect());
    }
}
