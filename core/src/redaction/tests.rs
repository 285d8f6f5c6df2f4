//! What is hidden, what stays, and that nothing slips through in an odd spelling.

use proptest::prelude::*;

use super::*;

#[test]
fn secret_parameters_are_hidden_however_their_names_are_spelled() {
    let cases = [
        (
            "/a?id=7&access_token=S3CRET&x=1",
            "/a?id=7&access_token=***&x=1",
        ),
        ("/a?Access-Token=S3CRET", "/a?Access-Token=***"),
        ("/a?%61ccess%5Ftoken=S3CRET", "/a?%61ccess%5Ftoken=***"),
        ("/a?%2561ccess_token=S3CRET", "/a?%2561ccess_token=***"),
        ("/a?token%3DS3CRET", "/a?***"),
        ("/a?x=1;token=S3CRET;S3CRET&y=2", "/a?x=1;token=***&y=2"),
        ("/a?x=1%26token=S3CRET", "/a?x=***"),
        ("/a?x=1?token=S3CRET", "/a?x=1?token=***"),
        ("/a#access_token=S3CRET", "/a#access_token=***"),
        ("/a?user[password]=S3CRET", "/a?user[password]=***"),
        ("/a?next=%2Fcb%3Fcode%3DS3CRET", "/a?next=***"),
        ("/a?next=http://u:S3CRET@h/", "/a?next=***"),
        ("/shop;jsessionid=S3CRET/b?x", "/shop;jsessionid=***/b?x"),
        ("/shop%3Btoken=S3CRET/b", "/shop%3Btoken=***/b"),
        (
            "/a?X-Amz-Signature=S3CRET&SAMLResponse=S3CRET",
            "/a?X-Amz-Signature=***&SAMLResponse=***",
        ),
        (
            "/a?api_key=S3CRET&key=S3CRET&sig=S3CRET",
            "/a?api_key=***&key=***&sig=***",
        ),
        ("/a?ssn=S3CRET", "/a?ssn=***"),
        (
            "https://user:S3CRET@h.example/a?b=1",
            "https://***@h.example/a?b=1",
        ),
        ("//user:S3CRET@h/a", "//***@h/a"),
        ("user:S3CRET@h:443", "***@h:443"),
        ("/proxy/http:\\\\u:S3CRET@h/a", "/proxy/http:\\\\***@h/a"),
        ("token=S3CRET", "token=***"),
    ];
    for (url, expected) in cases {
        assert_eq!(redact_url(url, &["S_S_N"]), expected);
    }
}

#[test]
fn a_url_without_secrets_stays_as_it_is() {
    for url in [
        "/",
        "*",
        "/a/b?id=7&q=%20x%zz",
        "https://h.example/a?b#c",
        "/users/a@b.example",
        "/a?code",
        "h:443",
        "",
    ] {
        assert!(
            matches!(redact_url(url, &[]), Cow::Borrowed(same) if same == url),
            "{url}"
        );
    }
}

#[test]
fn headers_lose_their_secrets_and_nothing_else() {
    let cases = [
        ("Authorization", "Bearer S3CRET", "Bearer ***"),
        (
            "authorization",
            "  basic   S3CRET, Bearer S3CRET",
            "basic ***",
        ),
        ("authorization", "S3CRET", "***"),
        ("authorization", "S3CRET S3CRET", "***"),
        (
            "Proxy-Authorization",
            "Digest username=\"a\", response=\"S3CRET\"",
            "Digest ***",
        ),
        ("X-Original-Authorization", "Bearer\tS3CRET", "Bearer ***"),
        (
            "Cookie",
            "a=S3CRET; b=\"S3CRET\";S3CRET",
            "a=***; b=***; ***",
        ),
        (
            "Set-Cookie",
            "sid=S3CRET=; Path=/; HttpOnly; Expires=Wed, 01 Jan 2031 00:00:00 GMT",
            "sid=***; Path=/; HttpOnly; Expires=Wed, 01 Jan 2031 00:00:00 GMT",
        ),
        (
            "set-cookie",
            "a=S3CRET; Path=/, b=S3CRET; odd=S3CRET",
            "a=***; Path=***; odd=***",
        ),
        ("x-api-key", "S3CRET", "***"),
        ("ASE-Token", "S3CRET", "***"),
        ("X-Auth-Token", "S3CRET", "***"),
        ("x-ase-secret-key", "S3CRET", "***"),
        ("x-mine", "S3CRET", "***"),
        (
            "Referer",
            "https://u:S3CRET@h/a?token=S3CRET&b=1",
            "https://***@h/a?token=***&b=1",
        ),
        (
            "location",
            "/cb?code=S3CRET&state=1",
            "/cb?code=***&state=1",
        ),
        ("refresh", "5;url=http://u:S3CRET@h/", "5;url=http://***@h/"),
        ("user-agent", "curl/8 token", "curl/8 token"),
        ("host", "a.example", "a.example"),
    ];
    for (name, value, expected) in cases {
        assert_eq!(redact_header(name, value, &["X-Mine"]), expected, "{name}");
    }
}

