//! ASE's account of a batch (`docs/wire.md`, Batch, Answers).
//!
//! What is not such an account is none: a 200 of something else in ASE's place must not make records count as delivered.

use ase_core::json::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What became of the lines of a batch that ASE has dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How many lines ASE refused; it may name fewer.
    pub rejected: u32,
    /// What ASE says of the image that the batch named.
    pub image: News,
}

/// What a receipt says of the image that the batch named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum News {
    /// Nothing, which is no word that the image is up to date.
    #[default]
    Silent,
    /// It is up to date.
    Current,
    /// This was listed since.
    Overlay(Vec<u8>),
    /// ASE adds to another one.
    Stale,
    /// Something that is none of these.
    Garbled,
}

impl Receipt {
    /// Reads the body of an answer; `None` when it is no receipt.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let answer = Value::parse(body).ok()?;
        answer.get("accepted")?.as_u64()?;
        let named = match answer.get("rejected") {
            Some(lines) => u64::try_from(lines.as_array()?.len()).ok()?,
            None => 0,
        };
        let rejected = match answer.get("rejected_count") {
            Some(count) => count.as_u64()?,
            None => named,
        };
        Some(Self {
            rejected: u32::try_from(rejected).unwrap_or(u32::MAX),
            image: answer.get("image").map_or(News::Silent, News::of),
        })
    }
}

impl News {
    fn of(member: &Value) -> Self {
        match member.as_str() {
            Some("current") => Self::Current,
            Some("stale") => Self::Stale,
            Some(overlay) => STANDARD
                .decode(overlay)
                .map_or(Self::Garbled, Self::Overlay),
            None => Self::Garbled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_refused_lines_even_those_that_are_not_named() {
        for (body, rejected) in [
            (r#"{"accepted":2}"#, 0),
            (r#"{"accepted":0,"duplicates":2,"rejected":[]}"#, 0),
            (
                r#"{"accepted":2,"duplicates":0,"rejected":[{"line":3,"fault":"x"}]}"#,
                1,
            ),
            (
                r#"{"accepted":2,"rejected_count":150,"rejected":[{"line":3,"fault":"x"}]}"#,
                150,
            ),
            (r#"{"accepted":2,"rejected_count":99999999999}"#, u32::MAX),
        ] {
            assert_eq!(
                Receipt::parse(body.as_bytes()),
                Some(Receipt {
                    rejected,
                    image: News::Silent
                }),
                "{body}"
            );
        }
    }

    #[test]
    fn what_it_says_of_the_image_is_one_of_four_things_or_nothing() {
        for (image, news) in [
            (r#""current""#, News::Current),
            (r#""stale""#, News::Stale),
            (r#""YWJj""#, News::Overlay(b"abc".to_vec())),
            (r#""YWJ""#, News::Garbled),
            (r#""up to date""#, News::Garbled),
            ("null", News::Garbled),
            ("7", News::Garbled),
        ] {
            let body = format!(r#"{{"accepted":2,"image":{image}}}"#);
            let receipt = Receipt::parse(body.as_bytes()).unwrap();
            assert_eq!(receipt.image, news, "{image}");
        }
    }

    #[test]
    fn what_is_no_account_of_a_batch_is_no_receipt() {
        for body in [
            &b""[..],
            b"OK",
            b"[]",
            b"{}",
            b"{\"rejected\":[]}",
            b"{\"accepted\":\"2\"}",
            b"{\"accepted\":-1}",
            b"{\"accepted\":2,\"rejected\":7}",
            b"{\"accepted\":2,\"rejected\":[{\"li",
            b"{\"accepted\":2,\"rejected_count\":\"7\",\"rejected\":[]}",
            b"\xff",
        ] {
            assert_eq!(Receipt::parse(body), None);
        }
    }
}
