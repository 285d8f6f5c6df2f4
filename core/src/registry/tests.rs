//! Definitions as operators write them, and the order of preference of look-up.

use super::*;
use crate::fault::Warnings;

#[test]
fn a_definition_of_the_original_with_every_documented_key_is_read_without_a_word() {
    let (api, warnings) = read(EVERY_KEY).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(api.id().as_str(), "shop");
    assert_eq!(
        api.group().map(ToString::to_string).as_deref(),
        Some("retail")
    );
    assert_eq!(api.protocol(), Protocol::Https);
    assert_eq!(api.host().to_string(), "shop.example.com");
    assert_eq!(api.base_path().to_string(), "/shopapi");
    assert_eq!(
        api.login_path().map(ToString::to_string).as_deref(),
        Some("/shopapi/login")
    );
    assert_eq!(api.blocking(), Blocking::Enforced);
    let names = api.credential_names();
    assert_eq!(names.cookies, ["JSESSIONID"]);
    assert_eq!(names.api_key_headers, ["x-api-key"]);
    assert_eq!(names.api_key_query, ["Api-Key"]);
    assert_eq!(names.username_headers, ["x-user"]);
    assert_eq!(names.token_headers, ["authorization", "x-jwt"]);
    let jwt = api.jwt().unwrap();
    assert_eq!(jwt.location(), &JwtLocation::Header("x-jwt".into()));
    assert_eq!(
        (jwt.username(), jwt.client_id()),
        (Some("sub"), Some("azp"))
    );
}

#[test]
fn the_minimal_root_api_catches_everything_and_only_detects() {
    let document = br#"{"api_metadata": {"protocol": "http", "url": "/", "hostname": "*", "oauth2_access_token": true,
        "enable_blocking": false, "api_memory_size": "1mb", "decoy_config": {"decoy_enabled": false}}}"#;
    let (api, warnings) = read(document).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert!(api.base_path().is_root());
    assert_eq!(api.host(), &HostPattern::Any);
    assert_eq!(api.blocking(), Blocking::DetectOnly);
    assert_eq!(api.credential_names().token_headers, ["authorization"]);
    assert_eq!(api.jwt(), None);
}

