//! API definitions: a broken file takes no other down.

use serde_json::json;

use crate::harness::{Ase, prepared, question};

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
