//! A real OpenID provider (npm `oidc-provider`), one process per test, and a browser's way through its sign-in.
//!
//! Assumes `make identity-provider`. Never outlives its test: the provider ends with its standard input.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use system_tests::gateway::repository;
use system_tests::http1::{self, Head};
use system_tests::raw_client::{Bytes, Client, Reply};

/// Where tokens are handed out.
pub(crate) const TOKEN_PATH: &str = "/as/token.oauth2";

/// The client application `web`, as it says who it is.
pub(crate) const BASIC: &str = "Basic d2ViOmEtc2VjcmV0LW9mLXRoaXMtdGVzdC1hbG9uZQ==";

/// The secret of `web`, and of `app`, which says who it is in the form.
pub(crate) const SECRET: &str = "a-secret-of-this-test-alone";

const SIGNED_IN: &str = "https%3A%2F%2Fweb.example%2Fsigned-in";

/// A sign-in takes three.
const MAX_REDIRECTS: usize = 10;

/// A running provider.
pub(crate) struct Provider {
    process: Child,
    address: SocketAddr,
    _its_life: ChildStdin,
    /// It says more later, and would end where nobody listens.
    _its_word: BufReader<ChildStdout>,
}

impl Provider {
    /// One that is called by its own address.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub(crate) fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// One that claims to be another, with a key of its own under the same name.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn forger_of(other: &Self) -> Result<Self> {
        Self::start_with(&[other.issuer()])
    }

    fn start_with(arguments: &[String]) -> Result<Self> {
        let folder = std::env::var_os("ASE_IDENTITY_PROVIDER").map_or_else(
            || repository().join(".tools/identity-provider"),
            PathBuf::from,
        );
        ensure!(
            folder.join("node").exists(),
            "{} is not set up: run `make identity-provider`, or set ASE_IDENTITY_PROVIDER",
            folder.display()
        );
        let mut process = Command::new(folder.join("node"))
            .arg(folder.join("provider.mjs"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start the identity provider")?;
        let life = process.stdin.take().context("its standard input")?;
        let mut said = BufReader::new(process.stdout.take().context("its standard output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("http://") else {
            drop(process.kill());
            let mut fault = String::new();
            if let Some(mut stderr) = process.stderr.take() {
                stderr.read_to_string(&mut fault)?;
            }
            bail!("the identity provider did not start: {fault}");
        };
        Ok(Self {
            address: address.parse()?,
            process,
            _its_life: life,
            _its_word: said,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its name for itself.
    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Signs this user in as a browser would and returns the body of the request that fetches the tokens.
    ///
    /// # Errors
    /// When the way does not end with a code.
    pub(crate) fn sign_in(&self, user: &str) -> Result<String> {
        let mut cookies: Vec<String> = Vec::new();
        let mut at = format!(
            "/auth?client_id=web&response_type=code&prompt=consent&scope=openid%20offline_access%20shop&redirect_uri={SIGNED_IN}&login_hint={user}"
        );
        for _ in 0..MAX_REDIRECTS {
            let headers = [("cookie", cookies.join("; "))];
            let reply = ask(self.address, "GET", &at, &headers, "")?;
            cookies.extend(set_cookies(&reply.head));
            let place = reply
                .head
                .first("location")
                .with_context(|| format!("{at} leads nowhere: {}", text(&reply)))?;
            if let Some((_, code)) = place.split_once("code=") {
                let code = code.split('&').next().unwrap_or_default();
                return Ok(format!(
                    "grant_type=authorization_code&code={code}&redirect_uri={SIGNED_IN}"
                ));
            }
            // Absolute or not: its own pages are all here.
            let path = place
                .strip_prefix("http://")
                .and_then(|rest| rest.split_once('/'));
            at = path.map_or_else(|| place.to_owned(), |(_, path)| format!("/{path}"));
        }
        bail!("no code after {MAX_REDIRECTS} redirects: {at}")
    }

    /// The access token of this user.
    ///
    /// # Errors
    /// When the provider gives none.
    pub(crate) fn token_of(&self, user: &str) -> Result<String> {
        let form = self.sign_in(user)?;
        let reply = post(self.address, TOKEN_PATH, Some(BASIC), &form)?;
        member(&reply, "access_token")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// One request on a connection of its own.
///
/// # Errors
/// When there is no reply.
pub(crate) fn ask(
    server: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Result<Reply> {
    let mut head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut client = Client::connect(server)?;
    client.send(&Bytes {
        method: method.to_owned(),
        pieces: vec![http1::bytes_of(&head)?, http1::bytes_of(body)?],
    })?;
    client.reply(method, None)
}

/// A form, sent by whoever has these credentials.
///
/// # Errors
/// When there is no reply.
pub(crate) fn post(
    server: SocketAddr,
    path: &str,
    authorization: Option<&str>,
    form: &str,
) -> Result<Reply> {
    let kind = "application/x-www-form-urlencoded".to_owned();
    let mut headers = vec![("content-type", kind)];
    headers.extend(authorization.map(|line| ("authorization", line.to_owned())));
    ask(server, "POST", path, &headers, form)
}

/// A text in a reply of JSON.
///
/// # Errors
/// When it is not there.
pub(crate) fn member(reply: &Reply, name: &str) -> Result<String> {
    let json: Value = serde_json::from_str(&text(reply)).with_context(|| text(reply))?;
    let found = json.get(name).and_then(Value::as_str);
    Ok(found.with_context(|| text(reply))?.to_owned())
}

fn text(reply: &Reply) -> String {
    http1::latin1(&reply.body.content)
}

fn set_cookies(head: &Head) -> Vec<String> {
    let lines = head.headers.iter().filter(|(name, _)| name == "set-cookie");
    lines
        .filter_map(|(_, value)| Some(value.split(';').next()?.to_owned()))
        .collect()
}
