//! Credentials as keyed hashes: what lists, logs and the engine hold of a cookie, a token, an API key or a user name.
//!
//! The value goes in as the bytes of the text that gateway and ASE share (header bytes that are not UTF-8 are read as
//! ISO-8859-1 first, see `docs/wire.md`), so both ends make the same id. A raw value never leaves this module, and a key never prints.

use std::fmt;

use blake2::Blake2sMac;
use blake2::digest::consts::U16;
use blake2::digest::{KeyInit, Mac};
use thiserror::Error;

/// 128 bits, too many for a chance collision.
const DIGEST_BYTES: usize = 16;
/// Of the text form: `k`, a key id, `:` and the digest in hexadecimal.
const MAX_TEXT_BYTES: usize = 1 + 3 + 1 + 2 * DIGEST_BYTES;

/// What sort of credential it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKind {
    /// A cookie of the `Cookie` header; cookies of different names are different credentials.
    Cookie,
    /// An OAuth or bearer token.
    Token,
    /// An API key.
    ApiKey,
    /// A user name that the gateway reports.
    Username,
}

/// Tells the keys apart that are valid at the same time during a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub u8);

/// A secret that makes credential ids. Not `Clone` and never printed.
pub struct CredentialKey {
    id: KeyId,
    check: u64,
    /// BLAKE2s with the secret and the kind already taken in, so that the id of a short value costs one block.
    keyed: KeyedKinds,
}

/// One state for each kind.
struct KeyedKinds {
    cookie: Blake2sMac<U16>,
    token: Blake2sMac<U16>,
    api_key: Blake2sMac<U16>,
    username: Blake2sMac<U16>,
}

/// The keys that are valid: one makes new ids; during a rotation the one before it finds what was listed under it.
#[derive(Debug)]
pub struct KeyRing {
    current: CredentialKey,
    previous: Option<CredentialKey>,
}

/// The ids of one credential under every valid key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialIds {
    /// Under the current key: what new entries, logs and the engine hold.
    pub current: CredentialId,
    /// Under the key before, while that is valid.
    pub previous: Option<CredentialId>,
}

/// A credential, as everything but the gateway knows it. Text form: `k<key id>:<32 hex digits>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId {
    key: KeyId,
    digest: [u8; DIGEST_BYTES],
}

/// The text form of a [`CredentialId`].
#[derive(Clone, Copy, Debug)]
pub struct IdText {
    bytes: [u8; MAX_TEXT_BYTES],
    length: usize,
}

/// A text that is not the kind of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a credential kind: use cookie, token, api_key or username")]
pub struct KindError(String);

/// A text that is not a credential id. It is not repeated: it may be a raw credential, given by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a credential id: use k<key id, 0 to 255>:<32 hex digits>")]
pub struct IdError;

impl CredentialKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Cookie, Self::Token, Self::ApiKey, Self::Username];

    /// The name on the wire and in lists; it is also hashed into ids, so it never changes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Token => "token",
            Self::ApiKey => "api_key",
            Self::Username => "username",
        }
    }

    /// Reads the name of a kind.
    ///
    /// # Errors
    /// When no kind has that name.
    pub fn parse(text: &str) -> Result<Self, KindError> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| KindError(text.chars().take(60).collect()))
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CredentialKey {
    /// A key of 32 secret, random bytes.
    #[must_use]
    pub fn from_bytes(id: KeyId, secret: [u8; 32]) -> Self {
        let keyed = |kind: CredentialKind| {
            let mut mac = Blake2sMac::new(&secret.into());
            mac.update(kind.as_str().as_bytes());
            mac.update(&[0]);
            mac
        };
        let mut check: Blake2sMac<U16> = Blake2sMac::new(&secret.into());
        // No kind has such a name, so it is the hash of no credential.
        check.update(b"key check\0");
        let check: [u8; DIGEST_BYTES] = Mac::finalize(check).into_bytes().into();
        Self {
            id,
            check: check
                .first_chunk()
                .map_or(0, |word| u64::from_le_bytes(*word)),
            keyed: KeyedKinds {
                cookie: keyed(CredentialKind::Cookie),
                token: keyed(CredentialKind::Token),
                api_key: keyed(CredentialKind::ApiKey),
                username: keyed(CredentialKind::Username),
            },
        }
    }

    /// Tells keys of one id apart without their secrets: a keyed hash of a fixed text.
    #[must_use]
    pub fn check(&self) -> u64 {
        self.check
    }

    /// Which key this is.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The id of a credential: keyed BLAKE2s of 16 bytes (RFC 7693) over kind, a zero byte, the name's length (8 bytes,
    /// big endian), name and value. Why not HMAC: `docs/decisions/0008-credential-ids-by-blake2s.md`.
    ///
    /// Only a cookie's name counts. A token, an API key and a user name are the same credential under whatever header,
    /// query parameter or field they come, so their `name` is hashed as empty.
    #[must_use]
    pub fn id_of(&self, kind: CredentialKind, name: &str, value: &[u8]) -> CredentialId {
        let (keyed, name) = match kind {
            CredentialKind::Cookie => (&self.keyed.cookie, name.as_bytes()),
            CredentialKind::Token => (&self.keyed.token, &[][..]),
            CredentialKind::ApiKey => (&self.keyed.api_key, &[][..]),
            CredentialKind::Username => (&self.keyed.username, &[][..]),
        };
        let mut mac = keyed.clone();
        mac.update(&(name.len() as u64).to_be_bytes());
        mac.update(name);
        mac.update(value);
        CredentialId {
            key: self.id,
            digest: mac.finalize().into_bytes().into(),
        }
    }
}

