//! Login attacks by one client: guessing one account's password fast or slowly, and trying many accounts.
//!
//! A success cancels a run of failures, as somebody who has remembered the password would; a client that goes on failing
//! is told by the share of failures, so that one good account of its own does not hide it.

use ase_core::path::NormalPath;

use crate::catalogue::{Attack, Variable};
use crate::client::{Bitmap, Client, Fading, percent};
use crate::detectors::{Context, Measure, Suspicion};
use crate::lessons::Thresholds;
use crate::signs::{Answer, Signs};
use crate::transaction::Transaction;

/// What a success takes off the failures before it, at once and over the day.
const FORGIVEN: f32 = 6.0;
const FORGIVEN_DAY: f32 = 3.0;
/// Failures per second that are not counted as a run.
const USUAL_RATE: f32 = 0.2;

/// The logins of one client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Logins {
    /// Failures at once, less [`USUAL_RATE`].
    run: f32,
    failed: f32,
    succeeded: f32,
    /// Attempts whose outcome the status does not tell.
    unknown: f32,
    /// Calls refused for want of a credential, with none or one that had never come before: how HTTP's own logins are guessed.
    refused: f32,
    failed_day: f32,
    succeeded_day: f32,
    /// Accounts whose login failed.
    accounts: Bitmap<1>,
}

/// A login attempt and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// The client was refused.
    Failed,
    /// It was let in.
    Succeeded,
    /// It was answered, and nothing says how.
    Unknown,
}

impl Logins {
    /// Names, meanings and values for people.
    pub(crate) fn facts(&self) -> [(&'static str, &'static str, f32); 5] {
        [
            (
                "logins_failed",
                "logins that failed (half-life 10 min)",
                self.failed,
            ),
            (
                "logins_failed_day",
                "logins that failed (half-life 1 d)",
                self.failed_day,
            ),
            (
                "logins_succeeded",
                "logins that succeeded (half-life 1 d)",
                self.succeeded_day,
            ),
            (
                "logins_unknown",
                "logins that were answered without saying how they ended (half-life 10 min)",
                self.unknown,
            ),
            (
                "accounts",
                "accounts whose login failed",
                self.accounts.count().round(),
            ),
        ]
    }
}

impl Attempt {
    pub(crate) fn is_failure(self) -> bool {
        self == Self::Failed
    }
}

/// Whether a transaction is a login attempt, and how it ended.
pub(crate) fn attempt(
    transaction: &Transaction<'_>,
    query: &[u8],
    answer: Answer,
) -> Option<Attempt> {
    let declared = transaction
        .api
        .and_then(|api| api.login)
        .is_some_and(|login| transaction.path.starts_with(login));
    let writes = matches!(transaction.method, "POST" | "PUT");
    let path = login_path(transaction.path);
    if !(has_password(query) || writes && (declared || path != LoginPath::None)) {
        return None;
    }
    match answer {
        Answer::Unauthorized | Answer::Forbidden | Answer::Refused => Some(Attempt::Failed),
        Answer::Success if path == LoginPath::Token => Some(Attempt::Succeeded),
        Answer::Redirect | Answer::Success => Some(Attempt::Unknown),
        Answer::Absent | Answer::Neutral | Answer::Broken | Answer::None => None,
    }
}

pub(crate) fn learn(client: &mut Client, signs: &Signs, context: Context) {
    if signs.login.is_none() && signs.answer == Answer::Unauthorized && context.unknown_bearer {
        client.logins.refused += 1.0;
    }
    let Some(attempt) = signs.login else {
        return;
    };
    let logins = &mut client.logins;
    match attempt {
        Attempt::Failed => {
            logins.run += 1.0;
            logins.failed += 1.0;
            logins.failed_day += 1.0;
            if let Some(account) = signs.account {
                logins.accounts.insert(account);
            }
        }
        Attempt::Succeeded => {
            logins.run = 0.0;
            logins.failed = (logins.failed - FORGIVEN).max(0.0);
            logins.failed_day = (logins.failed_day - FORGIVEN_DAY).max(0.0);
            logins.succeeded += 1.0;
            logins.succeeded_day += 1.0;
        }
        Attempt::Unknown => logins.unknown += 1.0,
    }
}

pub(crate) fn judge(
    client: &Client,
    signs: &Signs,
    context: Context,
    thresholds: &Thresholds<'_>,
) -> Option<Suspicion> {
    let guesses =
        signs.login.is_some() || signs.answer == Answer::Unauthorized && context.unknown_bearer;
    if !guesses {
        return None;
    }
    stuffing(client, thresholds)
        .or_else(|| one_client(client, thresholds))
        .or_else(|| slow(client, thresholds))
}

