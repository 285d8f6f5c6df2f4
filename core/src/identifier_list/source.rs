//! Who puts entries on a list; entries of different sources stand side by side and are cleared apart.

use std::fmt;

use thiserror::Error;

/// Longest piece of a refused text that an error repeats, in characters.
const EXCERPT_CHARS: usize = 60;

/// Who put an entry on the list. Text form: `manual`, `file`, `real_time:<rule>`, `engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A person, through the management port.
    Manual,
    /// The attack list file.
    File,
    /// A rule that acts on the request at hand.
    RealTime(Rule),
    /// The behaviour engine.
    Engine,
}

/// What a client did at once wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// It called a decoy.
    Decoy,
    /// It used a protocol that the API does not serve.
    Protocol,
    /// It used a method that the API does not serve.
    Method,
    /// It sent a content type that the API does not take.
    ContentType,
    /// It came without the token that the API demands.
    Token,
    /// It called more often than the API allows.
    Spike,
}

/// A choice of sources. Text form: `all`, `real_time` for every rule, or that of a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// Every source.
    All,
    /// Every rule of the request path.
    RealTime,
    /// One source.
    Only(Source),
}

/// A text that is not a source.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a source: use manual, file, engine or real_time:<decoy, protocol, method, content_type, token or spike>"
)]
pub struct SourceError(String);

impl Source {
    /// Every source.
    pub const ALL: [Self; 9] = [
        Self::Manual,
        Self::File,
        Self::RealTime(Rule::Decoy),
        Self::RealTime(Rule::Protocol),
        Self::RealTime(Rule::Method),
        Self::RealTime(Rule::ContentType),
        Self::RealTime(Rule::Token),
        Self::RealTime(Rule::Spike),
        Self::Engine,
    ];

    /// The name in lists and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::File => "file",
            Self::RealTime(Rule::Decoy) => "real_time:decoy",
            Self::RealTime(Rule::Protocol) => "real_time:protocol",
            Self::RealTime(Rule::Method) => "real_time:method",
            Self::RealTime(Rule::ContentType) => "real_time:content_type",
            Self::RealTime(Rule::Token) => "real_time:token",
            Self::RealTime(Rule::Spike) => "real_time:spike",
            Self::Engine => "engine",
        }
    }

    /// Reads the name of a source.
    ///
    /// # Errors
    /// When no source has that name.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let source = Self::ALL.into_iter().find(|source| source.as_str() == text);
        source.ok_or_else(|| SourceError(text.chars().take(EXCERPT_CHARS).collect()))
    }
}

impl Sources {
    /// Whether `source` belongs to the choice.
    #[must_use]
    pub fn include(self, source: Source) -> bool {
        match self {
            Self::All => true,
            Self::RealTime => matches!(source, Source::RealTime(_)),
            Self::Only(only) => only == source,
        }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        match text {
            "all" => Ok(Self::All),
            "real_time" => Ok(Self::RealTime),
            name => Source::parse(name).map(Self::Only),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::RealTime => "real_time",
            Self::Only(source) => source.as_str(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_back_from_their_names() {
        for source in Source::ALL {
            assert_eq!(Source::parse(source.as_str()), Ok(source));
            assert_eq!(Sources::parse(source.as_str()), Ok(Sources::Only(source)));
        }
        assert!(Source::parse("real_time").is_err());
        assert!(Source::parse("Manual").is_err());
        assert!(Sources::parse("real_time:").is_err());
    }

    #[test]
    fn real_time_means_every_rule_and_nothing_else() {
        let included = Source::ALL.map(|source| Sources::RealTime.include(source));
        assert_eq!(
            included,
            [false, false, true, true, true, true, true, true, false]
        );
        assert!(
            Source::ALL
                .iter()
                .all(|source| Sources::All.include(*source))
        );
    }
}
