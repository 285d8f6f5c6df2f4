//! One pass finds what a pass for each name finds, in the same order.

use proptest::prelude::*;

use super::*;

type Named<'a> = (CredentialKind, &'a str, &'a [u8]);

/// The obvious way: a look at all headers for each name.
fn name_by_name<'a>(
    headers: &'a Headers<'_>,
    names: &'a CredentialNames,
    kinds: Kinds,
) -> (Vec<Named<'a>>, Vec<&'a [u8]>) {
    let mut named = Vec::new();
    for (kind, list) in [
        (CredentialKind::Token, &names.token_headers),
        (CredentialKind::ApiKey, &names.api_key_headers),
        (CredentialKind::Username, &names.username_headers),
    ] {
        for name in list.iter().filter(|_| kinds.include(kind)) {
            for header in headers.iter() {
                if is_header(&header.name, name) {
                    named.push((kind, name.as_str(), &*header.value));
                }
            }
        }
    }
    let mut cookies = Vec::new();
    if kinds.include(CredentialKind::Cookie) && !names.cookies.is_empty() {
        cookies.extend(headers.values_of(b"cookie").map(|value| &**value));
    }
    (named, cookies)
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "(x-key|X_Key|x_key|cookie|Cookie|authorization|Authorization|x-user|x|)",
        "[a-c]{60,66}",
    ]
}

fn list() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(), 0..3)
}

proptest! {
    #[test]
    fn one_pass_finds_what_a_pass_for_each_name_finds(
        lines in prop::collection::vec((name(), "[a-z]{0,2}"), 0..8),
        (tokens, keys, users, cookies) in (list(), list(), list(), list()),
        wanted in prop::collection::vec(prop::sample::select(CredentialKind::ALL.to_vec()), 0..5),
    ) {
        let mut headers = Headers::default();
        for (name, value) in &lines {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        let names = CredentialNames {
            token_headers: tokens,
            api_key_headers: keys,
            username_headers: users,
            cookies,
            ..CredentialNames::default()
        };
        let kinds = wanted.into_iter().fold(Kinds::NONE, Kinds::with);
        let found = HeaderLines::of(&headers, &names, kinds);
        let (named, cookies) = name_by_name(&headers, &names, kinds);
        let mut found_named = Vec::new();
        found.named(|kind, name, value| found_named.push((kind, name, value)));
        prop_assert_eq!(found_named, named);
        prop_assert_eq!(found.cookies().collect::<Vec<_>>(), cookies);
    }
}
