//! `envoy/oauth/envoy.yaml` in a real Envoy, in front of the API of a real identity provider: a gateway that verifies tokens itself and then asks ASE about
//! their holders.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use system_tests::gateway::{filter_module, repository};
use system_tests::real_ase::RealAse;
use system_tests::scripted_ase::ScriptedAse;
use system_tests::upstream::Upstream;
use system_tests::wait;
use tempfile::TempDir;

use crate::bootstrap::{self, CONFIGURATION, ENDPOINT, MANAGER, PORT, VM, place};
use crate::envoy::{self, Envoy, get};
use crate::files;
use crate::provider::Provider;

const FILE: &str = "envoy/oauth/envoy.yaml";

/// Longest wait for something that takes a second at most.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn envoy_takes_the_oauth_file_and_has_nothing_to_say_about_it() -> Result<()> {
    let mut shipped = shipped()?;
    *place(&mut shipped, &after_the_check(VM, "/code/local/filename"))? = json!(filter_module());
    let authorities = "/static_resources/clusters/2/transport_socket/typed_config/common_tls_context/validation_context/trusted_ca/filename";
    // The system's own may be elsewhere, or nowhere.
    *place(&mut shipped, authorities)? = json!(repository().join("tests/fixtures/tls/gateway.pem"));
    let log = envoy::judge(&shipped)?;
    ensure!(log.is_empty(), "{log}");
    Ok(())
}

#[test]
fn the_oauth_file_is_the_bootstrap_with_a_token_check_before_the_filter() -> Result<()> {
    let mut shipped = shipped()?;
    let mut expected = bootstrap::shipped()?;
    // Who is told what is the point of the file.
    *place(&mut expected, CONFIGURATION)? =
        files::at(&shipped, &after_the_check(CONFIGURATION, ""))?.clone();
    let filters = place(&mut shipped, &format!("{MANAGER}/http_filters"))?
        .as_array_mut()
        .context("filters")?;
    ensure!(filters.remove(0)["name"] == "envoy.filters.http.jwt_authn");
    let clusters = place(&mut shipped, "/static_resources/clusters")?
        .as_array_mut()
        .context("clusters")?;
    ensure!(clusters.remove(2)["name"] == "idp");
    ensure!(shipped == expected, "{shipped}");
    Ok(())
}

#[test]
fn without_a_good_token_the_gateway_answers_401_itself_and_asks_nobody() -> Result<()> {
    let stage = Stage::set()?;
    let forger = Provider::forger_of(&stage.provider)?;
    let (good, forged) = (stage.provider.token_of("anna")?, forger.token_of("anna")?);
    for (path, headers) in [
        ("/shop".to_owned(), String::new()),
        ("/shop".to_owned(), bearer("no.token.atall")),
        ("/shop".to_owned(), bearer(&forged)),
        (format!("/shop?access_token={forged}"), String::new()),
        // A good one does not carry a bad one along.
        (format!("/shop?access_token={forged}"), bearer(&good)),
        (format!("/shop?access_token={good}"), bearer(&forged)),
    ] {
        let (status, _) = get(stage.envoy.listener(), &path, &headers)?;
        ensure!(status == 401, "{path:.20} {headers:.60}: {status}");
    }
    ensure!(get(stage.envoy.listener(), "/shop", &bearer(&good))?.0 == 200);
    let heard_of_one = stage.ase.wait(SOON, |heard| heard.records.len() == 1);
    ensure!(heard_of_one && stage.ase.heard().questions.len() == 1);
    ensure!(stage.upstream.received().len() == 1);
    Ok(())
}

#[test]
fn a_good_token_passes_in_a_header_or_the_query_under_the_names_that_the_gateway_verified()
-> Result<()> {
    let stage = Stage::set()?;
    let token = stage.provider.token_of("anna")?;
    let listener = stage.envoy.listener();
    ensure!(get(listener, "/shop", &bearer(&token))?.0 == 200);
    ensure!(get(listener, &format!("/shop?access_token={token}"), "")?.0 == 200);
    ensure!(stage.ase.wait(SOON, |heard| heard.records.len() == 2));
    let heard = stage.ase.heard();
    let places = [("authorization", "header"), ("access_token", "query")];
    for (index, (name, place)) in places.into_iter().enumerate() {
        let identifiers = json!([
            {"type": "token", "name": name, "in": place, "value": token, "provenance": "claimed"},
            {"type": "username", "name": "jwt_authn", "in": "header", "value": "anna", "provenance": "verified"},
        ]);
        for told in [
            &heard.questions[index].json,
            &heard.records[index]["request"],
        ] {
            ensure!(told["user_info"] == json!([{"username": "anna", "client_id": "web"}]));
            ensure!(told["client_identifiers"] == identifiers, "{told}");
        }
    }
    Ok(())
}

