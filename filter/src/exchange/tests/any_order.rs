//! Random orders of events against the two promises: at most one exit, and never limbo.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Dispatched(Result<u32, ()>),
    Answer(u32, Answer),
    Response(u16),
    Finish,
}

fn any_event() -> impl Strategy<Value = Event> {
    let answers = prop::sample::select(vec![
        from_ase("200", Some("allowed")),
        from_ase("403", None),
        from_ase("503", None),
        from_ase("500", None),
        answer(&[(":status", "504")]),
        answer(&[]),
        Answer::unreadable(),
    ]);
    prop_oneof![
        prop_oneof![Just(Err(())), (1..4_u32).prop_map(Ok)].prop_map(Event::Dispatched),
        (1..4_u32, answers).prop_map(|(token, answer)| Event::Answer(token, answer)),
        (100..600_u16).prop_map(Event::Response),
        Just(Event::Finish),
    ]
}

proptest! {
    #[test]
    fn any_order_of_events_gives_at_most_one_exit_and_never_limbo(
        mode in prop::sample::select(vec!["sync", "async", "shadow", "local", "off"]),
        cleared: bool,
        policy in prop::sample::select(vec!["open", "closed"]),
        unregistered in prop::sample::select(vec!["pass", "block"]),
        readable: bool,
        secondary in prop::sample::select(vec!["", r#", "ase": {"secondary": {"cluster": "b"}}"#]),
        events in prop::collection::vec(any_event(), 0..12),
    ) {
        let config = config(&format!(
            r#"{{"mode": "{mode}", "on_failure": "{policy}", "unregistered": "{unregistered}", "breaker": {{"failures": 1, "cool_down_ms": 1}}{secondary}}}"#
        ));
        let mut breaker = Breaker::default();
        let head = match (readable, cleared) {
            (true, true) => Head::Cleared,
            (true, false) => Head::Read,
            (false, _) => Head::Unreadable,
        };
        let (mut exchange, effect) = Exchange::request(RecordId::mint(0, 0), head,
        config.policy(b"", b""), &config, &mut breaker, Moment::default());
        // The model: what an observer of inputs and effects knows.
        let mut pending = None;
        let mut asking = matches!(effect, Effect::Ask);
        let mut exits = Vec::new();
        let mut records = 0;
        let mut asked_again = 0;
        let note = |effect: Effect, exits: &mut Vec<Option<GatewayDecision>>| match effect {
            Effect::Pass(permit) => exits.push(permit.reason().decision()),
            Effect::Reply(reply) => exits.push(Some(reply.reason().decision())),
            Effect::Ask | Effect::Nothing => {}
        };
        note(effect, &mut exits);
        for (step, event) in events.into_iter().enumerate() {
            let now = Moment::from_nanos(step as u64 * 400_000);
            let exits_before = exits.len();
            match event {
                Event::Dispatched(result) => {
                    let sent = result.map(CalloutToken).map_err(|()| DispatchRefusal::NotSent);
                    let effect = exchange.dispatched(sent, &config, &mut breaker, now);
                    let again = matches!(effect, Effect::Ask);
                    asked_again += usize::from(again);
                    note(effect, &mut exits);
                    if asking && records == 0 {
                        asking = again;
                        pending = result.ok();
                    }
                }
                Event::Answer(token, answer) => {
                    let effect = exchange.answer(CalloutToken(token), &answer, &config, &mut breaker, now);
                    let again = matches!(effect, Effect::Ask);
                    asked_again += usize::from(again);
                    asking |= again;
                    note(effect, &mut exits);
                    let own = pending == Some(token) && records == 0;
                    let moved = exits.len() - exits_before + usize::from(again);
                    prop_assert_eq!(moved, usize::from(own), "only the answer to its own question moves it");
                    if own {
                        pending = None;
                    }
                }
                Event::Response(status) => {
                    if exchange.wants_response(Some(status)) {
                        prop_assert!(!exchange.holds_request(), "upstream answers only what was let through");
                        exchange.response(ResponseOrigin::Upstream);
                    }
                }
                Event::Finish => {
                    let expected = exits.last().copied().unwrap_or(Some(GatewayDecision::Undecided));
                    if let Some(record) = exchange.finish(now) {
                        prop_assert_eq!(Some(record.decision), expected);
                        records += 1;
                    }
                }
            }
            prop_assert!(asked_again <= usize::from(!secondary.is_empty()), "asked for ever");
            prop_assert!(exits.len() <= 1, "two exits: {:?}", exits);
            prop_assert!(exits.len() == 1 || asking || pending.is_some(), "limbo");
            let stopped = matches!(
                exits.first(),
                Some(Some(GatewayDecision::Denied | GatewayDecision::UnregisteredBlocked | GatewayDecision::FailedClosed(_)))
            );
            prop_assert!(!stopped || mode == "sync" || mode == "local", "the other modes stop nothing");
            if mode == "local" && cleared && readable {
                prop_assert_eq!(exits.first(), Some(&Some(GatewayDecision::Local)), "cleared by the image");
            }
            let passed = !exits.is_empty() && !stopped;
            prop_assert_eq!(exchange.holds_request(), !passed, "held unless a permit was given");
            prop_assert!(records <= 1);
        }
    }
}
