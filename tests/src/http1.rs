//! Just enough HTTP/1.1 to say and hear exact bytes.
//!
//! Every text here is ISO-8859-1: one character per byte, so that a scenario can spell any byte as `\u00XX` and
//! nothing is lost on the way. Must never repair what it reads.

use std::io::{BufRead, Read};

use anyhow::{Context, Result, bail, ensure};

/// Longest accepted head, in bytes; beyond it the peer is broken.
const MAX_HEAD_BYTES: usize = 4 << 20;

/// The text of bytes, one character a byte.
#[must_use]
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes of such a text.
///
/// # Errors
/// When a character is above U+00FF.
pub fn bytes_of(text: &str) -> Result<Vec<u8>> {
    text.chars()
        .map(|character| {
            u8::try_from(u32::from(character))
                .with_context(|| format!("{character:?} is not one byte"))
        })
        .collect()
}

/// A request or status line with its header fields.
#[derive(Clone, Debug)]
pub struct Head {
    /// The first line, without its end.
    pub start: String,
    /// Names in lower case, in order, duplicates kept.
    pub headers: Vec<(String, String)>,
}

/// What decides whether a message has a body.
#[derive(Clone, Copy, Debug)]
pub enum Framing<'a> {
    /// A request: no length means no body.
    Request,
    /// The reply to a request with this method: no length means until the end of the connection.
    ReplyTo(&'a str),
}

/// Body and trailers.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The content, decoded from chunks.
    pub content: Vec<u8>,
    /// The trailers after the last chunk.
    pub trailers: Vec<(String, String)>,
}

impl Head {
    /// The value of the first field of that name (lower case).
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The n-th word of the first line.
    #[must_use]
    pub fn word(&self, index: usize) -> &str {
        self.start.split(' ').nth(index).unwrap_or_default()
    }

    /// The status of a status line.
    ///
    /// # Errors
    /// When the line has none.
    pub fn status(&self) -> Result<u16> {
        self.word(1)
            .parse()
            .with_context(|| format!("no status in {:?}", self.start))
    }
}

/// Reads one head; `None` when the connection ends before its first byte.
///
/// # Errors
/// When the connection breaks or the head is not one.
pub fn read_head(reader: &mut impl BufRead) -> Result<Option<Head>> {
    let Some(start) = read_line(reader)? else {
        return Ok(None);
    };
    let headers = read_fields(reader)?;
    Ok(Some(Head { start, headers }))
}

/// Reads the body that belongs to `head`.
///
/// # Errors
/// When the connection breaks or a length or chunk is not one.
pub fn read_body(reader: &mut impl BufRead, head: &Head, framing: Framing<'_>) -> Result<Body> {
    if let Framing::ReplyTo(method) = framing {
        let status = head.status()?;
        if method == "HEAD" || status == 204 || status == 304 || status < 200 {
            return Ok(Body::default());
        }
    }
    if head
        .first("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    {
        return read_chunks(reader);
    }
    let mut content = Vec::new();
    match (head.first("content-length"), framing) {
        (Some(length), _) => {
            content.resize(
                length
                    .parse()
                    .with_context(|| format!("content-length {length:?}"))?,
                0,
            );
            reader
                .read_exact(&mut content)
                .context("body shorter than its content-length")?;
        }
        (None, Framing::Request) => {}
        (None, Framing::ReplyTo(_)) => {
            reader.read_to_end(&mut content)?;
        }
    }
    Ok(Body {
        content,
        trailers: Vec::new(),
    })
}

fn read_chunks(reader: &mut impl BufRead) -> Result<Body> {
    let mut content = Vec::new();
    loop {
        let line = read_line(reader)?.context("connection ended within chunks")?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size =
            usize::from_str_radix(size, 16).with_context(|| format!("chunk size {line:?}"))?;
        if size == 0 {
            return Ok(Body {
                content,
                trailers: read_fields(reader)?,
            });
        }
        let mut chunk = vec![0; size];
        reader
            .read_exact(&mut chunk)
            .context("chunk shorter than its size")?;
        content.append(&mut chunk);
        ensure!(
            read_line(reader)?.as_deref() == Some(""),
            "no line end after a chunk"
        );
    }
}

fn read_fields(reader: &mut impl BufRead) -> Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(reader)?.context("connection ended within the header")?;
        if line.is_empty() {
            return Ok(fields);
        }
        let Some((name, value)) = line.split_once(':') else {
            bail!("no colon in header line {line:?}")
        };
        fields.push((
            name.to_ascii_lowercase(),
            value.trim_matches([' ', '\t']).to_owned(),
        ));
    }
}

fn read_line(reader: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_HEAD_BYTES)?;
    reader.by_ref().take(limit).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    ensure!(line.pop() == Some(b'\n'), "connection ended within a line");
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(latin1(&line)))
}
