//! `envoy/token-endpoint/envoy.yaml` in a real Envoy, in front of a real identity provider: every request for a token is asked about and reported, and no secret is.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use system_tests::gateway::{filter_module, repository};
use system_tests::raw_client::Reply;
use system_tests::scripted_ase::{Answer, ScriptedAse};

use crate::bootstrap::{self, CONFIGURATION, ENDPOINT, MANAGER, PORT, VM, place};
use crate::envoy::{self, Envoy, get};
use crate::files;
use crate::provider::{BASIC, Provider, SECRET, TOKEN_PATH, member, post};

const FILE: &str = "envoy/token-endpoint/envoy.yaml";

const ROUTES: &str = "route_config/virtual_hosts/0/routes";

/// Longest wait for something that takes a second at most.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn envoy_takes_the_token_endpoint_file_and_has_nothing_to_say_about_it() -> Result<()> {
    let mut shipped = shipped()?;
    *place(&mut shipped, &format!("{VM}/code/local/filename"))? = json!(filter_module());
    let authorities = "/static_resources/clusters/1/transport_socket/typed_config/common_tls_context/validation_context/trusted_ca/filename";
    // The system's own may be elsewhere, or nowhere.
    *place(&mut shipped, authorities)? = json!(repository().join("tests/fixtures/tls/gateway.pem"));
    let log = envoy::judge(&shipped)?;
    ensure!(log.is_empty(), "{log}");
    Ok(())
}

#[test]
fn the_token_endpoint_file_is_the_bootstrap_with_a_provider_behind_routes_of_its_own() -> Result<()>
{
    let mut shipped = shipped()?;
    let mut expected = bootstrap::shipped()?;
    for differing in [
        CONFIGURATION,
        "/static_resources/clusters/1",
        &format!("{MANAGER}/{ROUTES}"),
    ] {
        let own = files::at(&shipped, differing)?.clone();
        *place(&mut expected, differing)? = own;
    }
    let manager = place(&mut shipped, MANAGER)?
        .as_object_mut()
        .context("the connection manager")?;
    for (setting, value) in [
        ("normalize_path", json!(true)),
        ("merge_slashes", json!(true)),
        ("path_with_escaped_slashes_action", json!("REJECT_REQUEST")),
    ] {
        ensure!(manager.remove(setting) == Some(value), "{setting}");
    }
    ensure!(shipped == expected, "{shipped}");
    Ok(())
}

#[test]
fn every_grant_and_refresh_is_reported_with_address_and_client_and_without_a_secret() -> Result<()>
{
    let stage = Stage::set()?;
    // Signing in is the provider's affair.
    let form = stage.provider.sign_in("anna")?;
    let tokens = stage.token(Some(BASIC), &form)?;
    let (access, refresh) = (
        member(&tokens, "access_token")?,
        member(&tokens, "refresh_token")?,
    );
    let refreshing = format!("grant_type=refresh_token&refresh_token={refresh}");
    let refreshed = member(&stage.token(Some(BASIC), &refreshing)?, "access_token")?;
    let own = format!("grant_type=client_credentials&client_id=app&client_secret={SECRET}");
    let own = member(&stage.token(None, &own)?, "access_token")?;
    let guess = "grant_type=password&username=anna&password=a-guess-at-it&client_id=app&client_secret=another-guess";
    ensure!(stage.token(None, guess)?.status >= 400);
    ensure!(get(stage.envoy.listener(), "/jwks", "")?.0 == 200);
    ensure!(stage.ase.wait(SOON, |heard| heard.records.len() == 4));
    let heard = stage.ase.heard();
    ensure!(heard.questions.len() == 4);
    let told: Vec<_> = heard
        .records
        .iter()
        .map(|record| &record["request"]["user_info"])
        .collect();
    let names = [
        json!([{"client_id": "web"}]),
        json!([{"client_id": "web"}]),
        json!([{"client_id": "app"}]),
        json!([{"username": "anna", "client_id": "app"}]),
    ];
    ensure!(told.into_iter().eq(&names), "{:?}", heard.records);
    for (index, record) in heard.records.iter().enumerate() {
        ensure!(record["request"]["source_ip"] == "127.0.0.1" && record["end"] == "upstream");
        let is_good = record["response"]["response_code"] == 200;
        ensure!(is_good == (index < 3), "{record}");
        ensure!(heard.questions[index].json.get("user_info").is_none());
    }
    let code = form.split(['=', '&']).nth(3).context("the code")?;
    let basic = BASIC.split(' ').nth(1).context("the credentials")?;
    let said = format!("{:?} {:?}", heard.questions, heard.records);
    ensure!(said.contains(TOKEN_PATH) && code.len() > 20 && refresh.len() > 20);
    for secret in [
        SECRET, code, basic, &access, &refresh, &refreshed, &own, "guess", "password",
    ] {
        ensure!(!said.contains(secret), "{secret} is told: {said}");
    }
    Ok(())
}

