//! Which names mark a secret.
//!
//! A name is compared decoded, in lower case and without separators, so that `Access-Token`, `access%5Ftoken` and
//! `accessToken` are one name. Too many names are better than too few: a hidden harmless value costs little.

/// A name that is exactly one of these is secret.
const EXACT: &[&str] = &[
    "assertion",
    "auth",
    "clientassertion",
    "code",
    "codeverifier",
    "dpop",
    "key",
    "otp",
    "pass",
    "pin",
    "pw",
    "pwd",
    "secwebsocketprotocol",
    "sid",
    "sig",
    "ticket",
    "xauth",
    "xamznoidcdata",
];

/// A name with one of these anywhere in it is secret: `refresh_token`, `x-amz-signature`, `SAMLResponse`, `PHPSESSID`, ...
const WITHIN: &[&str] = &[
    "accesskey",
    "apikey",
    "authorization",
    "credential",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "saml",
    "secret",
    "sessid",
    "session",
    "signature",
    "subscriptionkey",
    "token",
    "jwtassertion",
];

/// Escapes are taken off at most so many times; a name nested deeper is no server's parameter.
const MAX_ROUNDS: usize = 8;

/// The built-in names and those of the operator.
#[derive(Clone, Copy)]
pub(super) struct SecretNames<'a> {
    extra: &'a [&'a str],
}

impl<'a> SecretNames<'a> {
    pub(super) fn with(extra: &'a [&'a str]) -> Self {
        Self { extra }
    }

    /// Whether `name`, or a part of it as in `user[password]`, marks a secret.
    pub(super) fn has(&self, name: &str) -> bool {
        // Most names are in one piece and have nothing to decode.
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return self.is_secret(name);
        }
        let name = decoded(name);
        self.is_secret(&name)
            || name
                .split(['[', ']', '.', ':', '&', ';', '?', '#', '/', '\\'])
                .any(|part| self.is_secret(part))
    }

    fn is_secret(&self, name: &str) -> bool {
        let name = plain(name);
        let is_extra = |extra: &&str| !name.is_empty() && plain_chars(extra).eq(name.chars());
        EXACT.contains(&name.as_str()) || holds_marker(&name) || self.extra.iter().any(is_extra)
    }
}

/// Whether one of [`WITHIN`] is in it. Names are short and the markers many: a search per marker would cost more to set up
/// than this costs in all.
fn holds_marker(name: &str) -> bool {
    let mut rest = name.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let here = |marker: &&&str| {
            let marker = marker.as_bytes();
            marker.first() == Some(first) && rest.starts_with(marker)
        };
        if WITHIN.iter().find(here).is_some() {
            return true;
        }
        rest = behind;
    }
    false
}

/// Lower case, letters and digits only.
pub(super) fn plain(name: &str) -> String {
    if name.is_ascii() {
        let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
        return letters
            .map(|byte| char::from(byte.to_ascii_lowercase()))
            .collect();
    }
    plain_chars(name).collect()
}

fn plain_chars(name: &str) -> impl Iterator<Item = char> {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase)
}

/// Escapes taken off, as often as there are some.
pub(super) fn decoded(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..MAX_ROUNDS {
        match decoded_once(&text) {
            Some(next) => text = next,
            None => break,
        }
    }
    text
}

/// `None` when there is no escape in it.
fn decoded_once(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        let escape = (*byte == b'%').then(|| escape(tail)).flatten();
        if let Some((value, tail)) = escape {
            bytes.push(value);
            rest = tail;
        } else {
            bytes.push(*byte);
        }
    }
    (bytes.len() < text.len()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

fn escape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<2>()?;
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    let value = u8::try_from(high? << 4 | low?).ok()?;
    Some((value, rest))
}
