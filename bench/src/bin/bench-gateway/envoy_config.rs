//! Envoy's configuration for each variant: `envoy/bootstrap.yaml` as it is shipped, with what stands before the router replaced.
//!
//! Whatever else differs between two variants would be measured as theirs. Each variant's check and log get the same facts: all headers of the client.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::requests::HEADER_NAMES;
use crate::variant::Variant;

/// How long each variant waits for an answer or a connection: longer than a machine stands still, which is no answer. The script and the module that
/// makes our host calls have the same.
const PATIENCE_MS: u32 = 5000;
const PATIENCE: &str = "5s";
const SHIPPED: &str = include_str!("../../../../envoy/bootstrap.yaml");
const LUA: &str = include_str!("callouts.lua");

const LISTENER: &str = "/static_resources/listeners/0";
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const PORT: &str = "/address/socket_address/port_value";
const ENDPOINT: &str = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint";
/// Below the filter in the manager's list.
const VM: &str = "/typed_config/config/vm_config";
const CONFIGURATION: &str = "/typed_config/config/configuration/value";

/// What is where on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// ASE, or what answers in its place.
    pub(crate) ase: SocketAddr,
    /// The stub's gRPC services.
    pub(crate) grpc: SocketAddr,
    /// The API.
    pub(crate) upstream: SocketAddr,
    /// Our filter's module.
    pub(crate) filter: PathBuf,
    /// The module that does nothing.
    pub(crate) do_nothing: PathBuf,
    /// What our filter is told beside what is shipped: an object.
    pub(crate) settings: Value,
}

/// The configuration of an Envoy that runs `variant`; its ports are free ones.
pub(crate) fn bootstrap(variant: Variant, places: &Places) -> Result<Value> {
    let mut bootstrap: Value = serde_saphyr::from_str(SHIPPED)?;
    for (at, value) in [
        (format!("/admin{PORT}"), json!(0)),
        (format!("{LISTENER}{PORT}"), json!(0)),
        (
            format!("/static_resources/clusters/0{ENDPOINT}{PORT}"),
            json!(places.ase.port()),
        ),
        (
            format!("/static_resources/clusters/1{ENDPOINT}{PORT}"),
            json!(places.upstream.port()),
        ),
        (
            "/static_resources/clusters/0/connect_timeout".to_owned(),
            json!(PATIENCE),
        ),
        (
            "/static_resources/clusters/1/connect_timeout".to_owned(),
            json!(PATIENCE),
        ),
        (format!("{MANAGER}/xff_num_trusted_hops"), json!(1)),
    ] {
        *place(&mut bootstrap, &at)? = value;
    }
    let shipped = place(&mut bootstrap, &format!("{MANAGER}/http_filters/0"))?.take();
    let filters = place(&mut bootstrap, &format!("{MANAGER}/http_filters"))?;
    let filters = filters.as_array_mut().context("http_filters")?;
    filters.remove(0);
    if let Some(filter) = filter(variant, shipped, places)? {
        filters.insert(0, filter);
    }
    if variant == Variant::ExtAuthzLog {
        let manager = place(&mut bootstrap, MANAGER)?;
        let manager = manager.as_object_mut().context("the manager")?;
        manager.insert("access_log".to_owned(), json!([access_log()]));
    }
    let clusters = place(&mut bootstrap, "/static_resources/clusters")?;
    let clusters = clusters.as_array_mut().context("clusters")?;
    clusters.push(grpc_cluster(places.grpc));
    Ok(bootstrap)
}

/// The shipped configuration of our filter in this mode, with `settings` merged into it. Whatever goes wrong closes here: a run over failures ends, and is
/// not measured.
pub(crate) fn plugin_configuration(mode: &str, settings: &Value) -> Result<String> {
    let bootstrap: Value = serde_saphyr::from_str(SHIPPED)?;
    let at = format!("{MANAGER}/http_filters/0{CONFIGURATION}");
    let text = bootstrap.pointer(&at).and_then(Value::as_str);
    in_mode(text.context("the filter's configuration")?, mode, settings)
}

fn in_mode(shipped: &str, mode: &str, settings: &Value) -> Result<String> {
    let mut configuration: Value = serde_json::from_str(shipped)?;
    *place(&mut configuration, "/mode")? = json!(mode);
    *place(&mut configuration, "/ase/timeout_ms")? = json!(PATIENCE_MS);
    *place(&mut configuration, "/on_failure")? = json!("closed");
    merge(&mut configuration, settings);
    Ok(configuration.to_string())
}

fn merge(into: &mut Value, settings: &Value) {
    match (into, settings) {
        (Value::Object(into), Value::Object(settings)) => {
            for (key, setting) in settings {
                merge(into.entry(key.as_str()).or_insert(Value::Null), setting);
            }
        }
        (into, setting) => *into = setting.clone(),
    }
}

