//! Envoy's configuration as JSON, made from a gateway plan.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::tls;
use crate::gateway::{GatewayPlan, RouteSettings};

/// The filter's name in the connection manager.
const FILTER_NAME: &str = "ase";

/// Everything that a guest may call or be called by: Envoy's list allows, so denying one means naming all the others.
const CAPABILITIES: &[&str] = &[
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_request_metadata",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_response_metadata",
    "proxy_on_http_call_response",
    "proxy_on_queue_ready",
    "proxy_on_done",
    "proxy_on_log",
    "proxy_on_delete",
    "proxy_validate_configuration",
    "proxy_log",
    "proxy_get_log_level",
    "proxy_set_tick_period_milliseconds",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_configuration",
    "proxy_get_status",
    "proxy_done",
    "proxy_get_property",
    "proxy_set_property",
    "proxy_get_header_map_pairs",
    "proxy_set_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_get_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_add_header_map_value",
    "proxy_get_header_map_size",
    "proxy_get_buffer_bytes",
    "proxy_get_buffer_status",
    "proxy_set_buffer_bytes",
    "proxy_http_call",
    "proxy_send_local_response",
    "proxy_continue_stream",
    "proxy_continue_request",
    "proxy_continue_response",
    "proxy_close_stream",
    "proxy_set_effective_context",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
    "proxy_get_metric",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_register_shared_queue",
    "proxy_resolve_shared_queue",
    "proxy_enqueue_shared_queue",
    "proxy_dequeue_shared_queue",
    "proxy_grpc_call",
    "proxy_grpc_stream",
    "proxy_grpc_send",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_call_foreign_function",
    "clock_time_get",
    "random_get",
    "environ_get",
    "environ_sizes_get",
    "args_get",
    "args_sizes_get",
    "fd_write",
    "fd_read",
    "fd_seek",
    "fd_close",
    "fd_fdstat_get",
    "proc_exit",
    "sched_yield",
    "poll_oneoff",
];

/// The static part: admin, clusters, and where the listener comes from.
pub(super) fn bootstrap(plan: &GatewayPlan) -> Value {
    let lds = plan.folder.join("lds");
    let mut clusters = vec![cluster("upstream", &[plan.upstream], None)];
    clusters.extend(
        plan.clusters
            .iter()
            .map(|(name, endpoints)| cluster(name, endpoints, plan.listener.ase_max_requests)),
    );
    if !plan.listener.tls.is_empty() {
        clusters.push(tls::cluster(plan));
    }
    json!({
        "node": {"id": "test", "cluster": "test"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "dynamic_resources": {"lds_config": {
            "resource_api_version": "V3",
            "path_config_source": {
                "path": lds.join("listener.json"),
                "watched_directory": {"path": lds},
            },
        }},
        "static_resources": {"clusters": clusters},
    })
}

/// The listener with this filter configuration.
pub(super) fn listener(plan: &GatewayPlan, configuration: &Value, version: u32) -> Value {
    let front = json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "front",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": connection_manager(plan, configuration),
        }]}],
    });
    let listeners = if plan.listener.tls.is_empty() {
        vec![front]
    } else {
        tls::listeners(plan, front)
    };
    json!({"version_info": version.to_string(), "resources": listeners})
}

fn connection_manager(plan: &GatewayPlan, configuration: &Value) -> Value {
    let settings = &plan.listener;
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "use_remote_address": settings.use_remote_address,
        "xff_num_trusted_hops": settings.xff_num_trusted_hops,
        "http_protocol_options": {"enable_trailers": true},
        "access_log": [{
            "name": "envoy.access_loggers.stderr",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
                "log_format": {"text_format_source": {
                    "inline_string": "access %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %FILTER_STATE(wasm.ase_decision:PLAIN)%\n",
                }},
            },
        }],
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {
            "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": routes(&settings.routes),
            }],
        },
        "http_filters": http_filters(plan, configuration),
    });
    if let Some(count) = settings.max_request_headers {
        set(
            &mut manager,
            "common_http_protocol_options",
            json!({"max_headers_count": count}),
        );
    }
    if let Some(size) = settings.max_request_headers_kb {
        set(&mut manager, "max_request_headers_kb", json!(size));
    }
    manager
}

