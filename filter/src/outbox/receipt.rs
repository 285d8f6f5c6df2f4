//! ASE's account of a batch (`docs/wire.md`, Batch, Answers).
//!
//! What is not such an account is none: a 200 of something else in ASE's place must not make records count as delivered.

use ase_core::json::Value;

/// What became of the lines of a batch that ASE has dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How many lines ASE refused; it may name fewer.
    pub rejected: u32,
    /// What was listed since the image that the batch named, in base64.
    pub image: Option<String>,
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
        let image = answer.get("image").and_then(Value::as_str);
        Some(Self {
            rejected: u32::try_from(rejected).unwrap_or(u32::MAX),
            // The next call to ASE says that another image is out.
            image: image.filter(|image| *image != "stale").map(str::to_owned),
        })
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
                    image: None
                }),
                "{body}"
            );
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
