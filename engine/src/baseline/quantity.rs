//! What is learned of each client's ten minutes on an API or on one of its routes, which variable of which attack it sets the
//! threshold of, and within which bounds.

use crate::catalogue::{Attack, Variable};

/// Something that a window measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Quantity {
    /// Calls; parts of pages are left out.
    Calls,
    /// Distinct objects read.
    Objects,
    /// Megabytes received.
    Megabytes,
    /// Objects written.
    Writes,
    /// Objects deleted.
    Deletes,
    /// Distinct routes that failed.
    FailedRoutes,
    /// The most surprising run of calls, in bits per call.
    Surprise,
}

/// A quantity's place in the catalogue, and the bounds of its learned threshold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) attack: Attack,
    pub(crate) variable: Variable,
    /// No threshold learned of an API is below it: small numbers vary.
    pub(crate) floor: f32,
    /// The same for a route.
    pub(crate) route_floor: f32,
    /// No learned threshold is above it, whoever teaches what.
    pub(crate) ceiling: f32,
    pub(crate) above_ceiling: Beyond,
}

/// What follows when usual values are above the ceiling already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    /// The ceiling counts.
    Ceiling,
    /// The quantity tells nothing of this API: there is no threshold.
    Nothing,
}

impl Quantity {
    pub(crate) const COUNT: usize = 7;
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Calls,
        Self::Objects,
        Self::Megabytes,
        Self::Writes,
        Self::Deletes,
        Self::FailedRoutes,
        Self::Surprise,
    ];

    /// What is measured of a route; the rest is about several.
    pub(crate) const OF_ROUTE: usize = 5;

    /// Its name in snapshots.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Objects => "objects",
            Self::Megabytes => "megabytes",
            Self::Writes => "writes",
            Self::Deletes => "deletes",
            Self::FailedRoutes => "failed_routes",
            Self::Surprise => "surprise",
        }
    }

    /// Reads [`Self::as_str`]'s name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    pub(crate) fn place(self) -> Place {
        use Variable::{A, B};
        let (attack, variable, (floor, route_floor), ceiling) = match self {
            // Who polls calls one route and nothing else.
            Self::Calls => (Attack::ExtremeActivity, B, (300.0, 300.0), 60_000.0),
            Self::Objects => (Attack::Scraping, A, (120.0, 60.0), 900.0),
            Self::Megabytes => (Attack::Exfiltration, A, (50.0, 25.0), 2_000.0),
            Self::Writes => (Attack::MassWrites, A, (40.0, 20.0), 400.0),
            Self::Deletes => (Attack::MassDeletion, A, (10.0, 10.0), 60.0),
            Self::FailedRoutes => (Attack::UnusualAccess, A, (15.0, 15.0), 60.0),
            Self::Surprise => (Attack::Sequence, A, (6.0, 6.0), 12.0),
        };
        let above_ceiling = match self {
            Self::Surprise => Beyond::Nothing,
            Self::Calls
            | Self::Objects
            | Self::Megabytes
            | Self::Writes
            | Self::Deletes
            | Self::FailedRoutes => Beyond::Ceiling,
        };
        Place {
            attack,
            variable,
            floor,
            route_floor,
            ceiling,
            above_ceiling,
        }
    }
}