#[test]
fn the_listed_user_is_refused_whatever_token_she_holds_and_nobody_else_is() -> Result<()> {
    let folder = TempDir::new()?;
    let plan = bootstrap::shop_without("username anna");
    let ase = RealAse::start(&plan, folder.path())?;
    let (upstream, provider) = (Upstream::start()?, Provider::start()?);
    let envoy = Envoy::start(&placed(ase.data_address(), upstream.address(), &provider)?)?;
    let by = |path: &str, headers: &str| get(envoy.listener(), path, headers);
    for _ in 0..2 {
        let token = provider.token_of("anna")?;
        ensure!(by("/shop", &bearer(&token))?.0 == 403);
        ensure!(by(&format!("/shop?access_token={token}"), "")?.0 == 403);
    }
    ensure!(by("/shop", &bearer(&provider.token_of("bert")?))?.0 == 200);
    ensure!(upstream.received().len() == 1);
    let lines = wait::until_some(SOON, "five lines in the access log", || {
        Ok(Some(ase.access_log()).filter(|lines| lines.len() == 5))
    })?;
    let denied: Vec<_> = lines
        .iter()
        .filter(|line| line["decision"] == "denied")
        .collect();
    ensure!(denied.len() == 4);
    for line in denied {
        let credentials = line["credentials"].as_array().context("credentials")?;
        let user = credentials.iter().find(|found| found["kind"] == "username");
        ensure!(
            user.context("a user")?["provenance"] == "verified",
            "{line}"
        );
    }
    Ok(())
}

/// Everybody who takes part, with an ASE that allows everything and remembers what it was told.
struct Stage {
    envoy: Envoy,
    ase: ScriptedAse,
    upstream: Upstream,
    provider: Provider,
}

impl Stage {
    fn set() -> Result<Self> {
        let (ase, upstream) = (ScriptedAse::start()?, Upstream::start()?);
        let provider = Provider::start()?;
        let bootstrap = placed(ase.address(), upstream.address(), &provider)?;
        Ok(Self {
            envoy: Envoy::start(&bootstrap)?,
            ase,
            upstream,
            provider,
        })
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// The file as it is shipped.
fn shipped() -> Result<Value> {
    Ok(files::at(&files::documents(FILE)?, "/0")?.clone())
}

/// The file with addresses and names of this machine, and a provider without TLS. Nothing else is changed.
fn placed(ase: SocketAddr, upstream: SocketAddr, provider: &Provider) -> Result<Value> {
    let mut bootstrap = shipped()?;
    let idp = &format!("{MANAGER}/http_filters/0/typed_config/providers/idp");
    let clusters = "/static_resources/clusters";
    for (at, value) in [
        (format!("/admin/{PORT}"), json!(0)),
        (format!("/static_resources/listeners/0/{PORT}"), json!(0)),
        (format!("{clusters}/0/{ENDPOINT}/{PORT}"), json!(ase.port())),
        (
            format!("{clusters}/1/{ENDPOINT}/{PORT}"),
            json!(upstream.port()),
        ),
        (
            format!("{clusters}/2/{ENDPOINT}/address/socket_address"),
            json!({"address": "127.0.0.1", "port_value": provider.address().port()}),
        ),
        (
            after_the_check(VM, "/code/local/filename"),
            json!(filter_module()),
        ),
        (format!("{idp}/issuer"), json!(provider.issuer())),
        (
            format!("{idp}/remote_jwks/http_uri/uri"),
            json!(format!("{}/jwks", provider.issuer())),
        ),
    ] {
        *place(&mut bootstrap, &at)? = value;
    }
    let provider = place(&mut bootstrap, &format!("{clusters}/2"))?;
    provider
        .as_object_mut()
        .and_then(|cluster| cluster.remove("transport_socket"))
        .context("the provider's cluster has no TLS to take off")?;
    Ok(bootstrap)
}

/// A place of the bootstrap where the filter is the second.
fn after_the_check(pointer: &str, below: &str) -> String {
    format!(
        "{}{below}",
        pointer.replace("/http_filters/0/", "/http_filters/1/")
    )
}
