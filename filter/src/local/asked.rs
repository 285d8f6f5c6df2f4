//! Why a request in `local` mode was asked about after all, and what went wrong with an image: as counters say it.

use ase_core::transaction::FailureClass;

/// Why ASE was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// There is no image yet.
    NoImage,
    /// ASE has not confirmed the image for too long.
    Stale,
    /// No API of the image has such a host and path.
    UnknownApi,
    /// The API has rules that only ASE evaluates.
    AlwaysAsk,
    /// The client's address may be listed.
    ListedAddress,
    /// A credential may be listed.
    ListedCredential,
    /// Credentials of that kind are listed, and the filter has not the key to look one up.
    NoKey,
    /// The request has no address, host or target, or too many credentials.
    Undecidable,
}

impl Asked {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::NoImage,
        Self::Stale,
        Self::UnknownApi,
        Self::AlwaysAsk,
        Self::ListedAddress,
        Self::ListedCredential,
        Self::NoKey,
        Self::Undecidable,
    ];

    /// Its name in counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoImage => "no_image",
            Self::Stale => "stale",
            Self::UnknownApi => "unknown_api",
            Self::AlwaysAsk => "always_ask",
            Self::ListedAddress => "listed_address",
            Self::ListedCredential => "listed_credential",
            Self::NoKey => "no_key",
            Self::Undecidable => "undecidable",
        }
    }
}

/// Why there is no newer image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageFailure {
    /// The call to ASE failed.
    Call(FailureClass),
    /// ASE has none to give: it is of another make, or has not made it yet.
    Absent,
    /// What came is no image, or goes on from another one.
    Refused,
    /// It is larger than configured.
    TooLarge,
    /// The copy that another VM shared was not whole; it is shared again.
    Torn,
}

impl ImageFailure {
    /// Every failure.
    pub fn all() -> impl Iterator<Item = Self> {
        let own = [Self::Absent, Self::Refused, Self::TooLarge, Self::Torn];
        own.into_iter()
            .chain(FailureClass::ALL.into_iter().map(Self::Call))
    }

    /// Its name in counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call(class) => class.as_str(),
            Self::Absent => "absent",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::Torn => "torn",
        }
    }
}