fn filter(variant: Variant, shipped: Value, places: &Places) -> Result<Option<Value>> {
    Ok(match variant {
        Variant::Bare => None,
        Variant::DoNothing => Some(measuring_rod("", shipped, places)?),
        Variant::CallsAsync => Some(measuring_rod("async", shipped, places)?),
        Variant::CallsSync => Some(measuring_rod("sync", shipped, places)?),
        Variant::Lua => Some(json!({"name": "envoy.filters.http.lua", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": LUA}}})),
        Variant::ExtAuthz | Variant::ExtAuthzLog => Some(ext_authz()),
        Variant::ExtProc => Some(ext_proc()),
        Variant::Sync | Variant::Async | Variant::Local => {
            let mut filter = module(shipped, &places.filter)?;
            let configuration = place(&mut filter, CONFIGURATION)?;
            let text = configuration.as_str().context("the configuration")?;
            let mode = variant.mode().unwrap_or_default();
            *configuration = json!(in_mode(text, mode, &places.settings)?);
            Some(filter)
        }
    })
}

/// The module that does nothing, or makes the host calls of our filter in this mode.
fn measuring_rod(mode: &str, shipped: Value, places: &Places) -> Result<Value> {
    let mut filter = module(shipped, &places.do_nothing)?;
    *place(&mut filter, CONFIGURATION)? = json!(mode);
    Ok(filter)
}

fn module(mut filter: Value, file: &std::path::Path) -> Result<Value> {
    *place(&mut filter, &format!("{VM}/code/local/filename"))? = json!(file);
    Ok(filter)
}

fn ext_authz() -> Value {
    let patterns: Vec<Value> = HEADER_NAMES
        .iter()
        .map(|name| json!({"exact": name}))
        .collect();
    json!({"name": "envoy.filters.http.ext_authz", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "http_service": {"server_uri": {"uri": "http://ase", "cluster": "ase", "timeout": PATIENCE}, "path_prefix": "/check"},
        "allowed_headers": {"patterns": patterns}}})
}

fn ext_proc() -> Value {
    json!({"name": "envoy.filters.http.ext_proc", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": {"envoy_grpc": {"cluster_name": "grpc"}, "timeout": PATIENCE},
        "message_timeout": PATIENCE,
        "processing_mode": {"request_header_mode": "SEND", "response_header_mode": "SEND"}}})
}

fn access_log() -> Value {
    json!({"name": "envoy.access_loggers.http_grpc", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        "common_config": {"log_name": "ase", "transport_api_version": "V3", "grpc_service": {"envoy_grpc": {"cluster_name": "grpc"}}},
        "additional_request_headers_to_log": HEADER_NAMES,
        "additional_response_headers_to_log": ["content-type", "content-length", "server", "date", "cache-control", "etag"]}})
}

fn grpc_cluster(stub: SocketAddr) -> Value {
    json!({"name": "grpc", "type": "STATIC", "connect_timeout": PATIENCE,
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}}}},
        "load_assignment": {"cluster_name": "grpc", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {
            "socket_address": {"address": "127.0.0.1", "port_value": stub.port()}}}}]}]}})
}

fn place<'a>(value: &'a mut Value, pointer: &str) -> Result<&'a mut Value> {
    value
        .pointer_mut(pointer)
        .with_context(|| format!("nothing at {pointer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstrap_of(variant: Variant) -> Value {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let places = Places {
            ase: nowhere,
            grpc: nowhere,
            upstream: nowhere,
            filter: PathBuf::from("filter.wasm"),
            do_nothing: PathBuf::from("nothing.wasm"),
            settings: json!({}),
        };
        bootstrap(variant, &places).unwrap()
    }

    fn filters_of(variant: Variant) -> Vec<String> {
        let bootstrap = bootstrap_of(variant);
        let filters = bootstrap
            .pointer(&format!("{MANAGER}/http_filters"))
            .and_then(Value::as_array)
            .unwrap();
        filters.iter().map(Value::to_string).collect()
    }

    #[test]
    fn each_variant_has_its_filter_before_the_router_and_no_other() {
        for (variant, mark) in [
            (Variant::DoNothing, "nothing.wasm"),
            (Variant::Lua, "envoy_on_response"),
            (Variant::ExtAuthz, "path_prefix"),
            (Variant::ExtProc, "processing_mode"),
            (Variant::Async, "filter.wasm"),
        ] {
            let filters = filters_of(variant);
            assert_eq!(filters.len(), 2, "{filters:?}");
            assert!(filters[0].contains(mark), "{filters:?}");
            assert!(filters[1].contains("http.router"), "{filters:?}");
        }
        assert_eq!(filters_of(Variant::Bare).len(), 1);
    }

    #[test]
    fn a_machine_that_stands_still_for_a_second_fails_no_variant() {
        for (variant, waits) in [
            (Variant::Lua, "}, body, 5000, waits_not)"),
            (Variant::ExtAuthz, r#""timeout":"5s""#),
            (Variant::ExtAuthzLog, r#""timeout":"5s""#),
            (Variant::ExtProc, r#""message_timeout":"5s""#),
            (Variant::Sync, r#"\"timeout_ms\":5000"#),
            (Variant::Async, r#"\"timeout_ms\":5000"#),
            (Variant::Local, r#"\"timeout_ms\":5000"#),
        ] {
            let filters = filters_of(variant);
            assert!(filters[0].contains(waits), "{filters:?}");
            let bootstrap = bootstrap_of(variant);
            let clusters = bootstrap
                .pointer("/static_resources/clusters")
                .and_then(Value::as_array);
            for cluster in clusters.unwrap() {
                assert_eq!(cluster.get("connect_timeout"), Some(&json!("5s")));
            }
        }
    }

    #[test]
    fn our_filter_runs_what_is_shipped_in_another_mode() {
        let settings = json!({"delivery": {"tick_ms": 10}});
        let configuration = plugin_configuration("async", &settings).unwrap();
        assert!(
            configuration.contains(r#""mode":"async""#),
            "{configuration}"
        );
        assert!(configuration.contains("oauth_token"), "{configuration}");
        assert!(
            configuration.contains(r#""delivery":{"tick_ms":10}"#),
            "{configuration}"
        );
    }
}
