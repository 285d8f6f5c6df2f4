//! What each variable of an attack measures, with its default thresholds; A first.

use super::{Attack, VariableSpec};

const fn both(meaning: &'static str, tn: f32, tx: f32) -> VariableSpec {
    VariableSpec {
        meaning,
        tn,
        tx: Some(tx),
        is_share: false,
    }
}

const fn normal(meaning: &'static str, tn: f32) -> VariableSpec {
    VariableSpec {
        meaning,
        tn,
        tx: None,
        is_share: false,
    }
}

const fn share(spec: VariableSpec) -> VariableSpec {
    VariableSpec {
        is_share: true,
        ..spec
    }
}

const PROBING: &[VariableSpec] = &[
    both("distinct routes that failed, over about an hour", 8.0, 30.0),
    share(both(
        "failures among answers, in percent, over about an hour",
        50.0,
        20.0,
    )),
    both("points for routes that only attackers look for", 2.5, 5.5),
    normal("requests that failed, over about an hour", 6.0),
    normal("distinct routes that failed, when little else happens", 3.0),
    share(normal(
        "failures among answers, when little else happens, in percent",
        65.0,
    )),
];
const INJECTION: &[VariableSpec] = &[normal("points for requests shaped to break a program", 3.5)];
const LOGIN: &[VariableSpec] = &[
    both("failed logins, over about ten minutes", 12.0, 30.0),
    share(both("failures among logins, in percent", 75.0, 50.0)),
    normal("failed logins at once, less one every five seconds", 9.0),
    normal(
        "login attempts of unknown outcome, over about ten minutes",
        20.0,
    ),
    share(normal("logins among requests, in percent", 80.0)),
    normal(
        "calls refused for want of a known credential, over about ten minutes",
        20.0,
    ),
];
const CREDENTIAL_STUFFING: &[VariableSpec] = &[
    both("distinct accounts whose login failed", 6.0, 20.0),
    share(both("failures among logins, in percent", 60.0, 40.0)),
];
const SLOW_LOGIN: &[VariableSpec] = &[
    normal(
        "failed logins less three per success, over about a day",
        30.0,
    ),
    share(normal("those among all such logins, in percent", 60.0)),
];
const LOGIN_DISTRIBUTED: &[VariableSpec] = &[
    normal("clients with failed logins in ten minutes", 12.0),
    share(normal("failures among logins, in percent", 70.0)),
];
const ENUMERATION: &[VariableSpec] = &[
    both(
        "distinct ids asked for on one route within half an hour",
        24.0,
        60.0,
    ),
    share(both(
        "ids asked for within their span, in percent",
        50.0,
        30.0,
    )),
    share(normal("failures among them, in percent", 60.0)),
    share(normal("steps to a neighbouring id, in percent", 50.0)),
];
const EXFILTRATION: &[VariableSpec] = &[
    normal("megabytes received, over about ten minutes", 2_000.0),
    normal("distinct objects read in ten minutes", 50.0),
];
const EXFILTRATION_LONG: &[VariableSpec] =
    &[normal("megabytes received, over about a day", 50_000.0)];
const SCRAPING: &[VariableSpec] = &[normal("distinct objects read in ten minutes", 900.0)];
const SCRAPING_LONG: &[VariableSpec] =
    &[normal("distinct objects read, over about a day", 20_000.0)];
const MASS_DELETION: &[VariableSpec] = &[normal("objects deleted, over about ten minutes", 60.0)];
const MASS_WRITES: &[VariableSpec] = &[normal("objects written, over about ten minutes", 400.0)];
const EXTREME_ACTIVITY: &[VariableSpec] = &[
    normal("requests at once, less a hundred every second", 6_000.0),
    normal(
        "calls in ten minutes, against what is usual for the API",
        60_000.0,
    ),
];
const UNUSUAL_ACCESS: &[VariableSpec] = &[
    normal(
        "distinct routes that failed in ten minutes, against what is usual for the API",
        60.0,
    ),
    share(normal("failures among calls, in percent", 20.0)),
];
const SEQUENCE: &[VariableSpec] = &[
    normal(
        "surprise of the latest calls, in bits per call, against what is usual for the API",
        12.0,
    ),
    normal("calls of the session, repeats left out", 12.0),
];
const STOLEN_CREDENTIAL: &[VariableSpec] = &[
    normal("places (network and program) within an hour", 2.0),
    normal("changes back and forth between them", 6.0),
];
const TOOL: &[VariableSpec] = &[normal("requests that name or betray an attack tool", 1.5)];
const DECOY: &[VariableSpec] = &[normal("calls of decoys", 1.0)];
const PATTERN: &[VariableSpec] = &[normal("calls that no rule of the API allows", 2.0)];
const DISTRIBUTED_PROBING: &[VariableSpec] = &[
    normal(
        "clients of one program that tried absent routes, in ten minutes",
        15.0,
    ),
    share(normal(
        "failures among the answers of that program, in percent",
        70.0,
    )),
    normal("distinct absent routes that they tried", 15.0),
];
const CREDENTIAL_ROTATION: &[VariableSpec] = &[normal(
    "networks that attacked with the credential within an hour",
    3.0,
)];

impl Attack {
    /// Its variables, A first.
    #[must_use]
    pub fn variables(self) -> &'static [VariableSpec] {
        match self {
            Self::Probing => PROBING,
            Self::Injection => INJECTION,
            Self::Login => LOGIN,
            Self::CredentialStuffing => CREDENTIAL_STUFFING,
            Self::SlowLogin => SLOW_LOGIN,
            Self::LoginDistributed => LOGIN_DISTRIBUTED,
            Self::Enumeration => ENUMERATION,
            Self::Exfiltration => EXFILTRATION,
            Self::ExfiltrationLong => EXFILTRATION_LONG,
            Self::Scraping => SCRAPING,
            Self::ScrapingLong => SCRAPING_LONG,
            Self::MassDeletion => MASS_DELETION,
            Self::MassWrites => MASS_WRITES,
            Self::ExtremeActivity => EXTREME_ACTIVITY,
            Self::StolenCredential => STOLEN_CREDENTIAL,
            Self::Tool => TOOL,
            Self::Decoy => DECOY,
            Self::Pattern => PATTERN,
            Self::DistributedProbing => DISTRIBUTED_PROBING,
            Self::CredentialRotation => CREDENTIAL_ROTATION,
            Self::Sequence => SEQUENCE,
            Self::UnusualAccess => UNUSUAL_ACCESS,
        }
    }
}
