//! The attacks that the engine knows: numbers and names of the original's catalogue where it has them, our own from 200 on,
//! and what each variable of an attack measures, with its default thresholds.
//!
//! A variable's `tn` is the normal threshold, its `tx` the extreme one; what combination makes a detection is said by the
//! detector (`detectors/`) and for people in `docs/detection.md`.

use std::fmt;

use ase_core::credential::CredentialKind;
use ase_core::identifier_list::ListedIdentifier;

mod variables;

/// An attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Attack {
    /// Trying routes that are not there, or that nobody should look for.
    Probing,
    /// Requests shaped to break the program behind them.
    Injection,
    /// Guessing the password of an account.
    Login,
    /// Trying many accounts.
    CredentialStuffing,
    /// Guessing passwords too slowly for a rate to tell.
    SlowLogin,
    /// Guessing passwords from many clients.
    LoginDistributed,
    /// Walking over the ids of objects.
    Enumeration,
    /// Taking out much data at once.
    Exfiltration,
    /// Taking out much data over a day.
    ExfiltrationLong,
    /// Reading very many objects at once.
    Scraping,
    /// Reading very many objects over a day.
    ScrapingLong,
    /// Deleting many objects.
    MassDeletion,
    /// Writing many objects.
    MassWrites,
    /// Far more requests than anybody needs.
    ExtremeActivity,
    /// One credential used from several places by several programs at the same time.
    StolenCredential,
    /// Traffic that names or betrays an attack tool.
    Tool,
    /// Calling a decoy.
    Decoy,
    /// Using a method, protocol or content type that the API does not have.
    Pattern,
    /// Probing shared out among many clients.
    DistributedProbing,
    /// One credential attacking from many addresses.
    CredentialRotation,
    /// Calls in an order that nobody else uses.
    Sequence,
    /// Calls that this client has never made, in an amount that nobody makes.
    UnusualAccess,
}

/// Names a variable of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Variable {
    /// The first.
    A,
    /// The second.
    B,
    /// The third.
    C,
    /// The fourth.
    D,
    /// The fifth.
    E,
    /// The sixth.
    F,
}

/// What a variable measures and what it is compared with unless an operator says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VariableSpec {
    /// What it measures, with its unit.
    pub meaning: &'static str,
    /// The normal threshold.
    pub tn: f32,
    /// The extreme threshold, where there is one.
    pub tx: Option<f32>,
    /// Whether it is a share in percent: nothing is above all of it, so what is usual raises no threshold of it.
    pub is_share: bool,
}

impl Attack {
    /// Every attack.
    pub const ALL: [Self; 22] = [
        Self::Probing,
        Self::Injection,
        Self::Login,
        Self::CredentialStuffing,
        Self::SlowLogin,
        Self::LoginDistributed,
        Self::Enumeration,
        Self::Exfiltration,
        Self::ExfiltrationLong,
        Self::Scraping,
        Self::ScrapingLong,
        Self::MassDeletion,
        Self::MassWrites,
        Self::ExtremeActivity,
        Self::StolenCredential,
        Self::Tool,
        Self::Decoy,
        Self::Pattern,
        Self::DistributedProbing,
        Self::CredentialRotation,
        Self::Sequence,
        Self::UnusualAccess,
    ];

    /// Its number in the catalogue; the original numbers some attacks by who did it.
    #[must_use]
    pub fn id(self, by: &ListedIdentifier) -> u16 {
        let credential = match by {
            ListedIdentifier::Network(_) => None,
            ListedIdentifier::Credential { kind, .. } => Some(*kind),
        };
        self.id_by(credential)
    }

    fn id_by(self, credential: Option<CredentialKind>) -> u16 {
        match (self, credential) {
            (Self::Probing, None) => 20,
            (Self::Probing, Some(CredentialKind::Cookie)) => 18,
            (Self::Probing, Some(CredentialKind::Token)) => 19,
            (Self::Probing, Some(CredentialKind::ApiKey)) => 32,
            (Self::Probing, Some(CredentialKind::Username)) => 34,
            (Self::StolenCredential, Some(CredentialKind::Cookie)) => 17,
            (Self::StolenCredential, Some(CredentialKind::ApiKey)) => 31,
            (Self::StolenCredential, None | Some(_)) => 4,
            (Self::Exfiltration, Some(CredentialKind::Username)) => 39,
            (Self::Injection, Some(CredentialKind::Username)) => 40,
            (other, None | Some(_)) => other.usual_id(),
        }
    }

