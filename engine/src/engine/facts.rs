//! What one client did, in numbers with a meaning: those of its record that are not nothing, as of its last request.

use crate::client::Client;

/// A number and what it says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fact {
    /// Its name, for programs.
    pub name: &'static str,
    /// What it is, with its unit, for people.
    pub meaning: &'static str,
    /// The number. Sums fade with the half-life that the meaning names.
    pub value: f32,
}

/// Less is nothing: sums fade and never reach it.
const NOTHING: f32 = 0.05;

pub(crate) fn of(client: &Client) -> Vec<Fact> {
    let fact = |(name, meaning, value)| Fact {
        name,
        meaning,
        value,
    };
    let own = [
        ("recent", "requests (half-life 10 min)", client.recent),
        (
            "answered",
            "answers as asked (half-life 1 h)",
            client.successes,
        ),
        ("failed", "failures (half-life 1 h)", client.failures),
        (
            "failed_routes",
            "distinct routes that failed (half-life 1 h)",
            client.probing.routes,
        ),
        (
            "attackers_routes",
            "points for routes that only attackers look for (half-life 1 d)",
            client.probing.points,
        ),
        (
            "injections",
            "points for injection (half-life 1 h)",
            client.injection,
        ),
        (
            "tool",
            "points for an attack tool (half-life 1 h)",
            client.disguise.telling,
        ),
        (
            "broken_rules",
            "broken rules of a definition (half-life 1 h)",
            client.broken_rules,
        ),
        (
            "writes",
            "things created or changed (half-life 10 min)",
            client.writes,
        ),
        (
            "deletes",
            "things deleted (half-life 10 min)",
            client.deletes,
        ),
    ];
    let logins = client.logins.facts();
    let (walks, volume, places) = (
        client.walks.facts(),
        client.volume.facts(),
        client.places.facts(client.last),
    );
    let all = own.into_iter().chain(logins).chain(walks).chain(volume);
    let facts = all.chain(places).map(fact);
    facts.filter(|fact| fact.value >= NOTHING).collect()
}