fn one_client(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    use Variable::{A, B, C, D, E, F};
    let logins = &client.logins;
    let failed_percent = percent(logins.failed, logins.failed + logins.succeeded);
    let attempts = logins.failed + logins.succeeded + logins.unknown + logins.refused;
    let values = [
        logins.failed,
        failed_percent,
        logins.run,
        logins.unknown,
        percent(attempts, client.recent),
        logins.refused,
    ];
    let measure = Measure::of(Attack::Login, &values, thresholds);
    let many = measure.normal(A) && measure.normal(B);
    let very_many = measure.extreme(A) && measure.extreme(B);
    let at_once = measure.normal(C) && measure.normal(B);
    let nothing_else = measure.normal(D) && measure.normal(E);
    let refused = measure.normal(F) && measure.normal(E);
    let is_attack = many || very_many || at_once || nothing_else || refused;
    measure.suspicion_if(is_attack)
}

fn stuffing(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    use Variable::{A, B};
    let logins = &client.logins;
    let failed_percent = percent(logins.failed, logins.failed + logins.succeeded);
    let values = [logins.accounts.count().round(), failed_percent];
    let measure = Measure::of(Attack::CredentialStuffing, &values, thresholds);
    let is_attack =
        measure.normal(A) && measure.normal(B) || measure.extreme(A) && measure.extreme(B);
    measure.suspicion_if(is_attack)
}

fn slow(client: &Client, thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    use Variable::{A, B};
    let logins = &client.logins;
    let failed_percent = percent(logins.failed_day, logins.failed_day + logins.succeeded_day);
    let values = [logins.failed_day, failed_percent];
    let measure = Measure::of(Attack::SlowLogin, &values, thresholds);
    let is_attack = measure.normal(A) && measure.normal(B);
    measure.suspicion_if(is_attack)
}

impl Logins {
    pub(crate) fn fade(&mut self, fading: Fading) {
        self.run = (self.run - fading.seconds * USUAL_RATE).max(0.0);
        self.failed *= fading.short;
        self.succeeded *= fading.short;
        self.unknown *= fading.short;
        self.refused *= fading.short;
        self.failed_day *= fading.day;
        self.succeeded_day *= fading.day;
        if self.failed < 0.5 {
            self.accounts.clear();
        }
    }

    /// Whether a client has failed to log in more than once, never succeeded, and done little else.
    pub(crate) fn are_all_there_is(&self, requests: f32) -> bool {
        self.failed >= 1.5
            && self.succeeded < 0.5
            && percent(self.failed + self.unknown, requests) >= 80.0
    }

    pub(crate) fn are_suspicious(&self) -> bool {
        self.failed >= 3.0 || self.refused >= 6.0 || self.failed_day >= 6.0
    }
}

/// What a path says about logging in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoginPath {
    /// Nothing.
    None,
    /// A page or a call of any sort.
    Form,
    /// A call that answers with a token, and with an error where there is none (RFC 6749 section 5.2).
    Token,
}

/// By its last two segments, which are what login calls are named after.
fn login_path(path: &NormalPath) -> LoginPath {
    const FORMS: [&[u8]; 12] = [
        b"login",
        b"signin",
        b"sign-in",
        b"sign_in",
        b"log-in",
        b"log_in",
        b"logon",
        b"wp-login.php",
        b"login.php",
        b"j_security_check",
        b"xmlrpc.php",
        b"login.aspx",
    ];
    const TOKENS: [&[u8]; 6] = [
        b"auth",
        b"authenticate",
        b"token",
        b"token.oauth2",
        b"session",
        b"sessions",
    ];
    let mut before: &[u8] = &[];
    let mut last: &[u8] = &[];
    for segment in path.segments() {
        before = last;
        last = segment;
    }
    let one_of = |words: &[&[u8]]| {
        let is = |segment: &[u8]| words.iter().any(|word| word.eq_ignore_ascii_case(segment));
        is(last) || is(before)
    };
    if one_of(&TOKENS) {
        return LoginPath::Token;
    }
    if one_of(&FORMS) {
        LoginPath::Form
    } else {
        LoginPath::None
    }
}

/// Whether a query sends a password.
fn has_password(query: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [b"password", b"passwd", b"pwd", b"pass", b"user_password"];
    query.split(|byte| *byte == b'&').any(|pair| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
    })
}