    /// The number that stands for the attack whoever did it.
    #[must_use]
    pub fn number(self) -> u16 {
        self.id_by(None)
    }

    /// The attack of a number of the catalogue, whoever did it.
    #[must_use]
    pub fn numbered(number: u16) -> Option<Self> {
        let by = || {
            let credentials = CredentialKind::ALL.into_iter().map(Some);
            credentials.chain([None])
        };
        Self::ALL
            .into_iter()
            .find(|attack| attack.usual_id() == number || by().any(|by| attack.id_by(by) == number))
    }

    fn usual_id(self) -> u16 {
        match self {
            Self::Exfiltration => 1,
            Self::Login => 2,
            Self::LoginDistributed => 3,
            Self::StolenCredential => 4,
            Self::Probing => 8,
            Self::ExtremeActivity => 10,
            Self::Injection => 11,
            Self::MassDeletion => 14,
            Self::MassWrites => 15,
            Self::ExfiltrationLong => 21,
            Self::Scraping => 26,
            Self::ScrapingLong => 28,
            Self::Sequence => 36,
            Self::UnusualAccess => 38,
            Self::Decoy => 100,
            Self::Pattern => 101,
            Self::Enumeration => 200,
            Self::Tool => 201,
            Self::CredentialStuffing => 202,
            Self::SlowLogin => 203,
            Self::DistributedProbing => 204,
            Self::CredentialRotation => 205,
        }
    }

    /// Its name in configuration, counters and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probing => "probing",
            Self::Injection => "injection",
            Self::Login => "login",
            Self::CredentialStuffing => "credential_stuffing",
            Self::SlowLogin => "slow_login",
            Self::LoginDistributed => "login_distributed",
            Self::Enumeration => "enumeration",
            Self::Exfiltration => "exfiltration",
            Self::ExfiltrationLong => "exfiltration_long",
            Self::Scraping => "scraping",
            Self::ScrapingLong => "scraping_long",
            Self::MassDeletion => "mass_deletion",
            Self::MassWrites => "mass_writes",
            Self::ExtremeActivity => "extreme_activity",
            Self::StolenCredential => "stolen_credential",
            Self::Tool => "tool",
            Self::Decoy => "decoy",
            Self::Pattern => "pattern",
            Self::DistributedProbing => "distributed_probing",
            Self::CredentialRotation => "credential_rotation",
            Self::Sequence => "sequence",
            Self::UnusualAccess => "unusual_access",
        }
    }

    /// Its title for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Probing => "API probing",
            Self::Injection => "Injection",
            Self::Login => "Login attack by one client",
            Self::CredentialStuffing => "Credential stuffing",
            Self::SlowLogin => "Slow login attack",
            Self::LoginDistributed => "Login attack by many clients",
            Self::Enumeration => "Object enumeration",
            Self::Exfiltration => "Data exfiltration",
            Self::ExfiltrationLong => "Data exfiltration over a day",
            Self::Scraping => "Content scraping",
            Self::ScrapingLong => "Content scraping over a day",
            Self::MassDeletion => "Mass deletion",
            Self::MassWrites => "Mass creation or change",
            Self::ExtremeActivity => "Extreme client activity",
            Self::StolenCredential => "Stolen token, cookie or key",
            Self::Tool => "Attack tool",
            Self::Decoy => "Decoy access",
            Self::Pattern => "Invalid API activity",
            Self::DistributedProbing => "API probing by many clients",
            Self::CredentialRotation => "One credential attacking from many addresses",
            Self::Sequence => "Abnormal sequence of calls",
            Self::UnusualAccess => "Abnormal API access",
        }
    }

    /// Reads [`Self::as_str`]'s name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attack| attack.as_str() == name)
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Variable {
    /// Every variable, in order.
    pub const ALL: [Self; 6] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F];

    /// Its letter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::E => "E",
            Self::F => "F",
        }
    }

    /// Reads [`Self::as_str`]'s letter.
    #[must_use]
    pub fn parse(letter: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|variable| variable.as_str() == letter)
    }
}
