//! The section `otel`: where spans go. Without an endpoint there are none.

use std::fmt;

use ase_core::fault::Fields;

/// How spans are exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtelSettings {
    /// The collector.
    pub endpoint: Endpoint,
    /// Of traces that ASE begins itself, one in so many is kept.
    pub sample_one_in: u64,
    /// How ASE names itself.
    pub service_name: String,
}

/// An OTLP/HTTP endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    authority: String,
    path: String,
}

impl Endpoint {
    /// Reads `http://host:port`, with a path when it is not `/v1/traces`.
    ///
    /// # Errors
    /// With the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rule = || {
            format!(
                "{text:?} is not http://host:port or http://host:port/path (a collector is on the same machine or behind a proxy: no https)"
            )
        };
        let rest = text.strip_prefix("http://").ok_or_else(rule)?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) if !path.is_empty() => (authority, format!("/{path}")),
            Some((authority, _)) => (authority, "/v1/traces".to_owned()),
            None => (rest, "/v1/traces".to_owned()),
        };
        let (host, port) = authority.rsplit_once(':').ok_or_else(rule)?;
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || port.parse::<u16>().is_err() || !printable {
            return Err(rule());
        }
        Ok(Self {
            authority: authority.to_owned(),
            path,
        })
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// Reads the section.
pub(super) fn read(fields: &mut Fields<'_, '_>) -> Option<OtelSettings> {
    let mut section = fields.object("otel");
    let endpoint = section.custom("endpoint", Endpoint::parse);
    let sample_one_in = section.integer("sample_one_in", 1..=1_000_000_u64, 100);
    let service_name = section.text("service_name");
    section.finish();
    Some(OtelSettings {
        endpoint: endpoint?,
        sample_one_in,
        service_name: service_name.unwrap_or_else(|| "ase".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_names_host_port_and_maybe_a_path() {
        for (text, shown) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
            ("http://otel:80/x/y", "http://otel:80/x/y"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "https://otel:4318",
            "http://otel",
            "http://:1",
            "http://otel:x",
            "http://o:1/ y",
        ] {
            let fault = Endpoint::parse(text).unwrap_err();
            assert!(fault.starts_with(&format!("{text:?} is not")), "{fault}");
        }
    }
}
