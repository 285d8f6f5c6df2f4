//! ASE's settings: the TOML file, overridden by the flags of `ase serve`.
//!
//! Every fault is found at once, each with its path. A relative path in the file counts from the file's folder, one in a flag from
//! the working folder. Nothing here opens the files that the settings name, except the ones that hold tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ase_core::address::Ipv6Width;
use ase_core::fault::{FaultCollector, Faults, Fields};
use ase_core::json::Value;
use thiserror::Error;

use self::transport::Transport;
use crate::access_log::outputs::Outputs;
use crate::access_log::rotation::Rotation;
use crate::config::real_time::RealTimeSettings;
use crate::leniency::Leniency;
use crate::secret::Secret;
use crate::tokens::Tokens;

pub mod access_log_outputs;
pub mod access_log_rotation;
pub mod engine;
mod limits;
mod management;
pub mod metrics;
pub mod otel;
pub mod real_time;
pub mod reference;
pub(crate) mod tokens;
pub mod transport;

pub use limits::Limits;
use limits::read_limits;
pub use management::{AdminTls, ManagementSettings};
use tokens::read_tokens;

/// Where the data port listens by default.
pub const DEFAULT_DATA_LISTEN: &str = "127.0.0.1:8000";
/// Where the management port listens by default.
pub const DEFAULT_ADMIN_LISTEN: &str = "127.0.0.1:8010";
/// The state folder by default.
pub const DEFAULT_STATE_DIR: &str = "ase-state";

/// All that `ase serve` needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where gateways call.
    pub data_listen: SocketAddr,
    /// Where operators call.
    pub admin_listen: SocketAddr,
    /// The folder with the API definitions; without it no API is registered.
    pub api_dir: Option<PathBuf>,
    /// The folder with ASE's own state.
    pub state_dir: PathBuf,
    /// The access log.
    pub access_log: PathBuf,
    /// A plain list of addresses to block.
    pub attack_list_file: Option<PathBuf>,
    /// A plain list of addresses never to block.
    pub allow_list_file: Option<PathBuf>,
    /// The sideband tokens.
    pub tokens: Tokens,
    /// Who is told 200 instead of a refusal.
    pub leniency: Leniency,
    /// Whether gateways may keep connections open.
    pub keep_alive: KeepAlive,
    /// How much of an IPv6 address one listing covers when no prefix is given.
    pub ipv6_prefix: Ipv6Width,
    /// The master switches, and what real-time rules do.
    pub real_time: RealTimeSettings,
    /// What the behaviour engine does.
    pub engine: engine::EngineSettings,
    /// How the management port is guarded.
    pub management: ManagementSettings,
    /// Listeners of the data port beside the plain one.
    pub transport: Transport,
    /// Bounds of everything that could grow.
    pub limits: Limits,
    /// Who may read the metrics.
    pub metrics: metrics::Access,
    /// Where spans go; nowhere by default.
    pub otel: Option<otel::OtelSettings>,
    /// When the access log makes room for a new one, and what becomes of the old.
    pub access_log_rotation: Rotation,
    /// Where the lines of the access log go beside its file.
    pub access_log_outputs: Outputs,
}

/// Whether a connection to the data port outlives a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// Kept open.
    On,
    /// `Connection: close` after each answer.
    Off,
}

/// What the flags of `ase serve` say; each one overrides the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// See [`Settings::data_listen`].
    pub data_listen: Option<String>,
    /// See [`Settings::admin_listen`].
    pub admin_listen: Option<String>,
    /// See [`Settings::api_dir`].
    pub api_dir: Option<PathBuf>,
    /// See [`Settings::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// See [`Settings::access_log`].
    pub access_log: Option<PathBuf>,
    /// Whether listening beyond loopback needs tokens.
    pub exposure: Exposure,
    /// The management secret of the first start; without one it is made.
    pub admin_secret: Option<Secret>,
    /// The file that it is in; counts before it.
    pub admin_secret_file: Option<PathBuf>,
}

