//! How many clients that nobody has listed are asked about, and how large an image is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ase_core::address::{ClientAddress, Network};
use ase_core::api_id::ApiId;
use ase_core::decision::Snapshot;
use ase_core::headers::Headers;
use ase_core::identifier_list::{Entry, ListedIdentifier, Source};
use ase_core::identity::Credentials;
use ase_core::policy_image::{
    FingerprintBits, Judgement, LocalRequest, PolicyImage, Settings, build,
};
use ase_core::registry::{ApiDefinition, Registry};
use ase_core::time::UnixMillis;

use super::world::{Key, key_ring};

const ENTRIES: u32 = 100_000;

/// Scatters numbers over the addresses.
fn scattered(number: u32) -> u32 {
    number.wrapping_mul(0x9e37_79b1).rotate_left(7)
}

fn v4(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(scattered(number)).into()
}

fn v6(number: u32) -> IpAddr {
    let bits = 0x2001_0db8 << 96 | u128::from(scattered(number)) << 64 | 1;
    Ipv6Addr::from_bits(bits).into()
}

fn client(ip: IpAddr) -> ListedIdentifier {
    let prefix = if ip.is_ipv4() { 32 } else { 64 };
    ListedIdentifier::Network(ClientAddress::from(ip).prefixed(prefix))
}

fn snapshot(identifiers: impl Iterator<Item = ListedIdentifier>) -> Snapshot {
    let document = br#"{"api_metadata": {"hostname": "*", "url": "/"}}"#;
    let id = ApiId::parse("all").unwrap();
    let (api, _) = ApiDefinition::from_json(id, document).unwrap();
    let mut snapshot = Snapshot {
        registry: Arc::new(Registry::compile([api]).unwrap()),
        ..Snapshot::default()
    };
    let entry = Entry::everywhere(Source::Engine, "", UnixMillis(0));
    for identifier in identifiers {
        snapshot.attack.insert(identifier, entry.clone());
    }
    snapshot
}

fn image(snapshot: &Snapshot, width: FingerprintBits) -> PolicyImage {
    let keys = key_ring((Key(2, 2), None));
    let settings = Settings::new(&keys, width, 1, [3; 16]);
    PolicyImage::parse(build(snapshot, &settings).unwrap()).unwrap()
}

fn asks(image: &PolicyImage, ip: IpAddr) -> bool {
    let local = LocalRequest {
        client: Some(ip.into()),
        headers: &Headers::default(),
        url: b"/x",
        host: Some(b"h"),
        credentials: &Credentials::default(),
        username: None,
    };
    image.judge(&local, &[]) != Judgement::Pass
}

#[test]
fn every_listed_client_is_asked_about_and_of_the_others_hardly_one_in_a_hundred() {
    let listed = (0..ENTRIES).map(|number| {
        client(if number % 2 == 0 {
            v4(number)
        } else {
            v6(number)
        })
    });
    let snapshot = snapshot(listed);
    for (width, most) in [
        (FingerprintBits::Eight, 1000),
        (FingerprintBits::Sixteen, 12),
    ] {
        let mut image = image(&snapshot, width);
        for number in ENTRIES..ENTRIES + 8_000 {
            image.add(&client(v4(number))).unwrap();
        }
        let listed = (0..ENTRIES + 8_000).step_by(2);
        assert!(listed.clone().all(|number| asks(&image, v4(number))));
        let v6_listed = (1..ENTRIES).step_by(2);
        assert!(v6_listed.clone().all(|number| asks(&image, v6(number))));
        let unlisted = 200_000..300_000;
        let asked = unlisted.clone().filter(|number| asks(&image, v4(*number)));
        let asked = asked.count();
        assert!(asked <= most, "{width:?}: {asked} of 100,000 IPv4");
        let asked = unlisted.filter(|number| asks(&image, v6(*number))).count();
        assert!(asked <= most, "{width:?}: {asked} of 100,000 IPv6");
        let bytes = image.base().len();
        let per_entry = if width == FingerprintBits::Eight {
            1.3
        } else {
            2.6
        };
        assert!((bytes as f64) < per_entry * f64::from(ENTRIES), "{bytes}");
    }
}

#[test]
fn a_short_list_is_held_exactly() {
    let listed = (0..1000).map(|number| client(v4(number)));
    let networks = ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"];
    let networks = networks.map(|text| ListedIdentifier::Network(Network::parse(text).unwrap()));
    let image = image(&snapshot(listed.chain(networks)), FingerprintBits::Eight);
    assert!((0..1000).all(|number| asks(&image, v4(number))));
    let in_networks = |ip: IpAddr| {
        networks.iter().any(|listed| match listed {
            ListedIdentifier::Network(network) => network.contains(ip.into()),
            ListedIdentifier::Credential { .. } => false,
        })
    };
    for number in 1000..50_000 {
        assert_eq!(
            asks(&image, v4(number)),
            in_networks(v4(number)),
            "{number}"
        );
    }
    assert!(asks(&image, v6(7)));
    assert!(!asks(&image, "2001:db9::1".parse().unwrap()));
}