#[test]
fn a_sign_on_by_saml_is_covered_by_its_path_and_its_messages_stay_untold() -> Result<()> {
    let (ase, provider) = (ScriptedAse::start()?, Provider::start()?);
    let mut bootstrap = placed(ase.address(), provider.address())?;
    let configuration = place(&mut bootstrap, CONFIGURATION)?;
    let mut covered: Value = serde_json::from_str(files::text(configuration)?)?;
    covered["routes"][0]["paths"] = json!([TOKEN_PATH, "/idp/SSO.saml2"]);
    *configuration = json!(covered.to_string());
    let envoy = Envoy::start(&bootstrap)?;
    let form = "SAMLRequest=PHNhbWxwOkF1dGhuUmVxdWVzdD4%3D&RelayState=state-of-the-service";
    let query = "/idp/SSO.saml2?SAMLResponse=PHNhbWxwOlJlc3BvbnNlPg%3D%3D";
    // This provider has no such page, which is an answer as well.
    ensure!(post(envoy.listener(), "/idp/SSO.saml2", None, form)?.status == 404);
    ensure!(get(envoy.listener(), query, "")?.0 == 404);
    ensure!(get(envoy.listener(), "/idp/startSSO.ping", "")?.0 == 404);
    ensure!(ase.wait(SOON, |heard| heard.records.len() == 2));
    let heard = ase.heard();
    ensure!(heard.questions.len() == 2);
    ensure!(heard.questions[1].json["url"] == "/idp/SSO.saml2?SAMLResponse=");
    let said = format!("{:?} {:?}", heard.questions, heard.records);
    ensure!(
        !said.contains("PHNh") && !said.contains("state-of"),
        "{said}"
    );
    Ok(())
}

#[test]
fn whoever_is_denied_gets_no_token_and_uses_up_nothing() -> Result<()> {
    let stage = Stage::set()?;
    let form = stage.provider.sign_in("anna")?;
    let deny = Answer {
        status: 403,
        ..Answer::default()
    };
    stage.ase.script(&[deny], &[]);
    ensure!(stage.token(Some(BASIC), &form)?.status == 403);
    // A code is good for one use, and the provider has not seen it.
    ensure!(stage.token(Some(BASIC), &form)?.status == 200);
    Ok(())
}

#[test]
fn no_spelling_of_the_token_path_gets_a_token_unasked() -> Result<()> {
    let stage = Stage::set()?;
    let form = "grant_type=client_credentials";
    let mut answered_by_the_provider = 0;
    for path in [
        "/as/token.oauth2?x=1",
        "/as/./token.oauth2",
        "/x/../as/token.oauth2",
        "//as//token.oauth2",
        "/as/token.oauth2/",
        "/AS/token.oauth2",
        "/as/Token.OAuth2",
        "/as/%74oken.oauth2",
        "/%61s/token.oauth2",
        "/as/token%2eoauth2",
        "/as%2ftoken.oauth2",
        "/as/token.oauth2%20",
        "/as/token.oauth2;x=1",
        "/as;x=1/token.oauth2",
        "/as/..;/as/token.oauth2",
        "\\as\\token.oauth2",
    ] {
        let asked = stage.ase.heard().questions.len();
        let status = post(stage.envoy.listener(), path, Some(BASIC), form)?.status;
        let was_asked = stage.ase.heard().questions.len() > asked;
        ensure!(status != 200 || was_asked, "{path}: {status}");
        let direct = post(stage.provider.address(), path, Some(BASIC), form)?.status;
        answered_by_the_provider += usize::from(direct == 200);
    }
    // Else the above would hold whatever the file says.
    ensure!(answered_by_the_provider > 2, "{answered_by_the_provider}");
    Ok(())
}

/// Everybody who takes part, with an ASE that remembers what it was told.
struct Stage {
    envoy: Envoy,
    ase: ScriptedAse,
    provider: Provider,
}

impl Stage {
    fn set() -> Result<Self> {
        let (ase, provider) = (ScriptedAse::start()?, Provider::start()?);
        Ok(Self {
            envoy: Envoy::start(&placed(ase.address(), provider.address())?)?,
            ase,
            provider,
        })
    }

    fn token(&self, authorization: Option<&str>, form: &str) -> Result<Reply> {
        post(self.envoy.listener(), TOKEN_PATH, authorization, form)
    }
}

/// The file as it is shipped.
fn shipped() -> Result<Value> {
    Ok(files::at(&files::documents(FILE)?, "/0")?.clone())
}

/// The file with addresses of this machine, and a provider without TLS. Nothing else is changed.
fn placed(ase: SocketAddr, provider: SocketAddr) -> Result<Value> {
    let mut bootstrap = shipped()?;
    let clusters = "/static_resources/clusters";
    for (at, value) in [
        (format!("/admin/{PORT}"), json!(0)),
        (format!("/static_resources/listeners/0/{PORT}"), json!(0)),
        (format!("{clusters}/0/{ENDPOINT}/{PORT}"), json!(ase.port())),
        (
            format!("{clusters}/1/{ENDPOINT}/address/socket_address"),
            json!({"address": "127.0.0.1", "port_value": provider.port()}),
        ),
        (format!("{VM}/code/local/filename"), json!(filter_module())),
    ] {
        *place(&mut bootstrap, &at)? = value;
    }
    place(&mut bootstrap, &format!("{clusters}/1"))?
        .as_object_mut()
        .and_then(|cluster| cluster.remove("transport_socket"))
        .context("the provider's cluster has no TLS to take off")?;
    Ok(bootstrap)
}
