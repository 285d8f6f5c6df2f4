//! Random registries, lists, keys and requests out of small pools, so that they meet.

use std::collections::BTreeMap;

use ase_core::address::{ClientAddress, Network};
use ase_core::api_id::ApiId;
use ase_core::credential::{CredentialId, CredentialKey, CredentialKind, KeyId, KeyRing};
use ase_core::headers::Headers;
use ase_core::identifier_list::{Entry, ListedIdentifier, Scope, Source};
use ase_core::registry::{ApiDefinition, Registry};
use ase_core::time::UnixMillis;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

pub(crate) const NOW: UnixMillis = UnixMillis(1_000_000);

const HOSTS: [&str; 5] = ["*", "*", "a.example", "b.example", "[2001:db8::1]"];
const BASES: [&str; 7] = ["/", "/a", "/a/b", "/a-b", "/a/b/c", "/A", "/\u{fc}"];
const CLIENTS: [&str; 7] = [
    "203.0.113.7",
    "203.0.113.8",
    "198.51.100.1",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8:0:1::1",
    "::1",
];
const NETWORKS: [&str; 9] = [
    "203.0.113.7",
    "203.0.113.0/24",
    "203.0.113.8/31",
    "198.51.100.0/28",
    "0.0.0.0/0",
    "2001:db8::/64",
    "2001:db8::1",
    "2001:db8::/32",
    "::/0",
];
const VALUES: [&str; 3] = ["s3cret", "caf\u{e9}", "anna"];

const TOKEN: &str = r#""oauth2_access_token": true"#;
const MANDATORY: &str = r#""is_token_mandatory": true"#;

/// The parts of an API's definition that matter here.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    host: &'static str,
    base: &'static str,
    extras: Vec<&'static str>,
}

/// A key of the tests: an id and what its secret is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) u8, pub(crate) u8);

/// A request as a gateway sees it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) client: Option<ClientAddress>,
    pub(crate) host: Option<Vec<u8>>,
    pub(crate) url: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) username: Option<Vec<u8>>,
}

impl Key {
    pub(crate) fn make(self) -> CredentialKey {
        CredentialKey::from_bytes(KeyId(self.0), [self.1; 32])
    }
}

impl Request {
    pub(crate) fn push_headers<'r>(&'r self, headers: &mut Headers<'r>) {
        for (name, value) in &self.headers {
            headers.push(name.as_slice(), value.as_slice());
        }
    }
}

pub(crate) fn registry(apis: &[Api]) -> Registry {
    let distinct: BTreeMap<_, _> = apis.iter().map(|api| ((api.host, api.base), api)).collect();
    let definitions = distinct.into_values().enumerate().map(|(number, api)| {
        let id = ApiId::parse(&format!("api{number}")).unwrap();
        let extras: String = api.extras.iter().map(|extra| format!(", {extra}")).collect();
        let (host, base) = (api.host, api.base);
        let document = format!(
            r#"{{"api_metadata": {{"hostname": "{host}", "url": "{base}", "group": "g{}"{extras}}}}}"#,
            number % 2
        );
        ApiDefinition::from_json(id, document.as_bytes()).unwrap().0
    });
    Registry::compile(definitions).unwrap()
}

pub(crate) fn apis() -> impl Strategy<Value = Vec<Api>> {
    let names = [
        r#""cookie": "sid""#,
        TOKEN,
        r#""apikey_header": "x-api-key""#,
        r#""apikey_qs": "api_key""#,
        r#""username_header": "x-user""#,
        r#""enable_blocking": true"#,
    ];
    let jwt = [
        r#""jwt": {"location": "h:authorization:bearer", "username": "sub"}"#,
        r#""jwt": {"location": "h:x-jwt", "username": "sub"}"#,
        r#""jwt": {"location": "qs:access_token", "username": "sub"}"#,
    ];
    let rules = [
        MANDATORY,
        r#""api_pattern_enforcement": {"protocol_allowed": "https"}"#,
        r#""decoy_config": {"decoy_enabled": true, "decoy_subpaths": ["/b"]}"#,
        r#""decoy_config": {"decoy_enabled": true, "decoy_subpaths": []}"#,
        r#""api_pattern_enforcement": {"methods_allowed": ["POST"]}"#,
        r#""api_pattern_enforcement": {"content_type_allowed": ["application/json"]}"#,
        r#""flow_control": {"client_spike_threshold": "1/second"}"#,
    ];
    let extras = (
        subsequence(names.to_vec(), 0..=names.len()),
        prop::option::weighted(0.3, select(jwt.to_vec())),
        prop::option::weighted(0.25, select(rules.to_vec())),
    );
    let api = (select(HOSTS.to_vec()), select(BASES.to_vec()), extras);
    let api = api.prop_map(|(host, base, (mut extras, jwt, rule))| {
        // A token can be mandatory only where there is one, and no key stands twice.
        if rule == Some(MANDATORY) && !extras.contains(&TOKEN) {
            extras.push(TOKEN);
        }
        extras.extend(jwt);
        extras.extend(rule);
        Api { host, base, extras }
    });
    prop::collection::vec(api, 1..6)
}

pub(crate) fn ring() -> impl Strategy<Value = (Key, Option<Key>)> {
    select(vec![
        (Key(2, 2), None),
        (Key(2, 2), Some(Key(1, 1))),
        (Key(3, 3), Some(Key(2, 2))),
    ])
}

pub(crate) fn key_ring((current, previous): (Key, Option<Key>)) -> KeyRing {
    KeyRing::new(current.make(), previous.map(Key::make))
}

