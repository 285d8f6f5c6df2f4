//! One step: do, then look until everything is as it must be or the deadline has passed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{SETTLES_WITHIN, Stage, wire_bytes};
use crate::expectation::Differences;
use crate::gateway::Reconfigured;
use crate::http1::Head;
use crate::raw_client::{Client, Reply};
use crate::real_ase::RealAse;
use crate::scenario::{
    Any, Direction, Reconfigure, RecordCount, Request, Step, WhileAsked, configuration,
};
use crate::scripted_ase::Heard;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How much had happened before the step.
struct Before {
    questions: usize,
    responses: usize,
    upstream: usize,
    counters: BTreeMap<String, u64>,
}

impl Stage {
    /// Plays one step.
    pub(super) fn play(&mut self, step: &Step) -> Result<()> {
        match step.ase_goes {
            Some(Direction::Down) => self.ase_goes_down()?,
            Some(Direction::Up) => self.ase_goes_up()?,
            None => {}
        }
        self.ase.script(&step.ask, &step.batch);
        self.upstream.answer_with(step.upstream_replies.clone());
        let before = self.before()?;
        if let Some(reconfigure) = &step.reconfigure {
            self.reconfigure(reconfigure)?;
        }
        let mut replies = Vec::new();
        if let Some(request) = &step.send {
            replies = self.send(step, request, before.questions)?;
        }
        check_replies(step, &replies)?;
        self.look(step, &before)?;
        self.check_order(&before)
    }

    fn before(&self) -> Result<Before> {
        let counters = self.gateway.counters()?;
        let heard = self.ase.heard();
        Ok(Before {
            questions: heard.questions.len(),
            responses: heard.responses.len(),
            upstream: self.upstream.received().len(),
            counters,
        })
    }

    fn ase_goes_down(&mut self) -> Result<()> {
        match &mut self.daemon {
            Some(daemon) => daemon.kill(),
            None => self.ase.go_down(),
        }
    }

    fn ase_goes_up(&mut self) -> Result<()> {
        match &mut self.daemon {
            Some(daemon) => daemon.restart(),
            None => self.ase.go_up(),
        }
    }

    fn reconfigure(&mut self, wanted: &Reconfigure) -> Result<()> {
        let outcome = self.gateway.reconfigure(&configuration(&wanted.to))?;
        let wanted = if wanted.accepted {
            Reconfigured::Accepted
        } else {
            Reconfigured::Refused
        };
        ensure!(
            outcome == wanted,
            "new configuration: {outcome:?}, wanted {wanted:?}"
        );
        Ok(())
    }

