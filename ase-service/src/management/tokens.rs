//! Sideband tokens over the management port: made, imported, listed by name, deleted.
//!
//! A value leaves ASE once, in the answer that made it.

use std::sync::Arc;

use ase_core::fault::{FaultCollector, Fields};
use axum::body::Bytes;
use axum::extract::{self, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::caller::Caller;
use super::openapi::Schema;
use super::reply::{Refusal, plain};
use super::route::{Route, Verb};
use super::{Management, off_path};
use crate::clock;
use crate::config::tokens::token_name;
use crate::secret::{Secret, random_bytes};
use crate::state::{StoredToken, TokenDigest};
use crate::tokens::Managed;

/// The length of a made or imported token.
const LENGTH: usize = 32;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Most stored tokens.
const MAX_TOKENS: usize = 10_000;

/// What was made.
pub(super) struct Made {
    pub(super) name: String,
    /// Only of a token that ASE has drawn.
    pub(super) drawn: Option<Secret>,
}

/// Which token a call means.
pub(super) enum Which {
    Name(String),
    Value(Secret),
}

pub(super) fn routes() -> [Route; 3] {
    [
        Route::new(
            Verb::Get,
            "/v1/tokens",
            ("listTokens", "Every sideband token by its name"),
            Schema::Tokens,
            async |State(management)| plain(StatusCode::OK, list(management).await),
        ),
        Route::new(
            Verb::Post,
            "/v1/tokens",
            (
                "makeToken",
                "Make a sideband token, or import the one that is given",
            ),
            Schema::TokenMade,
            async |State(management), caller: Caller, body: Bytes| {
                let made = make(management, caller, body).await;
                plain(
                    StatusCode::CREATED,
                    made.map(|made| {
                        let token = made.drawn.as_ref().map(Secret::reveal);
                        json!({"name": made.name, "token": token})
                    }),
                )
            },
        )
        .created()
        .optional_body(Schema::TokenWanted),
        Route::new(
            Verb::Delete,
            "/v1/tokens/{id}",
            ("deleteToken", "Delete a sideband token by its name"),
            Schema::TokenNamed,
            async |State(management),
                   extract::Path(name): extract::Path<String>,
                   caller: Caller| {
                let deleted = delete(management, Which::Name(name), caller).await;
                plain(StatusCode::OK, deleted.map(|name| json!({"name": name})))
            },
        ),
    ]
}

/// Every token by name.
///
/// # Errors
/// When the state cannot be read.
pub(super) async fn list(management: Arc<Management>) -> Result<Value, Refusal> {
    off_path(move || {
        let stored = management.state.lock().tokens()?;
        let configured =
            management.ase.tokens.configured().map(
                |name| json!({"name": name, "source": "configuration", "created": Value::Null}),
            );
        let stored = stored.iter().map(|token| {
            let created = clock::rfc3339(token.created);
            json!({"name": token.name, "source": "management", "created": created})
        });
        let tokens: Vec<Value> = configured.chain(stored).collect();
        Ok(json!({"tokens": tokens}))
    })
    .await
}

/// Makes or imports a token; gateways may show it as soon as this returns.
///
/// # Errors
/// Every fault of the body, a name or value that is taken, or that it is not stored.
pub(super) async fn make(
    management: Arc<Management>,
    caller: Caller,
    body: Bytes,
) -> Result<Made, Refusal> {
    let (name, given) = wanted(&body)?;
    off_path(move || {
        let action = match &given {
            Some(_) => "import_sideband_token",
            None => "create_sideband_token",
        };
        let (value, drawn) = match given {
            Some(value) => (value, None),
            None => {
                let drawn = draw().map_err(|error| Refusal::broken(&error))?;
                (drawn.clone(), Some(drawn))
            }
        };
        let digest = TokenDigest::of(value.reveal().as_bytes());
        let name = name.unwrap_or_else(|| default_name(&digest));
        let token = StoredToken {
            name: name.clone(),
            digest,
            created: clock::now(),
        };
        let tokens = &management.ase.tokens;
        if tokens.is_configured_value(value.reveal().as_bytes()) {
            return Err(Refusal::conflict("the token is configured already"));
        }
        {
            let mut state = management.state.lock();
            let stored = state.tokens()?;
            let named = |known: &str| known == name;
            if stored.len() >= MAX_TOKENS {
                return Err(Refusal::conflict(format!(
                    "there are {MAX_TOKENS} tokens already"
                )));
            }
            if tokens.configured().any(named) || stored.iter().any(|known| named(&known.name)) {
                return Err(Refusal::conflict(format!("{name:?} names a token already")));
            }
            if stored.iter().any(|known| known.digest == digest) {
                return Err(Refusal::conflict("the token is known already"));
            }
            if !state.add_token(&token)? {
                return Err(Refusal::conflict("the token is known already"));
            }
            let mut managed = Managed::clone(&tokens.managed());
            managed.names.insert(digest, name.as_str().into());
            tokens.manage(managed);
        }
        management.audited(&caller, action, &[("token", &name)])?;
        Ok(Made { name, drawn })
    })
    .await
}

/// Deletes a token; a gateway that shows it is refused as soon as this returns.
///
/// # Errors
/// When there is none, it is configured, or it stays stored.
pub(super) async fn delete(
    management: Arc<Management>,
    which: Which,
    caller: Caller,
) -> Result<String, Refusal> {
    off_path(move || {
        let tokens = &management.ase.tokens;
        let configured = match &which {
            Which::Name(name) => tokens.configured().any(|known| known == name),
            Which::Value(value) => tokens.is_configured_value(value.reveal().as_bytes()),
        };
        if configured {
            let fault = "the token is configured: take it out of the configuration file";
            return Err(Refusal::conflict(fault));
        }
        let name = {
            let mut state = management.state.lock();
            let stored = state.tokens()?;
            let found = stored.into_iter().find(|token| match &which {
                Which::Name(name) => token.name == *name,
                Which::Value(value) => token.digest == TokenDigest::of(value.reveal().as_bytes()),
            });
            let token = found.ok_or_else(|| Refusal::absent("no such token"))?;
            state.delete_token(&token.name)?;
            let mut managed = Managed::clone(&tokens.managed());
            managed.names.remove(&token.digest);
            tokens.manage(managed);
            token.name
        };
        management.audited(&caller, "delete_sideband_token", &[("token", &name)])?;
        Ok(name)
    })
    .await
}

/// The body of a deletion under the documented paths: the name or the value.
///
/// # Errors
/// Every fault of the body.
pub(super) fn which(body: &[u8]) -> Result<Which, Refusal> {
    let (name, value) = wanted(body)?;
    match (name, value) {
        (Some(name), None) => Ok(Which::Name(name)),
        (None, Some(value)) => Ok(Which::Value(value)),
        (None, None) | (Some(_), Some(_)) => {
            Err(Refusal::wrong("token or name: exactly one is required"))
        }
    }
}

/// Name and value of a body; an empty body asks for neither.
pub(super) fn wanted(body: &[u8]) -> Result<(Option<String>, Option<Secret>), Refusal> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok((None, None));
    }
    let mut collector = FaultCollector::default();
    let document = collector.json(body).unwrap_or_default();
    let mut fields = Fields::of(&document, "", &mut collector);
    let name = fields.custom("name", token_name);
    let value = fields.custom("token", |text| match well_formed(text) {
        true => Ok(Secret::new(text.to_owned())),
        false => Err("a token has 32 characters of a-z and 0-9"),
    });
    fields.finish();
    Ok(collector.into_result((name, value))?)
}

fn well_formed(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// 32 characters, each with equal chance.
fn draw() -> std::io::Result<Secret> {
    let mut text = String::new();
    while text.len() < LENGTH {
        // 252 is the largest multiple of 36 that a byte can count to.
        let fair = random_bytes()?.into_iter().filter(|byte| *byte < 252);
        let drawn = fair.filter_map(|byte| ALPHABET.get(usize::from(byte) % ALPHABET.len()));
        text.extend(
            drawn
                .map(|byte| char::from(*byte))
                .take(LENGTH - text.len()),
        );
    }
    Ok(Secret::new(text))
}

fn default_name(digest: &TokenDigest) -> String {
    let start = digest.0.iter().take(4);
    let start: String = start.map(|byte| format!("{byte:02x}")).collect();
    format!("token-{start}")
}
