//! Values for the address module; the properties over arbitrary input are in `tests/list_model.rs`.

use std::num::NonZeroU8;

use super::*;

fn address(text: &str) -> ClientAddress {
    ClientAddress::parse(text).unwrap()
}

fn network(text: &str) -> Network {
    Network::parse(text).unwrap()
}

fn hops(number: u8) -> NonZeroU8 {
    NonZeroU8::new(number).unwrap()
}

fn check_forwarded(values: &[&str], trusted_hops: u8, expect: &str) {
    let got = forwarded_for(
        values.iter().map(|value| value.as_bytes()),
        hops(trusted_hops),
    );
    let got = match got {
        Ok(client) => client.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(got, expect, "{values:?}");
}

#[test]
fn an_address_is_written_as_it_is_displayed() {
    let spread = (0..=255_u8).map(|octet| format!("{octet}.{}.0.{}", 255 - octet, octet / 2));
    for text in spread.chain(["2001:db8::1".to_owned(), "255.255.255.255".to_owned()]) {
        let mut out = Vec::new();
        address(&text).write(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}

#[test]
fn one_client_has_one_spelling() {
    assert_eq!(address("::ffff:203.0.113.7"), address("203.0.113.7"));
    assert_eq!(address("::FFFF:cb00:7107").to_string(), "203.0.113.7");
    assert_eq!(address(" [2001:DB8:0::1]\t").to_string(), "2001:db8::1");
}

#[test]
fn ports_zones_prefixes_and_anything_else_are_not_an_address() {
    for bad in [
        "",
        " ",
        "[]",
        "[",
        "1.2.3",
        "1.2.3.4:80",
        "[::1]:80",
        "fe80::1%eth0",
        "[fe80::1%2]",
        "10.0.0.0/8",
        "010.1.1.1",
        "1.2.3.4 5",
        "[1.2.3.4]",
        "[[::1]]",
        "unknown",
        "１.2.3.4",
    ] {
        assert!(ClientAddress::parse(bad).is_err(), "{bad:?}");
    }
    assert_eq!(
        ClientAddress::parse("x\ny").unwrap_err().to_string(),
        r#""x\ny" is not an IP address"#
    );
    assert!(
        ClientAddress::parse(&"x".repeat(100_000))
            .unwrap_err()
            .to_string()
            .len()
            < 100
    );
}

#[test]
fn a_peer_is_read_as_envoy_spells_it() {
    for (text, expect) in [
        ("203.0.113.7:41234", "203.0.113.7:41234"),
        ("203.0.113.7:0", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.7"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("[2001:db8::1]:0", "2001:db8::1"),
        ("[::ffff:203.0.113.7]:443", "203.0.113.7:443"),
        ("[fe80::1%2]:443", "[fe80::1]:443"),
        ("2001:db8::1", "2001:db8::1"),
    ] {
        assert_eq!(
            PeerAddress::parse(text).unwrap().to_string(),
            expect,
            "{text}"
        );
    }
    for bad in [
        "",
        "/var/run/x.sock",
        "envoy://internal",
        "203.0.113.7:",
        "203.0.113.7:65536",
        "203.0.113.7:-1",
        "host:80",
    ] {
        assert!(PeerAddress::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_network_says_which_rule_its_text_breaks() {
    for (text, expect) in [
        (
            "203.0.113.9/24",
            "203.0.113.9/24 has bits set beyond its prefix: the network is 203.0.113.0/24",
        ),
        (
            "2001:db8::1/32",
            "2001:db8::1/32 has bits set beyond its prefix: the network is 2001:db8::/32",
        ),
        (
            "::ffff:203.0.113.9/120",
            "::ffff:203.0.113.9/120 has bits set beyond its prefix: the network is 203.0.113.0/24",
        ),
        (
            "::ffff:0.0.0.0/80",
            "::ffff:0.0.0.0/80 has bits set beyond its prefix: the network is ::/80",
        ),
        (
            "203.0.113.0/33",
            r#""33" is not a prefix length of 203.0.113.0: use 0 to 32"#,
        ),
        (
            "203.0.113.0/+8",
            r#""+8" is not a prefix length of 203.0.113.0: use 0 to 32"#,
        ),
        (
            "203.0.113.0/",
            r#""" is not a prefix length of 203.0.113.0: use 0 to 32"#,
        ),
        (
            "::/129",
            r#""129" is not a prefix length of ::: use 0 to 128"#,
        ),
        ("/8", r#""" is not an IP address"#),
        ("x/8", r#""x" is not an IP address"#),
    ] {
        assert_eq!(Network::parse(text).unwrap_err().to_string(), expect);
    }
}

#[test]
fn a_network_holds_its_members_and_nobody_else() {
    assert!(network("203.0.113.0/24").contains(address("203.0.113.255")));
    assert!(!network("203.0.113.0/24").contains(address("203.0.114.0")));
    assert!(network("203.0.113.7").contains(address("::ffff:203.0.113.7")));
    assert!(network("::ffff:203.0.113.0/120").contains(address("203.0.113.1")));
    assert_eq!(network("::ffff:0:0/96"), network("0.0.0.0/0"));
    assert!(network("0.0.0.0/0").contains(address("255.255.255.255")));
    assert!(!network("::/0").contains(address("203.0.113.7")));
    assert!(!network("0.0.0.0/0").contains(address("2001:db8::1")));
    assert_eq!(network(" 10.0.0.0/8 ").to_string(), "10.0.0.0/8");
    assert_eq!(network("2001:db8::1/128").to_string(), "2001:db8::1");
}

#[test]
fn an_ipv6_client_is_its_64_unless_configured_otherwise() {
    let client = address("2001:db8:1:2:3:4:5:6");
    assert_eq!(
        client.network(Ipv6Width::default()),
        network("2001:db8:1:2::/64")
    );
    assert_eq!(
        client.network(Ipv6Width::new(48).unwrap()),
        network("2001:db8:1::/48")
    );
    assert_eq!(
        client.network(Ipv6Width::new(128).unwrap()),
        Network::of(client)
    );
    assert_eq!(
        address("203.0.113.7").network(Ipv6Width::new(1).unwrap()),
        network("203.0.113.7")
    );
    assert!(Ipv6Width::new(0).is_err());
    assert!(Ipv6Width::new(129).is_err());
}

#[test]
fn the_client_is_counted_from_the_right_over_every_occurrence() {
    check_forwarded(&["198.51.100.1, 203.0.113.7"], 1, "203.0.113.7");
    check_forwarded(&["198.51.100.1, 203.0.113.7"], 2, "198.51.100.1");
    check_forwarded(
        &["6.6.6.6", "198.51.100.1", "203.0.113.7,10.0.0.1"],
        2,
        "203.0.113.7",
    );
    check_forwarded(
        &["6.6.6.6", "198.51.100.1", "203.0.113.7,10.0.0.1"],
        3,
        "198.51.100.1",
    );
    check_forwarded(&["[2001:db8::1]:443 ,\t203.0.113.7:80"], 1, "203.0.113.7");
    check_forwarded(&["[2001:db8::1]:443 ,\t203.0.113.7:80"], 2, "2001:db8::1");
    check_forwarded(&["[2001:db8::1]"], 1, "2001:db8::1");
    let long = (0..300)
        .map(|n| format!("10.0.{}.{}", n / 256, n % 256))
        .collect::<Vec<_>>()
        .join(",");
    check_forwarded(&[&long], 255, "10.0.0.45");
}

#[test]
fn a_chain_without_a_client_in_the_trusted_place_is_an_error() {
    check_forwarded(&[], 1, "x-forwarded-for has 0 entries, 1 are expected");
    check_forwarded(
        &["203.0.113.7"],
        2,
        "x-forwarded-for has 1 entries, 2 are expected",
    );
    check_forwarded(
        &["203.0.113.7, unknown"],
        1,
        r#"entry 1 from the right of x-forwarded-for: " unknown" is not an IP address"#,
    );
    check_forwarded(
        &["203.0.113.7,"],
        1,
        r#"entry 1 from the right of x-forwarded-for: "" is not an IP address"#,
    );
    check_forwarded(
        &["203.0.113.7", ""],
        1,
        r#"entry 1 from the right of x-forwarded-for: "" is not an IP address"#,
    );
    check_forwarded(&["_hidden, 203.0.113.7"], 1, "203.0.113.7");
}

#[test]
fn a_hostile_chain_is_an_error_or_its_rightmost_address() {
    let commas = vec![b','; 100_000];
    let commas = commas.as_slice();
    assert!(matches!(
        forwarded_for([commas].into_iter(), hops(255)),
        Err(ForwardedError::NotAnAddress { .. })
    ));
    let client = forwarded_for([commas, b"203.0.113.7"].into_iter(), hops(1));
    assert_eq!(client, Ok(address("203.0.113.7")));
    let junk = vec![0xff; 100_000];
    let error = forwarded_for([junk.as_slice()].into_iter(), hops(1)).unwrap_err();
    assert!(error.to_string().len() < 1_000);
}
