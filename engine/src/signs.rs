//! What one transaction shows, read once before anybody is blamed for it.

use ase_core::decision::Detection as BrokenRule;
use ase_core::registry::Pattern;

use crate::clock::Moment;
use crate::detectors::login::{self, Attempt};
use crate::hash::Hasher;
use crate::path_shape::{Object, Shape, object_of_query};
use crate::transaction::Transaction;
use crate::vocabulary::{Agent, AgentWords, Injection, PathWords, QueryWords, Sensitive};

/// Names an API within the engine; 0 stands for traffic of none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ApiIndex(pub(crate) u16);

/// What one transaction shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signs {
    pub(crate) at: Moment,
    pub(crate) api: ApiIndex,
    pub(crate) answer: Answer,
    pub(crate) intent: Intent,
    /// The API and the path without its ids.
    pub(crate) route: u64,
    /// The API and the whole path.
    pub(crate) whole: u64,
    /// The API and the whole target.
    pub(crate) target: u64,
    pub(crate) object: Option<Object>,
    /// The route of the objects right below the path.
    pub(crate) collection: u32,
    pub(crate) file: File,
    pub(crate) sensitive: Option<Sensitive>,
    pub(crate) injection: Option<Injection>,
    /// A method that ordinary clients do not use, or a target that names another server.
    pub(crate) odd_target: bool,
    pub(crate) program: Agent,
    pub(crate) broken_rule: Option<Broken>,
    pub(crate) login: Option<Attempt>,
    pub(crate) account: Option<u64>,
    pub(crate) agent: u16,
    pub(crate) network: u16,
    pub(crate) response_bytes: f32,
    /// What came of it where it wanted to create something.
    pub(crate) taken: Taken,
    /// Answered as taken, with nothing to show for it (202, 204), and about no object: reports of an application about itself are.
    pub(crate) receipt: bool,
}

/// How it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// As asked.
    Success,
    /// Somewhere else.
    Redirect,
    /// 401: who asks must say who it is.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404 or 410.
    Absent,
    /// Another refusal that the client has caused.
    Refused,
    /// 429, or a status that says nothing about the request.
    Neutral,
    /// The server failed.
    Broken,
    /// No answer came.
    None,
}

/// Whether an answer says that something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// 201.
    Made,
    /// 200: made, found or nothing of both. 202: something will be, or nothing is to be seen of it.
    Maybe,
    /// Not as asked, or nothing that could be read.
    Nothing,
}

/// What it wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Read.
    Read,
    /// Create or change.
    Write,
    /// Delete.
    Delete,
    /// Anything else.
    Other,
}

/// What sort of thing the path's last segment names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// A call or a page.
    Call,
    /// A part of a page: image, style, script for browsers, font.
    Asset,
    /// What browsers and crawlers ask every site for.
    Customary,
}

/// A real-time rule that was broken, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Decoy,
    /// A method or protocol that the API does not have.
    Shape,
    /// A content type that it does not take: mistakes happen.
    ContentType,
}

/// Reads transactions.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) hasher: Hasher,
    paths: PathWords,
    queries: QueryWords,
    agents: AgentWords,
}

impl Reader {
    pub(crate) fn new(hasher: Hasher) -> Self {
        Self {
            hasher,
            paths: PathWords::new(hasher),
            queries: QueryWords::new(),
            agents: AgentWords::new(),
        }
    }

    pub(crate) fn read(&self, transaction: &Transaction<'_>, api: ApiIndex, at: Moment) -> Signs {
        let hasher = self.hasher;
        let shape = Shape::of(transaction.path, transaction.declared(), hasher);
        let query = query_of(transaction.target);
        let answer = Answer::of(transaction.status);
        let route = hasher.pair(shape.route, u64::from(api.0));
        let agent = transaction.user_agent.unwrap_or_default();
        let agent_hash = hasher.bytes(agent.as_bytes());
        let object = shape
            .object
            .or_else(|| object_of_query(query, route, hasher));
        Signs {
            at,
            api,
            answer,
            intent: Intent::of(transaction.method),
            route,
            whole: hasher.pair(shape.whole, u64::from(api.0)),
            target: hasher.pair(
                hasher.bytes(transaction.target.as_bytes()),
                u64::from(api.0),
            ),
            object,
            collection: shape.collection,
            file: File::of(shape.last),
            sensitive: self.paths.look(transaction.path),
            injection: self.queries.look(transaction.target),
            odd_target: is_odd(transaction),
            program: self.agents.look(agent),
            broken_rule: transaction.broken_rule.and_then(Broken::of),
            login: login::attempt(transaction, query, answer),
            account: transaction.account.map(|id| hasher.credential(&id)),
            agent: (agent_hash >> 48) as u16,
            network: hasher.network(transaction.client.ip()),
            response_bytes: transaction.response_bytes.unwrap_or(0) as f32,
            taken: Taken::of(transaction.status),
            receipt: matches!(transaction.status, Some(202 | 204)) && object.is_none(),
        }
    }
}

