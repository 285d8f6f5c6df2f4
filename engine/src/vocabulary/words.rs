//! Many words at once: which of them a text holds, in one pass and whatever their case.
//!
//! Hardly any place of an ordinary text begins with the first two bytes of a word, and one bit says so. Only where they do
//! the words themselves are compared, so that a text costs about a nanosecond a byte, however many words there are.

/// Words and what each stands for.
#[derive(Debug)]
pub(super) struct Words<T> {
    /// A bit for every two bytes that a word begins with.
    beginnings: Vec<u64>,
    by_first: Vec<Vec<(&'static [u8], T)>>,
}

impl<T: Copy + Ord> Words<T> {
    /// Words in lower case; an empty one is never found.
    pub(super) fn new(words: impl IntoIterator<Item = (&'static [u8], T)>) -> Self {
        let mut beginnings = vec![0; 256 * 256 / 64];
        let mut by_first = vec![Vec::new(); 256];
        for (word, meaning) in words {
            let (first, second) = match word {
                [] => continue,
                // A word of one byte may be followed by any.
                [first] => (*first, 0..=u8::MAX),
                [first, second, ..] => (*first, *second..=*second),
            };
            for second in second {
                let (place, bit) = place(first, second);
                if let Some(bits) = beginnings.get_mut(place) {
                    *bits |= bit;
                }
            }
            if let Some(list) = by_first.get_mut(usize::from(first)) {
                list.push((word, meaning));
            }
        }
        Self {
            beginnings,
            by_first,
        }
    }

    /// The greatest of what the words in a text stand for.
    pub(super) fn greatest(&self, text: &[u8]) -> Option<T> {
        let mut greatest = None;
        let mut rest = text;
        while let [first, after @ ..] = rest {
            let (place, bit) = place(*first, after.first().copied().unwrap_or_default());
            if self
                .beginnings
                .get(place)
                .is_some_and(|bits| bits & bit != 0)
            {
                greatest = greatest.max(self.at_start(*first, rest));
            }
            rest = after;
        }
        greatest
    }

    fn at_start(&self, first: u8, text: &[u8]) -> Option<T> {
        let words = self.by_first.get(usize::from(first.to_ascii_lowercase()))?;
        let found = words.iter().filter(|(word, _)| {
            let start = text.get(..word.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(word))
        });
        found.map(|(_, meaning)| *meaning).max()
    }
}

/// The bit of two bytes, and where it is.
fn place(first: u8, second: u8) -> (usize, u64) {
    let first = usize::from(first.to_ascii_lowercase());
    let pair = first << 8 | usize::from(second.to_ascii_lowercase());
    (pair >> 6, 1 << (pair & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_of_all_words_is_found_wherever_it_is_and_in_any_case() {
        let words = Words::new([
            (&b"one"[..], 1),
            (b"two", 2),
            (b"twofold", 3),
            (b"`", 4),
            (b"", 9),
        ]);
        for (text, greatest) in [
            ("", None),
            ("o", None),
            ("on", None),
            ("tw two", Some(2)),
            ("xxONE", Some(1)),
            ("twONEfold tWo", Some(2)),
            ("one twofold one", Some(3)),
            ("a`", Some(4)),
            ("`one", Some(4)),
        ] {
            assert_eq!(words.greatest(text.as_bytes()), greatest, "{text}");
        }
    }

    #[test]
    fn finds_what_a_search_for_each_word_finds() {
        let list: [&'static [u8]; 6] = [b"ab", b"ba", b"abc", b"c", b"aab", b"bcc"];
        let words = Words::new(list.into_iter().zip(0..));
        // Every text of up to six letters out of three.
        for number in 0..3_u32.pow(6) * 6 {
            let letters = (0..number % 6 + 1).map(|place| number / 6 / 3_u32.pow(place) % 3);
            let text: Vec<u8> = letters.map(|letter| b'a' + letter as u8).collect();
            let held = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
            let greatest = (0..).zip(list).filter(|(_, word)| held(word)).last();
            let greatest = greatest.map(|(place, _)| place);
            assert_eq!(words.greatest(&text), greatest, "{text:?}");
        }
    }
}
