//! Clients over TLS, whose side of it is Envoy's too: the test's plain bytes come in at one listener, which sends them through a cluster
//! with a client certificate to the filter's listener, behind a socket in the test's own folder.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::bootstrap::set;
use crate::gateway::{GatewayPlan, repository};

const ENTRY: &str = "tls-entry";
/// The server name that the client asks for.
const SERVER_NAME: &str = "api.example.com";

/// The listener that the test sends to, and the filter's.
pub(super) fn listeners(plan: &GatewayPlan, mut front: Value) -> Vec<Value> {
    let entry = json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": ENTRY,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": ENTRY,
                "cluster": ENTRY,
            },
        }]}],
    });
    set(&mut front, "address", socket(plan));
    // Only it tells the server name.
    let inspector = json!({
        "name": "envoy.filters.listener.tls_inspector",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
    });
    set(&mut front, "listener_filters", json!([inspector]));
    let transport = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": false,
            "common_tls_context": {
                "tls_certificates": [certificate("gateway")],
                "validation_context": {"trusted_ca": file("client.pem")},
            },
        },
    });
    if let Some(chain) = front.pointer_mut("/filter_chains/0") {
        set(chain, "transport_socket", transport);
    }
    vec![entry, front]
}

/// The client.
pub(super) fn cluster(plan: &GatewayPlan) -> Value {
    let certificates = if plan.listener.tls.contains_key("subject_peer_certificate") {
        vec![certificate("client")]
    } else {
        Vec::new()
    };
    json!({
        "name": ENTRY,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": ENTRY, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(plan)}}]}]},
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": SERVER_NAME,
                "common_tls_context": {
                    "tls_certificates": certificates,
                    "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
                },
            },
        },
    })
}

fn socket(plan: &GatewayPlan) -> Value {
    json!({"pipe": {"path": plan.folder.join("tls.sock")}})
}

fn certificate(name: &str) -> Value {
    json!({"certificate_chain": file(&format!("{name}.pem")), "private_key": file(&format!("{name}.key"))})
}

/// Self-signed, for a hundred years, and of no use elsewhere.
fn file(name: &str) -> Value {
    let path: PathBuf = repository().join("tests/fixtures/tls").join(name);
    json!({"filename": path})
}