    /// Sends the step's requests; the replies that the client waited for.
    fn send(&mut self, step: &Step, request: &Request, asked_before: usize) -> Result<Vec<Reply>> {
        let bytes = wire_bytes::of(request)?;
        let mut client = Client::connect(self.gateway.address())?;
        if let Some(meanwhile) = &step.while_asked {
            client.send(&bytes)?;
            let asked = self
                .ase
                .wait(SETTLES_WITHIN, |heard| heard.questions.len() > asked_before);
            ensure!(asked, "ASE was not asked");
            match meanwhile {
                WhileAsked::ClientLeaves => {
                    drop(client);
                    self.wait_until_client_is_gone(step)?;
                    self.ase.release();
                    return Ok(Vec::new());
                }
                WhileAsked::Reconfigure(to) => {
                    let outcome = self.gateway.reconfigure(&configuration(to))?;
                    ensure!(
                        outcome == Reconfigured::Accepted,
                        "new configuration: {outcome:?}"
                    );
                }
            }
            self.ase.release();
            return Ok(vec![client.reply(&request.method, None)?]);
        }
        let mut replies = Vec::new();
        for number in 0..request.repeat {
            client.send(&bytes)?;
            let reply = client.reply(&request.method, request.after_upgrade.as_deref());
            if step.hangs_up {
                ensure!(
                    reply.is_err_and(|fault| is_end(&fault)),
                    "the gateway must end the connection without a reply"
                );
                return Ok(Vec::new());
            }
            let reply =
                reply.with_context(|| format!("request {} of {}", number + 1, request.repeat))?;
            if let (true, Some(text)) = (request.stays_until_reported, &request.after_upgrade) {
                self.wait_until_reported()?;
                ensure!(client.echo(text)? == *text, "the open exchange goes on");
            }
            if reply
                .head
                .first("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close"))
            {
                client = Client::connect(self.gateway.address())?;
            }
            replies.push(reply);
        }
        Ok(replies)
    }

    fn wait_until_reported(&self) -> Result<()> {
        crate::wait::until_some(SETTLES_WITHIN, "a record of the open exchange", || {
            Ok((self.records_so_far() > self.records).then_some(()))
        })
    }

    /// The held answer must come after the gateway has noticed; `ase_undecided` tells when it has.
    fn wait_until_client_is_gone(&self, step: &Step) -> Result<()> {
        ensure!(
            step.counters.contains_key("ase_undecided"),
            "a step whose client leaves counts ase_undecided"
        );
        crate::wait::until_some(
            SETTLES_WITHIN,
            "the gateway's notice that the client left",
            || {
                let count = self
                    .gateway
                    .counters()?
                    .get("ase_undecided")
                    .copied()
                    .unwrap_or(0);
                Ok((count > 0).then_some(()))
            },
        )
    }

    fn look(&mut self, step: &Step, before: &Before) -> Result<()> {
        let started = Instant::now();
        loop {
            let differences = self.differences(step, before)?;
            if differences.is_empty() {
                break;
            }
            if started.elapsed() > SETTLES_WITHIN {
                bail!("\n  - {}", differences.join("\n  - "));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        if step
            .record
            .as_ref()
            .is_some_and(|wanted| matches!(wanted.count, Some(RecordCount::Unsaid(Any::Any))))
        {
            self.wait_until_delivered()?;
        }
        self.records = self.records_so_far();
        Ok(())
    }

    fn differences(&self, step: &Step, before: &Before) -> Result<Vec<String>> {
        let mut differences = Differences::default();
        if let Some(wanted) = &step.upstream {
            let received = self.upstream.received();
            differences.of_upstream(received.get(before.upstream..).unwrap_or_default(), wanted);
        }
        self.differences_at_ase(step, before, &mut differences);
        if !step.counters.is_empty() {
            differences.of_counters(&before.counters, &self.gateway.counters()?, &step.counters);
        }
        if !(step.log.is_empty() && step.log_never.is_empty()) {
            differences.of_log(&self.gateway.log(), &step.log, &step.log_never);
        }
        Ok(differences.0)
    }

    /// Every record so far, as ASE has it.
    pub(super) fn all_records(&self) -> Vec<Value> {
        match &self.daemon {
            Some(daemon) => logged(daemon),
            None => self.ase.heard().records.clone(),
        }
    }

    fn differences_at_ase(&self, step: &Step, before: &Before, differences: &mut Differences) {
        if let Some(daemon) = &self.daemon {
            let requests = step.send.as_ref().map_or(0, |request| request.repeat);
            let lines = logged(daemon);
            let new = lines.get(self.records..).unwrap_or_default();
            differences.of_records(new, requests, &step.record.clone().unwrap_or_default());
            return;
        }
        let heard = self.ase.heard();
        if let Some(wanted) = &step.asked {
            differences.of_calls("question", &questions(&heard, before.questions), wanted);
        }
        if let Some(wanted) = &step.response_call {
            differences.of_calls(
                "response call",
                &responses(&heard, before.responses),
                wanted,
            );
        }
        let requests = step.send.as_ref().map_or(0, |request| request.repeat);
        let records = heard.records.get(self.records..).unwrap_or_default();
        differences.of_records(records, requests, &step.record.clone().unwrap_or_default());
    }

    /// How many records ASE has.
    pub(super) fn records_so_far(&self) -> usize {
        match &self.daemon {
            Some(daemon) => daemon.access_log().len(),
            None => self.ase.heard().records.len(),
        }
    }

    /// Where there was one question about one request, the request went up after the answer.
    fn check_order(&self, before: &Before) -> Result<()> {
        let heard = self.ase.heard();
        let received = self.upstream.received();
        let questions = heard.questions.get(before.questions..).unwrap_or_default();
        let received = received.get(before.upstream..).unwrap_or_default();
        if let ([question], [request]) = (questions, received)
            && let Some(answered_at) = question.answered_at
        {
            // A failure that is open lets a request go without an answer.
            let unanswered = heard
                .records
                .last()
                .is_some_and(|record| decision(record) == "fail_open");
            ensure!(
                unanswered || request.at >= answered_at,
                "the upstream got the request before ASE answered"
            );
        }
        Ok(())
    }
}

/// Whether the connection was ended, as against a reply that did not come in time.
fn is_end(fault: &anyhow::Error) -> bool {
    let timed_out = |error: &std::io::Error| {
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
    };
    !fault
        .chain()
        .filter_map(|cause| cause.downcast_ref())
        .any(timed_out)
}

/// Replies are final, so there is nothing to wait for.
fn check_replies(step: &Step, replies: &[Reply]) -> Result<()> {
    let mut differences = Differences::default();
    if let (Some(request), Some(wanted)) = (&step.send, &step.client) {
        for reply in replies {
            differences.of_reply(reply, wanted, request);
        }
    }
    ensure!(
        differences.0.is_empty(),
        "\n  - {}",
        differences.0.join("\n  - ")
    );
    Ok(())
}

/// The access log's lines in the words of records.
fn logged(daemon: &RealAse) -> Vec<Value> {
    let mut lines = daemon.access_log();
    for line in lines.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(outcome) = line.get("outcome").cloned() {
            line.insert("end".to_owned(), outcome);
        }
    }
    lines
}

fn decision(record: &Value) -> &str {
    record
        .get("decision")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn questions(heard: &Heard, from: usize) -> Vec<(Head, Value)> {
    let new = heard.questions.get(from..).unwrap_or_default();
    new.iter()
        .map(|question| (question.head.clone(), question.json.clone()))
        .collect()
}

fn responses(heard: &Heard, from: usize) -> Vec<(Head, Value)> {
    let new = heard.responses.get(from..).unwrap_or_default();
    new.iter()
        .map(|response| (response.head.clone(), response.json.clone()))
        .collect()
}
