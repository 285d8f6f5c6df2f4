//! What a gateway says of the image that it has and of the one that it wants, in the query of its call.

use ase_core::policy_image::FingerprintBits;
use thiserror::Error;

/// An image that a gateway holds: `<16 hexadecimal digits of the build>.<revision of its overlay>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Have {
    /// The build.
    pub build: u64,
    /// The records of its overlay.
    pub revision: u32,
}

/// What a gateway asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What it has.
    pub have: Option<Have>,
    /// The width of the fingerprints that it wants.
    pub width: FingerprintBits,
}

/// A query that asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QueryFault {
    /// Of what it has.
    #[error("have is not <16 hexadecimal digits>.<number>")]
    Have,
    /// Of what it wants.
    #[error("bits is not 8 or 16")]
    Bits,
}

impl Have {
    /// What the query of a batch says under `image`; anything else than an image is as none.
    #[must_use]
    pub fn of_batch(query: Option<&str>) -> Option<Self> {
        Self::parse(parameter(query, "image")?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (build, revision) = text.split_once('.')?;
        let digits = build.len() == 16 && build.bytes().all(|byte| byte.is_ascii_hexdigit());
        let decimal = revision.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !decimal {
            return None;
        }
        Some(Self {
            build: u64::from_str_radix(build, 16).ok()?,
            revision: revision.parse().ok()?,
        })
    }
}

impl Wanted {
    /// Reads `have` and `bits`, both of which may be missing.
    ///
    /// # Errors
    /// When one of them is there and is not what it should be.
    pub fn of(query: Option<&str>) -> Result<Self, QueryFault> {
        let have = match parameter(query, "have") {
            Some(text) => Some(Have::parse(text).ok_or(QueryFault::Have)?),
            None => None,
        };
        let width = match parameter(query, "bits") {
            Some("8") | None => FingerprintBits::Eight,
            Some("16") => FingerprintBits::Sixteen,
            Some(_) => return Err(QueryFault::Bits),
        };
        Ok(Self { have, width })
    }
}

fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    let mut parameters = query?.split('&').filter_map(|pair| pair.split_once('='));
    parameters.find_map(|(found, value)| (found == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_a_gateway_has_and_wants() {
        let have = Have {
            build: 0xab,
            revision: 12,
        };
        for (query, expected) in [
            (None, Ok((None, FingerprintBits::Eight))),
            (
                Some("have=00000000000000aB.12"),
                Ok((Some(have), FingerprintBits::Eight)),
            ),
            (
                Some("x&bits=16&have=00000000000000ab.12"),
                Ok((Some(have), FingerprintBits::Sixteen)),
            ),
            (Some("bits=8"), Ok((None, FingerprintBits::Eight))),
            (Some("bits=4"), Err(QueryFault::Bits)),
            (Some("have="), Err(QueryFault::Have)),
            (Some("have=ab.12"), Err(QueryFault::Have)),
            (Some("have=00000000000000ab"), Err(QueryFault::Have)),
            (Some("have=00000000000000ab.+1"), Err(QueryFault::Have)),
            (
                Some("have=00000000000000ab.4294967296"),
                Err(QueryFault::Have),
            ),
        ] {
            let read = Wanted::of(query).map(|wanted| (wanted.have, wanted.width));
            assert_eq!(read, expected, "{query:?}");
        }
        assert_eq!(
            Have::of_batch(Some("image=00000000000000ab.12")),
            Some(have)
        );
        assert_eq!(Have::of_batch(Some("image=nothing")), None);
    }
}