proptest! {
    #[test]
    fn a_secret_never_comes_out_of_a_url(
        before in "(?s)[^S]{0,30}",
        name in secret_name(),
        escapes in prop::collection::vec(0..3u8, 40),
        secret in "S3CRET[a-z0-9;?#/@=%.-]{0,10}S3CRET",
        after in "(&[a-z]{1,3}=[^S&]{0,5})?",
    ) {
        let name = escaped(&name, &escapes);
        for url in [format!("/{before}?{name}={secret}{after}"), format!("https://h/a?x=1&{name}={secret}{after}#{before}")] {
            let shown = redact_url(&url, &[]);
            prop_assert!(!shown.contains("S3CRET"), "{url:?} became {shown:?}");
            let nested = format!("/a?{before}&next={}", encoded(&url));
            let shown = redact_url(&nested, &[]);
            prop_assert!(!shown.contains("S3CRET"), "{nested:?} became {shown:?}");
            let shown = redact_header("referer", &url, &[]);
            prop_assert!(!shown.contains("S3CRET"), "{url:?} became {shown:?}");
        }
    }

    #[test]
    fn a_secret_never_comes_out_of_a_credential_header(name in secret_header(), scheme in "([bB]earer|Basic|Odd|)[ \t]*", secret in "S3CRET[ -~]{0,10}S3CRET") {
        let value = format!("{scheme}{secret}");
        prop_assert!(!redact_header(name, &value, &[]).contains("S3CRET"));
        let shown = redact_header("cookie", &format!("a={};b=1", secret.replace(';', "")), &[]).into_owned();
        prop_assert!(!shown.contains("S3CRET"), "{shown}");
    }

    #[test]
    fn any_input_gives_an_output_of_bounded_length(text in "(?s).{0,60}", odd in "[a&;?#=/@%2536tToken\\\\:]{0,80}", name in "(?s).{0,20}") {
        for input in [text, odd] {
            let parts = input.chars().filter(|c| !c.is_alphanumeric()).count() + 1;
            // Each part may grow by what hides it and, in a cookie, by the separator in its one spelling.
            let most = input.len() + parts * (HIDDEN.len() + 2);
            prop_assert!(redact_url(&input, &[]).len() <= most);
            for name in ["cookie", "set-cookie", "authorization", "referer", "x-api-key", name.as_str()] {
                prop_assert!(redact_header(name, &input, &[]).len() <= most, "{name}: {input:?}");
            }
        }
    }
}

fn secret_name() -> impl Strategy<Value = String> {
    let names = [
        "access_token",
        "ID_TOKEN",
        "apikey",
        "api-key",
        "key",
        "client_secret",
        "code",
        "passwd",
        "sig",
        "X-Amz-Signature",
        "SAMLRequest",
        "PHPSESSID",
        "jwt",
    ];
    prop::sample::select(names.to_vec()).prop_map(str::to_owned)
}

fn secret_header() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Authorization",
        "proxy-authorization",
        "X-API-Key",
        "ase-token",
        "x-auth-token",
        "X-Csrf-Token",
        "X-Amz-Security-Token",
        "x-session-id",
    ])
}

fn escaped(name: &str, escapes: &[u8]) -> String {
    let escape = |(c, kind): (char, &u8)| match kind {
        0 => c.to_string(),
        1 => format!("%{:02X}", u32::from(c)),
        _ => format!("%25{:02x}", u32::from(c)),
    };
    name.chars().zip(escapes).map(escape).collect()
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