pub(crate) fn identifier() -> impl Strategy<Value = ListedIdentifier> {
    let network = select(NETWORKS.to_vec())
        .prop_map(|text| ListedIdentifier::Network(Network::parse(text).unwrap()));
    let of = |key: Key, kind, value: &str| ListedIdentifier::Credential {
        kind,
        id: key.make().id_of(kind, "sid", value.as_bytes()),
    };
    let key = select(vec![Key(1, 1), Key(2, 2), Key(2, 2), Key(3, 3), Key(9, 9)]);
    let credential = (
        key,
        select(CredentialKind::ALL.to_vec()),
        select(VALUES.to_vec()),
    )
        .prop_map(move |(key, kind, value)| of(key, kind, value));
    let unknown = (0_u8..4).prop_map(|key| ListedIdentifier::Credential {
        kind: CredentialKind::Token,
        id: CredentialId::parse(&format!("k{key}:{}", "ab".repeat(16))).unwrap(),
    });
    prop_oneof![3 => network, 6 => credential, 1 => unknown]
}

pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    let scope = select(vec!["all", "all", "all", "api:api0", "group:g1"]);
    let expires = select(vec![None, None, Some(500_000), Some(2_000_000)]);
    (scope, expires).prop_map(|(scope, expires)| Entry {
        scope: Scope::parse(scope).unwrap(),
        expires: expires.map(UnixMillis),
        source: Source::Manual,
        reason: "".into(),
        added: UnixMillis(0),
    })
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let client = prop::option::weighted(0.95, select(CLIENTS.to_vec()));
    let host = prop_oneof![
        8 => select(vec!["a.example", "A.example:443", "b.example", "c.example", "[2001:DB8::1]:1"]).prop_map(|host| host.as_bytes().to_vec()),
        1 => "[ab.:@,%6/\\[\\]]{0,12}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..6),
        1 => Just(b"a.example, b.example".to_vec()),
        1 => select(vec![&b"a.example\xa0"[..], b"\x85b.example", b"%61.example", b"x@b.example/", b""]).prop_map(<[u8]>::to_vec),
    ];
    let username = prop::option::weighted(0.1, value());
    (
        client,
        prop::option::weighted(0.97, host),
        url(),
        headers(),
        username,
    )
        .prop_map(|(client, host, url, headers, username)| Request {
            client: client.map(|text| ClientAddress::parse(text).unwrap()),
            host,
            url,
            headers,
            username,
        })
}

fn url() -> impl Strategy<Value = Vec<u8>> {
    let path = prop_oneof![
        6 => select(vec!["/a", "/a/b", "/a/b/c/d", "/a-b", "/", "/A/x", "/b", "/\u{fc}"]).prop_map(|path| path.as_bytes().to_vec()),
        2 => prop::collection::vec(select(vec!["/", "a", "b", "-", ".", "..", "%2f", "%61", "\\", ";x", "//", "c"]), 1..8).prop_map(|parts| parts.concat().into_bytes()),
        3 => select(vec!["/a/b/..%2fx", "/a/b/%2e%2e/x", "/a/..\\b", "/a//../b", "/a/b;/../x", "/a%2fb", "/a/b%5cc", "/b/../a-b"]).prop_map(|path| path.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    let parameter = (
        select(vec!["api_key", "API_KEY[]", "access_token", "x"]),
        value(),
    )
        .prop_map(|(name, value)| [name.as_bytes(), b"=", &value].concat());
    (path, prop::collection::vec(parameter, 0..3)).prop_map(|(path, parameters)| {
        if parameters.is_empty() {
            return path;
        }
        [&path[..], b"?", &parameters.join(&b'&')].concat()
    })
}

fn headers() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let cookie = (value(), value())
        .prop_map(|(one, other)| [b"sid=", &one[..], b"; x=1, sid=\"", &other[..], b"\""].concat());
    let named = |name: &'static str, value: BoxedStrategy<Vec<u8>>| {
        value.prop_map(move |value| (name.as_bytes().to_vec(), value))
    };
    let bearer = prop_oneof![value(), jwt()]
        .prop_map(|value| [b"Bearer ", &value[..]].concat())
        .boxed();
    let header = prop_oneof![
        named("cookie", cookie.boxed()),
        named(
            "cookie",
            value()
                .prop_map(|value| [b"SID=", &value[..]].concat())
                .boxed()
        ),
        named("authorization", bearer),
        named("x-api-key", value().boxed()),
        named(
            "X_API_Key",
            value()
                .prop_map(|value| [b"z,", &value[..]].concat())
                .boxed()
        ),
        named("x-user", value().boxed()),
        named("x-jwt", jwt().boxed()),
        named("accept", Just(b"*/*".to_vec()).boxed()),
    ];
    prop_oneof![
        8 => prop::collection::vec(header.clone(), 0..4),
        // More values than are kept.
        1 => (value(), value(), 140_usize..150).prop_map(|(one, other, many)| {
            let mut lines = vec![(b"x-api-key".to_vec(), one); 1];
            lines.extend((0..many).map(|number| (b"X_Api_Key".to_vec(), format!("v{number}").into_bytes())));
            lines.insert(70, (b"x-api-key".to_vec(), other));
            lines
        }),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof![
        6 => select(VALUES.to_vec()).prop_map(|value| value.as_bytes().to_vec()),
        1 => Just(b"caf\xe9".to_vec()),
        1 => Just(b"s3cr%65t".to_vec()),
        1 => Just(b"a+b".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..5),
    ]
}

fn jwt() -> impl Strategy<Value = Vec<u8>> {
    // {"sub":"anna"} and {"sub":["s3cret"]}
    select(vec![
        "e30.eyJzdWIiOiJhbm5hIn0.s",
        "e30.eyJzdWIiOlsiczNjcmV0Il19.s",
    ])
    .prop_map(|token| token.as_bytes().to_vec())
}
