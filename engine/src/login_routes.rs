//! What the answers of a login route mean. Some answer a wrong password with 401, some with their form again, some with a redirect.
//!
//! Where a route has refused before, everything else is a success. Where it both answers and redirects, the redirect is the
//! success. Until one of the two has been seen, nobody knows.

use std::collections::BTreeMap;

use crate::detectors::login::Attempt;
use crate::signs::{Answer, Signs};

const CAPACITY: usize = 1024;

/// The login routes of all APIs.
#[derive(Debug, Default)]
pub(crate) struct LoginRoutes(BTreeMap<u64, Habits>);

#[derive(Clone, Copy, Debug, Default)]
struct Habits {
    refuses: bool,
    answers: bool,
    redirects: bool,
}

impl LoginRoutes {
    /// Learns from a login attempt and says how it ended.
    pub(crate) fn settle(&mut self, signs: &Signs) -> Option<Attempt> {
        let attempt = signs.login?;
        if !self.0.contains_key(&signs.route) && self.0.len() >= CAPACITY {
            return Some(attempt);
        }
        let habits = self.0.entry(signs.route).or_default();
        match attempt {
            Attempt::Failed => habits.refuses = true,
            Attempt::Succeeded | Attempt::Unknown => match signs.answer {
                Answer::Redirect => habits.redirects = true,
                Answer::Success
                | Answer::Unauthorized
                | Answer::Forbidden
                | Answer::Absent
                | Answer::Refused
                | Answer::Neutral
                | Answer::Broken
                | Answer::None => habits.answers = true,
            },
        }
        Some(habits.read(attempt, signs.answer))
    }

    /// Every route with its habits as three digits.
    pub(crate) fn facts(&self) -> impl Iterator<Item = (u64, String)> {
        self.0.iter().map(|(route, habits)| {
            let digits = [habits.refuses, habits.answers, habits.redirects];
            (
                *route,
                digits
                    .map(|habit| if habit { '1' } else { '0' })
                    .iter()
                    .collect(),
            )
        })
    }

    /// Takes a fact back; `None` when it is none or there is no room.
    pub(crate) fn restore(&mut self, route: u64, digits: &str) -> Option<()> {
        let [refuses, answers, redirects] = digits.as_bytes() else {
            return None;
        };
        if self.0.len() >= CAPACITY {
            return None;
        }
        let habits = Habits {
            refuses: *refuses == b'1',
            answers: *answers == b'1',
            redirects: *redirects == b'1',
        };
        self.0.insert(route, habits);
        Some(())
    }
}

impl Habits {
    fn read(self, attempt: Attempt, answer: Answer) -> Attempt {
        if attempt != Attempt::Unknown {
            return attempt;
        }
        match (self.refuses, self.answers && self.redirects) {
            (true, _) => Attempt::Succeeded,
            (false, true) if answer == Answer::Redirect => Attempt::Succeeded,
            (false, true) => Attempt::Failed,
            (false, false) => Attempt::Unknown,
        }
    }
}
