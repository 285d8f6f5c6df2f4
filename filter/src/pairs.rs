//! The host ABI's list of header pairs: read in place, written for a local reply.
//!
//! Layout (proxy-wasm ABI 0.2.1): a count, then the two lengths of each pair, all 32-bit little-endian; then each name and value, each followed by a zero
//! byte. The buffer comes from the host, its content from a client: any bytes must be survived.

use ase_core::headers::Headers;
use thiserror::Error;

/// A buffer that is not a list of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the host's header list is malformed")]
pub struct MalformedPairs;

/// Reads a list of pairs; the headers borrow from `buffer`. An empty buffer is an empty list.
///
/// # Errors
/// When the buffer ends before what it announces.
pub fn parse(buffer: &[u8]) -> Result<Headers<'_>, MalformedPairs> {
    let mut headers = Headers::default();
    if buffer.is_empty() {
        return Ok(headers);
    }
    let (count, rest) = length(buffer)?;
    let table_bytes = count.checked_mul(8).ok_or(MalformedPairs)?;
    let (mut table, mut data) = rest.split_at_checked(table_bytes).ok_or(MalformedPairs)?;
    // The table is there, so the count is no boast.
    headers.reserve(count);
    while !table.is_empty() {
        let (name_length, after_name) = length(table)?;
        let (value_length, after_value) = length(after_name)?;
        table = after_value;
        let (name, after_name) = text(data, name_length)?;
        let (value, after_value) = text(after_name, value_length)?;
        data = after_value;
        headers.push(name, value);
    }
    Ok(headers)
}

/// Writes a list of pairs.
#[must_use]
pub fn write<T: AsRef<str>>(pairs: &[(T, T)]) -> Vec<u8> {
    let texts = || {
        let both = pairs.iter().flat_map(|(name, value)| [name, value]);
        both.map(AsRef::as_ref)
    };
    let size = texts().fold(4, |size: usize, text| {
        size.saturating_add(text.len()).saturating_add(5)
    });
    let mut out = Vec::with_capacity(size);
    write_length(&mut out, pairs.len());
    for text in texts() {
        write_length(&mut out, text.len());
    }
    for text in texts() {
        out.extend_from_slice(text.as_bytes());
        out.push(0);
    }
    out
}

fn length(buffer: &[u8]) -> Result<(usize, &[u8]), MalformedPairs> {
    let (bytes, rest) = buffer.split_first_chunk::<4>().ok_or(MalformedPairs)?;
    let length = usize::try_from(u32::from_le_bytes(*bytes)).map_err(|_| MalformedPairs)?;
    Ok((length, rest))
}

/// A text of that length and, past its zero byte, the rest.
fn text(data: &[u8], length: usize) -> Result<(&[u8], &[u8]), MalformedPairs> {
    let (text, rest) = data.split_at_checked(length).ok_or(MalformedPairs)?;
    let (_zero, rest) = rest.split_first().ok_or(MalformedPairs)?;
    Ok((text, rest))
}

/// Lengths come from a bounded configuration and always fit.
fn write_length(out: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _outcome = parse(&bytes);
        }

        #[test]
        fn a_list_cut_short_anywhere_is_refused(
            pairs in prop::collection::vec(("[a-z-]{0,9}", "\\PC{0,9}"), 1..9),
            cut in prop_oneof![1_usize..3, 3_usize..200],
        ) {
            let bytes = write(&pairs);
            let kept = bytes.len().saturating_sub(cut).max(1);
            prop_assert_eq!(parse(&bytes[..kept]), Err(MalformedPairs));
        }

        #[test]
        fn what_is_written_reads_back(pairs in prop::collection::vec(("[a-z-]{0,9}", "\\PC{0,9}"), 0..9)) {
            let bytes = write(&pairs);
            let read: Vec<(String, String)> = parse(&bytes).unwrap().iter()
                .map(|header| (String::from_utf8(header.name.to_vec()).unwrap(), String::from_utf8(header.value.to_vec()).unwrap()))
                .collect();
            prop_assert_eq!(read, pairs);
        }
    }

    #[test]
    fn a_count_beyond_the_buffer_is_refused() {
        assert_eq!(parse(&[0xff, 0xff, 0xff, 0xff, 0, 0]), Err(MalformedPairs));
    }
}
