//! API definitions: a broken file takes no other down.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Ase, prepared, question, wait_for};

#[test]
fn broken_definitions_do_not_take_the_others_down() {
    let folder = prepared("");
    let apis = folder.path().join("apis");
    for (name, text) in [
        ("broken.json", "{"),
        (
            "incomplete.json",
            r#"{"api_metadata": {"url": "/incomplete"}}"#,
        ),
        ("bad.name.json", crate::harness::SHOP),
        ("zweitshop.json", crate::harness::SHOP),
        (".#shop.json", "editor"),
        ("notes.txt", "text"),
    ] {
        std::fs::write(apis.join(name), text).unwrap();
    }
    let ase = Ase::in_folder(folder);
    assert_eq!(ase.ask("1", &question("192.0.2.1", "/shop")).status, 200);
    assert_eq!(
        ase.ask("2", &question("192.0.2.1", "/incomplete")).status,
        503
    );
    let (_, status) = ase.admin("GET", "/v1/status", &serde_json::Value::Null);
    let ids: Vec<_> = status["apis"]
        .as_array()
        .unwrap()
        .iter()
        .map(|api| api["id"].clone())
        .collect();
    assert_eq!(ids, ["catalog", "hosted", "shop"]);
}

#[test]
fn without_definitions_every_question_is_answered_as_unregistered() {
    let folder = prepared("");
    let config = folder.path().join("ase.toml");
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace("api_dir = \"apis\"\n", "");
    std::fs::write(&config, text).unwrap();
    let ase = Ase::in_folder(folder);
    let reply = ase.ask("1", &question("192.0.2.1", "/shop"));
    assert_eq!((reply.status, reply.verdict()), (503, "unregistered"));
    assert_eq!(ase.stop()[0]["decision"], json!("unregistered"));
}

#[test]
fn a_change_in_the_folder_is_live_within_a_second_and_a_bad_one_never() {
    let ase = Ase::start();
    let apis = ase.folder.path().join("apis");
    let status = |url: &str| ase.ask("1", &question("192.0.2.1", url)).status;
    let pay = crate::harness::SHOP.replace("/shop", "/pay");
    let soonest = ["/buy", "/sell", "/pay"].map(|url| {
        assert_eq!(status(url), 503);
        let definition = crate::harness::SHOP.replace("/shop", url);
        std::fs::write(apis.join("pay.json"), definition).unwrap();
        let began = Instant::now();
        wait_for("the new API", || (status(url) == 200).then_some(()));
        began.elapsed()
    });
    // A busy machine may stand still in one of the three.
    let soonest = soonest.into_iter().min().unwrap();
    assert!(soonest < Duration::from_secs(1), "{soonest:?}");
    std::fs::write(apis.join("shop.json"), "{\"api_metadata\": {}}").unwrap();
    std::fs::write(apis.join("pay.json"), pay.replace("/pay", "/paid")).unwrap();
    wait_for("the changed API", || (status("/paid") == 200).then_some(()));
    assert_eq!((status("/pay"), status("/shop")), (503, 200));
    std::fs::remove_file(apis.join("pay.json")).unwrap();
    wait_for("the removed API", || (status("/paid") == 503).then_some(()));
    assert_eq!(status("/shop"), 200);
}

#[test]
fn a_change_of_definitions_keeps_the_lists() {
    let ase = Ase::start();
    ase.deny(&json!({"type": "ip", "value": "192.0.2.1"}));
    let catalog = crate::harness::CATALOG.replace("false", "true");
    std::fs::write(ase.folder.path().join("apis/catalog.json"), catalog).unwrap();
    let status = || ase.ask("1", &question("192.0.2.1", "/catalog")).status;
    wait_for("blocking", || (status() == 403).then_some(()));
}

#[test]
fn a_definition_that_is_put_or_deleted_holds_at_once_whatever_else_changes_in_the_folder() {
    let ase = Ase::start();
    let apis = ase.folder.path().join("apis");
    let status = |url: &str| ase.ask("1", &question("192.0.2.1", url)).status;
    for round in 0..20 {
        // Each look at the folder finds something to publish.
        let noise = crate::harness::SHOP.replace("/shop", &format!("/noise{round}"));
        std::fs::write(apis.join("noise.json"), noise).unwrap();
        let pay: serde_json::Value =
            serde_json::from_str(&crate::harness::SHOP.replace("/shop", "/pay")).unwrap();
        let (put, answer) = ase.admin("PUT", "/v1/api/pay", &pay);
        assert_eq!((put, status("/pay")), (200, 200), "{round}: {answer}");
        let (deleted, answer) = ase.admin("DELETE", "/v1/api/pay", &serde_json::Value::Null);
        assert_eq!((deleted, status("/pay")), (200, 503), "{round}: {answer}");
    }
    wait_for("the last noise", || {
        (status("/noise19") == 200).then_some(())
    });
}