fn http_filters(plan: &GatewayPlan, configuration: &Value) -> Vec<Value> {
    let settings = &plan.listener;
    let mut filters = Vec::new();
    if !settings.verified_claims.is_empty() {
        filters.push(json!({
            "name": "envoy.filters.http.set_metadata",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
                "metadata": [{
                    "metadata_namespace": "envoy.filters.http.jwt_authn",
                    "value": {"payload": settings.verified_claims},
                }],
            },
        }));
    }
    if let Some(jwt_authn) = &settings.jwt_authn {
        let mut config = jwt_authn.clone();
        let kind =
            "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
        set(&mut config, "@type", json!(kind));
        filters.push(json!({"name": "envoy.filters.http.jwt_authn", "typed_config": config}));
    }
    if settings.grpc_web {
        let kind = "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb";
        filters
            .push(json!({"name": "envoy.filters.http.grpc_web", "typed_config": {"@type": kind}}));
    }
    filters.push(wasm_filter(plan, configuration));
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }));
    filters
}

fn routes(settings: &[RouteSettings]) -> Vec<Value> {
    let own = settings.iter().map(|settings| {
        let mut route =
            json!({"match": {"prefix": settings.prefix}, "route": {"cluster": "upstream"}});
        if let Some(metadata) = &settings.metadata {
            set(
                &mut route,
                "metadata",
                json!({"filter_metadata": {"ase": metadata}}),
            );
        }
        if settings.internal_redirect {
            let action = json!({"cluster": "upstream", "internal_redirect_policy": {}});
            set(&mut route, "route", action);
        }
        if settings.disabled {
            let filter = json!({
                "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
                "disabled": true,
            });
            set(
                &mut route,
                "typed_per_filter_config",
                json!({ FILTER_NAME: filter }),
            );
        }
        route
    });
    let rest = json!({"match": {"prefix": "/"}, "route": {"cluster": "upstream"}});
    own.chain([rest]).collect()
}

fn wasm_filter(plan: &GatewayPlan, configuration: &Value) -> Value {
    let settings = &plan.listener;
    let failure_policy = settings.failure_policy.as_deref().unwrap_or("FAIL_RELOAD");
    let mut plugin = json!({
        "name": "ase",
        "root_id": "ase",
        "failure_policy": failure_policy,
        "configuration": {
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": configuration.to_string(),
        },
        "vm_config": {
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": plan.module}},
        },
    });
    if settings.allow_on_headers_stop_iteration {
        set(&mut plugin, "allow_on_headers_stop_iteration", json!(true));
    }
    if !settings.denied_capabilities.is_empty() {
        let allowed: Map<String, Value> = CAPABILITIES
            .iter()
            .filter(|name| !settings.denied_capabilities.contains(**name))
            .map(|name| ((*name).to_owned(), json!({})))
            .collect();
        set(
            &mut plugin,
            "capability_restriction_config",
            json!({"allowed_capabilities": allowed}),
        );
    }
    json!({
        "name": FILTER_NAME,
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": plugin},
    })
}

fn cluster(name: &str, endpoints: &[SocketAddr], max_requests: Option<u32>) -> Value {
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|endpoint| {
            json!({"endpoint": {"address": {"socket_address": {
                "address": endpoint.ip().to_string(),
                "port_value": endpoint.port(),
            }}}})
        })
        .collect();
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
        }},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    });
    if let Some(count) = max_requests {
        let thresholds = json!([{"max_requests": count, "max_pending_requests": count}]);
        set(
            &mut cluster,
            "circuit_breakers",
            json!({"thresholds": thresholds}),
        );
    }
    cluster
}

pub(super) fn set(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(key.to_owned(), value);
    }
}
