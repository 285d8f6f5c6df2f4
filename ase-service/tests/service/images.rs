//! Policy images over the wire: fetched whole, by what is new, and in the receipts of batches.

use ase_core::address::ClientAddress;
use ase_core::credential::{CredentialKey, KeyId};
use ase_core::headers::Headers;
use ase_core::identity::Credentials;
use ase_core::policy_image::{AskReason, FingerprintBits, Judgement, LocalRequest, PolicyImage};
use serde_json::{Value, json};

use crate::harness::{Ase, Reply, record, wait_for};

/// Asks with what a gateway has.
fn fetch(ase: &Ase, have: Option<&PolicyImage>) -> Reply {
    let query = have.map_or(String::new(), |image| format!("?have={}", name(image)));
    ase.connect()
        .call("GET", &format!("/ase/image{query}"), &[], b"")
}

fn name(image: &PolicyImage) -> String {
    format!("{:016x}.{}", image.build(), image.revision())
}

fn whole(ase: &Ase) -> PolicyImage {
    // The first one may still be built.
    wait_for("an image", || {
        let reply = fetch(ase, None);
        match reply.status {
            200 => {
                let kind = reply.header("content-type");
                assert_eq!(kind, Some("application/vnd.ase.image"));
                Some(PolicyImage::parse(reply.bytes).unwrap())
            }
            status => {
                assert_eq!((status, reply.header("retry-after")), (503, Some("1")));
                None
            }
        }
    })
}

fn judge(image: &PolicyImage, client: &str, path: &str) -> Judgement {
    let local = LocalRequest {
        client: Some(ClientAddress::parse(client).unwrap()),
        headers: &Headers::default(),
        url: path.as_bytes(),
        host: Some(b"api.example.com"),
        credentials: &Credentials::default(),
        username: None,
    };
    image.judge(&local, &[])
}

const LISTED: Judgement = Judgement::Ask(AskReason::ListedAddress);

fn deny(ase: &Ase, ip: &str) {
    ase.deny(&json!({"type": "ip", "value": ip}));
}

fn events(ase: &Ase, name: &str) -> u64 {
    ase.counter("policy image", name)
}

#[test]
fn nothing_is_built_before_a_gateway_asks_and_then_it_tells_listed_from_unlisted() {
    let ase = Ase::start();
    deny(&ase, "192.0.2.7");
    assert_eq!(
        ase.ask("1", &crate::harness::question("192.0.2.7", "/shop"))
            .status,
        403
    );
    assert_eq!(events(&ase, "built"), 0);
    let image = whole(&ase);
    assert_eq!(image.width(), FingerprintBits::Eight);
    assert_eq!(events(&ase, "built"), 1);
    assert_eq!(judge(&image, "192.0.2.7", "/shop"), LISTED);
    assert_eq!(judge(&image, "192.0.2.8", "/shop"), Judgement::Pass);
    assert_eq!(
        judge(&image, "192.0.2.8", "/nowhere"),
        Judgement::Ask(AskReason::UnknownApi)
    );
    let unchanged = fetch(&ase, Some(&image));
    assert_eq!((unchanged.status, unchanged.bytes.len()), (204, 0));
    let wide = ase.connect().call("GET", "/ase/image?bits=16", &[], b"");
    let wide = PolicyImage::parse(wide.bytes).unwrap();
    assert_eq!(wide.width(), FingerprintBits::Sixteen);
    let metrics = ase.look("/metrics").body;
    assert!(
        metrics.contains("ase_policy_image_bytes{bits=\"8\"}"),
        "{metrics}"
    );
    assert!(
        metrics.contains("ase_policy_image_events_total{event=\"fetched unchanged\"} 1"),
        "{metrics}"
    );
}

#[test]
fn a_new_entry_comes_with_the_next_question_and_with_the_next_receipt() {
    let ase = Ase::start();
    let mut image = whole(&ase);
    let mut behind = image.clone();
    deny(&ase, "192.0.2.7");
    deny(&ase, "2001:db8::/48");
    let overlay = fetch(&ase, Some(&image));
    let kind = overlay.header("content-type");
    assert_eq!(kind, Some("application/vnd.ase.image-overlay"));
    image.extend(&overlay.bytes).unwrap();
    for client in ["192.0.2.7", "2001:db8:0:1::1"] {
        assert_eq!(judge(&image, client, "/shop"), LISTED, "{client}");
    }
    assert_eq!(judge(&image, "192.0.2.8", "/shop"), Judgement::Pass);
    let receipt = |id: &str, image: &str| {
        let path = format!("/ase/batch?image={image}");
        let reply = ase.post(&path, &[], record(id, "192.0.2.1", "/shop").to_string());
        assert_eq!(reply.status, 200);
        serde_json::from_str::<Value>(&reply.body).unwrap()
    };
    let late = receipt("1", &name(&behind));
    assert_eq!(late["accepted"], 1);
    let overlay = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        late["image"].as_str().unwrap(),
    );
    behind.extend(&overlay.unwrap()).unwrap();
    assert_eq!(name(&behind), name(&image));
    assert_eq!(judge(&behind, "192.0.2.7", "/shop"), LISTED);
    assert_eq!(receipt("2", &name(&image))["image"], "current");
    assert_eq!(receipt("3", "0000000000000001.0")["image"], "stale");
    assert_eq!(receipt("4", "nonsense").get("image"), None);
    assert_eq!(events(&ase, "receipts with overlay"), 1);
    assert_eq!(events(&ase, "receipts of another build"), 1);
    // It is listed already: no record.
    deny(&ase, "192.0.2.7");
    assert_eq!(fetch(&ase, Some(&image)).status, 204);
}

