//! Exchanges that share a breaker, driven by any sequence of events, against the promises of `ase_filter::exchange`.

use ase_core::headers::Headers;
use ase_core::transaction::wire::{Record, Write, read_record, write_record};
use ase_core::transaction::{GatewayDecision, RecordId};
use ase_core::wire::body_text;
use ase_filter::breaker::Breaker;
use ase_filter::clock::Moment;
use ase_filter::config::{Config, Treatment};
use ase_filter::exchange::{
    Answer, CalloutToken, DispatchRefusal, Effect, Exchange, Head, ResponseOrigin,
};

const QUESTION: &[u8] =
    br#"{"source_ip":"203.0.113.7","method":"GET","url":"/","headers":[{"host":"a"}]}"#;
const RESPONSE: &[u8] = br#"{"response_code":200,"headers":[]}"#;
/// Most exchanges at once.
const AT_ONCE: usize = 8;

/// The first two bytes make the configuration; then each three are an event: what, to which exchange, when.
pub fn exchange(bytes: &[u8]) {
    let [first, second, events @ ..] = bytes else {
        return;
    };
    let document = document(*first, *second);
    let Ok(config) = Config::parse(document.as_bytes()) else {
        panic!("refused: {document}");
    };
    let mut host = Host {
        config: &config,
        breaker: Breaker::default(),
        now: Moment::from_nanos(1_700_000_000_000_000_000),
        tokens: 0,
    };
    let mut running: Vec<Watched> = Vec::new();
    for event in events.chunks_exact(3).take(2000) {
        let [what, which, time] = *event else {
            return;
        };
        host.pass_time(time);
        if running.is_empty() || what.is_multiple_of(16) && running.len() < AT_ONCE {
            running.push(Watched::start(&mut host, which));
        } else {
            let index = usize::from(which) % running.len();
            if let Some(watched) = running.get_mut(index) {
                watched.event(&mut host, what, which);
                watched.holds();
            }
        }
    }
    for mut watched in running {
        watched.finish(&host);
        watched.holds();
        assert!(watched.exchange.finish(host.now).is_none(), "two records");
    }
}

fn document(first: u8, second: u8) -> String {
    let pick = |choices: &[&'static str], shift: u8| {
        let index = usize::from(first >> shift) % choices.len();
        choices.get(index).copied().unwrap_or_default()
    };
    let mode = pick(&["sync", "async", "shadow", "off", "local"], 0);
    let failure = pick(&["open", "closed"], 2);
    let unregistered = pick(&["pass", "block"], 3);
    let secondary = pick(
        &["", r#","secondary":{"cluster":"b","cool_down_ms":40}"#],
        4,
    );
    let share = pick(&["100", "50"], 5);
    let (failures, timeout) = (second % 4, 1 + u32::from(second / 4));
    format!(
        r#"{{"mode":"{mode}","on_failure":{{"default":"{failure}","timeout":"closed"}},"unregistered":"{unregistered}","enabled_percent":{share},
            "breaker":{{"failures":{failures},"cool_down_ms":30}},"ase":{{"timeout_ms":{timeout}{secondary}}}}}"#
    )
}

struct Host<'c> {
    config: &'c Config,
    breaker: Breaker,
    now: Moment,
    tokens: u32,
}

impl Host<'_> {
    /// Mostly forward, and now and then a clock that is set back.
    fn pass_time(&mut self, step: u8) {
        const MS: u64 = 1_000_000;
        let nanos = self.now.unix_millis().0 * MS + u64::from(step) * 300_000;
        let back = if step == 255 { 1000 * MS } else { 0 };
        self.now = Moment::from_nanos(nanos - back);
    }

    fn token(&mut self) -> CalloutToken {
        self.tokens += 1;
        CalloutToken(self.tokens)
    }
}

/// An exchange, and what who sees only its inputs and effects knows of it.
struct Watched {
    exchange: Exchange,
    treatment: Treatment,
    asking: bool,
    pending: Option<CalloutToken>,
    asked: u32,
    exit: Option<Exit>,
    responded: bool,
    finished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Exit {
    Passed(Option<GatewayDecision>),
    Answered(GatewayDecision),
}

impl Watched {
    fn start(host: &mut Host<'_>, which: u8) -> Self {
        let head = match which % 8 {
            0 => Head::Unreadable,
            1 => Head::Incomplete,
            2 => Head::Cleared,
            _ => Head::Read,
        };
        let policy = host.config.policy(b"a", b"/");
        let id = RecordId::mint(u64::from(which), u64::from(host.tokens));
        let (config, now) = (host.config, host.now);
        let (exchange, effect) =
            Exchange::request(id, head, policy, config, &mut host.breaker, now);
        let mut watched = Self {
            exchange,
            treatment: policy.treatment,
            asking: false,
            pending: None,
            asked: 0,
            exit: None,
            responded: false,
            finished: false,
        };
        assert!(!matches!(effect, Effect::Nothing), "a request in limbo");
        watched.note(effect, host);
        watched.holds();
        watched
    }

    fn event(&mut self, host: &mut Host<'_>, what: u8, which: u8) {
        match what % 16 {
            0..=4 => self.dispatched(host, which),
            5..=10 => self.answered(host, what, which),
            11..=13 => self.responded(what, which),
            _ => self.finish(host),
        }
    }

