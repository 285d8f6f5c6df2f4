//! Names that are learned of a request after its metadata has been written: what a body says comes behind the question.

use super::{Identifier, write_identifier};
use crate::json;

/// Adds names to metadata that [`super::write_request`] wrote, behind those that are there.
pub fn add_names<'i>(
    metadata: &mut Vec<u8>,
    username: Option<&[u8]>,
    client_id: Option<&[u8]>,
    identifiers: impl Iterator<Item = Identifier<'i>>,
) {
    let mut elements = Vec::new();
    if username.is_some() || client_id.is_some() {
        json::object(&mut elements, |u| {
            if let Some(username) = username {
                u.text("username", username);
            }
            if let Some(client_id) = client_id {
                u.text("client_id", client_id);
            }
        });
    }
    append(metadata, "user_info", &elements);
    elements.clear();
    for identifier in identifiers {
        if !elements.is_empty() {
            elements.push(b',');
        }
        json::object(&mut elements, |c| write_identifier(c, &identifier));
    }
    append(metadata, "client_identifiers", &elements);
}

/// Adds elements to the array `key` of an object; to a new one at its end where there is none.
fn append(object: &mut Vec<u8>, key: &str, elements: &[u8]) {
    if elements.is_empty() {
        return;
    }
    let comma: &[u8] = if object.starts_with(b"{}") { b"" } else { b"," };
    let (at, added) = match end_of_array(object, key.as_bytes()) {
        Some(end) => (end, [b",", elements].concat()),
        None => (
            object.len().saturating_sub(1),
            [comma, b"\"", key.as_bytes(), b"\":[", elements, b"]"].concat(),
        ),
    };
    let rest = object.split_off(at);
    object.extend_from_slice(&added);
    object.extend_from_slice(&rest);
}

/// Where the array `key` of an object ends. The writer leaves an empty one out.
fn end_of_array(object: &[u8], key: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut text_from = None;
    let mut escaped = false;
    let mut is_key = false;
    for (at, &byte) in object.iter().enumerate() {
        match (text_from, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(from), b'"') => {
                text_from = None;
                // A value that reads like the key is followed by another key.
                is_key = if depth == 1 {
                    object.get(from..at) == Some(key)
                } else {
                    is_key
                };
            }
            (None, b'"') => text_from = Some(at + 1),
            (None, b'{' | b'[') => depth += 1,
            (None, b'}' | b']') => {
                depth = depth.saturating_sub(1);
                if is_key && depth == 1 {
                    return Some(at);
                }
            }
            (Some(_) | None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::super::{RequestHead, body_text, read_request, write_request};
    use super::*;
    use crate::credential::CredentialKind;
    use crate::identity::{Credential, Place, Provenance};

    fn user(value: &str, place: Place) -> Credential<'_> {
        Credential {
            kind: CredentialKind::Username,
            name: Cow::Borrowed("username"),
            place,
            value: Cow::Borrowed(value),
            provenance: Provenance::Claimed,
        }
    }

    #[test]
    fn names_are_added_to_an_object_without_members() {
        let mut metadata = b"{}".to_vec();
        let anna = user("anna", Place::Body);
        add_names(&mut metadata, None, None, std::iter::empty());
        assert_eq!(metadata, b"{}");
        add_names(
            &mut metadata,
            Some(b"anna"),
            None,
            [Identifier::Value(&anna)].into_iter(),
        );
        assert_eq!(
            String::from_utf8_lossy(&metadata),
            r#"{"user_info":[{"username":"anna"}],"client_identifiers":[{"type":"username","name":"username","in":"body","value":"anna","provenance":"claimed"}]}"#
        );
    }

    fn odd() -> impl Strategy<Value = String> {
        prop_oneof![
            "\\PC{0,12}",
            "(user_info|client_identifiers|\"|\\\\|\\[|\\]|\\{|\\}|:|,){0,8}"
        ]
    }

    proptest! {
        #[test]
        fn what_is_added_is_read_behind_what_was_written(
            method in odd(), header in odd(), early in (odd(), odd(), odd()), late in (odd(), odd(), odd()),
        ) {
            let known = user(&early.2, Place::Header);
            let head = RequestHead {
                source_ip: None, source_port: None, method: method.as_bytes(), url: b"/", host: None, http_version: None, tls: None,
                username: Some(early.0.as_bytes()).filter(|name| !name.is_empty()),
                client_id: Some(early.1.as_bytes()).filter(|name| !name.is_empty()),
            };
            let mut metadata = Vec::new();
            let headers = [(&b"x"[..], header.as_bytes())].into_iter();
            write_request(&mut metadata, &head, headers, Some(Identifier::Value(&known)).into_iter().filter(|_| !early.2.is_empty()));
            let added = user(&late.2, Place::Body);
            add_names(&mut metadata, Some(late.0.as_bytes()), Some(late.1.as_bytes()), [Identifier::Value(&added)].into_iter());
            let body = body_text(&metadata).into_owned();
            let read = read_request(&body).unwrap();
            let texts = |all: [&String; 2]| all.into_iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>();
            prop_assert_eq!(read.usernames.iter().map(|name| name.to_string()).collect::<Vec<_>>(), texts([&early.0, &late.0]));
            prop_assert_eq!(read.client_ids.iter().map(|name| name.to_string()).collect::<Vec<_>>(), texts([&early.1, &late.1]));
            prop_assert_eq!(read.credentials.iter().map(|name| name.value.to_string()).collect::<Vec<_>>(), texts([&early.2, &late.2]));
        }
    }
}