/// Whether the data port may be open to a network without tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exposure {
    /// Beyond loopback only with tokens.
    #[default]
    Guarded,
    /// Anywhere; the operator takes the risk.
    Insecure,
}

/// Why there are no settings.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}: is not TOML: {error}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// The parser's text, with line and column.
        error: String,
    },
    /// Values that break rules, all of them.
    #[error("{faults}")]
    Faults {
        /// At least one.
        faults: Faults,
    },
}

impl Settings {
    /// Reads the file, where there is one, and applies the flags.
    ///
    /// # Errors
    /// When the file cannot be read, or with every value that breaks a rule.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let (document, folder) = match file {
            None => (Value::default(), PathBuf::new()),
            Some(path) => {
                let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
                (read_toml(path)?.into(), folder)
            }
        };
        let mut collector = FaultCollector::default();
        let mut fields = Fields::of(&document, "", &mut collector);
        let settings = read(&mut fields, &folder, overrides);
        fields.finish();
        collector
            .into_complete(settings)
            .map_err(|faults| ConfigError::Faults { faults })
    }

    /// Whether the data port may be served: it is not open to a network, or gateways must show tokens, those of the configuration
    /// or those that management has made. To be asked when what management has set is in place.
    ///
    /// # Errors
    /// What keeps it from being served.
    pub fn guarded(&self) -> Result<(), String> {
        let open = open_to_network(Some(self.data_listen), &self.transport);
        match (open, self.management.exposure) {
            (Some((key, address)), Exposure::Guarded) if !self.tokens.are_required() => {
                Err(format!(
                    "{key}: {address} is open to a network and gateways need no sideband token: configure tokens, or listen on loopback and make them (ase token create, ase sideband-auth on), or say --insecure"
                ))
            }
            (Some(_), Exposure::Guarded | Exposure::Insecure) | (None, _) => Ok(()),
        }
    }
}

/// The key and the address of a listener of the data port that others than this machine reach.
fn open_to_network(
    data_listen: Option<SocketAddr>,
    transport: &Transport,
) -> Option<(&'static str, SocketAddr)> {
    let data_tls_listen = transport.tls.as_ref().map(|tls| tls.listen);
    let listeners = [
        ("data_listen", data_listen),
        ("data_tls.listen", data_tls_listen),
    ];
    let known = listeners
        .into_iter()
        .filter_map(|(key, address)| Some((key, address?)));
    known
        .into_iter()
        .find(|(_, address)| !address.ip().is_loopback())
}

fn read_toml(path: &Path) -> Result<serde_json::Value, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.to_path_buf(),
        error,
    })?;
    toml::from_str(&text).map_err(|error| ConfigError::NotToml {
        path: path.to_path_buf(),
        // The parser's full text quotes the line, which may hold a token.
        error: match error.span() {
            Some(span) => format!("{} (line {})", error.message(), line_of(&text, span.start)),
            None => error.message().to_owned(),
        },
    })
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.bytes().take(offset);
    before.filter(|byte| *byte == b'\n').count() + 1
}

