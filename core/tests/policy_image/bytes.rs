//! Bytes that are no image, or not the one that was sent.

use std::sync::Arc;

use ase_core::address::{ClientAddress, Network};
use ase_core::decision::Snapshot;
use ase_core::headers::Headers;
use ase_core::identifier_list::ListedIdentifier;
use ase_core::identity::Credentials;
use ase_core::policy_image::{
    FingerprintBits, ImageFault, LocalRequest, OverlayFault, PolicyImage, RANGES_BYTES, Settings,
    build, reseal,
};
use proptest::prelude::*;

use super::world::{Key, Request, apis, entry, identifier, key_ring, registry, request};

/// An image of some APIs and entries, with two records of overlay at its end.
fn images() -> impl Strategy<Value = Vec<u8>> {
    let width = prop_oneof![Just(FingerprintBits::Eight), Just(FingerprintBits::Sixteen)];
    let listed = prop::collection::vec((identifier(), entry()), 0..30);
    (
        apis(),
        listed,
        width,
        prop_oneof![Just(0), Just(RANGES_BYTES)],
    )
        .prop_map(|(apis, listed, width, ranges_bytes)| {
            let mut snapshot = Snapshot {
                registry: Arc::new(registry(&apis)),
                ..Snapshot::default()
            };
            for (identifier, entry) in listed {
                snapshot.attack.insert(identifier, entry);
            }
            with_overlay(&snapshot, width, ranges_bytes, 9)
        })
}

fn with_overlay(
    snapshot: &Snapshot,
    width: FingerprintBits,
    ranges_bytes: usize,
    number: u64,
) -> Vec<u8> {
    let keys = key_ring((Key(2, 2), None));
    let settings = Settings {
        ranges_bytes,
        ..Settings::new(&keys, width, number, [7; 16])
    };
    let mut image = PolicyImage::parse(build(snapshot, &settings).unwrap()).unwrap();
    for network in ["192.0.2.1", "192.0.2.2"] {
        let network = ListedIdentifier::Network(Network::parse(network).unwrap());
        image.add(&network).unwrap();
    }
    image.whole()
}

fn judge(image: &PolicyImage, request: &Request) {
    let mut headers = Headers::default();
    request.push_headers(&mut headers);
    let credentials = Credentials::default();
    let local = LocalRequest {
        client: request.client,
        headers: &headers,
        url: &request.url,
        host: request.host.as_deref(),
        credentials: &credentials,
        username: request.username.as_deref(),
    };
    let _judgement = image.judge(&local, &[Key(2, 2).make()]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_image_cut_short_is_refused(image in images()) {
        prop_assert!(PolicyImage::parse(image.clone()).is_ok());
        for length in 0..image.len() {
            prop_assert!(PolicyImage::parse(image[..length].to_vec()).is_err(), "{length}");
        }
    }

    #[test]
    fn an_image_with_a_changed_byte_or_more_bytes_is_refused(image in images(), flip in 1_u8..=255) {
        for at in 0..image.len() {
            let mut changed = image.clone();
            changed[at] ^= flip;
            prop_assert!(PolicyImage::parse(changed).is_err(), "{at}");
        }
        let longer = [&image[..], &[flip]].concat();
        prop_assert_eq!(PolicyImage::parse(longer).err(), Some(ImageFault::Overlay));
    }

    #[test]
    fn any_bytes_behind_a_right_checksum_are_an_image_that_judges_or_are_refused(
        image in images(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), request in request(),
    ) {
        let mut changed = image;
        for (at, byte) in changes {
            let at = at.index(changed.len());
            changed[at] = byte;
        }
        reseal(&mut changed);
        if let Ok(image) = PolicyImage::parse(changed) {
            judge(&image, &request);
        }
    }

    #[test]
    fn any_bytes_are_no_image(bytes: Vec<u8>, behind_magic: bool) {
        let magic: &[u8] = if behind_magic { b"ase-img1" } else { b"" };
        prop_assert!(PolicyImage::parse([magic, &bytes].concat()).is_err());
    }

    #[test]
    fn an_overlay_cut_short_or_changed_is_refused_and_changes_nothing(flip in 1_u8..=255) {
        let mut image = PolicyImage::parse(with_overlay(&Snapshot::default(), FingerprintBits::Eight, 0, 1)).unwrap();
        let mut newer = image.clone();
        newer.add(&ListedIdentifier::Network(Network::parse("192.0.2.3").unwrap())).unwrap();
        let mut overlay = Vec::new();
        newer.write_overlay(2, &mut overlay);
        for at in 0..overlay.len() {
            prop_assert_eq!(image.extend(&overlay[..at]), Err(OverlayFault::Malformed));
            let mut changed = overlay.clone();
            changed[at] ^= flip;
            prop_assert!(image.extend(&changed).is_err());
        }
        prop_assert_eq!(image.revision(), 2);
        prop_assert_eq!(image.extend(&overlay), Ok(()));
        prop_assert_eq!(image.revision(), 3);
    }
}

#[test]
fn an_overlay_counts_once_and_only_for_its_build_and_without_a_gap() {
    let of_build = |number| {
        let bytes = with_overlay(&Snapshot::default(), FingerprintBits::Eight, 0, number);
        PolicyImage::parse(bytes).unwrap()
    };
    let (mut image, mut ahead) = (of_build(1), of_build(1));
    for last in 3..7 {
        let address = ClientAddress::parse(&format!("192.0.2.{last}")).unwrap();
        ahead
            .add(&ListedIdentifier::Network(Network::of(address)))
            .unwrap();
    }
    let overlay = |from| {
        let mut overlay = Vec::new();
        ahead.write_overlay(from, &mut overlay);
        overlay
    };
    assert_eq!(image.extend(&overlay(3)), Err(OverlayFault::Gap));
    assert_eq!(image.extend(&overlay(0)), Ok(()));
    assert_eq!(image.revision(), 6);
    assert_eq!(image.extend(&overlay(4)), Ok(()));
    assert_eq!(image.extend(&overlay(6)), Ok(()));
    assert_eq!(image.revision(), 6);
    assert_eq!(
        of_build(2).extend(&overlay(0)),
        Err(OverlayFault::OtherBuild)
    );
    // What is asked about anyway is no record.
    let again = ListedIdentifier::Network(Network::parse("192.0.2.4").unwrap());
    image.add(&again).unwrap();
    assert_eq!(image.revision(), 6);
}