#[test]
fn after_a_restart_and_after_a_change_of_the_definitions_there_is_another_build() {
    let ase = Ase::start();
    deny(&ase, "192.0.2.7");
    let first = whole(&ase);
    let ase = Ase::in_folder(ase.stop_and_keep());
    let replaced = wait_for("another build", || {
        let reply = fetch(&ase, Some(&first));
        (reply.status == 200).then(|| PolicyImage::parse(reply.bytes).unwrap())
    });
    assert_ne!(replaced.build(), first.build());
    assert_eq!(judge(&replaced, "192.0.2.7", "/shop"), LISTED);
    assert_eq!(judge(&replaced, "192.0.2.8", "/shop"), Judgement::Pass);
    let decoys = r#"{"api_metadata": {"protocol": "http", "url": "/shop", "hostname": "*",
        "decoy_config": {"decoy_enabled": true, "decoy_subpaths": ["/admin"]}}}"#;
    let (status, _) = ase.admin(
        "PUT",
        "/v1/api/shop",
        &serde_json::from_str(decoys).unwrap(),
    );
    assert_eq!(status, 200);
    let changed = wait_for("the new definition", || {
        let reply = fetch(&ase, Some(&replaced));
        (reply.status == 200).then(|| PolicyImage::parse(reply.bytes).unwrap())
    });
    assert_eq!(
        judge(&changed, "192.0.2.8", "/shop"),
        Judgement::Ask(AskReason::AlwaysAsk)
    );
    assert_eq!(judge(&changed, "192.0.2.8", "/catalog"), Judgement::Pass);
}

#[test]
fn a_switch_that_only_reports_leaves_the_image_as_it_is_and_listed_clients_asked_about() {
    let ase = Ase::start();
    deny(&ase, "192.0.2.7");
    let image = whole(&ase);
    let (status, _) = ase.admin("PUT", "/v1/switches", &json!({"firewall": false}));
    assert_eq!(status, 200);
    assert_eq!(fetch(&ase, Some(&image)).status, 204);
    let reply = ase.ask("1", &crate::harness::question("192.0.2.7", "/shop"));
    assert_eq!(reply.verdict(), "would_block");
    assert_eq!(judge(&image, "192.0.2.7", "/shop"), LISTED);
}

#[test]
fn another_credential_key_makes_another_build_and_a_gateway_without_it_asks() {
    let ase = Ase::start();
    let (status, _) = ase.admin(
        "POST",
        "/v1/deny",
        &json!({"type": "token", "value": "stolen"}),
    );
    assert_eq!(status, 201);
    let image = whole(&ase);
    let mut headers = Headers::default();
    headers.push("authorization".as_bytes(), b"Bearer mine".as_slice());
    let judge = |image: &PolicyImage| {
        let local = LocalRequest {
            client: Some(ClientAddress::parse("192.0.2.1").unwrap()),
            headers: &headers,
            url: b"/shop",
            host: Some(b"h"),
            credentials: &Credentials::default(),
            username: None,
        };
        image.judge(&local, &[CredentialKey::from_bytes(KeyId(1), [0; 32])])
    };
    let no_key = Judgement::Ask(AskReason::NoKey(
        ase_core::credential::CredentialKind::Token,
    ));
    assert_eq!(judge(&image), no_key);
    let (status, _) = ase.admin("POST", "/v1/keys/rotate", &Value::Null);
    assert_eq!(status, 200);
    let rotated = wait_for("another build", || {
        let reply = fetch(&ase, Some(&image));
        (reply.status == 200).then(|| PolicyImage::parse(reply.bytes).unwrap())
    });
    assert_ne!(rotated.build(), image.build());
    assert_eq!(judge(&rotated), no_key);
}

#[test]
fn only_who_shows_a_sideband_token_gets_an_image_and_only_by_a_question_that_can_be_read() {
    let token = "kong-0123456789abcdef";
    let tokens = format!("tokens = [{{name = \"kong\", value = \"{token}\"}}]\n");
    let ase = Ase::with(&tokens);
    let ask = |method: &str, query: &str, token: &str| {
        let path = format!("/ase/image{query}");
        let reply = ase
            .connect()
            .call(method, &path, &[("ase-token", token)], b"");
        (reply.status, reply.verdict().to_owned())
    };
    let rejected = |status| (status, "rejected".to_owned());
    assert_eq!(ask("GET", "", "wrong"), rejected(401));
    assert_eq!(ask("GET", "?bits=12", token), rejected(400));
    assert_eq!(ask("GET", "?have=12", token), rejected(400));
    assert_eq!(ask("POST", "", token), rejected(405));
    assert_eq!(events(&ase, "built"), 0);
    assert_eq!(events(&ase, "authentication failure"), 1);
    assert_eq!(events(&ase, "refused"), 2);
    wait_for("an image", || {
        (ask("GET", "", token).0 == 200).then_some(())
    });
}