fn read(fields: &mut Fields<'_, '_>, folder: &Path, overrides: &Overrides) -> Option<Settings> {
    let data = (overrides.data_listen.as_deref(), DEFAULT_DATA_LISTEN);
    let data_listen = listen_address(fields, "data_listen", "--data-listen", data);
    let admin = (overrides.admin_listen.as_deref(), DEFAULT_ADMIN_LISTEN);
    let admin_listen = listen_address(fields, "admin_listen", "--admin-listen", admin);
    let (tokens, lenient_gateways) = read_tokens(fields, folder);
    let leniency = match fields.flag("lenient", false) {
        true => Leniency::Everyone,
        false => Leniency::Gateways(lenient_gateways),
    };
    let insecure = fields.flag("insecure", false) || overrides.exposure == Exposure::Insecure;
    let transport = Transport::read(fields, folder);
    let open = open_to_network(data_listen, &transport);
    let exposure = if open.is_some() && !insecure {
        Exposure::Guarded
    } else {
        Exposure::Insecure
    };
    let mut path = |key: &str, flag: &Option<PathBuf>| {
        let configured = fields.text(key).map(|text| folder.join(text));
        flag.clone().or(configured)
    };
    let api_dir = path("api_dir", &overrides.api_dir);
    let state_dir =
        path("state_dir", &overrides.state_dir).unwrap_or_else(|| DEFAULT_STATE_DIR.into());
    let access_log = path("access_log", &overrides.access_log);
    let attack_list_file = path("attack_list_file", &None);
    let allow_list_file = path("allow_list_file", &None);
    let keep_alive = match fields.flag("keep_alive", true) {
        true => KeepAlive::On,
        false => KeepAlive::Off,
    };
    let width = fields.integer("ipv6_prefix", 1..=128_u8, 64);
    let real_time = RealTimeSettings::read(fields);
    let ipv6_prefix = Ipv6Width::new(width).unwrap_or_default();
    let access_log = access_log.unwrap_or_else(|| state_dir.join("access.jsonl"));
    let beside = access_log.parent().unwrap_or(&state_dir);
    let engine = engine::EngineSettings::read(fields, (folder, beside), ipv6_prefix);
    let management = ManagementSettings::read(fields, exposure, (overrides, folder));
    if let Some(address) = admin_listen
        && !address.ip().is_loopback()
        && management.tls == AdminTls::Off
        && !insecure
    {
        let rule = format_args!(
            "{address} is open to a network and its secret would travel in the clear: set admin_tls, listen on loopback, or say --insecure"
        );
        fields.fault("admin_listen", rule);
    }
    let limits = read_limits(fields);
    let metrics = metrics::read(fields, admin_listen);
    let otel = otel::read(fields);
    let access_log_rotation = access_log_rotation::read(fields);
    let access_log_outputs = access_log_outputs::read(fields);
    Some(Settings {
        data_listen: data_listen?,
        admin_listen: admin_listen?,
        api_dir,
        access_log,
        state_dir,
        attack_list_file,
        allow_list_file,
        tokens: Tokens::new(tokens),
        leniency,
        keep_alive,
        ipv6_prefix,
        real_time,
        engine,
        management,
        transport,
        limits,
        metrics,
        otel,
        access_log_rotation,
        access_log_outputs,
    })
}

