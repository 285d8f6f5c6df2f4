//! The bodies of the fuzz targets for the gateway filter: what a client's headers, an operator's configuration and a host's events can do to it.

use ase_core::transaction::FailureClass;
use ase_filter::config::Config;
use ase_filter::pairs;

mod exchange;
mod headers;
mod outbox;

pub use exchange::exchange;
pub use headers::headers;
pub use outbox::outbox;

/// A plugin configuration: refused with at least one fault, or one that the host can carry out.
pub fn filter_config(bytes: &[u8]) {
    let config = match Config::parse(bytes) {
        Ok(config) => config,
        Err(faults) => {
            assert!(faults.iter().count() > 0, "refused without a fault");
            assert!(!faults.to_string().is_empty(), "a fault that says nothing");
            return;
        }
    };
    for reply in FailureClass::ALL
        .into_iter()
        .map(|class| config.failure_reply(class))
        .chain([config.block()])
    {
        assert!((400..=599).contains(&reply.status), "{reply:?}");
        assert!(pairs::parse(&reply.headers).is_ok(), "{reply:?}");
    }
    let policy = config.policy(b"api.example.com:8443", b"/a/../b?c=d");
    let delivery = config.delivery();
    for wait in [policy.timeout, delivery.tick, delivery.timeout] {
        assert!((1..=60_000).contains(&wait.as_millis()), "{wait:?}");
    }
    assert!(policy.enabled_percent <= 100);
    assert!(!policy.treatment.asks() || config.may_ask());
    assert!(config.question_path().starts_with('/'));
}
