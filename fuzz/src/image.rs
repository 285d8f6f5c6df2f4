//! Policy images and overlays: any bytes behind right checksums.

use ase_core::address::ClientAddress;
use ase_core::credential::{CredentialKey, KeyId, KeyRing};
use ase_core::decision::Snapshot;
use ase_core::headers::Headers;
use ase_core::identity::Credentials;
use ase_core::policy_image::{
    FingerprintBits, Judgement, LocalRequest, PolicyImage, Settings, build, reseal, reseal_overlay,
};

/// An image: refused, or every look-up in it ends; with what it says of its own overlay it is the same image again.
pub fn policy_image(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    reseal(&mut bytes);
    let Ok(image) = PolicyImage::parse(bytes) else {
        return;
    };
    judge(&image);
    match PolicyImage::parse(image.whole()) {
        Ok(again) => assert_eq!(again.revision(), image.revision()),
        Err(fault) => panic!("what was read once is refused: {fault}"),
    }
}

/// An overlay for an image of nothing: refused, or its records count.
pub fn image_overlay(bytes: &[u8]) {
    let keys = KeyRing::new(CredentialKey::from_bytes(KeyId(1), [1; 32]), None);
    let settings = Settings::new(&keys, FingerprintBits::Eight, 1, [1; 16]);
    let built = build(&Snapshot::default(), &settings).unwrap_or_default();
    let Ok(mut image) = PolicyImage::parse(built) else {
        panic!("an image of nothing is refused");
    };
    let mut overlay = bytes.to_vec();
    reseal_overlay(&mut overlay);
    match image.extend(&overlay) {
        Ok(()) => judge(&image),
        Err(_) => assert_eq!(image.revision(), 0, "refused, and taken in part"),
    }
}

fn judge(image: &PolicyImage) {
    let mut headers = Headers::default();
    for (name, value) in [
        ("authorization", "Bearer e30.eyJzdWIiOiJhbm5hIn0.s"),
        ("cookie", "sid=s3cret"),
        ("x-api-key", "s3cret"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let keys = [CredentialKey::from_bytes(KeyId(1), [1; 32])];
    for client in ["203.0.113.7", "2001:db8::1"] {
        for host in ["a.example", "b.example"] {
            for url in ["/", "/a/b/c?api_key=s3cret", "/a-b/..%2fx"] {
                let local = LocalRequest {
                    client: ClientAddress::parse(client).ok(),
                    headers: &headers,
                    url: url.as_bytes(),
                    host: Some(host.as_bytes()),
                    credentials: &Credentials::default(),
                    username: Some(b"anna"),
                };
                let first = image.judge(&local, &keys);
                assert_eq!(first, image.judge(&local, &keys), "judged twice");
                let without_host = LocalRequest {
                    host: None,
                    ..local
                };
                assert_ne!(image.judge(&without_host, &keys), Judgement::Pass);
            }
        }
    }
}