fn with_routes(url: &str, routes: &str) -> Result<ApiDefinition, Faults> {
    let document =
        format!(r#"{{"api_metadata": {{"url": "{url}", "hostname": "*", "routes": {routes}}}}}"#);
    read(document.as_bytes()).map(|(api, _)| api)
}

/// The places of the parameters of a path; `None` when no route has it.
fn places(api: &ApiDefinition, path: &str) -> Option<Vec<usize>> {
    let parameters = api.routes().parameters(&NormalPath::from_url(path))?;
    Some((0..80).filter(|place| parameters.include(*place)).collect())
}

#[test]
fn declared_routes_say_which_segments_name_things_whatever_they_look_like() {
    let routes = r#"["/", "/users/{name}", "/users/me", "/users/{name}/orders/{id}", "/users/me/orders/2024", "/a%2Fb/{x}/"]"#;
    let api = with_routes("/api/v1", routes).unwrap();
    for (path, expected) in [
        ("/api/v1", Some(vec![])),
        ("/api/v1/users/alice", Some(vec![3])),
        ("/api/v1/users/me", Some(vec![])),
        ("/api//v1/./users/al%69ce/orders/7?x=1", Some(vec![3, 5])),
        ("/api/v1/users/me/orders/2024", Some(vec![])),
        // The word leads nowhere, the parameter does.
        ("/api/v1/users/me/orders/2023", Some(vec![3, 5])),
        ("/api/v1/a/b/c", Some(vec![4])),
        ("/api/v1/users", None),
        ("/api/v1/users/alice/orders", None),
        ("/users/alice", None),
    ] {
        assert_eq!(places(&api, path), expected, "{path}");
    }
}

#[test]
fn a_route_that_repeats_the_base_path_counts_from_the_root_too() {
    let api = with_routes("/shop", r#"["/shop/orders/{id}"]"#).unwrap();
    assert_eq!(places(&api, "/shop/orders/7"), Some(vec![2]));
    assert_eq!(places(&api, "/shop/shop/orders/7"), Some(vec![3]));
    let root = with_routes("/", r#"["/orders/{id}"]"#).unwrap();
    assert_eq!(places(&root, "/orders/7"), Some(vec![1]));
    assert!(with_routes("/shop", "[]").unwrap().routes().is_empty());
}

#[test]
fn every_fault_of_declared_routes_is_reported_at_once() {
    let long = "/x".repeat(21);
    let routes = format!(
        r#"["orders", "/a?b", "/orders/{{id}}", "/x{{id}}", "/{{}}", "/{{a b}}", 7, "/orders/{{other}}", "{long}"]"#
    );
    let faults = with_routes("/shop", &routes).unwrap_err().to_string();
    let expected = format!(
        r#"api_metadata.routes[0]: "orders" is not a path that begins with '/'
api_metadata.routes[1]: "/a?b" holds one of '?', '#' and ';', which no route has
api_metadata.routes[3]: "/x{{id}}" has braces that are not around the name of a whole segment, as in /orders/{{id}}
api_metadata.routes[4]: "/{{}}" has braces that are not around the name of a whole segment, as in /orders/{{id}}
api_metadata.routes[5]: "/{{a b}}" has braces that are not around the name of a whole segment, as in /orders/{{id}}
api_metadata.routes[6]: must be a string, found 7
api_metadata.routes[7]: is the same route as routes[2]
api_metadata.routes[8]: "{long}" has more than 20 segments"#
    );
    assert_eq!(faults, expected);
    let many: Vec<String> = (0..257).map(|n| format!("\"/r{n}\"")).collect();
    let faults = with_routes("/shop", &format!("[{}]", many.join(","))).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "api_metadata.routes: has 257 routes, more than 256"
    );
}

#[test]
fn every_fault_of_a_definition_is_reported_at_once() {
    let document =
        br#"{"api_metadata": {"protocol": "gopher", "url": "shop?x", "hostname": "*.exa mple",
        "enable_blocking": "yes", "apikey_header": "x key", "group": "a b", "login_url": "login",
        "jwt": {"location": "body:x", "username": "sub", "clientid": "sub"}, "decoy_config": [], "is_token_mandatory": true,
        "api_pattern_enforcement": {"protocol_allowed": "gopher", "methods_allowed": ["G T", 7], "content_type_allowed": "json"},
        "flow_control": {"client_spike_threshold": "5/fortnight"}}}"#;
    let faults = read(document).unwrap_err().to_string();
    let expected = r#"api_metadata.group: "a b" is not a name: use 1 to 128 letters, digits, '-' and '_'
api_metadata.protocol: "gopher" is not one of http, https, ws, wss
api_metadata.hostname: "*.exa mple" is not a host name
api_metadata.url: "shop?x" holds one of '?', '#' and ';', which no base path has
api_metadata.login_url: "login" is not a path that begins with '/'
api_metadata.jwt.location: "body:x" is not "qs:<parameter>", "h:<header>" or "h:authorization:bearer"
api_metadata.jwt.clientid: names the claim of "username"; the two must differ
api_metadata.apikey_header: "x key" is not a header name
api_metadata.enable_blocking: must be true or false, found a string
api_metadata.is_token_mandatory: needs "oauth2_access_token": true; otherwise no request would have a token
api_metadata.api_pattern_enforcement.protocol_allowed: "gopher" is not one of http, https, ws, wss
api_metadata.api_pattern_enforcement.methods_allowed[0]: "G T" is not a method
api_metadata.api_pattern_enforcement.methods_allowed[1]: must be a string, found 7
api_metadata.api_pattern_enforcement.content_type_allowed: "json" is not a content type, such as application/json or text/*
api_metadata.decoy_config: must be an object, found a list
api_metadata.flow_control.client_spike_threshold: "5/fortnight" is not a limit, such as 500/second (or minute, or hour; 0/second is none)"#;
    assert_eq!(faults, expected);
}

#[test]
fn what_a_definition_needs_and_lacks_is_named() {
    let cases: [(&[u8], &str); 6] = [
        (b"{}", "api_metadata: is required"),
        (b"[]", "must be an object, found a list"),
        (b"", "is not JSON: unexpected end at line 1 column 1"),
        (br#"{"api_metadata": 3}"#, "api_metadata: must be an object, found 3"),
        (
            br#"{"api_metadata": {}}"#,
            "api_metadata.hostname: is required\napi_metadata.url: is required",
        ),
        (
            br#"{"api_metadata": {"hostname": "", "url": "/1/2/3/4/5/6/7/8/9/10/11", "jwt": {"username": "u"}}}"#,
            "api_metadata.hostname: \"\" is not a host name\n\
             api_metadata.url: \"/1/2/3/4/5/6/7/8/9/10/11\" has 11 levels, more than 10\n\
             api_metadata.jwt.location: is required beside \"username\" or \"clientid\"",
        ),
    ];
    for (document, expected) in cases {
        assert_eq!(read(document).unwrap_err().to_string(), expected);
    }
}

#[test]
fn unknown_keys_are_warnings() {
    let document =
        br#"{"api_metadata": {"url": "/a", "hostname": "*", "enable_blockin": true, "servers": {},
        "decoy_config": {"decoy_enable": true}}, "version": 2}"#;
    let (api, warnings) = read(document).unwrap();
    assert_eq!(api.blocking(), Blocking::DetectOnly);
    let expected = r#"api_metadata.decoy_config.decoy_enable: unknown key (did you mean "decoy_enabled"?)
api_metadata.servers: is not a list; ignored, since it has no meaning beside a gateway
api_metadata.enable_blockin: unknown key (did you mean "enable_blocking"?)
version: unknown key"#;
    assert_eq!(warnings.to_string(), expected);
}

#[test]
fn every_form_of_a_jwt_location_is_read() {
    let forms = [
        ("qs:token", Some(JwtLocation::Query("token".into()))),
        ("h:X-Token", Some(JwtLocation::Header("x-token".into()))),
        (
            "h:authorization:bearer",
            Some(JwtLocation::AuthorizationBearer),
        ),
        (
            "h:Authorization:Bearer",
            Some(JwtLocation::AuthorizationBearer),
        ),
        ("h:authorization", Some(JwtLocation::AuthorizationBearer)),
        ("h:x-token:bearer", None),
        ("h:authorization:basic", None),
        ("qs:", None),
        ("h:", None),
        ("token", None),
    ];
    for (text, expected) in forms {
        let document = format!(
            r#"{{"api_metadata": {{"url": "/", "hostname": "*", "oauth2_access_token": true, "jwt": {{"location": "{text}"}}}}}}"#
        );
        let location = read(document.as_bytes())
            .ok()
            .and_then(|(api, _)| api.jwt().map(|jwt| jwt.location().clone()));
        assert_eq!(location, expected, "{text}");
    }
}

#[test]
fn an_exact_host_is_preferred_then_the_longest_path() {
    let registry = compiled(&[
        ("root", "*", "/"),
        ("any-shop", "*", "/shop"),
        ("any-deep", "*", "/shop/books/new"),
        ("shop", "a.example", "/shop"),
        ("books", "a.example", "/shop/books"),
        ("pay", "b.example", "/pay"),
    ]);
    let cases = [
        ("A.example:443", "/shop/books/7", "books"),
        ("a.example", "/shop/books/new", "books"),
        ("a.example", "/shop/%62ooks/../toys?x=/pay", "shop"),
        ("a.example", "/shopping", "root"),
        ("b.example", "/shop/books/new/1", "any-deep"),
        ("b.example", "/pay", "pay"),
        ("a.example", "/pay", "root"),
        ("not a host", "/shop", "any-shop"),
        ("c.example", "*", "root"),
    ];
    for (host, url, expected) in cases {
        assert_eq!(find(&registry, host, url), expected, "{host} {url}");
    }
}

#[test]
fn without_a_root_api_an_unknown_host_is_told_from_an_unknown_path() {
    let registry = compiled(&[("shop", "a.example", "/shop"), ("any", "*", "/any")]);
    assert_eq!(find(&registry, "b.example", "/shop/1"), "unknown hostname");
    assert_eq!(find(&registry, "a.example", "/pay"), "unknown api");
    assert_eq!(find(&registry, "b.example", "/"), "unknown api");
    assert_eq!(find(&registry, "b.example", "/any/1"), "any");
    assert_eq!(find(&Registry::default(), "a.example", "/"), "unknown api");
}

#[test]
fn apis_of_one_place_or_one_id_are_faults_that_name_both() {
    let faults = Registry::compile([
        api("one", "a.example", "/shop"),
        api("two", "A.EXAMPLE.", "/shop/"),
        api("three", "*", "/shop"),
        api("three", "*", "/other"),
    ])
    .map(|registry| registry.len())
    .unwrap_err();
    let expected = "three: is the id of two APIs\n\
                    two: hostname a.example and url /shop are those of \"one\" already";
    assert_eq!(faults.to_string(), expected);
}

#[test]
fn apis_are_listed_in_the_order_of_their_ids() {
    let registry = compiled(&[("b", "*", "/b"), ("a", "*", "/a")]);
    let ids: Vec<&str> = registry.iter().map(|api| api.id().as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!((registry.len(), registry.is_empty()), (2, false));
    assert!(registry.get(&ApiId::parse("a").unwrap()).is_some());
    assert!(registry.get(&ApiId::parse("c").unwrap()).is_none());
}

fn read(document: &[u8]) -> Result<(ApiDefinition, Warnings), Faults> {
    ApiDefinition::from_json(ApiId::parse("shop").unwrap(), document)
}

fn api(id: &str, hostname: &str, url: &str) -> ApiDefinition {
    let document =
        serde_json::json!({"api_metadata": {"hostname": hostname, "url": url}}).to_string();
    ApiDefinition::from_json(ApiId::parse(id).unwrap(), document.as_bytes())
        .unwrap()
        .0
}

fn compiled(apis: &[(&str, &str, &str)]) -> Registry {
    Registry::compile(
        apis.iter()
            .map(|(id, hostname, url)| api(id, hostname, url)),
    )
    .unwrap()
}

fn find<'r>(registry: &'r Registry, host: &str, url: &str) -> &'r str {
    let host = HostName::from_header(host.as_bytes()).ok();
    match registry.find(host.as_ref(), &NormalPath::from_url(url)) {
        Found::Api(api) => api.id().as_str(),
        Found::UnknownApi => "unknown api",
        Found::UnknownHostname => "unknown hostname",
    }
}

const EVERY_KEY: &[u8] = br#"{"api_metadata": {
    "protocol": "https", "url": "/shopapi", "hostname": "Shop.Example.com", "group": "retail",
    "cookie": "JSESSIONID", "cookie_idle_timeout": "200m", "logout_api_enabled": false,
    "cookie_persistence_enabled": false, "oauth2_access_token": true, "is_token_mandatory": false,
    "apikey_qs": "Api-Key", "apikey_header": "X-Api-Key", "login_url": "/shopapi/login", "enable_blocking": true,
    "api_mapping": {"internal_url": ""},
    "api_pattern_enforcement": {"protocol_allowed": "", "http_redirect": {"response_code": "", "response_def": "", "https_url": ""},
        "methods_allowed": [], "content_type_allowed": "", "error_code": "401", "error_def": "Unauthorized",
        "error_message_body": "401 Unauthorized"},
    "flow_control": {"client_spike_threshold": "0/second", "server_connection_queueing": false},
    "api_memory_size": "128mb", "health_check": false, "health_check_interval": 60, "health_retry_count": 4,
    "health_url": "/health", "server_ssl": false,
    "servers": [{"host": "127.0.0.1", "port": 8080, "server_connection_quota": 0, "server_spike_threshold": "0/second"}],
    "decoy_config": {"decoy_enabled": false, "response_code": 200, "response_def": "", "response_message": "", "decoy_subpaths": []},
    "username_header": "X-User",
    "jwt": {"location": "h:X-JWT", "username": "sub", "clientid": "azp"}}}"#;