    fn dispatched(&mut self, host: &mut Host<'_>, which: u8) {
        let result = match which % 4 {
            0 => Err(DispatchRefusal::NotSent),
            1 if which > 128 => Err(DispatchRefusal::UnknownCluster),
            _ => Ok(host.token()),
        };
        let (config, now) = (host.config, host.now);
        let effect = self
            .exchange
            .dispatched(result, config, &mut host.breaker, now);
        if !self.asking || self.finished {
            assert!(matches!(effect, Effect::Nothing), "nothing was asked for");
            return;
        }
        self.asking = false;
        self.pending = result.ok();
        self.note(effect, host);
    }

    fn answered(&mut self, host: &mut Host<'_>, what: u8, which: u8) {
        let any = CalloutToken(u32::from(which) % (host.tokens + 2));
        let token = self
            .pending
            .filter(|_| what.is_multiple_of(2))
            .unwrap_or(any);
        let answer = answer(which, host.config);
        let (config, now) = (host.config, host.now);
        let effect = self
            .exchange
            .answer(token, &answer, config, &mut host.breaker, now);
        if self.pending != Some(token) || self.finished {
            assert!(
                matches!(effect, Effect::Nothing),
                "moved by another's answer"
            );
            return;
        }
        assert!(!matches!(effect, Effect::Nothing), "its answer is ignored");
        self.pending = None;
        self.note(effect, host);
    }

    fn responded(&mut self, what: u8, which: u8) {
        let status = [None, Some(100), Some(101), Some(200), Some(503)];
        let status = status.get(usize::from(which) % 5).copied().flatten();
        if self.exchange.wants_response(status) {
            let passed = matches!(self.exit, Some(Exit::Passed(Some(_))));
            assert!(passed, "a response to what was not let through");
            let origin = if what.is_multiple_of(2) {
                ResponseOrigin::Upstream
            } else {
                ResponseOrigin::Gateway
            };
            self.exchange.response(origin);
            self.responded = true;
        }
    }

    fn finish(&mut self, host: &Host<'_>) {
        let expected = match self.exit {
            Some(Exit::Passed(decision)) => decision,
            Some(Exit::Answered(decision)) => Some(decision),
            None => Some(GatewayDecision::Undecided),
        };
        let course = self.exchange.finish(host.now);
        if self.finished || expected.is_none() {
            assert!(course.is_none(), "two records, or one of what is off");
        } else {
            let Some(course) = course else {
                panic!("an exchange without a record");
            };
            assert_eq!(Some(course.decision), expected);
            let mut line = Vec::new();
            let response: &Write<'_> = &|out| out.extend_from_slice(RESPONSE);
            let record = Record {
                course: &course,
                request: &|out| out.extend_from_slice(QUESTION),
                response: self.responded.then_some(response),
            };
            write_record(&mut line, &record);
            let text = body_text(&line);
            match read_record(text.trim_end()) {
                Ok(read) => assert_eq!(read.course, course),
                Err(fault) => panic!("{fault}: {text}"),
            }
        }
        self.finished = true;
    }

    fn note(&mut self, effect: Effect, host: &Host<'_>) {
        let exit = match effect {
            Effect::Nothing => return,
            Effect::Ask => {
                self.asking = true;
                self.asked += 1;
                let wait = self.exchange.wait();
                let longest = host.config.policy(b"a", b"/").timeout;
                assert!(wait.as_millis() >= 1 && wait <= longest, "{wait:?}");
                return;
            }
            Effect::Pass(permit) => Exit::Passed(permit.reason().decision()),
            Effect::Reply(reply) => Exit::Answered(reply.reason().decision()),
        };
        assert_eq!(self.exit, None, "two exits, the second {exit:?}");
        self.exit = Some(exit);
    }

    /// What holds after every event.
    fn holds(&self) {
        let waits = self.asking || self.pending.is_some();
        assert!(
            self.exit.is_some() != waits,
            "limbo, or a question after the exit"
        );
        let passed = matches!(self.exit, Some(Exit::Passed(_)));
        assert_eq!(self.exchange.holds_request(), !passed);
        assert!(self.asked <= 2, "asked for ever");
        let stopped = matches!(self.exit, Some(Exit::Answered(_)));
        assert!(
            !stopped || matches!(self.treatment, Treatment::Sync | Treatment::Local),
            "stopped in {:?}",
            self.treatment
        );
    }
}

fn answer(which: u8, config: &Config) -> Answer {
    const STATUSES: [&str; 9] = ["200", "403", "503", "400", "401", "500", "504", "204", "x"];
    if which.is_multiple_of(11) {
        return Answer::unreadable();
    }
    let mut headers = Headers::default();
    if !which.is_multiple_of(13) {
        let status = STATUSES.get(usize::from(which) % 9).copied();
        headers.push(b":status", status.unwrap_or_default().as_bytes());
    }
    if !which.is_multiple_of(3) {
        headers.push(b"x-envoy-upstream-service-time", b"1");
    }
    if which.is_multiple_of(5) {
        headers.push(b"x-ase-verdict", b"unregistered");
    }
    Answer::of(&headers, &config.ase().answer_mark, || {
        b"Error: Unknown API".to_vec()
    })
}
