//! Attacks that many share: logins and probes of a crowd, and one credential that attacks from many networks.

use super::{Accusation, Engine};
use crate::blame::{Role, Subject};
use crate::campaign::{Meeting, Member, Step};
use crate::catalogue::{Attack, Variable};
use crate::clients::Slot;
use crate::detection::Output;
use crate::detectors::{Context, Measure, Suspicion};
use crate::lessons::Thresholds;
use crate::signs::{Answer, File, Signs};
use crate::transaction::Transaction;

impl Engine {
    /// Adds a transaction of an address to its crowd, and reports the crowd when it is one.
    pub(super) fn gather(
        &mut self,
        transaction: &Transaction<'_>,
        signs: &Signs,
        subject: Subject,
        context: Context,
        output: &mut Output,
    ) {
        let Some((meeting, failed)) = meeting(signs, context) else {
            return;
        };
        let Some(client) = self.clients.get(subject.slot) else {
            return;
        };
        let step = Step {
            member: Member {
                slot: subject.slot,
                client: self.reader.hasher.identifier(&client.identifier),
            },
            route: signs.route,
            failed,
            at: signs.at,
        };
        let attack = match meeting {
            Meeting::Logins(_) => Attack::LoginDistributed,
            Meeting::Probes(..) => Attack::DistributedProbing,
        };
        let Some(crowd) = self.campaigns.step(meeting, step) else {
            return;
        };
        let joins = crowd.reported && failed;
        let thresholds = self.lessons.thresholds(&self.limits, signs.api, self.off);
        let Some(suspicion) = crowd_of(attack, crowd.values(), &thresholds) else {
            return;
        };
        if joins {
            self.accuse_members(transaction, signs, &[subject.slot], &suspicion, output);
        } else if !crowd.reported {
            crowd.reported = true;
            let members = crowd.members.iter();
            let members = members.filter(|member| {
                let client = self.clients.get(member.slot);
                client.is_some_and(|client| {
                    self.reader.hasher.identifier(&client.identifier) == member.client
                })
            });
            let members: Vec<Slot> = members.map(|member| member.slot).collect();
            let accusation = Accusation {
                suspicion: &suspicion,
                members: &members,
            };
            self.report(transaction, signs, subject.slot, accusation, output);
            self.accuse_members(transaction, signs, &members, &suspicion, output);
        }
    }

    /// Proposes to list those members of a crowd that have done little else.
    fn accuse_members(
        &mut self,
        transaction: &Transaction<'_>,
        signs: &Signs,
        members: &[Slot],
        suspicion: &Suspicion,
        output: &mut Output,
    ) {
        for slot in members {
            let Some(client) = self.clients.get(*slot) else {
                continue;
            };
            let reported = client.attacks & super::bit(suspicion.attack) != 0;
            let nothing_else = if suspicion.attack == Attack::LoginDistributed {
                client.logins.are_all_there_is(client.recent)
            } else {
                client.successes < 0.5 && client.failures >= 1.5
            };
            if nothing_else && !reported && !client.is_listed(signs.at) {
                self.detect(transaction, signs, *slot, suspicion, output);
            }
        }
    }

    /// Whether an unproven credential attacks from many networks, and is nobody's good one.
    pub(super) fn rotates(
        &self,
        signs: &Signs,
        subject: Subject,
        thresholds: &Thresholds<'_>,
    ) -> Option<Suspicion> {
        let client = self.clients.get(subject.slot)?;
        let of_one_client =
            subject.role == Role::Unproven && client.successes < client.failures.max(3.0);
        let measure = Measure::of(
            Attack::CredentialRotation,
            &[client.hostile.count().round()],
            thresholds,
        );
        let is_attack = of_one_client && signs.odd().is_some() && measure.normal(Variable::A);
        measure.suspicion_if(is_attack)
    }
}

/// The crowd that a transaction belongs to, and whether it failed.
fn meeting(signs: &Signs, context: Context) -> Option<(Meeting, bool)> {
    if let Some(attempt) = signs.login {
        return Some((Meeting::Logins(signs.api), attempt.is_failure()));
    }
    if signs.file != File::Call {
        return None;
    }
    let meeting = Meeting::Probes(signs.api, signs.agent);
    if signs.answer == Answer::Success {
        return Some((meeting, false));
    }
    (signs.answer.is_failure() && !context.known_route).then_some((meeting, true))
}

fn crowd_of(attack: Attack, values: [f32; 3], thresholds: &Thresholds<'_>) -> Option<Suspicion> {
    use Variable::{A, B, C};
    let measure = Measure::of(attack, &values, thresholds);
    let routes = attack == Attack::LoginDistributed || measure.normal(C);
    let is_attack = measure.normal(A) && measure.normal(B) && routes;
    measure.suspicion_if(is_attack)
}
