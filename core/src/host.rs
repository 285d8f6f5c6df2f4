//! Host names of API traffic, in one spelling.
//!
//! A name from a `Host` or `:authority` header may come in any case, with a port, a trailing dot or user information
//! before it; all spellings of one host are one [`HostName`]. Never resolves a name and never guesses one: what is no
//! host name stays outside.

use std::borrow::Borrow;
use std::fmt;
use std::net::Ipv6Addr;

use thiserror::Error;

/// Longest host name, in bytes, without port and trailing dot (RFC 1035 §2.3.4).
pub const MAX_BYTES: usize = 253;

/// Most host names that are read from the host headers of one request.
const MAX_READINGS: usize = 8;

/// A host name or address: lower case, no port, no trailing dot, an IPv6 address in brackets and canonical.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Box<str>);

/// The hosts that an API definition is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// `*`: every host.
    Any,
    /// Exactly this one.
    Exact(HostName),
}

/// A text that is no host name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a host name")]
pub struct HostError(String);

impl HostName {
    /// Reads the value of a `Host` header, an `:authority`, or the authority form of CONNECT: `name`, `name:port`,
    /// `[v6]:port`, each in any case.
    ///
    /// # Errors
    /// When it is empty, longer than [`MAX_BYTES`] or holds a character that no host name has.
    pub fn from_header(value: &[u8]) -> Result<Self, HostError> {
        let refused = || {
            HostError(String::from_utf8_lossy(value.get(..MAX_BYTES).unwrap_or(value)).into_owned())
        };
        let text = std::str::from_utf8(value)
            .map_err(|_| refused())?
            .trim_ascii();
        let authority = text
            .rsplit_once('@')
            .map_or(text, |(_, authority)| authority);
        Self::of_authority(authority).ok_or_else(refused)
    }

    /// Every name that a server may read from the `Host` headers of one request, the first header's first.
    ///
    /// Servers and gateways disagree about odd values (`a:b`, `a..`, `a,b`, `%61`, two headers), and a client may choose
    /// one; each reading counts. A well-formed single header has exactly one.
    #[must_use]
    pub fn readings<'v>(values: impl Iterator<Item = &'v [u8]>) -> Vec<Self> {
        let mut names = Vec::new();
        for value in values {
            match Self::from_header(value) {
                Ok(name) => names.push(name),
                Err(_) => {
                    let parts = value.split(|&byte| byte == b',');
                    names.extend(parts.filter_map(Self::lenient));
                }
            }
        }
        if names.len() < 2 {
            return names;
        }
        let mut distinct: Vec<Self> = Vec::with_capacity(names.len().min(MAX_READINGS));
        for name in names {
            if distinct.len() < MAX_READINGS && !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        distinct
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn lenient(value: &[u8]) -> Option<Self> {
        let decoded = percent_decoded(value);
        let text = String::from_utf8_lossy(&decoded);
        let authority = text.trim().rsplit('@').next()?;
        if authority.starts_with('[') {
            let (address, _) = authority.split_once(']')?;
            return Self::of_ipv6(address.get(1..)?);
        }
        let name = authority.split([':', '/', '\\']).next()?;
        Self::of_name(name.trim_end_matches('.'))
    }

    fn of_authority(authority: &str) -> Option<Self> {
        if let Some(rest) = authority.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            return is_port_suffix(port).then(|| Self::of_ipv6(address))?;
        }
        match authority.split_once(':') {
            Some((_, rest)) if rest.contains(':') => Self::of_ipv6(authority),
            Some((name, port)) if is_port(port) => Self::of_name(name),
            Some(_) => None,
            None => Self::of_name(authority),
        }
    }

    fn of_ipv6(address: &str) -> Option<Self> {
        // A zone names a link of the sender's and is no part of the host's identity.
        let address = address
            .split_once('%')
            .map_or(address, |(address, _)| address);
        let address: Ipv6Addr = address.parse().ok()?;
        Some(Self(format!("[{address}]").into()))
    }

    fn of_name(name: &str) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_label = |label: &str| !label.is_empty() && label.bytes().all(allowed);
        let is_name = name.len() <= MAX_BYTES && name.split('.').all(is_label);
        is_name.then(|| Self(name.to_ascii_lowercase().into()))
    }
}

