//! Finds the known key that an unknown one was probably meant to be.
//!
//! Only a help for the reader of a fault: nothing may depend on what it finds.

/// Keys longer than this get no hint, which bounds the work.
const MAX_KEY_BYTES: usize = 64;

/// The known key nearest to `unknown`, if one is close enough to be a slip of the pen.
pub(super) fn nearest<'k>(unknown: &str, known: &'k [String]) -> Option<&'k str> {
    if unknown.len() > MAX_KEY_BYTES {
        return None;
    }
    let plain = plain(unknown);
    let close = |key: &'k String| {
        let distance = edits(&plain, &self::plain(key));
        (distance <= 2.min(key.len() / 2)).then_some((distance, key.as_str()))
    };
    known
        .iter()
        .filter_map(close)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, key)| key)
}

/// Case and the kind of word separator are the commonest slips; they cost nothing.
fn plain(key: &str) -> Vec<char> {
    let letters = key.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    // Keys are ASCII; the table of all other small letters is 12 kB of the filter's module.
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// Levenshtein distance, row by row.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (above, y) in row.iter().skip(1).zip(b) {
            let replaced = diagonal + usize::from(x != y);
            left = replaced.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
