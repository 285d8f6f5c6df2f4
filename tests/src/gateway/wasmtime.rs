//! The wasmtime host behind the common face: its own small runtime per gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::{Gateway, GatewayPlan, Reconfigured};
use crate::wasm_gateway::{
    HeadLimits, HeadersStopIteration, HostKind, LogLevel, RemoteAddress, RouteMetadata, StartError,
    WasmGateway, WasmGatewayConfig,
};

/// A wasmtime host that runs.
pub(super) struct WasmtimeGateway {
    /// Goes before the runtime that it runs on.
    host: WasmGateway,
    runtime: Runtime,
}

impl WasmtimeGateway {
    pub(super) fn start(plan: &GatewayPlan, host: HostKind) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let host = runtime.block_on(WasmGateway::start(config(plan, host)?))?;
        Ok(Self { host, runtime })
    }
}

impl Gateway for WasmtimeGateway {
    fn address(&self) -> SocketAddr {
        self.host.address()
    }

    fn log(&self) -> String {
        self.host
            .log()
            .iter()
            .map(|line| format!("{:?} {}\n", line.level, line.text))
            .collect()
    }

    fn counters(&self) -> Result<BTreeMap<String, u64>> {
        let metrics = self.host.metrics().into_iter();
        metrics
            .map(|(name, value)| {
                let value =
                    u64::try_from(value).with_context(|| format!("counter {name} is {value}"))?;
                Ok((name, value))
            })
            .collect()
    }

    fn reconfigure(&mut self, configuration: &Value) -> Result<Reconfigured> {
        match self
            .runtime
            .block_on(self.host.reconfigure(configuration.to_string()))
        {
            Ok(()) => Ok(Reconfigured::Accepted),
            Err(StartError::ConfigurationRefused { .. }) => Ok(Reconfigured::Refused),
            Err(
                other @ (StartError::Module { .. }
                | StartError::Instance { .. }
                | StartError::Trapped { .. }
                | StartError::Listen(_)
                | StartError::Ended),
            ) => Err(other.into()),
        }
    }

    fn trapped(&self) -> bool {
        self.host.trapped()
    }

    fn memory_bytes(&self) -> Result<u64> {
        Ok(u64::try_from(self.host.memory_bytes())?)
    }

    fn heaviest_hook(&self) -> Option<u64> {
        Some(self.host.heaviest_hook())
    }

    fn lines_in_vain(&self) -> Option<u64> {
        Some(self.host.lines_in_vain())
    }

    fn host_calls(&self) -> Option<BTreeMap<(&'static str, &'static str), u64>> {
        Some(self.host.host_calls())
    }

    fn set_log_level(&self, level: LogLevel) -> Result<()> {
        self.host.set_log_level(level);
        Ok(())
    }
}

fn config(plan: &GatewayPlan, host: HostKind) -> Result<WasmGatewayConfig> {
    let listener = &plan.listener;
    let limits = HeadLimits::default();
    Ok(WasmGatewayConfig {
        host,
        module: plan.module.clone(),
        plugin_configuration: plan.plugin_configuration.to_string(),
        upstream: plan.upstream,
        clusters: plan.clusters.clone(),
        denied_capabilities: listener.denied_capabilities.clone(),
        allow_on_headers_stop_iteration: if listener.allow_on_headers_stop_iteration {
            HeadersStopIteration::Allowed
        } else {
            HeadersStopIteration::Forbidden
        },
        use_remote_address: if listener.use_remote_address {
            RemoteAddress::Peer {
                trusted_hops: usize::try_from(listener.xff_num_trusted_hops)?,
            }
        } else {
            RemoteAddress::Forwarded
        },
        head_limits: HeadLimits {
            headers: match listener.max_request_headers {
                Some(count) => usize::try_from(count)?,
                None => limits.headers,
            },
            bytes: match listener.max_request_headers_kb {
                Some(size) => usize::try_from(size)? * 1024,
                None => limits.bytes,
            },
        },
        route_metadata: route_metadata(plan),
        connection: listener.tls.clone(),
        verified_claims: plan
            .listener
            .verified_claims
            .iter()
            .map(|(claim, value)| (claim.clone(), shown(value)))
            .collect(),
        max_requests: match listener.ase_max_requests {
            Some(count) => BTreeMap::from([("ase".to_owned(), usize::try_from(count)?)]),
            None => BTreeMap::new(),
        },
    })
}

/// The metadata of routes in the form in which a host shows it: `FilterConfig.disabled` is Envoy's own affair.
fn route_metadata(plan: &GatewayPlan) -> Vec<RouteMetadata> {
    let with_metadata = plan.listener.routes.iter().filter_map(|route| {
        let settings = route.metadata.as_ref()?.iter();
        Some(RouteMetadata {
            prefix: route.prefix.clone(),
            settings: settings
                .map(|(key, value)| (key.clone(), shown(value)))
                .collect(),
        })
    });
    with_metadata.collect()
}

fn shown(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        Value::Bool(flag) => vec![u8::from(*flag)],
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN).to_le_bytes().to_vec(),
        Value::Null | Value::Array(_) | Value::Object(_) => Vec::new(),
    }
}