fn listen_address(
    fields: &mut Fields<'_, '_>,
    key: &str,
    flag: &str,
    (given, default): (Option<&str>, &str),
) -> Option<SocketAddr> {
    let parse = |text: &str| {
        text.parse::<SocketAddr>()
            .map_err(|_| format!("{text:?} is not an address and port, such as {default}"))
    };
    fields.note(key, "address and port", format_args!("`{default}`"));
    let configured = fields.item(key).map(|mut item| item.custom(parse));
    match (given, configured) {
        (None, None) => default.parse().ok(),
        (None, Some(configured)) => configured,
        (Some(text), _) => match parse(text) {
            Ok(address) => Some(address),
            Err(rule) => {
                fields.fault(flag, rule);
                None
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, overrides: &Overrides) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ase.toml");
        std::fs::write(&path, text).unwrap();
        Settings::load(Some(&path), overrides).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_means_the_documented_defaults() {
        let settings = load("", &Overrides::default()).unwrap();
        assert_eq!(settings.data_listen.to_string(), DEFAULT_DATA_LISTEN);
        assert_eq!(settings.admin_listen.to_string(), DEFAULT_ADMIN_LISTEN);
        assert_eq!(settings.limits, Limits::default());
        assert_eq!(settings.real_time, RealTimeSettings::default());
        assert_eq!(settings.keep_alive, KeepAlive::On);
    }

    #[test]
    fn every_fault_is_named_with_its_path_and_no_token_is_repeated() {
        let text = "data_listen = \"here\"\nkeep_alive = 1\nipv6_prefix = 0\nacess_log = \"x\"\n\
                    [[tokens]]\nname = \"-\"\nvalue = \"short-secret\"\n[limits]\nbody_bytes = 1\n";
        let faults = load(text, &Overrides::default()).unwrap_err();
        let expected = [
            "data_listen: \"here\" is not an address",
            "tokens[0].name: \"-\" is not a token name",
            "tokens[0].value: a token has 16",
            "keep_alive: must be true or false, found 1",
            "ipv6_prefix: must be an integer from 1 to 128, found 0",
            "limits.body_bytes: must be an integer",
            "acess_log: unknown key (did you mean \"access_log\"?)",
        ];
        assert_eq!(faults.lines().count(), expected.len(), "{faults}");
        for expected in expected {
            assert!(faults.contains(expected), "{expected} is not in\n{faults}");
        }
        assert!(!faults.contains("short-secret"));
    }

    #[test]
    fn broken_toml_is_named_by_its_line_without_quoting_it() {
        let error = load("\nvalue = \"secret-secret", &Overrides::default()).unwrap_err();
        assert!(
            error.contains("line 2") && !error.contains("secret-secret"),
            "{error}"
        );
    }

    #[test]
    fn a_data_port_beyond_loopback_needs_tokens_or_the_word_insecure() {
        let open = |exposure| Overrides {
            data_listen: Some("0.0.0.0:8000".to_owned()),
            exposure,
            ..Overrides::default()
        };
        let guarded = |text, exposure| load(text, &open(exposure)).unwrap().guarded();
        let token = "tokens = [{name = \"kong\", value = \"0123456789abcdef\"}]";
        let refused = guarded("", Exposure::Guarded).unwrap_err();
        assert!(refused.contains("--insecure"), "{refused}");
        assert_eq!(guarded(token, Exposure::Guarded), Ok(()));
        assert_eq!(guarded("", Exposure::Insecure), Ok(()));
        assert_eq!(guarded("insecure = true", Exposure::Guarded), Ok(()));
        let tls = "data_tls = {listen = \"0.0.0.0:8443\", cert = \"c\", key = \"k\"}";
        let settings = load(tls, &Overrides::default()).unwrap();
        let refused = settings.guarded().unwrap_err();
        assert!(refused.starts_with("data_tls.listen: "), "{refused}");
    }

    #[test]
    fn a_management_port_beyond_loopback_needs_tls_or_the_word_insecure() {
        let open = "admin_listen = \"0.0.0.0:8010\"\n";
        let refused = load(open, &Overrides::default()).unwrap_err();
        assert!(refused.starts_with("admin_listen: "), "{refused}");
        for allowed in [
            "admin_tls = \"self_signed\"",
            "admin_tls = {cert = \"c\", key = \"k\"}",
            "insecure = true",
        ] {
            assert!(
                load(&format!("{open}{allowed}"), &Overrides::default()).is_ok(),
                "{allowed}"
            );
        }
        for faulty in [
            "admin_tls = \"yes\"",
            "admin_tls = {cert = \"c\"}",
            "admin_tls = 1",
        ] {
            assert!(load(faulty, &Overrides::default()).is_err(), "{faulty}");
        }
    }

    #[test]
    fn a_flag_overrides_the_file_whose_paths_count_from_its_folder() {
        let overrides = Overrides {
            state_dir: Some("elsewhere".into()),
            ..Overrides::default()
        };
        let settings = load("state_dir = \"s\"\napi_dir = \"apis\"", &overrides).unwrap();
        assert_eq!(settings.state_dir, Path::new("elsewhere"));
        assert!(settings.api_dir.unwrap().is_absolute());
    }
}
