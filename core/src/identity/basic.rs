//! The client that a request names by HTTP's Basic scheme. Its secret is looked past and never returned.

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::parameters::{Plus, percent_decoded};
use crate::headers::Headers;

/// Longest credentials that are decoded, in base64 characters; longer ones name nobody.
const MAX_CHARS: usize = 4096;

/// Clients take either alphabet.
static ALPHABETS: [GeneralPurpose; 2] = [base64(&STANDARD), base64(&URL_SAFE)];

/// Clients leave the padding out, too.
const fn base64(alphabet: &Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new();
    GeneralPurpose::new(
        alphabet,
        config.with_decode_padding_mode(DecodePaddingMode::Indifferent),
    )
}

/// The client id in Basic credentials of `authorization`, as clients of a token endpoint write it (RFC 6749, 2.3.1: form-urlencoded); never empty.
#[must_use]
pub fn basic_client_id(headers: &Headers<'_>) -> Option<String> {
    let (scheme, coded) = headers
        .first(b"authorization")?
        .trim_ascii()
        .split_at_checked(6)?;
    let is_basic = scheme.eq_ignore_ascii_case(b"basic ");
    let coded = coded.trim_ascii();
    if !is_basic || coded.len() > MAX_CHARS {
        return None;
    }
    let mut decoded = ALPHABETS.iter().map(|base64| base64.decode(coded));
    let decoded = decoded.find_map(Result::ok)?;
    // Without a colon nobody knows what of it is secret.
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let client_id = percent_decoded(decoded.get(..colon)?, Plus::IsBlank);
    (!client_id.is_empty()).then(|| client_id.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(line: &[u8]) -> Option<String> {
        let mut headers = Headers::default();
        headers.push("authorization".as_bytes(), line);
        basic_client_id(&headers)
    }

    #[test]
    fn the_part_before_the_colon_is_the_client_id() {
        // web:a>?secret, and some padding.
        assert_eq!(named(b"Basic d2ViOmE+P3NlY3JldA==").as_deref(), Some("web"));
        assert_eq!(
            named(b"bAsIc   d2ViOmE+P3NlY3JldA ").as_deref(),
            Some("web")
        );
        for url_safe in [
            &b"Basic d2ViOmE-P3NlY3JldA=="[..],
            b"Basic d2ViOmE_P3NlY3JldA",
        ] {
            assert_eq!(named(url_safe).as_deref(), Some("web"));
        }
        // a%20b+c%3A:s
        assert_eq!(named(b"Basic YSUyMGIrYyUzQTpz").as_deref(), Some("a b c:"));
    }

    #[test]
    fn what_is_no_name_and_secret_names_nobody() {
        let long = ["Basic ", &"YTpi".repeat(MAX_CHARS)].concat();
        for line in [
            &b"Bearer d2ViOmE="[..],
            b"Basic",
            b"Basic ",
            b"Basic !!!!",
            // a-secret-alone, and :a-secret
            b"Basic YS1zZWNyZXQtYWxvbmU=",
            b"Basic OmEtc2VjcmV0",
            long.as_bytes(),
        ] {
            assert_eq!(named(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in prop_oneof![prop::collection::vec(any::<u8>(), 0..40), "Basic [A-Za-z0-9+/=:]{0,40}".prop_map(String::into_bytes)]) {
            if let Some(client_id) = named(&line) {
                prop_assert!(!client_id.is_empty());
            }
        }
    }
}
