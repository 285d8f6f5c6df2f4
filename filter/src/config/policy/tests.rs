//! Who is enabled, and what a route's metadata can say.

use super::*;

fn client(text: &str) -> Option<ClientAddress> {
    ClientAddress::parse(text).ok()
}

fn enabled(percent: u8) -> Policy {
    Policy {
        enabled_percent: percent,
        ..Policy::DEFAULT
    }
}

#[test]
fn a_share_of_the_clients_is_enabled_and_stays_so_at_a_higher_share() {
    let clients: Vec<_> = (0..10_000_u32)
        .map(|n| client(&format!("10.1.{}.{}", n / 256, n % 256)))
        .collect();
    let mut before = vec![false; clients.len()];
    for percent in [0, 1, 10, 50, 99, 100] {
        let policy = enabled(percent);
        let now: Vec<bool> = clients
            .iter()
            .map(|client| policy.treatment_of(*client) == Treatment::Sync)
            .collect();
        let share = now.iter().filter(|enabled| **enabled).count();
        let (wanted, slack) = (usize::from(percent) * 100, 150);
        assert!(share.abs_diff(wanted) <= slack, "{percent} %: {share}");
        assert!(before.iter().zip(&now).all(|(before, now)| *now || !before));
        before = now;
    }
    assert!(before.iter().all(|enabled| *enabled));
}

#[test]
fn who_is_enabled_is_the_same_everywhere_and_for_a_whole_ipv6_subscriber() {
    // Fixed values: a change would exchange the enabled clients of every running rollout.
    for (text, place) in [
        ("203.0.113.7", 51),
        ("198.51.100.20", 39),
        ("2001:db8::1", 17),
    ] {
        assert_eq!(bucket(client(text).unwrap()), place, "{text}");
    }
    let same = |left: &str, right: &str| {
        assert_eq!(
            bucket(client(left).unwrap()),
            bucket(client(right).unwrap())
        );
    };
    same("2001:db8::1", "2001:db8::ffff:1");
    same("::ffff:203.0.113.7", "203.0.113.7");
}

#[test]
fn nobody_escapes_by_having_no_address() {
    assert_eq!(enabled(0).treatment_of(None), Treatment::Sync);
}

#[test]
fn who_is_not_enabled_is_left_alone_or_only_reported() {
    let someone = client("203.0.113.7");
    let treated = |treatment, not_enabled| {
        let policy = Policy {
            treatment,
            not_enabled,
            ..enabled(0)
        };
        policy.treatment_of(someone)
    };
    let (share, route) = (
        Treatment::Off(OffReason::Share),
        Treatment::Off(OffReason::Route),
    );
    assert_eq!(treated(Treatment::Sync, NotEnabled::Off), share);
    assert_eq!(
        treated(Treatment::Sync, NotEnabled::Async),
        Treatment::Async
    );
    assert_eq!(
        treated(Treatment::Shadow, NotEnabled::Async),
        Treatment::Async
    );
    assert_eq!(treated(Treatment::Async, NotEnabled::Async), share);
    assert_eq!(treated(route, NotEnabled::Async), route);
}

#[test]
fn metadata_of_a_route_sets_what_it_names_and_numbers_come_as_bytes_or_digits() {
    let ms = |value: f64| value.to_le_bytes();
    let timeout = |value: &[u8]| {
        Policy::DEFAULT
            .with(b"timeout_ms", value)
            .map(|policy| policy.timeout)
    };
    assert_eq!(timeout(&ms(40.0)), Some(Duration::from_millis(40)));
    assert_eq!(timeout(b"40"), Some(Duration::from_millis(40)));
    for refused in [
        &ms(0.0)[..],
        &ms(60_001.0),
        &ms(1.5),
        &ms(f64::NAN),
        &ms(f64::INFINITY),
        &ms(-1.0),
        b"",
        b"soon",
        b"0",
        b"1",
    ] {
        let wanted = (refused == b"1").then(|| Duration::from_millis(1));
        assert_eq!(timeout(refused), wanted, "{refused:?}");
    }
    let with = |key: &[u8], value: &[u8]| Policy::DEFAULT.with(key, value);
    assert_eq!(
        with(b"mode", b"shadow").unwrap().treatment,
        Treatment::Shadow
    );
    assert_eq!(with(b"mode", b"local").unwrap().treatment, Treatment::Local);
    assert_eq!(
        with(b"mode", b"off").unwrap().treatment,
        Treatment::Off(OffReason::Route)
    );
    let closed = FailurePolicy::all(FailureAction::Closed);
    assert_eq!(with(b"on_failure", b"closed").unwrap().on_failure, closed);
    assert_eq!(
        with(b"unregistered", b"block").unwrap().unregistered,
        UnregisteredAction::Block
    );
    assert_eq!(with(b"enabled_percent", b"7").unwrap().enabled_percent, 7);
    for (key, value) in [
        (&b"mode"[..], &b"Sync"[..]),
        (b"mode", b""),
        (b"on_failure", b"ajar"),
        (b"enabled_percent", b"101"),
        (b"not_a_setting", b"1"),
    ] {
        assert_eq!(with(key, value), None);
    }
}