impl Signs {
    /// What is odd about it, in a word for samples.
    pub(crate) fn odd(&self) -> Option<&'static str> {
        if let Some(injection) = self.injection {
            return Some(injection.as_str());
        }
        if self.broken_rule.is_some() {
            return Some("broken rule");
        }
        if self.program == Agent::Tool {
            return Some("attack tool");
        }
        if self.login.is_some_and(|attempt| attempt.is_failure()) {
            return Some("failed login");
        }
        if self.sensitive.is_some() && self.answer.is_failure() {
            return Some("sensitive path");
        }
        self.answer.is_failure().then_some("failure")
    }
}

impl Answer {
    fn of(status: Option<u16>) -> Self {
        match status {
            None | Some(0 | 499) => Self::None,
            Some(401 | 407) => Self::Unauthorized,
            Some(403) => Self::Forbidden,
            Some(404 | 410) => Self::Absent,
            Some(304 | 100..=299) => Self::Success,
            Some(300..=399) => Self::Redirect,
            Some(408 | 409 | 412 | 425 | 429) => Self::Neutral,
            Some(400..=498) => Self::Refused,
            Some(_) => Self::Broken,
        }
    }

    /// Whether the client was refused for what it asked.
    pub(crate) fn is_failure(self) -> bool {
        match self {
            Self::Unauthorized | Self::Forbidden | Self::Absent | Self::Refused => true,
            Self::Success | Self::Redirect | Self::Neutral | Self::Broken | Self::None => false,
        }
    }
}

impl Taken {
    fn of(status: Option<u16>) -> Self {
        match status {
            Some(201) => Self::Made,
            Some(200 | 202) => Self::Maybe,
            Some(_) | None => Self::Nothing,
        }
    }
}

impl Intent {
    fn of(method: &str) -> Self {
        match method {
            "GET" | "HEAD" | "OPTIONS" | "REPORT" | "PROPFIND" => Self::Read,
            "POST" | "PUT" | "PATCH" => Self::Write,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

impl File {
    fn of(last: &[u8]) -> Self {
        const CUSTOMARY: [&[u8]; 10] = [
            b"favicon.ico",
            b"robots.txt",
            b"sitemap.xml",
            b"humans.txt",
            b"security.txt",
            b"browserconfig.xml",
            b"manifest.json",
            b"site.webmanifest",
            b"sitemap.xml.gz",
            b"crossdomain.xml",
        ];
        const ASSETS: [&[u8]; 19] = [
            b"png", b"jpg", b"jpeg", b"gif", b"ico", b"svg", b"webp", b"avif", b"css", b"js",
            b"mjs", b"map", b"woff", b"woff2", b"ttf", b"eot", b"mp4", b"webm", b"mp3",
        ];
        let apple = last.starts_with(b"apple-touch-icon") || last.starts_with(b"apple-app-site");
        if apple || CUSTOMARY.contains(&last) {
            return Self::Customary;
        }
        let ending = last.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        let has_ending = ending.len() < last.len();
        let is_asset = ASSETS
            .iter()
            .any(|asset| asset.eq_ignore_ascii_case(ending));
        if has_ending && is_asset {
            Self::Asset
        } else {
            Self::Call
        }
    }
}

impl Broken {
    fn of(rule: BrokenRule) -> Option<Self> {
        match rule {
            BrokenRule::Decoy(_) => Some(Self::Decoy),
            BrokenRule::Pattern(Pattern::Method | Pattern::Protocol) => Some(Self::Shape),
            BrokenRule::Pattern(Pattern::ContentType) => Some(Self::ContentType),
            BrokenRule::TokenMissing | BrokenRule::ClientSpike => None,
        }
    }
}

/// Whether a request asks for a proxy or is no request at all: an absolute target, a method that is no word.
fn is_odd(transaction: &Transaction<'_>) -> bool {
    let word = transaction
        .method
        .bytes()
        .all(|byte| byte.is_ascii_uppercase());
    !word
        || transaction.method == "CONNECT"
        || transaction.target.contains("://") && !transaction.target.starts_with('/')
}

/// The query of a request target, without its question mark.
pub(crate) fn query_of(target: &str) -> &[u8] {
    let target = target.split('#').next().unwrap_or_default();
    target
        .split_once('?')
        .map_or(&[], |(_, query)| query.as_bytes())
}
