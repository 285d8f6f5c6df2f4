//! What a body names, however it is cut into pieces, and what is kept of it meanwhile.

use proptest::prelude::*;

use super::*;

type Names = (Option<String>, Option<String>);

fn names(form: &FormNames) -> Names {
    let text = |name: Option<&[u8]>| name.map(|name| String::from_utf8_lossy(name).into_owned());
    (text(form.username()), text(form.client_id()))
}

fn read<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> FormNames {
    let mut form = FormNames::default();
    for piece in pieces {
        form.read(piece);
    }
    form
}

/// The names of a whole body: the same at once, byte by byte, and cut in two anywhere.
fn of(body: &[u8]) -> Names {
    let whole = |mut form: FormNames| {
        form.end();
        names(&form)
    };
    let at_once = whole(read([body]));
    assert_eq!(whole(read(body.chunks(1))), at_once, "byte by byte");
    for cut in 0..=body.len() {
        let (first, second) = body.split_at(cut);
        assert_eq!(whole(read([first, second])), at_once, "cut at {cut}");
    }
    at_once
}

fn both(username: &str, client_id: &str) -> Names {
    (Some(username.to_owned()), Some(client_id.to_owned()))
}

const NOBODY: Names = (None, None);

#[test]
fn a_token_request_names_its_user_and_its_client_wherever_they_stand() {
    let password =
        b"grant_type=password&username=anna&password=se%26cret&client_id=web&client_secret=x";
    assert_eq!(of(password), both("anna", "web"));
    assert_eq!(of(b"client_id=web&username=anna"), both("anna", "web"));
    let refresh = b"grant_type=refresh_token&refresh_token=abc%3D&client_id=web";
    assert_eq!(of(refresh), (None, Some("web".to_owned())));
    assert_eq!(of(b"grant_type=client_credentials"), NOBODY);
    assert_eq!(of(b""), NOBODY);
}

#[test]
fn escapes_and_plus_signs_are_decoded_in_names_and_values() {
    assert_eq!(
        of(b"user%6Eame=anna+b%C3%B6hm%2b%3D%26&c%6cient%5Fid=w%65b"),
        both("anna b\u{f6}hm+=&", "web")
    );
    // A second = is part of the value.
    assert_eq!(of(b"username=a=b&client_id=="), both("a=b", "="));
}

#[test]
fn an_escape_that_is_none_stands_for_itself() {
    assert_eq!(of(b"username=100%&client_id=%zz%4"), both("100%", "%zz%4"));
    assert_eq!(of(b"username=%%41&client_id=%4%41"), both("%A", "%4A"));
    assert_eq!(of(b"username%=x&client_id%3=y"), NOBODY);
}

#[test]
fn the_first_of_several_counts_and_an_empty_one_is_none() {
    assert_eq!(
        of(b"username=anna&username=bert&client_id=&client_id=web&client_id=app"),
        both("anna", "web")
    );
    assert_eq!(of(b"username&client_id&=x&&=&username="), NOBODY);
}

#[test]
fn a_name_that_is_too_long_is_nobodys_and_a_later_one_does_not_take_its_place() {
    let just = "a".repeat(MAX_NAME_BYTES);
    let body = format!("username={just}a&username=anna&client_id={just}");
    assert_eq!(of(body.as_bytes()), (None, Some(just)));
}

#[test]
fn fields_that_only_resemble_those_looked_for_name_nobody() {
    assert_eq!(
        of(b"xusername=a&usernamex=b&USERNAME=c&client_idd=d&client-id=e&client_id%00=f&user+name=g"),
        NOBODY
    );
}

#[test]
fn a_last_field_that_may_be_cut_short_names_nobody() {
    let form = read([&b"client_id=web&username=ann"[..]]);
    assert_eq!(names(&form), (None, Some("web".to_owned())));
}

/// All values of a field, by splitting and decoding the whole body at once.
fn naive(body: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    body.split(|&byte| byte == b'&').find_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let value = naive_decoded(&pair[at + 1..]);
        (naive_decoded(&pair[..at]) == wanted && !value.is_empty()).then_some(value)
    })
}

fn naive_decoded(part: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < part.len() {
        let digits = part.get(at + 1..at + 3).and_then(|two| {
            let two = std::str::from_utf8(two).ok()?;
            two.bytes()
                .all(|byte| byte.is_ascii_hexdigit())
                .then_some(two)
        });
        match (part[at], digits) {
            (b'%', Some(two)) => {
                decoded.push(u8::from_str_radix(two, 16).unwrap());
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    decoded
}

proptest! {
    #[test]
    fn any_body_in_any_pieces_is_read_as_a_whole_one_would_be_within_bounds(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "(username|client_id|password|=|&|%|%6|%6e|%3D|\\+|a|%zz){0,12}".prop_map(String::into_bytes),
                (0..600_usize).prop_map(|length| vec![b'x'; length]),
            ],
            0..12,
        ),
    ) {
        let mut form = FormNames::default();
        for piece in &pieces {
            form.read(piece);
            let kept = form.text.capacity();
            prop_assert!(kept <= 2 * MAX_NAME_BYTES, "{kept} bytes are kept");
        }
        form.end();
        let body = pieces.concat();
        for (wanted, found) in [(&b"username"[..], form.username()), (b"client_id", form.client_id())] {
            let expected = naive(&body, wanted).filter(|name| name.len() <= MAX_NAME_BYTES);
            prop_assert_eq!(found, expected.as_deref());
        }
    }
}