impl fmt::Debug for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialKey(k{}, ***)", self.id.0)
    }
}

impl KeyRing {
    /// A ring of a current key and, during a rotation, the one before.
    #[must_use]
    pub fn new(current: CredentialKey, previous: Option<CredentialKey>) -> Self {
        Self { current, previous }
    }

    /// The key that makes new ids.
    #[must_use]
    pub fn current(&self) -> &CredentialKey {
        &self.current
    }

    /// The key before, while it is valid.
    #[must_use]
    pub fn previous(&self) -> Option<&CredentialKey> {
        self.previous.as_ref()
    }

    /// The ids of a credential; see [`CredentialKey::id_of`].
    #[must_use]
    pub fn ids_of(&self, kind: CredentialKind, name: &str, value: &[u8]) -> CredentialIds {
        let previous = self.previous.as_ref();
        CredentialIds {
            current: self.current.id_of(kind, name, value),
            previous: previous.map(|key| key.id_of(kind, name, value)),
        }
    }
}

impl IntoIterator for CredentialIds {
    type Item = CredentialId;
    type IntoIter =
        std::iter::Chain<std::iter::Once<CredentialId>, std::option::IntoIter<CredentialId>>;

    /// The ids, the current one first.
    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.current).chain(self.previous)
    }
}

impl From<CredentialId> for CredentialIds {
    /// An id that came as an id: it stands for itself alone.
    fn from(id: CredentialId) -> Self {
        Self {
            current: id,
            previous: None,
        }
    }
}

impl CredentialId {
    /// Reads the text form; hex digits in either case.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let (key, hex) = text
            .strip_prefix('k')
            .and_then(|rest| rest.split_once(':'))
            .ok_or(IdError)?;
        let key: u8 = key
            .parse()
            .ok()
            .filter(|number: &u8| number.to_string() == key)
            .ok_or(IdError)?;
        if hex.len() != DIGEST_BYTES * 2 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(IdError);
        }
        let digest = u128::from_str_radix(hex, 16).map_err(|_| IdError)?;
        Ok(Self {
            key: KeyId(key),
            digest: digest.to_be_bytes(),
        })
    }

    /// The text form, without the formatting machinery: every line of the access log has some.
    #[must_use]
    pub fn text(&self) -> IdText {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or_default();
        let key = self.key.0;
        let decimal = [key / 100, key / 10 % 10, key % 10].map(|number| b'0' | number);
        let leading = match key {
            0..=9 => 2,
            10..=99 => 1,
            100..=255 => 0,
        };
        let decimal = decimal.iter().skip(leading).copied();
        let hex = self
            .digest
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        let text = std::iter::once(b'k')
            .chain(decimal)
            .chain([b':'])
            .chain(hex);
        let (mut bytes, mut length) = ([0; MAX_TEXT_BYTES], 0);
        for (place, byte) in bytes.iter_mut().zip(text) {
            *place = byte;
            length += 1;
        }
        IdText { bytes, length }
    }

    /// The bytes of the hash.
    pub(crate) fn digest(&self) -> [u8; DIGEST_BYTES] {
        self.digest
    }

    /// The key that made it.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }
}

