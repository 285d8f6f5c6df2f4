//! The sideband tokens of the file. A value stands in it or in a file of its own; no fault repeats one.

use std::path::Path;
use std::sync::Arc;

use ase_core::fault::{Fields, Item};

use crate::leniency::Tone;
use crate::secret::Secret;
use crate::tokens::Token;

/// The tokens, and the names of those whose gateways are answered leniently.
pub(super) fn read_tokens(
    fields: &mut Fields<'_, '_>,
    folder: &Path,
) -> (Vec<Token>, Vec<Arc<str>>) {
    let mut names: Vec<String> = Vec::new();
    let mut lenient_gateways = Vec::new();
    let tokens = fields.list("tokens", |item| {
        let (token, tone) = read_token(item, folder)?;
        match tone {
            Tone::Lenient => lenient_gateways.push(Arc::clone(&token.name)),
            Tone::Strict => {}
        }
        let name = token.name.to_string();
        if names.contains(&name) {
            item.fault(format_args!(
                "a token of the name {name:?} stands before this one"
            ));
        }
        names.push(name);
        Some(token)
    });
    (tokens, lenient_gateways)
}

fn read_token(item: &mut Item<'_, '_>, folder: &Path) -> Option<(Token, Tone)> {
    let mut fields = item.fields();
    let name = fields.required_custom("name", token_name);
    let value = fields.text("value");
    let file = fields.text("value_file");
    let value = match (value, file) {
        (Some(value), None) => checked_value(&mut fields, "value", value),
        (None, Some(file)) => match std::fs::read_to_string(folder.join(&file)) {
            Ok(value) => checked_value(&mut fields, "value_file", value.trim().to_owned()),
            Err(error) => {
                fields.fault(
                    "value_file",
                    format_args!("{file:?} cannot be read: {error}"),
                );
                None
            }
        },
        (Some(_), Some(_)) => {
            fields.fault("value_file", "has no meaning beside value");
            None
        }
        (None, None) => {
            fields.fault("value", "is required (or value_file)");
            None
        }
    };
    let tone = match fields.flag("lenient", false) {
        true => Tone::Lenient,
        false => Tone::Strict,
    };
    fields.finish();
    let (name, value) = (name?.into(), value?);
    Some((Token { name, value }, tone))
}

pub(crate) fn token_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    // The access log writes "-" for a gateway that was not checked.
    if (1..=64).contains(&text.len()) && text.bytes().all(allowed) && text != "-" {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not a token name: use 1 to 64 characters of [0-9a-zA-Z_.-]"
        ))
    }
}

fn checked_value(fields: &mut Fields<'_, '_>, key: &str, value: String) -> Option<Secret> {
    let printable = value.bytes().all(|byte| byte.is_ascii_graphic());
    if value.len() < 16 || value.len() > 512 || !printable {
        fields.fault(key, "a token has 16 to 512 visible ASCII characters");
        return None;
    }
    Some(Secret::new(value))
}
