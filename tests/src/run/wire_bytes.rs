//! A scenario's request as bytes.

use anyhow::Result;

use crate::http1;
use crate::raw_client::Bytes;
use crate::scenario::Request;

/// Size of one chunk of a chunked body.
const CHUNK_BYTES: usize = 16 * 1024;

/// The bytes: the head first, the body after it in pieces of its own, as a slow client would.
pub(super) fn of(request: &Request) -> Result<Bytes> {
    let pieces = match &request.raw {
        Some(raw) => vec![http1::bytes_of(raw)?],
        None => {
            let mut body = http1::bytes_of(&request.body)?;
            body.resize(body.len() + request.body_bytes, b'.');
            let mut pieces = vec![head(request, body.len())?];
            if request.chunked {
                pieces.extend(body.chunks(CHUNK_BYTES).map(chunk));
                pieces.push(end_of_chunks(request)?);
            } else if !body.is_empty() {
                pieces.push(body);
            }
            pieces
        }
    };
    Ok(Bytes {
        method: request.method.clone(),
        pieces,
    })
}

fn head(request: &Request, body: usize) -> Result<Vec<u8>> {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    if !request.host.is_empty() {
        text.push_str(&format!("host: {}\r\n", request.host));
    }
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    for fill in &request.fill {
        for number in 0..fill.count {
            let name = fill.name.replace('#', &number.to_string());
            text.push_str(&format!("{name}: {}\r\n", "v".repeat(fill.bytes)));
        }
    }
    if request.chunked {
        text.push_str("transfer-encoding: chunked\r\n");
    } else if body > 0 {
        text.push_str(&format!("content-length: {body}\r\n"));
    }
    text.push_str("\r\n");
    http1::bytes_of(&text)
}

fn chunk(content: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", content.len()).into_bytes();
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

fn end_of_chunks(request: &Request) -> Result<Vec<u8>> {
    let mut text = "0\r\n".to_owned();
    for (name, value) in &request.trailers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    http1::bytes_of(&text)
}
