//! What an API asks of its requests beside who sends them: pattern rules, decoys, a token, a rate.
//!
//! What breaking a rule leads to is said in `crate::decision`; what is known of a request beside a gateway and what is
//! not is argued in `docs/decisions/0006-real-time-rules.md`.

use std::num::NonZeroU32;

use crate::metadata::RequestReport;
use crate::path::NormalPath;
use crate::text;
use crate::time::UnixMillis;

use super::{ApiDefinition, Protocol};

/// Most decoy paths of one API.
pub const MAX_DECOYS: usize = 32;

/// The rules of one API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub(super) patterns: Patterns,
    pub(super) decoys: Decoys,
    pub(super) token: TokenRule,
    pub(super) spike: Option<SpikeLimit>,
}

/// How requests must look (`api_pattern_enforcement`). An empty list allows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    pub(super) protocols: Vec<Protocol>,
    pub(super) methods: Vec<String>,
    pub(super) content_types: Vec<MediaRange>,
}

/// The kind of pattern rule that a request breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// `protocol_allowed`
    Protocol,
    /// `methods_allowed`
    Method,
    /// `content_type_allowed`
    ContentType,
}

/// Paths that nobody has a reason to call (`decoy_config`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Decoys {
    /// There are none.
    #[default]
    Off,
    /// These paths and all below them, in an API that is otherwise real.
    InContext(Vec<NormalPath>),
    /// The whole API.
    OutOfContext,
}

/// What sort of decoy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lure {
    /// A path of a real API.
    InContext,
    /// An API that does not exist.
    OutOfContext,
}

/// Whether requests must carry a token (`is_token_mandatory`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TokenRule {
    /// They may come without.
    #[default]
    Optional,
    /// A request without one breaks the rule; a CORS preflight, to which browsers never add one, does not.
    Mandatory,
}

/// How many requests one client may make (`client_spike_threshold`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpikeLimit {
    /// So many in one window.
    pub requests: NonZeroU32,
    /// The window.
    pub window: Window,
}

/// A span of time by which requests are counted; windows begin at whole multiples since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// One second.
    Second,
    /// One minute.
    Minute,
    /// One hour.
    Hour,
}

/// `type/subtype`, `type/*` or `*/*`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRange {
    pub(super) kind: Option<String>,
    pub(super) subtype: Option<String>,
}

impl Rules {
    /// How requests must look.
    #[must_use]
    pub fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// Where nobody has a reason to be.
    #[must_use]
    pub fn decoys(&self) -> &Decoys {
        &self.decoys
    }

    /// Whether requests must carry a token.
    #[must_use]
    pub fn token(&self) -> TokenRule {
        self.token
    }

    /// How many requests one client may make; `None` when that is not limited.
    #[must_use]
    pub fn spike(&self) -> Option<SpikeLimit> {
        self.spike
    }
}

impl Patterns {
    /// The first rule that a request breaks, in the order of [`Pattern`].
    ///
    /// Only what is known of a request can break a rule: a gateway that does not say how the client spoke, or a request
    /// without a content type, breaks none.
    #[must_use]
    pub fn broken_by(&self, report: &RequestReport<'_>) -> Option<Pattern> {
        if !self.protocols.is_empty() && !self.allows_protocol(report) {
            return Some(Pattern::Protocol);
        }
        if !self.methods.is_empty() && !self.methods.iter().any(|method| method == report.method) {
            return Some(Pattern::Method);
        }
        let broken = !self.content_types.is_empty() && !self.allows_content_types(report);
        broken.then_some(Pattern::ContentType)
    }

    /// Whether requests of any look may come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.protocols.is_empty() && self.methods.is_empty() && self.content_types.is_empty()
    }

    /// Every scheme that the request names must be allowed; of a request that names none, either may.
    fn allows_protocol(&self, report: &RequestReport<'_>) -> bool {
        let upgrades = header_words(report, b"upgrade").any(|word| is(word, b"websocket"));
        let (plain, secure) = if upgrades {
            (Protocol::Ws, Protocol::Wss)
        } else {
            (Protocol::Http, Protocol::Https)
        };
        let scheme = |word: &[u8]| {
            if is(word, b"http") || is(word, b"ws") {
                Some(plain)
            } else if is(word, b"https") || is(word, b"wss") {
                Some(secure)
            } else {
                None
            }
        };
        let target = report.url.split_once("://").map(|(scheme, _)| scheme);
        let named = target
            .into_iter()
            .map(str::as_bytes)
            .chain(header_words(report, b"x-forwarded-proto"));
        let mut unnamed = true;
        for protocol in named.filter_map(scheme) {
            if !self.protocols.contains(&protocol) {
                return false;
            }
            unnamed = false;
        }
        !unnamed || self.protocols.contains(&plain) || self.protocols.contains(&secure)
    }

    fn allows_content_types(&self, report: &RequestReport<'_>) -> bool {
        report
            .metadata
            .headers
            .values_of(b"content-type")
            .map(|value| text::of(value))
            .filter(|value| !value.trim().is_empty())
            .all(|value| self.content_types.iter().any(|range| range.holds(&value)))
    }
}

impl Decoys {
    /// What sort of decoy a request to `api`, whose decoys these are, hits. An odd spelling hits with any of its readings.
    #[must_use]
    pub fn hit_by(&self, report: &RequestReport<'_>, api: &ApiDefinition) -> Option<Lure> {
        match self {
            Self::Off => None,
            Self::OutOfContext => Some(Lure::OutOfContext),
            Self::InContext(decoys) => report
                .paths
                .iter()
                .filter_map(|path| path.below(api.base_path()))
                .any(|below| decoys.iter().any(|decoy| below.starts_with(decoy)))
                .then_some(Lure::InContext),
        }
    }
}

impl SpikeLimit {
    /// The number of the window that holds the instant `millis` since 1970.
    #[must_use]
    pub fn window_of(self, millis: u64) -> u64 {
        millis / self.window.millis()
    }

    /// The last instant of the window that holds the instant `millis` since 1970.
    #[must_use]
    pub fn window_end(self, millis: u64) -> UnixMillis {
        let length = self.window.millis();
        let start = millis.saturating_sub(millis % length);
        UnixMillis(start.saturating_add(length.saturating_sub(1)))
    }
}

impl Window {
    fn millis(self) -> u64 {
        match self {
            Self::Second => 1000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }
}

impl MediaRange {
    /// Whether the value of a `Content-Type` header names a type of this range; its parameters do not count.
    #[must_use]
    pub fn holds(&self, content_type: &str) -> bool {
        let media = content_type.split(';').next().unwrap_or_default();
        let Some((kind, subtype)) = media.split_once('/') else {
            return false;
        };
        let matches = |wanted: &Option<String>, found: &str| match wanted {
            Some(wanted) => found.trim().eq_ignore_ascii_case(wanted),
            None => true,
        };
        matches(&self.kind, kind) && matches(&self.subtype, subtype)
    }
}

fn is(word: &[u8], wanted: &[u8]) -> bool {
    word.eq_ignore_ascii_case(wanted)
}

/// The comma-separated words of every header of this name.
fn header_words<'r>(
    report: &'r RequestReport<'_>,
    name: &'r [u8],
) -> impl Iterator<Item = &'r [u8]> {
    let values = report.metadata.headers.values_of(name);
    values.flat_map(|value| value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii))
}
