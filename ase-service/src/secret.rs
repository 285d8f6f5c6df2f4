//! Secrets that ASE makes or is given: random bytes of the operating system, and a text that never prints.

use std::fmt;
use std::io;

use subtle::ConstantTimeEq as _;

/// A text that must not be printed; compared in constant time.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// A management secret that somebody has chosen.
    ///
    /// # Errors
    /// When it cannot be sent as a header or is too easily guessed; the text is not repeated.
    pub fn for_management(text: &str) -> Result<Self, &'static str> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if (16..=512).contains(&text.len()) && visible {
            Ok(Self(text.to_owned()))
        } else {
            Err("a management secret has 16 to 512 visible ASCII characters")
        }
    }

    /// 256 random bits in hex.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn random() -> io::Result<Self> {
        let text = random_bytes()?
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self(text))
    }

    /// Whether `candidate` is the secret. Takes as long wherever the two differ; only the length shows.
    #[must_use]
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(candidate).into()
    }

    /// The text, for the one place that must send or store it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// 32 bytes from the operating system.
///
/// # Errors
/// When it has no randomness to give.
pub fn random_bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