impl IdText {
    /// As text; all of it is ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..self.length).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> CredentialKey {
        let mut secret = [0; 32];
        for (number, byte) in (0_u8..).zip(secret.iter_mut()) {
            *byte = number;
        }
        CredentialKey::from_bytes(KeyId(7), secret)
    }

    /// The expected digests were made with Python: `hashlib.blake2s(kind + b"\0" + len(name).to_bytes(8, "big") + name + value, key=bytes(range(32)), digest_size=16)`.
    #[test]
    fn ids_equal_those_of_an_independent_implementation() {
        for (kind, name, value, expect) in [
            (
                CredentialKind::Cookie,
                "session",
                &b"abc123"[..],
                "67b5ede1385f47c0cb1b4ec3f3084de5",
            ),
            (
                CredentialKind::Cookie,
                "",
                b"",
                "84d8aeb7ead59b112ba1813a30c9b0d0",
            ),
            (
                CredentialKind::Token,
                "access_token",
                b"eyJhbGciOiJub25lIn0.e30.",
                "965475fc1e53267ac693259aa61c0317",
            ),
            (
                CredentialKind::ApiKey,
                "x-api-key",
                &[0, 0xff, 0x80],
                "16cc9e285fc402c219b30022359694de",
            ),
            (
                CredentialKind::Username,
                "username",
                "zoë".as_bytes(),
                "4e33b60796de9b700896f38f1c667000",
            ),
        ] {
            assert_eq!(
                key().id_of(kind, name, value).to_string(),
                format!("k7:{expect}"),
                "{kind} {name}"
            );
        }
    }

    #[test]
    fn only_a_cookie_is_another_credential_under_another_name() {
        for kind in CredentialKind::ALL {
            let differs = key().id_of(kind, "a", b"value") != key().id_of(kind, "b", b"value");
            assert_eq!(differs, kind == CredentialKind::Cookie, "{kind}");
        }
    }

    #[test]
    fn moving_bytes_between_name_and_value_makes_another_credential() {
        let id = |name, value| key().id_of(CredentialKind::Cookie, name, value);
        assert_ne!(id("ab", b"c"), id("a", b"bc"));
        assert_ne!(id("", b"\0\0\0\0\0\0\0\x01a"), id("a", b""));
    }

    #[test]
    fn another_key_and_another_kind_make_another_id() {
        let other = CredentialKey::from_bytes(KeyId(8), [1; 32]);
        assert_eq!(other.id(), KeyId(8));
        assert_ne!(
            key().id_of(CredentialKind::Token, "", b"v"),
            other.id_of(CredentialKind::Token, "", b"v")
        );
        assert_ne!(
            key().id_of(CredentialKind::Token, "", b"v"),
            key().id_of(CredentialKind::ApiKey, "", b"v")
        );
    }

    #[test]
    fn an_id_is_read_back_from_its_text() {
        let id = key().id_of(CredentialKind::Token, "", b"value");
        assert_eq!(CredentialId::parse(&id.to_string()), Ok(id));
        assert_eq!(
            CredentialId::parse(&id.to_string().to_uppercase().replace('K', "k")),
            Ok(id)
        );
        assert_eq!(id.key(), KeyId(7));
        for number in 0..=255 {
            let text = format!("k{number}:00112233445566778899aabbccddeeff");
            assert_eq!(CredentialId::parse(&text).unwrap().to_string(), text);
        }
        let hex = "0123456789abcdef0123456789abcdef";
        for bad in [
            format!("7:{hex}"),
            format!("k256:{hex}"),
            format!("k07:{hex}"),
            format!("k+7:{hex}"),
            format!("k7:{hex}0"),
            "k7:".to_owned(),
            format!("k7:+{}", hex.replacen("0", "", 1)),
            String::new(),
        ] {
            assert_eq!(CredentialId::parse(&bad), Err(IdError), "{bad}");
        }
    }

    #[test]
    fn kinds_are_read_back_from_their_names() {
        for kind in CredentialKind::ALL {
            assert_eq!(CredentialKind::parse(kind.as_str()), Ok(kind));
        }
        assert!(CredentialKind::parse("Cookie").is_err());
    }

    #[test]
    fn a_ring_makes_ids_under_both_keys_while_both_are_valid() {
        let other = || CredentialKey::from_bytes(KeyId(8), [1; 32]);
        let id = |key: CredentialKey| key.id_of(CredentialKind::Token, "", b"v");
        let ids = |ring: KeyRing| ring.ids_of(CredentialKind::Token, "", b"v");
        let both = ids(KeyRing::new(other(), Some(key())));
        assert_eq!(
            both.into_iter().collect::<Vec<_>>(),
            [id(other()), id(key())]
        );
        let one = ids(KeyRing::new(other(), None));
        assert_eq!(one, CredentialIds::from(id(other())));
    }

    #[test]
    fn a_key_never_prints_its_secret() {
        assert_eq!(format!("{:?}", key()), "CredentialKey(k7, ***)");
    }
}
