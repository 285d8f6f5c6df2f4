//! The registry against a naive model: a linear scan over all definitions that compares text prefixes.
//!
//! Small alphabets make hosts and paths collide, so that preference and conflicts are really exercised.

#![expect(
    clippy::unwrap_used,
    reason = "a test says no by panicking, in its helpers too"
)]

use std::collections::BTreeSet;

use ase_core::api_id::ApiId;
use ase_core::host::HostName;
use ase_core::path::NormalPath;
use ase_core::registry::{ApiDefinition, Found, Registry};
use proptest::prelude::*;

proptest! {
    #[test]
    fn finds_what_a_linear_scan_finds(apis in apis(), requests in prop::collection::vec((host(), path()), 1..20)) {
        let registry = Registry::compile(definitions(&apis));
        prop_assert_eq!(registry.is_err(), has_conflict(&apis), "{:?}", registry.as_ref().err());
        let Ok(registry) = registry else { return Ok(()) };
        for (host, path) in requests {
            let spelled = HostName::from_header(host.to_uppercase().as_bytes()).ok();
            let found = registry.find(spelled.as_ref(), &NormalPath::from_url(&varied(&path)));
            let found = match found {
                Found::Api(api) => api.id().to_string(),
                Found::UnknownApi => "unknown api".to_owned(),
                Found::UnknownHostname => "unknown hostname".to_owned(),
            };
            prop_assert_eq!(found, scan(&apis, &host, &path), "{} {}", host, path);
        }
    }

    #[test]
    fn a_normal_path_survives_a_variant_spelling(path in path()) {
        prop_assert_eq!(NormalPath::from_url(&varied(&path)), NormalPath::from_url(&path));
    }

    #[test]
    fn any_target_normalises_to_clean_segments_no_longer_than_itself(url in "(?s).{0,80}", tail in "[/\\\\.%2eEfF5cC;?#a]{0,80}") {
        for url in [url.clone(), format!("/{url}{tail}"), format!("{url}{tail}")] {
            let path = NormalPath::from_url(&url);
            let length: usize = path.segments().map(|segment| segment.len() + 1).sum();
            prop_assert!(length <= url.len() + 1);
            for segment in path.segments() {
                prop_assert!(!matches!(segment, b"" | b"." | b".."), "{url:?}");
                prop_assert!(!segment.iter().any(|byte| matches!(byte, b'/' | b'\\' | b';')), "{url:?}");
            }
        }
    }

    #[test]
    fn any_header_is_a_host_name_in_its_one_spelling_or_an_error(value in prop::collection::vec(any::<u8>(), 0..40), text in "[a-zA-Z0-9.:@%\\[\\]-]{0,20}") {
        for bytes in [value, text.into_bytes()] {
            if let Ok(host) = HostName::from_header(&bytes) {
                prop_assert_eq!(HostName::from_header(host.as_str().as_bytes()), Ok(host));
            }
        }
    }

    #[test]
    fn any_bytes_are_a_definition_or_faults(document in prop::collection::vec(any::<u8>(), 0..200), value in "[\\[\\]{}\":,a-z_0-9]{0,60}") {
        let id = ApiId::parse("x").unwrap();
        let jwt = format!("{{\"api_metadata\": {{\"url\": \"/\", \"hostname\": \"*\", \"jwt\": {value}}}}}");
        for document in [document, jwt.into_bytes()] {
            if let Err(faults) = ApiDefinition::from_json(id.clone(), &document) {
                prop_assert!(faults.iter().all(|fault| !fault.rule().is_empty()));
            }
        }
    }
}

fn scan(apis: &[(String, String)], host: &str, path: &str) -> String {
    let under = |url: &str| url == "/" || path == url || path.starts_with(&format!("{url}/"));
    let on = |wanted: &str| {
        let matching = apis
            .iter()
            .enumerate()
            .filter(|(_, (host, url))| host == wanted && under(url));
        matching
            .max_by_key(|(_, (_, url))| url.len())
            .map(|(index, _)| format!("api{index}"))
    };
    let unknown = || match apis.iter().any(|(_, url)| under(url)) {
        true => "unknown hostname".to_owned(),
        false => "unknown api".to_owned(),
    };
    on(host).or_else(|| on("*")).unwrap_or_else(unknown)
}

fn has_conflict(apis: &[(String, String)]) -> bool {
    apis.iter().collect::<BTreeSet<_>>().len() < apis.len()
}

fn definitions(apis: &[(String, String)]) -> Vec<ApiDefinition> {
    let read = |(index, (hostname, url)): (usize, &(String, String))| {
        let id = ApiId::parse(&format!("api{index}")).unwrap();
        let document =
            serde_json::json!({"api_metadata": {"hostname": hostname, "url": url}}).to_string();
        ApiDefinition::from_json(id, document.as_bytes()).unwrap().0
    };
    apis.iter().enumerate().map(read).collect()
}

/// The same path in an odd spelling.
fn varied(path: &str) -> String {
    let odd = |segment: &str| match segment {
        "a" => "/%61;p=1".to_owned(),
        "b" => "x/..%2fb".to_owned(),
        "c" => "\\.\\c".to_owned(),
        other => other.to_owned(),
    };
    let segments: Vec<String> = path.split('/').map(odd).collect();
    format!("{}/?q=/a/b#/c", segments.join("/"))
}

fn apis() -> impl Strategy<Value = Vec<(String, String)>> {
    let pattern = prop_oneof![2 => Just("*".to_owned()), 3 => host()];
    prop::collection::vec((pattern, path()), 0..8)
}

fn host() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a.example", "b.example", "c.example"]).prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "c", "ab"]);
    prop::collection::vec(segment, 0..4).prop_map(|segments| format!("/{}", segments.join("/")))
}