impl Borrow<str> for HostName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HostPattern {
    /// Reads the `hostname` of an API definition: `*` or one host name.
    ///
    /// # Errors
    /// As [`HostName::from_header`]; a `*` within a name is no pattern.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        HostName::from_header(text.as_bytes()).map(Self::Exact)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => name.fmt(f),
        }
    }
}

fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if let (b'%', [high, low, more @ ..]) = (byte, after)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            decoded.push((high << 4) | low);
            rest = more;
        } else {
            decoded.push(byte);
        }
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

fn is_port_suffix(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(is_port)
}

/// The empty port is allowed by RFC 3986 §3.2.3.
fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_host_is_one_name() {
        let spellings: &[(&str, &[&str])] = &[
            (
                "api.example.com",
                &[
                    "api.example.com",
                    "API.Example.COM",
                    "api.example.com.",
                    "api.example.com:443",
                    "api.example.com.:8080",
                    "api.example.com:",
                    " api.example.com\t",
                    "user:pass@api.example.com:1",
                ],
            ),
            (
                "[2001:db8::1]",
                &[
                    "[2001:DB8:0:0::1]",
                    "[2001:db8::1]:443",
                    "2001:db8::1",
                    "[2001:db8::1%25eth0]",
                ],
            ),
            ("192.0.2.1", &["192.0.2.1", "192.0.2.1:80"]),
            ("my_host", &["my_host", "MY_HOST:1"]),
        ];
        for (name, variants) in spellings {
            for variant in *variants {
                let host = HostName::from_header(variant.as_bytes()).map(|host| host.to_string());
                assert_eq!(host.as_deref(), Ok(*name), "{variant:?}");
            }
        }
    }

    #[test]
    fn every_reading_of_an_odd_host_header_counts() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["shop.example"], &["shop.example"]),
            (&["shop.example:000443"], &["shop.example"]),
            (&["shop.example:abc"], &["shop.example"]),
            (&["shop.example.."], &["shop.example"]),
            (&["shop.example,other"], &["shop.example", "other"]),
            (&["shop%2eexample"], &["shop.example"]),
            (&["x", "shop.example"], &["x", "shop.example"]),
            (&["shop.example", "SHOP.example:1"], &["shop.example"]),
            (&["[::1]x"], &["[::1]"]),
            (&["", "..", ",,"], &[]),
        ];
        for (values, names) in cases {
            let found = HostName::readings(values.iter().map(|value| value.as_bytes()));
            let found: Vec<&str> = found.iter().map(HostName::as_str).collect();
            assert_eq!(found, *names, "{values:?}");
        }
        let many = "a,".repeat(100_000);
        assert_eq!(
            HostName::readings(std::iter::once(many.as_bytes())).len(),
            1
        );
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        let long = "a".repeat(254);
        let bad = [
            "",
            ".",
            "..",
            "a..b",
            "a b",
            "*.example.com",
            "a/b",
            "host:port",
            "host:123456",
            "[::1",
            "[::1]x",
            "[x]",
            ":80",
            "a:b:c",
            "é.example",
            "a\0b",
            &long,
        ];
        for text in bad {
            assert!(HostName::from_header(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(HostName::from_header(b"\xff\xfe").is_err());
        let error = HostPattern::parse("*.exa mple").unwrap_err();
        assert_eq!(error.to_string(), "\"*.exa mple\" is not a host name");
    }

    #[test]
    fn a_pattern_is_a_star_or_one_name_and_never_empty() {
        assert_eq!(HostPattern::parse("*"), Ok(HostPattern::Any));
        let exact = HostPattern::parse("Shop.Example.").map(|pattern| pattern.to_string());
        assert_eq!(exact.as_deref(), Ok("shop.example"));
        assert!(HostPattern::parse("").is_err());
    }
}
