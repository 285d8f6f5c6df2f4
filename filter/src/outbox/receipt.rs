//! ASE's answer to a batch: which lines it refused (`docs/wire.md`, Batch, Answers).

use serde_json::Value;

/// How many lines of a batch ASE refused. An answer without that list, or that is no JSON, refuses none: 200 means that every line has been dealt with.
#[must_use]
pub fn rejected_lines(body: &[u8]) -> u32 {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let lines = answer
        .as_ref()
        .and_then(|answer| answer.get("rejected"))
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    u32::try_from(lines).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_refused_lines_and_survives_any_body() {
        assert_eq!(
            rejected_lines(br#"{"accepted":2,"duplicates":0,"rejected":[{"line":3,"fault":"x"}]}"#),
            1
        );
        for body in [
            &b""[..],
            b"OK",
            b"[]",
            b"{\"rejected\":7}",
            b"{\"rej",
            b"\xff",
        ] {
            assert_eq!(rejected_lines(body), 0);
        }
    }
}
